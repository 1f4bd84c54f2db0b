/* understudy-sim: see usage(). */
#include "node/base/clock.h"
#include "node/base/invariant.h"
#include "tests/sim/pin.h"
#include "tests/sim/replay.h"
#include "tests/sim/report.h"
#include "tests/sim/shrink.h"
#include "tests/sim/teeth.h"
#include "tests/sim/world.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTINGS_MAX 32
#define PROFILES_MAX 32
#define SHOWN_MAX 5  /* failures with their history */
#define SHRUNK_MAX 1 /* failures with their shortest schedule */
#define SHRINK_SECONDS 60

struct arguments {
    const char *profiles[PROFILES_MAX];
    size_t profile_count;
    const char *settings[SETTINGS_MAX];
    size_t setting_count;
    const char *off[SETTINGS_MAX];
    size_t off_count;
    uint64_t from;
    uint64_t seeds;
    int64_t minutes;
    bool one;
    bool verbose;
    bool teeth;
    bool expect_failure;
    const char *rule;       /* of --teeth */
    const char *save;       /* where the shortest schedule goes; NULL: to stdout */
    const char *replays[2]; /* files of a decision log */
    size_t replay_count;
    const char *schedule; /* a file or folder to run again; NULL: none */
    int64_t shrink_seconds;
};

static void usage(void)
{
    (void)printf(
        "usage: understudy-sim [--profile NAME]... [--seeds N] [--from S] [--minutes M]\n"
        "                      [--seed S [--verbose]] [--off RULE]... [--set NAME=VALUE]...\n"
        "                      [--shrink-seconds N] [--save FILE]\n"
        "                      [--expect-failure] [--teeth [RULE]] [--list]\n"
        "       understudy-sim --schedule FILE|FOLDER [--verbose]\n"
        "       understudy-sim --replay FILE [--replay FILE] [--verbose]\n\n"
        "Runs the real gossip and consensus code of a small cluster in virtual time. Without\n"
        "--profile all profiles take turns. --seed runs one seed and, with --verbose, prints what\n"
        "happened. --expect-failure turns the verdict round: some seed must fail.\n"
        "The first seed that fails is shrunk to the shortest schedule of faults that still fails\n"
        "(for at most 60 s; --shrink-seconds 0: not at all); --save writes it to a file, which\n"
        "--schedule runs again.\n"
        "--replay leads the engine through the decision log of a real node (debug.record) and\n"
        "compares what it does; a log that goes on in a second file is given with it.\n"
        "--teeth switches each rule off in a run that must then fail, and passes with it.\n");
}

static const char *value_of(int argc, char **argv, int *i)
{
    if (*i + 1 >= argc) {
        (void)fprintf(stderr, "%s needs a value\n", argv[*i]);
        exit(2);
    }
    return argv[++*i];
}

static bool is_flag(const char *argument, struct arguments *ret)
{
    if (strcmp(argument, "--verbose") == 0) {
        ret->verbose = true;
    } else if (strcmp(argument, "--expect-failure") == 0) {
        ret->expect_failure = true;
    } else if (strcmp(argument, "--list") == 0) {
        options_print();
        exit(0);
    } else if (strcmp(argument, "--help") == 0) {
        usage();
        exit(0);
    } else {
        return false;
    }
    return true;
}

static void parse_one(int argc, char **argv, int *i, struct arguments *ret)
{
    const char *name = argv[*i];
    if (strcmp(name, "--profile") == 0 && ret->profile_count < PROFILES_MAX) {
        ret->profiles[ret->profile_count++] = value_of(argc, argv, i);
    } else if (strcmp(name, "--set") == 0 && ret->setting_count < SETTINGS_MAX) {
        ret->settings[ret->setting_count++] = value_of(argc, argv, i);
    } else if (strcmp(name, "--off") == 0 && ret->off_count < SETTINGS_MAX) {
        ret->off[ret->off_count++] = value_of(argc, argv, i);
    } else if (strcmp(name, "--seeds") == 0) {
        ret->seeds = strtoull(value_of(argc, argv, i), NULL, 10);
    } else if (strcmp(name, "--from") == 0) {
        ret->from = strtoull(value_of(argc, argv, i), NULL, 10);
    } else if (strcmp(name, "--save") == 0) {
        ret->save = value_of(argc, argv, i);
    } else if (strcmp(name, "--schedule") == 0) {
        ret->schedule = value_of(argc, argv, i);
    } else if (strcmp(name, "--replay") == 0 && ret->replay_count < 2) {
        ret->replays[ret->replay_count++] = value_of(argc, argv, i);
    } else if (strcmp(name, "--shrink-seconds") == 0) {
        ret->shrink_seconds = strtoll(value_of(argc, argv, i), NULL, 10);
    } else if (strcmp(name, "--minutes") == 0) {
        ret->minutes = strtoll(value_of(argc, argv, i), NULL, 10);
    } else if (strcmp(name, "--seed") == 0) {
        ret->from = strtoull(value_of(argc, argv, i), NULL, 10);
        ret->one = true;
    } else if (strcmp(name, "--teeth") == 0) {
        ret->teeth = true;
        if (*i + 1 < argc && argv[*i + 1][0] != '-') {
            ret->rule = argv[++*i];
        }
    } else {
        usage();
        exit(2);
    }
}

static struct options make_options(const struct arguments *arguments, const char *profile)
{
    struct options options;
    struct err err = {0};
    int code = options_profile(&options, profile, &err);
    for (size_t i = 0; i < arguments->setting_count && code == 0; i++) {
        code = options_set(&options, arguments->settings[i], &err);
    }
    for (size_t i = 0; i < arguments->off_count && code == 0; i++) {
        code = options_off(&options, arguments->off[i], &err);
    }
    if (code != 0) {
        (void)fprintf(stderr, "%s\n", err.msg);
        exit(2);
    }
    return options;
}

/* ---- reports ---- */

static void print_replay(const struct arguments *arguments, const char *profile, uint64_t seed)
{
    (void)printf("  replay: understudy-sim --profile %s --seed %" PRIu64, profile, seed);
    for (size_t i = 0; i < arguments->setting_count; i++) {
        (void)printf(" --set %s", arguments->settings[i]);
    }
    for (size_t i = 0; i < arguments->off_count; i++) {
        (void)printf(" --off %s", arguments->off[i]);
    }
    (void)printf(" --verbose\n");
}

/* ---- commands ---- */

/* The shortest schedule that fails so, to the file or to stdout. */
static void shrink_and_save(const struct arguments *arguments, const struct options *options,
                            uint64_t seed, const struct verdict *verdict)
{
    struct pin *pin = calloc(1, sizeof *pin);
    invariant(pin != NULL);
    char text[sizeof verdict->text] = "";
    struct shrink_result result;
    shrink_seed(options, seed, verdict->check, arguments->shrink_seconds, pin, text, &result);
    if (!result.reproduced) {
        (void)printf("  not shrunk: the recorded schedule does not fail (or took too long)\n");
    } else {
        (void)printf("  shrunk: %zu faults of %zu, by %zu runs: %s %s\n", result.faults_after,
                     result.faults_before, result.runs, pin->expect, text);
        struct err err = {0};
        if (pin_write(arguments->save == NULL ? "-" : arguments->save, pin, text, &err) != 0) {
            (void)printf("  %s\n", err.msg);
        } else if (arguments->save != NULL) {
            (void)printf("  saved: understudy-sim --schedule %s --verbose\n", arguments->save);
        }
    }
    free(pin);
}

static int run_single(const struct arguments *arguments)
{
    const char *profile = arguments->profile_count > 0 ? arguments->profiles[0] : "p1";
    struct options options = make_options(arguments, profile);
    if (arguments->verbose) {
        report_trace(&options, arguments->from);
    }
    struct verdict verdict;
    struct tally tally = {.runs = 1};
    int64_t begun_ms = clock_boot_ms();
    enum outcome outcome = runner_one(runner_random, &options, arguments->from, &verdict, NULL);
    tally.failed = outcome != OUTCOME_OK;
    report_add(&tally, &verdict.stats);
    report_tally(profile, &tally, clock_boot_ms() - begun_ms);
    (void)printf("seed %" PRIu64 ": %s %s %s (at %" PRId64 " ms, digest %016" PRIx64 ")\n",
                 arguments->from, outcome_name(outcome), verdict.check, verdict.text, verdict.at_ms,
                 verdict.digest);
    if (outcome != OUTCOME_OK && arguments->shrink_seconds > 0) {
        shrink_and_save(arguments, &options, arguments->from, &verdict);
    }
    return outcome == OUTCOME_OK ? 0 : 1;
}

static void report_failure(const struct arguments *arguments, const char *profile, uint64_t seed,
                           enum outcome outcome, const struct verdict *verdict, uint64_t before)
{
    (void)printf("FAILED: profile %s, seed %" PRIu64 ", at %" PRId64 " ms: %s %s: %s\n", profile,
                 seed, verdict->at_ms, outcome_name(outcome), verdict->check, verdict->text);
    print_replay(arguments, profile, seed);
    struct options options = make_options(arguments, profile);
    if (before < SHOWN_MAX && !arguments->expect_failure) {
        report_history(&options, seed);
    }
    if (before < SHRUNK_MAX && !arguments->expect_failure && arguments->shrink_seconds > 0) {
        (void)fflush(stdout);
        shrink_and_save(arguments, &options, seed, verdict);
    }
    (void)fflush(stdout);
}

/* The same seed again is the same run, event for event. */
static bool replays(const struct options *options, uint64_t seed, struct verdict *verdict)
{
    struct verdict again;
    (void)runner_one(runner_random, options, seed, &again, NULL);
    if (again.digest == verdict->digest && again.stats.events == verdict->stats.events) {
        return true;
    }
    (void)snprintf(verdict->check, sizeof verdict->check, "REPLAY");
    (void)snprintf(verdict->text, sizeof verdict->text,
                   "digest %016" PRIx64 " and then %016" PRIx64, verdict->digest, again.digest);
    return false;
}

static int run_many(const struct arguments *arguments)
{
    const char *const *all = options_profiles();
    struct tally tallies[PROFILES_MAX] = {0};
    int64_t took_ms[PROFILES_MAX] = {0};
    const char *names[PROFILES_MAX] = {0};
    size_t count = 0;
    for (; count < arguments->profile_count; count++) {
        names[count] = arguments->profiles[count];
    }
    for (size_t i = 0; arguments->profile_count == 0 && all[i] != NULL; i++) {
        names[count++] = all[i];
    }
    if (count == 0) {
        return 2;
    }
    int64_t begun_ms = clock_boot_ms();
    uint64_t failed = 0;
    uint64_t done = 0;
    for (; arguments->minutes > 0 || done < arguments->seeds; done++) {
        if (arguments->minutes > 0 && clock_boot_ms() - begun_ms > arguments->minutes * 60000) {
            break;
        }
        size_t which = done % count;
        uint64_t seed = arguments->from + done / count;
        struct options options = make_options(arguments, names[which]);
        struct verdict verdict;
        int64_t from_ms = clock_boot_ms();
        enum outcome outcome = runner_one(runner_random, &options, seed, &verdict, NULL);
        took_ms[which] += clock_boot_ms() - from_ms;
        if (done < count && outcome == OUTCOME_OK && !replays(&options, seed, &verdict)) {
            outcome = OUTCOME_VIOLATION;
        }
        tallies[which].runs++;
        report_add(&tallies[which], &verdict.stats);
        if (outcome != OUTCOME_OK) {
            tallies[which].failed++;
            tallies[which].crashed += outcome == OUTCOME_CRASH;
            report_failure(arguments, names[which], seed, outcome, &verdict, failed);
            failed++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        report_tally(names[i], &tallies[i], took_ms[i]);
    }
    int64_t all_ms = clock_boot_ms() - begun_ms;
    (void)printf("%" PRIu64 " seeds, %" PRIu64 " failed, %" PRId64 " s, %" PRIu64
                 " seeds a minute\n",
                 done, failed, all_ms / 1000, done * 60000 / (uint64_t)(all_ms == 0 ? 1 : all_ms));
    return (failed == 0) != arguments->expect_failure ? 0 : 1;
}

static int is_schedule(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && strcmp(dot, ".schedule") == 0;
}

/* A file, or all files of a folder whose names end in .schedule. */
static int run_schedules(const char *path, bool verbose)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_schedule, alphasort);
    if (count < 0) {
        return pin_run(path, verbose);
    }
    int worst = 0;
    for (int i = 0; i < count; i++) {
        char whole[1024];
        (void)snprintf(whole, sizeof whole, "%s/%s", path, entries[i]->d_name);
        int code = pin_run(whole, verbose);
        worst = code > worst ? code : worst;
        free(entries[i]);
    }
    free(entries);
    (void)printf("%d schedules\n", count);
    return count == 0 ? 2 : worst;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.from = 1, .seeds = 100, .shrink_seconds = SHRINK_SECONDS};
    for (int i = 1; i < argc; i++) {
        if (!is_flag(argv[i], &arguments)) {
            parse_one(argc, argv, &i, &arguments);
        }
    }
    if (arguments.replay_count > 0) {
        struct options options = make_options(&arguments, "p1");
        return replay_run(arguments.replays, arguments.replay_count, &options.off,
                          arguments.verbose);
    }
    if (arguments.schedule != NULL) {
        return run_schedules(arguments.schedule, arguments.verbose);
    }
    if (arguments.teeth) {
        return teeth_run(arguments.rule, arguments.verbose);
    }
    return arguments.one ? run_single(&arguments) : run_many(&arguments);
}
