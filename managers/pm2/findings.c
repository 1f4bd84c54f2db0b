#include "managers/pm2/findings.h"

#include "node/base/doc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *finding_severity_name(enum finding_severity severity)
{
    static const char *const names[] = {"info", "warning", "critical"};
    return severity <= FINDING_CRITICAL ? names[severity] : "critical";
}

/* The row of that kind and object, else a free one, else NULL. */
static struct finding *row_for(struct findings *self, const char *kind, const char *object)
{
    struct finding *free_row = NULL;
    for (size_t i = 0; i < FINDINGS_MAX; i++) {
        struct finding *row = &self->rows[i];
        if (row->used && strcmp(row->kind, kind) == 0 && strcmp(row->object, object) == 0) {
            return row;
        }
        if (!row->used && free_row == NULL) {
            free_row = row;
        }
    }
    return free_row;
}

bool findings_say(struct findings *self, const char *kind, const char *object,
                  enum finding_severity severity, int64_t now_ms, const char *format, ...)
{
    char text[REASON_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct finding *row = row_for(self, kind, object);
    if (row == NULL) {
        self->left_out++;
        return false;
    }
    bool is_new = !row->used;
    if (is_new) {
        *row = (struct finding){.used = true, .since_ms = now_ms};
        (void)snprintf(row->kind, sizeof row->kind, "%s", kind);
        (void)snprintf(row->object, sizeof row->object, "%s", object);
    }
    row->severity = severity;
    row->said_ms = now_ms;
    memcpy(row->text, text, sizeof row->text);
    return is_new;
}

bool findings_expire(struct findings *self, int64_t now_ms)
{
    bool any = false;
    for (size_t i = 0; i < FINDINGS_MAX; i++) {
        struct finding *row = &self->rows[i];
        if (row->used && now_ms - row->said_ms >= FINDINGS_KEEP_MS) {
            row->used = false;
            any = true;
        }
    }
    return any;
}

json_t *findings_document(const struct findings *self, int64_t now_ms)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < FINDINGS_MAX; i++) {
        const struct finding *row = &self->rows[i];
        if (row->used) {
            (void)json_array_append_new(
                ret, json_pack("{so so ss so sI}", "kind", doc_text(row->kind), "object",
                               doc_text(row->object), "severity",
                               finding_severity_name(row->severity), "text", doc_text(row->text),
                               "for_ms", (json_int_t)(now_ms - row->since_ms)));
        }
    }
    return ret;
}
