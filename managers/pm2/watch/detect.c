/* What PM2 itself tells wrongly or not at all, told to people. Nothing is done about it here. */
#include "managers/pm2/pm2.h"

#include "node/base/clock.h"

#include <string.h>

/* One home needs no name; of several the end of the path, which differs. */
static void name_home(const struct home *home, char ret[NAME_SIZE])
{
    const char *path = god_home(home->god);
    size_t length = strlen(path);
    const char *end = length < NAME_SIZE ? path : path + length - (NAME_SIZE - 1);
    (void)snprintf(ret, NAME_SIZE, "%s", home->pm2->home_count > 1 ? end : "");
}

/* ---- the list ---- */

static bool heard_all(struct detect *detect, const struct home *home)
{
    int64_t since_ms = god_heard_since_ms(home->god);
    bool heard = since_ms != 0 && since_ms == detect->heard_since_ms;
    detect->heard_since_ms = since_ms;
    return heard;
}

void detect_take_list(struct home *home, int64_t now_ms)
{
    struct detect *detect = &home->detect;
    bool heard = heard_all(detect, home);
    (void)census_take(&detect->census, &home->entries, heard, process_exists, now_ms);
}

void detect_event(struct home *home, const struct frame_event *event)
{
    struct detect *detect = &home->detect;
    uint64_t before = detect->census.false_events;
    census_event(&detect->census, event, clock_boot_ms());
    if (before == 0 && detect->census.false_events > 0) {
        runtime_event(home->pm2->runtime, MANAGER_WARN, "pm2.false_event", NULL,
                      "%.*s publishes events as if they were PM2's", NAME_SIZE - 1, event->name);
    }
}

void detect_verify(struct home *home)
{
    home->detect.verifying = true;
    home_list_soon(home, 0);
}

bool detect_doubts(const struct home *home, int64_t now_ms)
{
    return census_doubts(&home->detect.census, now_ms);
}

unsigned detect_ends(const struct home *home, int64_t pm_id, const char *name, int64_t window_ms,
                     int64_t now_ms)
{
    const struct census_row *row = census_find(&home->detect.census, pm_id, name);
    return row != NULL ? loop_count(&row->ends, window_ms, now_ms) : 0;
}

/* ---- the kernel's word ---- */

static void sample_daemon(struct home *home, int64_t now_ms)
{
    struct detect *detect = &home->detect;
    const struct tree *tree = &home->pm2->tree;
    const struct tree_row *row = tree_find(tree, god_pid(home->god));
    detect->memory_bytes = row != NULL ? row->memory_bytes : -1;
    detect->state = 0;
    if (row != NULL) {
        detect->state = row->state;
    }
    if (row == NULL) {
        growth_forget(&detect->growth);
    }
    growth_step(&detect->growth, detect->memory_bytes, now_ms);
    (void)excess_step(&detect->memory, (double)detect->memory_bytes,
                      (double)home->pm2->settings->daemon_memory_bytes, DETECT_DAEMON_OVER_MS,
                      now_ms);
    detect->daemon_count = orphan_find_daemons(home, tree, detect->daemons, DETECT_DAEMONS_MAX);
}

static int64_t seen_since(const struct detect *detect, int64_t pid, int64_t now_ms)
{
    for (size_t i = 0; i < detect->orphan_count; i++) {
        if (detect->orphans[i].pid == pid) {
            return detect->orphans[i].since_ms;
        }
    }
    return now_ms;
}

static void sample_orphans(struct home *home, int64_t now_ms)
{
    struct orphan found[DETECT_ORPHANS_MAX];
    size_t count = orphan_find_all(home, &home->pm2->tree, found, DETECT_ORPHANS_MAX);
    for (size_t i = 0; i < count; i++) {
        found[i].since_ms = seen_since(&home->detect, found[i].pid, now_ms);
        primaries_orphan(home->pm2, home, found[i].name, found[i].pid);
    }
    memcpy(home->detect.orphans, found, count * sizeof found[0]);
    home->detect.orphan_count = count;
}

void detect_sample(struct home *home, int64_t now_ms)
{
    sample_daemon(home, now_ms);
    sample_orphans(home, now_ms);
}

/* ---- telling: the daemon ---- */

static void say_lost(struct home *home, const char *object, int64_t now_ms)
{
    struct findings *findings = &home->pm2->findings;
    enum god_state state = god_state(home->god);
    int64_t *since_ms = &home->detect.lost_since_ms;
    *since_ms = state == GOD_UP ? 0 : *since_ms == 0 ? now_ms : *since_ms;
    if (state == GOD_DEAD && now_ms - *since_ms >= DETECT_LOST_MS) {
        bool meant = god_said_goodbye(home->god);
        (void)findings_say(findings, "pm2.dead", object, meant ? FINDING_WARNING : FINDING_CRITICAL,
                           now_ms, "the PM2 daemon %s", meant ? "was ended" : "is dead");
    } else if (state == GOD_HUNG) {
        char as = home->detect.state;
        (void)findings_say(findings, "pm2.hung", object, FINDING_CRITICAL, now_ms,
                           "the PM2 daemon does not answer%s",
                           as == 'T' || as == 't' ? ": somebody has stopped it (SIGSTOP)"
                           : as == 'D'            ? ": it waits for a disk"
                           : as == 'R'            ? ": it is busy"
                                                  : "");
    }
}

/* Another daemon of this home than the one that answers; 0: there is none. The sample may be of
 * before that one was known. */
static int64_t other_daemon(const struct home *home)
{
    const struct detect *detect = &home->detect;
    int64_t other = god_other(home->god);
    for (size_t i = 0; other == 0 && i < detect->daemon_count; i++) {
        other = detect->daemons[i] != god_pid(home->god) ? detect->daemons[i] : 0;
    }
    return other;
}

static void say_daemons(struct home *home, const char *object, int64_t now_ms)
{
    const struct detect *detect = &home->detect;
    enum god_state state = god_state(home->god);
    bool lasts = now_ms - home->state_since_ms >= DETECT_LASTS_MS; /* one may be starting */
    if ((state == GOD_ABSENT || state == GOD_DEAD) && detect->daemon_count > 0 && lasts) {
        (void)findings_say(&home->pm2->findings, "pm2.unreachable", object, FINDING_CRITICAL,
                           now_ms,
                           "PM2 daemon %lld runs and cannot be reached: its sockets are gone or "
                           "another's",
                           (long long)detect->daemons[0]);
    }
    int64_t other = state == GOD_UP ? other_daemon(home) : 0;
    if (other != 0) {
        (void)findings_say(&home->pm2->findings, "pm2.doubled", object, FINDING_CRITICAL, now_ms,
                           "two PM2 daemons share this home: pids %lld and %lld; end one of them",
                           (long long)god_pid(home->god), (long long)other);
    }
}

static void say_memory(struct home *home, const char *object, int64_t now_ms)
{
    struct findings *findings = &home->pm2->findings;
    const struct detect *detect = &home->detect;
    int64_t limit = home->pm2->settings->daemon_memory_bytes;
    int64_t mb = detect->memory_bytes >> 20;
    int64_t left_ms = limit > 0 ? growth_left_ms(&detect->growth, limit) : -1;
    if (detect->memory.told) {
        (void)findings_say(findings, "pm2.daemon_memory", object, FINDING_WARNING, now_ms,
                           "the PM2 daemon has %lld MB of memory, more than %lld MB", (long long)mb,
                           (long long)(limit >> 20));
    } else if (left_ms >= 0 && left_ms < DETECT_GROWTH_MS) {
        (void)findings_say(findings, "pm2.daemon_growth", object, FINDING_INFO, now_ms,
                           "the PM2 daemon grows: %lld MB, and %lld MB in about %lld minutes",
                           (long long)mb, (long long)(limit >> 20), (long long)(left_ms / 60000));
    }
}

static void say_false_events(struct home *home, int64_t now_ms)
{
    const struct census *census = &home->detect.census;
    if (census->false_ms != 0 && now_ms - census->false_ms < CENSUS_FALSE_MS) {
        (void)findings_say(&home->pm2->findings, "pm2.false_event", census->false_name,
                           FINDING_WARNING, now_ms,
                           "publishes events as if they were PM2's (%llu so far); they are not "
                           "believed",
                           (unsigned long long)census->false_events);
    }
}

/* ---- telling: rows ---- */

static const char *const fault_kinds[] = {[CENSUS_GHOST] = "pm2.ghost",
                                          [CENSUS_STUCK] = "pm2.stuck",
                                          [CENSUS_DUPLICATE] = "pm2.duplicate"};

static void say_rows(struct home *home, const char *object, int64_t now_ms)
{
    struct findings *findings = &home->pm2->findings;
    const struct census *census = &home->detect.census;
    const char *ghost = NULL;
    for (size_t i = 0; i < census->count; i++) {
        char why[REASON_SIZE];
        enum census_fault fault = census_judge(&census->rows[i], now_ms, why);
        if (fault != CENSUS_WELL) {
            (void)findings_say(findings, fault_kinds[fault], census->rows[i].name, FINDING_WARNING,
                               now_ms, "%.64s: %.80s", census->rows[i].name, why);
            ghost = fault == CENSUS_GHOST ? census->rows[i].name : ghost;
        }
    }
    if (census_is_blind(census, now_ms)) {
        (void)findings_say(
            findings, "pm2.blind", object, FINDING_WARNING, now_ms,
            "PM2 measures no process any more, so its memory limits do nothing%s%.40s",
            ghost != NULL ? "; for the ghost " : "", ghost != NULL ? ghost : "");
    }
    if (home->entries.left_out > 0) {
        (void)findings_say(findings, "pm2.left_out", object, FINDING_INFO, now_ms,
                           "%zu rows of PM2's list are not watched", home->entries.left_out);
    }
}

/* Listed as running too: there are two of it. */
static bool runs_again(const struct home *home, const char *name)
{
    bool up = god_state(home->god) == GOD_UP && home->fresh;
    for (size_t i = 0; up && i < home->entries.count; i++) {
        const struct entry *entry = &home->entries.rows[i];
        if (strcmp(entry->name, name) == 0 && entry_pid_counts(entry)) {
            return true;
        }
    }
    return false;
}

static void say_orphans(struct home *home, int64_t now_ms)
{
    const struct detect *detect = &home->detect;
    for (size_t i = 0; i < detect->orphan_count; i++) {
        const struct orphan *orphan = &detect->orphans[i];
        if (now_ms - orphan->since_ms < PM2_SAMPLE_MS) {
            continue; /* it may end with its daemon */
        }
        bool twice = runs_again(home, orphan->name);
        (void)findings_say(&home->pm2->findings, "pm2.orphan", orphan->name,
                           twice ? FINDING_CRITICAL : FINDING_WARNING, now_ms,
                           twice ? "%.64s runs twice: pid %lld is of a PM2 daemon that is gone"
                                 : "%.64s runs on as pid %lld without its PM2 daemon",
                           orphan->name, (long long)orphan->pid);
    }
}

/* ---- telling: primaries ---- */

static void say_loop(struct pm2 *self, const struct home *home, const struct watch *watch,
                     int64_t now_ms)
{
    const struct settings *settings = self->settings;
    unsigned fast = detect_ends(home, watch->pm_id, watch->name, WATCH_LOOP_WINDOW_MS, now_ms);
    unsigned slow = detect_ends(home, watch->pm_id, watch->name, settings->loop_window_ms, now_ms);
    if (fast >= WATCH_LOOP_ENDS) {
        (void)findings_say(&self->findings, "pm2.loop", watch->name, FINDING_WARNING, now_ms,
                           "%.64s is in a crash loop: it ended by itself %u times in a minute",
                           watch->name, fast);
    } else if (slow >= settings->loop_restarts) {
        (void)findings_say(&self->findings, "pm2.loop", watch->name, FINDING_WARNING, now_ms,
                           "%.64s is in a slow loop: it ended by itself %u times in %lld minutes",
                           watch->name, slow, (long long)(settings->loop_window_ms / 60000));
    }
}

static void say_use(struct pm2 *self, const struct watch *watch,
                    const struct settings_primary *primary, int64_t now_ms)
{
    const struct watch_use *use = &watch->use;
    if (use->frozen_since_ms != 0 && now_ms - use->frozen_since_ms >= PM2_SAMPLE_MS) {
        (void)findings_say(&self->findings, "pm2.frozen", watch->name, FINDING_WARNING, now_ms,
                           "%.64s is stopped by a signal (SIGSTOP); PM2 calls it online",
                           watch->name);
    }
    if (use->memory.told) {
        (void)findings_say(&self->findings, "pm2.memory", watch->name, FINDING_WARNING, now_ms,
                           "%.64s uses %lld MB of memory, more than %lld MB", watch->name,
                           (long long)(use->memory_bytes >> 20),
                           (long long)(primary->memory_bytes >> 20));
    }
    if (use->cpu.told) {
        (void)findings_say(&self->findings, "pm2.cpu", watch->name, FINDING_WARNING, now_ms,
                           "%.64s uses %.0f %% of a core, more than %lld %%", watch->name,
                           use->cpu_percent, (long long)primary->cpu_percent);
    }
}

static void say_home(struct home *home, int64_t now_ms)
{
    char object[NAME_SIZE];
    name_home(home, object);
    say_lost(home, object, now_ms);
    say_daemons(home, object, now_ms);
    say_memory(home, object, now_ms);
    say_orphans(home, now_ms);
    say_false_events(home, now_ms);
    if (god_state(home->god) == GOD_UP && home->fresh) {
        say_rows(home, object, now_ms);
    }
}

void detect_step(struct pm2 *self, int64_t now_ms)
{
    for (size_t i = 0; i < self->home_count; i++) {
        say_home(&self->homes[i], now_ms);
    }
    for (size_t i = 0; i < self->watch_count; i++) {
        const struct watch *watch = &self->watches[i];
        if (watch->home < self->home_count) {
            say_loop(self, &self->homes[watch->home], watch, now_ms);
            say_use(self, watch, &self->settings->primaries[i], now_ms);
        }
    }
    logs_say(self->logs, &self->findings, now_ms);
}

void detect_deinit(struct home *home)
{
    census_deinit(&home->detect.census);
}
