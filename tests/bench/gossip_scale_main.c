/* Gossip from 3 to 10,000 nodes: what it costs, how quickly it knows, how often it errs.
 *
 *     bench_gossip_scale [--profile P] [--nodes N,N,...] [--seed S] [--deaths D] [--periods K]
 *                        [--loss L,L,...] [--only cost|detection|loss|slow] [--off RULE,...]
 *                        [--json FILE]
 *
 * Prints a table, and appends one JSON object a line to FILE. tests/bench/gossip_scale.py runs it
 * over all sizes and draws the plot. */
#include "node/base/clock.h"
#include "tests/bench/gossip_population.h"
#include "tests/bench/gossip_scale.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 16

struct options {
    const char *profile;
    size_t nodes[LIST_MAX];
    size_t nodes_count;
    size_t losses[LIST_MAX];
    size_t losses_count;
    uint64_t seed;
    size_t deaths;
    double periods;
    const char *only;
    struct gossip_switches off;
    const char *off_text;
    FILE *json;
};

static void write_case(const struct options *options, const char *kind,
                       const struct scale_case *self)
{
    (void)fprintf(options->json,
                  "{\"kind\": \"%s\", \"profile\": \"%s\", \"nodes\": %zu, \"loss_percent\": %u, "
                  "\"slow_percent\": %u, \"late_max_ms\": %lld, \"pause_max_ms\": %lld, "
                  "\"seed\": %llu, \"off\": \"%s\", \"shared_table\": %s, ",
                  kind, self->profile, self->nodes, self->loss_percent, self->slow_percent,
                  (long long)self->late_max_ms, (long long)self->pause_max_ms,
                  (unsigned long long)self->seed, options->off_text,
                  population_is_shared ? "true" : "false");
}

static struct scale_case make_case(const struct options *options, size_t nodes)
{
    return (struct scale_case){
        .profile = options->profile, .nodes = nodes, .seed = options->seed, .off = options->off};
}

static double since_s(int64_t start_ms)
{
    return (double)(clock_boot_ms() - start_ms) / 1000.0;
}

static void print_cost(const struct options *options, size_t nodes)
{
    struct scale_case self = make_case(options, nodes);
    struct scale_cost cost;
    int64_t start_ms = clock_boot_ms();
    int64_t duration_ms = nodes <= 300 ? 600000 : (nodes <= 1000 ? 300000 : 120000);
    scale_measure_cost(&self, duration_ms, &cost);
    printf("%-10s %6zu %12.1f %12.2f %12.1f %10.0f %8.1f\n", "cost", nodes, cost.bytes,
           cost.messages, cost.largest, cost.seconds, since_s(start_ms));
    write_case(options, "cost", &self);
    (void)fprintf(options->json,
                  "\"bytes\": %.2f, \"messages\": %.3f, \"largest\": %.2f, \"seconds\": %.0f}\n",
                  cost.bytes, cost.messages, cost.largest, cost.seconds);
}

static void print_detection(const struct options *options, size_t nodes, unsigned loss)
{
    struct scale_case self = make_case(options, nodes);
    struct scale_detection detection;
    int64_t start_ms = clock_boot_ms();
    size_t deaths = options->deaths;
    if (deaths == 0) {
        deaths = nodes <= 300 ? 30 : (nodes <= 1000 ? 10 : 5);
    }
    self.loss_percent = loss;
    scale_measure_detection(&self, deaths, &detection);
    printf("%-10s %6zu %5u%% %6zu %8lld %8lld %8lld %8lld %6zu %8.1f\n", "detection", nodes, loss,
           detection.deaths, (long long)detection.suspect_ms, (long long)detection.first_ms,
           (long long)detection.all_ms, (long long)detection.all_worst_ms, detection.missed,
           since_s(start_ms));
    write_case(options, "detection", &self);
    (void)fprintf(options->json,
                  "\"deaths\": %zu, \"suspect_ms\": %lld, \"first_ms\": %lld, \"all_ms\": %lld, "
                  "\"all_worst_ms\": %lld, \"missed\": %zu}\n",
                  detection.deaths, (long long)detection.suspect_ms, (long long)detection.first_ms,
                  (long long)detection.all_ms, (long long)detection.all_worst_ms, detection.missed);
}

static void print_false(const struct options *options, const struct scale_case *self)
{
    struct scale_false wrong;
    char what[48];
    int64_t start_ms = clock_boot_ms();
    scale_measure_false(self, options->periods, &wrong);
    if (self->slow_percent == 0) {
        (void)snprintf(what, sizeof what, "loss %u%%", self->loss_percent);
    } else {
        (void)snprintf(what, sizeof what, "%u%% %s", self->slow_percent,
                       self->late_max_ms > 0 ? "late" : "frozen");
    }
    printf("%-10s %6zu %-12s %10.2g %8llu %8llu %10llu %10llu %8.1f %8.1f\n", "false", self->nodes,
           what, wrong.node_periods, (unsigned long long)wrong.burials,
           (unsigned long long)wrong.views, (unsigned long long)wrong.slow_views,
           (unsigned long long)wrong.suspicions, wrong.bytes, since_s(start_ms));
    write_case(options, "false", self);
    (void)fprintf(options->json,
                  "\"node_periods\": %.0f, \"burials\": %llu, \"views\": %llu, "
                  "\"slow_views\": %llu, \"suspicions\": %llu, \"bytes\": %.2f}\n",
                  wrong.node_periods, (unsigned long long)wrong.burials,
                  (unsigned long long)wrong.views, (unsigned long long)wrong.slow_views,
                  (unsigned long long)wrong.suspicions, wrong.bytes);
}

static void print_loss(const struct options *options, size_t nodes)
{
    for (size_t i = 0; i < options->losses_count; i++) {
        struct scale_case self = make_case(options, nodes);
        self.loss_percent = (unsigned)options->losses[i];
        print_false(options, &self);
    }
}

static void print_slow(const struct options *options, size_t nodes)
{
    struct scale_case late = make_case(options, nodes);
    late.slow_percent = 10;
    late.late_max_ms = 1500;
    print_false(options, &late);
    struct scale_case frozen = make_case(options, nodes);
    frozen.slow_percent = 10;
    frozen.pause_max_ms = 8000;
    print_false(options, &frozen);
}

static bool wants(const struct options *options, const char *kind)
{
    return options->only == NULL || strcmp(options->only, kind) == 0;
}

static void run(const struct options *options)
{
    if (wants(options, "cost")) {
        printf("%-10s %6s %12s %12s %12s %10s %8s\n", "", "nodes", "bytes/s", "messages/s",
               "largest B/s", "virtual s", "took s");
        for (size_t i = 0; i < options->nodes_count; i++) {
            print_cost(options, options->nodes[i]);
        }
    }
    if (wants(options, "detection")) {
        printf("%-10s %6s %6s %6s %8s %8s %8s %8s %6s %8s\n", "", "nodes", "loss", "deaths",
               "suspect", "first", "all ms", "worst", "missed", "took s");
        for (size_t i = 0; i < options->nodes_count; i++) {
            print_detection(options, options->nodes[i], 0);
            print_detection(options, options->nodes[i], 5);
        }
    }
    if (wants(options, "loss") || wants(options, "slow")) {
        printf("%-10s %6s %-12s %10s %8s %8s %10s %10s %8s %8s\n", "", "nodes", "under", "periods",
               "burials", "views", "slow views", "suspicions", "bytes/s", "took s");
    }
    for (size_t i = 0; i < options->nodes_count && wants(options, "loss"); i++) {
        print_loss(options, options->nodes[i]);
    }
    for (size_t i = 0; i < options->nodes_count && wants(options, "slow"); i++) {
        print_slow(options, options->nodes[i]);
    }
}

/* ---- options ---- */

static bool take_list(const char *text, size_t *ret, size_t *ret_count)
{
    *ret_count = 0;
    while (*text != '\0' && *ret_count < LIST_MAX) {
        char *end;
        ret[(*ret_count)++] = (size_t)strtoul(text, &end, 10);
        if (end == text || (*end != ',' && *end != '\0')) {
            return false;
        }
        text = *end == ',' ? end + 1 : end;
    }
    return *text == '\0' && *ret_count > 0;
}

static bool take_off(const char *text, struct gossip_switches *ret)
{
    const struct {
        const char *name;
        bool *place;
    } rules[] = {{"refutation", &ret->refutation},
                 {"buddy", &ret->buddy},
                 {"nack", &ret->nack},
                 {"awareness", &ret->awareness},
                 {"shrinking", &ret->shrinking},
                 {"confirmation", &ret->confirmation},
                 {"last_question", &ret->last_question}};
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        bool known = false;
        for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
            if (strlen(rules[i].name) == length && strncmp(rules[i].name, text, length) == 0) {
                *rules[i].place = true;
                known = true;
            }
        }
        if (!known) {
            return false;
        }
        text += length + (text[length] == ',');
    }
    return true;
}

static bool take_option(struct options *options, int option, const char *value)
{
    switch (option) {
    case 'p':
        options->profile = value;
        return true;
    case 'n':
        return take_list(value, options->nodes, &options->nodes_count);
    case 'l':
        return take_list(value, options->losses, &options->losses_count);
    case 's':
        options->seed = strtoull(value, NULL, 10);
        return true;
    case 'd':
        options->deaths = strtoul(value, NULL, 10);
        return options->deaths <= SCALE_DEATHS_MAX;
    case 'k':
        options->periods = strtod(value, NULL);
        return options->periods > 0;
    case 'w':
        options->only = value;
        return true;
    case 'o':
        options->off_text = value;
        return take_off(value, &options->off);
    case 'j':
        options->json = fopen(value, "a");
        return options->json != NULL;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"profile", required_argument, NULL, 'p'}, {"nodes", required_argument, NULL, 'n'},
        {"loss", required_argument, NULL, 'l'},    {"seed", required_argument, NULL, 's'},
        {"deaths", required_argument, NULL, 'd'},  {"periods", required_argument, NULL, 'k'},
        {"only", required_argument, NULL, 'w'},    {"off", required_argument, NULL, 'o'},
        {"json", required_argument, NULL, 'j'},    {0}};
    struct options options = {.profile = "lan",
                              .nodes = {10, 30, 100, 300},
                              .nodes_count = 4,
                              .losses = {0, 1, 5, 10, 20},
                              .losses_count = 5,
                              .seed = 1,
                              .periods = 100000,
                              .off_text = ""};
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (!take_option(&options, option, optarg)) {
            (void)fprintf(stderr, "bad option; see the head of tests/bench/gossip_scale_main.c\n");
            return 2;
        }
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    options.json = options.json == NULL ? fopen("/dev/null", "w") : options.json;
    if (options.json == NULL) {
        return 1;
    }
    run(&options);
    return fclose(options.json) == 0 ? 0 : 1;
}
