#include "managers/pm2/revive/revive.h"

#include "managers/pm2/daemon/link.h"
#include "managers/pm2/lists/lists.h"
#include "managers/pm2/lists/restore.h"
#include "managers/pm2/revive/facts.h"
#include "managers/pm2/revive/install.h"
#include "managers/pm2/revive/plan.h"
#include "managers/pm2/revive/proc.h"
#include "managers/pm2/revive/spawn.h"
#include "node/base/clock.h"
#include "node/base/doc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define KILLED_MS 5000

enum phase { PHASE_KILLED, PHASE_CLEAR, PHASE_SPAWNED, PHASE_FILL, PHASE_FILLING };

struct revival {
    enum phase phase;
    int lock_fd;
    int64_t until_ms;
    struct spawn_owner owner;
    struct facts_package package;
    struct process hung;
    int began_fd; /* -1: none */
    bool executed;
};

static const char *home_path(const struct home *home)
{
    return god_home(home->god);
}

/* "daemon:/home/app/.pm2"; of a long home the end. */
static void ailing_name(const struct home *home, char ret[NAME_SIZE])
{
    const char *path = home_path(home);
    size_t room = NAME_SIZE - sizeof REVIVE_PREFIX;
    size_t length = strlen(path);
    const char *end = length > room ? path + length - room : path;
    (void)snprintf(ret, NAME_SIZE, REVIVE_PREFIX "%.*s", (int)room, end);
}

/* ---- what ails ---- */

static enum plan_verdict judge(const struct home *home, int64_t now_ms, const char **ret_why)
{
    const struct pm2 *self = home->pm2;
    const json_t *facts = lists_daemon(home->lists);
    const json_t *wanted = lists_wanted(home->lists);
    bool known = wanted != NULL || facts != NULL;
    const struct plan_sight sight = {
        .state = god_state(home->god),
        .for_ms = now_ms - home->state_since_ms,
        .up_ms = now_ms - self->started_ms,
        .allowed = self->settings->revive,
        .known = known,
        .had_list = json_array_size(wanted) > 0,
        .tidied = wanted != NULL && lists_is_tidied(home->lists),
        .foreground = doc_get_bool(facts, "foreground", false),
        .another_boot = lists_is_of_another_boot(home->lists),
        .may_begin = home == self->homes && install_is_ready(self),
    };
    return plan_judge(&sight, ret_why);
}

void revive_document(const struct pm2 *self, int64_t now_ms, json_t **ailing)
{
    for (size_t i = 0; i < self->home_count; i++) {
        const struct home *home = &self->homes[i];
        const char *why = "";
        char name[NAME_SIZE];
        enum plan_verdict verdict = judge(home, now_ms, &why);
        if (verdict == PLAN_NOTHING && home->revival == NULL) {
            continue;
        }
        bool ill = verdict == PLAN_REVIVE && home->revival == NULL;
        ailing_name(home, name);
        *ailing = *ailing != NULL ? *ailing : json_array();
        (void)json_array_append_new(
            *ailing,
            json_pack("{so ss ss sb}", "name", doc_text(name), "state", ill ? "ill" : "between",
                      "why", home->revival != NULL ? "PM2 daemon being brought back" : why,
                      "critical", i == 0));
    }
}

/* ---- the end of an attempt ---- */

void revive_drop(struct home *home)
{
    struct revival *self = home->revival;
    if (self == NULL) {
        return;
    }
    home->revival = NULL;
    process_drop(&self->hung);
    if (self->began_fd >= 0) {
        (void)close(self->began_fd);
    }
    (void)close(self->lock_fd); /* lets go of the home */
    free(self);
}

static void note_failure(struct home *home, const char *why)
{
    (void)snprintf(home->not_revived, sizeof home->not_revived, "%.*s",
                   (int)sizeof home->not_revived - 1, why);
}

/* As long as it is down: attempts may be minutes apart. */
static void say_failure(struct home *home, int64_t now_ms)
{
    char object[NAME_SIZE];
    if (god_state(home->god) == GOD_UP) {
        home->not_revived[0] = '\0';
    } else if (home->not_revived[0] != '\0') {
        ailing_name(home, object);
        (void)findings_say(&home->pm2->findings, "pm2.not_revived", object, FINDING_CRITICAL,
                           now_ms, "%s", home->not_revived);
    }
}

static void fail(struct home *home, const char *why)
{
    runtime_event(home->pm2->runtime, MANAGER_ERROR, "pm2.not_revived", NULL,
                  "PM2 of %s was not brought back: %s", home_path(home), why);
    journal_write(home->pm2, "revive failed", home_path(home), why);
    note_failure(home, why);
    revive_drop(home);
    home->pm2->observe_now = true;
}

static void on_filled(void *context, const json_t *report, const char *why)
{
    struct home *home = context;
    size_t prepared = json_array_size(json_object_get(report, "prepared"));
    size_t failed = json_array_size(json_object_get(report, "failed"));
    runtime_event(home->pm2->runtime, failed == 0 && why[0] == '\0' ? MANAGER_INFO : MANAGER_WARN,
                  "pm2.revived", NULL,
                  "PM2 of %s is back, %zu processes were prepared, %zu could not be%s%s",
                  home_path(home), prepared, failed, why[0] != '\0' ? ": " : "", why);
    journal_write(home->pm2, "revived", home_path(home), "");
    revive_drop(home);
    home->pm2->observe_now = true;
}

/* ---- a hung daemon ---- */

/* The process that listens on the home's rpc.sock, by the kernel's word; 0: nobody does. */
static int64_t find_listener(const char *home)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/rpc.sock", home);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool good = fd >= 0 && length < (int)sizeof address.sun_path &&
                connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
                getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return good ? peer.pid : 0;
}

/* Held first, proven then, so that its number cannot have changed hands. */
static int kill_hung(struct home *home, struct revival *self, struct err *err)
{
    int64_t pid = find_listener(home_path(home));
    if (pid <= 1 || !process_hold(&self->hung, pid)) {
        return err_set(err, ERR_NOTFOUND, "its daemon cannot be told");
    }
    if (find_listener(home_path(home)) != pid || !proc_is_daemon(pid, home_path(home))) {
        return err_set(err, ERR_DENIED, "process %lld listens, and is not proven to be PM2",
                       (long long)pid);
    }
    journal_write(home->pm2, "kill hung daemon", home_path(home), "");
    if (syscall(SYS_pidfd_send_signal, self->hung.pidfd, SIGKILL, NULL, 0) != 0) {
        return err_set_errno(err, ERR_IO, "the hung daemon cannot be killed");
    }
    return 0;
}

/* ---- steps ---- */

static void spawn(struct home *home, struct revival *self, int64_t now_ms)
{
    struct err err = {0};
    journal_write(home->pm2, "start daemon", home_path(home), self->owner.name);
    if (spawn_daemon(home_path(home), &self->owner, &self->package, lists_daemon(home->lists),
                     &self->began_fd, &err) != 0) {
        fail(home, err.msg);
        return;
    }
    self->phase = PHASE_SPAWNED;
    self->until_ms = now_ms + REVIVE_SPAWN_MS;
}

static void step_killed(struct home *home, struct revival *self, int64_t now_ms)
{
    if (!process_lives(&self->hung)) {
        process_drop(&self->hung);
        self->phase = PHASE_CLEAR;
        self->until_ms = now_ms + REVIVE_CLEAR_MS;
    } else if (now_ms >= self->until_ms) {
        fail(home, "the hung daemon does not end");
    }
}

/* PM2's command line starts a daemon too when it finds none, and one may be on its way out. */
static void step_clear(struct home *home, struct revival *self, int64_t now_ms)
{
    if (find_listener(home_path(home)) != 0) {
        self->phase = PHASE_FILL; /* somebody else was quicker; its list is looked at */
        self->until_ms = now_ms + REVIVE_SPAWN_MS;
    } else if (proc_find_daemon(home_path(home), self->owner.uid) == 0 &&
               proc_find_command_line(home_path(home), self->owner.uid) == 0) {
        spawn(home, self, now_ms);
    } else if (now_ms >= self->until_ms) {
        fail(home, "a PM2 that does not listen is still at work there");
    }
}

static void step_spawned(struct home *home, struct revival *self, int64_t now_ms)
{
    struct err err = {0};
    int rc = self->executed ? 0 : spawn_began(self->began_fd, &err);
    self->executed = rc == 0;
    if (rc != 0 && rc != ERR_BUSY) {
        fail(home, err.msg);
    } else if (god_state(home->god) == GOD_UP) {
        self->phase = PHASE_FILL;
        self->until_ms = now_ms + REVIVE_SPAWN_MS;
    } else if (now_ms >= self->until_ms) {
        fail(home, "the new daemon gives no answer; see its pm2.log");
    } else {
        god_look_now(home->god);
    }
}

static void step_fill(struct home *home, struct revival *self, int64_t now_ms)
{
    struct err err = {0};
    const json_t *wanted = lists_wanted(home->lists);
    json_t *none = json_array();
    int rc = god_state(home->god) != GOD_UP ? err_set(&err, ERR_BUSY, "its daemon does not answer")
                                            : restore_begin(home, wanted != NULL ? wanted : none,
                                                            NULL, false, on_filled, home, &err);
    json_decref(none);
    if (rc == 0) {
        self->phase = PHASE_FILLING;
    } else if (rc != ERR_BUSY || now_ms >= self->until_ms) {
        fail(home, err.msg);
    } else {
        god_look_now(home->god);
    }
}

void revive_step(struct home *home, int64_t now_ms)
{
    struct revival *self = home->revival;
    say_failure(home, now_ms);
    if (self == NULL) {
        return;
    }
    if (pm2_holds_still(home->pm2) && self->phase < PHASE_SPAWNED) {
        fail(home, "the manager was paused meanwhile");
        return;
    }
    switch (self->phase) {
    case PHASE_KILLED:
        step_killed(home, self, now_ms);
        return;
    case PHASE_CLEAR:
        step_clear(home, self, now_ms);
        return;
    case PHASE_SPAWNED:
        step_spawned(home, self, now_ms);
        return;
    case PHASE_FILL:
        step_fill(home, self, now_ms);
        return;
    case PHASE_FILLING:
        return; /* on_filled ends it */
    }
}

/* ---- the beginning ---- */

/* One spawner in a home, whoever it is: PM2 itself has no lock. */
static int lock_home(const char *path, int *ret_fd, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_set_errno(err, ERR_IO, "%.150s cannot be opened", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int rc = errno == EWOULDBLOCK ? err_set(err, ERR_BUSY, "another one revives %.150s", path)
                                      : err_set_errno(err, ERR_IO, "%.150s cannot be locked", path);
        (void)close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

static int prepare_attempt(struct home *home, struct revival *self, struct err *err)
{
    char own[MANAGER_PATH_SIZE + 16];
    int rc = spawn_owner_of(home_path(home), &self->owner, err);
    install_folder(home->pm2, own);
    rc = rc != 0 ? rc : facts_find(lists_daemon(home->lists), own, &self->package, err);
    /* A home that is to begin: its owner makes it, here, as the lock needs it. */
    if (rc == 0 && self->owner.uid == geteuid()) {
        (void)mkdir(home_path(home), 0755);
    }
    return rc != 0 ? rc : lock_home(home_path(home), &self->lock_fd, err);
}

static int begin(struct home *home, int64_t now_ms, struct err *err)
{
    struct revival *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory to revive PM2");
    }
    self->began_fd = -1;
    self->hung.pidfd = -1;
    int rc = prepare_attempt(home, self, err);
    if (rc != 0) {
        free(self);
        return rc;
    }
    home->revival = self;
    self->phase = PHASE_CLEAR;
    self->until_ms = now_ms + REVIVE_CLEAR_MS;
    if (god_state(home->god) == GOD_HUNG) {
        self->phase = PHASE_KILLED;
        self->until_ms = now_ms + KILLED_MS;
        rc = kill_hung(home, self, err);
    }
    if (rc != 0) {
        revive_drop(home);
        return rc;
    }
    runtime_event(home->pm2->runtime, MANAGER_WARN, "pm2.reviving", NULL,
                  "PM2 of %s is %s and is being brought back", home_path(home),
                  god_state_name(god_state(home->god)));
    return 0;
}

static struct home *find_home(struct pm2 *self, const char *name)
{
    for (size_t i = 0; i < self->home_count; i++) {
        char own[NAME_SIZE];
        ailing_name(&self->homes[i], own);
        if (strcmp(own, name) == 0) {
            return &self->homes[i];
        }
    }
    return NULL;
}

int revive_order(struct pm2 *self, const char *name, struct err *err)
{
    int64_t now_ms = clock_boot_ms();
    const char *why = "";
    struct home *home = find_home(self, name);
    if (home == NULL) {
        return err_set(err, ERR_NOTFOUND, "this node has no %.80s", name);
    }
    if (home->revival != NULL) {
        return err_set(err, ERR_BUSY, "an attempt is under way");
    }
    if (pm2_holds_still(self)) {
        return err_set(err, ERR_DENIED, "the manager is paused or in shadow");
    }
    if (judge(home, now_ms, &why) != PLAN_REVIVE) {
        return err_set(err, ERR_STALE, "PM2 of %.100s is %s: nothing is to be done",
                       home_path(home), god_state_name(god_state(home->god)));
    }
    int rc = begin(home, now_ms, err);
    if (rc != 0) {
        note_failure(home, rc == ERR_BUSY ? "" : err->msg); /* busy: another one is at it */
        runtime_log(MANAGER_WARN, "PM2 of %s is not brought back: %s", home_path(home), err->msg);
    }
    self->observe_now = true;
    return rc;
}

/* ---- facts ---- */

static void on_report(void *context, int rc, const json_t *result, const char *why)
{
    (void)why;
    struct home *home = context;
    json_t *facts = rc == 0 && home->god != NULL ? facts_from_report(result) : NULL;
    if (facts != NULL) {
        lists_set_daemon(home->lists, facts);
    }
}

void revive_ask_facts(struct home *home)
{
    struct request request = {.method = REQUEST_REPORT};
    (void)god_call(home->god, &request, on_report, home, NULL);
}
