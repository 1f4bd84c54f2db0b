/* The primaries of this node: what the lists of their daemons and their processes tell. */
#include "managers/pm2/pm2.h"

#include "node/base/clock.h"

#include <string.h>

static void tell_change(struct pm2 *self, const struct watch *watch,
                        enum decide_primary_state before)
{
    self->observe_now = true;
    runtime_log(MANAGER_INFO, "primary %s is %s: %s", watch->name, watch_state_name(watch->state),
                watch->reason);
    if (watch->state == DECIDE_DOWN) {
        runtime_event(self->runtime, MANAGER_WARN, "primary.down", NULL, "%s is down: %s",
                      watch->name, watch->reason);
    } else if (watch->state == DECIDE_UP && before != DECIDE_UNKNOWN) {
        runtime_event(self->runtime, MANAGER_INFO, "primary.up", NULL, "%s is up", watch->name);
    }
}

/* The home whose daemon speaks for the primary: where it is listed, else where it was. */
static const struct home *home_for(const struct pm2 *self, const struct watch *watch)
{
    return &self->homes[watch->home < self->home_count ? watch->home : 0];
}

static void step_watch(struct pm2 *self, struct watch *watch, int64_t now_ms)
{
    const struct home *home = home_for(self, watch);
    const struct settings_primary *primary = settings_primary(self->settings, watch->name);
    enum god_state state = god_state(home->god);
    struct watch_facts facts = {
        .daemon_known = state != GOD_UNKNOWN && (state != GOD_UP || home->fresh),
        .daemon_up = state == GOD_UP && home->fresh,
        .daemon = god_state_name(state),
        .must_be_here = primary != NULL && primary->on.count > 0 &&
                        settings_on(&primary->on, self->configure.node),
    };
    enum decide_primary_state before = watch->state;
    if (watch_step(watch, facts, now_ms)) {
        tell_change(self, watch, before);
    }
}

void primaries_step(struct pm2 *self, int64_t now_ms)
{
    for (size_t i = 0; i < self->watch_count; i++) {
        step_watch(self, &self->watches[i], now_ms);
    }
}

static const struct entry *best_row(const struct home *home, const char *name)
{
    const struct entry *best = NULL;
    for (size_t i = 0; i < home->entries.count; i++) {
        const struct entry *row = &home->entries.rows[i];
        /* Several instances: the primary is as well as the best of them. */
        if (strcmp(row->name, name) == 0 && row->duty[0] == '\0' &&
            (best == NULL || row->status < best->status)) {
            best = row;
        }
    }
    return best;
}

void primaries_take_list(struct pm2 *self, const struct home *home, int64_t now_ms)
{
    size_t index = (size_t)(home - self->homes);
    for (size_t i = 0; i < self->watch_count; i++) {
        struct watch *watch = &self->watches[i];
        const struct entry *row = best_row(home, watch->name);
        if (row != NULL) {
            watch->home = index;
            watch_row(watch, row, now_ms);
        } else if (watch->home == index) {
            watch_row(watch, NULL, now_ms);
        }
        step_watch(self, watch, now_ms);
    }
}

bool primaries_settling(const struct pm2 *self, const struct home *home)
{
    for (size_t i = 0; i < self->watch_count; i++) {
        if (home_for(self, &self->watches[i]) == home && watch_is_settling(&self->watches[i])) {
            return true;
        }
    }
    return false;
}

/* Nobody lists the processes that outlived it. A primary among them runs. */
void primaries_daemon_lost(struct pm2 *self, const struct home *home)
{
    for (size_t i = 0; i < self->watch_count; i++) {
        struct watch *watch = &self->watches[i];
        if (home_for(self, watch) == home && !process_lives(&watch->process)) {
            (void)process_hold(&watch->process, orphan_find(god_home(home->god), watch->name));
        }
    }
}

void primaries_sample(struct pm2 *self, int64_t now_ms)
{
    for (size_t i = 0; i < self->watch_count; i++) {
        process_sample(&self->watches[i].process, now_ms, &self->watches[i].usage);
    }
}

static bool are_the_same(const struct pm2 *self)
{
    bool same = self->watch_count == self->settings->primary_count;
    for (size_t i = 0; same && i < self->watch_count; i++) {
        same = strcmp(self->watches[i].name, self->settings->primaries[i].name) == 0;
    }
    return same;
}

void primaries_configure(struct pm2 *self, bool anew)
{
    int64_t now_ms = clock_boot_ms();
    if (!anew && are_the_same(self)) {
        return; /* a change of mode, say */
    }
    primaries_forget(self);
    self->watch_count = self->settings->primary_count;
    for (size_t i = 0; i < self->watch_count; i++) {
        watch_init(&self->watches[i], self->settings->primaries[i].name, now_ms);
    }
}

void primaries_forget(struct pm2 *self)
{
    for (size_t i = 0; i < self->watch_count; i++) {
        watch_deinit(&self->watches[i]);
    }
    self->watch_count = 0;
}
