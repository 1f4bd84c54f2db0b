/* The score of a manager that only watches: what it would have done, and how often that was right.
 *
 * A decision to start a backup was right when the primary was not back by itself within the time
 * that the backup waits before it gives way (settle): otherwise nobody needed it. A decision to
 * stop one was right when the primary stayed well for so long. Until then a decision is open.
 * Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_SHADOW_H
#define UNDERSTUDY_MANAGERS_PM2_SHADOW_H

#include "node/base/limits.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHADOW_LOG_MAX 64        /* decisions kept; the oldest goes first */
#define SHADOW_JUDGE_MS_MIN 1000 /* the least time after which a decision is judged */

enum shadow_verdict { SHADOW_OPEN, SHADOW_RIGHT, SHADOW_WRONG };

struct shadow_entry {
    char duty[DUTY_ID_SIZE];
    bool start; /* it would have started the backup; else it would have stopped it */
    bool past;  /* the manager was armed since */
    enum shadow_verdict verdict;
    int64_t at_wall_ms; /* for people, and for the order of what several leaders decided */
    int64_t judge_ms;   /* open: when it is judged */
    char why[REASON_SIZE];
};

struct shadow_count {
    uint64_t decided;
    uint64_t right;
    uint64_t wrong;
};

/* All zero: nothing was decided. */
struct shadow {
    struct shadow_count before; /* what the log holds no more, */
    int64_t before_wall_ms;     /* and when the newest of it was decided */
    size_t count;
    struct shadow_entry log[SHADOW_LOG_MAX]; /* oldest first */
};

void shadow_decide(struct shadow *self, const char *duty, bool start, const char *why,
                   int64_t settle_ms, int64_t now_ms, int64_t wall_ms);
/* How the duty's primary is now: judges what is open about it. */
void shadow_see(struct shadow *self, const char *duty, bool primary_up, int64_t now_ms);
/* The newest decision about the duty since the manager only watches; false when there is none. */
bool shadow_last(const struct shadow *self, const char *duty, bool *ret_start);
/* The manager only watches from now on: what was decided before stands for nothing any more. */
void shadow_begin(struct shadow *self);
/* All that was ever decided. */
struct shadow_count shadow_count(const struct shadow *self);

/* {decided, right, wrong, open, before: {decided, right, wrong, until_wall_ms}, log: [{time, duty,
 * would, verdict, why, ...}]}, newest first: for people, and for the manager of the next leader;
 * without `log` the list is empty and all is in `before`. NULL when out of memory. */
json_t *shadow_document(const struct shadow *self, bool log, int64_t now_ms);
/* Take up what another leader's manager decided, in whatever order their words come, and again and
 * again: each decision counts once. One that says the same as the one before it was taken by a
 * leader that did not know that one yet, and counts not at all. `document` may be none or nonsense:
 * entries that make no sense are left out. told_ms: when it was made, by the clock of now_ms. */
void shadow_adopt(struct shadow *self, const json_t *document, int64_t told_ms);

#endif
