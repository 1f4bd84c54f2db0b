/* understudy-sim: see usage(). */
#include "node/base/clock.h"
#include "tests/sim/runner.h"
#include "tests/sim/teeth.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTINGS_MAX 32
#define PROFILES_MAX 32
#define SHOWN_MAX 5
#define TAIL_LINES 60

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
    const char *rule; /* of --teeth */
};

static void usage(void)
{
    (void)printf(
        "usage: understudy-sim [--profile NAME]... [--seeds N] [--from S] [--minutes M]\n"
        "                      [--seed S [--verbose]] [--off RULE]... [--set NAME=VALUE]...\n"
        "                      [--expect-failure] [--teeth [RULE]] [--list]\n\n"
        "Runs the real gossip and consensus code of a small cluster in virtual time. Without\n"
        "--profile all profiles take turns. --seed runs one seed and, with --verbose, prints what\n"
        "happened. --expect-failure turns the verdict round: some seed must fail.\n"
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

static void print_file(const char *path, int lines_from_end)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    char line[512];
    int lines = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        lines++;
    }
    rewind(file);
    for (int i = 0; fgets(line, sizeof line, file) != NULL; i++) {
        if (lines_from_end == 0 || i >= lines - lines_from_end) {
            (void)fputs(line, stdout);
        }
    }
    (void)fclose(file);
}

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

/* Run the seed once more and print what led to the failure. */
static void print_history(const struct options *options, uint64_t seed, int lines)
{
    char path[] = "/tmp/understudy-sim-XXXXXX";
    int file = mkstemp(path);
    if (file < 0) {
        return;
    }
    (void)close(file);
    struct verdict verdict;
    (void)runner_one(runner_random, options, seed, &verdict, path);
    print_file(path, lines);
    (void)unlink(path);
}

struct tally {
    uint64_t runs;
    uint64_t failed;
    uint64_t crashed;
    struct stats stats;
};

static void add_stats(struct stats *sum, const struct stats *one)
{
    uint64_t *to = (uint64_t *)(void *)sum;
    const uint64_t *from = (const uint64_t *)(const void *)one;
    uint64_t longest =
        sum->recovered_max_ms > one->recovered_ms ? sum->recovered_max_ms : one->recovered_ms;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++) {
        to[i] += from[i];
    }
    sum->recovered_max_ms = longest;
}

static void print_tally(const char *name, const struct tally *tally, int64_t took_ms)
{
    const struct stats *s = &tally->stats;
    uint64_t runs = tally->runs == 0 ? 1 : tally->runs;
    (void)printf("%-8s %5" PRIu64 " seeds, %" PRIu64 " failed (%" PRIu64 " crashed), %" PRId64
                 " ms a seed\n",
                 name, tally->runs, tally->failed, tally->crashed, took_ms / (int64_t)runs);
    (void)printf("         elected:");
    for (unsigned i = 0; i < 9; i++) {
        if (s->elections[i] > 0) {
            (void)printf(" %s %" PRIu64, consensus_cause_name((enum consensus_cause)i),
                         s->elections[i]);
        }
    }
    (void)printf("; terms acted in %" PRIu64 ", acting %" PRIu64 " s, duties ran %" PRIu64
                 " s, commands %" PRIu64 "\n",
                 s->acted_terms, s->acting_us / 1000000, s->duty_us / 1000000, s->commands);
    (void)printf("         faults: crashes %" PRIu64 "+%" PRIu64 " (at crash points %" PRIu64
                 ", after failed writes %" PRIu64 "), freezes %" PRIu64 ", cuts %" PRIu64
                 ", false evidence %" PRIu64 ", transfers %" PRIu64 ", changes %" PRIu64 "\n",
                 s->crashes, s->host_crashes, s->crash_points, s->storage_errors, s->freezes,
                 s->cuts, s->false_evidence, s->transfers, s->changes);
    (void)printf("         stood %" PRIu64 ", obituaries %" PRIu64 ", proofs %" PRIu64
                 ", votes silenced %" PRIu64 ", reloads %" PRIu64 ", snapshots %" PRIu64
                 ", restores %" PRIu64 ", grants %" PRIu64 ", moves %" PRIu64 ", releases %" PRIu64
                 ", overlaps of woken hosts %" PRIu64 "\n",
                 s->stands, s->obituaries, s->proofs, s->silenced, s->reloads, s->snapshots,
                 s->restores, s->grants, s->moves, s->releases, s->wake_overlaps);
    if (s->standstills > 0) {
        (void)printf("         standstills of roles, a known limit (see check.c): %" PRIu64 "\n",
                     s->standstills);
    }
    (void)printf("         recovery: mean %" PRIu64 " ms, longest %" PRIu64 " ms; events %" PRIu64
                 " a seed\n",
                 s->recovered_ms / runs, s->recovered_max_ms, s->events / runs);
}

/* ---- commands ---- */

static int run_single(const struct arguments *arguments)
{
    const char *profile = arguments->profile_count > 0 ? arguments->profiles[0] : "p1";
    struct options options = make_options(arguments, profile);
    if (arguments->verbose) {
        print_history(&options, arguments->from, 0);
    }
    struct verdict verdict;
    struct tally tally = {.runs = 1};
    int64_t begun_ms = clock_boot_ms();
    enum outcome outcome = runner_one(runner_random, &options, arguments->from, &verdict, NULL);
    tally.failed = outcome != OUTCOME_OK;
    add_stats(&tally.stats, &verdict.stats);
    print_tally(profile, &tally, clock_boot_ms() - begun_ms);
    (void)printf("seed %" PRIu64 ": %s %s %s (at %" PRId64 " ms, digest %016" PRIx64 ")\n",
                 arguments->from, outcome_name(outcome), verdict.check, verdict.text, verdict.at_ms,
                 verdict.digest);
    return outcome == OUTCOME_OK ? 0 : 1;
}

static void report_failure(const struct arguments *arguments, const char *profile, uint64_t seed,
                           enum outcome outcome, const struct verdict *verdict, bool history)
{
    (void)printf("FAILED: profile %s, seed %" PRIu64 ", at %" PRId64 " ms: %s %s: %s\n", profile,
                 seed, verdict->at_ms, outcome_name(outcome), verdict->check, verdict->text);
    print_replay(arguments, profile, seed);
    if (history) {
        struct options options = make_options(arguments, profile);
        print_history(&options, seed, TAIL_LINES);
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
        add_stats(&tallies[which].stats, &verdict.stats);
        if (outcome != OUTCOME_OK) {
            tallies[which].failed++;
            tallies[which].crashed += outcome == OUTCOME_CRASH;
            report_failure(arguments, names[which], seed, outcome, &verdict,
                           failed < SHOWN_MAX && !arguments->expect_failure);
            failed++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        print_tally(names[i], &tallies[i], took_ms[i]);
    }
    int64_t all_ms = clock_boot_ms() - begun_ms;
    (void)printf("%" PRIu64 " seeds, %" PRIu64 " failed, %" PRId64 " s, %" PRIu64
                 " seeds a minute\n",
                 done, failed, all_ms / 1000, done * 60000 / (uint64_t)(all_ms == 0 ? 1 : all_ms));
    return (failed == 0) != arguments->expect_failure ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.from = 1, .seeds = 100};
    for (int i = 1; i < argc; i++) {
        if (!is_flag(argv[i], &arguments)) {
            parse_one(argc, argv, &i, &arguments);
        }
    }
    if (arguments.teeth) {
        return teeth_run(arguments.rule, arguments.verbose);
    }
    return arguments.one ? run_single(&arguments) : run_many(&arguments);
}
