/* Patterns of primaries' logs, looked for in what PM2 publishes of them.
 *
 * The bus is always drained; what is looked at of it is bounded in work, the rest is counted. What
 * matches is never shown or kept: a log may hold secrets. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LOGS_H
#define UNDERSTUDY_MANAGERS_PM2_LOGS_H

#include "managers/pm2/findings.h"
#include "managers/pm2/settings.h"

#define LOGS_WORK_MAX (512 << 10) /* bytes times patterns, within LOGS_WORK_MS */
#define LOGS_WORK_MS 100
#define LOGS_STREAMS_MAX 16 /* of one primary: two of each instance */
#define LOGS_LINE_MS 1000   /* a line that has not ended is looked at all the same */
#define LOGS_TOLD_MS 60000  /* a match is told for so long */

struct amp_parser;
struct logs;

/* *ret is NULL when no primary has patterns, and on an error. `settings` outlives it. */
int logs_create(const struct settings *settings, struct logs **ret, struct err *err);
void logs_destroy(struct logs **self_p);

/* A chunk, of frame_kind FRAME_LOG_OUT or _ERR. NULL is no logs. */
void logs_take(struct logs *self, const struct amp_parser *frame, int64_t now_ms);

/* Every LOGS_WORK_MS or later. */
void logs_step(struct logs *self, int64_t now_ms);
void logs_say(const struct logs *self, struct findings *findings, int64_t now_ms);

/* Chunks that there was no time to look at. */
uint64_t logs_dropped(const struct logs *self);

#endif
