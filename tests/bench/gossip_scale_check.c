/* The goals of gossip at scale, from 10 to 300 nodes; fails when one is broken.
 *
 *     gossip_scale_check
 *
 * In virtual time and from fixed seeds: the same figures on every machine, however busy. */
#include "tests/bench/gossip_scale.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#define BYTES_MAX 60.0 /* per node and second at rest; Serf sends 320 to 371 with its frames */
#define BYTES_GROWTH_MAX 1.3
#define MESSAGES_MAX 2.5

static const size_t sizes[] = {10, 30, 100, 300};
#define SIZES (sizeof sizes / sizeof sizes[0])

static unsigned failures;

static void expect(bool good, const char *what, size_t nodes, double value, double bound)
{
    printf("%-4s %s: %.4g, bound %.4g, %zu nodes\n", good ? "ok" : "FAIL", what, value, bound,
           nodes);
    failures += !good;
}

static struct scale_case make_case(size_t nodes)
{
    return (struct scale_case){.profile = "lan", .nodes = nodes, .seed = 1};
}

static void check_cost(void)
{
    double smallest = 0;
    for (size_t i = 0; i < SIZES; i++) {
        struct scale_case self = make_case(sizes[i]);
        struct scale_cost cost;
        scale_measure_cost(&self, 300000, &cost);
        smallest = i == 0 ? cost.bytes : smallest;
        expect(cost.bytes <= BYTES_MAX, "bytes per node and second", sizes[i], cost.bytes,
               BYTES_MAX);
        expect(cost.bytes <= smallest * BYTES_GROWTH_MAX, "of those of ten nodes", sizes[i],
               cost.bytes / smallest, BYTES_GROWTH_MAX);
        expect(cost.messages <= MESSAGES_MAX, "messages per node and second", sizes[i],
               cost.messages, MESSAGES_MAX);
    }
}

/* A probe finds it within about two rounds; the least suspicion is 2 s times log10 of the nodes,
 * the longest four times that. */
static double suspicion_ms(size_t nodes)
{
    return 2000.0 * fmax(1.0, log10((double)nodes));
}

static void check_detection(unsigned loss)
{
    for (size_t i = 0; i < SIZES; i++) {
        struct scale_case self = make_case(sizes[i]);
        struct scale_detection detection;
        self.loss_percent = loss;
        scale_measure_detection(&self, 15, &detection);
        double median_bound = 2500 + suspicion_ms(sizes[i]);
        double worst_bound = 4000 + 2 * suspicion_ms(sizes[i]);
        expect((double)detection.all_ms <= median_bound, "ms to a death known by all, median",
               sizes[i], (double)detection.all_ms, median_bound);
        expect((double)detection.all_worst_ms <= worst_bound, "ms to a death known by all, worst",
               sizes[i], (double)detection.all_worst_ms, worst_bound);
        expect(detection.missed == 0, "deaths not known by all", sizes[i], (double)detection.missed,
               0);
    }
}

/* Three nodes, as most clusters have: a death is known in less than Serf needs (5.9 s, lan), and a
 * suspicion that nobody confirms (8 s) is not waited for. */
static void check_three(void)
{
    struct scale_case self = make_case(3);
    struct scale_detection detection;
    scale_measure_detection(&self, SCALE_DEATHS_MAX, &detection);
    expect(detection.all_ms <= 4500, "ms to a death known by all, median", 3,
           (double)detection.all_ms, 4500);
    expect(detection.all_worst_ms <= 6500, "ms to a death known by all, worst", 3,
           (double)detection.all_worst_ms, 6500);
}

static void check_false(const struct scale_case *self, double node_periods, double bound,
                        const char *what)
{
    struct scale_false wrong;
    scale_measure_false(self, node_periods, &wrong);
    expect((double)wrong.burials <= bound, what, self->nodes, (double)wrong.burials, bound);
}

static void check_loss(void)
{
    for (size_t i = 0; i < SIZES; i++) {
        struct scale_case self = make_case(sizes[i]);
        self.loss_percent = 5;
        check_false(&self, 100000, 0, "false deaths at a loss of 5 %, 100,000 node-periods");
        self.loss_percent = 20;
        check_false(&self, 20000, 1, "false deaths at a loss of 20 %, 20,000 node-periods");
    }
}

static void check_slow(void)
{
    for (size_t i = 0; i + 1 < SIZES; i++) {
        struct scale_case self = make_case(sizes[i]);
        self.slow_percent = 10;
        self.late_max_ms = 1500;
        check_false(&self, 20000, 0, "false deaths of others, a tenth is late, 20,000");
        self.late_max_ms = 0;
        self.pause_max_ms = 8000;
        check_false(&self, 20000, 0, "false deaths of others, a tenth freezes, 20,000");
    }
}

/* The same measure sees the harm when rules are off: it can fail. */
static void check_teeth(void)
{
    struct scale_case self = make_case(30);
    struct scale_false with;
    struct scale_false without;
    self.loss_percent = 20;
    scale_measure_false(&self, 15000, &with);
    self.off.refutation = true;
    scale_measure_false(&self, 15000, &without);
    expect(without.burials > with.burials + 10, "false deaths without refutation", self.nodes,
           (double)without.burials, (double)with.burials);
    self.off = (struct gossip_switches){.buddy = true, .last_question = true};
    scale_measure_false(&self, 15000, &without);
    expect(without.burials > with.burials, "... without buddy and last question", self.nodes,
           (double)without.burials, (double)with.burials);
}

int main(void)
{
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    check_cost();
    check_three();
    check_detection(0);
    check_detection(5);
    check_loss();
    check_slow();
    check_teeth();
    printf("%u of the goals broken\n", failures);
    return failures == 0 ? 0 : 1;
}
