/* Whose turn it is: the primary's, its standard backups', or its enhanced ones'. */
#include "managers/pm2/settings.h"
#include "managers/pm2/stand_in/tiers.h"
#include "node/base/doc.h"
#include "node/base/rng.h"
#include "tests/unit/managers/section.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SETTLE INT64_C(10000)
#define WITHIN INT64_C(30000)
#define AGAIN INT64_C(300000)
#define STEP INT64_C(100)

struct play {
    struct tiers tiers;
    struct tier_facts facts[TIER_COUNT];
    int64_t now_ms;
    char reason[REASON_SIZE]; /* of the last change */
    unsigned changes;
};

/* Tiers that could run, and do not. */
static struct play play_of(bool primary, bool standard, bool enhanced)
{
    const bool there[TIER_COUNT] = {primary, standard, enhanced};
    struct play play = {.now_ms = 1000000};
    for (int i = 0; i < TIER_COUNT; i++) {
        play.facts[i] = (struct tier_facts){.count = there[i] ? 1 : 0,
                                            .running_ms = -1,
                                            .able_ms = 3600000,
                                            .settle_ms = SETTLE,
                                            .start_within_ms = WITHIN,
                                            .retry_after_ms = AGAIN};
    }
    return play;
}

/* What runs goes on running, where the present tier is; what can and shall run does so. */
static void pass(struct play *play, int64_t ms)
{
    for (int64_t end_ms = play->now_ms + ms; play->now_ms < end_ms; play->now_ms += STEP) {
        for (int i = 0; i < TIER_COUNT; i++) {
            struct tier_facts *facts = &play->facts[i];
            facts->running_ms += facts->running_ms >= 0 ? STEP : 0;
            facts->able_ms += facts->able_ms >= 0 ? STEP : 0;
        }
        char reason[REASON_SIZE] = "";
        if (tiers_step(&play->tiers, play->facts, play->now_ms, reason)) {
            play->changes++;
            memcpy(play->reason, reason, sizeof play->reason);
        }
        assert_true(reason[0] != '\0');
    }
}

static int64_t pass_until(struct play *play, enum tier tier)
{
    int64_t began_ms = play->now_ms;
    while (play->tiers.now != tier && play->now_ms - began_ms < 100 * AGAIN) {
        pass(play, STEP);
    }
    return play->now_ms - began_ms;
}

static void assert_tier(const struct play *play, enum tier tier)
{
    assert_true(play->tiers.known);
    if (play->tiers.now != tier) {
        fail_msg("%s instead of %s: %s", tier_name(play->tiers.now), tier_name(tier), play->reason);
    }
}

static void runs(struct play *play, enum tier tier, bool runs)
{
    play->facts[tier].running_ms = runs ? 0 : -1;
    play->facts[tier].failed = 0;
}

static void fails(struct play *play, enum tier tier)
{
    play->facts[tier].running_ms = -1;
    play->facts[tier].failed = play->facts[tier].count;
    (void)snprintf(play->facts[tier].reason, REASON_SIZE, "n2: PM2 has given up");
}

static void standard_comes_before_enhanced(void **state)
{
    (void)state;
    struct play play = play_of(false, true, true);
    pass(&play, STEP);
    assert_tier(&play, TIER_STANDARD);
    runs(&play, TIER_STANDARD, true);
    pass(&play, 10 * AGAIN);
    assert_tier(&play, TIER_STANDARD);
    assert_int_equal(play.changes, 1);
}

static void enhanced_takes_over_what_has_failed(void **state)
{
    (void)state;
    struct play play = play_of(false, true, true);
    pass(&play, STEP);
    fails(&play, TIER_STANDARD);
    pass(&play, TIERS_FAILED_MS - 2 * STEP);
    assert_tier(&play, TIER_STANDARD); /* its retry at the leader's word may help yet */
    pass(&play, 3 * STEP);
    assert_tier(&play, TIER_ENHANCED);
    assert_non_null(strstr(play.reason, "PM2 has given up"));
    /* Also what never comes up, without a word of failure. */
    play = play_of(false, true, true);
    pass(&play, WITHIN - STEP);
    assert_tier(&play, TIER_STANDARD);
    pass(&play, 3 * STEP);
    assert_tier(&play, TIER_ENHANCED);
}

static void one_of_several_is_enough(void **state)
{
    (void)state;
    struct play play = play_of(false, true, true);
    play.facts[TIER_STANDARD].count = 2;
    pass(&play, STEP);
    runs(&play, TIER_STANDARD, true);
    play.facts[TIER_STANDARD].failed = 1; /* one runs, one has failed */
    pass(&play, 10 * WITHIN);
    assert_tier(&play, TIER_STANDARD);
    runs(&play, TIER_STANDARD, false);
    play.facts[TIER_STANDARD].failed = 1; /* the other is starting */
    pass(&play, WITHIN - 2 * STEP);
    assert_tier(&play, TIER_STANDARD);
    play.facts[TIER_STANDARD].failed = 2;
    pass(&play, 3 * STEP);
    assert_tier(&play, TIER_ENHANCED);
}

/* Tried again after a pause that doubles, up to its bound, and ends when it has run well. */
static void what_failed_is_tried_again_ever_more_slowly(void **state)
{
    (void)state;
    struct play play = play_of(false, true, true);
    pass(&play, STEP);
    int64_t pause_ms = AGAIN;
    for (int i = 0; i < 7; i++) {
        fails(&play, TIER_STANDARD);
        assert_in_range(pass_until(&play, TIER_ENHANCED), TIERS_FAILED_MS - STEP,
                        TIERS_FAILED_MS + STEP);
        runs(&play, TIER_ENHANCED, true);
        assert_in_range(pass_until(&play, TIER_STANDARD), pause_ms - STEP, pause_ms + STEP);
        runs(&play, TIER_ENHANCED, false);
        pause_ms = pause_ms * 2 < TIERS_RETRY_MAX * AGAIN ? pause_ms * 2 : TIERS_RETRY_MAX * AGAIN;
    }
    runs(&play, TIER_STANDARD, true);
    pass(&play, AGAIN + STEP);
    assert_int_equal(play.tiers.past[TIER_STANDARD].failures, 0);
    fails(&play, TIER_STANDARD);
    pass(&play, TIERS_FAILED_MS + STEP);
    runs(&play, TIER_ENHANCED, true);
    pass(&play, AGAIN + 3 * STEP);
    assert_tier(&play, TIER_STANDARD); /* the first pause again */
}

/* Both fail: they take turns at the pace of the retries, and not faster. */
static void two_that_fail_do_not_flap(void **state)
{
    (void)state;
    struct play play = play_of(false, true, true);
    fails(&play, TIER_STANDARD);
    fails(&play, TIER_ENHANCED);
    pass(&play, 12 * AGAIN);
    assert_in_range(play.changes, 4, 2 + 2 * 5);
    assert_true(play.tiers.given_up);
    runs(&play, play.tiers.now, true);
    pass(&play, STEP);
    assert_false(play.tiers.given_up);
}

/* Once its only host is back for settle, the primary is; no pause is kept then. */
static void guarded_primary_returns_with_its_host(void **state)
{
    (void)state;
    struct play play = play_of(true, true, true);
    pass(&play, STEP);
    assert_tier(&play, TIER_PRIMARY);
    runs(&play, TIER_PRIMARY, true);
    pass(&play, 10 * AGAIN);
    runs(&play, TIER_PRIMARY, false);
    play.facts[TIER_PRIMARY].able_ms = -1;
    pass(&play, WITHIN + 2 * STEP);
    assert_tier(&play, TIER_STANDARD);
    runs(&play, TIER_STANDARD, true);
    pass(&play, 20 * AGAIN);
    assert_tier(&play, TIER_STANDARD);
    play.facts[TIER_PRIMARY].able_ms = 0;
    pass(&play, SETTLE - 2 * STEP);
    assert_tier(&play, TIER_STANDARD);
    pass(&play, 3 * STEP);
    assert_tier(&play, TIER_PRIMARY);
}

static void guarded_primary_that_fails_waits_for_its_retry(void **state)
{
    (void)state;
    struct play play = play_of(true, true, false);
    pass(&play, STEP);
    fails(&play, TIER_PRIMARY);
    pass(&play, TIERS_FAILED_MS + STEP);
    assert_tier(&play, TIER_STANDARD);
    runs(&play, TIER_STANDARD, true);
    pass(&play, AGAIN - TIERS_FAILED_MS);
    assert_tier(&play, TIER_STANDARD);
    pass(&play, TIERS_FAILED_MS + 2 * STEP);
    assert_tier(&play, TIER_PRIMARY);
}

/* `wait`: a host that cannot be asked is no reason. */
static void who_waits_for_an_unreachable_host_waits(void **state)
{
    (void)state;
    struct play play = play_of(true, true, false);
    pass(&play, STEP);
    play.facts[TIER_PRIMARY].able_ms = -1;
    play.facts[TIER_PRIMARY].start_within_ms = -1;
    pass(&play, 100 * WITHIN);
    assert_tier(&play, TIER_PRIMARY);
    fails(&play, TIER_PRIMARY); /* now it is known */
    pass(&play, 2 * STEP);
    assert_tier(&play, TIER_STANDARD);
}

/* What is not ours cannot be stopped: so nothing of ours runs beside it. */
static void process_of_somebody_else_counts_as_the_primary(void **state)
{
    (void)state;
    struct play play = play_of(true, true, false);
    play.facts[TIER_PRIMARY].foreign = true;
    fails(&play, TIER_PRIMARY);
    pass(&play, 10 * AGAIN);
    assert_tier(&play, TIER_PRIMARY);
    assert_int_equal(play.changes, 1);        /* nothing else had a turn */
    play.facts[TIER_PRIMARY].foreign = false; /* it ended, and its entry is in the way yet */
    pass(&play, TIERS_FAILED_MS + 2 * STEP);
    assert_tier(&play, TIER_STANDARD);
    play.facts[TIER_PRIMARY].foreign = true;
    pass(&play, STEP);
    assert_tier(&play, TIER_PRIMARY);
}

static void tier_without_a_node_is_passed_over(void **state)
{
    (void)state;
    struct play play = play_of(true, true, true);
    play.facts[TIER_STANDARD].able_ms = -1;
    pass(&play, STEP);
    fails(&play, TIER_PRIMARY);
    pass(&play, TIERS_FAILED_MS + STEP);
    assert_tier(&play, TIER_ENHANCED);
    runs(&play, TIER_ENHANCED, true);
    play.facts[TIER_STANDARD].able_ms = 0;
    pass(&play, 2 * STEP);
    assert_tier(&play, TIER_STANDARD);
}

/* The manager of a new leader sees what runs, and hears what failed before. */
static void new_leader_goes_on(void **state)
{
    (void)state;
    struct play play = play_of(false, true, true);
    pass(&play, STEP);
    for (int i = 0; i < 2; i++) {
        fails(&play, TIER_STANDARD);
        pass(&play, TIERS_FAILED_MS + STEP);
        runs(&play, TIER_ENHANCED, true);
        pass(&play, i == 0 ? AGAIN + STEP : 60000);
    }
    assert_tier(&play, TIER_ENHANCED);
    json_t *told = tiers_document(&play.tiers, "worker", play.now_ms);
    assert_string_equal(doc_get_text(told, "tier", ""), "enhanced");
    struct play next = play;
    next.now_ms = 50000000; /* another clock */
    next.changes = 0;
    next.tiers = (struct tiers){0};
    assert_true(tiers_adopt(&next.tiers, told, 1000, next.now_ms));
    tiers_begin(&next.tiers, TIER_ENHANCED, next.facts, next.now_ms);
    int64_t left_ms = tiers_retry_ms(&next.tiers, TIER_STANDARD, next.facts, next.now_ms);
    assert_int_equal(left_ms,
                     tiers_retry_ms(&play.tiers, TIER_STANDARD, play.facts, play.now_ms) - 1000);
    pass(&next, left_ms);
    assert_int_equal(next.changes, 0);
    pass(&next, 2 * STEP);
    assert_tier(&next, TIER_STANDARD);
    json_decref(told);
    /* One that heard of nothing waits the first pause. */
    next.tiers = (struct tiers){0};
    tiers_begin(&next.tiers, TIER_ENHANCED, next.facts, next.now_ms);
    assert_int_equal(tiers_retry_ms(&next.tiers, TIER_STANDARD, next.facts, next.now_ms), AGAIN);
}

static void documents_that_make_no_sense_are_left(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "{\"past\": []}",
        "{\"past\": [{\"failures\": 1}, {\"failures\": 1}, {\"failures\": 1}]}",
        "{\"past\": [{\"failures\": -1, \"ago_ms\": 1}, 2, 3]}",
        ("{\"past\": [{\"failures\": 1, \"ago_ms\": 9999}, {\"failures\": 0, \"ago_ms\": 0}, "
         "{\"failures\": 0, \"ago_ms\": 0}]}"),
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct tiers tiers = {0};
        json_t *document = json_loads(texts[i], 0, NULL);
        assert_non_null(document);
        assert_false(tiers_adopt(&tiers, document, 0, 1000));
        assert_int_equal(tiers.past[0].failures, 0);
        json_decref(document);
    }
    struct tiers tiers = {0};
    assert_false(tiers_adopt(&tiers, NULL, 0, 1000));
}

/* Whatever the tiers do: one that exists is wanted, the change is told, and changes are rare. */
static void random_plays_do_not_flap(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        struct play play = play_of(rng_below(&rng, 2) == 0, true, rng_below(&rng, 2) == 0);
        for (int i = 0; i < 200; i++) {
            enum tier tier = (enum tier)rng_below(&rng, TIER_COUNT);
            switch (rng_below(&rng, 4)) {
            case 0:
                fails(&play, tier);
                break;
            case 1:
                runs(&play, tier, play.facts[tier].count > 0 && tier == play.tiers.now);
                break;
            case 2:
                play.facts[tier].able_ms = play.facts[tier].able_ms < 0 ? 0 : -1;
                break;
            default:
                break;
            }
            unsigned before = play.changes;
            int64_t ms = (int64_t)rng_below(&rng, 20000) + STEP;
            pass(&play, ms);
            assert_true(play.facts[play.tiers.now].count > 0);
            assert_in_range(play.changes - before, 0, 2 + ms / TIERS_FAILED_MS);
        }
    }
}

/* ---- settings ---- */

static void read_section(const char *text, struct settings **ret)
{
    struct section section;
    struct err err = {0};
    section_init_json(&section, text);
    assert_int_equal(settings_read(&section.document, "/home", ret, &err), 0);
    section_deinit(&section);
}

static void guarded_primary_is_a_duty_of_ours(void **state)
{
    (void)state;
    struct settings *settings = NULL;
    read_section("{\"primaries\": [{\"name\": \"w\", \"on\": [\"n1\"], \"guarded\": true, "
                 "\"script\": \"w.js\", \"max_restarts\": 3, \"settle_ms\": 7, "
                 "\"start_within_ms\": 8, \"retry_after_ms\": 9}, {\"name\": \"v\", \"script\": "
                 "\"v.js\"}]}",
                 &settings);
    const struct settings_backup *own = settings_backup(settings, "pm2/w");
    assert_non_null(own);
    assert_string_equal(own->script, "w.js");
    assert_int_equal(own->max_restarts, 3);
    assert_int_equal(own->settle_ms, 7);
    assert_int_equal(own->start_within_ms, 8);
    assert_int_equal(own->retry_after_ms, 9);
    assert_true(settings_on(&own->on, "n1"));
    assert_false(settings_on(&own->on, "n2"));
    assert_null(settings_backup(settings, "pm2/v")); /* the team's own */
    settings_destroy(&settings);
}

static void tiers_are_where_several_may_do_the_work(void **state)
{
    (void)state;
    struct settings *settings = NULL;
    read_section("{\"primaries\": [{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"c\", "
                 "\"guarded\": true, \"script\": \"c\"}], \"backups\": ["
                 "{\"name\": \"a1\", \"stands_in_for\": \"a\", \"script\": \"x\"}, "
                 "{\"name\": \"a2\", \"stands_in_for\": \"a\", \"script\": \"x\"}, "
                 "{\"name\": \"b1\", \"stands_in_for\": \"b\", \"script\": \"x\"}, "
                 "{\"name\": \"b2\", \"stands_in_for\": \"b\", \"script\": \"x\", \"tier\": "
                 "\"enhanced\"}, {\"name\": \"z\", \"mode\": \"always\", \"script\": \"x\"}]}",
                 &settings);
    assert_false(settings->primaries[0].tiered); /* two of one kind run side by side */
    assert_true(settings->primaries[1].tiered);
    assert_true(settings->primaries[2].tiered);
    assert_int_equal(settings->backups[3].primary, 1);
    assert_int_equal(settings->primaries[2].own.primary, 2);
    assert_true(settings->backups[4].primary == SETTINGS_NO_PRIMARY);
    settings_destroy(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standard_comes_before_enhanced),
        cmocka_unit_test(enhanced_takes_over_what_has_failed),
        cmocka_unit_test(one_of_several_is_enough),
        cmocka_unit_test(what_failed_is_tried_again_ever_more_slowly),
        cmocka_unit_test(two_that_fail_do_not_flap),
        cmocka_unit_test(guarded_primary_returns_with_its_host),
        cmocka_unit_test(guarded_primary_that_fails_waits_for_its_retry),
        cmocka_unit_test(who_waits_for_an_unreachable_host_waits),
        cmocka_unit_test(process_of_somebody_else_counts_as_the_primary),
        cmocka_unit_test(tier_without_a_node_is_passed_over),
        cmocka_unit_test(new_leader_goes_on),
        cmocka_unit_test(documents_that_make_no_sense_are_left),
        cmocka_unit_test(random_plays_do_not_flap),
        cmocka_unit_test(guarded_primary_is_a_duty_of_ours),
        cmocka_unit_test(tiers_are_where_several_may_do_the_work),
    };
    return cmocka_run_group_tests_name("pm2_tiers", tests, NULL, NULL);
}
