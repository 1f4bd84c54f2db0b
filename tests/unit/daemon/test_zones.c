/* Zones are read beside the loop, once each, and a name leads to no other file. */
#include "node/daemon/zones.h"

#include "node/base/clock.h"
#include "tests/unit/daemon/cmocka_all.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE_MS 60000

/* Asks again whenever something was read. */
static const struct zone *wait_for(struct zones *zones, const char *name, struct err *err)
{
    int64_t until_ms = clock_boot_ms() + PATIENCE_MS;
    const struct zone *zone = zones_get(zones, name, err);
    while (zone == NULL && err->code == 0 && clock_boot_ms() < until_ms) {
        struct pollfd item = {.fd = zones_fd(zones), .events = POLLIN};
        (void)poll(&item, 1, 1000);
        zones_clear(zones);
        zone = zones_get(zones, name, err);
    }
    return zone;
}

static void a_zone_is_read_once_and_shared(void **state)
{
    (void)state;
    struct err err = {0};
    struct zones *zones = zones_create();
    assert_non_null(zones);
    const struct zone *berlin = wait_for(zones, "Europe/Berlin", &err);
    assert_non_null(berlin);
    assert_string_equal(zone_name(berlin), "Europe/Berlin");
    assert_int_equal(zone_offset_s(berlin, 1784000000), 7200); /* in July 2026 */
    assert_ptr_equal(zones_get(zones, "Europe/Berlin", NULL), berlin);
    assert_non_null(wait_for(zones, "UTC", &err));
    zones_destroy(&zones);
    assert_null(zones);
}

static void what_is_no_zone_says_why(void **state)
{
    (void)state;
    struct zones *zones = zones_create();
    assert_non_null(zones);
    static const char *const names[] = {
        "Europe/Nowhere", "../../etc/passwd", "/etc/passwd", "tzdata.zi", "",
        "Europe//Berlin", "zone.tab"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct err err = {0};
        assert_null(wait_for(zones, names[i], &err));
        assert_int_not_equal(err.code, 0);
        assert_true(strlen(err.msg) > 10);
    }
    zones_destroy(&zones);
}

static void many_are_asked_for_at_once_and_the_end_does_not_wait_for_them(void **state)
{
    (void)state;
    struct zones *zones = zones_create();
    assert_non_null(zones);
    char name[32];
    for (int i = 0; i < ZONES_MAX; i++) {
        (void)snprintf(name, sizeof name, "Nowhere/Number%d", i);
        assert_null(zones_get(zones, name, NULL));
    }
    struct err err = {0};
    assert_null(zones_get(zones, "UTC", &err));
    assert_int_equal(err.code, ERR_FULL);
    zones_destroy(&zones);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zone_is_read_once_and_shared),
        cmocka_unit_test(what_is_no_zone_says_why),
        cmocka_unit_test(many_are_asked_for_at_once_and_the_end_does_not_wait_for_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
