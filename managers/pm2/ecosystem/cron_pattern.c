#include "managers/pm2/ecosystem/cron_pattern.h"

#include "managers/pm2/ecosystem/js_value.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#define PARTS_MAX 6

/* One of the six parts; values of `first` and up, `count` of them. */
struct part {
    const char *name;
    int first;
    int count;
};

static const struct part part_of[PARTS_MAX] = {{"seconds", 0, 60}, {"minutes", 0, 60},
                                               {"hours", 0, 24},   {"days", 1, 31},
                                               {"months", 1, 12},  {"days of the week", 0, 8}};

static int check_step(const struct part *part, const char *text, struct err *err)
{
    double step = js_int_text(text);
    if (!(step >= 1 && step <= part->count)) {
        return err_set(err, ERR_INVALID, "%s: a step of \"%.20s\" is not between 1 and %d",
                       part->name, text, part->count);
    }
    return 0;
}

static bool in_range(const struct part *part, double value)
{
    return value >= part->first && value < part->first + part->count;
}

/* "a-b"; with a step behind it each side must be digits alone. */
static int check_range(const struct part *part, const char *text, struct err *err)
{
    const char *dash = strchr(text, '-');
    double lower = js_int_text(text);
    double upper = js_int_text(dash + 1);
    if (strchr(dash + 1, '-') != NULL || isnan(lower) || isnan(upper)) {
        return err_set(err, ERR_INVALID, "%s: \"%.40s\" is no range", part->name, text);
    }
    if (!in_range(part, lower) || !in_range(part, upper) || lower > upper) {
        return err_set(err, ERR_INVALID, "%s: \"%.40s\" is out of range", part->name, text);
    }
    return 0;
}

static int check_stepped_range(const struct part *part, char *text, struct err *err)
{
    char *slash = strchr(text, '/');
    size_t digits = strspn(slash + 1, "0123456789");
    bool clean = digits > 0 && slash[1 + digits] == '\0';
    *slash = '\0';
    size_t left = strspn(text, "0123456789");
    clean = clean && left > 0 && text[left] == '-' &&
            strspn(text + left + 1, "0123456789") == strlen(text + left + 1) &&
            text[left + 1] != '\0';
    if (!clean) {
        return err_set(err, ERR_INVALID, "%s: \"%.40s\" is no range with a step", part->name, text);
    }
    int rc = check_range(part, text, err);
    return rc != 0 ? rc : check_step(part, slash + 1, err);
}

static int check_one(const struct part *part, char *text, bool listed, struct err *err)
{
    const char *slash = strchr(text, '/');
    bool range = strchr(text, '-') != NULL;
    if (strcmp(text, "*") == 0) {
        return 0;
    }
    if (listed && (range || slash != NULL)) {
        return err_set(err, ERR_INVALID, "%s: no range and no step beside \",\"", part->name);
    }
    if (range && slash != NULL) {
        return check_stepped_range(part, text, err);
    }
    if (range) {
        return check_range(part, text, err);
    }
    if (slash != NULL) {
        return strchr(slash + 1, '/') != NULL
                   ? err_set(err, ERR_INVALID, "%s: \"%.40s\" is no step", part->name, text)
                   : check_step(part, slash + 1, err);
    }
    double value = js_int_text(text);
    /* What begins with no digit is taken and means nothing, as croner does. */
    if (!isnan(value) && !in_range(part, value)) {
        return err_set(err, ERR_INVALID, "%s: %.20s is out of range", part->name, text);
    }
    return 0;
}

static int check_part(const struct part *part, char *text, struct err *err)
{
    bool listed = strchr(text, ',') != NULL;
    int rc = 0;
    for (char *at = text; rc == 0 && at != NULL;) {
        char *comma = strchr(at, ',');
        if (comma != NULL) {
            *comma++ = '\0';
        }
        rc = check_one(part, at, listed, err);
        at = comma;
    }
    return rc;
}

/* Every "jan" or "sun" becomes its number, wherever it stands. */
static void replace_names(char *text, const char *names, int first)
{
    size_t count = strlen(names) / 3;
    for (size_t i = 0; i < count; i++) {
        for (char *at = text; strlen(at) >= 3;) {
            if (strncasecmp(at, names + 3 * i, 3) != 0) {
                at++;
                continue;
            }
            int number = first + (int)i;
            size_t digits = number > 9 ? 2 : 1;
            memmove(at + digits, at + 3, strlen(at + 3) + 1);
            at[digits - 1] = (char)('0' + number % 10);
            at[0] = (char)(number > 9 ? '1' : '0' + number);
            at += digits;
        }
    }
}

static void replace_signs(size_t index, char *text)
{
    if (index == 3 && strcasecmp(text, "L") == 0) {
        text[0] = '*';
    } else if (index == 4) {
        replace_names(text, "janfebmaraprmayjunjulaugsepoctnovdec", 1);
    } else if (index == 5) {
        replace_names(text, "sunmontuewedthufrisat", 0);
    }
    char *now = strchr(text, '?'); /* the present value, always a good one; only the first */
    if (now != NULL) {
        *now = '1';
    }
}

static size_t split(char *text, char *parts[PARTS_MAX + 1])
{
    size_t count = 0;
    char *at = text + strspn(text, " \t\r\n\v\f");
    while (*at != '\0' && count <= PARTS_MAX) {
        parts[count++] = at;
        at += strcspn(at, " \t\r\n\v\f");
        size_t blanks = strspn(at, " \t\r\n\v\f");
        if (blanks > 0) {
            *at = '\0';
            at += blanks;
        }
    }
    return count;
}

int cron_pattern_check(const char *pattern, bool *ret_once, struct err *err)
{
    char text[CRON_PATTERN_SIZE];
    char *parts[PARTS_MAX + 1];
    const char *colon = strchr(pattern, ':');
    *ret_once = colon != NULL && colon > pattern;
    if (*ret_once) {
        return 0;
    }
    if (strlen(pattern) >= sizeof text) {
        return err_set(err, ERR_INVALID, "longer than %d bytes", CRON_PATTERN_SIZE - 1);
    }
    memcpy(text, pattern, strlen(pattern) + 1);
    size_t count = split(text, parts);
    if (count < 5 || count > PARTS_MAX) {
        return err_set(err, ERR_INVALID, "it has %zu%s parts instead of five or six", count,
                       count > PARTS_MAX ? " or more" : "");
    }
    size_t missing = PARTS_MAX - count; /* seconds */
    for (size_t i = 0; i < count; i++) {
        char *part = parts[i];
        replace_signs(i + missing, part);
        size_t good = strspn(part, "/*0123456789,-");
        if (part[good] != '\0') {
            return err_set(err, ERR_INVALID, "%s: \"%.40s\" holds what cron does not know",
                           part_of[i + missing].name, part);
        }
        int rc = check_part(&part_of[i + missing], part, err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
