/* News that waits to be told: which rows changed, and how often each change was sent.
 *
 * SWIM 4.1: every change is sent a number of times that grows with the logarithm of the cluster,
 * those sent least often first. A row waits once for each kind of news, and is encoded when it is
 * sent: the newest state of a member is the only one that ever travels. */
#ifndef UNDERSTUDY_GOSSIP_NEWS_H
#define UNDERSTUDY_GOSSIP_NEWS_H

#include "gossip/members.h"

#define NEWS_SENDS_MAX 64

struct news {
    struct news *previous;
    struct news *next;
    struct member *member;
    uint64_t message; /* the last one that carried it */
    unsigned sends;
    enum news_kind kind;
    bool details; /* health: the details go with it */
    bool eager;   /* worth messages of its own; others only ride on probes */
};

enum news_flag { NEWS_DETAILS = 1u << 0, NEWS_EAGER = 1u << 1 };

struct news_list {
    struct news *first;
    struct news *last;
};

struct news_queue {
    struct news_list by_sends[NEWS_SENDS_MAX];
    size_t count;
    size_t eager_count;
};

/* ceil(mult * log10(members + 1)), 1..NEWS_SENDS_MAX. */
unsigned gossip_news_sends_limit(unsigned mult, size_t members);

/* The row changed: it starts again with no sends. ERR_NOMEM: it is not told, anti-entropy will. */
int gossip_news_add(struct news_queue *self, struct member *member, enum news_kind kind,
                    unsigned flags);

void gossip_news_remove(struct news_queue *self, struct member *member, enum news_kind kind);
void gossip_news_clear(struct news_queue *self);

/* One more message carries it; at `limit` sends it is forgotten and freed. */
void gossip_news_sent(struct news_queue *self, struct news *news, uint64_t message, unsigned limit);

#endif
