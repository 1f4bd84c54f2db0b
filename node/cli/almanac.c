#include "node/cli/almanac.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#define MINUTE_S 60
#define MARGIN_S INT64_C(93600) /* 26 h; no change repeats more than a day */
#define JUMPS_MAX 512           /* two hundred years */
#define COLUMNS 5
#define VALUES_MAX 60

/* The clock was set between two minutes that follow each other; at_s is the second one. Without
 * that it would have shown `due_s` there, and it showed `shown_s`. Both as if in UTC. */
struct jump {
    int64_t at_s;
    int64_t due_s;
    int64_t shown_s;
};

struct almanac {
    const struct almanac_question *question;
    bool admits[COLUMNS][VALUES_MAX];
    bool either_day;
    bool every_hour;
    int64_t every_s; /* 0: the columns */
    struct jump jumps[JUMPS_MAX];
    size_t jump_count;
    int64_t *slots;
    size_t slots_max;
    size_t slot_count;
};

/* ---- the expression ---- */

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};
static const char *const no_names[] = {NULL};

static const struct column {
    int least;
    int most;
    const char *const *names;
} columns[COLUMNS] = {
    {0, 59, no_names},    {0, 23, no_names},     {1, 31, no_names},
    {1, 12, month_names}, {0, 7, weekday_names},
};

static bool read_number(const char *text, const struct column *column, int *ret)
{
    for (int i = 0; column->names[i] != NULL; i++) {
        if (strcasecmp(text, column->names[i]) == 0) {
            *ret = column->least + i;
            return true;
        }
    }
    char *end;
    long value = strtol(text, &end, 10);
    *ret = (int)value;
    return end != text && *end == '\0' && value >= 0 && value <= column->most;
}

/* Cuts the part at '/' and at '-'. */
static bool read_part(char *part, const struct column *column, bool *table)
{
    int first = column->least;
    int last = column->most;
    int step = 1;
    char *step_text = part;
    char *last_text = strsep(&step_text, "/");
    char *first_text = strsep(&last_text, "-");
    if (step_text != NULL && (!read_number(step_text, column, &step) || step == 0)) {
        return false;
    }
    if (strcmp(first_text, "*") != 0) {
        if (!read_number(first_text, column, &first)) {
            return false;
        }
        last = step_text != NULL ? last : first;
        if (last_text != NULL && !read_number(last_text, column, &last)) {
            return false;
        }
    }
    for (int value = column->least; value <= column->most; value++) {
        if (value >= first && value <= last && (value - first) % step == 0) {
            table[value] = true;
        }
    }
    return first >= column->least && last >= first;
}

static bool read_column(char *text, const struct column *column, bool *table)
{
    for (char *part; (part = strsep(&text, ",")) != NULL;) {
        if (!read_part(part, column, table)) {
            return false;
        }
    }
    return true;
}

static bool read_columns(struct almanac *self, char *text)
{
    size_t count = 0;
    bool starred[COLUMNS];
    for (char *word; (word = strsep(&text, " \t")) != NULL;) {
        if (*word == '\0') {
            continue; /* of several blanks */
        }
        if (count == COLUMNS) {
            return false;
        }
        starred[count] = *word == '*';
        if (!read_column(word, &columns[count], self->admits[count])) {
            return false;
        }
        count++;
    }
    self->admits[4][0] = self->admits[4][0] || self->admits[4][7];
    self->either_day = count == COLUMNS && !starred[2] && !starred[4];
    self->every_hour = true;
    for (int hour = 0; hour < 24; hour++) {
        self->every_hour = self->every_hour && self->admits[1][hour];
    }
    return count == COLUMNS;
}

static bool read_every(struct almanac *self, const char *text)
{
    static const char units[] = "smhd";
    static const int64_t unit_s[] = {1, 60, 3600, 86400};
    char *end;
    errno = 0;
    long long count = strtoll(text, &end, 10);
    const char *unit = *end == '\0' ? NULL : strchr(units, *end);
    if (errno != 0 || unit == NULL || count < 1 || count > 366 * INT64_C(86400)) {
        return false;
    }
    self->every_s = count * unit_s[unit - units];
    return true;
}

static const char *meaning_of(const char *text)
{
    static const struct {
        const char *word;
        const char *columns;
    } words[] = {{"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
                 {"@weekly", "0 0 * * 0"},  {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
                 {"@annually", "0 0 1 1 *"}};
    size_t length = strcspn(text, " \t");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i].word) == length && strncmp(text, words[i].word, length) == 0) {
            return words[i].columns;
        }
    }
    return text;
}

static int read_expression(struct almanac *self, struct err *err)
{
    const char *text = self->question->expression;
    text += strspn(text, " \t");
    if (strncmp(text, "every", 5) == 0) {
        return read_every(self, text + 5)
                   ? 0
                   : err_set(err, ERR_INVALID, "the almanac does not read \"%s\"", text);
    }
    char *copy = strdup(meaning_of(text));
    if (copy == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for an expression");
    }
    bool good = read_columns(self, copy);
    free(copy);
    return good ? 0 : err_set(err, ERR_INVALID, "the almanac does not read \"%s\"", text);
}

/* Is a local time in the expression? */
static bool admits(const struct almanac *self, int64_t local_s)
{
    time_t local = (time_t)local_s;
    struct tm shown;
    (void)gmtime_r(&local, &shown);
    bool day = self->admits[2][shown.tm_mday];
    bool weekday = self->admits[4][shown.tm_wday];
    return self->admits[0][shown.tm_min] && self->admits[1][shown.tm_hour] &&
           self->admits[3][shown.tm_mon + 1] &&
           (self->either_day ? day || weekday : day && weekday);
}

/* ---- the clock on the wall ---- */

static int64_t shown_at(int64_t instant_s)
{
    time_t instant = (time_t)instant_s;
    struct tm shown;
    (void)localtime_r(&instant, &shown);
    return instant_s + shown.tm_gmtoff;
}

static int64_t next_minute(int64_t instant_s)
{
    return (instant_s + MINUTE_S - 1) / MINUTE_S * MINUTE_S;
}

static int find_jumps(struct almanac *self, struct err *err)
{
    int64_t last_s = self->question->to_s + MARGIN_S;
    int64_t instant_s = next_minute(self->question->from_s) - MARGIN_S;
    int64_t due_s = shown_at(instant_s);
    for (; instant_s < last_s; instant_s += MINUTE_S) {
        int64_t shown_s = shown_at(instant_s);
        if (shown_s != due_s) {
            if (self->jump_count == JUMPS_MAX) {
                return err_set(err, ERR_FULL, "over %d changes of the clock; ask for less time",
                               JUMPS_MAX);
            }
            self->jumps[self->jump_count++] = (struct jump){instant_s, due_s, shown_s};
        }
        due_s = shown_s + MINUTE_S;
    }
    return 0;
}

/* Was a local minute of the expression left out just before that minute? */
static bool makes_up(const struct almanac *self, int64_t instant_s)
{
    for (size_t i = 0; i < self->jump_count; i++) {
        const struct jump *jump = &self->jumps[i];
        for (int64_t lost_s = jump->due_s; jump->at_s == instant_s && lost_s < jump->shown_s;
             lost_s += MINUTE_S) {
            if (admits(self, lost_s)) {
                return true;
            }
        }
    }
    return false;
}

/* Does the policy for what comes twice leave this one out? */
static bool is_other_time(const struct almanac *self, int64_t instant_s, int64_t local_s)
{
    for (size_t i = 0; i < self->jump_count; i++) {
        const struct jump *jump = &self->jumps[i];
        bool is_twice = local_s >= jump->shown_s && local_s < jump->due_s;
        bool is_second = instant_s >= jump->at_s;
        if (is_twice && ((self->question->fold == CALENDAR_FOLD_FIRST && is_second) ||
                         (self->question->fold == CALENDAR_FOLD_SECOND && !is_second))) {
            return true;
        }
    }
    return false;
}

static bool is_slot(const struct almanac *self, int64_t instant_s)
{
    int64_t local_s = shown_at(instant_s);
    if (self->every_hour) {
        return admits(self, local_s);
    }
    if (self->question->gap == CALENDAR_GAP_NEXT && makes_up(self, instant_s)) {
        return true;
    }
    return admits(self, local_s) && !is_other_time(self, instant_s, local_s);
}

/* ---- slots ---- */

static int keep(struct almanac *self, int64_t instant_s, struct err *err)
{
    if (self->slot_count == self->slots_max) {
        return err_set(err, ERR_FULL, "over %zu slots; ask for less time", self->slots_max);
    }
    self->slots[self->slot_count++] = instant_s;
    return 0;
}

static int walk_seconds(struct almanac *self, struct err *err)
{
    int rc = 0;
    for (int64_t at_s = self->question->from_s; rc == 0 && at_s < self->question->to_s; at_s++) {
        if ((at_s - self->question->anchor_s) % self->every_s == 0) {
            rc = keep(self, at_s, err);
        }
    }
    return rc;
}

static int walk_minutes(struct almanac *self, struct err *err)
{
    int rc = find_jumps(self, err);
    int64_t at_s = next_minute(self->question->from_s);
    for (; rc == 0 && at_s < self->question->to_s; at_s += MINUTE_S) {
        if (is_slot(self, at_s)) {
            rc = keep(self, at_s, err);
        }
    }
    return rc;
}

/* The C library takes a zone that it cannot find for UTC, and tells nobody. */
static int check_zone(const char *zone, const char *path, struct err *err)
{
    struct stat status;
    bool is_inside = zone[0] != '\0' && zone[0] != '/' && strstr(zone, "..") == NULL;
    if (!is_inside || stat(path, &status) != 0 || !S_ISREG(status.st_mode)) {
        return err_set(err, ERR_NOTFOUND, "no time zone \"%s\" in %s; is tzdata installed?", zone,
                       ALMANAC_ZONES);
    }
    return 0;
}

/* NULL: none. */
static int set_zone(const char *value, struct err *err)
{
    int rc = value == NULL ? unsetenv("TZ") : setenv("TZ", value, 1);
    tzset();
    return rc == 0 ? 0 : err_set_errno(err, ERR_NOMEM, "cannot set TZ");
}

static int walk_in_zone(struct almanac *self, struct err *err)
{
    char value[256];
    int length = snprintf(value, sizeof value, ":%s/%s", ALMANAC_ZONES, self->question->zone);
    if (length < 0 || (size_t)length >= sizeof value) {
        return err_set(err, ERR_NOTFOUND, "no time zone has a name of that length");
    }
    int rc = check_zone(self->question->zone, value + 1, err);
    if (rc != 0) {
        return rc;
    }
    const char *before = getenv("TZ");
    char *kept = before == NULL ? NULL : strdup(before);
    if (before != NULL && kept == NULL) {
        return err_set(err, ERR_NOMEM, "no memory to keep TZ");
    }
    rc = set_zone(value, err);
    rc = rc == 0 ? walk_minutes(self, err) : rc;
    int restored = set_zone(kept, rc == 0 ? err : NULL);
    free(kept);
    return rc != 0 ? rc : restored;
}

int almanac_slots(const struct almanac_question *question, int64_t *ret, size_t max,
                  size_t *ret_count, struct err *err)
{
    *ret_count = 0;
    if (question->from_s < ALMANAC_FIRST_S || question->to_s > ZONE_INSTANT_MAX) {
        return err_set(err, ERR_INVALID, "the almanac knows the years 1973 to 2499");
    }
    struct almanac *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for an almanac");
    }
    self->question = question;
    self->slots = ret;
    self->slots_max = max;
    int rc = read_expression(self, err);
    if (rc == 0) {
        rc = self->every_s > 0 ? walk_seconds(self, err) : walk_in_zone(self, err);
    }
    *ret_count = self->slot_count;
    free(self);
    return rc;
}
