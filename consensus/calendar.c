#include "consensus/calendar.h"

#include <stdio.h>
#include <string.h>

#define MINUTE_S INT64_C(60)
#define HOUR_S INT64_C(3600)
#define DAY_S INT64_C(86400)
#define DAYS_MAX (9 * 366) /* looked ahead: 29 February is left out for eight years around 2100 */

/* ---- parsing ---- */

struct field {
    const char *name;
    int least;
    int most;
    const char *words; /* three letters each, from `least` on; NULL: none */
};

static const struct field fields[] = {
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day of month", 1, 31, NULL},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day of week", 0, 7, "sunmontuewedthufrisat"},
};

struct reader {
    const char *text;
    size_t at;
    const struct field *field;
    struct err *err;
};

static int wrong(const struct reader *reader, const char *expected)
{
    return err_set(reader->err, ERR_INVALID, "\"%.*s\", column %zu, %s: expected %s",
                   CALENDAR_TEXT_MAX, reader->text, reader->at + 1, reader->field->name, expected);
}

static int wrong_number(const struct reader *reader)
{
    char expected[96];
    const struct field *field = reader->field;
    (void)snprintf(expected, sizeof expected, "a number from %d to %d%s", field->least, field->most,
                   field->words == NULL ? "" : ", or an English name of three letters");
    return wrong(reader, expected);
}

static char lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

/* -1: no word of the field. */
static int read_word(struct reader *reader)
{
    const char *words = reader->field->words;
    for (int i = 0; words != NULL && words[i] != '\0'; i += 3) {
        int same = 0;
        while (same < 3 && lower(reader->text[reader->at + (size_t)same]) == words[i + same]) {
            same++;
        }
        if (same == 3) {
            reader->at += 3;
            return reader->field->least + i / 3;
        }
    }
    return -1;
}

static int read_digits(struct reader *reader, int most)
{
    int value = -1;
    while (reader->text[reader->at] >= '0' && reader->text[reader->at] <= '9') {
        value = (value < 0 ? 0 : value) * 10 + (reader->text[reader->at] - '0');
        if (value > most) {
            return -1;
        }
        reader->at++;
    }
    return value;
}

static int read_value(struct reader *reader, int *ret)
{
    size_t began = reader->at;
    *ret = read_word(reader);
    if (*ret < 0) {
        *ret = read_digits(reader, reader->field->most);
    }
    if (*ret < reader->field->least) {
        reader->at = began;
        return wrong_number(reader);
    }
    return 0;
}

static int read_step(struct reader *reader, int *ret)
{
    *ret = 1;
    if (reader->text[reader->at] != '/') {
        return 0;
    }
    size_t began = ++reader->at;
    *ret = read_digits(reader, reader->field->most);
    if (*ret < 1) {
        reader->at = began;
        return wrong(reader, "a step of 1 or more, and no more than the field's highest value");
    }
    return 0;
}

/* One part of a list: `*`, `5`, `1-5`, `* / 5` without the blanks, `5/10`: from 5 on. */
static int read_part(struct reader *reader, uint64_t *bits)
{
    int first = reader->field->least;
    int last = reader->field->most;
    int step;
    int rc = 0;
    if (reader->text[reader->at] == '*') {
        reader->at++;
    } else {
        rc = read_value(reader, &first);
        last = first;
        if (rc == 0 && reader->text[reader->at] == '-') {
            reader->at++;
            rc = read_value(reader, &last);
        } else if (reader->text[reader->at] == '/') {
            last = reader->field->most;
        }
    }
    rc = rc == 0 ? read_step(reader, &step) : rc;
    if (rc == 0 && last < first) {
        return wrong(reader, "a range that rises; write a wrapping one as two, as in 22-23,0-5");
    }
    for (int value = first; rc == 0 && value <= last; value += step) {
        *bits |= UINT64_C(1) << value;
    }
    return rc;
}

static int read_field(struct reader *reader, uint64_t *bits, bool *any)
{
    *bits = 0;
    *any = reader->text[reader->at] == '*';
    int rc = read_part(reader, bits);
    while (rc == 0 && reader->text[reader->at] == ',') {
        reader->at++;
        rc = read_part(reader, bits);
    }
    char end = reader->text[reader->at];
    if (rc == 0 && end != ' ' && end != '\t' && end != '\0') {
        return wrong(reader, "a blank, ',', '-' or '/'");
    }
    return rc;
}

static void skip_blanks(struct reader *reader)
{
    while (reader->text[reader->at] == ' ' || reader->text[reader->at] == '\t') {
        reader->at++;
    }
}

static int read_fields(struct reader *reader, struct calendar *ret)
{
    uint64_t bits[5];
    bool any[5];
    for (size_t i = 0; i < 5; i++) {
        reader->field = &fields[i];
        skip_blanks(reader);
        if (reader->text[reader->at] == '\0') {
            return wrong(reader, "five fields: minute hour day-of-month month day-of-week");
        }
        int rc = read_field(reader, &bits[i], &any[i]);
        if (rc != 0) {
            return rc;
        }
    }
    skip_blanks(reader);
    if (reader->text[reader->at] != '\0') {
        return wrong(reader, "the end; there are no seconds, years or commands here");
    }
    *ret = (struct calendar){.minutes = bits[0],
                             .hours = (uint32_t)bits[1],
                             .days = (uint32_t)bits[2],
                             .months = (uint16_t)bits[3],
                             .weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7f),
                             .any_day = any[2],
                             .any_weekday = any[4]};
    return 0;
}

static const char *expand(const char *text)
{
    static const char *const names[][2] = {{"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},
                                           {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
                                           {"@monthly", "0 0 1 * *"},  {"@yearly", "0 0 1 1 *"},
                                           {"@annually", "0 0 1 1 *"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i][0]) == 0) {
            return names[i][1];
        }
    }
    return text;
}

static int read_every(const char *text, struct calendar *ret, struct err *err)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    int64_t value = 0;
    size_t at = strlen("every");
    at += strspn(text + at, " \t");
    size_t digits = strspn(text + at, "0123456789");
    for (size_t i = 0; i < digits && value <= CALENDAR_EVERY_MAX_S; i++) {
        value = value * 10 + (text[at + i] - '0');
    }
    for (size_t i = 0; digits > 0 && i < sizeof units / sizeof units[0]; i++) {
        if (text[at + digits] == units[i].letter && text[at + digits + 1] == '\0' &&
            value <= CALENDAR_EVERY_MAX_S / units[i].seconds && value > 0) {
            *ret = (struct calendar){.every_s = value * units[i].seconds};
            return 0;
        }
    }
    return err_set(err, ERR_INVALID,
                   "\"%.*s\", column %zu: expected a whole duration from 1s to 366d, as in "
                   "\"every 25m\"",
                   CALENDAR_TEXT_MAX, text, at + 1);
}

int calendar_parse(const char *text, struct calendar *ret, struct err *err)
{
    text += strspn(text, " \t");
    if (strnlen(text, CALENDAR_TEXT_MAX + 1) > CALENDAR_TEXT_MAX) {
        return err_set(err, ERR_INVALID, "a schedule of over %d characters", CALENDAR_TEXT_MAX);
    }
    if (strncmp(text, "every", 5) == 0) {
        return read_every(text, ret, err);
    }
    if (strcmp(text, "@reboot") == 0) {
        return err_set(err, ERR_INVALID,
                       "\"@reboot\" is no time; a backup with `mode: always` runs from start on");
    }
    const char *expanded = expand(text);
    if (expanded[0] == '@') {
        return err_set(err, ERR_INVALID,
                       "\"%.*s\": expected @hourly, @daily, @weekly, @monthly, @yearly, five "
                       "fields, or \"every 25m\"",
                       CALENDAR_TEXT_MAX, text);
    }
    struct reader reader = {.text = expanded, .err = err};
    return read_fields(&reader, ret);
}

/* ---- local time: no zone here ---- */

struct date {
    int64_t day; /* since 1970-01-01 */
    int month;   /* 1 to 12 */
    int of_month;
};

/* Howard Hinnant, "chrono-compatible low-level date algorithms": civil_from_days. */
static struct date date_of(int64_t day)
{
    int64_t shifted = day + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t of_era = shifted - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t part = (5 * of_year + 2) / 153;
    return (struct date){.day = day,
                         .month = (int)(part < 10 ? part + 3 : part - 9),
                         .of_month = (int)(of_year - (153 * part + 2) / 5 + 1)};
}

static bool day_fits(const struct calendar *self, const struct date *date)
{
    int weekday = (int)(((date->day + 4) % 7 + 7) % 7);
    bool day = (self->days >> date->of_month & 1) != 0;
    bool of_week = (self->weekdays >> weekday & 1) != 0;
    if ((self->months >> date->month & 1) == 0) {
        return false;
    }
    return self->any_day || self->any_weekday ? day && of_week : day || of_week;
}

/* The lowest bit that is set from `from` on; -1: none. */
static int next_bit(uint64_t bits, int from)
{
    bits = from < 64 ? bits >> from << from : 0;
    return bits == 0 ? -1 : __builtin_ctzll(bits);
}

/* The first fitting time of the day that is not before `from_s` (0 to DAY_S); -1: none. */
static int64_t next_time(const struct calendar *self, int64_t from_s)
{
    int64_t minute_of_day = (from_s + MINUTE_S - 1) / MINUTE_S;
    int hour = (int)(minute_of_day / 60);
    int minute = next_bit(self->minutes, (int)(minute_of_day % 60));
    if (hour > 23) {
        return -1;
    }
    if (minute < 0 || (self->hours >> hour & 1) == 0) {
        hour = next_bit(self->hours, hour + 1);
        minute = next_bit(self->minutes, 0);
    }
    return hour < 0 ? -1 : hour * HOUR_S + minute * MINUTE_S;
}

static int64_t floor_day(int64_t local_s)
{
    return (local_s >= 0 ? local_s : local_s - DAY_S + 1) / DAY_S;
}

/* The first fitting local time in [from_s, end_s). */
static bool next_local(const struct calendar *self, int64_t from_s, int64_t end_s, int64_t *ret_s)
{
    int64_t first = floor_day(from_s);
    for (int64_t day = first; day * DAY_S < end_s && day - first <= DAYS_MAX; day++) {
        struct date date = date_of(day);
        int64_t time_s =
            day_fits(self, &date) ? next_time(self, day == first ? from_s - day * DAY_S : 0) : -1;
        if (time_s >= 0) {
            *ret_s = day * DAY_S + time_s;
            return *ret_s < end_s;
        }
    }
    return false;
}

/* ---- slots ---- */

static int64_t next_every(int64_t every_s, int64_t anchor_s, int64_t after_s)
{
    int64_t passed_s = after_s - anchor_s;
    int64_t periods = (passed_s >= 0 ? passed_s : passed_s - every_s + 1) / every_s;
    return anchor_s + (periods + 1) * every_s;
}

/* Of a stretch, the local times that are its own by the policy for what comes twice. */
static void own_times(const struct zone_stretch *stretch, enum calendar_fold fold,
                      int64_t *ret_from_s, int64_t *ret_end_s)
{
    bool again = stretch->before_s > stretch->offset_s; /* it begins with times that were before */
    bool repeated = stretch->after_s < stretch->offset_s; /* its last times come again */
    int32_t from_s = again && fold == CALENDAR_FOLD_FIRST ? stretch->before_s : stretch->offset_s;
    int32_t end_s = repeated && fold == CALENDAR_FOLD_SECOND ? stretch->after_s : stretch->offset_s;
    *ret_from_s = stretch->begin_s == INT64_MIN ? INT64_MIN : stretch->begin_s + from_s;
    *ret_end_s = stretch->end_s == INT64_MAX ? INT64_MAX : stretch->end_s + end_s;
}

bool calendar_next(const struct calendar *self, const struct calendar_rules *rules,
                   const struct zone *zone, int64_t after_s, int64_t *ret_s)
{
    if (self->every_s > 0) {
        *ret_s = next_every(self->every_s, rules->anchor_s, after_s);
        return true;
    }
    int64_t last_s = after_s + DAYS_MAX * DAY_S;
    for (int64_t instant_s = after_s + 1; instant_s < last_s;) {
        struct zone_stretch stretch;
        int64_t from_s;
        int64_t end_s;
        int64_t local_s;
        zone_stretch(zone, instant_s, &stretch);
        own_times(&stretch, rules->fold, &from_s, &end_s);
        int64_t here_s = instant_s + stretch.offset_s;
        from_s = from_s > here_s ? from_s : here_s;
        if (next_local(self, from_s, end_s, &local_s)) {
            *ret_s = local_s - stretch.offset_s;
            return true;
        }
        if (stretch.end_s == INT64_MAX) {
            return false;
        }
        if (rules->gap == CALENDAR_GAP_NEXT && stretch.after_s > stretch.offset_s &&
            next_local(self, stretch.end_s + stretch.offset_s, stretch.end_s + stretch.after_s,
                       &local_s)) {
            *ret_s = stretch.end_s;
            return true;
        }
        instant_s = stretch.end_s;
    }
    return false;
}
