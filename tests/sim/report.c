#include "tests/sim/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAST_LINES 60      /* in all */
#define LAST_NODE_LINES 12 /* of each node */
#define LINE_BYTES 512

/* ---- the sum ---- */

void report_add(struct tally *self, const struct stats *one)
{
    struct stats *sum = &self->stats;
    uint64_t *to = (uint64_t *)(void *)sum;
    const uint64_t *from = (const uint64_t *)(const void *)one;
    uint64_t longest =
        sum->recovered_max_ms > one->recovered_ms ? sum->recovered_max_ms : one->recovered_ms;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++) {
        to[i] += from[i];
    }
    sum->recovered_max_ms = longest;
}

static void report_work(const struct stats *s)
{
    if (s->slots > 0) {
        (void)printf("         slots %" PRIu64 ", runs %" PRIu64 ", attempts begun %" PRIu64
                     ", retries %" PRIu64 ", ends unknown %" PRIu64 "\n",
                     s->slots, s->runs, s->effects, s->retries, s->unknown_runs);
    }
    if (s->intents > 0) {
        (void)printf("         intents %" PRIu64 ", effects outside %" PRIu64 ", parked %" PRIu64
                     "\n",
                     s->intents, s->outside_effects, s->parked);
    }
}

void report_tally(const char *name, const struct tally *tally, int64_t took_ms)
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
    (void)printf("         disks slow %" PRIu64 ", stuck %" PRIu64 ", failing %" PRIu64
                 "; hand-overs by policy and roles %" PRIu64 ", moves for a better place %" PRIu64
                 "\n",
                 s->slow_disks, s->stuck_disks, s->failing_disks, s->policy_moves, s->rebalanced);
    report_work(s);
    (void)printf("         recovery: mean %" PRIu64 " ms, longest %" PRIu64 " ms; events %" PRIu64
                 " a seed\n",
                 s->recovered_ms / runs, s->recovered_max_ms, s->events / runs);
}

/* ---- what led to a failure ---- */

/* The line speaks of the node: "n3" as a word. */
static bool is_about(const char *line, int node)
{
    char name[16];
    int length = snprintf(name, sizeof name, "n%d", node);
    for (const char *at = strstr(line, name); at != NULL; at = strstr(at + 1, name)) {
        char before = at == line ? ' ' : at[-1];
        char after = at[length];
        bool begins = before == ' ' || before == '>';
        bool ends = after < '0' || after > '9';
        if (begins && ends) {
            return true;
        }
    }
    return false;
}

/* The last `count` lines of the file that speak of `node` (SIM_NONE: any). */
static void print_last(FILE *file, int node, int count)
{
    char line[LINE_BYTES];
    int lines = 0;
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL) {
        lines += node == SIM_NONE || is_about(line, node) ? 1 : 0;
    }
    rewind(file);
    for (int i = 0; fgets(line, sizeof line, file) != NULL;) {
        if (node == SIM_NONE || is_about(line, node)) {
            if (i >= lines - count) {
                (void)fputs(line, stdout);
            }
            i++;
        }
    }
}

static void print_file(const struct options *options, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    (void)printf("  the last events:\n");
    print_last(file, SIM_NONE, LAST_LINES);
    for (int node = 0; node < (int)options->nodes; node++) {
        (void)printf("  the last events of n%d:\n", node);
        print_last(file, node, LAST_NODE_LINES);
    }
    (void)fclose(file);
}

void report_history(const struct options *options, uint64_t seed)
{
    char path[] = "/tmp/understudy-sim-XXXXXX";
    int file = mkstemp(path);
    if (file < 0) {
        return;
    }
    (void)close(file);
    struct verdict verdict;
    (void)runner_one(runner_random, options, seed, &verdict, path);
    print_file(options, path);
    (void)unlink(path);
}

void report_trace(const struct options *options, uint64_t seed)
{
    struct verdict verdict;
    (void)fflush(stdout);
    (void)runner_one(runner_random, options, seed, &verdict, "-");
}
