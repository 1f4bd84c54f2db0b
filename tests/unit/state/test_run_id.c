#include "node/base/rng.h"
#include "tests/unit/state/commands_work.h"

static void ids_are_as_documented(void **unused)
{
    (void)unused;
    const struct {
        const char *schedule;
        int64_t slot_s;
        uint64_t number;
        const char *id;
    } table[] = {
        {"run/report", 1795324500, 0, "run/report@20261122T051500Z"},
        {"run/report", 0, 1234, "run/report@m1234"},
        {"run/report", 1, 0, "run/report@19700101T000001Z"},
        {"run/report", 951782399, 0, "run/report@20000228T235959Z"},
        {"run/report", 951782400, 0, "run/report@20000229T000000Z"},
        {"run/report", 951868800, 0, "run/report@20000301T000000Z"},
        {"run/report", 4107542400, 0, "run/report@21000301T000000Z"}, /* no leap year */
        {"run/report", 4107542399, 0, "run/report@21000228T235959Z"},
        {"run/report", 1735689599, 0, "run/report@20241231T235959Z"},
        {"run/report", RUN_SLOT_S_MAX, 0, "run/report@99991231T235959Z"},
        {"run/report", 0, UINT64_MAX, "run/report@m18446744073709551615"},
        {"run/a@b#c", 0, 7, "run/a@b#c@m7"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct run_key key = run_key_of(table[i].schedule, table[i].slot_s, table[i].number);
        char id[RUN_ID_SIZE];
        run_id(&key, id);
        assert_string_equal(id, table[i].id);
        struct run_key back;
        uint32_t attempt = 99;
        assert_true(run_parse(id, &back, &attempt));
        assert_int_equal(attempt, 0);
        assert_memory_equal(&key, &back, sizeof(key));
        char duty[DUTY_ID_SIZE];
        run_duty_id(&key, 12, duty);
        assert_memory_equal(duty, id, strlen(id));
        assert_string_equal(duty + strlen(id), "#12");
        assert_true(run_parse(duty, &back, &attempt));
        assert_int_equal(attempt, 12);
    }
}

static void the_longest_id_fits(void **unused)
{
    (void)unused;
    struct run_key key = run_key_of("run/", 0, UINT64_MAX);
    memset(key.schedule + 4, 'n', SCHEDULE_ID_SIZE - 5);
    char duty[DUTY_ID_SIZE];
    run_duty_id(&key, RUN_ATTEMPTS_MAX, duty);
    struct run_key back;
    uint32_t attempt;
    assert_true(run_parse(duty, &back, &attempt));
    assert_int_equal(attempt, RUN_ATTEMPTS_MAX);
    assert_memory_equal(&key, &back, sizeof(key));
}

static void other_forms_are_no_runs(void **unused)
{
    (void)unused;
    static const char *const table[] = {
        "",
        "@",
        "run/report",
        "run/report@",
        "report@m1",
        "/report@m1",
        "run/@m1",
        "run/report@m",
        "run/report@m0",
        "run/report@m01",
        "run/report@m+1",
        "run/report@m1 ",
        "run/report@ m1",
        "run/report@m18446744073709551616",
        "run/report@M1",
        "run/report@m1#",
        "run/report@m1#0",
        "run/report@m1#01",
        "run/report@m1#1001",
        "run/report@m1#99999999999999999999",
        "run/report@m1#1#1",
        "run/report@m1#-1",
        "run/report@19700101T000000Z", /* would be a manual one */
        "run/report@19691231T235959Z",
        "run/report@20260229T000000Z",
        "run/report@21000229T000000Z",
        "run/report@20260431T000000Z",
        "run/report@20260001T000000Z",
        "run/report@20261301T000000Z",
        "run/report@20260100T000000Z",
        "run/report@20260132T000000Z",
        "run/report@20260101T240000Z",
        "run/report@20260101T006000Z",
        "run/report@20260101T000060Z",
        "run/report@20260101t000000Z",
        "run/report@20260101T000000z",
        "run/report@20260101T000000",
        "run/report@20260101T000000Z ",
        "run/report@020260101T000000Z",
        "run/report@2026 101T000000Z",
        "run/report@+0260101T000000Z",
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct run_key key;
        uint32_t attempt;
        if (run_parse(table[i], &key, &attempt)) {
            fail_msg("%s was read", table[i]);
        }
    }
    char longest[SCHEDULE_ID_SIZE + 8] = "run/";
    memset(longest + 4, 'n', SCHEDULE_ID_SIZE - 4); /* one more than fits */
    memcpy(longest + SCHEDULE_ID_SIZE, "@m1", 4);
    struct run_key key;
    uint32_t attempt;
    assert_false(run_parse(longest, &key, &attempt));
}

/* What is read is written again to the byte, and each instant has an id of its own. */
static void every_id_reads_back(void **unused)
{
    (void)unused;
    struct rng rng;
    rng_init(&rng, 4);
    char former[RUN_ID_SIZE] = "";
    int64_t slot_s = 1;
    while (slot_s <= RUN_SLOT_S_MAX) {
        struct run_key key = run_key_of("run/a", slot_s, 0);
        char id[RUN_ID_SIZE];
        run_id(&key, id);
        assert_true(strcmp(former, id) < 0); /* their order is that of time */
        copy_text(former, sizeof(former), id);
        struct run_key back;
        uint32_t attempt;
        assert_true(run_parse(id, &back, &attempt));
        assert_true(back.slot_s == slot_s);
        slot_s += (int64_t)rng_below(&rng, UINT64_C(1) << (8 + rng_below(&rng, 18))) + 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_as_documented),
        cmocka_unit_test(the_longest_id_fits),
        cmocka_unit_test(other_forms_are_no_runs),
        cmocka_unit_test(every_id_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
