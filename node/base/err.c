#include "node/base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *format, ...)
{
    if (err == NULL) {
        return code;
    }
    err->code = code;
    err->os_errno = 0;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
    return code;
}

int err_set_errno(struct err *err, int code, const char *format, ...)
{
    int saved = errno;
    if (err == NULL) {
        return code;
    }
    err->code = code;
    err->os_errno = saved;
    va_list args;
    va_start(args, format);
    int written = vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
    size_t used = written < 0 ? 0 : (size_t)written;
    if (used < sizeof err->msg) {
        (void)snprintf(err->msg + used, sizeof err->msg - used, ": %s", strerrordesc_np(saved));
    }
    return code;
}

int err_wrap(struct err *err, const char *format, ...)
{
    if (err == NULL) {
        return 0;
    }
    char inner[sizeof err->msg];
    memcpy(inner, err->msg, sizeof inner);
    va_list args;
    va_start(args, format);
    int written = vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
    size_t used = written < 0 ? 0 : (size_t)written;
    if (used < sizeof err->msg) {
        /* What does not fit is cut off at the end, where the oldest text is. */
        int room = (int)(sizeof err->msg - used) - 1;
        int kept = room > 2 ? room - 2 : 0;
        (void)snprintf(err->msg + used, sizeof err->msg - used, ": %.*s", kept, inner);
    }
    return err->code;
}

const char *err_text(int code)
{
    switch (code) {
#define ERR_CASE(name, value, text) \
    case name:                      \
        return text;
        ERR_MAP(ERR_CASE)
#undef ERR_CASE
    default:
        return code == 0 ? "no error" : "unknown error";
    }
}

const char *err_name(int code)
{
    switch (code) {
#define ERR_CASE(name, value, text) \
    case name:                      \
        return #name;
        ERR_MAP(ERR_CASE)
#undef ERR_CASE
    default:
        return code == 0 ? "OK" : "ERR_UNKNOWN";
    }
}
