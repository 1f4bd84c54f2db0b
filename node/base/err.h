/* Errors: negative codes of ours with a text that names what was seen and what was expected.
 *
 * A function that can fail returns 0 or a negative code and fills `struct err` at the place that
 * saw the failure; callers put context in front with err_wrap and never replace it. */
#ifndef UNDERSTUDY_NODE_BASE_ERR_H
#define UNDERSTUDY_NODE_BASE_ERR_H

#include <stdarg.h>

/* name, value, short text */
#define ERR_MAP(X)                                              \
    X(ERR_NOMEM, -1, "out of memory")                           \
    X(ERR_FULL, -2, "a bound is reached")                       \
    X(ERR_STALE, -3, "overtaken by a newer one")                \
    X(ERR_PROTO, -4, "malformed message")                       \
    X(ERR_IO, -5, "input or output failed")                     \
    X(ERR_INVALID, -6, "invalid argument or value")             \
    X(ERR_NOTFOUND, -7, "not found")                            \
    X(ERR_EXISTS, -8, "exists already")                         \
    X(ERR_NOTLEADER, -9, "not the leader")                      \
    X(ERR_BUSY, -10, "busy with another one")                   \
    X(ERR_DENIED, -11, "not allowed")                           \
    X(ERR_TIMEOUT, -12, "timed out")                            \
    X(ERR_CLOSED, -13, "closed")                                \
    X(ERR_CORRUPT, -14, "stored data is damaged")               \
    X(ERR_UNSUPPORTED, -15, "version or feature not supported") \
    X(ERR_UNSAFE, -16, "would break a safety rule")

enum err_code {
#define ERR_ENUM(name, value, text) name = (value),
    ERR_MAP(ERR_ENUM)
#undef ERR_ENUM
};

struct err {
    int code;      /* 0 or a negative ERR_ code */
    int os_errno;  /* errno at the place that failed, 0 if none */
    char msg[256]; /* one line, no secrets */
};

/* Set code and text. `err` may be NULL. Returns `code`, so `return err_set(...)` is the idiom. */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set, with the present errno and its text appended. */
int err_set_errno(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "context: " in front of the text. Returns err->code (or 0 when `err` is NULL). */
int err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Short text and name of a code; never NULL. */
const char *err_text(int code);
const char *err_name(int code);

#endif
