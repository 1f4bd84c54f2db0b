#include "gossip/news.h"

#include "node/base/invariant.h"

#include <math.h>
#include <stdlib.h>

unsigned gossip_news_sends_limit(unsigned mult, size_t members)
{
    double limit = ceil((double)mult * log10((double)members + 1.0));
    if (limit < 1.0) {
        return 1;
    }
    return limit > NEWS_SENDS_MAX ? NEWS_SENDS_MAX : (unsigned)limit;
}

static void append(struct news_queue *self, struct news *news)
{
    struct news_list *list = &self->by_sends[news->sends];
    news->previous = list->last;
    news->next = NULL;
    if (list->last == NULL) {
        list->first = news;
    } else {
        list->last->next = news;
    }
    list->last = news;
    self->count++;
    self->eager_count += news->eager;
}

static void unlink_news(struct news_queue *self, struct news *news)
{
    struct news_list *list = &self->by_sends[news->sends];
    if (news->previous == NULL) {
        invariant(list->first == news);
        list->first = news->next;
    } else {
        news->previous->next = news->next;
    }
    if (news->next == NULL) {
        list->last = news->previous;
    } else {
        news->next->previous = news->previous;
    }
    invariant(self->count > 0);
    self->count--;
    self->eager_count -= news->eager;
}

int gossip_news_add(struct news_queue *self, struct member *member, enum news_kind kind,
                    unsigned flags)
{
    struct news *news = member->pending[kind];
    if (news != NULL) {
        unlink_news(self, news);
        flags |= news->details ? NEWS_DETAILS : 0u;
        flags |= news->eager ? NEWS_EAGER : 0u;
    } else {
        news = malloc(sizeof *news);
        if (news == NULL) {
            return ERR_NOMEM;
        }
        member->pending[kind] = news;
    }
    *news = (struct news){.member = member,
                          .kind = kind,
                          .details = (flags & NEWS_DETAILS) != 0,
                          .eager = (flags & NEWS_EAGER) != 0};
    append(self, news);
    return 0;
}

void gossip_news_remove(struct news_queue *self, struct member *member, enum news_kind kind)
{
    struct news *news = member->pending[kind];
    if (news == NULL) {
        return;
    }
    unlink_news(self, news);
    member->pending[kind] = NULL;
    free(news);
}

void gossip_news_clear(struct news_queue *self)
{
    for (unsigned i = 0; i < NEWS_SENDS_MAX; i++) {
        while (self->by_sends[i].first != NULL) {
            struct news *news = self->by_sends[i].first;
            gossip_news_remove(self, news->member, news->kind);
        }
    }
    invariant(self->count == 0);
}

void gossip_news_sent(struct news_queue *self, struct news *news, uint64_t message, unsigned limit)
{
    invariant(limit <= NEWS_SENDS_MAX);
    if (news->sends + 1 >= limit) {
        gossip_news_remove(self, news->member, news->kind);
        return;
    }
    unlink_news(self, news);
    news->sends++;
    news->message = message;
    append(self, news);
}
