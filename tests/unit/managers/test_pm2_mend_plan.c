/* What ails a row of PM2's list, what would help, and above all what is left alone. */
#include "managers/pm2/mend/plan.h"
#include "node/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define STARTED 1000000
#define LONG 100000000

/* As PM2 7 left its rows, measured; see plan.h. */
static const struct row {
    const char *what;
    struct mend_facts facts;
    enum mend_trouble trouble;
    enum mend_cure cure;
} rows[] = {
    {"online", {.shown = ENTRY_ONLINE, .pid = 7, .runs = true, .for_ms = LONG}, MEND_WELL, 0},
    {"a ghost at first", {.shown = ENTRY_ONLINE, .for_ms = MEND_GHOST_MS - 1}, MEND_BETWEEN, 0},
    {"a ghost", {.shown = ENTRY_ONLINE, .for_ms = MEND_GHOST_MS}, MEND_ILL, MEND_RESTART},
    {"online, and its process is dead, at first",
     {.shown = ENTRY_ONLINE, .pid = 7, .for_ms = MEND_STALE_MS - 1},
     MEND_BETWEEN,
     0},
    {"online, and its process is dead",
     {.shown = ENTRY_ONLINE, .pid = 7, .for_ms = MEND_STALE_MS},
     MEND_ILL,
     MEND_RESTART},
    {"given up", {.shown = ENTRY_ERRORED, .started_wall_ms = STARTED}, MEND_ILL, MEND_RESTART},
    {"a stop that failed, still running",
     {.shown = ENTRY_ERRORED, .pid = 7, .runs = true, .for_ms = LONG, .created_wall_ms = 1},
     MEND_LEFT,
     0},
    {"a stop that failed, and it ended then",
     {.shown = ENTRY_ERRORED,
      .created_wall_ms = STARTED,
      .started_wall_ms = STARTED,
      .for_ms = LONG},
     MEND_LEFT,
     0},
    {"a restart of an errored one that failed",
     {.shown = ENTRY_ERRORED, .created_wall_ms = STARTED + 1, .started_wall_ms = STARTED},
     MEND_ILL,
     MEND_RESTART},
    {"a restart whose stop failed, and it ended then",
     {.shown = ENTRY_ERRORED, .pid = 7, .created_wall_ms = STARTED + 1, .started_wall_ms = STARTED},
     MEND_ILL,
     MEND_STOP},
    {"stopped by somebody, by a stop code or without autorestart",
     {.shown = ENTRY_STOPPED,
      .created_wall_ms = STARTED,
      .started_wall_ms = STARTED,
      .autorestart = true,
      .logs_there = true,
      .for_ms = LONG},
     MEND_LEFT,
     0},
    {"stopped by somebody after a restart that failed",
     {.shown = ENTRY_STOPPED,
      .created_wall_ms = STARTED + 9,
      .started_wall_ms = STARTED,
      .autorestart = true,
      .logs_there = true,
      .for_ms = LONG},
     MEND_LEFT,
     0},
    {"between an exit and the restart",
     {.shown = ENTRY_STOPPED, .pid = 7, .logs_there = true, .for_ms = MEND_STALE_MS - 1},
     MEND_BETWEEN,
     0},
    {"PM2 could not start it again",
     {.shown = ENTRY_STOPPED, .pid = 7, .logs_there = true, .for_ms = MEND_STALE_MS},
     MEND_ILL,
     MEND_STOP},
    {"PM2 could not start it again, nor could we",
     {.shown = ENTRY_STOPPED, .pid = 7, .for_ms = MEND_STALE_MS},
     MEND_ILL,
     MEND_NOTHING},
    {"another process has its number",
     {.shown = ENTRY_STOPPED, .pid = 7, .runs = true, .logs_there = true, .for_ms = LONG},
     MEND_BETWEEN,
     0},
    {"stopped by us, to be started",
     {.shown = ENTRY_STOPPED, .ours = true},
     MEND_ILL,
     MEND_RESTART},
    {"waiting for its restart",
     {.shown = ENTRY_WAITING_RESTART,
      .pid = 7,
      .restart_delay_ms = 3600000,
      .logs_there = true,
      .for_ms = 3600000},
     MEND_BETWEEN,
     0},
    {"waiting for a restart that never comes",
     {.shown = ENTRY_WAITING_RESTART,
      .pid = 7,
      .restart_delay_ms = 3600000,
      .logs_there = true,
      .for_ms = 3600000 + MEND_STALE_MS},
     MEND_ILL,
     MEND_STOP},
    {"waiting, and another process has its number",
     {.shown = ENTRY_WAITING_RESTART, .pid = 7, .runs = true, .logs_there = true, .for_ms = LONG},
     MEND_BETWEEN,
     0},
    {"given up, shown as waiting",
     {.shown = ENTRY_WAITING_RESTART, .started_wall_ms = STARTED},
     MEND_ILL,
     MEND_RESTART},
    {"ended for good, shown as waiting",
     {.shown = ENTRY_WAITING_RESTART,
      .created_wall_ms = STARTED,
      .started_wall_ms = STARTED,
      .for_ms = LONG},
     MEND_LEFT,
     0},
    {"launching within its time",
     {.shown = ENTRY_LAUNCHING,
      .pid = 7,
      .runs = true,
      .listen_timeout_ms = 600000,
      .for_ms = 600000 + MEND_MARGIN_MS - 1},
     MEND_BETWEEN,
     0},
    {"stuck in launching",
     {.shown = ENTRY_LAUNCHING,
      .pid = 7,
      .runs = true,
      .listen_timeout_ms = 600000,
      .for_ms = 600000 + MEND_MARGIN_MS},
     MEND_ILL,
     MEND_RESTART},
    {"a cluster's worker stuck in launching",
     {.shown = ENTRY_LAUNCHING,
      .pid = 7,
      .runs = true,
      .cluster = true,
      .autorestart = true,
      .for_ms = MEND_MARGIN_MS},
     MEND_ILL,
     MEND_KILL},
    {"the same, and PM2 would not start it again",
     {.shown = ENTRY_LAUNCHING, .pid = 7, .runs = true, .cluster = true, .for_ms = LONG},
     MEND_ILL,
     MEND_NOTHING},
    {"the same without a process",
     {.shown = ENTRY_LAUNCHING, .cluster = true, .autorestart = true, .for_ms = LONG},
     MEND_ILL,
     MEND_NOTHING},
    {"stopping, as long as it lives",
     {.shown = ENTRY_STOPPING,
      .pid = 7,
      .runs = true,
      .created_wall_ms = STARTED + 1,
      .started_wall_ms = STARTED,
      .for_ms = LONG},
     MEND_BETWEEN,
     0},
    {"stopping, dead, within its time",
     {.shown = ENTRY_STOPPING,
      .pid = 7,
      .kill_timeout_ms = 1000,
      .created_wall_ms = STARTED + 1,
      .started_wall_ms = STARTED,
      .for_ms = 2000 + MEND_MARGIN_MS - 1},
     MEND_BETWEEN,
     0},
    {"stuck in the stop of a restart",
     {.shown = ENTRY_STOPPING,
      .pid = 7,
      .kill_timeout_ms = 1000,
      .created_wall_ms = STARTED + 1,
      .started_wall_ms = STARTED,
      .for_ms = 2000 + MEND_MARGIN_MS},
     MEND_ILL,
     MEND_STOP},
    {"the same, and PM2 has seen its end",
     {.shown = ENTRY_STOPPING,
      .created_wall_ms = STARTED + 1,
      .started_wall_ms = STARTED,
      .for_ms = LONG},
     MEND_ILL,
     MEND_RESTART},
    {"stuck in somebody's stop",
     {.shown = ENTRY_STOPPING,
      .pid = 7,
      .created_wall_ms = STARTED,
      .started_wall_ms = STARTED,
      .for_ms = LONG},
     MEND_LEFT,
     0},
    {"something new", {.shown = ENTRY_OTHER, .for_ms = LONG}, MEND_BETWEEN, 0},
};

static void each_state_has_its_cure(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mend_judgement is = mend_judge(&rows[i].facts);
        if (is.trouble != rows[i].trouble || is.cure != rows[i].cure || is.why[0] == '\0') {
            fail_msg("%s: trouble %d cure %d (%s)", rows[i].what, (int)is.trouble, (int)is.cure,
                     is.why);
        }
    }
}

static struct mend_facts any_facts(struct rng *rng)
{
    int64_t started = (int64_t)rng_below(rng, 3) * STARTED;
    return (struct mend_facts){
        .shown = (enum entry_status)rng_below(rng, ENTRY_OTHER + 1),
        .pid = (int64_t)rng_below(rng, 2) * 7,
        .created_wall_ms = (int64_t)rng_below(rng, 3) * STARTED,
        .started_wall_ms = started,
        .cluster = rng_below(rng, 2) == 0,
        .autorestart = rng_below(rng, 2) == 0,
        .logs_there = rng_below(rng, 2) == 0,
        .listen_timeout_ms = (int64_t)rng_below(rng, 10000),
        .kill_timeout_ms = (int64_t)rng_below(rng, 10000),
        .restart_delay_ms = (int64_t)rng_below(rng, 10000),
        .for_ms = (int64_t)rng_below(rng, 60000),
    };
}

/* Of any state: what runs is treated in no way but that PM2 waits in vain for it to come up; what
 * has no pid and is stopped is left; and no process that lives is stopped. */
static void what_runs_or_was_stopped_is_let_be(void **unused)
{
    (void)unused;
    struct rng rng;
    rng_init(&rng, 20261122);
    unsigned treated = 0;
    for (int i = 0; i < 200000; i++) {
        struct mend_facts facts = any_facts(&rng);
        facts.runs = facts.pid > 0 && rng_below(&rng, 2) == 0;
        struct mend_judgement is = mend_judge(&facts);
        bool acts = is.trouble == MEND_ILL && is.cure != MEND_NOTHING;
        treated += acts;
        assert_true(is.trouble == MEND_ILL || is.cure == MEND_NOTHING);
        assert_false(acts && facts.runs && facts.shown != ENTRY_LAUNCHING);
        assert_false(is.trouble == MEND_ILL && facts.shown == ENTRY_STOPPED && facts.pid == 0);
        assert_false(is.cure == MEND_STOP && facts.runs);
        assert_false(is.cure == MEND_KILL && !facts.runs);
    }
    assert_in_range(treated, 10000, 190000);
}

/* ---- rows as PM2 sends them ---- */

static bool read_text(const char *text, json_t **ret_row, struct mend_row *ret,
                      struct mend_facts *ret_facts)
{
    *ret_row = json_loads(text, 0, NULL);
    assert_non_null(*ret_row);
    return mend_row_read(*ret_row, ret, ret_facts);
}

static void rows_are_read_with_doubt(void **unused)
{
    (void)unused;
    struct mend_row row;
    struct mend_facts facts;
    json_t *text;
    assert_true(read_text(
        "{\"pm_id\":3,\"name\":\"a\",\"pid\":0,\"pm2_env\":{\"status\":\"errored\",\"created_at\":"
        "null,\"pm_uptime\":5,\"pm_out_log_path\":\"/x/o.log\",\"kill_timeout\":\"500\","
        "\"restart_delay\":\"abc\",\"autorestart\":\"false\",\"exec_mode\":\"cluster_mode\"}}",
        &text, &row, &facts));
    assert_int_equal(row.pm_id, 3);
    assert_string_equal(row.out_log, "/x/o.log");
    assert_null(row.err_log);
    assert_false(row.of_ours);
    assert_int_equal(facts.shown, ENTRY_ERRORED);
    assert_int_equal(facts.created_wall_ms, 0);
    assert_int_equal(facts.kill_timeout_ms, 500);
    assert_int_equal(facts.restart_delay_ms, 0);
    assert_int_equal(facts.listen_timeout_ms, 3000);
    assert_true(facts.cluster);
    assert_false(facts.autorestart);
    json_decref(text);
    assert_true(read_text("{\"pm_id\":0,\"name\":\"b\",\"pm2_env\":{\"status\":\"online\","
                          "\"namespace\":\"understudy\",\"exp_backoff_restart_delay\":100}}",
                          &text, &row, &facts));
    assert_true(row.of_ours);
    assert_int_equal(facts.pid, 0);
    assert_int_equal(facts.restart_delay_ms, MEND_DELAY_MAX_MS);
    assert_int_equal(mend_patience_ms(&facts), 30000);
    json_decref(text);
    static const char *const bad[] = {
        "{\"name\":\"a\",\"pm2_env\":{}}",
        "{\"pm_id\":-1,\"name\":\"a\",\"pm2_env\":{}}",
        "{\"pm_id\":\"_old_1\",\"name\":\"a\",\"pm2_env\":{}}",
        "{\"pm_id\":1,\"pm2_env\":{}}",
        "{\"pm_id\":1,\"name\":\"a\"}",
        "[]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(read_text(bad[i], &text, &row, &facts));
        json_decref(text);
    }
}

static void patience_covers_what_pm2_may_take(void **unused)
{
    (void)unused;
    struct mend_facts facts = {.listen_timeout_ms = 60000, .kill_timeout_ms = 10000};
    assert_int_equal(mend_patience_ms(&facts), 60000 + 20000 + MEND_MARGIN_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_has_its_cure),
        cmocka_unit_test(what_runs_or_was_stopped_is_let_be),
        cmocka_unit_test(rows_are_read_with_doubt),
        cmocka_unit_test(patience_covers_what_pm2_may_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
