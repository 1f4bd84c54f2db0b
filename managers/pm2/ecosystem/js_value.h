/* What JavaScript makes of values, as far as PM2's treatment of an ecosystem file depends on it.
 *
 * Values are JSON. What JSON cannot hold (functions, dates, NaN, ...) comes from evaluate.h as an
 * object with the single member JS_MARK, whose text names its type. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_JS_VALUE_H
#define UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_JS_VALUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define JS_MARK "\x01js"

/* The type's name behind the mark ("Function", "Date", "NaN", ...); NULL for what JSON can hold. */
const char *js_mark(const json_t *value);

/* "String", "Number", "Boolean", "Array", "Object", "Null", or the name of a marked type. NULL
 * (nothing there) is "Undefined". */
const char *js_type(const json_t *value);

bool js_truthy(const json_t *value);

/* isNaN(value): false when Number(value) is a number, as of "5", "", [] and [5]. */
bool js_is_nan(const json_t *value);
/* parseFloat(value): the number at the beginning of its text; NaN when there is none. */
double js_float(const json_t *value);
double js_float_text(const char *text);
/* parseInt(text, 10). */
double js_int_text(const char *text);

/* A JSON number: whole ones become integers; null for what is not finite. A new reference. */
json_t *js_number(double value);

/* String(value) of a number, boolean, text or null into `ret`; false for others, and for what is
 * too long. */
bool js_text(const json_t *value, char *ret, size_t size);

/* JSON.stringify(value): compact, numbers in their shortest form. The caller frees; NULL when out
 * of memory. */
char *js_stringify(const json_t *value);

/* True for a space as \s of a regular expression, of the first character of `text`; *ret_length
 * bytes. */
bool js_is_space(const char *text, size_t *ret_length);

#endif
