#include "tests/bench/gossip_scale.h"

#include "node/base/invariant.h"
#include "tests/bench/gossip_population.h"

#include <stdlib.h>

#define SAMPLE_MS 2000 /* a node looks at its health so often */
#define STEP_MS 250    /* how finely slow nodes freeze and thaw */
#define DEATH_LIMIT_MS 120000
#define SHARED_DEATHS_FROM 200 /* nodes, from which on several of one cluster die in turn */

static void begin(const struct scale_case *self, struct net *net)
{
    net_init(net, self->nodes, self->profile, self->seed);
    net->config.off = self->off;
    population_start(net);
    net->loss_percent = self->loss_percent;
}

struct totals {
    uint64_t messages;
    uint64_t bytes;
    uint64_t suspicions;
};

static struct totals totals_of(const struct net *net, uint64_t *ret_bytes_of_each)
{
    struct totals totals = {0};
    for (size_t i = 0; i < net->node_count; i++) {
        struct gossip_counters counters;
        if (net->nodes[i].crashed) {
            continue;
        }
        gossip_counters(net->nodes[i].gossip, &counters);
        totals.messages += counters.messages_sent;
        totals.bytes += counters.bytes_sent;
        totals.suspicions += counters.suspicions;
        if (ret_bytes_of_each != NULL) {
            ret_bytes_of_each[i] = counters.bytes_sent;
        }
    }
    return totals;
}

/* ---- cost ---- */

static void run_with_health(struct net *net, int64_t duration_ms)
{
    for (int64_t done_ms = 0; done_ms < duration_ms; done_ms += SAMPLE_MS) {
        for (size_t i = 0; i < net->node_count; i++) {
            struct gossip_health health;
            population_health(&net->rng, &health);
            int rc = gossip_set_health(net->nodes[i].gossip, net->now_ms, &health, NULL);
            invariant(rc == 0);
            net_drain(net, i);
        }
        net_run(net, SAMPLE_MS);
    }
}

void scale_measure_cost(const struct scale_case *self, int64_t duration_ms, struct scale_cost *ret)
{
    struct net net;
    begin(self, &net);
    uint64_t *before_each = calloc(self->nodes, sizeof *before_each);
    uint64_t *after_each = calloc(self->nodes, sizeof *after_each);
    invariant(before_each != NULL && after_each != NULL);
    run_with_health(&net, 10000);
    struct totals before = totals_of(&net, before_each);
    run_with_health(&net, duration_ms);
    struct totals after = totals_of(&net, after_each);
    double seconds = (double)duration_ms / 1000.0;
    double node_seconds = seconds * (double)self->nodes;
    *ret =
        (struct scale_cost){.bytes = (double)(after.bytes - before.bytes) / node_seconds,
                            .messages = (double)(after.messages - before.messages) / node_seconds,
                            .seconds = seconds};
    for (size_t i = 0; i < self->nodes; i++) {
        double bytes = (double)(after_each[i] - before_each[i]) / seconds;
        ret->largest = bytes > ret->largest ? bytes : ret->largest;
    }
    free(before_each);
    free(after_each);
    population_stop(&net);
}

/* ---- detection ---- */

static bool all_know(const struct net *net)
{
    size_t running = 0;
    for (size_t i = 0; i < net->node_count; i++) {
        running += !net->nodes[i].crashed;
    }
    return net->watched_deaths >= running;
}

struct times {
    size_t count;
    int64_t ms[SCALE_DEATHS_MAX];
};

static void add_time(struct times *times, int64_t ms)
{
    invariant(times->count < SCALE_DEATHS_MAX);
    times->ms[times->count++] = ms;
}

static int compare_times(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static int64_t median(struct times *times)
{
    qsort(times->ms, times->count, sizeof times->ms[0], compare_times);
    return times->count == 0 ? -1 : times->ms[times->count / 2];
}

struct detection {
    struct times suspect;
    struct times first;
    struct times all;
    size_t missed;
};

static void kill_one(struct net *net, struct detection *detection)
{
    size_t victim;
    do {
        victim = (size_t)rng_below(&net->rng, net->node_count);
    } while (net->nodes[victim].crashed);
    net_run(net, rng_between(&net->rng, 3000, 6000));
    net_watch(net, victim);
    int64_t crash_ms = net->now_ms;
    net_crash(net, victim);
    if (!net_run_until(net, all_know, DEATH_LIMIT_MS)) {
        detection->missed++;
        return;
    }
    int64_t first_ms = INT64_MAX;
    int64_t all_ms = 0;
    for (size_t i = 0; i < net->node_count; i++) {
        int64_t seen_ms = net->nodes[i].deaths_seen_ms;
        if (seen_ms >= 0) {
            first_ms = seen_ms < first_ms ? seen_ms : first_ms;
            all_ms = seen_ms > all_ms ? seen_ms : all_ms;
        }
    }
    add_time(&detection->suspect, net->watched_suspect_ms - crash_ms);
    add_time(&detection->first, first_ms - crash_ms);
    add_time(&detection->all, all_ms - crash_ms);
}

void scale_measure_detection(const struct scale_case *self, size_t deaths,
                             struct scale_detection *ret)
{
    struct detection detection = {0};
    bool in_turn = self->nodes >= SHARED_DEATHS_FROM;
    invariant(deaths <= SCALE_DEATHS_MAX);
    for (size_t done = 0; done < deaths;) {
        struct net net;
        struct scale_case fresh = *self;
        fresh.seed += done;
        begin(&fresh, &net);
        for (size_t i = 0; i < (in_turn ? deaths : 1); i++) {
            kill_one(&net, &detection);
            done++;
        }
        population_stop(&net);
    }
    *ret = (struct scale_detection){.deaths = deaths,
                                    .suspect_ms = median(&detection.suspect),
                                    .first_ms = median(&detection.first),
                                    .all_ms = median(&detection.all),
                                    .missed = detection.missed};
    ret->all_worst_ms = detection.all.count == 0 ? -1 : detection.all.ms[detection.all.count - 1];
}

/* ---- false deaths ---- */

static void make_slow(struct net *net, const struct scale_case *self)
{
    size_t count = self->nodes * self->slow_percent / 100;
    count = count == 0 && self->slow_percent > 0 ? 1 : count;
    for (size_t i = 0; i < count; i++) { /* every so many: tables do not know an order */
        struct net_node *node = &net->nodes[i * self->nodes / count];
        node->slow = true;
        node->late_max_ms = self->late_max_ms;
    }
}

static void pause_some(struct net *net, const struct scale_case *self)
{
    for (size_t i = 0; i < net->node_count && self->pause_max_ms > 0; i++) {
        struct net_node *node = &net->nodes[i];
        if (node->slow && net->now_ms >= node->busy_until_ms &&
            rng_below(&net->rng, 5000 / STEP_MS) == 0) { /* it ran for 5 s in the mean */
            net_pause(net, i, rng_between(&net->rng, 1000, self->pause_max_ms));
        }
    }
}

void scale_measure_false(const struct scale_case *self, double node_periods,
                         struct scale_false *ret)
{
    struct net net;
    begin(self, &net);
    make_slow(&net, self);
    int64_t duration_ms =
        (int64_t)(node_periods / (double)self->nodes * (double)net.config.probe_interval_ms);
    for (int64_t done_ms = 0; done_ms < duration_ms; done_ms += STEP_MS) {
        pause_some(&net, self);
        net_run(&net, STEP_MS);
    }
    struct totals totals = totals_of(&net, NULL);
    *ret = (struct scale_false){
        .node_periods =
            (double)duration_ms / (double)net.config.probe_interval_ms * (double)self->nodes,
        .burials = net.false_burials,
        .views = net.false_deaths,
        .slow_views = net.slow_deaths,
        .suspicions = totals.suspicions,
        .bytes = (double)totals.bytes * 1000.0 / (double)duration_ms / (double)self->nodes};
    population_stop(&net);
}
