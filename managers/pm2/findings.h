/* What people must know of the PM2 on this node, beside a primary that is down: a daemon that is
 * dead or doubled, a loop, a ghost, a log that tells of an error.
 *
 * Whoever sees such a thing says it again and again while it is so; what was not said for
 * FINDINGS_KEEP_MS is over. The observation carries all of them to the manager of the acting
 * leader, whose conditions become alerts. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_FINDINGS_H
#define UNDERSTUDY_MANAGERS_PM2_FINDINGS_H

#include "node/base/limits.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FINDINGS_MAX 64
#define FINDINGS_KEEP_MS 15000

enum finding_severity { FINDING_INFO, FINDING_WARNING, FINDING_CRITICAL };
const char *finding_severity_name(enum finding_severity severity);

struct finding {
    bool used;
    char kind[NAME_SIZE];   /* "pm2.ghost" */
    char object[NAME_SIZE]; /* a process's name; empty: the daemon's */
    enum finding_severity severity;
    int64_t since_ms; /* CLOCK_BOOTTIME */
    int64_t said_ms;
    char text[REASON_SIZE]; /* for people */
};

/* All zero: none. */
struct findings {
    struct finding rows[FINDINGS_MAX];
    uint64_t left_out; /* said while there was no room */
};

/* The same kind and object again: only text and severity are new. Returns whether it was not known
 * before. No secrets in `format`. */
bool findings_say(struct findings *self, const char *kind, const char *object,
                  enum finding_severity severity, int64_t now_ms, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Drop what nobody says any more. Returns whether anything was. */
bool findings_expire(struct findings *self, int64_t now_ms);

/* [{kind, object, severity, text, for_ms}], for the observation. NULL when out of memory. */
json_t *findings_document(const struct findings *self, int64_t now_ms);

#endif
