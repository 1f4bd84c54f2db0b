/* Placement in random worlds: what holds whatever they are like, and that they come to rest. */
#include "node/base/rng.h"
#include "tests/unit/state/placement_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NODES 8
#define DUTIES 48
#define STEP_MS 5000

struct sandbox {
    struct rng rng;
    size_t node_count;
    size_t duty_count;
    struct placement_node nodes[NODES];
    struct placement_duty duties[DUTIES];
};

static struct placement_world world_of(const struct sandbox *box)
{
    return (struct placement_world){box->nodes, box->node_count, box->duties, box->duty_count};
}

static bool chance(struct sandbox *box, uint64_t percent)
{
    return rng_below(&box->rng, 100) < percent;
}

static void random_node(struct sandbox *box, size_t position)
{
    struct placement_node *node = &box->nodes[position];
    *node = node_of(position + 1);
    node->alive = chance(box, 85);
    node->draining = chance(box, 10);
    node->witness = chance(box, 5);
    node->incarnation = 5 + (chance(box, 10) ? 1 : 0);
    node->score_known = chance(box, 90);
    node->score = (double)rng_below(&box->rng, 1001) / 10.0;
    node->load_known = chance(box, 80);
    node->load = (double)rng_below(&box->rng, 85);
    node->managers[0].percent = chance(box, 80) ? 100 : (int)rng_below(&box->rng, 101) - 1;
    char label[LABEL_SIZE];
    (void)snprintf(label, sizeof(label), "host=h%u", (unsigned)rng_below(&box->rng, 4));
    put_label(node, label);
    (void)snprintf(label, sizeof(label), "zone=z%u", (unsigned)rng_below(&box->rng, 2));
    put_label(node, label);
}

static void random_duty(struct sandbox *box, size_t position)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "d%02zu", position);
    struct placement_duty *duty = &box->duties[position];
    *duty = chance(box, 60) ? held_by(name, 1 + rng_below(&box->rng, box->node_count + 1))
                            : duty_of(name);
    duty->wanted = chance(box, 90);
    duty->once = chance(box, 10);
    duty->spent = duty->once && (duty->assigned || chance(box, 30));
    duty->rests = chance(box, 5);
    duty->bound = duty->assigned && chance(box, 50);
    duty->priority = (int64_t)rng_below(&box->rng, 5) - 2;
    duty->only_count = chance(box, 20) ? 1 + rng_below(&box->rng, 3) : 0;
    for (size_t i = 0; i < duty->only_count; i++) {
        duty->only[i] = 1 + rng_below(&box->rng, box->node_count);
    }
    duty->avoid_count = chance(box, 40) ? 1 : 0;
    duty->avoid[0] = 1 + rng_below(&box->rng, box->node_count);
    if (chance(box, 15)) {
        ask_for_label(duty, chance(box, 50) ? "zone=z0" : "zone=z1");
    }
    if (chance(box, 50)) {
        (void)snprintf(duty->group, sizeof(duty->group), "g%u", (unsigned)rng_below(&box->rng, 6));
    }
}

static void random_world(struct sandbox *box, uint64_t seed)
{
    memset(box, 0, sizeof(*box));
    rng_init(&box->rng, seed);
    box->node_count = 1 + rng_below(&box->rng, NODES);
    box->duty_count = 1 + rng_below(&box->rng, DUTIES);
    for (size_t i = 0; i < box->node_count; i++) {
        random_node(box, i);
    }
    for (size_t i = 0; i < box->duty_count; i++) {
        random_duty(box, i);
    }
}

/* ---- a second opinion on what is allowed ---- */

static bool fits(const struct placement_node *node, const struct placement_duty *duty)
{
    bool listed = duty->only_count == 0;
    for (size_t i = 0; i < duty->only_count; i++) {
        listed = listed || duty->only[i] == node->raft_id;
    }
    bool labelled = duty->label_count == 0;
    for (size_t i = 0; i < node->label_count && duty->label_count > 0; i++) {
        labelled = labelled || strcmp(node->labels[i], duty->labels[0]) == 0;
    }
    return node->alive && !node->draining && !node->witness && node->managers[0].percent > 0 &&
           listed && labelled;
}

static bool avoids(const struct placement_node *node, const struct placement_duty *duty)
{
    return duty->avoid_count > 0 && duty->avoid[0] == node->raft_id;
}

static size_t held_on(const struct sandbox *box, size_t node)
{
    size_t count = 0;
    for (size_t i = 0; i < box->duty_count; i++) {
        const struct placement_duty *duty = &box->duties[i];
        count += duty->wanted && duty->assigned && duty->raft_id == box->nodes[node].raft_id;
    }
    return count;
}

static bool runs_well(const struct sandbox *box, const struct placement_duty *duty)
{
    for (size_t i = 0; i < box->node_count; i++) {
        const struct placement_node *node = &box->nodes[i];
        if (duty->assigned && node->raft_id == duty->raft_id) {
            return node->alive && !node->draining && !node->witness &&
                   node->managers[0].percent > 0 && node->incarnation <= duty->incarnation;
        }
    }
    return false;
}

static void check_target(const struct sandbox *box, const struct placement_target *target)
{
    const struct placement_duty *duty = &box->duties[target->duty];
    assert_true(duty->wanted && !duty->rests && !duty->spent && !duty->leaving);
    assert_false(duty->once && duty->assigned);
    assert_true(target->leave == (runs_well(box, duty) && duty->assigned));
    if (target->node == PLACEMENT_NO_NODE) {
        assert_true(target->leave && target->reason == PLACEMENT_PRESSURE);
        return;
    }
    const struct placement_node *node = &box->nodes[target->node];
    if (target->reason == PLACEMENT_NODE_RESTARTED) {
        assert_int_equal(node->raft_id, duty->raft_id);
        return;
    }
    assert_true(fits(node, duty));
    assert_true(target->leave || !duty->bound);
    for (size_t i = 0; i < box->node_count && avoids(node, duty); i++) {
        assert_false(fits(&box->nodes[i], duty) && !avoids(&box->nodes[i], duty));
    }
}

/* As if the holder let go and the leader proposed at once. */
static void carry_out(struct sandbox *box, const struct placement_target *target)
{
    struct placement_duty *duty = &box->duties[target->duty];
    duty->assigned = target->node != PLACEMENT_NO_NODE;
    duty->spent = duty->once && duty->assigned;
    duty->bound = duty->assigned;
    if (duty->assigned) {
        duty->raft_id = box->nodes[target->node].raft_id;
        duty->incarnation = box->nodes[target->node].incarnation;
    }
}

static size_t step(struct sandbox *box, struct placement *placement, int64_t now_ms)
{
    struct placement_target targets[PLACEMENT_MOVES_MAX];
    const struct placement_world world = world_of(box);
    size_t count = placement_decide(placement, now_ms, &world, targets);
    for (size_t i = 0; i < count; i++) {
        check_target(box, &targets[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (targets[i].leave) {
            placement_note(placement, now_ms, box->duties[targets[i].duty].id, &targets[i]);
        }
        carry_out(box, &targets[i]);
    }
    return count;
}

static struct placement *create(int64_t dwell_ms)
{
    struct placement_config config = placement_config_default;
    config.dwell_ms = dwell_ms;
    struct placement *placement = placement_create(&config);
    assert_non_null(placement);
    return placement;
}

/* ---- the tests ---- */

static void free_the_bound(struct sandbox *box)
{
    for (size_t i = 0; i < box->duty_count; i++) {
        box->duties[i].bound = false; /* what cannot let go is not waited for */
    }
}

/* Also without dwell, which would bound the moves by itself. */
static void every_world_comes_to_rest(void **unused)
{
    (void)unused;
    static struct sandbox box;
    size_t all = 0;
    for (uint64_t seed = 1; seed <= 600; seed++) {
        random_world(&box, seed);
        struct placement *placement = create(seed % 2 == 0 ? 0 : 600000);
        size_t moves = 0;
        int64_t rest_ms = 0;
        for (int64_t now_ms = 0; now_ms < rest_ms + 700000; now_ms += STEP_MS) {
            free_the_bound(&box);
            size_t count = step(&box, placement, now_ms);
            moves += count;
            rest_ms = count > 0 ? now_ms : rest_ms;
            if (moves > 4 * box.duty_count) {
                fail_msg("seed %d: %zu moves of %zu duties", (int)seed, moves, box.duty_count);
            }
        }
        all += moves;
        placement_destroy(&placement);
    }
    assert_true(all > 600 * 5); /* there was something to do */
}

/* With room for a few only: never more than that, and never a lower one before a higher one that
 * could have its place. */
static void little_room_goes_to_the_highest(void **unused)
{
    (void)unused;
    static struct sandbox box;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        random_world(&box, seed);
        for (size_t i = 0; i < box.node_count; i++) {
            box.nodes[i].room = 1 + rng_below(&box.rng, 6);
        }
        for (size_t i = 0; i < box.duty_count; i++) {
            box.duties[i].once = false;
            box.duties[i].spent = false;
            box.duties[i].assigned = false;
            box.duties[i].bound = false;
            box.duties[i].rests = false;
            box.duties[i].avoid_count = 0;
            if (box.duties[i].priority < 0) {
                box.duties[i].priority = 0;
            }
        }
        struct placement *placement = create(600000);
        /* The low ones come first, and then have to go. */
        for (int64_t priority = 0; priority <= 2; priority++) {
            for (size_t i = 0; i < box.duty_count; i++) {
                box.duties[i].wanted = box.duties[i].priority <= priority;
            }
            for (int64_t i = 0; i < 400; i++) {
                (void)step(&box, placement, priority * 1000000 + i * STEP_MS);
            }
        }
        for (size_t n = 0; n < box.node_count; n++) {
            assert_true(held_on(&box, n) <= box.nodes[n].room);
        }
        for (size_t i = 0; i < box.duty_count; i++) {
            const struct placement_duty *waits = &box.duties[i];
            for (size_t n = 0; n < box.node_count && !waits->assigned; n++) {
                if (!fits(&box.nodes[n], waits)) {
                    continue;
                }
                assert_int_equal(held_on(&box, n), box.nodes[n].room);
                for (size_t k = 0; k < box.duty_count; k++) {
                    const struct placement_duty *has = &box.duties[k];
                    bool there = has->assigned && has->raft_id == box.nodes[n].raft_id;
                    assert_false(there && has->priority < waits->priority);
                }
            }
        }
        placement_destroy(&placement);
    }
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(((const struct placement_duty *)a)->id, ((const struct placement_duty *)b)->id);
}

static void shuffle_duties(struct sandbox *box)
{
    for (size_t i = box->duty_count; i > 1; i--) {
        size_t other = rng_below(&box->rng, i);
        struct placement_duty kept = box->duties[i - 1];
        box->duties[i - 1] = box->duties[other];
        box->duties[other] = kept;
    }
}

static void the_order_of_the_input_does_not_matter(void **unused)
{
    (void)unused;
    static struct sandbox box;
    static struct sandbox other;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        random_world(&box, seed);
        other = box;
        shuffle_duties(&other);
        for (size_t i = 0; i < other.node_count / 2; i++) {
            struct placement_node kept = other.nodes[i];
            other.nodes[i] = other.nodes[other.node_count - 1 - i];
            other.nodes[other.node_count - 1 - i] = kept;
        }
        struct placement *first = create(600000);
        struct placement *second = create(600000);
        for (int64_t now_ms = 0; now_ms < 60000; now_ms += STEP_MS) {
            assert_int_equal(step(&box, first, now_ms), step(&other, second, now_ms));
        }
        qsort(other.duties, other.duty_count, sizeof(other.duties[0]), compare_ids);
        for (size_t i = 0; i < box.duty_count; i++) {
            assert_int_equal(box.duties[i].assigned, other.duties[i].assigned);
            assert_true(!box.duties[i].assigned ||
                        box.duties[i].raft_id == other.duties[i].raft_id);
        }
        placement_destroy(&first);
        placement_destroy(&second);
    }
}

/* ---- spread against all possibilities ---- */

struct pairs { /* of one group: on one node, on one host, in one zone */
    size_t node, host, zone;
};

static struct pairs pairs_of(const struct sandbox *box, const size_t *places)
{
    struct pairs ret = {0};
    for (size_t i = 0; i < box->duty_count; i++) {
        for (size_t k = 0; k < i; k++) {
            const struct placement_node *a = &box->nodes[places[i]];
            const struct placement_node *b = &box->nodes[places[k]];
            ret.node += places[i] == places[k];
            ret.host += strcmp(a->labels[0], b->labels[0]) == 0;
            ret.zone += strcmp(a->labels[1], b->labels[1]) == 0;
        }
    }
    return ret;
}

static int compare_pairs(const struct pairs *a, const struct pairs *b)
{
    if (a->node != b->node) {
        return a->node < b->node ? -1 : 1;
    }
    if (a->host != b->host) {
        return a->host < b->host ? -1 : 1;
    }
    return a->zone < b->zone ? -1 : a->zone > b->zone;
}

static struct pairs best_pairs(const struct sandbox *box)
{
    size_t places[6] = {0};
    struct pairs best = pairs_of(box, places);
    for (;;) {
        size_t i = 0;
        while (i < box->duty_count && ++places[i] == box->node_count) {
            places[i++] = 0;
        }
        if (i == box->duty_count) {
            return best;
        }
        struct pairs pairs = pairs_of(box, places);
        best = compare_pairs(&pairs, &best) < 0 ? pairs : best;
    }
}

/* Hosts lie within zones; one group; some of it is somewhere already. */
static void small_world(struct sandbox *box, uint64_t seed)
{
    memset(box, 0, sizeof(*box));
    rng_init(&box->rng, seed);
    box->node_count = 1 + rng_below(&box->rng, 5);
    box->duty_count = 1 + rng_below(&box->rng, 6);
    for (size_t i = 0; i < box->node_count; i++) {
        box->nodes[i] = node_of(i + 1);
        box->nodes[i].score = 60 + (double)rng_below(&box->rng, 40);
        unsigned host = (unsigned)rng_below(&box->rng, 4);
        char label[LABEL_SIZE];
        (void)snprintf(label, sizeof(label), "host=%u", host);
        put_label(&box->nodes[i], label);
        (void)snprintf(label, sizeof(label), "zone=%u", host % 2);
        put_label(&box->nodes[i], label);
    }
    for (size_t i = 0; i < box->duty_count; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "c%zu", i);
        box->duties[i] = rng_below(&box->rng, 2) == 0
                             ? duty_of(name)
                             : held_by(name, 1 + rng_below(&box->rng, box->node_count));
        (void)snprintf(box->duties[i].group, sizeof(box->duties[i].group), "g");
    }
}

static void spread_is_as_good_as_can_be(void **unused)
{
    (void)unused;
    static struct sandbox box;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        small_world(&box, seed);
        struct placement *placement = create(0);
        for (int64_t now_ms = 0; now_ms < 300000; now_ms += STEP_MS) {
            (void)step(&box, placement, now_ms);
        }
        size_t places[6];
        for (size_t i = 0; i < box.duty_count; i++) {
            assert_true(box.duties[i].assigned);
            places[i] = box.duties[i].raft_id - 1;
        }
        struct pairs is = pairs_of(&box, places);
        struct pairs best = best_pairs(&box);
        if (compare_pairs(&is, &best) != 0) {
            fail_msg("seed %d: pairs %zu %zu %zu, possible are %zu %zu %zu", (int)seed, is.node,
                     is.host, is.zone, best.node, best.host, best.zone);
        }
        placement_destroy(&placement);
    }
}

/* ---- noise ---- */

static void noise_moves_little(void **unused)
{
    (void)unused;
    static struct sandbox box;
    const int64_t hours = 4;
    size_t wild = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        memset(&box, 0, sizeof(box));
        rng_init(&box.rng, seed);
        box.node_count = 3;
        box.duty_count = 12;
        for (size_t i = 0; i < box.node_count; i++) {
            box.nodes[i] = node_of(i + 1);
            box.nodes[i].load_known = true;
        }
        for (size_t i = 0; i < box.duty_count; i++) {
            char name[32];
            (void)snprintf(name, sizeof(name), "d%02zu", i);
            box.duties[i] = held_by(name, 1 + i % 3);
        }
        struct placement *placement = create(600000);
        size_t moves = 0;
        for (int64_t now_ms = 0; now_ms < hours * 3600000; now_ms += 1000) {
            for (size_t i = 0; i < box.node_count; i++) {
                bool calm = seed <= 4;
                box.nodes[i].score =
                    calm ? 80 + (double)rng_below(&box.rng, 20) : (double)rng_below(&box.rng, 101);
                box.nodes[i].load = (double)rng_below(&box.rng, calm ? 60 : 101);
            }
            moves += step(&box, placement, now_ms);
        }
        if (seed <= 4) {
            assert_int_equal(moves, 0); /* as of a machine that works: within the margin */
        } else {
            wild += moves;
            assert_true(moves <= (size_t)hours * 6 * box.duty_count);
        }
        placement_destroy(&placement);
    }
    assert_true(wild > 0); /* the noise is wild enough to matter */
}

/* ---- the switch ---- */

static void what_is_held_is_not_free(void **unused)
{
    (void)unused;
    static struct sandbox box;
    memset(&box, 0, sizeof(box));
    box.node_count = 2;
    box.duty_count = 2;
    box.nodes[0] = node_of(1);
    box.nodes[1] = node_of(2);
    box.duties[0] = held_by("a", 2);
    box.duties[1] = held_by("b", 2);
    struct placement_target targets[PLACEMENT_MOVES_MAX];
    const struct placement_world world = world_of(&box);
    struct placement_config config = placement_config_default;
    struct placement *placement = placement_create(&config);
    assert_int_equal(placement_decide(placement, 0, &world, targets), 0);
    placement_destroy(&placement);
    config.off.held_is_not_free = true;
    placement = placement_create(&config);
    assert_int_equal(placement_decide(placement, 0, &world, targets), 2);
    assert_false(targets[0].leave);
    assert_int_equal(targets[0].node, 0); /* while node 2 has it */
    placement_destroy(&placement);
}

/* ---- the explanation ---- */

/* A duty is taken out of a world at rest: it goes where the explanation says. */
static void it_is_explained_as_it_is_done(void **unused)
{
    (void)unused;
    static struct sandbox box;
    static struct placement_explanation told;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        random_world(&box, seed);
        struct placement *placement = create(600000);
        int64_t now_ms = 0;
        for (; now_ms < 500000; now_ms += STEP_MS) {
            free_the_bound(&box);
            (void)step(&box, placement, now_ms);
        }
        size_t chosen = rng_below(&box.rng, box.duty_count);
        struct placement_duty *duty = &box.duties[chosen];
        duty->assigned = false;
        duty->spent = false;
        const struct placement_world world = world_of(&box);
        placement_explain(placement, now_ms, &world, chosen, &told);
        assert_int_equal(told.node_count, box.node_count);
        for (size_t i = 0; i < box.node_count; i++) {
            assert_int_equal(told.nodes[i].refusal == PLACEMENT_CAN, fits(&box.nodes[i], duty));
            assert_false(told.nodes[i].holds);
            assert_int_equal(told.nodes[i].avoided, avoids(&box.nodes[i], duty));
            assert_int_equal(told.nodes[i].duties, held_on(&box, i));
        }
        assert_int_equal(told.verdict, !duty->wanted                    ? PLACEMENT_UNWANTED
                                       : duty->rests                    ? PLACEMENT_RESTS
                                       : told.best == PLACEMENT_NO_NODE ? PLACEMENT_NOBODY
                                                                        : PLACEMENT_PLACED);
        size_t placed = step(&box, placement, now_ms);
        assert_int_equal(placed, told.verdict == PLACEMENT_PLACED ? 1 : 0);
        assert_true(placed == 0 || duty->raft_id == box.nodes[told.best].raft_id);
        placement_explain(placement, now_ms, &world, chosen, &told);
        assert_true(placed == 0 || told.verdict == PLACEMENT_STAYS ||
                    told.verdict == PLACEMENT_BETTER);
        placement_destroy(&placement);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_world_comes_to_rest),
        cmocka_unit_test(little_room_goes_to_the_highest),
        cmocka_unit_test(the_order_of_the_input_does_not_matter),
        cmocka_unit_test(spread_is_as_good_as_can_be),
        cmocka_unit_test(noise_moves_little),
        cmocka_unit_test(what_is_held_is_not_free),
        cmocka_unit_test(it_is_explained_as_it_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
