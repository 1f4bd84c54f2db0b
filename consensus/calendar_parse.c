#include "consensus/calendar.h"

#include <stdio.h>
#include <string.h>

#define FIELDS 5
#define FIELDS_TEXT "five fields, minute hour day-of-month month day-of-week"
#define EVERY "every"
#define SEEN_SIZE 20 /* so much of what was read instead is told */

struct field {
    const char *name;
    int least;
    int most;
    const char *words; /* three letters each, from `least` on; NULL: none */
};

static const struct field fields[FIELDS] = {
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

/* ---- what goes wrong ---- */

/* What stands at `text`, up to a blank; letters of other scripts may be cut in two, and go. */
static const char *seen_at(const char *text, char ret[SEEN_SIZE + 2])
{
    size_t length = strcspn(text, " \t");
    if (length == 0) {
        return *text == '\0' ? "the end" : "a blank";
    }
    length = length < SEEN_SIZE - 1 ? length : SEEN_SIZE - 1;
    ret[0] = '"';
    for (size_t i = 0; i < length; i++) {
        bool is_plain = text[i] > ' ' && text[i] <= '~';
        ret[i + 1] = (char)(is_plain ? text[i] : '?');
    }
    ret[length + 1] = '"';
    ret[length + 2] = '\0';
    return ret;
}

static int wrong(const struct reader *reader, size_t at, const char *expected)
{
    char seen[SEEN_SIZE + 2];
    return err_set(reader->err, ERR_INVALID, "%s%scolumn %zu: expected %s, not %s",
                   reader->field == NULL ? "" : reader->field->name,
                   reader->field == NULL ? "" : ", ", at + 1, expected,
                   seen_at(reader->text + at, seen));
}

static int wrong_number(const struct reader *reader, size_t at)
{
    char expected[96];
    const struct field *field = reader->field;
    (void)snprintf(expected, sizeof expected, "a number from %d to %d%s", field->least, field->most,
                   field->words == NULL ? "" : " or an English name of three letters");
    return wrong(reader, at, expected);
}

static bool is_letter(char letter)
{
    return (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z');
}

static bool is_blank_or_end(char letter)
{
    return letter == ' ' || letter == '\t' || letter == '\0';
}

/* Of what other schedulers read and this one does not: what to write instead. NULL: it is not one
 * of them. */
static const char *foreign_at(const char *text)
{
    switch (*text) {
    case '?':
        return "\"*\", which says the same";
    case '#':
        return "no \"#\": name the days (8-14 has the second of each weekday) and let the command "
               "look which weekday it is";
    case 'L':
        return is_letter(text[1]) && text[1] != 'W'
                   ? NULL
                   : "no \"L\": name the days 28-31 and let the command look whether tomorrow is "
                     "the first";
    case 'W':
        return is_letter(text[1]) ? NULL
                                  : "no \"W\": name three days, as in 14-16, and let the command "
                                    "look which weekday it is";
    default:
        return NULL;
    }
}

/* ---- one field ---- */

static char lower(char letter)
{
    return (char)(letter >= 'A' && letter <= 'Z' ? letter - 'A' + 'a' : letter);
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

/* -1: no number, or one above `most`. */
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
    const char *rest = reader->text + reader->at;
    const char *instead = foreign_at(rest);
    if (instead != NULL) {
        return wrong(reader, reader->at, instead);
    }
    return *ret < reader->field->least || is_letter(*rest) ? wrong_number(reader, began) : 0;
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
        char expected[48];
        (void)snprintf(expected, sizeof expected, "a step from 1 to %d", reader->field->most);
        return wrong(reader, began, expected);
    }
    return 0;
}

/* `*`, `5`, `1-5`, and `5` before a step: from 5 on. */
static int read_range(struct reader *reader, int *ret_first, int *ret_last)
{
    size_t began = reader->at;
    *ret_first = reader->field->least;
    *ret_last = reader->field->most;
    if (reader->text[began] == '*') {
        reader->at++;
        return 0;
    }
    int rc = read_value(reader, ret_first);
    if (rc == 0 && reader->text[reader->at] == '-') {
        reader->at++;
        rc = read_value(reader, ret_last);
    } else if (reader->text[reader->at] != '/') {
        *ret_last = *ret_first;
    }
    return rc == 0 && *ret_last < *ret_first
               ? wrong(reader, began, "a range that rises (22-23,0-5 in place of 22-5)")
               : rc;
}

static int read_part(struct reader *reader, uint64_t *bits)
{
    int first = 0;
    int last = 0;
    int step = 1;
    int rc = read_range(reader, &first, &last);
    rc = rc == 0 ? read_step(reader, &step) : rc;
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
    if (rc == 0 && !is_blank_or_end(reader->text[reader->at])) {
        const char *instead = foreign_at(reader->text + reader->at);
        return wrong(reader, reader->at, instead != NULL ? instead : "a blank, ',' or '/'");
    }
    return rc;
}

/* ---- five fields ---- */

static void skip_blanks(struct reader *reader)
{
    reader->at += strspn(reader->text + reader->at, " \t");
}

/* Counted first: an expression with seconds in front would else be told a wrong hour. */
static int check_count(struct reader *reader)
{
    struct reader words = *reader;
    size_t count = 0;
    size_t sixth = 0;
    for (; words.text[words.at] != '\0'; skip_blanks(&words)) {
        count++;
        sixth = count == FIELDS + 1 ? words.at : sixth;
        words.at += strcspn(words.text + words.at, " \t");
    }
    if (count < FIELDS) {
        reader->field = &fields[count];
        return wrong(reader, words.at, FIELDS_TEXT);
    }
    return count == FIELDS
               ? 0
               : wrong(reader, sixth,
                       FIELDS_TEXT ", and no more (seconds, years and commands are "
                                   "not for here; a period in seconds is \"every 30s\")");
}

static int read_fields(struct reader *reader, struct calendar *ret)
{
    uint64_t bits[FIELDS] = {0};
    bool any[FIELDS] = {0};
    int rc = check_count(reader);
    for (size_t i = 0; rc == 0 && i < FIELDS; i++) {
        reader->field = &fields[i];
        rc = read_field(reader, &bits[i], &any[i]);
        skip_blanks(reader);
    }
    if (rc == 0) {
        *ret = (struct calendar){.minutes = bits[0],
                                 .hours = (uint32_t)bits[1],
                                 .days = (uint32_t)bits[2],
                                 .months = (uint16_t)bits[3],
                                 .weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7f),
                                 .any_day = any[2],
                                 .any_weekday = any[4]};
    }
    return rc;
}

/* ---- one word ---- */

/* Passes that word when it is the one at the reader's place. */
static bool take_word(struct reader *reader, const char *word)
{
    const char *text = reader->text + reader->at;
    size_t length = strlen(word);
    if (strncmp(text, word, length) != 0 || !is_blank_or_end(text[length])) {
        return false;
    }
    reader->at += length;
    return true;
}

static int check_end(struct reader *reader)
{
    skip_blanks(reader);
    return reader->text[reader->at] == '\0' ? 0 : wrong(reader, reader->at, "the end");
}

static int read_nickname(struct reader *reader, struct calendar *ret)
{
    static const char *const names[][2] = {{"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},
                                           {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
                                           {"@monthly", "0 0 1 * *"},  {"@yearly", "0 0 1 1 *"},
                                           {"@annually", "0 0 1 1 *"}};
    size_t began = reader->at;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (take_word(reader, names[i][0])) {
            struct reader meant = {.text = names[i][1], .err = reader->err};
            int rc = check_end(reader);
            return rc == 0 ? read_fields(&meant, ret) : rc;
        }
    }
    if (take_word(reader, "@reboot")) {
        return wrong(reader, began,
                     "a time (what shall run from start on is a backup with \"mode: always\")");
    }
    if (take_word(reader, "@every")) {
        return wrong(reader, began, "\"every\" without \"@\", as in \"every 25m\"");
    }
    return wrong(reader, began, "@hourly, @daily, @weekly, @monthly or @yearly");
}

/* ---- every ---- */

/* 0: no unit. */
static int64_t seconds_of_unit(char letter)
{
    switch (letter) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    default:
        return 0;
    }
}

static int read_every(struct reader *reader, struct calendar *ret)
{
    reader->at += strlen(EVERY);
    size_t blank = reader->at;
    skip_blanks(reader);
    size_t began = reader->at;
    int64_t value = 0;
    for (char digit = reader->text[began]; digit >= '0' && digit <= '9' && value <= INT32_MAX;
         digit = reader->text[++reader->at]) {
        value = value * 10 + (digit - '0');
    }
    const char *unit = reader->text + reader->at;
    int64_t every_s = value * seconds_of_unit(*unit);
    if (began == blank || every_s < CALENDAR_EVERY_MIN_S || every_s > CALENDAR_EVERY_MAX_S ||
        !is_blank_or_end(unit[1])) {
        return wrong(reader, began,
                     "a whole number of s, m, h or d, from 1s to 366d, as in \"every 25m\"");
    }
    reader->at++;
    int rc = check_end(reader);
    if (rc == 0) {
        *ret = (struct calendar){.every_s = every_s};
    }
    return rc;
}

int calendar_parse(const char *text, struct calendar *ret, struct err *err)
{
    struct reader reader = {.text = text, .err = err};
    if (strnlen(text, CALENDAR_TEXT_MAX + 1) > CALENDAR_TEXT_MAX) {
        return err_set(err, ERR_INVALID, "a schedule has at most %d characters", CALENDAR_TEXT_MAX);
    }
    skip_blanks(&reader);
    if (text[reader.at] == '@') {
        return read_nickname(&reader, ret);
    }
    if (strncmp(text + reader.at, EVERY, strlen(EVERY)) == 0) {
        return read_every(&reader, ret);
    }
    return read_fields(&reader, ret);
}
