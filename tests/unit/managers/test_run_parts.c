/* The pure parts of the run manager: ids, ends, records, environments, the layout of output, the
 * node's list of schedules; and that its words are those of the replicated state. */
#include "consensus/state_work.h"
#include "managers/common/schedule_list.h"
#include "managers/run/ending.h"
#include "managers/run/environment.h"
#include "managers/run/layout.h"
#include "managers/run/record.h"
#include "managers/run/slot.h"
#include "node/base/clock.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the words of the replicated state ---- */

#define SAME(a, b) static_assert((int)(a) == (int)(b), #a " is " #b)
SAME(MANAGER_GAP_NEXT, CALENDAR_GAP_NEXT);
SAME(MANAGER_GAP_SKIP, CALENDAR_GAP_SKIP);
SAME(MANAGER_FOLD_FIRST, CALENDAR_FOLD_FIRST);
SAME(MANAGER_FOLD_SECOND, CALENDAR_FOLD_SECOND);
SAME(MANAGER_FOLD_BOTH, CALENDAR_FOLD_BOTH);
SAME(MANAGER_OVERLAP_FORBID, SCHEDULE_OVERLAP_FORBID);
SAME(MANAGER_OVERLAP_ALLOW, SCHEDULE_OVERLAP_ALLOW);
SAME(MANAGER_OVERLAP_REPLACE, SCHEDULE_OVERLAP_REPLACE);
SAME(MANAGER_MISFIRE_RUN_ONCE, SCHEDULE_MISFIRE_RUN_ONCE);
SAME(MANAGER_MISFIRE_RUN_ALL, SCHEDULE_MISFIRE_RUN_ALL);
SAME(MANAGER_MISFIRE_SKIP, SCHEDULE_MISFIRE_SKIP);
SAME(MANAGER_OUTCOME_RAN, RUN_RAN);
SAME(MANAGER_OUTCOME_FAILED, RUN_FAILED);
SAME(MANAGER_OUTCOME_UNKNOWN, RUN_UNKNOWN);
SAME(MANAGER_REASON_PAUSED, RUN_PAUSED);
SAME(MANAGER_REASON_FINISH_DEADLINE, RUN_FINISH_DEADLINE);
SAME(MANAGER_REASON_PROGRESS_DEADLINE, RUN_PROGRESS_DEADLINE);
SAME(MANAGER_REASON_TOO_SHORT, RUN_TOO_SHORT);
SAME(MANAGER_REASON_EXIT, RUN_EXIT);
SAME(MANAGER_REASON_SIGNAL, RUN_SIGNAL);
SAME(MANAGER_REASON_NOT_STARTED, RUN_NOT_STARTED);
SAME(MANAGER_REASON_HOLDER_GONE, RUN_HOLDER_GONE);
SAME(MANAGER_REASON_CANCELLED, RUN_CANCELLED);
SAME(MANAGER_REASON_SHADOW, RUN_SHADOW);
SAME(MANAGER_EXPRESSION_SIZE, SCHEDULE_EXPRESSION_SIZE);
SAME(MANAGER_ZONE_SIZE, ZONE_NAME_SIZE);
SAME(MANAGER_SCHEDULE_ID_SIZE, SCHEDULE_ID_SIZE);
SAME(MANAGER_RETRIES_MAX, SCHEDULE_RETRIES_MAX);
static_assert(MANAGER_SCHEDULES_MAX <= STATE_SCHEDULES_MAX, "the state has room for a whole list");
static_assert(MANAGER_SECONDS_MAX == SCHEDULE_SECONDS_MAX, "durations");

/* ---- ids ---- */

static void ids_of_runs_are_read(void **state)
{
    (void)state;
    struct slot_name slot;
    char text[SLOT_TEXT_SIZE];
    char id[DUTY_ID_SIZE];
    assert_true(slot_parse("run/", "run/report@20261122T051500Z#2", &slot));
    assert_string_equal(slot.schedule, "report");
    assert_int_equal(slot.slot_s, 1795324500);
    assert_int_equal(slot.attempt, 2);
    assert_true(slot.attempt_named);
    slot_text(&slot, text);
    assert_string_equal(text, "2026-11-22T05:15:00Z");
    slot_run_id("run/", &slot, id);
    assert_string_equal(id, "run/report@20261122T051500Z");

    assert_true(slot_parse("run/", "run/a.b-c_d@m18446744073709551615", &slot));
    assert_int_equal(slot.number, UINT64_MAX);
    assert_int_equal(slot.attempt, 1);
    assert_false(slot.attempt_named);
    slot_text(&slot, text);
    assert_string_equal(text, "");
    slot_run_id("run/", &slot, id);
    assert_string_equal(id, "run/a.b-c_d@m18446744073709551615");
}

static void what_is_no_run_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "run/",
        "pm2/report@m1",
        "run/report",
        "run/@m1",
        "run/../../etc@m1",
        "run/.hidden@m1",
        "run/a/b@m1",
        "run/a@",
        "run/a@m",
        "run/a@m0",
        "run/a@m01",
        "run/a@m18446744073709551616",
        "run/a@20261122T051500",
        "run/a@20261122T051500Zx",
        "run/a@20260231T051500Z",
        "run/a@20261122T251500Z",
        "run/a@2026-1-22T051500Z",
        "run/a@19700101T000000Z",
        "run/a@m1#",
        "run/a@m1#0",
        "run/a@m1#4294967296",
        "run/a@m1#2 ",
    };
    struct slot_name slot;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (slot_parse("run/", texts[i], &slot)) {
            fail_msg("taken for a run: %s", texts[i]);
        }
    }
}

static void instants_are_those_of_rfc_3339(void **state)
{
    (void)state;
    int64_t at_s = 0;
    assert_true(clock_instant_parse("1970-01-01T00:00:00Z", &at_s));
    assert_int_equal(at_s, 0);
    assert_true(clock_instant_parse("2026-11-22T06:15:00+01:00", &at_s));
    assert_int_equal(at_s, 1795324500);
    assert_true(clock_instant_parse("2026-11-21T23:45:00-05:30", &at_s));
    assert_int_equal(at_s, 1795324500);
    static const char *const texts[] = {"",
                                        "2026-11-22",
                                        "2026-11-22 05:15:00Z",
                                        "2026-11-22T05:15:00",
                                        "2026-11-22T05:15:00.5Z",
                                        "2026-11-22T05:15:60Z",
                                        "2026-02-29T05:15:00Z",
                                        "2026-13-01T05:15:00Z",
                                        "1969-12-31T23:59:59Z",
                                        "2026-11-22T05:15:00+1:00",
                                        "2026-11-22T05:15:00+24:00",
                                        "2026-11-22T05:15:00Z "};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (clock_instant_parse(texts[i], &at_s)) {
            fail_msg("taken for an instant: %s", texts[i]);
        }
    }
}

/* ---- ends and records ---- */

static void the_line_of_a_guard_is_read(void **state)
{
    (void)state;
    struct ending ending;
    assert_true(ending_read("ended exit 3\n", &ending));
    assert_int_equal(ending.cause, ENDING_ENDED);
    assert_int_equal(ending.exit_status, 3);
    assert_true(ending_read("lapsed signal 15\n", &ending));
    assert_int_equal(ending.cause, ENDING_LAPSED);
    assert_int_equal(ending.exit_status, MANAGER_EXIT_SIGNAL + 15);
    assert_true(ending_read("never-ran none 0\n", &ending));
    assert_int_equal(ending.cause, ENDING_NEVER_RAN);
    assert_int_equal(ending.exit_status, MANAGER_EXIT_UNKNOWN);
    static const char *const texts[] = {"",
                                        "ended",
                                        "ended exit 3",
                                        "ended exit 256\n",
                                        "ended exit -1\n",
                                        "ended exit 3\nmore\n",
                                        "ended signal 0\n",
                                        "ended none 1\n",
                                        "unseen exit 0\n",
                                        "finished exit 0\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(ending_read(texts[i], &ending));
        assert_int_equal(ending.cause, ENDING_UNSEEN);
        assert_int_equal(ending.exit_status, MANAGER_EXIT_UNKNOWN);
    }
}

static void a_record_survives_but_not_in_part(void **state)
{
    (void)state;
    struct record record = {.assignment = 31,
                            .term = 7,
                            .started_boot_ms = 1000,
                            .started_wall_ms = 1795324500123,
                            .limits = {.progress_ms = 1,
                                       .finish_ms = 2,
                                       .min_runtime_ms = 3,
                                       .output_bytes = 4096,
                                       .keep = 5}};
    struct record back;
    char text[RECORD_SIZE];
    for (int round = 0; round < 2; round++) {
        size_t length = record_write(&record, text);
        assert_int_equal(length, strlen(text));
        memset(&back, 0, sizeof back);
        assert_true(record_read(text, &back));
        assert_memory_equal(&back, &record, sizeof back);
        for (size_t cut = 0; cut < length; cut++) {
            char part[RECORD_SIZE];
            (void)snprintf(part, sizeof part, "%.*s", (int)cut, text);
            assert_false(record_read(part, &back));
        }
        record.ended = true;
        record.outcome = MANAGER_OUTCOME_FAILED;
        record.reason = MANAGER_REASON_EXIT;
        record.exit_status = 3;
        record.ended_wall_ms = 1795324501123;
    }
    (void)strncat(text, "of_a_later_version 5\n", sizeof text - strlen(text) - 1);
    assert_true(record_read(text, &back));
    assert_false(record_read("version 1\nwhole 1\n", &back)); /* without limits */
}

/* ---- the environment ---- */

static void later_variables_replace_earlier_ones(void **state)
{
    (void)state;
    struct environment environment;
    struct err err = {0};
    environment_init(&environment);
    assert_int_equal(environment_set(&environment, "A", "1", &err), 0);
    assert_int_equal(environment_parse(&environment,
                                       "# a comment\n\n  B = two \nA=\"x y\"\nC='q'\nD=\n"
                                       "UNDERSTUDY_DUTY=mine\nE=a=b\n",
                                       &err),
                     ERR_INVALID); /* a blank in a name */
    assert_non_null(strstr(err.msg, "line 3"));
    assert_null(strstr(err.msg, "two")); /* a value may be a secret */
    assert_int_equal(environment_parse(&environment,
                                       "# a comment\n\n  B=two \r\nA=\"x y\"\nC='q'\nD=\n"
                                       "UNDERSTUDY_DUTY=mine\nE=a=b",
                                       &err),
                     0);
    assert_int_equal(environment.count, 5);
    assert_string_equal(environment_get(&environment, "A"), "x y");
    assert_string_equal(environment_get(&environment, "B"), "two");
    assert_string_equal(environment_get(&environment, "C"), "q");
    assert_string_equal(environment_get(&environment, "D"), "");
    assert_string_equal(environment_get(&environment, "E"), "a=b");
    assert_null(environment_get(&environment, "UNDERSTUDY_DUTY"));
    assert_null(environment.variables[environment.count]);
    assert_int_equal(environment_parse(&environment, "secret\n", &err), ERR_INVALID);
    assert_null(strstr(err.msg, "secret"));
    environment_deinit(&environment);
}

/* ---- output ---- */

/* A file and a reader that follow the layout, against keeping everything. */
static void check_layout(uint64_t bound, uint64_t total, uint64_t chunk)
{
    struct layout layout = layout_of(bound);
    char *file = calloc(1, bound);
    char *all = malloc(total + 1);
    for (uint64_t i = 0; i < total; i++) {
        all[i] = (char)('a' + i % 23);
    }
    for (uint64_t done = 0; done < total;) {
        struct layout_piece pieces[LAYOUT_PIECES_MAX];
        uint64_t length = total - done < chunk ? total - done : chunk;
        size_t count = layout_write(&layout, done, length, pieces);
        for (size_t i = 0; i < count; i++) {
            assert_true(pieces[i].at + pieces[i].length <= bound);
            memcpy(file + pieces[i].at, all + done + pieces[i].from, pieces[i].length);
        }
        done += length;
    }
    struct layout_view view;
    layout_view(&layout, total, &view);
    uint64_t head = total < layout.head_bytes ? total : layout.head_bytes;
    uint64_t tail = total - head < layout.tail_bytes ? total - head : layout.tail_bytes;
    assert_int_equal(view.cut_bytes, total - head - tail);
    assert_int_equal(view.length, head + tail + view.cut_length);
    assert_int_equal(view.cut_length > 0, head + tail < total);
    for (size_t i = 0; i < view.count; i++) {
        const struct layout_piece *piece = &view.pieces[i];
        uint64_t from = piece->from < view.cut_at ? piece->from
                                                  : piece->from - view.cut_length + view.cut_bytes;
        assert_memory_equal(file + piece->at, all + from, piece->length);
    }
    free(file);
    free(all);
}

static void head_and_tail_are_kept_however_it_comes(void **state)
{
    (void)state;
    static const uint64_t chunks[] = {1, 3, 7, 64, 100, 1000};
    for (uint64_t total = 0; total < 400; total++) {
        for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
            check_layout(100, total, chunks[i]);
        }
    }
    check_layout(4, 1000, 13);
}

static void the_cut_says_how_much(void **state)
{
    (void)state;
    struct layout layout = layout_of(100);
    struct layout_view view;
    layout_view(&layout, 100, &view);
    assert_int_equal(view.cut_length, 0);
    layout_view(&layout, 1100, &view);
    assert_string_equal(view.cut, "\n... 1000 bytes were cut here ...\n");
    assert_int_equal(view.cut_at, 25);
}

/* ---- the node's list ---- */

static struct manager_schedule_wanted row(const char *id, uint64_t term, uint64_t edition,
                                          uint32_t position, uint32_t total)
{
    struct manager_schedule_wanted ret = {
        .term = term, .edition = edition, .position = position, .total = total};
    (void)snprintf(ret.id, sizeof ret.id, "%s", id);
    return ret;
}

static bool take(struct schedule_list *list, const char *id, uint64_t term, uint64_t edition,
                 uint32_t position, uint32_t total)
{
    struct manager_schedule_wanted wanted = row(id, term, edition, position, total);
    return schedule_list_take(list, &wanted);
}

static void only_a_whole_list_says_what_is_gone(void **state)
{
    (void)state;
    struct schedule_list *list = calloc(1, sizeof *list);
    assert_non_null(list);
    assert_false(schedule_list_whole(list));
    assert_false(schedule_list_lacks(list, 0, 0));
    assert_true(take(list, "run/c", 3, 1, 2, 3));
    assert_true(take(list, "run/a", 3, 1, 0, 3));
    assert_true(take(list, "run/a", 3, 1, 0, 3));  /* twice */
    assert_false(schedule_list_lacks(list, 0, 0)); /* b is lost as yet */
    assert_true(take(list, "run/b", 3, 1, 1, 3));
    assert_true(schedule_list_whole(list));
    assert_true(schedule_list_lacks(list, 0, 0)); /* what was never said */
    assert_true(schedule_list_lacks(list, 2, 1));
    assert_false(schedule_list_lacks(list, 3, 1));

    /* The next edition begins anew; what is late of an earlier term is not looked at. */
    assert_true(take(list, "run/a", 4, 2, 0, 2));
    assert_false(schedule_list_lacks(list, 3, 1));
    assert_false(take(list, "run/c", 3, 1, 2, 3));
    assert_true(take(list, "run/b", 4, 2, 1, 2));
    assert_true(schedule_list_lacks(list, 3, 1));
    assert_true(schedule_list_lacks(list, 4, 1));
    assert_false(schedule_list_lacks(list, 4, 2));

    assert_true(take(list, "", 4, 3, 0, 0));
    assert_true(schedule_list_whole(list));
    assert_true(schedule_list_lacks(list, 4, 2));
    assert_false(take(list, "", 4, 4, 0, 1));
    assert_false(take(list, "run/a", 4, 4, 1, 1));
    free(list);
}

static void the_longest_list_becomes_whole(void **state)
{
    (void)state;
    struct schedule_list *list = calloc(1, sizeof *list);
    assert_non_null(list);
    for (uint32_t i = 0; i < MANAGER_SCHEDULES_MAX; i++) {
        assert_false(schedule_list_whole(list));
        uint32_t position = i * 7919u % MANAGER_SCHEDULES_MAX;
        assert_true(take(list, "run/a", 3, 1, position, MANAGER_SCHEDULES_MAX));
    }
    assert_true(schedule_list_whole(list));
    assert_false(take(list, "run/a", 3, 2, 0, MANAGER_SCHEDULES_MAX + 1));
    free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_runs_are_read),
        cmocka_unit_test(what_is_no_run_is_refused),
        cmocka_unit_test(instants_are_those_of_rfc_3339),
        cmocka_unit_test(the_line_of_a_guard_is_read),
        cmocka_unit_test(a_record_survives_but_not_in_part),
        cmocka_unit_test(later_variables_replace_earlier_ones),
        cmocka_unit_test(head_and_tail_are_kept_however_it_comes),
        cmocka_unit_test(the_cut_says_how_much),
        cmocka_unit_test(only_a_whole_list_says_what_is_gone),
        cmocka_unit_test(the_longest_list_becomes_whole),
    };
    return cmocka_run_group_tests_name("run_parts", tests, NULL, NULL);
}
