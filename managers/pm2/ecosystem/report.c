#include "managers/pm2/ecosystem/report.h"

#include "node/base/doc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define POINTER_SIZE 1024

void report_init(struct report *self, const char *file)
{
    *self = (struct report){.file = file, .base = "", .findings = json_array()};
    self->failed = self->findings == NULL;
}

void report_deinit(struct report *self)
{
    json_decref(self->findings);
    self->findings = NULL;
}

json_t *report_text(const char *text)
{
    char cut[REPORT_TEXT_MAX + 1];
    size_t length = strlen(text);
    if (length <= REPORT_TEXT_MAX) {
        return doc_text(text);
    }
    length = REPORT_TEXT_MAX - 3;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80) {
        length--;
    }
    (void)snprintf(cut, sizeof cut, "%.*s...", (int)length, text);
    return doc_text(cut);
}

static json_t *number_or_null(unsigned value)
{
    return value == 0 ? json_null() : json_integer(value);
}

static void add(struct report *self, enum report_severity severity, const char *key, unsigned line,
                unsigned column, const char *expected, const char *text)
{
    static const char *const names[] = {"info", "warning", "error"};
    self->errors += severity == REPORT_ERROR ? 1 : 0;
    self->warnings += severity == REPORT_WARNING ? 1 : 0;
    if (json_array_size(self->findings) >= REPORT_FINDINGS_MAX) {
        self->left_out++;
        return;
    }
    json_t *row = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "severity", names[severity], "file",
        doc_text(self->file), "app", self->app == NULL ? json_null() : report_text(self->app),
        "key", key == NULL ? json_null() : report_text(key), "line", number_or_null(line), "column",
        number_or_null(column), "expected", expected == NULL ? json_null() : report_text(expected),
        "pm2", report_text(text));
    self->failed = self->failed || row == NULL || json_array_append_new(self->findings, row) != 0;
}

void report_add(struct report *self, enum report_severity severity, const char *key,
                const char *expected, const char *format, ...)
{
    char text[512];
    char pointer[POINTER_SIZE];
    struct place place = {0};
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (key == NULL) {
        (void)snprintf(pointer, sizeof pointer, "%s", self->base);
    } else {
        (void)snprintf(pointer, sizeof pointer, "%s/%s", self->base, key);
    }
    places_find(self->places, pointer, &place);
    add(self, severity, key, place.line, place.column, expected, text);
}

void report_add_at(struct report *self, enum report_severity severity, unsigned line,
                   unsigned column, const char *expected, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    add(self, severity, NULL, line, column, expected, text);
}

json_t *report_take(struct report *self)
{
    if (self->left_out > 0) {
        char text[64];
        (void)snprintf(text, sizeof text, "and %zu findings more", self->left_out);
        (void)json_array_append_new(self->findings,
                                    json_pack("{s:s, s:o, s:n, s:n, s:n, s:n, s:n, s:s}",
                                              "severity", self->errors > 0 ? "error" : "warning",
                                              "file", doc_text(self->file), "app", "key", "line",
                                              "column", "expected", "pm2", text));
    }
    json_t *ret = self->findings;
    self->findings = NULL;
    return ret;
}
