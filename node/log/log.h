/* Structured log: one line per event, a stable event name first, then key=value.
 *
 *     ts=2026-01-31T12:00:00.000Z level=info event=raft.leader.gained term=12 node=n1
 *
 * log_event formats on the caller's thread and hands the line to a bounded queue; a writer thread
 * puts it into the file, rotates (size and local day), compresses old files and deletes what is
 * older than the keeping time. So no caller ever waits for a disk. When the queue is full the
 * oldest line of level info or debug gives way (error and warn only when nothing else is there)
 * and the loss is counted and told.
 *
 * Values are escaped and cut to LOG_VALUE_MAX bytes. A value made by log_secret() is never
 * written, and what looks like a key or token in other values is replaced by "[redacted]". At most
 * `rate_burst` lines per event name within ten seconds are written; the next one after that says
 * suppressed=N.
 *
 * Every function may be called from every thread. The child of a fork must not use the log. */
#ifndef UNDERSTUDY_NODE_LOG_LOG_H
#define UNDERSTUDY_NODE_LOG_LOG_H

#include "node/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_VALUE_MAX 512   /* bytes of one value, before escaping */
#define LOG_LINE_MAX 4096   /* bytes of one line; fields past it are left out and counted */
#define LOG_EVENT_SIZE 64   /* bytes of an event's name, with its NUL */
#define LOG_FIELDS_MAX 32   /* of one event */
#define LOG_RING_LINES 2000 /* kept in memory for `logs --follow` */
#define LOG_QUEUE_LINES 4096

struct log;

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_config {
    const char *dir;       /* must exist; NULL or "": standard error, without rotation */
    const char *file_name; /* "understudyd.log" */
    enum log_level level;
    enum log_format format;
    int64_t max_bytes;   /* rotate before a file grows past it; 0: 10 MB */
    int64_t keep_days;   /* delete older rotated files; 0: 30 */
    unsigned rate_burst; /* lines per event name in 10 s; 0: 200 */
    const char *node;    /* put on every line as node=..., or NULL */
};

enum log_type { LOG_TYPE_TEXT, LOG_TYPE_INT, LOG_TYPE_NUMBER, LOG_TYPE_BOOL, LOG_TYPE_SECRET };

struct log_field {
    const char *key; /* a-z 0-9 _ with the unit at its end */
    enum log_type type;
    const char *text; /* need only live during the call; NULL is written as - */
    int64_t integer;
    double number;
};

static inline struct log_field log_text(const char *key, const char *value)
{
    return (struct log_field){.key = key, .type = LOG_TYPE_TEXT, .text = value};
}

static inline struct log_field log_int(const char *key, int64_t value)
{
    return (struct log_field){.key = key, .type = LOG_TYPE_INT, .integer = value};
}

static inline struct log_field log_number(const char *key, double value)
{
    return (struct log_field){.key = key, .type = LOG_TYPE_NUMBER, .number = value};
}

static inline struct log_field log_bool(const char *key, bool value)
{
    return (struct log_field){.key = key, .type = LOG_TYPE_BOOL, .integer = value};
}

/* Says only whether there is a value. */
static inline struct log_field log_secret(const char *key, const char *value)
{
    return (struct log_field){.key = key, .type = LOG_TYPE_SECRET, .integer = value != NULL};
}

/* Open the file (0640) and start the writer. ERR_IO, ERR_NOMEM. */
int log_create(const struct log_config *config, struct log **ret, struct err *err);

/* Write what is queued, end the writer, close. Nobody may log after it. */
void log_destroy(struct log **self_p);

/* `event`: lower-case words joined by dots. `self` may be NULL: nothing happens. */
void log_event(struct log *self, enum log_level level, const char *event,
               const struct log_field *fields, size_t count);

/* log_write(log, LOG_LEVEL_INFO, "member.dead", log_text("peer", name), log_int("term", 4)); */
#define log_write(self, level, event, ...)                                       \
    log_event((self), (level), (event), (const struct log_field[]){__VA_ARGS__}, \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* Whether a line of this level would be written: to skip costly fields. */
bool log_enabled(const struct log *self, enum log_level level);

/* Change the level while running (reload). */
void log_set_level(struct log *self, enum log_level level);

/* Close and open the file again, on the writer's thread (SIGUSR1, an outside rotator). */
void log_reopen(struct log *self);

/* Wait until what was logged so far is in the file; false after `timeout_ms`. Blocks: for tests
 * and for the last words before an exit, not for the loop. */
bool log_flush(struct log *self, int64_t timeout_ms);

struct log_line {
    uint64_t sequence; /* from 1, without gaps */
    int64_t wall_ms;
    enum log_level level;
    char event[LOG_EVENT_SIZE];
    char text[LOG_LINE_MAX + 1]; /* the whole line without its newline */
};

/* The next line of the ring after *cursor (0: the oldest that is kept), into *ret; *cursor is
 * moved to it and *ret_missed (may be NULL) says how many lines fell out before they were read.
 * False when there is none. The ring holds what was logged, also while the disk is slow. */
bool log_ring_read(struct log *self, uint64_t *cursor, struct log_line *ret, uint64_t *ret_missed);

/* Sequence of the newest line: a follower that wants only news starts here. */
uint64_t log_ring_newest(struct log *self);

struct log_counters {
    uint64_t written;    /* lines in the file */
    uint64_t dropped;    /* lost to a full queue */
    uint64_t suppressed; /* by the rate limit */
    uint64_t failures;   /* writes, rotations or compressions that failed */
    uint64_t rotations;
};

void log_counters(struct log *self, struct log_counters *ret);

const char *log_level_name(enum log_level level);
bool log_level_parse(const char *name, enum log_level *ret);

#endif
