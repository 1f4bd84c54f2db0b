#include "node/config/config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* "12.5" with at most three digits after the point, in thousandths; false past INT64_MAX / 1000. */
static bool parse_thousandths(const char **cursor, int64_t *ret)
{
    const char *at = *cursor;
    if (!isdigit((unsigned char)*at)) {
        return false;
    }
    int64_t value = 0;
    for (; isdigit((unsigned char)*at); at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *at - '0', &value)) {
            return false;
        }
    }
    if (__builtin_mul_overflow(value, 1000, &value)) {
        return false;
    }
    if (*at == '.') {
        int64_t weight = 100;
        at++;
        if (!isdigit((unsigned char)*at)) {
            return false;
        }
        for (; isdigit((unsigned char)*at); at++, weight /= 10) {
            if ((weight == 0 && *at != '0') ||
                __builtin_add_overflow(value, weight * (*at - '0'), &value)) {
                return false;
            }
        }
    }
    *cursor = at;
    *ret = value;
    return true;
}

/* value / 1000 * factor, exactly; false when it is no whole number or too large. */
static bool scale(int64_t thousandths, int64_t factor, int64_t *ret)
{
    int64_t product = 0;
    int64_t whole = thousandths / 1000;
    int64_t rest = (thousandths % 1000) * (factor % 1000 == 0 ? factor / 1000 : factor);
    if (factor % 1000 != 0) {
        if (rest % 1000 != 0 && factor == 1) {
            return false;
        }
        rest /= 1000;
    }
    return !__builtin_mul_overflow(whole, factor, &product) &&
           !__builtin_add_overflow(product, rest, ret);
}

bool config_parse_duration(const char *text, bool bare_is_ms, int64_t *ret_ms)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    int64_t thousandths = 0;
    if (!parse_thousandths(&text, &thousandths)) {
        return false;
    }
    if (*text == '\0') {
        return bare_is_ms && scale(thousandths, 1, ret_ms);
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(text, units[i].name) == 0) {
            return scale(thousandths, units[i].factor, ret_ms);
        }
    }
    return false;
}

bool config_parse_size(const char *text, int64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1},           {"B", 1},           {"K", 1LL << 10},
        {"KB", 1LL << 10}, {"KiB", 1LL << 10}, {"M", 1LL << 20},
        {"MB", 1LL << 20}, {"MiB", 1LL << 20}, {"G", 1LL << 30},
        {"GB", 1LL << 30}, {"GiB", 1LL << 30}, {"T", 1LL << 40},
        {"TB", 1LL << 40}, {"TiB", 1LL << 40},
    };
    int64_t thousandths = 0;
    if (!parse_thousandths(&text, &thousandths)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcasecmp(text, units[i].name) == 0) {
            return scale(thousandths, units[i].factor, ret_bytes);
        }
    }
    return false;
}

const char *config_format_duration(int64_t ms, char ret[32])
{
    static const struct unit units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (ms != 0 && ms % units[i].factor == 0) {
            (void)snprintf(ret, 32, "%lld%s", (long long)(ms / units[i].factor), units[i].name);
            return ret;
        }
    }
    if (ms > 1000 && ms % 100 == 0) {
        (void)snprintf(ret, 32, "%lld.%llds", (long long)(ms / 1000), (long long)(ms % 1000 / 100));
    } else {
        (void)snprintf(ret, 32, "%lldms", (long long)ms);
    }
    return ret;
}

const char *config_format_size(int64_t bytes, char ret[32])
{
    static const struct unit units[] = {{"GB", 1LL << 30}, {"MB", 1LL << 20}, {"KB", 1LL << 10}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (bytes != 0 && bytes % units[i].factor == 0) {
            (void)snprintf(ret, 32, "%lld%s", (long long)(bytes / units[i].factor), units[i].name);
            return ret;
        }
    }
    (void)snprintf(ret, 32, "%lldB", (long long)bytes);
    return ret;
}
