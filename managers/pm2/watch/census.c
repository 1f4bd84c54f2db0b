#include "managers/pm2/watch/census.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void census_forget(struct census *self)
{
    self->count = 0;
    self->listed = 0;
    self->blind_since_ms = 0;
}

void census_deinit(struct census *self)
{
    free(self->rows);
    *self = (struct census){0};
}

/* ---- rows ---- */

static struct census_row *find(const struct census *self, int64_t pm_id, const char *name)
{
    for (size_t i = 0; i < self->count; i++) {
        struct census_row *row = &self->rows[i];
        if (row->pm_id == pm_id && strcmp(row->name, name) == 0) {
            return row;
        }
    }
    return NULL;
}

const struct census_row *census_find(const struct census *self, int64_t pm_id, const char *name)
{
    return find(self, pm_id, name);
}

static bool grow(struct census *self)
{
    if (self->count < self->capacity) {
        return true;
    }
    size_t capacity = self->capacity == 0 ? 16 : 2 * self->capacity;
    struct census_row *rows =
        capacity <= ENTRIES_MAX ? realloc(self->rows, capacity * sizeof *rows) : NULL;
    if (rows == NULL) {
        return false;
    }
    self->rows = rows;
    self->capacity = capacity;
    return true;
}

/* NULL when there is no room. */
static struct census_row *take_row(struct census *self, int64_t pm_id, const char *name,
                                   int64_t now_ms)
{
    struct census_row *row = find(self, pm_id, name);
    if (row != NULL || strlen(name) >= NAME_SIZE || !grow(self)) {
        return row;
    }
    row = &self->rows[self->count++];
    *row = (struct census_row){.pm_id = pm_id, .status = ENTRY_OTHER, .status_since_ms = now_ms};
    (void)snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

static void drop_unlisted(struct census *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (self->rows[i].listed) {
            if (kept != i) {
                self->rows[kept] = self->rows[i];
            }
            kept++;
        }
    }
    self->count = kept;
}

/* ---- a list ---- */

static int64_t longest_ms(const struct entry *entry)
{
    int64_t least = 0;
    int64_t own = 0;
    switch (entry->status) {
    case ENTRY_LAUNCHING:
        least = CENSUS_LAUNCHING_MS;
        own = entry->listen_ms;
        break;
    case ENTRY_STOPPING:
        least = CENSUS_STOPPING_MS;
        own = entry->kill_ms;
        break;
    case ENTRY_WAITING_RESTART:
        least = CENSUS_WAITING_MS;
        own = entry->delay_ms;
        break;
    default:
        return 0;
    }
    return least + own;
}

/* PM2 starts nothing again that it gave up, or that was stopped for longer than between an exit and
 * its restart: somebody did, and the ends before are no loop of the new process. */
static bool started_anew(const struct census_row *row, enum entry_status status, int64_t now_ms)
{
    bool was_off =
        row->status == ENTRY_ERRORED ||
        (row->status == ENTRY_STOPPED && now_ms - row->status_since_ms >= CENSUS_ANEW_MS);
    return row->listed && was_off && (status == ENTRY_ONLINE || status == ENTRY_LAUNCHING);
}

static void note_since(int64_t *since_ms, bool is_so, int64_t now_ms)
{
    if (!is_so) {
        *since_ms = 0;
    } else if (*since_ms == 0) {
        *since_ms = now_ms;
    }
}

static void take_entry(struct census_row *row, const struct entry *entry, bool heard, bool lives,
                       int64_t now_ms)
{
    if (started_anew(row, entry->status, now_ms)) {
        row->ends = (struct loop){0};
    } else if (row->listed && !heard && entry->restarts > row->restarts) {
        /* A smaller figure is a reset by somebody. */
        loop_add(&row->ends, entry->restarts - row->restarts, now_ms);
    }
    if (!row->listed || row->status != entry->status) {
        row->status_since_ms = now_ms;
    }
    row->status = entry->status;
    row->restarts = entry->restarts;
    row->pid = entry->pid;
    row->limit_ms = longest_ms(entry);
    note_since(&row->ghost_since_ms, entry->status == ENTRY_ONLINE && !lives, now_ms);
}

/* Ours are looked after where they are started. */
static bool may_double(const struct entry *entry)
{
    return entry->duty[0] == '\0' &&
           (entry->status == ENTRY_ONLINE || entry->status == ENTRY_LAUNCHING);
}

/* A number of an instance is given once in a name and namespace. */
static bool is_double(const struct entries *entries, size_t index)
{
    const struct entry *entry = &entries->rows[index];
    for (size_t i = 0; may_double(entry) && i < entries->count; i++) {
        const struct entry *other = &entries->rows[i];
        if (i != index && may_double(other) && other->instance == entry->instance &&
            strcmp(other->name, entry->name) == 0 && strcmp(other->group, entry->group) == 0) {
            return true;
        }
    }
    return false;
}

int census_take(struct census *self, const struct entries *entries, bool heard,
                census_lives_fn *lives, int64_t now_ms)
{
    bool any_lives = false;
    bool any_measured = false;
    bool left_out = false;
    bool known[ENTRIES_MAX] = {false};
    self->listed = 0;
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = &entries->rows[i];
        struct census_row *row = take_row(self, entry->pm_id, entry->name, now_ms);
        bool alive = entry_pid_counts(entry) && lives(entry->pid);
        any_lives = any_lives || (alive && entry->status == ENTRY_ONLINE);
        any_measured = any_measured || entry->measured;
        self->listed += entry->duty[0] == '\0';
        if (row == NULL) {
            left_out = true;
            continue;
        }
        take_entry(row, entry, heard, alive, now_ms);
        note_since(&row->double_since_ms, is_double(entries, i), now_ms);
        row->listed = true;
        known[row - self->rows] = true;
    }
    for (size_t i = 0; i < self->count; i++) {
        self->rows[i].listed = known[i];
    }
    drop_unlisted(self);
    note_since(&self->blind_since_ms, any_lives && !any_measured, now_ms);
    return left_out ? ERR_NOMEM : 0;
}

/* ---- events ---- */

static void note_exit(struct census_row *row, const struct frame_event *event, int64_t now_ms)
{
    if (event->status == ENTRY_STOPPING) {
        row->stopping = true;
    } else if (row->stopping) {
        row->stopping = false;
    } else if (event->restarted) {
        loop_add(&row->ends, 1, now_ms);
    }
}

void census_event(struct census *self, const struct frame_event *event, int64_t now_ms)
{
    if (event->event == NULL) {
        (void)snprintf(self->false_name, sizeof self->false_name, "%.*s", NAME_SIZE - 1,
                       event->name);
        self->false_ms = now_ms;
        self->false_events++;
        return;
    }
    if (event->pm_id < 0) {
        return; /* the old worker of a reload: it was asked for */
    }
    struct census_row *row = take_row(self, event->pm_id, event->name, now_ms);
    if (row == NULL) {
        return;
    }
    if (strcmp(event->event, "exit") == 0) {
        note_exit(row, event, now_ms);
    } else if (strcmp(event->event, "online") == 0) {
        row->stopping = false;
    }
}

/* ---- judgements ---- */

static enum census_fault judge_stuck(const struct census_row *row, int64_t for_ms,
                                     char ret_why[REASON_SIZE])
{
    (void)snprintf(ret_why, REASON_SIZE, "%s for %lld s%s", entry_status_name(row->status),
                   (long long)(for_ms / 1000),
                   row->status == ENTRY_WAITING_RESTART
                       ? ", with the number of a process that is gone; only a stop helps"
                       : "");
    return CENSUS_STUCK;
}

enum census_fault census_judge(const struct census_row *row, int64_t now_ms,
                               char ret_why[REASON_SIZE])
{
    if (row->ghost_since_ms != 0 && now_ms - row->ghost_since_ms >= CENSUS_DOUBT_MS) {
        (void)snprintf(ret_why, REASON_SIZE, "PM2 says online, and there is no process%s",
                       row->pid == 0 ? "; it could not be started" : "");
        return CENSUS_GHOST;
    }
    int64_t for_ms = now_ms - row->status_since_ms;
    if (row->limit_ms > 0 && for_ms > row->limit_ms) {
        return judge_stuck(row, for_ms, ret_why);
    }
    if (row->double_since_ms != 0 && now_ms - row->double_since_ms >= CENSUS_DOUBT_MS) {
        (void)snprintf(ret_why, REASON_SIZE, "runs twice under PM2, id %lld is one of them",
                       (long long)row->pm_id);
        return CENSUS_DUPLICATE;
    }
    return CENSUS_WELL;
}

bool census_is_blind(const struct census *self, int64_t now_ms)
{
    return self->blind_since_ms != 0 && now_ms - self->blind_since_ms >= CENSUS_DOUBT_MS;
}

bool census_doubts(const struct census *self, int64_t now_ms)
{
    bool any = self->blind_since_ms != 0 && !census_is_blind(self, now_ms);
    for (size_t i = 0; i < self->count && !any; i++) {
        const struct census_row *row = &self->rows[i];
        any = (row->ghost_since_ms != 0 && now_ms - row->ghost_since_ms < CENSUS_DOUBT_MS) ||
              (row->double_since_ms != 0 && now_ms - row->double_since_ms < CENSUS_DOUBT_MS);
    }
    return any;
}
