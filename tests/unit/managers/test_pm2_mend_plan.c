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

/* Facts that come together. */
#define RUNNING .pid = 7, .runs = true
#define DEAD .pid = 7 /* which PM2 remembers */
#define UNTOUCHED .created_wall_ms = STARTED, .started_wall_ms = STARTED
#define RESTARTED .created_wall_ms = STARTED + 1, .started_wall_ms = STARTED
#define GIVEN_UP .started_wall_ms = STARTED
#define STARTABLE .autorestart = true, .logs_there = true

struct row {
    const char *what;
    struct mend_facts facts;
    enum mend_trouble trouble;
    enum mend_cure cure;
};

/* What it is, what it must be judged, what PM2 shows, and the other facts. */
#define ROW(text, is_trouble, is_cure, status, ...)                                         \
    {                                                                                       \
        .what = (text), .facts = {.shown = (status), __VA_ARGS__}, .trouble = (is_trouble), \
        .cure = (is_cure)                                                                   \
    }

/* As PM2 7 left its rows, measured; see plan.h. */
static const struct row rows[] = {
    ROW("online", MEND_WELL, 0, ENTRY_ONLINE, RUNNING, .for_ms = LONG),
    ROW("a ghost at first", MEND_BETWEEN, 0, ENTRY_ONLINE, .for_ms = MEND_GHOST_MS - 1),
    ROW("a ghost", MEND_ILL, MEND_RESTART, ENTRY_ONLINE, .for_ms = MEND_GHOST_MS),
    ROW("online, and its process is dead, at first", MEND_BETWEEN, 0, ENTRY_ONLINE, DEAD,
        .for_ms = MEND_STALE_MS - 1),
    ROW("online, and its process is dead", MEND_ILL, MEND_RESTART, ENTRY_ONLINE, DEAD,
        .for_ms = MEND_STALE_MS),
    ROW("given up", MEND_ILL, MEND_RESTART, ENTRY_ERRORED, GIVEN_UP),
    ROW("a stop that failed, still running", MEND_LEFT, 0, ENTRY_ERRORED, RUNNING, .for_ms = LONG,
        .created_wall_ms = 1),
    ROW("a stop that failed, and it ended then", MEND_LEFT, 0, ENTRY_ERRORED, UNTOUCHED,
        .for_ms = LONG),
    ROW("a restart of an errored one that failed", MEND_ILL, MEND_RESTART, ENTRY_ERRORED,
        RESTARTED),
    ROW("a restart whose stop failed, and it ended then", MEND_ILL, MEND_STOP, ENTRY_ERRORED, DEAD,
        RESTARTED),
    ROW("stopped by somebody, by a stop code or without autorestart", MEND_LEFT, 0, ENTRY_STOPPED,
        UNTOUCHED, STARTABLE, .for_ms = LONG),
    ROW("stopped by somebody after a restart that failed", MEND_LEFT, 0, ENTRY_STOPPED, RESTARTED,
        STARTABLE, .for_ms = LONG),
    ROW("between an exit and the restart", MEND_BETWEEN, 0, ENTRY_STOPPED, DEAD, .logs_there = true,
        .for_ms = MEND_STALE_MS - 1),
    ROW("PM2 could not start it again", MEND_ILL, MEND_STOP, ENTRY_STOPPED, DEAD,
        .logs_there = true, .for_ms = MEND_STALE_MS),
    ROW("PM2 could not start it again, nor could we", MEND_ILL, MEND_NOTHING, ENTRY_STOPPED, DEAD,
        .for_ms = MEND_STALE_MS),
    ROW("another process has its number", MEND_BETWEEN, 0, ENTRY_STOPPED, RUNNING,
        .logs_there = true, .for_ms = LONG),
    ROW("stopped by us, to be started", MEND_ILL, MEND_RESTART, ENTRY_STOPPED, .ours = true),
    ROW("waiting for its restart", MEND_BETWEEN, 0, ENTRY_WAITING_RESTART, DEAD,
        .restart_delay_ms = 3600000, .logs_there = true, .for_ms = 3600000),
    ROW("waiting for a restart that never comes", MEND_ILL, MEND_STOP, ENTRY_WAITING_RESTART, DEAD,
        .restart_delay_ms = 3600000, .logs_there = true, .for_ms = 3600000 + MEND_STALE_MS),
    ROW("waiting, and another process has its number", MEND_BETWEEN, 0, ENTRY_WAITING_RESTART,
        RUNNING, .logs_there = true, .for_ms = LONG),
    ROW("given up, shown as waiting", MEND_ILL, MEND_RESTART, ENTRY_WAITING_RESTART, GIVEN_UP),
    ROW("ended for good, shown as waiting", MEND_LEFT, 0, ENTRY_WAITING_RESTART, UNTOUCHED,
        .for_ms = LONG),
    ROW("launching within its time", MEND_BETWEEN, 0, ENTRY_LAUNCHING, RUNNING,
        .listen_timeout_ms = 600000, .for_ms = 600000 + MEND_MARGIN_MS - 1),
    ROW("stuck in launching", MEND_ILL, MEND_RESTART, ENTRY_LAUNCHING, RUNNING,
        .listen_timeout_ms = 600000, .for_ms = 600000 + MEND_MARGIN_MS),
    ROW("a cluster's worker stuck in launching", MEND_ILL, MEND_KILL, ENTRY_LAUNCHING, RUNNING,
        .cluster = true, .autorestart = true, .for_ms = MEND_MARGIN_MS),
    ROW("the same, and PM2 would not start it again", MEND_ILL, MEND_NOTHING, ENTRY_LAUNCHING,
        RUNNING, .cluster = true, .for_ms = LONG),
    ROW("the same without a process", MEND_ILL, MEND_NOTHING, ENTRY_LAUNCHING, .cluster = true,
        .autorestart = true, .for_ms = LONG),
    ROW("stopping, as long as it lives", MEND_BETWEEN, 0, ENTRY_STOPPING, RUNNING, RESTARTED,
        .for_ms = LONG),
    ROW("stopping, dead, within its time", MEND_BETWEEN, 0, ENTRY_STOPPING, DEAD, RESTARTED,
        .kill_timeout_ms = 1000, .for_ms = 2000 + MEND_MARGIN_MS - 1),
    ROW("stuck in the stop of a restart", MEND_ILL, MEND_STOP, ENTRY_STOPPING, DEAD, RESTARTED,
        .kill_timeout_ms = 1000, .for_ms = 2000 + MEND_MARGIN_MS),
    ROW("the same, and PM2 has seen its end", MEND_ILL, MEND_RESTART, ENTRY_STOPPING, RESTARTED,
        .for_ms = LONG),
    ROW("stuck in somebody's stop", MEND_LEFT, 0, ENTRY_STOPPING, DEAD, UNTOUCHED, .for_ms = LONG),
    ROW("something new", MEND_BETWEEN, 0, ENTRY_OTHER, .for_ms = LONG),
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
