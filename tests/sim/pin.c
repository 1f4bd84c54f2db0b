#include "tests/sim/pin.h"

#include "node/base/invariant.h"
#include "tests/sim/faults.h"
#include "tests/sim/runner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADING "understudy-sim schedule 1"
#define LINE_MAX_BYTES 2048

/* ---- reading ---- */

static int read_number(const char **at, int64_t *ret)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(*at, &end, 10);
    if (end == *at || errno != 0 || (*end != ' ' && *end != '\0')) {
        return ERR_INVALID;
    }
    *at = *end == ' ' ? end + 1 : end;
    *ret = value;
    return 0;
}

static int find_kind(const char *name, size_t length)
{
    for (int kind = 0; faults_name(kind) != NULL; kind++) {
        if (strlen(faults_name(kind)) == length && memcmp(faults_name(kind), name, length) == 0) {
            return kind;
        }
    }
    return -1;
}

static int read_fault(const char *text, struct schedule *schedule)
{
    if (schedule->count == SCHEDULE_FAULTS_MAX) {
        return ERR_FULL;
    }
    struct schedule_fault *fault = &schedule->faults[schedule->count];
    *fault = (struct schedule_fault){0};
    if (read_number(&text, &fault->at_us) != 0 || fault->at_us < 0) {
        return ERR_INVALID;
    }
    size_t length = strcspn(text, " ");
    fault->kind = find_kind(text, length);
    if (fault->kind < 0) {
        return ERR_NOTFOUND;
    }
    text += length + (text[length] == ' ' ? 1 : 0);
    while (*text != '\0') {
        if (fault->draw_count == SCHEDULE_DRAWS_MAX ||
            read_number(&text, &fault->draws[fault->draw_count]) != 0) {
            return ERR_INVALID;
        }
        fault->draw_count++;
    }
    const struct schedule_fault *last = fault - 1;
    if (schedule->count > 0 && (last->at_us > fault->at_us ||
                                (last->at_us == fault->at_us && last->kind >= fault->kind))) {
        return ERR_INVALID; /* out of order */
    }
    schedule->count++;
    return 0;
}

static int read_line(const char *line, struct pin *ret, struct err *err)
{
    if (line[0] == '#' || line[0] == '\0') {
        return 0;
    }
    if (strncmp(line, "seed ", 5) == 0) {
        const char *at = line + 5;
        int64_t seed = 0;
        int code = read_number(&at, &seed);
        ret->seed = (uint64_t)seed;
        return code;
    }
    if (strncmp(line, "set ", 4) == 0) {
        return options_set(&ret->options, line + 4, err);
    }
    if (strncmp(line, "off ", 4) == 0) {
        ret->any_off = true;
        return options_off(&ret->options, line + 4, err);
    }
    if (strncmp(line, "expect ", 7) == 0) {
        size_t length = strlen(line + 7);
        if (length == 0 || length >= sizeof ret->expect) {
            return ERR_INVALID;
        }
        memcpy(ret->expect, line + 7, length + 1);
        return 0;
    }
    return strncmp(line, "fault ", 6) == 0 ? read_fault(line + 6, &ret->schedule) : ERR_INVALID;
}

static int read_lines(FILE *file, const char *path, struct pin *ret, struct err *err)
{
    char line[LINE_MAX_BYTES];
    for (int number = 1; fgets(line, sizeof line, file) != NULL; number++) {
        line[strcspn(line, "\n")] = '\0';
        bool good = number == 1 ? strcmp(line, HEADING) == 0 : read_line(line, ret, err) == 0;
        if (!good) {
            return err_set(err, ERR_INVALID, "%s, line %d: '%.60s'", path, number, line);
        }
    }
    if (ferror(file) != 0 || ret->expect[0] == '\0') {
        return err_set(err, ERR_INVALID, "%s: expects nothing", path);
    }
    return 0;
}

int pin_read(const char *path, struct pin *ret, struct err *err)
{
    memset(ret, 0, sizeof *ret);
    options_defaults(&ret->options);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    }
    int code = read_lines(file, path, ret, err);
    (void)fclose(file);
    return code;
}

/* ---- writing ---- */

static void write_faults(FILE *file, const struct schedule *schedule)
{
    for (size_t i = 0; i < schedule->count; i++) {
        const struct schedule_fault *fault = &schedule->faults[i];
        (void)fprintf(file, "fault %" PRId64 " %s", fault->at_us, faults_name(fault->kind));
        for (int k = 0; k < fault->draw_count; k++) {
            (void)fprintf(file, " %" PRId64, fault->draws[k]);
        }
        (void)fprintf(file, "\n");
    }
}

int pin_write(const char *path, const struct pin *pin, const char *found, struct err *err)
{
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (file == NULL) {
        return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    (void)fprintf(file, HEADING "\n");
    if (found != NULL) {
        (void)fprintf(file, "# %s\n", found);
    }
    (void)fprintf(file, "seed %" PRId64 "\n", (int64_t)pin->seed);
    options_write(&pin->options, file);
    (void)fprintf(file, "expect %s\n", pin->expect);
    write_faults(file, &pin->schedule);
    bool failed = ferror(file) != 0;
    if (file != stdout) {
        failed = fclose(file) != 0 || failed;
    }
    return failed ? err_set(err, ERR_IO, "cannot write %s", path) : 0;
}

/* ---- running ---- */

static bool ends_as(const struct pin *pin, const struct options *options, const char *expect,
                    bool verbose)
{
    struct verdict verdict;
    enum outcome outcome =
        runner_one(runner_random, options, pin->seed, &verdict, verbose ? "-" : NULL);
    const char *got = outcome == OUTCOME_OK ? "ok" : verdict.check;
    bool good = strcmp(got, expect) == 0;
    (void)printf("  %s: %s %s, expected %s\n", good ? "ok" : "FAILED", got, verdict.text, expect);
    return good;
}

int pin_run(const char *path, bool verbose)
{
    struct err err = {0};
    struct pin *pin = malloc(sizeof *pin);
    invariant(pin != NULL);
    if (pin_read(path, pin, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.msg);
        free(pin);
        return 2;
    }
    (void)printf("%s: %zu faults\n", path, pin->schedule.count);
    struct options options = pin->options;
    options.replay = &pin->schedule;
    bool good = ends_as(pin, &options, pin->expect, verbose);
    if (pin->any_off) {
        options_all_on(&options);
        good = ends_as(pin, &options, "ok", false) && good;
    }
    free(pin);
    return good ? 0 : 1;
}
