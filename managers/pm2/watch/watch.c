#include "managers/pm2/watch/watch.h"

#include <stdio.h>
#include <string.h>

static const char *const state_names[] = {
    [DECIDE_UP] = "up",           [DECIDE_DOWN] = "down",
    [DECIDE_BETWEEN] = "between", [DECIDE_ELSEWHERE] = "elsewhere",
    [DECIDE_UNKNOWN] = "unknown",
};

const char *watch_state_name(enum decide_primary_state state)
{
    return state <= DECIDE_UNKNOWN ? state_names[state] : "unknown";
}

bool watch_state_read(const char *name, enum decide_primary_state *ret)
{
    for (int i = DECIDE_UP; i <= DECIDE_UNKNOWN; i++) {
        if (strcmp(name, state_names[i]) == 0) {
            *ret = (enum decide_primary_state)i;
            return true;
        }
    }
    return false;
}

static enum decide_primary_state say(char ret_reason[NAME_SIZE], enum decide_primary_state state,
                                     const char *reason)
{
    (void)snprintf(ret_reason, NAME_SIZE, "%s", reason);
    return state;
}

static enum decide_primary_state judge_without_daemon(const struct watch_facts *facts,
                                                      char ret_reason[NAME_SIZE])
{
    /* The process may well outlive its daemon; then the primary runs. */
    if (facts->lives) {
        (void)snprintf(ret_reason, NAME_SIZE, "PM2 daemon %.16s, process lives", facts->daemon);
        return DECIDE_UP;
    }
    if (!facts->daemon_known) {
        return say(ret_reason, DECIDE_UNKNOWN, "PM2 daemon not reached yet");
    }
    if (!facts->must_be_here && !facts->listed) {
        return say(ret_reason, DECIDE_ELSEWHERE, "not here");
    }
    (void)snprintf(ret_reason, NAME_SIZE, "PM2 daemon %.16s", facts->daemon);
    return DECIDE_DOWN;
}

static enum decide_primary_state judge_running(const struct watch_facts *facts,
                                               char ret_reason[NAME_SIZE])
{
    if (facts->ends >= WATCH_LOOP_ENDS) {
        return say(ret_reason, DECIDE_DOWN, "crash loop");
    }
    switch (facts->status) {
    case ENTRY_ONLINE:
        return facts->lives ? say(ret_reason, DECIDE_UP, "online")
                            : say(ret_reason, DECIDE_DOWN, "ghost: online without a process");
    case ENTRY_LAUNCHING:
        return facts->status_ms > WATCH_LAUNCHING_MAX_MS + facts->listen_ms
                   ? say(ret_reason, DECIDE_DOWN, "stuck in launching")
                   : say(ret_reason, DECIDE_BETWEEN, "launching");
    case ENTRY_STOPPING:
        return facts->status_ms > WATCH_STOPPING_MAX_MS + facts->kill_ms
                   ? say(ret_reason, DECIDE_DOWN, "stuck in stopping")
                   : say(ret_reason, DECIDE_BETWEEN, "stopping");
    case ENTRY_WAITING_RESTART:
        return facts->status_ms > WATCH_WAITING_MAX_MS
                   ? say(ret_reason, DECIDE_DOWN, "waits for its restart for long")
                   : say(ret_reason, DECIDE_BETWEEN, "waits for its restart");
    default:
        return say(ret_reason, DECIDE_BETWEEN, "in a state of PM2 that is not known");
    }
}

enum decide_primary_state watch_judge(const struct watch_facts *facts, char ret_reason[NAME_SIZE])
{
    if (!facts->daemon_up) {
        return judge_without_daemon(facts, ret_reason);
    }
    if (!facts->listed && facts->lives) {
        return say(ret_reason, DECIDE_UP, "not in PM2's list, process lives");
    }
    if (!facts->listed) {
        return facts->must_be_here ? say(ret_reason, DECIDE_DOWN, "not in PM2's list")
                                   : say(ret_reason, DECIDE_ELSEWHERE, "not here");
    }
    bool off = facts->status == ENTRY_STOPPED || facts->status == ENTRY_ERRORED ||
               facts->status == ENTRY_WAITING_RESTART;
    if (off && facts->lives) {
        return say(ret_reason, DECIDE_UP, "off in PM2's list, an orphan of it lives");
    }
    if (facts->status == ENTRY_STOPPED) {
        return say(ret_reason, DECIDE_DOWN, "stopped");
    }
    if (facts->status == ENTRY_ERRORED) {
        return say(ret_reason, DECIDE_DOWN, "errored");
    }
    return judge_running(facts, ret_reason);
}

void watch_init(struct watch *self, const char *name, int64_t now_ms)
{
    *self = (struct watch){.state = DECIDE_UNKNOWN,
                           .since_ms = now_ms,
                           .seen = DECIDE_UNKNOWN,
                           .seen_since_ms = now_ms,
                           .status = ENTRY_OTHER,
                           .pm_id = -1,
                           .process = {.pidfd = -1},
                           .use = {.memory_bytes = -1, .cpu_percent = -1}};
    (void)snprintf(self->name, sizeof self->name, "%s", name);
    (void)snprintf(self->reason, sizeof self->reason, "not looked at yet");
}

void watch_deinit(struct watch *self)
{
    process_drop(&self->process);
}

void watch_row(struct watch *self, const struct entry *row, int64_t now_ms)
{
    if (row == NULL) {
        self->listed = false;
        self->pm_id = -1;
        if (!process_lives(&self->process)) {
            process_drop(&self->process);
        }
        return;
    }
    if (!self->listed || self->status != row->status) {
        self->status_since_ms = now_ms;
    }
    self->listed = true;
    self->status = row->status;
    self->pm_id = row->pm_id;
    self->restarts = row->restarts;
    self->listen_ms = row->listen_ms;
    self->kill_ms = row->kill_ms;
    self->started_wall_ms = row->started_wall_ms;
    if (self->orphan && !entry_pid_counts(row) && process_lives(&self->process)) {
        return;
    }
    self->orphan = false;
    int64_t before = self->process.pidfd >= 0 ? self->process.pid : 0;
    bool lives = process_hold(&self->process, entry_pid_counts(row) ? row->pid : 0);
    if (lives && before != 0 && before != row->pid && self->state == DECIDE_UP) {
        self->since_ms = now_ms; /* a new process: well for no time yet */
    }
}

void watch_hold_orphan(struct watch *self, int64_t pid)
{
    if (process_lives(&self->process)) {
        self->orphan = true; /* the one that PM2 had */
    } else {
        self->orphan = process_hold(&self->process, pid);
    }
}

void watch_measure(struct watch *self, int64_t memory_bytes, uint64_t cpu_ticks,
                   int64_t ticks_per_s, int64_t now_ms)
{
    struct watch_use *use = &self->use;
    int64_t elapsed_ms = now_ms - use->sampled_ms;
    use->memory_bytes = memory_bytes;
    use->cpu_percent = -1;
    /* Fewer than before: another process, or a child that nobody awaited. */
    if (memory_bytes >= 0 && use->sampled_ms > 0 && elapsed_ms > 0 && cpu_ticks >= use->cpu_ticks) {
        double used_s = (double)(cpu_ticks - use->cpu_ticks) / (double)ticks_per_s;
        use->cpu_percent = used_s * 100000.0 / (double)elapsed_ms;
    }
    use->cpu_ticks = cpu_ticks;
    use->sampled_ms = memory_bytes >= 0 ? now_ms : 0;
}

bool watch_is_settling(const struct watch *self)
{
    return self->seen != self->state;
}

bool watch_step(struct watch *self, struct watch_facts facts, int64_t now_ms)
{
    char reason[NAME_SIZE];
    facts.listed = self->listed;
    facts.status = self->status;
    facts.listen_ms = self->listen_ms;
    facts.kill_ms = self->kill_ms;
    facts.status_ms = now_ms - self->status_since_ms;
    /* A number that PM2 holds on to may long be somebody else's. */
    bool its_own = !facts.daemon_up || facts.daemon_pid == 0 || self->orphan || !self->listed ||
                   self->process.parent == facts.daemon_pid;
    facts.lives = its_own && process_lives(&self->process);
    enum decide_primary_state seen = watch_judge(&facts, reason);
    if (seen != self->seen) {
        self->seen = seen;
        self->seen_since_ms = now_ms;
    }
    memcpy(self->seen_reason, reason, sizeof reason);
    if (seen == self->state) {
        memcpy(self->reason, reason, sizeof reason);
        return false;
    }
    if (seen == DECIDE_DOWN && now_ms - self->seen_since_ms < WATCH_DOWN_HOLD_MS) {
        return false;
    }
    self->state = seen;
    self->since_ms = now_ms;
    memcpy(self->reason, reason, sizeof reason);
    return true;
}
