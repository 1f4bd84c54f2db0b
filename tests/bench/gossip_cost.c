/* What gossip costs, and how quickly it knows: printed, not asserted.
 *
 *     bench_gossip_cost [PROFILE] [NODES_MAX]
 *
 * In virtual time, so that the machine's load does not count. Bytes are those of the payload; each
 * message adds the transport's frame and ZeroMQ's, about 100 bytes. Health changes as on a machine
 * at rest: the score wanders by half a point, the load by a tenth. */
#include "tests/unit/gossip/net.h"

#include "node/base/clock.h"
#include "node/base/invariant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_MS 2000
#define TRIALS 10

static const char *const component_names[] = {"cpu",         "memory", "io",    "disk",
                                              "descriptors", "loop",   "fsync", "managers"};

static void give_health(struct net *net, size_t index)
{
    struct gossip_health health;
    gossip_health_init(&health);
    health.score_tenths = 950 + (int)rng_between(&net->rng, -5, 5);
    health.load_hundredths = 80 + (int)rng_between(&net->rng, -10, 10);
    health.flags = GOSSIP_FLAG_LEADER_CAPABLE;
    (void)snprintf(health.version, sizeof health.version, "0.1.0");
    for (size_t i = 0; i < sizeof component_names / sizeof component_names[0]; i++) {
        struct gossip_component *component = &health.components[health.component_count++];
        (void)snprintf(component->name, sizeof component->name, "%s", component_names[i]);
        component->score_tenths = 950 + (int)rng_between(&net->rng, -20, 20);
    }
    health.capability_count = 1;
    (void)snprintf(health.capabilities[0].manager, GOSSIP_LABEL_NAME_SIZE, "pm2");
    health.capabilities[0].percent = 100;
    health.label_count = 1;
    (void)snprintf(health.labels[0].name, GOSSIP_LABEL_NAME_SIZE, "environment");
    (void)snprintf(health.labels[0].value, GOSSIP_LABEL_VALUE_SIZE, "production");
    int rc = gossip_set_health(net->nodes[index].gossip, net->now_ms, &health, NULL);
    invariant(rc == 0);
    net_drain(net, index);
}

static void run_with_health(struct net *net, int64_t duration_ms)
{
    for (int64_t done_ms = 0; done_ms < duration_ms; done_ms += SAMPLE_MS) {
        for (size_t i = 0; i < net->node_count; i++) {
            if (!net->nodes[i].crashed) {
                give_health(net, i);
            }
        }
        net_run(net, SAMPLE_MS);
    }
}

static void sum_counters(const struct net *net, struct gossip_counters *ret)
{
    *ret = (struct gossip_counters){0};
    for (size_t i = 0; i < net->node_count; i++) {
        struct gossip_counters one;
        if (net->nodes[i].crashed) {
            continue;
        }
        gossip_counters(net->nodes[i].gossip, &one);
        ret->messages_sent += one.messages_sent;
        ret->bytes_sent += one.bytes_sent;
        ret->syncs_equal += one.syncs_equal;
        ret->syncs_different += one.syncs_different;
        ret->health_published += one.health_published;
    }
}

static void print_idle(const char *profile, size_t nodes)
{
    const int64_t duration_ms = 600000;
    struct net net;
    net_init(&net, nodes, profile, nodes);
    net_start_all(&net);
    run_with_health(&net, 120000);
    struct gossip_counters before;
    struct gossip_counters after;
    sum_counters(&net, &before);
    run_with_health(&net, duration_ms);
    sum_counters(&net, &after);
    double node_seconds = (double)nodes * (double)duration_ms / 1000.0;
    double messages = (double)(after.messages_sent - before.messages_sent) / node_seconds;
    double bytes = (double)(after.bytes_sent - before.bytes_sent) / node_seconds;
    printf("%-6s %6zu %12.1f %12.2f %22.0f %10llu/%llu\n", profile, nodes, bytes, messages,
           bytes + messages * 100, (unsigned long long)(after.syncs_equal - before.syncs_equal),
           (unsigned long long)(after.syncs_different - before.syncs_different));
    net_deinit(&net);
}

static int compare_times(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

struct detection {
    int64_t first_ms;
    int64_t all_ms;
    uint64_t false_deaths;
};

static struct detection detect(const char *profile, size_t nodes, uint64_t seed, unsigned loss)
{
    struct net net;
    net_init(&net, nodes, profile, seed);
    net_start_all(&net);
    net_run(&net, 30000 + (int64_t)rng_below(&net.rng, 2000));
    net.loss_percent = loss;
    net_run(&net, 30000);
    net.watched = nodes / 2;
    int64_t crash_ms = net.now_ms;
    net_crash(&net, net.watched);
    (void)net_run_until(&net, net_watched_is_dead, 120000);
    struct detection detection = {.first_ms = INT64_MAX, .false_deaths = net.false_deaths};
    for (size_t i = 0; i < nodes; i++) {
        int64_t seen_ms = net.nodes[i].deaths_seen_ms;
        if (i == net.watched) {
            continue;
        }
        int64_t after_ms = seen_ms < 0 ? INT64_MAX : seen_ms - crash_ms;
        detection.first_ms = after_ms < detection.first_ms ? after_ms : detection.first_ms;
        detection.all_ms = after_ms > detection.all_ms ? after_ms : detection.all_ms;
    }
    net_deinit(&net);
    return detection;
}

static void print_detection(const char *profile, size_t nodes, unsigned loss)
{
    size_t trials = nodes > 200 ? 3 : TRIALS;
    int64_t first_ms[TRIALS];
    int64_t all_ms[TRIALS];
    uint64_t false_deaths = 0;
    int64_t start_ms = clock_boot_ms();
    for (size_t i = 0; i < trials; i++) {
        struct detection detection = detect(profile, nodes, 100 + i, loss);
        first_ms[i] = detection.first_ms;
        all_ms[i] = detection.all_ms;
        false_deaths += detection.false_deaths;
    }
    qsort(first_ms, trials, sizeof first_ms[0], compare_times);
    qsort(all_ms, trials, sizeof all_ms[0], compare_times);
    printf("%-6s %6zu %6u%% %14lld %14lld %14lld %14llu %10.1f\n", profile, nodes, loss,
           (long long)first_ms[trials / 2], (long long)all_ms[trials / 2],
           (long long)all_ms[trials - 1], (unsigned long long)false_deaths,
           (double)(clock_boot_ms() - start_ms) / 1000.0);
}

int main(int argc, char **argv)
{
    static const size_t idle_sizes[] = {3, 5, 20, 64, 200};
    static const size_t crash_sizes[] = {3, 5, 10, 20, 50, 100, 300, 1000};
    const char *profile = argc > 1 ? argv[1] : "lan";
    size_t nodes_max = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 100;
    printf(
        "profile nodes  payload B/s   messages/s  with 100 B a message   syncs equal/different\n");
    for (size_t i = 0; i < sizeof idle_sizes / sizeof idle_sizes[0]; i++) {
        if (idle_sizes[i] <= nodes_max) {
            print_idle(profile, idle_sizes[i]);
        }
    }
    printf("\nprofile nodes   loss  first knows ms   all know ms   worst trial ms  false deaths   "
           "took s\n");
    for (size_t i = 0; i < sizeof crash_sizes / sizeof crash_sizes[0]; i++) {
        if (crash_sizes[i] <= nodes_max) {
            print_detection(profile, crash_sizes[i], 0);
            print_detection(profile, crash_sizes[i], 5);
        }
    }
    return 0;
}
