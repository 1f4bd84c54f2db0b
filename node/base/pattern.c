#include "node/base/pattern.h"

#include <stdlib.h>
#include <string.h>

/* Steps over a bracket expression, in which nothing but its end is special; `at` is behind '['. */
static const char *skip_bracket(const char *at)
{
    if (*at == '^') {
        at++;
    }
    if (*at == ']') {
        at++;
    }
    while (*at != '\0' && *at != ']') {
        if (*at == '[' && (at[1] == ':' || at[1] == '.' || at[1] == '=')) {
            const char end[] = {at[1], ']', '\0'};
            const char *found = strstr(at + 2, end);
            at = found != NULL ? found + 1 : at;
        }
        at++;
    }
    return at;
}

/* The larger bound of {m}, {m,} or {m,n}; `at` is behind '{'. */
static long repeats(const char *at)
{
    char *end;
    long least = strtol(at, &end, 10);
    long most = *end == ',' && end[1] != '}' ? strtol(end + 1, NULL, 10) : least;
    return most > least ? most : least;
}

static int check_cost(const char *text, struct err *err)
{
    long product = 1;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0') {
            at++;
            if (*at >= '1' && *at <= '9') {
                return err_set(err, ERR_INVALID, "back-references (\\%c) are not allowed", *at);
            }
        } else if (*at == '[') {
            at = skip_bracket(at + 1);
            if (*at == '\0') {
                break; /* the compiler says it better */
            }
        } else if (*at == '{') {
            long most = repeats(at + 1);
            product = most > PATTERN_REPEATS_MAX ? most : product * (most > 1 ? most : 1);
            if (product > PATTERN_REPEATS_MAX) {
                return err_set(err, ERR_INVALID, "more than %d repetitions are not allowed",
                               PATTERN_REPEATS_MAX);
            }
        }
    }
    return 0;
}

int pattern_compile(const char *text, regex_t *ret, struct err *err)
{
    if (text[0] == '\0' || strlen(text) > PATTERN_BYTES_MAX) {
        return err_set(err, ERR_INVALID, "a pattern has 1 to %d bytes", PATTERN_BYTES_MAX);
    }
    int rc = check_cost(text, err);
    if (rc != 0) {
        return rc;
    }
    int code = regcomp(ret, text, REG_EXTENDED | REG_NOSUB);
    if (code != 0) {
        char why[80];
        (void)regerror(code, ret, why, sizeof why);
        return err_set(err, ERR_INVALID, "%s", why);
    }
    return 0;
}
