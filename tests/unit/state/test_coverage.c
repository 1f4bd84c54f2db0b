/* Coverage: planted fates are found, and random worlds are judged as a slow second look does. */
#include "consensus/coverage.h"
#include "node/base/rng.h"
#include "tests/unit/state/placement_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NONE PLACEMENT_NO_NODE

struct world {
    size_t node_count;
    struct placement_node nodes[NODES_MAX];
    struct coverage_primary primary;
    struct coverage_backup backup;
};

static uint64_t bit(size_t node)
{
    return UINT64_C(1) << node;
}

/* The primary runs on n1; its backup was proven, waits, and the others can take it. */
static struct world sound_world(size_t node_count)
{
    struct world world = {.node_count = node_count,
                          .primary = {.at = bit(0)},
                          .backup = {.home = NONE, .best = 1, .proven = true}};
    for (size_t i = 0; i < node_count; i++) {
        char label[LABEL_SIZE];
        world.nodes[i] = node_of(i + 1);
        (void)snprintf(label, sizeof(label), "host=h%zu", i);
        put_label(&world.nodes[i], label);
        world.backup.able |= i == 0 ? 0 : bit(i);
    }
    return world;
}

static struct coverage_judgement judge(const struct world *world)
{
    struct coverage_judgement ret;
    coverage_judge(world->nodes, world->node_count, &world->primary, &world->backup, &ret);
    return ret;
}

static struct coverage_result conclude(const struct world *world)
{
    struct coverage_judgement judgement = judge(world);
    struct coverage_result ret;
    coverage_begin(&ret);
    coverage_add(&world->primary, &judgement, &ret);
    return ret;
}

static void expect(const struct world *world, enum coverage_reason reason, bool alarm)
{
    struct coverage_result result = conclude(world);
    if (result.reason != reason || result.alarm != alarm) {
        fail_msg("%s %d, expected %s %d", coverage_reason_name(result.reason), result.alarm,
                 coverage_reason_name(reason), alarm);
    }
}

/* ---- planted ---- */

static void without_a_shared_fate_it_is_covered(void **unused)
{
    (void)unused;
    struct world world = sound_world(3);
    expect(&world, COVERAGE_APART, false);
    assert_int_equal(judge(&world).where, 1);
    assert_int_equal(judge(&world).fates.label_count, 0);
    world.backup.home = 2;
    expect(&world, COVERAGE_APART, false);
    assert_int_equal(judge(&world).where, 2);
    world.backup.failing = true;
    expect(&world, COVERAGE_RUN_FAILED, false);
    world.backup.failing = false;
    world.backup.proven = false;
    expect(&world, COVERAGE_NEVER_RAN, false);
}

static void its_own_node_is_a_fate(void **unused)
{
    (void)unused;
    struct world world = sound_world(3);
    world.backup.able = bit(0);
    world.backup.best = 0;
    expect(&world, COVERAGE_NODE_ONLY, true);
    assert_true(judge(&world).fates.node);
    world.backup.able |= bit(2); /* there is another, and it was put on its own all the same */
    expect(&world, COVERAGE_NODE_NOW, false);
    world.backup.home = 0;
    expect(&world, COVERAGE_NODE_NOW, false);
    world.primary.at |= bit(1); /* another instance of the primary runs apart */
    expect(&world, COVERAGE_APART, false);
}

static void its_host_is_a_fate(void **unused)
{
    (void)unused;
    struct world world = sound_world(3);
    (void)snprintf(world.nodes[1].labels[0], LABEL_SIZE, "host=h0");
    expect(&world, COVERAGE_HOST_NOW, false);
    struct coverage_judgement judgement = judge(&world);
    assert_false(judgement.fates.node);
    assert_int_equal(judgement.fates.label_count, 1);
    assert_string_equal(judgement.fates.labels[0], "host=h0");
    assert_int_equal(judgement.apart_host, bit(2));
    world.backup.able = bit(1);
    expect(&world, COVERAGE_HOST_ONLY, true);
    world.backup.able = bit(0) | bit(1);
    expect(&world, COVERAGE_HOST_ONLY, true);
    world.backup.home = 2; /* it runs apart, whatever could take it next */
    expect(&world, COVERAGE_APART, false);
}

static void zones_and_groups_are_fates(void **unused)
{
    (void)unused;
    static const char *const labels[] = {"zone=a", "rack=7", "line=dsl"};
    for (size_t i = 0; i < 3; i++) {
        struct world world = sound_world(3);
        put_label(&world.nodes[0], labels[i]);
        put_label(&world.nodes[1], labels[i]);
        expect(&world, COVERAGE_GROUP_NOW, false);
        assert_string_equal(judge(&world).fates.labels[0], labels[i]);
        world.backup.able = bit(1);
        expect(&world, COVERAGE_GROUP_ONLY, false);
        world.primary.critical = true;
        expect(&world, COVERAGE_GROUP_ONLY, true);
        world.backup.able |= bit(2);
        expect(&world, COVERAGE_GROUP_NOW, false);
    }
}

static void what_cannot_be_avoided_is_no_fate(void **unused)
{
    (void)unused;
    struct world world = sound_world(3);
    for (size_t i = 0; i < 3; i++) {
        put_label(&world.nodes[i], "owner=anna");
    }
    expect(&world, COVERAGE_APART, false); /* all have it */
    char everywhere[NODE_LABELS_MAX][LABEL_SIZE];
    assert_int_equal(coverage_everywhere(world.nodes, 3, everywhere), 1);
    assert_string_equal(everywhere[0], "owner=anna");
    put_label(&world.nodes[0], "disk=fast");
    put_label(&world.nodes[1], "disk=fast");
    expect(&world, COVERAGE_GROUP_NOW, false);
    (void)snprintf(world.backup.labels[world.backup.label_count++], LABEL_SIZE, "disk=fast");
    expect(&world, COVERAGE_APART, false); /* it asks for it */
    for (size_t i = 0; i < 3; i++) {
        put_label(&world.nodes[i], "zone=a");
    }
    expect(&world, COVERAGE_GROUP_ONLY, false); /* one zone is one fate, also where all are in it */
    assert_int_equal(coverage_everywhere(world.nodes, 3, everywhere), 1);
}

static void what_cannot_start_covers_nothing(void **unused)
{
    (void)unused;
    struct coverage_result result;
    coverage_begin(&result);
    assert_int_equal(result.reason, COVERAGE_NO_BACKUP);
    assert_true(result.alarm);
    struct world world = sound_world(3);
    world.backup.able = 0;
    world.backup.best = NONE;
    expect(&world, COVERAGE_NO_TAKER, true);
    world = sound_world(3);
    for (enum coverage_reason bar = COVERAGE_STOPPED; bar <= COVERAGE_FAILED; bar++) {
        world.backup.barred = true;
        world.backup.bar = bar;
        expect(&world, bar, true);
        assert_int_equal(judge(&world).verdict, COVERAGE_UNCOVERED);
    }
    world = sound_world(3);
    world.primary.at = 0;
    expect(&world, COVERAGE_UNSEEN, false);
}

static void the_best_backup_counts(void **unused)
{
    (void)unused;
    struct world good = sound_world(3);
    struct world bad = sound_world(3);
    bad.backup.able = bit(0);
    struct coverage_judgement first = judge(&bad);
    struct coverage_judgement second = judge(&good);
    struct coverage_result result;
    struct coverage_summary summary = {0};
    coverage_begin(&result);
    coverage_add(&good.primary, &first, &result);
    assert_true(result.alarm);
    coverage_count(&summary, &result);
    coverage_add(&good.primary, &second, &result);
    coverage_add(&good.primary, &first, &result);
    assert_int_equal(result.verdict, COVERAGE_COVERED);
    assert_false(result.alarm);
    coverage_count(&summary, &result);
    coverage_count(&summary, &result);
    assert_int_equal(coverage_permille(&summary), 666); /* rounded down */
    assert_int_equal(summary.alarms, 1);
    assert_int_equal(coverage_permille(&(struct coverage_summary){0}), -1);
}

static void words_are_there_for_all(void **unused)
{
    (void)unused;
    for (int i = 0; i <= COVERAGE_NO_BACKUP; i++) {
        assert_true(strlen(coverage_reason_text((enum coverage_reason)i)) > 10);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(coverage_reason_name((enum coverage_reason)i),
                                    coverage_reason_name((enum coverage_reason)j));
        }
    }
    assert_string_equal(coverage_reason_name((enum coverage_reason)99), "unknown");
    assert_string_equal(coverage_verdict_name(COVERAGE_SHARED_FATE), "shared_fate");
    assert_string_equal(coverage_verdict_name((enum coverage_verdict)99), "unknown");
}

/* ---- random worlds ---- */

static const char *const pool[] = {"host=a",   "host=b",   "zone=x",    "zone=y",
                                   "line=dsl", "line=lte", "disk=fast", "owner=anna"};
#define POOL (sizeof(pool) / sizeof(pool[0]))

static struct world random_world(struct rng *rng)
{
    struct world world = {.node_count = 1 + (size_t)rng_below(rng, 6)};
    uint64_t all = bit(world.node_count) - 1;
    for (size_t i = 0; i < world.node_count; i++) {
        world.nodes[i] = node_of(i + 1);
        for (size_t k = 0; k < POOL; k++) {
            if (rng_below(rng, k + 1 == POOL ? 8 : 3) == 0) {
                put_label(&world.nodes[i], pool[k]);
            }
        }
    }
    for (size_t i = 0; rng_below(rng, 4) == 0 && i < world.node_count; i++) {
        put_label(&world.nodes[i], "site=here");
    }
    world.primary.at = rng_below(rng, 3) == 0 ? rng_next(rng) & all
                                              : bit((size_t)rng_below(rng, world.node_count));
    world.primary.critical = rng_below(rng, 2) == 0;
    struct coverage_backup *backup = &world.backup;
    backup->able = rng_next(rng) & all;
    backup->home = rng_below(rng, 3) == 0 ? (size_t)rng_below(rng, world.node_count) : NONE;
    backup->best = NONE;
    for (size_t i = 0; i < world.node_count; i++) {
        backup->best = (backup->able & bit(i)) != 0 && rng_below(rng, 2) == 0 ? i : backup->best;
    }
    backup->proven = rng_below(rng, 4) != 0;
    backup->failing = rng_below(rng, 8) == 0;
    backup->barred = rng_below(rng, 12) == 0;
    backup->bar = COVERAGE_PAUSED;
    if (rng_below(rng, 3) == 0) {
        (void)snprintf(backup->labels[backup->label_count++], LABEL_SIZE, "disk=fast");
    }
    return world;
}

static bool carries(const struct placement_node *node, const char *label)
{
    bool found = false;
    for (size_t i = 0; i < node->label_count; i++) {
        found = found || strcmp(node->labels[i], label) == 0;
    }
    return found;
}

/* How many things would have to fail to end the backup on `node` and every instance of the primary:
 * by each group that this world knows. `hosts_only`: of a host, or the node itself. */
static size_t slow_fates(const struct world *world, size_t node, bool hosts_only)
{
    size_t fates = 0;
    size_t instances = 0;
    size_t instances_elsewhere = 0;
    for (size_t i = 0; i < world->node_count; i++) {
        bool has = (world->primary.at >> i & 1) == 1;
        instances += has ? 1 : 0;
        instances_elsewhere += has && i != node ? 1 : 0;
    }
    fates += instances == 1 && instances_elsewhere == 0 ? 1 : 0;
    for (size_t k = 0; k < POOL + 1; k++) {
        const char *label = k < POOL ? pool[k] : "site=here";
        bool is_host = strncmp(label, "host=", 5) == 0;
        bool is_place =
            is_host || strncmp(label, "zone=", 5) == 0 || strncmp(label, "site=", 5) == 0;
        size_t survivors = 0; /* instances that are not in the group */
        size_t outside = 0;
        for (size_t i = 0; i < world->node_count; i++) {
            bool in = carries(&world->nodes[i], label);
            outside += in ? 0 : 1;
            survivors += !in && (world->primary.at >> i & 1) == 1 ? 1 : 0;
        }
        bool asked = world->backup.label_count > 0 && strcmp(label, "disk=fast") == 0;
        bool counts = is_place || (!asked && outside > 0);
        if (instances > 0 && carries(&world->nodes[node], label) && survivors == 0 && counts &&
            (is_host || !hosts_only)) {
            fates++;
        }
    }
    return fates;
}

/* By what would be left after each failure. */
static enum coverage_verdict slow_verdict(const struct world *world, bool *ret_alarm)
{
    const struct coverage_backup *backup = &world->backup;
    size_t takers = 0;
    size_t off_host = 0;
    size_t apart = 0;
    for (size_t i = 0; i < world->node_count; i++) {
        if ((backup->able >> i & 1) == 1 || backup->home == i) {
            takers++;
            off_host += slow_fates(world, i, true) == 0 ? 1 : 0;
            apart += slow_fates(world, i, false) == 0 ? 1 : 0;
        }
    }
    size_t where = backup->home != NONE ? backup->home : backup->best;
    bool seen = world->primary.at != 0;
    *ret_alarm = backup->barred || takers == 0 ||
                 (seen && (off_host == 0 || (world->primary.critical && apart == 0)));
    if (backup->barred || takers == 0) {
        return COVERAGE_UNCOVERED;
    }
    if (!seen) {
        return COVERAGE_UNKNOWN;
    }
    if (apart == 0 || (where != NONE && slow_fates(world, where, false) > 0)) {
        return COVERAGE_SHARED_FATE;
    }
    return backup->proven && !backup->failing ? COVERAGE_COVERED : COVERAGE_UNPROVEN;
}

static void random_worlds_are_judged_as_a_slow_look_does(void **unused)
{
    (void)unused;
    struct rng rng;
    size_t verdicts[COVERAGE_UNCOVERED + 1] = {0};
    size_t reasons[COVERAGE_NO_BACKUP + 1] = {0};
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        rng_init(&rng, seed);
        struct world world = random_world(&rng);
        struct coverage_judgement judgement = judge(&world);
        struct coverage_result result = conclude(&world);
        bool alarm;
        enum coverage_verdict expected = slow_verdict(&world, &alarm);
        if (result.verdict != expected || result.alarm != alarm) {
            fail_msg("seed %llu: %s (%s) %d, expected %s %d", (unsigned long long)seed,
                     coverage_verdict_name(result.verdict), coverage_reason_name(result.reason),
                     result.alarm, coverage_verdict_name(expected), alarm);
        }
        if (judgement.where != NONE) {
            size_t told = judgement.fates.label_count + (judgement.fates.node ? 1 : 0);
            assert_int_equal(told, slow_fates(&world, judgement.where, false));
        }
        verdicts[result.verdict]++;
        reasons[result.reason]++;
    }
    for (size_t i = 0; i <= COVERAGE_UNCOVERED; i++) {
        assert_true(verdicts[i] > 200); /* each is tried */
    }
    for (size_t i = COVERAGE_APART; i <= COVERAGE_NODE_ONLY; i++) {
        assert_true(reasons[i] > 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_shared_fate_it_is_covered),
        cmocka_unit_test(its_own_node_is_a_fate),
        cmocka_unit_test(its_host_is_a_fate),
        cmocka_unit_test(zones_and_groups_are_fates),
        cmocka_unit_test(what_cannot_be_avoided_is_no_fate),
        cmocka_unit_test(what_cannot_start_covers_nothing),
        cmocka_unit_test(the_best_backup_counts),
        cmocka_unit_test(words_are_there_for_all),
        cmocka_unit_test(random_worlds_are_judged_as_a_slow_look_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
