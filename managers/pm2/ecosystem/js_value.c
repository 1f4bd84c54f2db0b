#include "managers/pm2/ecosystem/js_value.h"

#include "node/base/doc.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAFE_INTEGER 9007199254740992.0 /* 2^53: beyond it a double skips whole numbers */
#define NUMBER_TEXT_SIZE 32
#define DEPTH_MAX 64
#define LITERAL_SIZE 512

const char *js_mark(const json_t *value)
{
    return json_is_object(value) && json_object_size(value) == 1
               ? json_string_value(json_object_get(value, JS_MARK))
               : NULL;
}

const char *js_type(const json_t *value)
{
    const char *mark = js_mark(value);
    if (mark != NULL) {
        return strcmp(mark, "NaN") == 0 || strcmp(mark, "Infinity") == 0 ? "Number" : mark;
    }
    if (value == NULL) {
        return "Undefined";
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "Object";
    case JSON_ARRAY:
        return "Array";
    case JSON_STRING:
        return "String";
    case JSON_INTEGER:
    case JSON_REAL:
        return "Number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "Boolean";
    case JSON_NULL:
        break;
    }
    return "Null";
}

bool js_truthy(const json_t *value)
{
    const char *mark = js_mark(value);
    if (mark != NULL) {
        return strcmp(mark, "NaN") != 0;
    }
    if (json_is_string(value)) {
        return json_string_length(value) > 0;
    }
    if (json_is_number(value)) {
        return json_number_value(value) != 0;
    }
    return value != NULL && !json_is_null(value) && !json_is_false(value);
}

bool js_is_space(const char *text, size_t *ret_length)
{
    /* NO-BREAK SPACE, OGHAM, EN QUAD.. are rare; those that editors leave behind are here. */
    static const char *const wide[] = {"\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\xa8",
                                       "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
                                       "\xe3\x80\x80", "\xef\xbb\xbf"};
    *ret_length = 1;
    if ((text[0] >= '\t' && text[0] <= '\r') || text[0] == ' ') {
        return true;
    }
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
        if (strncmp(text, wide[i], strlen(wide[i])) == 0) {
            *ret_length = strlen(wide[i]);
            return true;
        }
    }
    bool quad = strncmp(text, "\xe2\x80", 2) == 0 && (unsigned char)text[2] >= 0x80 &&
                (unsigned char)text[2] <= 0x8a; /* U+2000 to U+200A */
    *ret_length = quad ? 3 : 1;
    return quad;
}

static const char *skip_space(const char *text)
{
    size_t length;
    while (*text != '\0' && js_is_space(text, &length)) {
        text += length;
    }
    return text;
}

/* The end of a decimal literal at `text`; `text` itself when there is none. */
static const char *decimal_end(const char *text)
{
    const char *at = text + (*text == '+' || *text == '-' ? 1 : 0);
    if (strncmp(at, "Infinity", 8) == 0) {
        return at + 8;
    }
    const char *digits = at;
    while (isdigit((unsigned char)*at)) {
        at++;
    }
    bool any = at > digits;
    if (*at == '.') {
        const char *fraction = ++at;
        while (isdigit((unsigned char)*at)) {
            at++;
        }
        any = any || at > fraction;
    }
    if (!any) {
        return text;
    }
    if (*at == 'e' || *at == 'E') {
        const char *power = at + 1 + (at[1] == '+' || at[1] == '-' ? 1 : 0);
        if (isdigit((unsigned char)*power)) {
            while (isdigit((unsigned char)*power)) {
                power++;
            }
            at = power;
        }
    }
    return at;
}

/* "0x1f", "0b1", "0o7" and nothing behind. */
static bool is_radix_literal(const char *text)
{
    const char *digits = NULL;
    if (text[0] == '0' && text[1] != '\0') {
        switch (text[1] | 0x20) {
        case 'x':
            digits = "0123456789abcdefABCDEF";
            break;
        case 'o':
            digits = "01234567";
            break;
        case 'b':
            digits = "01";
            break;
        default:
            break;
        }
    }
    size_t length = digits == NULL ? 0 : strspn(text + 2, digits);
    return length > 0 && *skip_space(text + 2 + length) == '\0';
}

static bool text_is_nan(const char *text)
{
    const char *start = skip_space(text);
    const char *end = decimal_end(start);
    return *start != '\0' && !is_radix_literal(start) && (end == start || *skip_space(end) != '\0');
}

/* What a list with a single element stands for as text, however deep; *ret_longer: it has more. */
static const json_t *only_element(const json_t *value, bool *ret_longer)
{
    *ret_longer = false;
    for (int i = 0; i < DEPTH_MAX && json_is_array(value) && !*ret_longer; i++) {
        *ret_longer = json_array_size(value) > 1;
        value = json_array_get(value, 0);
    }
    return value;
}

bool js_is_nan(const json_t *value)
{
    const char *mark = js_mark(value);
    if (mark != NULL) {
        return strcmp(mark, "Infinity") != 0 && strcmp(mark, "Date") != 0;
    }
    if (json_is_array(value)) {
        bool longer;
        value = only_element(value, &longer);
        /* A list is its text: [true] is "true", [null] and [[]] are "", [1, 2] is "1,2". */
        return longer || json_is_boolean(value) || js_mark(value) != NULL ||
               json_is_object(value) || json_is_array(value) ||
               (json_is_string(value) && text_is_nan(json_string_value(value)));
    }
    if (json_is_string(value)) {
        return text_is_nan(json_string_value(value));
    }
    return value == NULL || json_is_object(value);
}

double js_float_text(const char *text)
{
    const char *start = skip_space(text);
    const char *end = decimal_end(start);
    char literal[LITERAL_SIZE]; /* alone, as strtod takes "0x10" for more than its 0 */
    size_t length = (size_t)(end - start) < sizeof literal ? (size_t)(end - start) : 0;
    memcpy(literal, start, length);
    literal[length] = '\0';
    return length == 0 ? (double)NAN : strtod(literal, NULL);
}

double js_int_text(const char *text)
{
    const char *at = skip_space(text);
    const char *digits = at + (*at == '+' || *at == '-' ? 1 : 0);
    if (!isdigit((unsigned char)*digits)) {
        return (double)NAN;
    }
    double value = 0;
    for (; isdigit((unsigned char)*digits); digits++) {
        value = value * 10 + (*digits - '0');
    }
    return *at == '-' ? -value : value;
}

double js_float(const json_t *value)
{
    bool longer;
    const json_t *one = only_element(value, &longer);
    if (json_is_number(one)) {
        return json_number_value(one);
    }
    return json_is_string(one) ? js_float_text(json_string_value(one)) : (double)NAN;
}

json_t *js_number(double value)
{
    if (!isfinite(value)) {
        return json_null();
    }
    return value == floor(value) && fabs(value) < SAFE_INTEGER ? json_integer((json_int_t)value)
                                                               : json_real(value);
}

/* The fewest digits that read back to the same number. */
static void format_real(double value, char ret[NUMBER_TEXT_SIZE])
{
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(ret, NUMBER_TEXT_SIZE, "%.*g", digits, value);
        if (strtod(ret, NULL) == value) {
            break;
        }
    }
    if (fabs(value) < 1e21 && strchr(ret, 'e') != NULL && value == floor(value)) {
        (void)snprintf(ret, NUMBER_TEXT_SIZE, "%.0f", value);
    }
}

bool js_text(const json_t *value, char *ret, size_t size)
{
    char number[NUMBER_TEXT_SIZE];
    int length = -1;
    if (json_is_string(value)) {
        length = snprintf(ret, size, "%s", json_string_value(value));
    } else if (json_is_integer(value)) {
        length = snprintf(ret, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (json_is_real(value)) {
        format_real(json_real_value(value), number);
        length = snprintf(ret, size, "%s", number);
    } else if (json_is_boolean(value)) {
        length = snprintf(ret, size, "%s", json_is_true(value) ? "true" : "false");
    } else if (json_is_null(value)) {
        length = snprintf(ret, size, "null");
    }
    return length >= 0 && (size_t)length < size;
}

/* The digits that every real of the document needs to read back. */
static size_t digits_needed(const json_t *value, int depth)
{
    size_t most = 1;
    const char *key;
    json_t *item;
    size_t index;
    if (depth > DEPTH_MAX) {
        return most;
    }
    if (json_is_real(value)) {
        char text[NUMBER_TEXT_SIZE];
        double number = json_real_value(value);
        do {
            (void)snprintf(text, sizeof text, "%.*g", (int)most, number);
        } while (strtod(text, NULL) != number && most++ < 17);
        return most;
    }
    if (json_is_array(value)) {
        json_array_foreach(value, index, item)
        {
            size_t digits = digits_needed(item, depth + 1);
            most = digits > most ? digits : most;
        }
    }
    if (json_is_object(value)) {
        void *iterator = json_object_iter(doc_writable(value));
        for (; iterator != NULL; iterator = json_object_iter_next(doc_writable(value), iterator)) {
            key = json_object_iter_key(iterator);
            size_t digits = digits_needed(json_object_get(value, key), depth + 1);
            most = digits > most ? digits : most;
        }
    }
    return most;
}

char *js_stringify(const json_t *value)
{
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY |
                                 JSON_REAL_PRECISION(digits_needed(value, 0)));
}
