/* Carrying out: a granted backup runs under PM2 and our guard; a revoked one is stopped, deleted,
 * and only then told as released. Each step follows from PM2's list of after the last step, never
 * from what a request was meant to do. Only entries that bear our mark are touched. */
#include "managers/common/duty_lock.h"
#include "managers/pm2/pm2.h"
#include "managers/pm2/stand_in/app.h"

#include "node/base/clock.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000
/* The daemon may still carry out a prepare that got no answer in time. */
#define PREPARE_UNKNOWN_MS 30000
#define GAVE_UP_RETRY_MS 300000 /* what failed is tried again after so long without a word */
#define SWEEP_AFTER_MS 10000    /* from the start: grants have come by then */

static struct home *home_of(const struct pm2 *self)
{
    return &self->homes[0];
}

static struct slot *find_slot(struct pm2 *self, const char *duty)
{
    for (size_t i = 0; i < PM2_SLOTS_MAX; i++) {
        if (self->slots[i].used && strcmp(self->slots[i].duty, duty) == 0) {
            return &self->slots[i];
        }
    }
    return NULL;
}

static struct slot *make_slot(struct pm2 *self, const char *duty)
{
    for (size_t i = 0; i < PM2_SLOTS_MAX; i++) {
        struct slot *slot = &self->slots[i];
        if (!slot->used && !slot->busy) {
            *slot = (struct slot){.pm2 = self,
                                  .used = true,
                                  .phase_since_ms = clock_boot_ms(),
                                  .memory_bytes = -1,
                                  .restarts_seen = -1,
                                  .guard = {.pidfd = -1}};
            (void)snprintf(slot->duty, sizeof slot->duty, "%s", duty);
            slot->list_needed = home_of(self)->asked + 1;
            return slot;
        }
    }
    return NULL;
}

static void tell_phase(struct slot *slot, enum manager_duty_phase phase, const char *detail)
{
    if (slot->told && slot->phase == phase && strcmp(slot->detail, detail) == 0) {
        return;
    }
    struct runtime *runtime = slot->pm2->runtime;
    bool ran = slot->told && slot->phase == MANAGER_DUTY_RUNNING;
    if (phase == MANAGER_DUTY_RUNNING && !ran) {
        runtime_event(runtime, MANAGER_INFO, "backup.started", NULL, "%s runs here", slot->duty);
    } else if (phase != MANAGER_DUTY_RUNNING && ran) {
        runtime_event(runtime, MANAGER_INFO, "backup.stopped", NULL, "%s: %s", slot->duty,
                      detail[0] != '\0' ? detail : manager_duty_phase_name(phase));
    }
    if (!slot->told || slot->phase != phase) {
        slot->phase_since_ms = clock_boot_ms();
    }
    slot->told = true;
    slot->phase = phase;
    (void)snprintf(slot->detail, sizeof slot->detail, "%.*s", (int)sizeof slot->detail - 1, detail);
    struct manager_duty_state state = {.assignment = slot->assignment, .phase = phase};
    memcpy(state.duty, slot->duty, sizeof state.duty);
    memcpy(state.detail, slot->detail, sizeof state.detail);
    runtime_duty_state(runtime, &state);
    slot->pm2->observe_now = true;
}

static void back_off(struct slot *slot, int64_t now_ms)
{
    int64_t delay_ms = RETRY_MIN_MS;
    for (unsigned i = 0; i < slot->failures && delay_ms < RETRY_MAX_MS; i++) {
        delay_ms *= 2;
    }
    slot->failures++;
    slot->retry_ms = now_ms + (delay_ms < RETRY_MAX_MS ? delay_ms : RETRY_MAX_MS);
}

/* It failed for good: when it is tried again, and where, is the leader's to say (carry_retry). */
static void wait_for_the_word(struct slot *slot, int64_t now_ms)
{
    slot->failures++;
    slot->retry_ms = now_ms + GAVE_UP_RETRY_MS;
}

/* ---- requests that write ---- */

static void on_written(void *context, int rc, const json_t *result, const char *why)
{
    (void)result;
    struct slot *slot = context;
    struct home *home = home_of(slot->pm2);
    int64_t now_ms = clock_boot_ms();
    slot->busy = false;
    slot->list_needed = home->asked + 1;
    home_list_soon(home, 0);
    if (rc == 0) {
        return;
    }
    if (slot->method == REQUEST_DELETE && rc == ERR_IO) {
        return; /* "without pid", said of a stopped one that it has deleted all the same */
    }
    runtime_log(MANAGER_WARN, "%s of %s: %s", request_name(slot->method), slot->duty, why);
    if (slot->loops && slot->method == REQUEST_STOP) {
        return; /* said again with the next list; the long wait stays */
    }
    back_off(slot, now_ms);
    if (slot->method == REQUEST_PREPARE && (rc == ERR_TIMEOUT || rc == ERR_CLOSED)) {
        slot->retry_ms = now_ms + PREPARE_UNKNOWN_MS;
    }
}

static void request(struct slot *slot, const struct request *request, const char *why)
{
    struct err err = {0};
    slot->method = request->method;
    slot->busy = true;
    journal_write(slot->pm2, request_name(request->method), slot->duty, why);
    if (home_write(home_of(slot->pm2), request, on_written, slot, &err) != 0) {
        slot->busy = false;
        runtime_log(MANAGER_WARN, "%s of %s: %s", request_name(request->method), slot->duty,
                    err.msg);
        back_off(slot, clock_boot_ms());
    }
}

static void request_id(struct slot *slot, enum request_method method, int64_t pm_id,
                       const char *why)
{
    struct request call = {.method = method, .pm_id = pm_id};
    if (pm_id >= 0) {
        request(slot, &call, why);
    }
}

static void prepare(struct slot *slot, const struct settings_backup *backup, int64_t now_ms)
{
    struct pm2 *self = slot->pm2;
    const char *path = getenv("PATH");
    const char *home_dir = getenv("HOME");
    const struct passwd *user = getpwuid(geteuid());
    struct app_place place = {
        .home = god_home(home_of(self)->god),
        .node = self->configure.node,
        .guard_path = self->configure.guard_path,
        .guard_socket = self->configure.guard_socket,
        .lock_dir = self->configure.lock_dir,
        .path = path != NULL ? path : "/usr/local/bin:/usr/bin:/bin",
        .home_dir = home_dir != NULL ? home_dir : "/",
        .user_name = user != NULL ? user->pw_name : "?",
    };
    json_t *app = NULL;
    struct err err = {0};
    if (app_build(backup, &place, &app, &err) != 0) {
        wait_for_the_word(slot, now_ms);
        tell_phase(slot, MANAGER_DUTY_FAILED, err.msg);
        return;
    }
    slot->restarts_seen = -1;
    slot->in_a_row = 0;
    slot->loops = false;
    tell_phase(slot, MANAGER_DUTY_STARTING, "");
    struct request call = {.method = REQUEST_PREPARE, .app = app};
    request(slot, &call, "granted");
    json_decref(app);
}

/* ---- granted ---- */

struct found {
    const struct entry *mine;
    const struct entry *extra;   /* a second one of ours */
    const struct entry *foreign; /* the name, without our mark */
};

static bool is_over(const struct entry *entry)
{
    return entry->status == ENTRY_STOPPED || entry->status == ENTRY_ERRORED;
}

static struct found find_entries(const struct slot *slot, const char *name)
{
    const struct entries *entries = &home_of(slot->pm2)->entries;
    struct found found = {0};
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = &entries->rows[i];
        if (strcmp(entry->duty, slot->duty) != 0) {
            if (name != NULL && strcmp(entry->name, name) == 0) {
                found.foreign = entry;
            }
        } else if (found.mine == NULL || is_over(found.mine)) {
            found.extra = found.mine;
            found.mine = entry;
        } else {
            found.extra = entry;
        }
    }
    return found;
}

/* PM2 keeps the pid of a dead process until the restart, and would signal whoever has that number
 * now. The restart comes within seconds and ends at once for want of a grant. */
static bool holds_a_strangers_pid(const struct entry *entry)
{
    return entry->status == ENTRY_WAITING_RESTART &&
           (kill((pid_t)entry->pid, 0) == 0 || errno != ESRCH);
}

/* PM2 counts restarts in the first seconds only, and none that it delays long enough: with a
 * backoff it would go on for ever. So we count. */
static void count_restarts(struct slot *slot, const struct entry *mine, bool lives, int64_t now_ms)
{
    int64_t more = slot->restarts_seen < 0 ? 0 : mine->restarts - slot->restarts_seen;
    if (slot->restarts_seen < 0 || more != 0) {
        slot->launched_ms = now_ms;
    }
    if (more > 0) {
        slot->in_a_row += (unsigned)(more < 10000 ? more : 10000);
    } else if (lives && now_ms - slot->launched_ms >= CARRY_STABLE_MS) {
        slot->in_a_row = 0;
    }
    slot->restarts_seen = mine->restarts;
}

static bool restarts_too_often(const struct slot *slot)
{
    const struct settings_backup *backup = settings_backup(slot->pm2->settings, slot->duty);
    int64_t most = backup == NULL || backup->max_restarts < 1 ? 1 : backup->max_restarts;
    return slot->in_a_row >= most;
}

/* It is stopped, and stays in PM2's list for people to see until it is tried again. */
static void stop_the_loop(struct slot *slot, const struct entry *mine, int64_t now_ms)
{
    if (!slot->loops) {
        char text[REASON_SIZE];
        slot->loops = true;
        wait_for_the_word(slot, now_ms);
        (void)snprintf(text, sizeof text, "restarted %u times in a row, never well for %d s",
                       slot->in_a_row, CARRY_STABLE_MS / 1000);
        tell_phase(slot, MANAGER_DUTY_FAILED, text);
    }
    if (!holds_a_strangers_pid(mine)) {
        request_id(slot, REQUEST_STOP, mine->pm_id, "restarted too often");
    }
}

static void keep_running(struct slot *slot, const struct entry *mine, int64_t now_ms)
{
    slot->restarts = mine->restarts;
    bool lives = process_hold(&slot->guard, entry_pid_counts(mine) ? mine->pid : 0);
    count_restarts(slot, mine, lives, now_ms);
    if ((slot->loops || restarts_too_often(slot)) && !pm2_holds_still(slot->pm2)) {
        stop_the_loop(slot, mine, now_ms);
    } else if (mine->status == ENTRY_ONLINE && lives) {
        slot->failures = 0;
        tell_phase(slot, MANAGER_DUTY_RUNNING, "");
        if (slot->restart_due && !pm2_holds_still(slot->pm2)) {
            slot->restart_due = false;
            request_id(slot, REQUEST_RESTART, mine->pm_id, "over its memory limit");
        }
    } else if (mine->status == ENTRY_ONLINE && now_ms >= slot->retry_ms &&
               !pm2_holds_still(slot->pm2)) {
        /* A ghost: PM2 would show it as online for ever. Look twice before it is deleted. */
        back_off(slot, now_ms);
        if (slot->failures > 1) {
            request_id(slot, REQUEST_DELETE, mine->pm_id, "ghost");
        }
    } else {
        tell_phase(slot, MANAGER_DUTY_STARTING, entry_status_name(mine->status));
    }
}

/* PM2 restarts it no more: after a lost grant (exit code 86), by somebody's hand, or having tried
 * too often. While the grant stands we start it afresh, with growing pauses. */
static void start_afresh(struct slot *slot, const struct entry *mine, int64_t now_ms)
{
    process_drop(&slot->guard);
    bool gave_up = mine->status == ENTRY_ERRORED || slot->loops;
    enum manager_duty_phase phase = gave_up ? MANAGER_DUTY_FAILED : MANAGER_DUTY_STOPPED;
    /* Found at the grant, it is of an earlier one: away with it at once. */
    bool ended_now = slot->told && slot->phase != phase;
    if (ended_now && gave_up) {
        wait_for_the_word(slot, now_ms);
    } else if (ended_now) {
        back_off(slot, now_ms);
    }
    if (!slot->loops) {
        tell_phase(slot, phase, gave_up ? "PM2 has given up restarting it" : "stopped");
    }
    if (now_ms >= slot->retry_ms && !pm2_holds_still(slot->pm2)) {
        request_id(slot, REQUEST_DELETE, mine->pm_id, "leftover");
        slot->told = false; /* what follows is a new start */
    }
}

static void reconcile_granted(struct slot *slot, int64_t now_ms)
{
    const struct settings_backup *backup = settings_backup(slot->pm2->settings, slot->duty);
    if (backup == NULL) {
        tell_phase(slot, MANAGER_DUTY_FAILED, "not configured on this node");
        return;
    }
    struct found found = find_entries(slot, backup->name);
    slot->foreign = found.mine == NULL && found.foreign != NULL;
    if (found.extra != NULL && is_over(found.extra) && !pm2_holds_still(slot->pm2)) {
        request_id(slot, REQUEST_DELETE, found.extra->pm_id, "second entry");
    } else if (found.mine != NULL && !is_over(found.mine)) {
        keep_running(slot, found.mine, now_ms);
    } else if (found.mine != NULL) {
        start_afresh(slot, found.mine, now_ms);
    } else if (found.foreign != NULL) {
        tell_phase(slot, MANAGER_DUTY_FAILED, "PM2 has an entry of that name that is not ours");
    } else if (process_lives(&slot->guard)) {
        tell_phase(slot, MANAGER_DUTY_RUNNING, "PM2 has lost it, its process lives");
    } else if (pm2_holds_still(slot->pm2)) {
        tell_phase(slot, MANAGER_DUTY_STOPPED, "not started: the manager is paused or in shadow");
    } else if (now_ms >= slot->retry_ms) {
        prepare(slot, backup, now_ms);
    }
}

/* ---- revoked ---- */

static void release(struct slot *slot)
{
    tell_phase(slot, MANAGER_DUTY_STOPPED, "released");
    journal_write(slot->pm2, "released", slot->duty, "");
    runtime_released(slot->pm2->runtime, slot->duty, slot->assignment);
    process_drop(&slot->guard);
    slot->used = false;
    slot->pm2->observe_now = true;
}

static void reconcile_revoked(struct slot *slot, int64_t now_ms)
{
    struct found found = find_entries(slot, NULL);
    if (found.mine == NULL) {
        /* The lock is the proof: a guard that PM2 killed may leave its keeper at work. */
        if (duty_lock_is_free(slot->pm2->configure.lock_dir, slot->duty)) {
            release(slot);
        }
        return;
    }
    if (now_ms < slot->retry_ms || holds_a_strangers_pid(found.mine)) {
        return;
    }
    request_id(slot, is_over(found.mine) ? REQUEST_DELETE : REQUEST_STOP, found.mine->pm_id,
               "revoked");
}

/* Without its daemon nothing can be started or deleted; the guard works on by itself. */
static void reconcile_without_daemon(struct slot *slot)
{
    bool runs = !duty_lock_is_free(slot->pm2->configure.lock_dir, slot->duty);
    if (slot->revoking && !runs) {
        release(slot);
    } else if (!slot->revoking) {
        tell_phase(slot, runs ? MANAGER_DUTY_RUNNING : MANAGER_DUTY_FAILED,
                   "the PM2 daemon of this node cannot be used");
    }
}

/* ---- leftovers ---- */

static void on_swept(void *context, int rc, const json_t *result, const char *why)
{
    (void)rc;
    (void)result;
    (void)why;
    struct pm2 *self = context;
    self->sweeping = false;
    home_list_soon(home_of(self), 0);
}

/* A stopped entry with our mark and without a grant is of an earlier life of ours. */
static void sweep(struct pm2 *self, int64_t now_ms)
{
    if (self->sweeping || pm2_holds_still(self) || now_ms - self->started_ms < SWEEP_AFTER_MS) {
        return;
    }
    const struct entries *entries = &home_of(self)->entries;
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = &entries->rows[i];
        if (entry->duty[0] == '\0' || !is_over(entry) || entry->pm_id < 0 ||
            find_slot(self, entry->duty) != NULL) {
            continue;
        }
        struct request call = {.method = REQUEST_DELETE, .pm_id = entry->pm_id};
        journal_write(self, request_name(call.method), entry->duty, "leftover without a grant");
        self->sweeping = home_write(home_of(self), &call, on_swept, self, NULL) == 0;
        return;
    }
}

/* ---- what the rest of the manager calls ---- */

void carry_reconcile(struct pm2 *self, int64_t now_ms)
{
    struct home *home = home_of(self);
    bool usable = god_state(home->god) == GOD_UP;
    bool pending = false;
    for (size_t i = 0; i < PM2_SLOTS_MAX; i++) {
        struct slot *slot = &self->slots[i];
        pending = pending || slot->busy;
        if (!slot->used || slot->busy) {
            continue;
        }
        if (!usable) {
            reconcile_without_daemon(slot);
        } else if (!home->fresh || home->answered < slot->list_needed) {
            continue;
        } else if (slot->revoking) {
            reconcile_revoked(slot, now_ms);
        } else {
            reconcile_granted(slot, now_ms);
        }
    }
    /* Ids are used again when PM2's list gets empty: deletions do not run side by side. */
    if (usable && home->fresh && !pending && home->answered == home->asked) {
        sweep(self, now_ms);
    }
}

void carry_grant(struct pm2 *self, const struct manager_grant *grant)
{
    struct slot *slot = find_slot(self, grant->duty);
    if (slot != NULL && slot->assignment == grant->assignment && !slot->revoking) {
        return; /* a renewal; the guard has it from the node */
    }
    /* After a revocation it is the node's later word: the grant had lapsed and is back. */
    if (slot == NULL) {
        slot = make_slot(self, grant->duty);
    }
    if (slot == NULL) {
        runtime_log(MANAGER_ERROR, "no room for duty %s", grant->duty);
        return;
    }
    slot->assignment = grant->assignment;
    slot->revoking = false;
    slot->told = false;
    slot->loops = false;
    slot->in_a_row = 0;
    slot->failures = 0;
    slot->retry_ms = 0;
    home_list_soon(home_of(self), 0);
}

void carry_revoke(struct pm2 *self, const struct manager_revoke *revoke)
{
    struct slot *slot = find_slot(self, revoke->duty);
    if (slot == NULL) {
        slot = make_slot(self, revoke->duty);
        if (slot == NULL) {
            return; /* asked again, or the guard's own word releases it */
        }
        slot->assignment = revoke->assignment;
    }
    if (slot->assignment > revoke->assignment) {
        return; /* numbers grow: it speaks of one before */
    }
    /* Whatever runs is of this duty: its end is the end of the newest assignment too. */
    slot->assignment = revoke->assignment;
    if (slot->revoking) {
        return;
    }
    slot->revoking = true;
    slot->retry_ms = 0;
    journal_write(self, "revoked", slot->duty, revoke->why);
    home_list_soon(home_of(self), 0);
}

bool carry_retry(struct pm2 *self, const char *duty)
{
    struct slot *slot = find_slot(self, duty);
    if (slot == NULL || slot->revoking) {
        return false;
    }
    if (!slot->busy) {
        journal_write(self, "retry", slot->duty, "told by the leader");
        slot->retry_ms = 0;
        home_list_soon(home_of(self), 0);
        carry_reconcile(self, clock_boot_ms());
    }
    return true;
}

bool carry_is_settling(const struct pm2 *self)
{
    for (size_t i = 0; i < PM2_SLOTS_MAX; i++) {
        const struct slot *slot = &self->slots[i];
        if (slot->used && (slot->revoking || !slot->told || slot->phase == MANAGER_DUTY_STARTING)) {
            return true;
        }
    }
    return false;
}

/* A guarded primary does not start beside the team's own entry of its name, which nobody touches.
 */
static void tell_unguarded(struct pm2 *self, const struct slot *slot, int64_t now_ms)
{
    const char *name = slot->duty + strlen("pm2/");
    const struct settings_primary *primary = settings_primary(self->settings, name);
    if (primary != NULL && primary->guarded && slot->foreign) {
        (void)findings_say(&self->findings, "pm2.unguarded", name, FINDING_WARNING, now_ms,
                           "%.40s is to be guarded, and PM2 has an entry of that name that is not "
                           "ours: `pm2 delete %.40s` hands it over",
                           name, name);
    }
}

/* PM2 sees the guard and not the child, so that a backup's memory limit is ours to keep. */
void carry_sample(struct pm2 *self, int64_t now_ms)
{
    for (size_t i = 0; i < PM2_SLOTS_MAX; i++) {
        struct slot *slot = &self->slots[i];
        if (slot->used && !slot->revoking) {
            tell_unguarded(self, slot, now_ms);
        }
        const struct settings_backup *backup =
            slot->used ? settings_backup(self->settings, slot->duty) : NULL;
        if (backup == NULL || !process_lives(&slot->guard)) {
            slot->memory_bytes = -1;
            continue;
        }
        slot->memory_bytes = process_tree_memory(slot->guard.pid);
        bool over = backup->memory_bytes > 0 && slot->memory_bytes > backup->memory_bytes;
        slot->over_limit = over ? slot->over_limit + 1 : 0;
        if (slot->over_limit >= 2 && !slot->busy && !slot->revoking) {
            slot->over_limit = 0;
            runtime_event(self->runtime, MANAGER_WARN, "backup.memory", NULL,
                          "%s uses %lld bytes, its limit is %lld: restarted", slot->duty,
                          (long long)slot->memory_bytes, (long long)backup->memory_bytes);
            slot->restart_due = true; /* with the next list, when its id is certain */
            home_list_soon(home_of(self), 0);
        }
    }
}
