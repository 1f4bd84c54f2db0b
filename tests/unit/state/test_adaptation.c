#include "consensus/adaptation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum kind { STALL, TOLD, GAP };

static void note(struct adaptation *self, enum kind kind, int64_t now_ms, int64_t value)
{
    switch (kind) {
    case STALL:
        adaptation_stall(self, now_ms, value);
        break;
    case TOLD:
        adaptation_told(self, now_ms, value);
        break;
    case GAP:
        adaptation_gap(self, now_ms, value);
        break;
    }
}

static void what_is_seen_gives_the_timeout(void **unused)
{
    (void)unused;
    const struct {
        enum kind kind;
        int64_t configured, heartbeat, seen, timeout;
    } table[] = {
        /* lan: nothing to adapt to */
        {STALL, 450, 75, 0, 450},
        {STALL, 450, 75, -5, 450},
        {STALL, 450, 75, 187, 450},
        {GAP, 450, 75, 100, 450},
        {GAP, 450, 75, 300, 450},
        {GAP, 450, 75, -5, 450},
        /* longer: at once */
        {STALL, 450, 75, 188, 451},
        {STALL, 450, 75, 500, 1075},
        {TOLD, 450, 75, 500, 1075},
        {GAP, 450, 75, 400, 575},
        {GAP, 450, 75, 800, 1075},
        /* no further than the bounds */
        {STALL, 450, 75, 2000, 3000},
        {STALL, 450, 75, INT64_MAX, 3000},
        {TOLD, 450, 75, INT64_MAX, 3000},
        {GAP, 450, 75, 1000, 1200},
        {GAP, 450, 75, INT64_MAX, 1200},
        /* local: adapts as well, to the same bounds */
        {STALL, 100, 20, 40, 100},
        {STALL, 100, 20, 500, 1020},
        {GAP, 100, 20, 100, 145},
        /* configured beyond the bounds: never shorter */
        {STALL, 2000, 300, 2500, 3000},
        {GAP, 2000, 300, 1500, 2000},
        {STALL, 5000, 300, 2500, 5000},
        {GAP, 5000, 300, 5000, 5000},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct adaptation self;
        adaptation_init(&self, table[i].configured, table[i].heartbeat);
        note(&self, table[i].kind, 1000, table[i].seen);
        int64_t timeout = adaptation_timeout_ms(&self, 1000);
        if (timeout != table[i].timeout) {
            fail_msg("row %zu: %lld ms instead of %lld", i, (long long)timeout,
                     (long long)table[i].timeout);
        }
    }
}

static void it_is_lowered_when_a_minute_has_passed_without(void **unused)
{
    (void)unused;
    const int64_t window = ADAPTATION_SLOT_MS * ADAPTATION_SLOTS;
    for (int64_t phase = 0; phase < ADAPTATION_SLOT_MS; phase += ADAPTATION_SLOT_MS / 4) {
        struct adaptation self;
        adaptation_init(&self, 450, 75);
        int64_t at = 1000000 + phase;
        adaptation_stall(&self, at, 500);
        for (int64_t later = 0; later <= window - ADAPTATION_SLOT_MS; later += 250) {
            assert_int_equal(adaptation_timeout_ms(&self, at + later), 1075);
        }
        assert_int_equal(adaptation_timeout_ms(&self, at + window), 450);
    }
}

static void each_new_one_holds_for_its_own_minute(void **unused)
{
    (void)unused;
    struct adaptation self;
    adaptation_init(&self, 450, 75);
    adaptation_stall(&self, 0, 1000);
    adaptation_stall(&self, 30000, 500);
    assert_int_equal(adaptation_timeout_ms(&self, 30000), 2075);
    assert_int_equal(adaptation_timeout_ms(&self, 60000), 1075); /* the longer one is forgotten */
    adaptation_gap(&self, 60000, 500);
    assert_int_equal(adaptation_timeout_ms(&self, 60000), 1075);
    assert_int_equal(adaptation_timeout_ms(&self, 90000), 700);
    assert_int_equal(adaptation_timeout_ms(&self, 120000), 450);
    /* asked for again after a suspended machine woke */
    adaptation_stall(&self, 1000000000, 500);
    assert_int_equal(adaptation_timeout_ms(&self, 1000000000), 1075);
}

static void only_own_stalls_are_told(void **unused)
{
    (void)unused;
    struct adaptation self;
    adaptation_init(&self, 450, 75);
    adaptation_told(&self, 1000, 900);
    adaptation_gap(&self, 1000, 900);
    assert_int_equal(adaptation_own_stall_ms(&self, 1000), 0);
    adaptation_stall(&self, 1000, 120); /* told although it changes nothing here */
    assert_int_equal(adaptation_own_stall_ms(&self, 1000), 120);
    adaptation_stall(&self, 2000, 60000);
    assert_int_equal(adaptation_own_stall_ms(&self, 2000), ADAPTATION_MAX_MS);
    assert_int_equal(adaptation_own_stall_ms(&self, 2000 + ADAPTATION_SLOT_MS), ADAPTATION_MAX_MS);
    assert_int_equal(adaptation_own_stall_ms(&self, 2000 + 2 * ADAPTATION_SLOT_MS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_seen_gives_the_timeout),
        cmocka_unit_test(it_is_lowered_when_a_minute_has_passed_without),
        cmocka_unit_test(each_new_one_holds_for_its_own_minute),
        cmocka_unit_test(only_own_stalls_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
