/* An app by PM2's schema: which spelling of a key counts, which values are taken, and what becomes
 * of them. What PM2 drops here it drops in silence. */
#include "managers/pm2/ecosystem/js_value.h"
#include "managers/pm2/ecosystem/parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 1024

/* ---- words of a text ---- */

/* The end of a quoted run at `text`, which stands on the quote; NULL when it does not end. */
static const char *quote_end(const char *text)
{
    const char *end = strchr(text + 1, *text);
    return end == NULL ? NULL : end + 1;
}

static size_t space_length(const char *text)
{
    size_t length;
    return *text != '\0' && js_is_space(text, &length) ? length : 0;
}

/* The end of one word: NAME="...", NAME='...', "...", '...' or up to a space. */
static const char *word_end(const char *text)
{
    const char *at = text;
    while (*at != '\0' && strchr("\"'=", *at) == NULL && space_length(at) == 0) {
        at++;
    }
    const char *end = NULL;
    if (at > text && *at == '=' && (at[1] == '"' || at[1] == '\'')) {
        end = quote_end(at + 1);
    } else if (at == text && (*at == '"' || *at == '\'')) {
        end = quote_end(at);
    }
    if (end != NULL) {
        return end;
    }
    while (*text != '\0' && space_length(text) == 0) {
        text++;
    }
    return text;
}

static bool is_blank(const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t space = space_length(text + at);
        if (space == 0) {
            return false;
        }
        at += space;
    }
    return true;
}

static json_t *split_words(const char *text)
{
    json_t *ret = json_array();
    while (*text != '\0' && json_array_size(ret) < WORDS_MAX) {
        size_t space = space_length(text);
        if (space > 0) {
            text += space;
            continue;
        }
        const char *end = word_end(text);
        size_t length = (size_t)(end - text);
        bool quoted = length >= 2 && (*text == '"' || *text == '\'') && end[-1] == *text;
        /* A lone quote is its own first and last character, and nothing is left of it. */
        bool lone = length == 1 && (*text == '"' || *text == '\'');
        const char *word = text + (quoted ? 1 : 0);
        size_t word_length = lone ? 0 : length - (quoted ? 2 : 0);
        if (!is_blank(word, word_length)) {
            (void)json_array_append_new(ret, json_stringn(word, word_length));
        }
        text = end;
    }
    return ret;
}

/* ---- one value ---- */

static bool type_accepted(const struct schema_row *row, const char *type)
{
    static const struct {
        const char *name;
        unsigned type;
    } names[] = {{"String", SCHEMA_STRING},
                 {"Number", SCHEMA_NUMBER},
                 {"Boolean", SCHEMA_BOOLEAN},
                 {"Array", SCHEMA_ARRAY},
                 {"Object", SCHEMA_OBJECT}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].name, type) == 0) {
            return (row->types & names[i].type) != 0;
        }
    }
    return false;
}

/* Digits and at most one of `units` behind them. */
static bool is_count(const char *text, const char *units)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 &&
           (text[digits] == '\0' || (strchr(units, text[digits]) != NULL && text[digits + 1] == 0));
}

static bool form_accepted(const struct schema_row *row, const char *text)
{
    static const char *const modes[] = {"fork", "cluster", "fork_mode", "cluster_mode"};
    switch (row->form) {
    case SCHEMA_ANY:
        return true;
    case SCHEMA_SIZE:
        return is_count(text, "GMK");
    case SCHEMA_TIME:
        return is_count(text, "hms");
    case SCHEMA_MODE:
        break;
    }
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(modes[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static double unit_of(char letter)
{
    static const struct {
        char letter;
        double factor;
    } units[] = {{'G', 1024.0 * 1024 * 1024},
                 {'M', 1024.0 * 1024},
                 {'K', 1024.0},
                 {'h', 3600000},
                 {'m', 60000},
                 {'s', 1000}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].letter == letter) {
            return units[i].factor;
        }
    }
    return (double)NAN;
}

static void refuse(struct app *self, const char *key, const struct schema_row *row,
                   const char *type)
{
    char expected[96];
    char text[REPORT_TEXT_MAX];
    (void)snprintf(text, sizeof text, "PM2 refuses %s and starts nothing of the whole file", type);
    app_reject(self, key, schema_expected(row, expected, sizeof expected), text);
}

/* As number: what PM2 takes for one, whatever it was. */
static json_t *take_number(struct app *self, const char *key, const struct schema_row *row,
                           const json_t *value)
{
    double number = js_float(value);
    if (!isfinite(number)) {
        report_add(self->report, REPORT_WARNING, key, "a number",
                   "PM2 makes NaN of it, which its daemon gets as null");
        return json_null();
    }
    if (row->has_minimum && number < row->minimum) {
        char expected[48];
        char text[96];
        (void)snprintf(expected, sizeof expected, "%.0f or more", row->minimum);
        (void)snprintf(text, sizeof text, "PM2 refuses %.15g and starts nothing of the whole file",
                       number);
        app_reject(self, key, expected, text);
        return NULL;
    }
    if (!json_is_number(value)) {
        report_add(self->report,
                   json_is_string(value) && !isnan(js_float(value)) ? REPORT_INFO : REPORT_WARNING,
                   key, "a number", "PM2 takes the number %.15g", number);
    }
    return js_number(number);
}

static json_t *take_string(struct app *self, const char *key, const struct schema_row *row,
                           const char *text)
{
    size_t length = strlen(text);
    if (!form_accepted(row, text)) {
        char expected[96];
        char what[REPORT_TEXT_MAX];
        (void)snprintf(what, sizeof what,
                       "PM2 refuses \"%.60s\" and starts nothing of the whole file", text);
        app_reject(self, key, schema_expected(row, expected, sizeof expected), what);
        return NULL;
    }
    if ((row->types & SCHEMA_SPLIT) != 0) {
        return split_words(text);
    }
    if ((row->form == SCHEMA_SIZE || row->form == SCHEMA_TIME) && length >= 2) {
        return js_number(js_float_text(text) * unit_of(text[length - 1]));
    }
    return json_string(text);
}

/* What PM2 keeps of a value; NULL: nothing. A new reference. */
static json_t *take_value(struct app *self, const char *key, const struct schema_row *row,
                          const json_t *value)
{
    const char *type = js_type(value);
    if (value == NULL || json_is_null(value)) {
        return NULL;
    }
    if ((row->types & SCHEMA_NUMBER) != 0 && strcmp(type, "Boolean") != 0 && !js_is_nan(value)) {
        return take_number(self, key, row, value);
    }
    if (!type_accepted(row, type)) {
        char named[64];
        (void)snprintf(named, sizeof named, "a value of type %.40s", type);
        refuse(self, key, row, named);
        return NULL;
    }
    if (js_mark(value) != NULL) { /* NaN */
        report_add(self->report, REPORT_WARNING, key, "a number", "PM2's daemon gets null");
        return json_null();
    }
    return json_is_string(value) ? take_string(self, key, row, json_string_value(value))
                                 : json_deep_copy(value);
}

/* ---- which spelling counts ---- */

/* Of 0, false and "" PM2 forgets that they are there; where that changes something. */
static void tell_forgotten(struct app *self, const struct schema_row *row, const char *key,
                           const json_t *value)
{
    static const char *const harmless[] = {"restart_delay", "exp_backoff_restart_delay",
                                           "watch_delay", "cron_restart", "execute_command"};
    char expected[96];
    bool quiet = json_is_null(value) ||
                 (json_is_false(value) && strcmp(row->key, "source_map_support") != 0);
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++) {
        quiet = quiet || strcmp(harmless[i], row->key) == 0;
    }
    if (!quiet) {
        bool text = json_is_string(value);
        report_add(self->report, text ? REPORT_INFO : REPORT_WARNING, key,
                   schema_expected(row, expected, sizeof expected),
                   "PM2 ignores %s here and takes its default",
                   text ? "an empty text" : (json_is_false(value) ? "false" : "0"));
    }
}

/* The value that counts, with the key that it is written under. */
static const json_t *choose(struct app *self, const struct schema_row *row, const char **ret_key)
{
    const json_t *value = json_object_get(self->given, row->key);
    const json_t *first = value;
    *ret_key = row->key;
    const char *first_key = row->key;
    for (size_t i = 0; i < SCHEMA_ALIASES_MAX && row->aliases[i] != NULL; i++) {
        const json_t *other = json_object_get(self->given, row->aliases[i]);
        if (!js_truthy(value)) {
            value = other;
            *ret_key = row->aliases[i];
        }
        if (first == NULL && other != NULL) {
            first = other;
            first_key = row->aliases[i];
        }
    }
    if (value == NULL && first != NULL && json_object_get(self->written, first_key) != NULL) {
        tell_forgotten(self, row, first_key, first);
    }
    return value;
}

static void tell_shadowed(struct app *self, const struct schema_row *row, const char *chosen)
{
    const char *names[SCHEMA_ALIASES_MAX + 1] = {row->key};
    if (json_object_get(self->written, chosen) == NULL) {
        return; /* one of the first steps put it there */
    }
    memcpy(&names[1], row->aliases, sizeof row->aliases);
    for (size_t i = 0; i < SCHEMA_ALIASES_MAX + 1; i++) {
        const json_t *value = names[i] == NULL ? NULL : json_object_get(self->written, names[i]);
        if (names[i] != NULL && js_truthy(value) && strcmp(names[i], chosen) != 0 &&
            (i == 0 || strcmp(names[i], row->key) != 0)) {
            report_add(self->report, REPORT_WARNING, names[i], NULL,
                       "PM2 ignores it because of `%s`, another name of the same", chosen);
        }
    }
}

static json_t *fallback_of(const struct schema_row *row)
{
    if (row->fallback == NULL) {
        return NULL;
    }
    if (strcmp(row->fallback, "true") == 0) {
        return json_true();
    }
    return row->types == SCHEMA_NUMBER ? json_integer(strtoll(row->fallback, NULL, 10))
                                       : json_string(row->fallback);
}

static void convert_row(struct app *self, const struct schema_row *row)
{
    const char *key;
    const json_t *value = choose(self, row, &key);
    if (value != NULL) {
        tell_shadowed(self, row, key);
    }
    json_t *taken = take_value(self, key, row, value);
    taken = taken == NULL ? fallback_of(row) : taken;
    if (taken != NULL) {
        (void)json_object_set_new(self->made, row->key, taken);
    }
}

/* ---- what the schema does not know ---- */

static void convert_section(struct app *self, const char *key, json_t *value)
{
    static const struct schema_row section = {.types = SCHEMA_OBJECT | SCHEMA_STRING};
    if (strcmp(key, "env_file") == 0) {
        report_add(self->report, REPORT_WARNING, key, NULL,
                   "PM2 reads no such file: it takes the key as the section for --env file");
    }
    if (json_is_null(value)) {
        refuse(self, key, &section, "null");
        return;
    }
    json_t *taken = take_value(self, key, &section, value);
    if (taken != NULL && js_truthy(taken)) {
        (void)json_object_set(self->made, key, taken);
    }
    json_decref(taken);
}

static void tell_unknown(struct app *self, const char *key)
{
    const char *nearest = schema_nearest(key);
    report_add(self->report, REPORT_WARNING, key, nearest, "PM2 knows no such key and ignores it");
}

void app_convert(struct app *self)
{
    size_t count;
    const struct schema_row *rows = schema_rows(&count);
    const char *key;
    json_t *value;
    for (size_t i = 0; i < count; i++) {
        convert_row(self, &rows[i]);
    }
    json_object_foreach(self->given, key, value)
    {
        if (schema_is_section(key) && schema_known(key) == NULL) {
            convert_section(self, key, value);
        }
    }
    void *at = json_object_iter(self->given);
    for (; at != NULL; at = json_object_iter_next(self->given, at)) {
        key = json_object_iter_key(at);
        if (schema_known(key) == NULL && !schema_taken_early(key) && !schema_is_section(key)) {
            tell_unknown(self, key);
        }
    }
}
