#include "managers/pm2/stand_in/decide.h"

#include <inttypes.h>
#include <stdio.h>

struct tally {
    const struct decide_view *up;      /* the one that has been up for longest */
    const struct decide_view *down;    /* one of them */
    const struct decide_view *between; /* one of them */
    const struct decide_view *unknown; /* the one that was heard of last */
    size_t hosts;                      /* nodes that have it or may have it */
};

static void count_view(struct tally *tally, const struct decide_view *view)
{
    enum decide_primary_state state = view->reachable ? view->state : DECIDE_UNKNOWN;
    if (view->left || state == DECIDE_ELSEWHERE) {
        return;
    }
    tally->hosts++;
    switch (state) {
    case DECIDE_UP:
        tally->up = tally->up == NULL || view->for_ms > tally->up->for_ms ? view : tally->up;
        return;
    case DECIDE_DOWN:
        tally->down = view;
        return;
    case DECIDE_BETWEEN:
        tally->between = view;
        return;
    case DECIDE_UNKNOWN:
        tally->unknown =
            tally->unknown == NULL || view->for_ms < tally->unknown->for_ms ? view : tally->unknown;
        return;
    case DECIDE_ELSEWHERE:
        return;
    }
}

static enum decide_wish primary_is_up(const struct decide_rules *rules, const struct tally *tally,
                                      bool wanted_now, char ret_reason[REASON_SIZE])
{
    if (wanted_now && tally->up->for_ms < rules->settle_ms) {
        (void)snprintf(ret_reason, REASON_SIZE,
                       "the primary is up again on %s, for %" PRId64 " of %" PRId64 " ms",
                       tally->up->node, tally->up->for_ms, rules->settle_ms);
        return DECIDE_KEEP;
    }
    (void)snprintf(ret_reason, REASON_SIZE, "the primary is up on %s", tally->up->node);
    return DECIDE_UNWANT;
}

static enum decide_wish nobody_knows(const struct decide_rules *rules, const struct tally *tally,
                                     char ret_reason[REASON_SIZE])
{
    const struct decide_view *view = tally->unknown;
    if (rules->start_after_ms < 0) {
        (void)snprintf(ret_reason, REASON_SIZE, "%s cannot be asked, and the backup waits for it",
                       view->node);
        return DECIDE_KEEP;
    }
    if (view->for_ms < rules->start_after_ms) {
        (void)snprintf(ret_reason, REASON_SIZE,
                       "%s cannot be asked for %" PRId64 " of %" PRId64 " ms", view->node,
                       view->for_ms, rules->start_after_ms);
        return DECIDE_KEEP;
    }
    (void)snprintf(ret_reason, REASON_SIZE, "%s cannot be asked for %" PRId64 " ms", view->node,
                   view->for_ms);
    return DECIDE_WANT;
}

enum decide_wish decide_backup(const struct decide_rules *rules, const struct decide_view *views,
                               size_t count, bool wanted_now, char ret_reason[REASON_SIZE])
{
    if (rules->mode == SETTINGS_ALWAYS) {
        (void)snprintf(ret_reason, REASON_SIZE, "it always runs");
        return DECIDE_WANT;
    }
    if (rules->mode == SETTINGS_CRON) {
        (void)snprintf(ret_reason, REASON_SIZE, "it runs at its times");
        return DECIDE_UNWANT;
    }
    struct tally tally = {0};
    for (size_t i = 0; i < count; i++) {
        count_view(&tally, &views[i]);
    }
    if (tally.up != NULL) {
        return primary_is_up(rules, &tally, wanted_now, ret_reason);
    }
    if (tally.between != NULL) {
        (void)snprintf(ret_reason, REASON_SIZE, "the primary is between states on %s: %.48s",
                       tally.between->node, tally.between->reason);
        return DECIDE_KEEP;
    }
    if (tally.unknown != NULL) {
        return nobody_knows(rules, &tally, ret_reason);
    }
    if (tally.down != NULL) {
        (void)snprintf(ret_reason, REASON_SIZE, "the primary is down on %s: %.60s",
                       tally.down->node, tally.down->reason);
        return DECIDE_WANT;
    }
    (void)snprintf(ret_reason, REASON_SIZE, "no node has the primary");
    return count == 0 ? DECIDE_KEEP : DECIDE_WANT;
}
