/* What of PM2's logs is to be rotated and what of the rotated ones to be deleted. Pure: sizes,
 * times and the local day of a time are handed in. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LOGS_POLICY_H
#define UNDERSTUDY_MANAGERS_PM2_LOGS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* managers.pm2.logs of the configuration. */
struct rotation_policy {
    bool rotate;
    bool daily;
    bool compress;
    int64_t max_bytes;    /* > 0 */
    int64_t keep_ms;      /* > 0 */
    int64_t budget_bytes; /* > 0; of all rotated files of this host */
};

enum rotation_due { ROTATION_NOT_DUE, ROTATION_DUE_SIZE, ROTATION_DUE_DAY };

/* bytes: what the log holds. since_ms: wall time before which none of it was written.
 * midnight_ms: when the present local day began. */
enum rotation_due policy_due(const struct rotation_policy *policy, int64_t bytes, int64_t since_ms,
                             int64_t midnight_ms);

/* A number that is the same for two times of one local day only, and grows with the days. */
typedef int64_t policy_day_fn(int64_t wall_s);

/* The local day of the C library's time zone. */
int64_t policy_local_day(int64_t wall_s);

/* When the local day of `wall_ms` began: its first second, whatever the clock showed then. */
int64_t policy_midnight_ms(int64_t wall_ms, policy_day_fn *day);

/* ---- names of rotated files: BASE.2026-01-31T23-59-59[_NNN][.gz][.part] ---- */

#define POLICY_STAMP_SIZE 20

/* The local time as a file's name has it. False: no such time. */
bool policy_stamp(int64_t wall_ms, char ret[POLICY_STAMP_SIZE]);

struct rotated_name {
    size_t base_length; /* > 0 */
    bool packed;        /* .gz */
    bool part;          /* unfinished */
};

/* False for a name of another form. */
bool rotated_name_parse(const char *name, struct rotated_name *ret);

/* ---- what goes ---- */

struct rotated {
    size_t group;    /* which log; rows of one stand together */
    int64_t bytes;   /* on disk */
    int64_t made_ms; /* wall; ascending within a group */
    bool drop;
};

/* Marks what is older than keep_ms; then, while the rest is over the budget, the oldest of that log
 * which has most. Returns how many are marked. */
size_t policy_sweep(const struct rotation_policy *policy, struct rotated *rows, size_t count,
                    int64_t now_ms);

/* Pause after the n-th failure in a row, n > 0: 30 s, doubled, at most an hour. */
int64_t policy_backoff_ms(unsigned failures);

#endif
