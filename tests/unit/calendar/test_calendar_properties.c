/* What holds for every schedule, zone and policy: drawn at random, mostly around changes of
 * clocks. */
#include "consensus/calendar.h"
#include "tests/unit/calendar/zones.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TRIALS 4000
#define SLOTS 24

struct trial {
    struct zone *zone;
    char expression[EXPRESSION_SIZE];
    struct calendar calendar;
    struct calendar_rules rules;
    int64_t begin_s;
};

static struct trial draw(uint64_t seed, const char *const *names, size_t name_count)
{
    struct rng rng;
    struct trial ret = {0};
    struct err err = {0};
    rng_init(&rng, seed);
    ret.zone = zone_of_system(names[rng_below(&rng, name_count)]);
    assert_non_null(ret.zone);
    draw_expression(&rng, ret.expression);
    ret.rules = draw_rules(&rng);
    ret.begin_s = draw_change(&rng, ret.zone) - rng_between(&rng, 0, 200000);
    if (calendar_parse(ret.expression, &ret.calendar, &err) != 0) {
        fail_msg("seed %" PRIu64 ": \"%s\": %s", seed, ret.expression, err.msg);
    }
    return ret;
}

static void wrong(const struct trial *trial, uint64_t seed, int64_t at_s, const char *what)
{
    fail_msg("seed %" PRIu64 ": \"%s\" in %s (gap %d, fold %d) at %s: %s", seed, trial->expression,
             zone_name(trial->zone), (int)trial->rules.gap, (int)trial->rules.fold,
             instant_text(at_s), what);
}

static bool next(const struct trial *trial, int64_t after_s, int64_t *ret_s)
{
    return calendar_next(&trial->calendar, &trial->rules, trial->zone, after_s, ret_s);
}

/* Does that slot fit: by its local time, or as the change that left out one that does? */
static bool is_explained(const struct trial *trial, int64_t slot_s)
{
    int64_t local_s = slot_s + zone_offset_s(trial->zone, slot_s);
    int64_t minute = (local_s / 60 % 60 + 60) % 60;
    int64_t hour = (local_s / 3600 % 24 + 24) % 24;
    bool fits = local_s % 60 == 0 && (trial->calendar.minutes >> minute & 1) != 0 &&
                (trial->calendar.hours >> hour & 1) != 0;
    bool is_made_up = trial->rules.gap == CALENDAR_GAP_NEXT &&
                      zone_offset_s(trial->zone, slot_s - 1) < zone_offset_s(trial->zone, slot_s);
    return fits || is_made_up;
}

/* From any instant between two slots the next one is the later. So walks over the parts of an
 * interval find what the walk over all of it finds, wherever it is divided. */
static void slots_rise_and_do_not_depend_on_where_one_begins(void **unused)
{
    (void)unused;
    const char *const *names;
    size_t name_count = zone_names(&names);
    assert_true(name_count > 100);
    size_t found = 0;
    for (uint64_t seed = 1; seed <= TRIALS; seed++) {
        struct trial trial = draw(seed, names, name_count);
        struct rng rng;
        rng_init(&rng, ~seed);
        int64_t before_s = trial.begin_s;
        int64_t slot_s;
        for (int i = 0; i < SLOTS && next(&trial, before_s, &slot_s); i++, found++) {
            int64_t again_s;
            if (slot_s <= before_s) {
                wrong(&trial, seed, slot_s, "slots do not rise");
            }
            if (!next(&trial, slot_s - 1, &again_s) || again_s != slot_s) {
                wrong(&trial, seed, slot_s, "not found from the second before it");
            }
            int64_t between_s = rng_between(&rng, before_s, slot_s - 1);
            if (!next(&trial, between_s, &again_s) || again_s != slot_s) {
                wrong(&trial, seed, between_s, "another slot when one begins here");
            }
            if (!is_explained(&trial, slot_s)) {
                wrong(&trial, seed, slot_s, "a slot that does not fit");
            }
            before_s = slot_s;
        }
        zone_destroy(&trial.zone);
    }
    assert_true(found > TRIALS * SLOTS / 2);
}

static size_t count_slots(const struct trial *trial, int64_t from_s, int64_t to_s)
{
    size_t count = 0;
    int64_t slot_s;
    while (next(trial, from_s, &slot_s) && slot_s <= to_s) {
        from_s = slot_s;
        count++;
    }
    return count;
}

static void an_interval_has_as_many_slots_as_its_parts(void **unused)
{
    (void)unused;
    const char *const *names;
    size_t name_count = zone_names(&names);
    assert_true(name_count > 100);
    for (uint64_t seed = 1; seed <= TRIALS / 8; seed++) {
        struct trial trial = draw(seed, names, name_count);
        struct rng rng;
        rng_init(&rng, ~seed);
        int64_t end_s = trial.begin_s + 4 * 86400;
        size_t whole = count_slots(&trial, trial.begin_s, end_s);
        size_t parts = 0;
        for (int64_t from_s = trial.begin_s; from_s < end_s;) {
            int64_t to_s = rng_between(&rng, from_s + 1, end_s);
            parts += count_slots(&trial, from_s, to_s);
            from_s = to_s;
        }
        if (parts != whole) {
            wrong(&trial, seed, trial.begin_s, "the parts have more or fewer slots than the whole");
        }
        zone_destroy(&trial.zone);
    }
}

/* Of what comes twice, the first time and the second are as many, and both together are both. */
static void both_is_first_and_second(void **unused)
{
    (void)unused;
    const char *const *names;
    size_t name_count = zone_names(&names);
    assert_true(name_count > 100);
    size_t twice = 0;
    for (uint64_t seed = 1; seed <= TRIALS / 4; seed++) {
        struct trial trial = draw(seed, names, name_count);
        size_t counts[3];
        for (int fold = CALENDAR_FOLD_FIRST; fold <= CALENDAR_FOLD_BOTH; fold++) {
            trial.rules.fold = (enum calendar_fold)fold;
            trial.rules.gap = CALENDAR_GAP_SKIP;
            counts[fold] = count_slots(&trial, trial.begin_s, trial.begin_s + 5 * 86400);
        }
        /* At an edge of the interval one of the two may be outside. */
        struct zone_stretch stretch;
        zone_stretch(trial.zone, trial.begin_s, &stretch);
        bool is_inside = stretch.end_s > trial.begin_s + 86400 &&
                         stretch.end_s < trial.begin_s + 4 * 86400 &&
                         stretch.begin_s < trial.begin_s - 86400;
        if (is_inside && counts[CALENDAR_FOLD_FIRST] != counts[CALENDAR_FOLD_SECOND]) {
            wrong(&trial, seed, trial.begin_s, "the first times are not as many as the second");
        }
        if (counts[CALENDAR_FOLD_BOTH] < counts[CALENDAR_FOLD_FIRST]) {
            wrong(&trial, seed, trial.begin_s, "both are fewer than the first");
        }
        twice += counts[CALENDAR_FOLD_BOTH] > counts[CALENDAR_FOLD_FIRST] ? 1 : 0;
        zone_destroy(&trial.zone);
    }
    assert_true(twice > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_rise_and_do_not_depend_on_where_one_begins),
        cmocka_unit_test(an_interval_has_as_many_slots_as_its_parts),
        cmocka_unit_test(both_is_first_and_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
