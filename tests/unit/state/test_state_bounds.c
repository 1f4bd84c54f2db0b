/* The largest state there is fits into a snapshot; without memory nothing changes. */
#include "tests/unit/state/commands_work.h"

#include <stdlib.h>

#define INDEX_FIRST (UINT64_MAX - (UINT64_C(1) << 40)) /* indices as long as they get */

/* ---- memory that runs out (linked with --wrap=realloc) ---- */

static int reallocs_until_failure = -1; /* below 0: none fails */

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_realloc(void *memory, size_t size)
{
    if (reallocs_until_failure == 0) {
        return NULL;
    }
    reallocs_until_failure -= reallocs_until_failure > 0 ? 1 : 0;
    return __real_realloc(memory, size);
}

/* At the next index, when that many reallocs succeed. 0 or ERR_NOMEM. */
static int apply_with_reallocs(struct state *state, const struct mp_writer *writer, int reallocs,
                               struct state_effect *ret)
{
    reallocs_until_failure = reallocs;
    int rc = state_apply(state, state_index(state) + 1, TERM, writer->buffer.data,
                         writer->buffer.length, ret);
    reallocs_until_failure = -1;
    assert_true(rc == 0 || rc == ERR_NOMEM);
    return rc;
}

static void without_memory_nothing_changes(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    apply_ok(state, schedule_put("run/b", 0, 1000));
    apply_ok(state, schedule_remove("run/b"));
    struct command decide = slots_decide("run/b", 3, 1000, 1200);
    add_slot(&decide, 1060, RUN_UNDER_WAY);
    add_slot(&decide, 1120, RUN_SKIPPED);
    const struct {
        struct command command;
        int reallocs; /* that it needs */
    } table[] = {
        {schedule_put("run/b", 0, 1000), 0},
        {decide, 2},
        {run_start("run/b"), 0},
        {intent_open("k", "o", INTENT_SKIP), 1},
        {recovery_set("pm2/a", 1, RECOVERY_ACTING), 1},
        {alert_raise("a", ALERT_INFO, "x"), 1},
        {node_put("n1", 1), 0},
        {duty_put("pm2/a", true, true), 0},
        {duty_assign("pm2/a", 0, "n1", 1, 1), 0},
        {duty_proven("pm2/a", 11, 1), 1}, /* the index of its assignment */
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct mp_writer writer;
        mp_writer_init(&writer, COMMAND_BYTES_MAX);
        assert_int_equal(command_encode(&table[i].command, &writer, NULL), 0);
        uint64_t before = state_digest(state);
        uint64_t index = state_index(state);
        struct state_effect effect;
        int failing = 0;
        while (apply_with_reallocs(state, &writer, failing, &effect) != 0) {
            assert_int_equal(state_index(state), index);
            assert_true(state_digest(state) == before);
            failing++;
        }
        assert_int_equal(failing, table[i].reallocs);
        assert_int_equal(effect.outcome, STATE_APPLIED);
        mp_writer_deinit(&writer);
    }
    state_destroy(&state);
}

/* ---- everything full ---- */

/* Applied with the largest term and the latest wall time there is. */
static void apply_large(struct state *state, struct command command)
{
    command.wall_ms = INT64_MAX;
    memset(command.why, 'y', REASON_SIZE - 1);
    memset(command.who, 'w', NAME_SIZE - 1);
    struct state_effect effect = apply_in_term(state, command, UINT64_MAX);
    if (effect.outcome != STATE_APPLIED) {
        fail_msg("%s %s: %s", command_type_name(effect.type), effect.target, effect.reason);
    }
}

static void fill_text(char *ret, size_t size, const char *first, unsigned number)
{
    int written = snprintf(ret, size, "%s%06u", first, number);
    memset(ret + written, 'n', size - 1 - (size_t)written);
    ret[size - 1] = '\0';
}

static void fill_roster(struct state *state)
{
    char text[SETTING_VALUE_SIZE];
    for (unsigned i = 0; i < NODES_MAX; i++) {
        fill_text(text, NAME_SIZE, "n", i);
        struct command command = node_put(text, UINT64_MAX - i);
        command.node.label_count = NODE_LABELS_MAX;
        for (size_t j = 0; j < NODE_LABELS_MAX; j++) {
            memset(command.node.labels[j], 'l', LABEL_SIZE - 1);
        }
        apply_large(state, command);
    }
    fill_text(text, sizeof(text), "v", 0);
    for (unsigned i = 0; i < STATE_SETTINGS_MAX; i++) {
        char key[SETTING_KEY_SIZE];
        fill_text(key, sizeof(key), "k", i);
        apply_large(state, setting_put(key, text));
    }
}

static void fill_duties(struct state *state, unsigned count)
{
    char node[NAME_SIZE];
    fill_text(node, sizeof(node), "n", 0);
    for (unsigned i = 0; i < count; i++) {
        char id[DUTY_ID_SIZE];
        fill_text(id, sizeof(id), "manager/", i);
        struct command put = duty_put(id, true, true);
        put.duty.priority = INT64_MIN;
        apply_large(state, put);
        apply_large(state, duty_assign(id, 0, node, UINT64_MAX, UINT64_MAX));
    }
}

static void fill_schedules(struct state *state)
{
    for (unsigned i = 0; i < STATE_SCHEDULES_MAX; i++) {
        struct command command = schedule_put("run/a", 0, RUN_SLOT_S_MAX - 100000);
        struct schedule_definition *is = &command.schedule.is;
        fill_text(command.schedule.id, SCHEDULE_ID_SIZE, "run/", i);
        memset(is->expression, '*', SCHEDULE_EXPRESSION_SIZE - 1);
        memset(is->zone, 'z', ZONE_NAME_SIZE - 1);
        is->digest = UINT64_MAX;
        is->anchor_s = ZONE_INSTANT_MAX;
        is->misfire_cap = SCHEDULE_MISFIRE_CAP_MAX;
        is->misfire_window_s = SCHEDULE_SECONDS_MAX;
        is->start_deadline_s = SCHEDULE_SECONDS_MAX;
        is->progress_deadline_s = SCHEDULE_SECONDS_MAX;
        is->finish_deadline_s = SCHEDULE_SECONDS_MAX;
        is->min_runtime_s = SCHEDULE_SECONDS_MAX;
        is->retries = SCHEDULE_RETRIES_MAX;
        is->backoff_s = SCHEDULE_SECONDS_MAX;
        is->backoff_max_s = SCHEDULE_SECONDS_MAX;
        is->priority = INT64_MIN;
        apply_large(state, command);
    }
}

/* All counters of a state can be large; here those of the schedules are at least used. */
static void fill_runs(struct state *state)
{
    const struct state_schedule *row = state_schedule_at(state, 0);
    while (state_ended_count(state) < STATE_RUNS_ENDED_MAX) {
        int64_t after_s = row->decided_s;
        struct command decide = slots_decide(row->id, row->revision, after_s, after_s + 16);
        for (int i = 1; i <= 16; i++) {
            add_slots(&decide, after_s + i, after_s + i, 1, RUN_MISSED, RUN_SHUTDOWN);
        }
        apply_large(state, decide);
    }
    while (state_run_count(state) < STATE_RUNS_UNDER_WAY_MAX) {
        int64_t after_s = row->decided_s;
        struct command decide = slots_decide(row->id, row->revision, after_s, after_s + 1);
        add_slot(&decide, after_s + 1, RUN_UNDER_WAY);
        apply_large(state, decide);
    }
}

static void fill_rest(struct state *state)
{
    for (unsigned i = 0; i < STATE_INTENTS_MAX; i++) {
        struct command command = intent_open("k", "o", INTENT_PARK);
        fill_text(command.intent_open.key, INTENT_KEY_SIZE, "k", i);
        fill_text(command.intent_open.object, INTENT_OBJECT_SIZE, "o", i);
        fill_text(command.intent_open.manager, NAME_SIZE, "m", i);
        command.intent_open.keep_until_wall_ms = INT64_MAX;
        apply_large(state, command);
        struct command done = intent_done(command.intent_open.key, INTENT_SKIPPED);
        fill_text(done.intent_done.outcome, REASON_SIZE, "o", i);
        apply_large(state, done);
    }
    for (unsigned i = 0; i < STATE_ALERTS_MAX; i++) {
        struct command command = alert_raise("k", ALERT_CRITICAL, "x");
        fill_text(command.alert.key, DUTY_ID_SIZE, "k", i);
        fill_text(command.alert.text, REASON_SIZE, "k", i);
        apply_large(state, command);
        apply_large(state, alert_named(COMMAND_ALERT_ACK, command.alert.key));
    }
    for (unsigned i = 0; i < STATE_RECOVERIES_MAX; i++) {
        struct command command = recovery_set("k", UINT32_MAX, RECOVERY_ESCALATED);
        fill_text(command.recovery.component, COMPONENT_SIZE, "k", i);
        command.recovery.next_wall_ms = INT64_MAX;
        apply_large(state, command);
    }
    for (unsigned i = 0; i < STATE_PROVEN_MAX; i++) {
        const struct state_duty *duty = state_duty_at(state, i);
        apply_large(state, duty_proven(duty->is.id, duty->assignment.number, INT64_MAX));
    }
}

static void a_full_state_fits(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    const uint8_t noise[] = {0xc1};
    struct state_effect effect;
    assert_int_equal(state_apply(state, INDEX_FIRST, UINT64_MAX, noise, sizeof(noise), &effect), 0);
    fill_roster(state);
    fill_duties(state, DUTIES_MAX - STATE_RUNS_UNDER_WAY_MAX);
    fill_schedules(state);
    fill_runs(state);
    fill_rest(state);
    assert_int_equal(state_duty_count(state), DUTIES_MAX);
    assert_int_equal(state_audit_count(state), STATE_AUDIT_MAX);
    uint8_t *bytes;
    size_t length;
    assert_int_equal(state_snapshot(state, &bytes, &length), 0);
    /* What the rows above leave small: counters, some times and numbers. */
    assert_true(length < SNAPSHOT_BYTES_MAX - (3 << 20) / 2);
    struct state *back = state_create();
    struct err err = {0};
    assert_int_equal(state_restore(back, UINT64_MAX, bytes, length, &err), 0);
    assert_true(state_digest(state) == state_digest(back));
    free(bytes);
    state_destroy(&state);
    state_destroy(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_nothing_changes),
        cmocka_unit_test(a_full_state_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
