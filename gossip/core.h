/* What the files of this folder share: the state of one node's gossip, and who calls whom.
 *
 *     gossip.c    events and queries          config.c   bounds and profiles
 *     probe.c     rounds, asks, relays        apply.c, apply_health.c: what news does
 *     send.c      messages and their news     sync.c     digests and pages of state
 *     publish.c   own health                  join.c     seeds, leave, forget, reap
 *     members.c, members_row.c, claim.c, suspicion.c, awareness.c, news.c, health.c,
 *     outbox.c, wire.c: leaves */
#ifndef UNDERSTUDY_GOSSIP_CORE_H
#define UNDERSTUDY_GOSSIP_CORE_H

#include "gossip/awareness.h"
#include "gossip/gossip.h"
#include "gossip/members.h"
#include "gossip/news.h"
#include "gossip/outbox.h"
#include "gossip/wire.h"
#include "node/base/rng.h"

#define PROBES_MAX 16 /* in flight or scheduled */
#define RELAYS_MAX 32 /* probes for others in flight */
#define FORGOTTEN_MAX NODES_MAX
#define BEHIND_MAX 4         /* outdated accusations of one message that are answered */
#define PAGES_MAX 64         /* of one answer; the rest comes with the next exchange */
#define DETAILS_REFRESHES 10 /* small changes of details are told with every tenth refresh */
#define NEVER_MS INT64_MAX

enum probe_stage { PROBE_FREE, PROBE_SCHEDULED, PROBE_DIRECT, PROBE_INDIRECT };

struct probe {
    enum probe_stage stage;
    bool confirming; /* because another node suspects the member; not a round of its own */
    uint32_t sequence;
    unsigned pings; /* sent to the member itself */
    unsigned asked;
    unsigned nacks;
    struct member *member;
    int64_t start_ms;
    int64_t due_ms; /* when the stage ends */
    int64_t end_ms;
};

struct relay { /* free when due_ms is NEVER_MS */
    uint32_t sequence;
    uint32_t origin_sequence;
    int64_t due_ms; /* then a nack goes to the origin */
    char origin[NAME_SIZE];
    char target[NAME_SIZE];
};

struct forgotten {
    char name[NAME_SIZE];
    int64_t until_ms; /* the past: a free place */
};

struct publication {
    struct gossip_health latest;
    struct gossip_health published;
    bool has_latest;
    bool has_published;
    uint64_t sequence;
    int64_t published_ms;
    int64_t details_ms; /* when the details were published last */
};

struct gossip {
    struct gossip_config config;
    struct rng rng;
    int64_t now_ms;
    int64_t quiet_until_ms; /* after a stall: until then nobody is accused or declared dead */
    struct awareness awareness;
    struct members members;
    struct news_queue news[NEWS_KINDS];
    uint64_t message_number;
    struct outbox outbox;
    struct gossip_counters counters;

    struct probe probes[PROBES_MAX];
    struct relay relays[RELAYS_MAX];
    uint32_t sequence;
    int64_t next_probe_ms;
    int64_t next_gossip_ms;
    int64_t next_sync_ms;
    int64_t next_rejoin_ms;
    int64_t next_reap_ms;
    int64_t next_stranger_ms;
    int64_t start_ms;

    struct gossip_seed *seeds;
    size_t seed_count;
    struct forgotten forgotten[FORGOTTEN_MAX];
    struct publication publication;
    bool leaving;
    int64_t leave_until_ms;

    const struct member *behind_to;    /* goes first in the next message to it: ... */
    struct member *behind[BEHIND_MAX]; /* ... rows of which it knows less than this node */
    size_t behind_count;

    struct mp_writer items; /* scratch of the message that is being made */
    struct mp_writer item;
    struct mp_writer names;
    struct mp_writer out;
};

/* ---- gossip.c ---- */
size_t gossip_core_members(const struct gossip *self); /* live, own included: n of the papers */
void gossip_core_earlier(int64_t *deadline_ms, int64_t candidate_ms); /* keep the earlier */
void gossip_core_advance(struct gossip *self, int64_t now_ms);        /* the clock, and stalls */
int64_t gossip_core_jitter_ms(struct gossip *self,
                              int64_t interval_ms); /* interval -10 % .. +10 % */

/* ---- config.c ---- */
int gossip_config_check(const struct gossip_config *config, struct err *err);

/* ---- send.c ---- */
/* Send to a member, or (`to` NULL) to a name at an address that may be empty. What is held against
 * the receiver goes first, then news as room allows. */
struct receiver {
    struct member *member;
    const char *name;
    const char *address;
};
struct receiver gossip_send_to(struct member *member);
void gossip_send_message(struct gossip *self, struct gossip_wire_message *message,
                         struct receiver to);
void gossip_send_sequence(struct gossip *self, enum gossip_wire_type type, uint32_t sequence,
                          struct receiver to);
void gossip_send_news(struct gossip *self, struct receiver to);
/* A ping that waits for no answer of its own: what comes with the answer is wanted. */
void gossip_send_question(struct gossip *self, struct member *about, struct receiver to);
/* A message whose items are in self->items already. */
void gossip_send_items(struct gossip *self, struct gossip_wire_message *message,
                       const struct gossip_wire_names *names, size_t item_count,
                       struct receiver to);
void gossip_send_put_member(struct mp_writer *writer, const struct gossip *self,
                            const struct member *member, bool with_address);
void gossip_send_put_health(struct mp_writer *writer, const struct member *member,
                            bool with_details);
void gossip_send_tick(struct gossip *self);
int64_t gossip_send_deadline_ms(const struct gossip *self);

/* ---- apply.c ---- */
enum apply_source { APPLY_NEWS, APPLY_SYNC };
void gossip_apply_items(struct gossip *self, const struct gossip_wire_message *message,
                        enum apply_source source);
void gossip_apply_accusation(struct gossip *self, struct member *member, enum gossip_reason reason);
void gossip_apply_ended(struct gossip *self, struct member *member, uint64_t incarnation);
void gossip_apply_tick(struct gossip *self); /* suspicions that ran out */
int64_t gossip_apply_deadline_ms(const struct gossip *self);
void gossip_apply_stall(struct gossip *self, int64_t gap_ms); /* suspicions stand still meanwhile */
void gossip_apply_tell(struct gossip *self, struct member *member, enum news_kind kind,
                       unsigned flags);
void gossip_apply_emit(struct gossip *self, const struct gossip_action *action);
void gossip_apply_about_self(struct gossip *self, const struct gossip_wire_member *item);

/* ---- apply_health.c ---- */
void gossip_apply_health(struct gossip *self, const struct gossip_wire_health *item,
                         enum apply_source source);

/* ---- probe.c ---- */
uint32_t gossip_probe_sequence(struct gossip *self); /* a new one */
void gossip_probe_tick(struct gossip *self);
int64_t gossip_probe_deadline_ms(const struct gossip *self);
void gossip_probe_stall(struct gossip *self);
void gossip_probe_withdraw(struct gossip *self, const struct member *member);
void gossip_probe_confirm(struct gossip *self, struct member *member); /* perhaps, soon */
void gossip_probe_on_ask(struct gossip *self, const struct gossip_wire_message *message,
                         struct receiver from);
void gossip_probe_on_ack(struct gossip *self, const struct gossip_wire_message *message);
void gossip_probe_on_nack(struct gossip *self, const struct gossip_wire_message *message);

/* ---- sync.c ---- */
void gossip_sync_start(struct gossip *self);
void gossip_sync_tick(struct gossip *self);
int64_t gossip_sync_interval_ms(const struct gossip *self); /* between exchanges that it opens */
void gossip_sync_open(struct gossip *self, struct receiver to, bool join);
void gossip_sync_on_digest(struct gossip *self, const struct gossip_wire_message *message,
                           struct receiver from);
void gossip_sync_on_buckets(struct gossip *self, const struct gossip_wire_message *message,
                            struct receiver from);
void gossip_sync_on_versions(struct gossip *self, const struct gossip_wire_message *message,
                             struct receiver from);
void gossip_sync_on_entries(struct gossip *self, const struct gossip_wire_message *message,
                            struct receiver from);

/* ---- publish.c ---- */
void gossip_publish_tick(struct gossip *self);
int64_t gossip_publish_deadline_ms(const struct gossip *self);
int64_t gossip_publish_refresh_ms(const struct gossip *self); /* between small changes */
/* A record of this node that it never made, with this sequence, goes about: outdo it. */
void gossip_publish_again(struct gossip *self, uint64_t sequence);

/* ---- join.c ---- */
void gossip_join_tick(struct gossip *self);
bool gossip_join_is_forgotten(const struct gossip *self, const char *name);
void gossip_join_drop(struct gossip *self,
                      struct member *member); /* row, probes, news; tells GONE */

#endif
