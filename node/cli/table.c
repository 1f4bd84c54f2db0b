#include "node/cli/cli.h"

#include "node/base/doc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 16
#define TEXT_SIZE 512

static const char good[] = "\033[32m";
static const char odd[] = "\033[33m";
static const char bad[] = "\033[31m";
static const char plain[] = "\033[0m";

/* Control characters of foreign text become '?', C1 controls in UTF-8 too. */
static void make_safe(const char *from, char ret[TEXT_SIZE])
{
    size_t length = 0;
    for (; *from != '\0' && length + 1 < TEXT_SIZE; from++) {
        const unsigned char *at = (const unsigned char *)from;
        bool c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0;
        ret[length++] = *from;
        if (*at < 0x20 || *at == 0x7f || c1) {
            ret[length - 1] = '?';
        }
        from += c1 ? 1 : 0;
    }
    ret[length] = '\0';
}

static void value_text(const json_t *value, char ret[TEXT_SIZE])
{
    if (json_is_string(value)) {
        make_safe(json_string_value(value), ret);
    } else if (json_is_boolean(value)) {
        (void)snprintf(ret, TEXT_SIZE, "%s", json_is_true(value) ? "yes" : "no");
    } else if (json_is_integer(value)) {
        (void)snprintf(ret, TEXT_SIZE, "%" PRId64, (int64_t)json_integer_value(value));
    } else if (json_is_real(value)) {
        (void)snprintf(ret, TEXT_SIZE, "%.1f", json_real_value(value));
    } else if (json_is_array(value) || json_is_object(value)) {
        char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(12));
        make_safe(text == NULL ? "" : text, ret);
        free(text);
    } else {
        (void)snprintf(ret, TEXT_SIZE, "-");
    }
}

/* Characters, not bytes. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static const char *colour_of(const char *text)
{
    static const struct {
        const char *word;
        const char *colour;
    } rows[] = {
        {"alive", good},   {"running", good},    {"healthy", good},  {"active", good},
        {"suspect", odd},  {"degraded", odd},    {"warning", odd},   {"starting", odd},
        {"paused", odd},   {"warn", odd},        {"dead", bad},      {"failed", bad},
        {"critical", bad}, {"error", bad},       {"covered", good},  {"unproven", odd},
        {"unknown", odd},  {"shared_fate", odd}, {"uncovered", bad},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].word, text) == 0) {
            return rows[i].colour;
        }
    }
    return NULL;
}

static size_t print_text(FILE *out, const char *text, bool colour)
{
    const char *start = colour ? colour_of(text) : NULL;
    (void)fprintf(out, "%s%s%s", start == NULL ? "" : start, text, start == NULL ? "" : plain);
    return width_of(text);
}

size_t table_print_value(FILE *out, const json_t *value, bool colour)
{
    char text[TEXT_SIZE];
    value_text(value, text);
    return print_text(out, text, colour);
}

static void pad(FILE *out, size_t used, size_t width)
{
    for (; used < width; used++) {
        (void)fputc(' ', out);
    }
}

static void print_rows(FILE *out, const json_t *rows, const struct table_column *columns,
                       size_t count, int indent, bool colour)
{
    size_t widths[COLUMNS_MAX];
    char text[TEXT_SIZE];
    count = count < COLUMNS_MAX ? count : COLUMNS_MAX;
    for (size_t i = 0; i < count; i++) {
        widths[i] = width_of(columns[i].title);
        for (size_t row = 0; row < json_array_size(rows); row++) {
            value_text(json_object_get(json_array_get(rows, row), columns[i].key), text);
            widths[i] = width_of(text) > widths[i] ? width_of(text) : widths[i];
        }
    }
    pad(out, 0, (size_t)indent);
    for (size_t i = 0; i < count; i++) {
        (void)fputs(columns[i].title, out);
        pad(out, width_of(columns[i].title), i + 1 < count ? widths[i] + 2 : 0);
    }
    (void)fputc('\n', out);
    for (size_t row = 0; row < json_array_size(rows); row++) {
        pad(out, 0, (size_t)indent);
        for (size_t i = 0; i < count; i++) {
            size_t used = table_print_value(
                out, json_object_get(json_array_get(rows, row), columns[i].key), colour);
            pad(out, used, i + 1 < count ? widths[i] + 2 : 0);
        }
        (void)fputc('\n', out);
    }
}

void table_print(FILE *out, const json_t *rows, const struct table_column *columns, size_t count,
                 bool colour)
{
    if (json_array_size(rows) == 0) {
        (void)fputs("none\n", out);
        return;
    }
    print_rows(out, rows, columns, count, 0, colour);
}

void table_print_any(FILE *out, const json_t *rows, int indent, bool colour)
{
    struct table_column columns[COLUMNS_MAX];
    size_t count = 0;
    const char *key;
    json_t *value;
    json_t *first = json_array_get(rows, 0);
    if (first == NULL) {
        pad(out, 0, (size_t)indent);
        (void)fputs("none\n", out);
        return;
    }
    if (!json_is_object(first)) {
        for (size_t i = 0; i < json_array_size(rows); i++) {
            pad(out, 0, (size_t)indent);
            (void)table_print_value(out, json_array_get(rows, i), colour);
            (void)fputc('\n', out);
        }
        return;
    }
    json_object_foreach(first, key, value)
    {
        if (!json_is_object(value) && !json_is_array(value) && count < COLUMNS_MAX) {
            columns[count++] = (struct table_column){key, key};
        }
    }
    print_rows(out, rows, columns, count, indent, colour);
}

void table_print_object(FILE *out, const json_t *object, int indent, bool colour)
{
    const char *key;
    json_t *value;
    size_t width = 0;
    json_object_foreach(doc_writable(object), key, value)
    {
        width = width_of(key) > width ? width_of(key) : width;
    }
    json_object_foreach(doc_writable(object), key, value)
    {
        char name[TEXT_SIZE];
        make_safe(key, name);
        pad(out, 0, (size_t)indent);
        (void)fputs(name, out);
        if (json_is_object(value)) {
            (void)fputc('\n', out);
            table_print_object(out, value, indent + 2, colour);
        } else if (json_is_array(value)) {
            (void)fputc('\n', out);
            table_print_any(out, value, indent + 2, colour);
        } else {
            pad(out, width_of(name), width + 2);
            (void)table_print_value(out, value, colour);
            (void)fputc('\n', out);
        }
    }
}
