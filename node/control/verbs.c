#include "node/control/verbs.h"

#include "node/base/doc.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 3 /* words of the longest verb */

const struct verb *verb_find(const char *words)
{
    size_t count;
    const struct verb *table = verb_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].words, words) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

const struct verb_argument *verb_argument_find(const struct verb *verb, const char *name)
{
    for (size_t i = 0; i < VERB_ARGUMENTS_MAX && verb->arguments[i].name != NULL; i++) {
        if (strcmp(verb->arguments[i].name, name) == 0) {
            return &verb->arguments[i];
        }
    }
    return NULL;
}

void verb_schema(const struct verb *verb, char ret[VERB_WORDS_SIZE])
{
    (void)snprintf(ret, VERB_WORDS_SIZE, "%s", verb->words);
    for (char *at = ret; *at != '\0'; at++) {
        if (*at == ' ') {
            *at = '.';
        }
    }
}

enum verb_place verb_place_of(const struct verb *verb, const json_t *args)
{
    if (verb->place == VERB_LEADER && verb->here_flag != NULL &&
        doc_get_bool(args, verb->here_flag, false)) {
        return VERB_NODE;
    }
    if (verb->file_option != NULL && doc_get_text(args, verb->file_option, NULL) != NULL) {
        return VERB_LOCAL;
    }
    return verb->place;
}

bool verb_is_stream(const struct verb *verb, const json_t *args)
{
    return verb->stream_flag != NULL && doc_get_bool(args, verb->stream_flag, false);
}

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance with swaps of neighbours ("optimal string alignment"); long texts count as far. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][VERB_WORDS_SIZE + 1];
    size_t length_a = strlen(a);
    size_t length_b = strlen(b);
    if (length_a >= VERB_WORDS_SIZE || length_b >= VERB_WORDS_SIZE) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= length_b; j++) {
        rows[0][j] = j;
        rows[1][j] = j;
    }
    for (size_t i = 1; i <= length_a; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *higher = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            size_t differs = a[i - 1] != b[j - 1];
            row[j] = min_of(min_of(above[j], row[j - 1]) + 1, above[j - 1] + differs);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = min_of(row[j], higher[j - 2] + 1);
            }
        }
    }
    return rows[length_a % 3][length_b];
}

static bool is_near(size_t far, const char *typed)
{
    size_t allowed = strlen(typed) / 3;
    return far <= (allowed > 2 ? allowed : 2) && far < strlen(typed);
}

const char *verb_nearest(const char *typed)
{
    size_t count;
    const struct verb *table = verb_table(&count);
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t far = distance(typed, table[i].words);
        if (far < best_distance) {
            best_distance = far;
            best = table[i].words;
        }
    }
    return is_near(best_distance, typed) ? best : NULL;
}

/* The longest verb that the first words make; *ret_used words of it. */
static const struct verb *match_words(int count, char *const words[], int *ret_used)
{
    for (int used = count < WORDS_MAX ? count : WORDS_MAX; used > 0; used--) {
        char joined[VERB_WORDS_SIZE] = "";
        size_t length = 0;
        for (int i = 0; i < used && length < sizeof joined; i++) {
            int written = snprintf(joined + length, sizeof joined - length, "%s%s",
                                   i == 0 ? "" : " ", words[i]);
            length += written < 0 ? sizeof joined : (size_t)written;
        }
        const struct verb *verb = length < sizeof joined ? verb_find(joined) : NULL;
        if (verb != NULL) {
            *ret_used = used;
            return verb;
        }
    }
    return NULL;
}

/* What was typed before the first option, at most `words_max` words, for messages. */
static void join_typed(int count, char *const words[], int words_max, char ret[VERB_WORDS_SIZE])
{
    ret[0] = '\0';
    size_t length = 0;
    for (int i = 0; i < count && i < words_max && words[i][0] != '-'; i++) {
        int written = snprintf(ret + length, VERB_WORDS_SIZE - length, "%s%.20s", i == 0 ? "" : " ",
                               words[i]);
        length += written < 0 ? 0 : (size_t)written;
        if (length >= VERB_WORDS_SIZE) {
            return;
        }
    }
}

static bool begins_with_word(const char *words, const char *first)
{
    size_t length = strlen(first);
    return strncmp(words, first, length) == 0 && words[length] == ' ';
}

/* "manager" alone: name what can follow. False when nothing begins with it. */
static bool list_followers(const char *first, char *ret, size_t size)
{
    size_t count;
    const struct verb *table = verb_table(&count);
    size_t length = 0;
    for (size_t i = 0; i < count && length < size; i++) {
        if (begins_with_word(table[i].words, first)) {
            int written = snprintf(ret + length, size - length, "%s%s", length == 0 ? "" : ", ",
                                   table[i].words + strlen(first) + 1);
            length += written < 0 ? 0 : (size_t)written;
        }
    }
    return length > 0;
}

static int unknown_verb(int count, char *const words[], struct err *err)
{
    char typed[VERB_WORDS_SIZE];
    for (int used = WORDS_MAX; used > 0; used--) {
        join_typed(count, words, used, typed);
        const char *nearest = typed[0] == '\0' ? NULL : verb_nearest(typed);
        if (nearest != NULL) {
            return err_set(err, ERR_NOTFOUND, "unknown verb \"%s\"; did you mean \"%s\"?", typed,
                           nearest);
        }
    }
    char followers[160];
    if (list_followers(words[0], followers, sizeof followers)) {
        return err_set(err, ERR_NOTFOUND, "\"%.20s\" needs one of: %s", words[0], followers);
    }
    join_typed(count, words, 2, typed);
    return err_set(err, ERR_NOTFOUND, "unknown verb \"%s\"", typed);
}

static bool choice_known(const char *choices, const char *text)
{
    size_t length = strlen(text);
    for (const char *at = choices; at != NULL && length > 0;) {
        const char *bar = strchr(at, '|');
        size_t size = bar == NULL ? strlen(at) : (size_t)(bar - at);
        if (size == length && strncmp(at, text, size) == 0) {
            return true;
        }
        at = bar == NULL ? NULL : bar + 1;
    }
    return false;
}

int64_t verb_duration_ms(const char *text)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 36e5}, {"d", 864e5}};
    if (text == NULL || text[0] < '0' || text[0] > '9' || strlen(text) > 24 ||
        strpbrk(text, "xXeEpP") != NULL) {
        return -1;
    }
    char *end = NULL;
    double number = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].unit) == 0) {
            double ms = number * units[i].ms;
            return isfinite(ms) && ms <= 10.0 * 366 * 864e5 ? (int64_t)llround(ms) : -1;
        }
    }
    return -1;
}

static bool is_integer(const char *text, int64_t *ret)
{
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0') {
        return false;
    }
    *ret = value;
    return true;
}

/* A value as typed, into its JSON form. */
static int read_text(const struct verb_argument *argument, const char *text, json_t **ret,
                     struct err *err)
{
    int64_t number = 0;
    const char *shown = argument->option ? argument->name : argument->placeholder;
    if (strlen(text) > VERB_TEXT_MAX) {
        return err_set(err, ERR_INVALID, "%s: longer than %d bytes", shown, VERB_TEXT_MAX);
    }
    switch (argument->type) {
    case VERB_INTEGER:
        if (!is_integer(text, &number)) {
            return err_set(err, ERR_INVALID, "%s: \"%s\" is no whole number", shown, text);
        }
        *ret = json_integer(number);
        break;
    case VERB_DURATION:
        if (verb_duration_ms(text) < 0) {
            return err_set(err, ERR_INVALID, "%s: \"%s\" is no duration (as 250ms, 3s, 2m, 6h, 1d)",
                           shown, text);
        }
        *ret = json_string(text);
        break;
    case VERB_CHOICE:
        if (!choice_known(argument->choices, text)) {
            return err_set(err, ERR_INVALID, "%s: \"%.40s\" is none of %s", shown, text,
                           argument->choices);
        }
        *ret = json_string(text);
        break;
    case VERB_FLAG:
    case VERB_TEXT:
    default:
        *ret = json_string(text);
        break;
    }
    return *ret != NULL ? 0 : err_set(err, ERR_INVALID, "%s: not UTF-8", shown);
}

static int set_value(json_t *args, const struct verb_argument *argument, json_t *value_take,
                     struct err *err)
{
    json_t *present = json_object_get(args, argument->name);
    int failed = 0;
    if (!argument->many) {
        if (present != NULL) {
            json_decref(value_take);
            return err_set(err, ERR_INVALID, "\"%s\" is given twice", argument->name);
        }
        failed = json_object_set_new(args, argument->name, value_take);
    } else {
        if (present == NULL) {
            present = json_array();
            failed = json_object_set_new(args, argument->name, present);
        }
        if (failed == 0 && json_array_size(present) >= VERB_MANY_MAX) {
            json_decref(value_take);
            return err_set(err, ERR_INVALID, "\"%s\" is given more than %d times", argument->name,
                           VERB_MANY_MAX);
        }
        if (failed != 0) {
            json_decref(value_take);
        } else {
            failed = json_array_append_new(present, value_take);
        }
    }
    return failed == 0 ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static int add_text(json_t *args, const struct verb_argument *argument, const char *text,
                    struct err *err)
{
    json_t *value = NULL;
    int rc = read_text(argument, text, &value, err);
    return rc != 0 ? rc : set_value(args, argument, value, err);
}

static int unknown_option(const struct verb *verb, const char *name, struct err *err)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < VERB_ARGUMENTS_MAX && verb->arguments[i].name != NULL; i++) {
        size_t far = verb->arguments[i].option ? distance(name, verb->arguments[i].name) : SIZE_MAX;
        if (far < best_distance) {
            best_distance = far;
            best = verb->arguments[i].name;
        }
    }
    if (best != NULL && is_near(best_distance, name)) {
        return err_set(err, ERR_INVALID, "%s: unknown option --%.40s; did you mean --%s?",
                       verb->words, name, best);
    }
    return err_set(err, ERR_INVALID, "%s: unknown option --%.40s", verb->words, name);
}

/* One "--name", "--name VALUE" or "--name=VALUE" at words[*at]; moves *at past it. */
static int parse_option(const struct verb *verb, int count, char *const words[], int *at,
                        json_t *args, struct err *err)
{
    char name[VERB_WORDS_SIZE];
    const char *word = words[*at] + 2;
    const char *equals = strchr(word, '=');
    size_t length = equals == NULL ? strlen(word) : (size_t)(equals - word);
    (void)snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : 63), word);
    const struct verb_argument *argument = verb_argument_find(verb, name);
    if (argument == NULL || !argument->option) {
        return unknown_option(verb, name, err);
    }
    (*at)++;
    if (argument->type == VERB_FLAG) {
        return equals == NULL
                   ? set_value(args, argument, json_true(), err)
                   : err_set(err, ERR_INVALID, "%s: --%s takes no value", verb->words, name);
    }
    if (equals == NULL && *at >= count) {
        return err_set(err, ERR_INVALID, "%s: --%s needs a value (%s)", verb->words, name,
                       argument->placeholder);
    }
    return add_text(args, argument, equals != NULL ? equals + 1 : words[(*at)++], err);
}

static const struct verb_argument *next_positional(const struct verb *verb, const json_t *args)
{
    for (size_t i = 0; i < VERB_ARGUMENTS_MAX && verb->arguments[i].name != NULL; i++) {
        const struct verb_argument *argument = &verb->arguments[i];
        if (!argument->option &&
            (argument->many || json_object_get(args, argument->name) == NULL)) {
            return argument;
        }
    }
    return NULL;
}

static int parse_positional(const struct verb *verb, int count, char *const words[], int at,
                            json_t *args, struct err *err)
{
    const struct verb_argument *argument = next_positional(verb, args);
    if (argument != NULL) {
        return add_text(args, argument, words[at], err);
    }
    char followers[160];
    if (at == 1 && list_followers(words[0], followers, sizeof followers)) {
        return unknown_verb(count, words, err);
    }
    return err_set(err, ERR_INVALID, "%s: unexpected argument \"%.60s\"", verb->words, words[at]);
}

static int parse_arguments(const struct verb *verb, int count, char *const words[], int used,
                           json_t *args, struct err *err)
{
    bool options = true;
    int rc = 0;
    for (int at = used; at < count && rc == 0;) {
        if (options && strcmp(words[at], "--") == 0) {
            options = false;
            at++;
        } else if (options && strncmp(words[at], "--", 2) == 0) {
            rc = parse_option(verb, count, words, &at, args, err);
        } else if (options && words[at][0] == '-' && words[at][1] != '\0') {
            rc = err_set(err, ERR_INVALID, "%s: unknown option %.40s", verb->words, words[at]);
        } else {
            rc = parse_positional(verb, count, words, at, args, err);
            at++;
        }
    }
    return rc;
}

static int check_required(const struct verb *verb, const json_t *args, struct err *err)
{
    for (size_t i = 0; i < VERB_ARGUMENTS_MAX && verb->arguments[i].name != NULL; i++) {
        const struct verb_argument *argument = &verb->arguments[i];
        if (argument->required && json_object_get(args, argument->name) == NULL) {
            return err_set(err, ERR_INVALID, "%s: %s is missing (%s)", verb->words,
                           argument->placeholder, argument->summary);
        }
    }
    return 0;
}

int verb_parse(int count, char *const words[], const struct verb **ret_verb, json_t **ret_args,
               struct err *err)
{
    *ret_verb = NULL;
    if (count < 1) {
        return err_set(err, ERR_INVALID, "no verb is given");
    }
    int used = 0;
    const struct verb *verb = match_words(count, words, &used);
    if (verb == NULL) {
        return unknown_verb(count, words, err);
    }
    *ret_verb = verb;
    json_t *args = json_object();
    if (args == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    int rc = 0;
    if (verb->present) {
        rc = parse_arguments(verb, count, words, used, args, err);
        rc = rc != 0 ? rc : check_required(verb, args, err);
    }
    if (rc != 0) {
        json_decref(args);
        return rc;
    }
    *ret_args = args;
    return 0;
}

static int check_one(const struct verb_argument *argument, const json_t *value, struct err *err)
{
    const char *text = json_string_value(value);
    switch (argument->type) {
    case VERB_FLAG:
        if (json_is_boolean(value)) {
            return 0;
        }
        break;
    case VERB_INTEGER:
        if (json_is_integer(value) && json_integer_value(value) >= 0) {
            return 0;
        }
        break;
    case VERB_DURATION:
        if (json_is_integer(value) && json_integer_value(value) >= 0) {
            return 0; /* milliseconds */
        }
        if (text != NULL && verb_duration_ms(text) >= 0) {
            return 0;
        }
        break;
    case VERB_CHOICE:
        if (text != NULL && choice_known(argument->choices, text)) {
            return 0;
        }
        break;
    case VERB_TEXT:
    default:
        if (text != NULL && json_string_length(value) <= VERB_TEXT_MAX &&
            strlen(text) == json_string_length(value)) {
            return 0;
        }
        break;
    }
    return err_set(err, ERR_INVALID, "argument \"%s\" is of the wrong kind", argument->name);
}

static int check_value(const struct verb_argument *argument, const json_t *value, struct err *err)
{
    if (!argument->many) {
        return check_one(argument, value, err);
    }
    size_t count = json_array_size(value);
    if (count < 1 || count > VERB_MANY_MAX) {
        return err_set(err, ERR_INVALID, "argument \"%s\" must be a list of 1 to %d",
                       argument->name, VERB_MANY_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        int rc = check_one(argument, json_array_get(value, i), err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int verb_check_args(const struct verb *verb, const json_t *args, struct err *err)
{
    if (!json_is_object(args)) {
        return err_set(err, ERR_INVALID, "the arguments are no map");
    }
    const char *key;
    json_t *value;
    json_object_foreach(doc_writable(args), key, value)
    {
        const struct verb_argument *argument = verb_argument_find(verb, key);
        if (argument == NULL) {
            return err_set(err, ERR_INVALID, "%s: unknown argument \"%.40s\"", verb->words, key);
        }
        int rc = json_is_null(value) && !argument->required ? 0 : check_value(argument, value, err);
        if (rc != 0) {
            return rc;
        }
    }
    return check_required(verb, args, err);
}
