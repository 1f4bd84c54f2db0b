/* Events: the ring keeps the latest, watchers hear all and may go away while they are told. */
#include "node/base/doc.h"
#include "node/daemon/events.h"
#include "tests/unit/daemon/cmocka_all.h"

#include <string.h>

struct listener {
    struct events *events;
    int heard;
    bool leaves;
};

static void on_event(void *context, const json_t *event)
{
    struct listener *listener = context;
    assert_non_null(json_object_get(event, "kind"));
    listener->heard++;
    if (listener->leaves) {
        events_unwatch(listener->events, on_event, listener);
    }
}

static void documents_have_the_contracts_members(void **state)
{
    (void)state;
    struct events *events = events_create("n1", NULL);
    events_add(events, LOG_LEVEL_WARN, 7, "member.dead", json_pack("{s:s}", "member", "n2"),
               "%s is dead", "n2");
    int64_t wall_ms;
    const json_t *event = events_at(events, 0, &wall_ms);
    assert_non_null(event);
    assert_string_equal(doc_get_text(event, "node", ""), "n1");
    assert_string_equal(doc_get_text(event, "kind", ""), "member.dead");
    assert_string_equal(doc_get_text(event, "level", ""), "warn");
    assert_string_equal(doc_get_text(event, "message", ""), "n2 is dead");
    assert_string_equal(doc_get_text(event, "member", ""), "n2");
    assert_int_equal(doc_get_integer(event, "term", 0), 7);
    assert_non_null(json_object_get(event, "time"));
    assert_null(events_at(events, 1, &wall_ms));
    events_destroy(&events);
}

static void fields_do_not_replace_the_fixed_members(void **state)
{
    (void)state;
    struct events *events = events_create("n1", NULL);
    events_add(events, LOG_LEVEL_INFO, 1, "primary.down", json_pack("{s:s}", "node", "forged"),
               "x");
    int64_t wall_ms;
    assert_string_equal(doc_get_text(events_at(events, 0, &wall_ms), "node", ""), "n1");
    events_destroy(&events);
}

static void the_ring_forgets_the_oldest(void **state)
{
    (void)state;
    struct events *events = events_create("n1", NULL);
    for (int i = 0; i < EVENTS_KEPT + 10; i++) {
        events_add(events, LOG_LEVEL_DEBUG, 1, "x", NULL, "%d", i);
    }
    int64_t wall_ms;
    assert_string_equal(doc_get_text(events_at(events, 0, &wall_ms), "message", ""), "10");
    assert_non_null(events_at(events, EVENTS_KEPT - 1, &wall_ms));
    assert_null(events_at(events, EVENTS_KEPT, &wall_ms));
    events_destroy(&events);
}

static void watchers_may_leave_while_they_are_told(void **state)
{
    (void)state;
    struct events *events = events_create("n1", NULL);
    struct listener stays = {.events = events};
    struct listener leaves = {.events = events, .leaves = true};
    assert_true(events_watch(events, on_event, &stays));
    assert_true(events_watch(events, on_event, &leaves));
    events_add(events, LOG_LEVEL_INFO, 1, "a", NULL, "a");
    events_add(events, LOG_LEVEL_INFO, 1, "b", NULL, "b");
    assert_int_equal(stays.heard, 2);
    assert_int_equal(leaves.heard, 1);
    events_destroy(&events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_have_the_contracts_members),
        cmocka_unit_test(fields_do_not_replace_the_fixed_members),
        cmocka_unit_test(the_ring_forgets_the_oldest),
        cmocka_unit_test(watchers_may_leave_while_they_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
