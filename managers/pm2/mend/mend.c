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

static struct stop stop_of(const struct home *home, int64_t pm_id, const char *name,
                           int64_t started_wall_ms)
{
    struct stop ret = {
        .pm_id = pm_id, .started_wall_ms = started_wall_ms, .stopped_wall_ms = clock_wall_ms()};
    (void)snprintf(ret.home, sizeof ret.home, "%s", god_home(home->god));
    (void)snprintf(ret.name, sizeof ret.name, "%s", name);
    return ret;
}

void mend_remember_stopped(struct pm2 *self, const struct home *home, const struct mend_case *row)
{
    struct stop stop = stop_of(home, row->pm_id, row->name, row->started_wall_ms);
    stops_add(&self->mend.stops, &stop);
}

void mend_note_write(struct pm2 *self, const struct home *home, const struct request *request)
{
    if (request->method == REQUEST_STOP || request->method == REQUEST_DELETE) {
        stops_drop(&self->mend.stops, god_home(home->god), request->pm_id);
    }
}

/* While it stands as our stop left it. */
static bool is_stopped_by_us(struct pm2 *self, const struct home *home, const struct mend_row *row,
                             const struct mend_facts *facts)
{
    struct stop stop = stop_of(home, row->pm_id, row->name, facts->started_wall_ms);
    if (facts->shown == ENTRY_ONLINE || facts->shown == ENTRY_LAUNCHING) {
        stops_drop(&self->mend.stops, stop.home, stop.pm_id);
        return false;
    }
    return stops_has(&self->mend.stops, &stop);
}

void mend_stopped_by_hand(struct pm2 *self, const struct home *home, const char *name)
{
    stops_drop_named(&self->mend.stops, god_home(home->god), name);
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
    facts.ours = is_stopped_by_us(self, &self->homes[home], &row, &facts);
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

/* What is listed no more needs no memory: a stopped row is always a case. */
static void forget_deleted(struct pm2 *self, size_t home)
{
    const char *path = god_home(self->homes[home].god);
    for (size_t i = 0; i < STOPS_MAX; i++) {
        const struct stop *row = &self->mend.stops.rows[i];
        if (row->used && strcmp(row->home, path) == 0 &&
            find_case(self->mend.cases, self->mend.case_count, home, row->pm_id) == NULL) {
            stops_drop(&self->mend.stops, path, row->pm_id);
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
    forget_deleted(self, home);
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

void mend_begin(struct pm2 *self)
{
    memset(&self->mend, 0, sizeof self->mend);
    stops_open(&self->mend.stops, self->configure.data_dir, clock_wall_ms());
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
