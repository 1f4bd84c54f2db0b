#include "managers/pm2/lists/restore.h"

#include "managers/pm2/lists/saved.h"
#include "managers/pm2/revive/orphans.h"
#include "node/base/clock.h"
#include "node/base/doc.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_MS 20
#define UNKNOWN_MS 30000 /* the daemon may still carry out a prepare that got no answer */
#define KILLS_MAX 20     /* of what starts itself anew */
#define LOST_MS 15000    /* without its daemon for so long it has failed */

enum row_state { ROW_PENDING, ROW_PREPARED, ROW_FAILED, ROW_PRESENT };

enum step { STEP_CHOOSE, STEP_ENDING, STEP_KILLING, STEP_ASKED, STEP_UNKNOWN };

struct restore {
    struct home *home;
    int timer;
    json_t *rows;
    bool by_hand;
    json_t *present;       /* of the latest list; NULL: none came yet */
    uint64_t present_list; /* its number */
    uint64_t list_needed;
    enum row_state states[SAVED_ROWS_MAX];
    enum step step;
    size_t at; /* the row that is under way */
    int64_t until_ms;
    unsigned kills;        /* of this row */
    int64_t lost_since_ms; /* 0: the daemon is up */
    struct orphans orphans;
    json_t *prepared;
    json_t *failed;
    char why[REASON_SIZE]; /* of the first that failed */
    restore_done_fn *done;
    void *context;
};

bool restore_is_busy(const struct home *home)
{
    return home->restore != NULL;
}

static const json_t *row_of(const struct restore *self)
{
    return json_array_get(self->rows, self->at);
}

/* ---- the end ---- */

void restore_drop(struct home *home)
{
    struct restore *self = home->restore;
    if (self == NULL) {
        return;
    }
    home->restore = NULL;
    if (self->timer > 0) {
        runtime_timer_cancel(home->pm2->runtime, self->timer);
    }
    orphans_drop(&self->orphans);
    json_decref(self->rows);
    json_decref(self->present);
    json_decref(self->prepared);
    json_decref(self->failed);
    free(self);
}

static size_t count_state(const struct restore *self, enum row_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(self->rows); i++) {
        count += self->states[i] == state;
    }
    return count;
}

static void finish(struct restore *self, const char *why)
{
    restore_done_fn *done = self->done;
    void *context = self->context;
    char text[REASON_SIZE];
    json_t *report = json_pack("{sO sI sO}", "prepared", self->prepared, "present",
                               (json_int_t)count_state(self, ROW_PRESENT), "failed", self->failed);
    (void)snprintf(text, sizeof text, "%.*s", (int)sizeof text - 1,
                   why[0] != '\0' ? why : self->why);
    restore_drop(self->home);
    done(context, report, text);
    json_decref(report);
}

/* ---- one entry ---- */

static void fail_row(struct restore *self, const char *why)
{
    const char *name = saved_name(row_of(self));
    self->states[self->at] = ROW_FAILED;
    (void)json_array_append_new(self->failed,
                                json_pack("{so so}", "name", doc_text(name), "why", doc_text(why)));
    if (self->why[0] == '\0') {
        (void)snprintf(self->why, sizeof self->why, "%.60s: %.90s", name, why);
    }
    runtime_log(MANAGER_WARN, "%s of %s is not prepared: %s", name, god_home(self->home->god), why);
    self->step = STEP_CHOOSE;
}

/* PM2 would show it as online for ever. */
static const char *what_it_lacks(const json_t *row)
{
    const json_t *app = json_object_get(row, "app");
    const char *interpreter = doc_get_text(app, "exec_interpreter", "");
    struct stat info;
    if (saved_stopped(row)) {
        return NULL; /* it is only registered */
    }
    if (access(doc_get_text(app, "pm_exec_path", ""), F_OK) != 0) {
        return "its program is gone";
    }
    if (stat(doc_get_text(app, "pm_cwd", "/"), &info) != 0 || !S_ISDIR(info.st_mode)) {
        return "its working folder is gone";
    }
    return interpreter[0] == '/' && access(interpreter, X_OK) != 0 ? "its interpreter is gone"
                                                                   : NULL;
}

static void on_prepared(void *context, int rc, const json_t *result, const char *why)
{
    (void)result;
    struct home *home = context;
    struct restore *self = home->restore;
    if (self == NULL || self->step != STEP_ASKED) {
        return;
    }
    self->list_needed = home->asked + 1;
    if (rc == 0) {
        self->states[self->at] = ROW_PREPARED;
        (void)json_array_append_new(self->prepared, doc_text(saved_name(row_of(self))));
        self->step = STEP_CHOOSE;
    } else if (rc == ERR_TIMEOUT || rc == ERR_CLOSED) {
        self->step = STEP_UNKNOWN;
        self->until_ms = clock_boot_ms() + UNKNOWN_MS;
    } else {
        fail_row(self, why);
    }
}

static void prepare(struct restore *self)
{
    const json_t *row = row_of(self);
    struct home *home = self->home;
    struct err err = {0};
    json_t *app = saved_app(row);
    struct request request = {
        .method = REQUEST_RESTORE, .app = app, .timeout_ms = saved_prepare_ms(row)};
    orphans_drop(&self->orphans);
    self->step = STEP_ASKED;
    if (home_write(home, &request, on_prepared, home, &err) != 0) {
        fail_row(self, err.msg);
    } else {
        journal_write(home->pm2, "restore", saved_name(row), god_home(home->god));
    }
    json_decref(app);
}

/* Something of it runs without its daemon: it is ended first. */
static void end_orphans(struct restore *self, int number, int64_t now_ms)
{
    const json_t *row = row_of(self);
    struct home *home = self->home;
    orphans_drop(&self->orphans);
    orphans_find(god_home(home->god), row, god_pid(home->god), &self->orphans);
    if (self->orphans.count == 0) {
        prepare(self);
        return;
    }
    bool kill_now = number == SIGKILL;
    journal_write(home->pm2, kill_now ? "kill orphan" : "end orphan", saved_name(row),
                  god_home(home->god));
    orphans_signal(&self->orphans, number);
    self->kills += kill_now;
    self->step = kill_now ? STEP_KILLING : STEP_ENDING;
    self->until_ms = now_ms + (kill_now ? ORPHANS_KILLED_MS : saved_kill_timeout_ms(row));
}

static void begin_row(struct restore *self, int64_t now_ms)
{
    self->kills = 0;
    const char *lack = what_it_lacks(row_of(self));
    if (lack != NULL) {
        fail_row(self, lack);
    } else {
        end_orphans(self, SIGINT, now_ms);
    }
}

/* ---- which is next ---- */

static bool has_fresh_list(const struct restore *self)
{
    return self->present != NULL && self->present_list >= self->list_needed &&
           self->present_list == self->home->answered && home_is_settled(self->home);
}

static size_t index_of(const struct restore *self, const json_t *row)
{
    size_t index = 0;
    while (index < json_array_size(self->rows) && json_array_get(self->rows, index) != row) {
        index++;
    }
    return index;
}

static void choose(struct restore *self, int64_t now_ms)
{
    bool lacks[SAVED_ROWS_MAX] = {false};
    json_t *missing = saved_missing(self->rows, self->present);
    size_t index;
    json_t *row;
    json_array_foreach(missing, index, row)
    {
        lacks[index_of(self, row)] = true;
    }
    json_decref(missing);
    size_t next = SIZE_MAX;
    for (size_t i = 0; i < json_array_size(self->rows); i++) {
        if (self->states[i] == ROW_PENDING && !lacks[i]) {
            self->states[i] = ROW_PRESENT;
        } else if (self->states[i] == ROW_PENDING && next == SIZE_MAX) {
            next = i;
        }
    }
    if (next == SIZE_MAX) {
        finish(self, "");
    } else {
        self->at = next;
        begin_row(self, now_ms);
    }
}

/* The answer was lost: the list tells whether it was prepared. */
static void settle_unknown(struct restore *self, int64_t now_ms)
{
    json_t *only = json_pack("[O]", row_of(self));
    json_t *missing = has_fresh_list(self) ? saved_missing(only, self->present) : NULL;
    if (missing != NULL && json_array_size(missing) == 0) {
        self->states[self->at] = ROW_PREPARED;
        (void)json_array_append_new(self->prepared, doc_text(saved_name(row_of(self))));
        self->step = STEP_CHOOSE;
    } else if (now_ms >= self->until_ms) {
        fail_row(self, "PM2 gave no answer");
    }
    json_decref(missing);
    json_decref(only);
}

static bool daemon_is_lost(struct restore *self, int64_t now_ms)
{
    if (god_state(self->home->god) == GOD_UP) {
        self->lost_since_ms = 0;
    } else if (self->lost_since_ms == 0) {
        self->lost_since_ms = now_ms;
    }
    return self->lost_since_ms > 0 && now_ms - self->lost_since_ms >= LOST_MS;
}

static void step(struct restore *self, int64_t now_ms)
{
    switch (self->step) {
    case STEP_CHOOSE:
        if (!self->by_hand && pm2_holds_still(self->home->pm2)) {
            finish(self, "the manager was paused meanwhile");
        } else if (has_fresh_list(self)) {
            choose(self, now_ms);
        } else if (!self->home->pending) {
            home_list_soon(self->home, 0);
        }
        return;
    case STEP_ENDING:
        if (!orphans_live(&self->orphans) || now_ms >= self->until_ms) {
            end_orphans(self, SIGKILL, now_ms); /* what they started meanwhile, too */
        }
        return;
    case STEP_KILLING:
        if (!orphans_live(&self->orphans) && self->kills < KILLS_MAX) {
            end_orphans(self, SIGKILL, now_ms);
        } else if (now_ms >= self->until_ms || self->kills >= KILLS_MAX) {
            orphans_drop(&self->orphans);
            fail_row(self, "its former process cannot be ended");
        }
        return;
    case STEP_ASKED:
        return;
    case STEP_UNKNOWN:
        settle_unknown(self, now_ms);
        return;
    }
}

void restore_step(struct home *home, int64_t now_ms)
{
    struct restore *self = home->restore;
    if (self == NULL) {
        return;
    }
    if (daemon_is_lost(self, now_ms) && self->step != STEP_ASKED) {
        finish(self, "the PM2 daemon was lost meanwhile");
        return;
    }
    step(self, now_ms);
}

static void on_timer(void *context)
{
    restore_step(context, clock_boot_ms());
}

void restore_take_list(struct home *home, const json_t *list)
{
    struct restore *self = home->restore;
    if (self != NULL) {
        json_decref(self->present);
        self->present = saved_from_list(list);
        self->present_list = home->answered;
    }
}

/* ---- the beginning ---- */

/* A guarded primary is started by its grant. */
static bool is_of_ours(const struct home *home, const char *name)
{
    const struct settings_primary *primary = settings_primary(home->pm2->settings, name);
    return primary != NULL && primary->guarded;
}

static json_t *rows_of_name(const struct home *home, const json_t *rows, const char *name)
{
    json_t *ret = json_array();
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        if ((name == NULL || strcmp(saved_name(row), name) == 0) &&
            !is_of_ours(home, saved_name(row))) {
            (void)json_array_append(ret, row);
        }
    }
    return ret;
}

static int may_begin(const struct home *home, bool by_hand, struct err *err)
{
    if (home->restore != NULL) {
        return err_set(err, ERR_BUSY, "another restore of %.100s is under way",
                       god_home(home->god));
    }
    if (!by_hand && pm2_holds_still(home->pm2)) {
        return err_set(err, ERR_DENIED, "the manager is paused or in shadow");
    }
    if (god_state(home->god) != GOD_UP) {
        return err_set(err, ERR_CLOSED, "PM2 of %.100s is %s", god_home(home->god),
                       god_state_name(god_state(home->god)));
    }
    return 0;
}

int restore_begin(struct home *home, const json_t *rows, const char *name, bool by_hand,
                  restore_done_fn *done, void *context, struct err *err)
{
    int rc = may_begin(home, by_hand, err);
    if (rc != 0) {
        return rc;
    }
    json_t *chosen = rows_of_name(home, rows, name);
    struct restore *self = calloc(1, sizeof *self);
    if (self == NULL || json_array_size(chosen) > SAVED_ROWS_MAX ||
        (name != NULL && json_array_size(chosen) == 0)) {
        rc = self == NULL ? err_set(err, ERR_NOMEM, "no memory for a restore")
                          : err_set(err, ERR_NOTFOUND, "no entry %.80s in that list",
                                    name != NULL ? name : "");
        json_decref(chosen);
        free(self);
        return rc;
    }
    *self = (struct restore){.home = home,
                             .rows = chosen,
                             .by_hand = by_hand,
                             .list_needed = home->asked + 1,
                             .prepared = json_array(),
                             .failed = json_array(),
                             .done = done,
                             .context = context};
    self->timer = runtime_timer(home->pm2->runtime, STEP_MS, true, on_timer, home);
    home->restore = self;
    home_list_soon(home, 0);
    return 0;
}
