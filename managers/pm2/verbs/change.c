#include "managers/pm2/verbs/change.h"

#include "managers/pm2/verbs/rows.h"
#include "managers/pm2/verbs/verbs.h"
#include "node/base/clock.h"
#include "node/base/doc.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* A process that a command is about, as it was when the command came. */
struct target {
    size_t home; /* index */
    struct entry before;
    bool begun;             /* something was sent, or nothing needs to be */
    char said[REASON_SIZE]; /* what PM2 or we have against it; empty: nothing */
};

struct change {
    uint64_t id; /* of the command; 0: free */
    enum request_method method;
    json_t *args;
    int64_t until_ms;
    bool resolved;  /* names became targets */
    bool started;   /* of a target that had to be stopped first: now it is started */
    bool unwatched; /* of a target that is to stop: no changed file starts it again */
    bool writing;
    size_t next; /* target */
    size_t count;
    struct target targets[VERBS_TARGETS_MAX];
    uint64_t asked[SETTINGS_HOMES_MAX]; /* lists asked for when the command came */
};

struct changes {
    struct change rows[VERBS_MAX];
};

/* What a reply to a request belongs to: the change may be over when it comes. */
struct sent {
    struct pm2 *pm2;
    uint64_t id;
    size_t target;
};

static const char *verb_of(enum request_method method)
{
    return method == REQUEST_START ? "start" : method == REQUEST_STOP ? "stop" : "restart";
}

static struct change *find(struct pm2 *self, uint64_t id)
{
    for (size_t i = 0; self->changes != NULL && i < VERBS_MAX; i++) {
        if (self->changes->rows[i].id == id) {
            return &self->changes->rows[i];
        }
    }
    return NULL;
}

static void end(struct change *change)
{
    json_decref(change->args);
    *change = (struct change){0};
}

/* ---- what is meant ---- */

/* A list of after the command: with an older one somebody else's start or stop would be missed. */
static bool is_known(const struct pm2 *self, const struct change *change, size_t home)
{
    const struct home *row = &self->homes[home];
    return home_is_settled(row) && row->answered > change->asked[home];
}

/* Every home whose daemon is up told its list. */
static bool all_known(const struct pm2 *self, const struct change *change)
{
    for (size_t i = 0; i < self->home_count; i++) {
        if (god_state(self->homes[i].god) == GOD_UP && !is_known(self, change, i)) {
            return false;
        }
    }
    return true;
}

/* Returns NULL, or why the command is refused as a whole. */
static const char *add_targets(const struct pm2 *self, struct change *change, size_t home)
{
    const struct entries *entries = &self->homes[home].entries;
    const json_t *names = json_object_get(change->args, "name");
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = &entries->rows[i];
        if (entry->pm_id < 0 || !rows_wanted(names, entry->name)) {
            continue;
        }
        if (entry->duty[0] != '\0') {
            return "unsafe";
        }
        if (change->count == VERBS_TARGETS_MAX) {
            return "full";
        }
        change->targets[change->count++] = (struct target){.home = home, .before = *entry};
    }
    return NULL;
}

/* False: the command is answered and over. */
static bool resolve(struct pm2 *self, struct change *change)
{
    const char *code = NULL;
    for (size_t i = 0; i < self->home_count && code == NULL; i++) {
        code = is_known(self, change, i) ? add_targets(self, change, i) : NULL;
    }
    if (code == NULL && change->count == 0) {
        code = "not_found";
    }
    if (code == NULL) {
        change->resolved = true;
        verbs_tell(self, verb_of(change->method), change->args, change->count);
        return true;
    }
    runtime_refuse(self->runtime, change->id, code, "%s",
                   strcmp(code, "unsafe") == 0
                       ? "the cluster runs a process of that name, and starts and stops it"
                   : strcmp(code, "full") == 0 ? "too many processes have these names"
                                               : "no PM2 that answers has a process of that name");
    end(change);
    return false;
}

/* ---- one process after the other ---- */

static const struct entry *now_of(const struct pm2 *self, const struct target *target)
{
    const struct entries *entries = &self->homes[target->home].entries;
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = &entries->rows[i];
        if (entry->pm_id == target->before.pm_id && strcmp(entry->name, target->before.name) == 0 &&
            entry->duty[0] == '\0') {
            return entry;
        }
    }
    return NULL;
}

/* PM2 keeps the pid of a process that waits for its restart, and would signal it again; by now it
 * may be anybody's. */
static bool names_a_stranger(const struct entry *entry)
{
    return entry->status == ENTRY_WAITING_RESTART && entry->pid > 0 &&
           (kill((pid_t)entry->pid, 0) == 0 || errno == EPERM);
}

static bool runs(const struct entry *entry)
{
    return entry->status == ENTRY_ONLINE || entry->status == ENTRY_LAUNCHING;
}

/* What brings this process to what is wanted; false: nothing. */
static bool choose_request(const struct change *change, const struct entry *entry,
                           enum request_method *ret)
{
    *ret = change->method;
    switch (change->method) {
    case REQUEST_STOP:
        *ret = change->unwatched ? REQUEST_STOP : REQUEST_UNWATCH;
        return !change->unwatched || entry->status != ENTRY_STOPPED;
    case REQUEST_START:
        if (runs(entry)) {
            return false;
        }
        break;
    case REQUEST_PING:
    case REQUEST_VERSION:
    case REQUEST_LIST:
    case REQUEST_MEASURED:
    case REQUEST_PREPARE:
    case REQUEST_UNWATCH:
    case REQUEST_RESTART:
    case REQUEST_DELETE:
    case REQUEST_METHODS:
    default:
        break;
    }
    if (entry->status == ENTRY_WAITING_RESTART) {
        *ret = REQUEST_STOP; /* PM2 starts none of which it has a pid */
    } else if (change->started) {
        *ret = REQUEST_START; /* it was stopped for this */
    }
    return true;
}

static void on_sent(void *context, int rc, const json_t *result, const char *why)
{
    struct sent sent = *(struct sent *)context;
    struct change *change = find(sent.pm2, sent.id);
    free(context);
    (void)result;
    if (change == NULL) {
        return; /* nobody waits any more */
    }
    change->writing = false;
    if (rc != 0) {
        (void)snprintf(change->targets[sent.target].said, sizeof change->targets[sent.target].said,
                       "%.150s", why);
    }
}

static int send_request(struct pm2 *self, struct change *change, enum request_method method,
                        struct err *err)
{
    struct target *target = &change->targets[change->next];
    struct request request = {.method = method, .pm_id = target->before.pm_id};
    struct sent *sent = malloc(sizeof *sent);
    if (sent == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    *sent = (struct sent){.pm2 = self, .id = change->id, .target = change->next};
    change->writing = true;
    int rc = home_write(&self->homes[target->home], &request, on_sent, sent, err);
    if (rc != 0) {
        change->writing = false;
        free(sent);
    }
    return rc;
}

static void next(struct change *change)
{
    change->started = false;
    change->unwatched = false;
    change->next++;
}

/* Its home is settled. */
static void handle(struct pm2 *self, struct change *change)
{
    struct target *target = &change->targets[change->next];
    const struct entry *entry = now_of(self, target);
    enum request_method method;
    struct err err = {0};
    if (entry == NULL) {
        (void)snprintf(target->said, sizeof target->said, "it is not in PM2's list any more");
        next(change);
    } else if (!choose_request(change, entry, &method)) {
        target->begun = true;
        next(change);
    } else if (names_a_stranger(entry)) {
        (void)snprintf(target->said, sizeof target->said,
                       "PM2 would signal pid %lld, which may be another's by now",
                       (long long)entry->pid);
        next(change);
    } else if (send_request(self, change, method, &err) != 0) {
        (void)snprintf(target->said, sizeof target->said, "not sent: %.140s", err.msg);
        next(change);
    } else {
        target->begun = true;
        /* What is stopped for a start or restart is looked at once more. */
        if (method == REQUEST_STOP && change->method != REQUEST_STOP && !change->started) {
            change->started = true;
        } else if (method == REQUEST_UNWATCH) {
            change->unwatched = true;
        } else {
            next(change);
        }
    }
}

/* ---- what became of it ---- */

/* 1 as wanted, 0 not, -1 not known. */
static int verdict(const struct pm2 *self, const struct change *change, const struct target *target,
                   const struct entry *entry, bool lives)
{
    if (!home_is_settled(&self->homes[target->home])) {
        return target->begun ? -1 : 0;
    }
    if (!target->begun || entry == NULL) {
        return 0;
    }
    if (change->method == REQUEST_STOP) {
        return entry->status == ENTRY_STOPPED && !lives;
    }
    bool anew = change->method == REQUEST_START || entry->pid != target->before.pid ||
                entry->restarts != target->before.restarts;
    return runs(entry) && lives && anew;
}

static json_t *describe(const struct pm2 *self, const struct change *change,
                        const struct target *target)
{
    const struct entry *entry = now_of(self, target);
    const struct entry *shown = entry != NULL ? entry : &target->before;
    struct process process = {.pidfd = -1};
    bool lives = entry_pid_counts(shown) && process_hold(&process, shown->pid);
    process_drop(&process);
    int as_wanted = verdict(self, change, target, entry, lives);
    const char *text = target->said;
    if (text[0] == '\0' && as_wanted != 1) {
        text = as_wanted < 0 ? "PM2 has not told in time what became of it"
                             : (target->begun ? "" : "not begun in time");
    }
    return json_pack("{ss so sI so ss so sb sI ss so so so}", "kind", "process", "home",
                     doc_text(god_home(self->homes[target->home].god)), "id",
                     (json_int_t)target->before.pm_id, "name", doc_text(target->before.name),
                     "status", entry != NULL ? entry_status_name(entry->status) : "not listed",
                     "pid", doc_count_or_null(entry_pid_counts(shown) ? shown->pid : -1), "lives",
                     lives, "restarts", (json_int_t)shown->restarts, "role",
                     rows_role(self->settings, &target->before), "pid_before",
                     doc_count_or_null(entry_pid_counts(&target->before) ? target->before.pid : -1),
                     "ok", as_wanted < 0 ? json_null() : json_boolean(as_wanted), "text",
                     doc_text(as_wanted == 1 ? "" : text));
}

static void finish(struct pm2 *self, struct change *change)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < change->count; i++) {
        (void)json_array_append_new(rows, describe(self, change, &change->targets[i]));
    }
    runtime_answer(self->runtime, change->id, rows);
    end(change);
}

/* PM2 launches in the background: what is neither here nor there yet is looked at again. */
static bool is_under_way(const struct pm2 *self, const struct target *target)
{
    const struct entry *entry = now_of(self, target);
    return entry != NULL && target->begun &&
           (entry->status == ENTRY_LAUNCHING || entry->status == ENTRY_STOPPING);
}

static bool any_under_way(struct pm2 *self, const struct change *change)
{
    bool any = false;
    for (size_t i = 0; i < change->count; i++) {
        if (is_under_way(self, &change->targets[i])) {
            home_list_soon(&self->homes[change->targets[i].home], PM2_SETTLING_LIST_MS);
            any = true;
        }
    }
    return any;
}

static void step(struct pm2 *self, struct change *change, int64_t now_ms)
{
    if (now_ms >= change->until_ms) {
        if (change->resolved) {
            finish(self, change);
        } else {
            runtime_refuse(self->runtime, change->id, "busy", "PM2 did not tell its list in time");
            end(change);
        }
        return;
    }
    if (change->writing || !all_known(self, change) ||
        (!change->resolved && !resolve(self, change))) {
        return;
    }
    if (change->next < change->count) {
        handle(self, change);
    } else if (!any_under_way(self, change)) {
        finish(self, change);
    }
}

/* ---- the command ---- */

static bool method_of(const char *verb, enum request_method *ret)
{
    if (strcmp(verb, "pm2 start") == 0) {
        *ret = REQUEST_START;
    } else if (strcmp(verb, "pm2 stop") == 0) {
        *ret = REQUEST_STOP;
    } else if (strcmp(verb, "pm2 restart") == 0) {
        *ret = REQUEST_RESTART;
    } else {
        return false;
    }
    return true;
}

static void begin(struct pm2 *self, struct change *change, const struct manager_command *command,
                  enum request_method method)
{
    json_t *args = answer_args(command);
    *change = (struct change){.id = command->id, .method = method, .args = args};
    change->until_ms = clock_boot_ms() + doc_get_integer(args, "left_ms", 0) - VERBS_MARGIN_MS;
    for (size_t i = 0; i < self->home_count; i++) {
        change->asked[i] = self->homes[i].asked;
        home_list_soon(&self->homes[i], 0);
    }
    if (json_array_size(json_object_get(args, "name")) == 0) {
        runtime_refuse(self->runtime, command->id, "invalid", "no name is given");
        end(change);
    }
}

bool change_take(struct pm2 *self, const struct manager_command *command)
{
    enum request_method method;
    if (!method_of(command->verb, &method)) {
        return false;
    }
    if (self->changes == NULL) {
        self->changes = calloc(1, sizeof *self->changes);
    }
    struct change *change = find(self, 0);
    if (change == NULL) {
        runtime_refuse(self->runtime, command->id, "busy", "too many commands are under way");
    } else {
        begin(self, change, command, method);
    }
    return true;
}

void change_run(struct pm2 *self, int64_t now_ms)
{
    for (size_t i = 0; self->changes != NULL && i < VERBS_MAX; i++) {
        if (self->changes->rows[i].id != 0) {
            step(self, &self->changes->rows[i], now_ms);
        }
    }
}

void change_end(struct pm2 *self)
{
    for (size_t i = 0; self->changes != NULL && i < VERBS_MAX; i++) {
        struct change *change = &self->changes->rows[i];
        if (change->id != 0) {
            runtime_refuse(self->runtime, change->id, "timed_out",
                           "the homes of PM2 were configured anew meanwhile");
            end(change);
        }
    }
    free(self->changes);
    self->changes = NULL;
}
