/* The primaries of this node: what the lists of their daemons and their processes tell. */
#include "managers/pm2/pm2.h"

#include "node/base/clock.h"

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define STEP_MS 1000 /* what nothing woke is judged again, since states grow old */

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
static struct home *home_for(const struct pm2 *self, const struct watch *watch)
{
    return &self->homes[watch->home < self->home_count ? watch->home : 0];
}

/* They are in the order of the settings. */
static const struct settings_primary *settings_for(const struct pm2 *self,
                                                   const struct watch *watch)
{
    return &self->settings->primaries[watch - self->watches];
}

static void step_watch(struct pm2 *self, struct watch *watch, int64_t now_ms)
{
    const struct home *home = home_for(self, watch);
    const struct settings_primary *primary = settings_for(self, watch);
    enum god_state state = god_state(home->god);
    struct watch_facts facts = {
        .daemon_known = state != GOD_UNKNOWN && (state != GOD_UP || home->fresh),
        .daemon_up = state == GOD_UP && home->fresh,
        .daemon = god_state_name(state),
        .daemon_pid = god_pid(home->god),
        .must_be_here = primary->on.count > 0 && settings_on(&primary->on, self->configure.node),
        .ends = detect_ends(home, watch->pm_id, watch->name, WATCH_LOOP_WINDOW_MS, now_ms),
    };
    enum decide_primary_state before = watch->state;
    if (watch_step(watch, facts, now_ms)) {
        tell_change(self, watch, before);
    }
}

void primaries_step(struct pm2 *self, int64_t now_ms)
{
    bool all = now_ms - self->stepped_ms >= STEP_MS;
    self->stepped_ms = all ? now_ms : self->stepped_ms;
    for (size_t i = 0; i < self->watch_count; i++) {
        if (all || watch_is_settling(&self->watches[i])) {
            step_watch(self, &self->watches[i], now_ms);
        }
    }
}

/* ---- the end of a process, by the kernel's word ---- */

/* One descriptor for all of them: a loop that polled each one would look at all at every turn. */
static void await_end(struct pm2 *self, struct watch *watch)
{
    struct process *process = &watch->process;
    if (process->pidfd < 0 || process->awaited || self->ends_fd < 0) {
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT,
                                .data.u64 = (uint64_t)(watch - self->watches)};
    /* Closing the pidfd ends it. */
    process->awaited = epoll_ctl(self->ends_fd, EPOLL_CTL_ADD, process->pidfd, &event) == 0;
}

/* Once each. A list may show what came after before its end is read here. */
static bool tell_end(struct pm2 *self, struct watch *watch)
{
    struct process *process = &watch->process;
    if (process->pidfd < 0 || !process->awaited || process_lives(process)) {
        return false;
    }
    process->awaited = false;
    unsigned ends = detect_ends(home_for(self, watch), watch->pm_id, watch->name,
                                WATCH_LOOP_WINDOW_MS, clock_boot_ms());
    if (ends < WATCH_LOOP_ENDS) { /* a loop is told as one */
        runtime_event(self->runtime, MANAGER_INFO, "primary.exit", NULL, "process %lld of %s ended",
                      (long long)process->pid, watch->name);
    }
    return true;
}

static void on_end(struct pm2 *self, struct watch *watch, int64_t now_ms)
{
    if (!tell_end(self, watch)) {
        return;
    }
    step_watch(self, watch, now_ms);
    home_list_soon(home_for(self, watch), 20); /* when its daemon has seen it too */
}

static void on_ends(void *context, int fd, short revents)
{
    (void)revents;
    struct pm2 *self = context;
    struct epoll_event events[32];
    int count = epoll_wait(fd, events, sizeof events / sizeof events[0], 0);
    int64_t now_ms = clock_boot_ms();
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 < self->watch_count) {
            on_end(self, &self->watches[events[i].data.u64], now_ms);
        }
    }
}

static void begin_awaiting(struct pm2 *self)
{
    self->ends_fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->ends_fd >= 0 &&
        runtime_watch(self->runtime, self->ends_fd, POLLIN, on_ends, self) != 0) {
        (void)close(self->ends_fd);
        self->ends_fd = -1; /* the list tells, later */
    }
}

/* ---- lists ---- */

static bool loops(const struct home *home, const struct entry *row, int64_t now_ms)
{
    return detect_ends(home, row->pm_id, row->name, WATCH_LOOP_WINDOW_MS, now_ms) >=
           WATCH_LOOP_ENDS;
}

/* What bears our mark is a backup, or the guarded primary itself. */
static bool is_primary(const struct pm2 *self, const struct entry *row)
{
    const struct settings_primary *primary = settings_primary(self->settings, row->name);
    bool own = primary != NULL && primary->guarded && strcmp(row->duty, primary->own.duty) == 0;
    return row->duty[0] == '\0' || own;
}

/* Several instances: the primary is as well as the best of them. */
static const struct entry *best_row(const struct home *home, const char *name, int64_t now_ms)
{
    const struct entry *best = NULL;
    bool best_loops = false;
    for (size_t i = 0; i < home->entries.count; i++) {
        const struct entry *row = &home->entries.rows[i];
        if (strcmp(row->name, name) != 0 || !is_primary(home->pm2, row)) {
            continue;
        }
        bool row_loops = loops(home, row, now_ms);
        if (best == NULL || (best_loops && !row_loops) ||
            (best_loops == row_loops && row->status < best->status)) {
            best = row;
            best_loops = row_loops;
        }
    }
    return best;
}

static void tell_verified(struct home *home, unsigned verified, unsigned mistaken, int64_t now_ms)
{
    home->detect.verifying = false;
    home->detect.verified_ms = now_ms;
    home->detect.verified = verified;
    home->detect.mistaken = mistaken;
    runtime_log(MANAGER_INFO, "verified %u primaries of %s, %u are not what PM2 says", verified,
                god_home(home->god), mistaken);
}

void primaries_take_list(struct pm2 *self, struct home *home, int64_t now_ms)
{
    unsigned verified = 0;
    unsigned mistaken = 0;
    size_t index = (size_t)(home - self->homes);
    for (size_t i = 0; i < self->watch_count; i++) {
        struct watch *watch = &self->watches[i];
        const struct entry *row = best_row(home, watch->name, now_ms);
        (void)tell_end(self, watch);
        if (row != NULL) {
            watch->ours = row->duty[0] != '\0';
            if (home->detect.verifying && !watch->orphan) {
                process_drop(&watch->process); /* whatever was believed of it */
            }
            watch->home = index;
            watch_row(watch, row, now_ms);
            bool runs = entry_pid_counts(row);
            verified++;
            mistaken += runs && (!process_lives(&watch->process) ||
                                 watch->process.parent != god_pid(home->god));
        } else if (watch->home == index) {
            watch_row(watch, NULL, now_ms);
        }
        await_end(self, watch);
        step_watch(self, watch, now_ms);
    }
    if (home->detect.verifying) {
        tell_verified(home, verified, mistaken, now_ms);
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

/* ---- orphans ---- */

/* Nobody lists the processes that outlived it. A primary among them runs. */
void primaries_daemon_lost(struct pm2 *self, const struct home *home)
{
    for (size_t i = 0; i < self->watch_count; i++) {
        struct watch *watch = &self->watches[i];
        if (home_for(self, watch) != home) {
            continue;
        }
        bool lives = process_lives(&watch->process);
        watch_hold_orphan(watch, lives ? 0 : orphan_find(god_home(home->god), watch->name));
        await_end(self, watch);
    }
}

void primaries_orphan(struct pm2 *self, const struct home *home, const char *name, int64_t pid)
{
    for (size_t i = 0; i < self->watch_count; i++) {
        struct watch *watch = &self->watches[i];
        if (strcmp(watch->name, name) == 0 && home_for(self, watch) == home &&
            !process_lives(&watch->process)) {
            watch_hold_orphan(watch, pid);
            await_end(self, watch);
        }
    }
}

/* ---- samples and verification ---- */

static int64_t measure(const struct pm2 *self, const struct watch *watch, uint64_t *ret_ticks)
{
    const struct home *home = home_for(self, watch);
    struct tree_usage usage = {0};
    bool listed = watch->listed && !watch->orphan;
    for (size_t i = 0; listed && i < home->entries.count; i++) {
        const struct entry *row = &home->entries.rows[i];
        if (entry_pid_counts(row) && row->duty[0] == '\0' && strcmp(row->name, watch->name) == 0) {
            tree_add(&self->tree, row->pid, &usage);
        }
    }
    if (!listed && process_lives(&watch->process)) {
        tree_add(&self->tree, watch->process.pid, &usage);
    }
    *ret_ticks = usage.cpu_ticks;
    return usage.processes > 0 ? usage.memory_bytes : -1;
}

/* PM2 shows it as online. A debugger's stop ('t') is meant. */
static void note_frozen(const struct pm2 *self, struct watch *watch, int64_t now_ms)
{
    bool lives = process_lives(&watch->process);
    const struct tree_row *row = lives ? tree_find(&self->tree, watch->process.pid) : NULL;
    if (row == NULL || row->state != 'T') {
        watch->use.frozen_since_ms = 0;
    } else if (watch->use.frozen_since_ms == 0) {
        watch->use.frozen_since_ms = now_ms;
    }
}

void primaries_sample(struct pm2 *self, int64_t now_ms)
{
    int64_t ticks_per_s = sysconf(_SC_CLK_TCK);
    for (size_t i = 0; i < self->watch_count; i++) {
        struct watch *watch = &self->watches[i];
        const struct settings_primary *primary = settings_for(self, watch);
        uint64_t ticks;
        int64_t memory_bytes = measure(self, watch, &ticks);
        note_frozen(self, watch, now_ms);
        watch_measure(watch, memory_bytes, ticks, ticks_per_s, now_ms);
        (void)excess_step(&watch->use.memory, (double)memory_bytes, (double)primary->memory_bytes,
                          primary->over_ms, now_ms);
        (void)excess_step(&watch->use.cpu, watch->use.cpu_percent, (double)primary->cpu_percent,
                          primary->over_ms, now_ms);
    }
}

/* ---- configuration ---- */

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
    begin_awaiting(self);
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
    if (self->ends_fd > 0) {
        runtime_unwatch(self->runtime, self->ends_fd);
        (void)close(self->ends_fd);
    }
    self->ends_fd = -1;
}
