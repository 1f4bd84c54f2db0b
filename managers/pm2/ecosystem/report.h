/* What is told of an ecosystem file: one finding for each place where PM2 makes something else of
 * it than what is written, or will not have it. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_REPORT_H
#define UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_REPORT_H

#include "managers/pm2/ecosystem/places.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define REPORT_FINDINGS_MAX 500 /* of one file; the rest is counted */
#define REPORT_TEXT_MAX 240     /* bytes of a foreign text in a finding */

enum report_severity { REPORT_INFO, REPORT_WARNING, REPORT_ERROR };

struct report {
    const char *file;
    const struct places *places; /* NULL: not known */
    const char *app;             /* of the app that is looked at, or NULL */
    const char *base;            /* its place: "/apps/0"; "" for the file */
    json_t *findings;
    size_t errors;
    size_t warnings;
    size_t left_out;
    bool failed; /* out of memory */
};

/* `file` is borrowed. Ended with report_deinit. */
void report_init(struct report *self, const char *file);
void report_deinit(struct report *self);

/* One finding. `key` may be NULL or name a key below the app ("env/PORT"); `expected` what should
 * be there, NULL when nothing should; the text is what PM2 makes of it. */
void report_add(struct report *self, enum report_severity severity, const char *key,
                const char *expected, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The same with a place that is known already; line 0: none. */
void report_add_at(struct report *self, enum report_severity severity, unsigned line,
                   unsigned column, const char *expected, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* A foreign text, cut to REPORT_TEXT_MAX at a character's end; a new reference. */
json_t *report_text(const char *text);

/* The list, with a last row that counts what was left out. Takes it out of the report. */
json_t *report_take(struct report *self);

#endif
