#include "managers/pm2/mend/mend.h"

#include "managers/pm2/pm2.h"
#include "node/base/clock.h"
#include "node/base/doc.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

bool mend_is_allowed(const struct pm2 *self, const char *name)
{
    const struct settings_primary *primary = settings_primary(self->settings, name);
    return self->settings->mend && primary != NULL && primary->mend && !primary->guarded;
}

static size_t index_of(const struct pm2 *self, const struct home *home)
{
    return (size_t)(home - self->homes);
}

/* ---- what the kernel says ---- */

static bool is_running(int64_t pid)
{
    return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno != ESRCH);
}

/* Without it PM2 cannot open the log, and starts nothing. */
static bool has_folder(const char *log_path)
{
    char folder[MANAGER_PATH_SIZE];
    struct stat info;
    const char *slash = log_path != NULL ? strrchr(log_path, '/') : NULL;
    if (slash == NULL || slash == log_path || slash - log_path >= (ptrdiff_t)sizeof folder) {
        return true; /* nothing that could be looked at */
    }
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - log_path), log_path);
    return stat(folder, &info) != 0 ? errno != ENOENT && errno != ENOTDIR : S_ISDIR(info.st_mode);
}

/* ---- rows that we stopped ---- */

static struct mend_stopped *stopped_row(struct mend *self, size_t home, int64_t pm_id)
{
    for (size_t i = 0; i < MEND_STOPPED_MAX; i++) {
        struct mend_stopped *row = &self->stopped[i];
        if (row->used && row->home == home && row->pm_id == pm_id) {
            return row;
        }
    }
    return NULL;
}

bool mend_has_room(const struct mend *self)
{
    for (size_t i = 0; i < MEND_STOPPED_MAX; i++) {
        if (!self->stopped[i].used) {
            return true;
        }
    }
    return false;
}

void mend_remember_stopped(struct mend *self, const struct mend_case *row)
{
    struct mend_stopped *found = stopped_row(self, row->home, row->pm_id);
    for (size_t i = 0; found == NULL && i < MEND_STOPPED_MAX; i++) {
        found = self->stopped[i].used ? NULL : &self->stopped[i];
    }
    if (found == NULL) {
        return;
    }
    *found = (struct mend_stopped){.used = true,
                                   .home = row->home,
                                   .pm_id = row->pm_id,
                                   .started_wall_ms = row->started_wall_ms};
    memcpy(found->name, row->name, sizeof found->name);
}

void mend_note_write(struct pm2 *self, const struct home *home, const struct request *request)
{
    struct mend_stopped *row = stopped_row(&self->mend, index_of(self, home), request->pm_id);
    if (row != NULL && (request->method == REQUEST_STOP || request->method == REQUEST_DELETE)) {
        row->used = false;
    }
}

/* While it stands as our stop left it. */
static bool is_stopped_by_us(struct mend *self, size_t home, const struct mend_row *row,
                             const struct mend_facts *facts)
{
    struct mend_stopped *ours = stopped_row(self, home, row->pm_id);
    if (ours == NULL) {
        return false;
    }
    bool other =
        strcmp(ours->name, row->name) != 0 || ours->started_wall_ms != facts->started_wall_ms;
    if (other || facts->shown == ENTRY_ONLINE || facts->shown == ENTRY_LAUNCHING) {
        ours->used = false;
        return false;
    }
    return true;
}

void mend_stopped_by_hand(struct pm2 *self, const struct home *home, const char *name)
{
    for (size_t i = 0; i < MEND_STOPPED_MAX; i++) {
        struct mend_stopped *row = &self->mend.stopped[i];
        if (row->used && row->home == index_of(self, home) && strcmp(row->name, name) == 0) {
            row->used = false;
        }
    }
}

/* ---- cases ---- */

static const struct mend_case *find_case(const struct mend_case *rows, size_t count, size_t home,
                                         int64_t pm_id)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].home == home && rows[i].pm_id == pm_id) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool is_the_same(const struct mend_case *before, const struct mend_case *now)
{
    return before != NULL && strcmp(before->name, now->name) == 0 && before->shown == now->shown &&
           before->pid == now->pid && before->started_wall_ms == now->started_wall_ms;
}

/* The case of a row; false when it is well or none of our business. */
static bool judge_row(struct pm2 *self, size_t home, const json_t *listed,
                      const struct mend_case *before, size_t before_count, int64_t now_ms,
                      struct mend_case *ret)
{
    struct mend_row row;
    struct mend_facts facts;
    if (!mend_row_read(listed, &row, &facts) || row.of_ours || !mend_is_allowed(self, row.name)) {
        return false;
    }
    *ret = (struct mend_case){.home = home,
                              .pm_id = row.pm_id,
                              .shown = facts.shown,
                              .pid = facts.pid,
                              .started_wall_ms = facts.started_wall_ms,
                              .since_ms = now_ms,
                              .patience_ms = mend_patience_ms(&facts)};
    memcpy(ret->name, row.name, strlen(row.name) + 1);
    const struct mend_case *known = find_case(before, before_count, home, row.pm_id);
    if (is_the_same(known, ret)) {
        ret->since_ms = known->since_ms;
    }
    facts.for_ms = now_ms - ret->since_ms;
    facts.runs = is_running(facts.pid);
    facts.logs_there =
        facts.shown == ENTRY_ONLINE || (has_folder(row.out_log) && has_folder(row.err_log));
    facts.ours = is_stopped_by_us(&self->mend, home, &row, &facts);
    ret->is = mend_judge(&facts);
    return ret->is.trouble != MEND_WELL;
}

/* Whether what is told of it changes. */
static bool is_news(const struct mend_case *before, const struct mend_case *now)
{
    return before == NULL || before->is.trouble != now->is.trouble ||
           strcmp(before->is.why, now->is.why) != 0;
}

/* The cases of the other homes stay; returns how many there were of this one. */
static size_t keep_others(struct mend *self, size_t home)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->case_count; i++) {
        if (self->cases[i].home != home) {
            self->cases[kept++] = self->cases[i];
        }
    }
    size_t dropped = self->case_count - kept;
    self->case_count = kept;
    return dropped;
}

static void forget_started(struct mend *self, size_t home)
{
    for (size_t i = 0; i < MEND_STOPPED_MAX; i++) {
        struct mend_stopped *row = &self->stopped[i];
        if (row->used && row->home == home &&
            find_case(self->cases, self->case_count, home, row->pm_id) == NULL) {
            row->used = false;
        }
    }
}

static void take_cases(struct pm2 *self, size_t home, const json_t *list, int64_t now_ms)
{
    static struct mend_case before[MEND_CASES_MAX];
    struct mend *mend = &self->mend;
    size_t before_count = mend->case_count;
    memcpy(before, mend->cases, before_count * sizeof before[0]);
    size_t gone = keep_others(mend, home);
    size_t index;
    json_t *listed;
    json_array_foreach(list, index, listed)
    {
        struct mend_case found;
        if (mend->case_count < MEND_CASES_MAX &&
            judge_row(self, home, listed, before, before_count, now_ms, &found)) {
            const struct mend_case *known = find_case(before, before_count, home, found.pm_id);
            self->observe_now = self->observe_now || is_news(known, &found);
            gone -= known != NULL && gone > 0;
            mend->cases[mend->case_count++] = found;
        }
    }
    self->observe_now = self->observe_now || gone > 0;
    forget_started(mend, home);
}

void mend_take_list(struct pm2 *self, struct home *home, const json_t *list, int64_t now_ms)
{
    take_cases(self, index_of(self, home), list, now_ms);
    mend_carry_out(self, home);
}

void mend_daemon_lost(struct pm2 *self, const struct home *home)
{
    (void)keep_others(&self->mend, index_of(self, home));
}

void mend_forget(struct pm2 *self)
{
    memset(&self->mend, 0, sizeof self->mend);
}

/* ---- what is told ---- */

struct tally {
    const struct mend_case *ill;
    const struct mend_case *between;
    const struct mend_case *left;
};

static struct tally count_cases(const struct mend *self, const char *name)
{
    struct tally tally = {0};
    for (size_t i = 0; i < self->case_count; i++) {
        const struct mend_case *row = &self->cases[i];
        if (strcmp(row->name, name) != 0) {
            continue;
        }
        if (row->is.trouble == MEND_ILL) {
            tally.ill = row;
        } else if (row->is.trouble == MEND_LEFT) {
            tally.left = row;
        } else {
            tally.between = row;
        }
    }
    return tally;
}

/* Down, and no row of it is ill. */
static enum mend_trouble judge_down(const struct pm2 *self, const struct watch *watch,
                                    const struct tally *tally)
{
    const struct home *home = &self->homes[watch->home < self->home_count ? watch->home : 0];
    if (god_state(home->god) != GOD_UP || !home->fresh) {
        return MEND_BETWEEN;
    }
    return !watch->listed || tally->left != NULL ? MEND_LEFT : MEND_BETWEEN;
}

enum mend_trouble mend_trouble_of(const struct pm2 *self, const struct watch *watch,
                                  const char **ret_why)
{
    struct tally tally = count_cases(&self->mend, watch->name);
    const struct mend_case *row = tally.ill != NULL ? tally.ill : tally.between;
    if (row != NULL) {
        *ret_why = row->is.why;
        return row->is.trouble;
    }
    *ret_why = tally.left != NULL ? tally.left->is.why : watch->reason;
    if (watch_is_settling(watch)) {
        return MEND_BETWEEN;
    }
    switch (watch->state) {
    case DECIDE_UP:
    case DECIDE_ELSEWHERE:
        return MEND_WELL;
    case DECIDE_DOWN:
        return judge_down(self, watch, &tally);
    case DECIDE_BETWEEN:
    case DECIDE_UNKNOWN:
        break;
    }
    return MEND_BETWEEN;
}

json_t *mend_document(const struct pm2 *self)
{
    static const char *const names[] = {
        [MEND_BETWEEN] = "between", [MEND_LEFT] = "left", [MEND_ILL] = "ill"};
    json_t *ret = NULL;
    for (size_t i = 0; i < self->watch_count; i++) {
        const struct watch *watch = &self->watches[i];
        const char *why;
        enum mend_trouble trouble =
            mend_is_allowed(self, watch->name) ? mend_trouble_of(self, watch, &why) : MEND_WELL;
        if (trouble == MEND_WELL) {
            continue;
        }
        const struct settings_primary *primary = settings_primary(self->settings, watch->name);
        ret = ret != NULL ? ret : json_array();
        (void)json_array_append_new(ret, json_pack("{so ss so sb}", "name", doc_text(watch->name),
                                                   "state", names[trouble], "why", doc_text(why),
                                                   "critical", primary->critical));
    }
    return ret;
}
