/* The pure rules: precedence of news, time of a suspicion, local health, what health is told. */
#include "gossip/awareness.h"
#include "gossip/claim.h"
#include "gossip/health.h"
#include "gossip/news.h"
#include "gossip/suspicion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- precedence: every state held, every claim, older, same and newer incarnation ---- */

struct claim_row {
    enum gossip_state held;
    enum gossip_state claimed;
    enum claim_verdict older;
    enum claim_verdict same;
    enum claim_verdict newer;
};

static const struct claim_row claim_rows[] = {
    {GOSSIP_ALIVE, GOSSIP_ALIVE, CLAIM_IGNORE, CLAIM_IGNORE, CLAIM_ALIVE},
    {GOSSIP_ALIVE, GOSSIP_SUSPECT, CLAIM_IGNORE, CLAIM_SUSPECT, CLAIM_SUSPECT},
    {GOSSIP_ALIVE, GOSSIP_DEAD, CLAIM_IGNORE, CLAIM_DOUBT, CLAIM_DOUBT},
    {GOSSIP_ALIVE, GOSSIP_LEFT, CLAIM_IGNORE, CLAIM_LEFT, CLAIM_LEFT},
    {GOSSIP_SUSPECT, GOSSIP_ALIVE, CLAIM_IGNORE, CLAIM_IGNORE, CLAIM_ALIVE},
    {GOSSIP_SUSPECT, GOSSIP_SUSPECT, CLAIM_IGNORE, CLAIM_CONFIRM, CLAIM_SUSPECT},
    {GOSSIP_SUSPECT, GOSSIP_DEAD, CLAIM_IGNORE, CLAIM_DOUBT, CLAIM_DOUBT},
    {GOSSIP_SUSPECT, GOSSIP_LEFT, CLAIM_IGNORE, CLAIM_LEFT, CLAIM_LEFT},
    {GOSSIP_DEAD, GOSSIP_ALIVE, CLAIM_IGNORE, CLAIM_IGNORE, CLAIM_ALIVE},
    {GOSSIP_DEAD, GOSSIP_SUSPECT, CLAIM_IGNORE, CLAIM_IGNORE, CLAIM_SUSPECT},
    {GOSSIP_DEAD, GOSSIP_DEAD, CLAIM_IGNORE, CLAIM_IGNORE, CLAIM_RENEW},
    {GOSSIP_DEAD, GOSSIP_LEFT, CLAIM_IGNORE, CLAIM_LEFT, CLAIM_LEFT},
    {GOSSIP_LEFT, GOSSIP_ALIVE, CLAIM_IGNORE, CLAIM_IGNORE, CLAIM_ALIVE},
    {GOSSIP_LEFT, GOSSIP_SUSPECT, CLAIM_IGNORE, CLAIM_IGNORE, CLAIM_SUSPECT},
    {GOSSIP_LEFT, GOSSIP_DEAD, CLAIM_IGNORE, CLAIM_IGNORE, CLAIM_DEAD},
    {GOSSIP_LEFT, GOSSIP_LEFT, CLAIM_IGNORE, CLAIM_IGNORE, CLAIM_RENEW},
};

static enum claim_verdict judge(const struct claim_row *row, uint64_t incarnation, bool proof,
                                bool suspect_for_long)
{
    struct claim_held held = {
        .state = row->held, .incarnation = 5, .suspect_for_long = suspect_for_long};
    struct claim claim = {.state = row->claimed, .incarnation = incarnation, .proof = proof};
    return gossip_claim_judge(&held, &claim);
}

static void newer_incarnation_wins_then_the_graver_state(void **state)
{
    (void)state;
    assert_int_equal(sizeof claim_rows / sizeof claim_rows[0], 16);
    for (size_t i = 0; i < sizeof claim_rows / sizeof claim_rows[0]; i++) {
        const struct claim_row *row = &claim_rows[i];
        assert_int_equal(judge(row, 4, false, false), row->older);
        assert_int_equal(judge(row, 5, false, false), row->same);
        assert_int_equal(judge(row, 6, false, false), row->newer);
    }
}

static void a_proven_death_is_taken_from_any_state_but_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof claim_rows / sizeof claim_rows[0]; i++) {
        const struct claim_row *row = &claim_rows[i];
        if (row->claimed != GOSSIP_DEAD) {
            continue;
        }
        bool lives = row->held == GOSSIP_ALIVE || row->held == GOSSIP_SUSPECT;
        assert_int_equal(judge(row, 5, true, false), lives ? CLAIM_DEAD : row->same);
        assert_int_equal(judge(row, 6, true, false), lives ? CLAIM_DEAD : row->newer);
        assert_int_equal(judge(row, 4, true, false), CLAIM_IGNORE);
    }
}

static void hearsay_of_a_death_needs_a_suspicion_of_some_age(void **state)
{
    (void)state;
    struct claim_row suspect = {.held = GOSSIP_SUSPECT, .claimed = GOSSIP_DEAD};
    struct claim_row alive = {.held = GOSSIP_ALIVE, .claimed = GOSSIP_DEAD};
    assert_int_equal(judge(&suspect, 5, false, true), CLAIM_DEAD);
    assert_int_equal(judge(&suspect, 6, false, true), CLAIM_DOUBT); /* it refuted in between */
    assert_int_equal(judge(&suspect, 4, false, true), CLAIM_IGNORE);
    assert_int_equal(judge(&alive, 5, false, true), CLAIM_DOUBT);
}

/* ---- suspicion ---- */

static void suspicion_shrinks_with_confirmations(void **state)
{
    (void)state;
    static const struct {
        unsigned confirmations, wanted;
        int64_t min_ms, max_ms, timeout_ms;
    } rows[] = {
        {0, 0, 2000, 8000, 2000},   {3, 0, 2000, 8000, 2000},  {0, 1, 2000, 8000, 8000},
        {1, 1, 2000, 8000, 2000},   {2, 1, 2000, 8000, 2000},  {0, 3, 5000, 30000, 30000},
        {1, 3, 5000, 30000, 17500}, /* log 2 / log 4 is a half */
        {2, 3, 5000, 30000, 10188}, /* log 3 / log 4 = 0.79248 */
        {3, 3, 5000, 30000, 5000},  {9, 3, 5000, 30000, 5000}, {1, 4, 700, 700, 700},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t timeout_ms = gossip_suspicion_timeout_ms(rows[i].confirmations, rows[i].wanted,
                                                         rows[i].min_ms, rows[i].max_ms);
        assert_int_equal(timeout_ms, rows[i].timeout_ms);
    }
}

static void the_least_suspicion_grows_with_the_logarithm(void **state)
{
    (void)state;
    assert_int_equal(gossip_suspicion_min_ms(2, 1, 1000), 2000);
    assert_int_equal(gossip_suspicion_min_ms(2, 10, 1000), 2000);
    assert_int_equal(gossip_suspicion_min_ms(2, 100, 1000), 4000);
    assert_int_equal(gossip_suspicion_min_ms(5, 10000, 200), 4000);
}

static void an_accuser_counts_once(void **state)
{
    (void)state;
    struct suspicion suspicion;
    gossip_suspicion_init(&suspicion, 7);
    assert_int_equal(gossip_suspicion_confirmations(&suspicion), 0);
    assert_true(gossip_suspicion_accuse(&suspicion, "a"));
    assert_int_equal(gossip_suspicion_confirmations(&suspicion), 0);
    assert_true(gossip_suspicion_accuse(&suspicion, "b"));
    assert_false(gossip_suspicion_accuse(&suspicion, "b"));
    assert_false(gossip_suspicion_accuse(&suspicion, "a"));
    assert_int_equal(gossip_suspicion_confirmations(&suspicion), 1);
    assert_true(gossip_suspicion_accuse(&suspicion, "c"));
    assert_true(gossip_suspicion_accuse(&suspicion, "d"));
    assert_true(gossip_suspicion_accuse(&suspicion, "e"));
    assert_false(gossip_suspicion_accuse(&suspicion, "f")); /* the bound */
    assert_int_equal(suspicion.accuser_count, ACCUSERS_MAX);
}

/* ---- awareness ---- */

static void awareness_stays_within_its_bounds(void **state)
{
    (void)state;
    struct awareness awareness;
    gossip_awareness_init(&awareness, 8);
    assert_int_equal(gossip_awareness_scale_ms(&awareness, 1000), 1000);
    gossip_awareness_apply(&awareness, -1);
    assert_int_equal(awareness.score, 0);
    gossip_awareness_apply(&awareness, 3);
    assert_int_equal(gossip_awareness_scale_ms(&awareness, 1000), 4000);
    gossip_awareness_apply(&awareness, 100);
    assert_int_equal(awareness.score, 7);
    gossip_awareness_apply(&awareness, -2);
    assert_int_equal(awareness.score, 5);
}

static void missing_nacks_count_against_the_prober(void **state)
{
    (void)state;
    assert_int_equal(gossip_awareness_failed_probe_delta(0, 0), 1);
    assert_int_equal(gossip_awareness_failed_probe_delta(3, 3), 0);
    assert_int_equal(gossip_awareness_failed_probe_delta(3, 1), 2);
    assert_int_equal(gossip_awareness_failed_probe_delta(3, 0), 3);
}

/* ---- how often news is sent ---- */

static void news_is_sent_as_often_as_the_logarithm_asks(void **state)
{
    (void)state;
    assert_int_equal(gossip_news_sends_limit(4, 1), 2);
    assert_int_equal(gossip_news_sends_limit(4, 3), 3);
    assert_int_equal(gossip_news_sends_limit(4, 20), 6);
    assert_int_equal(gossip_news_sends_limit(4, 9999), 16);
    assert_int_equal(gossip_news_sends_limit(1, 1), 1);
    assert_int_equal(gossip_news_sends_limit(10, 10000000), NEWS_SENDS_MAX);
}

/* ---- health ---- */

static struct gossip_health some_health(void)
{
    struct gossip_health health;
    gossip_health_init(&health);
    health.score_tenths = 900;
    health.load_hundredths = 100;
    (void)snprintf(health.version, sizeof health.version, "1.2.3");
    health.component_count = 2;
    (void)snprintf(health.components[0].name, GOSSIP_LABEL_NAME_SIZE, "cpu");
    health.components[0].score_tenths = 900;
    (void)snprintf(health.components[1].name, GOSSIP_LABEL_NAME_SIZE, "disk");
    health.components[1].score_tenths = GOSSIP_UNKNOWN;
    health.capability_count = 1;
    (void)snprintf(health.capabilities[0].manager, GOSSIP_LABEL_NAME_SIZE, "pm2");
    health.capabilities[0].percent = 5;
    health.label_count = 1;
    (void)snprintf(health.labels[0].name, GOSSIP_LABEL_NAME_SIZE, "zone");
    (void)snprintf(health.labels[0].value, GOSSIP_LABEL_VALUE_SIZE, "b");
    return health;
}

static void a_score_is_told_when_it_matters(void **state)
{
    (void)state;
    static const struct {
        int from, to;
        enum health_change change;
    } rows[] = {
        {900, 900, HEALTH_SAME},
        {900, 909, HEALTH_SAME},
        {900, 910, HEALTH_SMALL},
        {900, 851, HEALTH_SMALL},
        {900, 850, HEALTH_SIGNIFICANT},
        {803, 799, HEALTH_SAME}, /* a border, but a hair's breadth */
        {805, 795, HEALTH_SIGNIFICANT},
        {590, 600, HEALTH_SIGNIFICANT},
        {510, 499, HEALTH_SIGNIFICANT},
        {-1, 900, HEALTH_SIGNIFICANT},
        {900, -1, HEALTH_SIGNIFICANT},
        {-1, -1, HEALTH_SAME},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gossip_health from = some_health();
        struct gossip_health to = some_health();
        from.score_tenths = rows[i].from;
        to.score_tenths = rows[i].to;
        assert_int_equal(gossip_health_compare_short(&from, &to), rows[i].change);
    }
    struct gossip_health from = some_health();
    struct gossip_health to = some_health();
    to.flags = GOSSIP_FLAG_DRAINING;
    assert_int_equal(gossip_health_compare_short(&from, &to), HEALTH_SIGNIFICANT);
    to = some_health();
    to.load_hundredths = 150;
    assert_int_equal(gossip_health_compare_short(&from, &to), HEALTH_SMALL);
    to.load_hundredths = 301;
    assert_int_equal(gossip_health_compare_short(&from, &to), HEALTH_SIGNIFICANT);
}

static void details_are_told_when_they_matter(void **state)
{
    (void)state;
    struct gossip_health from = some_health();
    struct gossip_health to = some_health();
    assert_int_equal(gossip_health_compare_details(&from, &to), HEALTH_SAME);
    to.components[0].score_tenths = 850;
    assert_int_equal(gossip_health_compare_details(&from, &to), HEALTH_SMALL);
    to.components[0].score_tenths = 800;
    assert_int_equal(gossip_health_compare_details(&from, &to), HEALTH_SIGNIFICANT);
    to = some_health();
    to.components[1].score_tenths = 1000;
    assert_int_equal(gossip_health_compare_details(&from, &to), HEALTH_SIGNIFICANT);
    to = some_health();
    to.capabilities[0].percent = 0;
    assert_int_equal(gossip_health_compare_details(&from, &to), HEALTH_SIGNIFICANT);
    to = some_health();
    (void)snprintf(to.labels[0].value, GOSSIP_LABEL_VALUE_SIZE, "c");
    assert_int_equal(gossip_health_compare_details(&from, &to), HEALTH_SIGNIFICANT);
    to = some_health();
    (void)snprintf(to.version, sizeof to.version, "1.2.4");
    assert_int_equal(gossip_health_compare_details(&from, &to), HEALTH_SIGNIFICANT);
    to = some_health();
    to.component_count = 1;
    assert_int_equal(gossip_health_compare_details(&from, &to), HEALTH_SIGNIFICANT);
}

static void details_come_back_as_they_were(void **state)
{
    (void)state;
    struct gossip_health health = some_health();
    uint8_t bytes[GOSSIP_DETAILS_BYTES_MAX];
    size_t length;
    assert_int_equal(gossip_health_details_encode(&health, bytes, &length, NULL), 0);
    struct gossip_health back;
    gossip_health_init(&back);
    assert_int_equal(gossip_health_details_decode(bytes, length, &back, NULL), 0);
    assert_int_equal(gossip_health_compare_details(&health, &back), HEALTH_SAME);
    assert_int_equal(back.components[1].score_tenths, GOSSIP_UNKNOWN);
    assert_string_equal(back.labels[0].name, "zone");
    for (size_t cut = 0; cut < length; cut++) {
        assert_int_not_equal(gossip_health_details_decode(bytes, cut, &back, NULL), 0);
    }
}

static void health_out_of_bounds_is_refused(void **state)
{
    (void)state;
    struct err err;
    struct gossip_health health = some_health();
    assert_int_equal(gossip_health_check(&health, &err), 0);
    health.score_tenths = 1001;
    assert_int_equal(gossip_health_check(&health, &err), ERR_INVALID);
    health = some_health();
    health.components[0].score_tenths = -2;
    assert_int_equal(gossip_health_check(&health, &err), ERR_INVALID);
    health = some_health();
    health.component_count = GOSSIP_COMPONENTS_MAX + 1;
    assert_int_equal(gossip_health_check(&health, &err), ERR_INVALID);
    health = some_health();
    memset(health.labels[0].value, 'x', sizeof health.labels[0].value);
    assert_int_equal(gossip_health_check(&health, &err), ERR_INVALID);
}

static void a_record_is_newer_by_incarnation_then_sequence(void **state)
{
    (void)state;
    struct health_record record = {.incarnation = 5, .sequence = 9};
    assert_int_equal(gossip_health_record_compare(NULL, 1, 1), 1);
    assert_int_equal(gossip_health_record_compare(&record, 5, 9), 0);
    assert_int_equal(gossip_health_record_compare(&record, 5, 10), 1);
    assert_int_equal(gossip_health_record_compare(&record, 5, 8), -1);
    assert_int_equal(gossip_health_record_compare(&record, 6, 1), 1);
    assert_int_equal(gossip_health_record_compare(&record, 4, 99), -1);
}

/* Nodes that hold different old details, or none, must not reconcile for ever. */
static void only_the_right_details_count_in_the_digest(void **state)
{
    (void)state;
    struct health_record none = {.incarnation = 5, .sequence = 9, .details_wanted = 7};
    struct health_record old = none;
    old.details_hash = 6;
    assert_true(gossip_health_record_digest(&none) == gossip_health_record_digest(&old));
    struct health_record right = none;
    right.details_hash = 7;
    assert_false(gossip_health_record_digest(&none) == gossip_health_record_digest(&right));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newer_incarnation_wins_then_the_graver_state),
        cmocka_unit_test(a_proven_death_is_taken_from_any_state_but_left),
        cmocka_unit_test(hearsay_of_a_death_needs_a_suspicion_of_some_age),
        cmocka_unit_test(suspicion_shrinks_with_confirmations),
        cmocka_unit_test(the_least_suspicion_grows_with_the_logarithm),
        cmocka_unit_test(an_accuser_counts_once),
        cmocka_unit_test(awareness_stays_within_its_bounds),
        cmocka_unit_test(missing_nacks_count_against_the_prober),
        cmocka_unit_test(news_is_sent_as_often_as_the_logarithm_asks),
        cmocka_unit_test(a_score_is_told_when_it_matters),
        cmocka_unit_test(details_are_told_when_they_matter),
        cmocka_unit_test(details_come_back_as_they_were),
        cmocka_unit_test(health_out_of_bounds_is_refused),
        cmocka_unit_test(a_record_is_newer_by_incarnation_then_sequence),
        cmocka_unit_test(only_the_right_details_count_in_the_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
