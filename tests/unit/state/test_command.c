#include "node/base/rng.h"
#include "tests/unit/state/commands_work.h"

static struct command full_node(void)
{
    struct command command = node_put("n1", UINT64_MAX);
    command.origin = 42;
    command.incarnation = 3;
    command.sequence = 9;
    command.node.wanted = NODE_ROLE_WITNESS;
    command.node.extra_key_count = NODE_KEYS_EXTRA_MAX;
    for (size_t i = 0; i < NODE_KEYS_EXTRA_MAX; i++) {
        memset(command.node.extra_keys[i], 'k', PUBLIC_KEY_SIZE - 1);
    }
    command.node.label_count = NODE_LABELS_MAX;
    for (size_t i = 0; i < NODE_LABELS_MAX; i++) {
        memset(command.node.labels[i], 'l', LABEL_SIZE - 1);
    }
    memset(command.node.address, 'a', ADDRESS_SIZE - 1);
    memset(command.who, 'w', NAME_SIZE - 1);
    memset(command.why, 'y', REASON_SIZE - 1);
    return command;
}

/* All texts as long as they may be, and all numbers as large. */
static struct command full_schedule(void)
{
    struct command command = schedule_put("run/x", UINT64_MAX, RUN_SLOT_S_MAX);
    struct schedule_definition *is = &command.schedule.is;
    memset(command.schedule.id + 4, 'n', SCHEDULE_ID_SIZE - 5);
    memset(is->expression, '*', SCHEDULE_EXPRESSION_SIZE - 1);
    memset(is->zone, 'z', ZONE_NAME_SIZE - 1);
    is->digest = UINT64_MAX;
    is->anchor_s = INT64_MIN;
    is->gap = CALENDAR_GAP_SKIP;
    is->fold = CALENDAR_FOLD_BOTH;
    is->overlap = SCHEDULE_OVERLAP_REPLACE;
    is->misfire = SCHEDULE_MISFIRE_SKIP;
    is->misfire_cap = UINT32_MAX;
    is->misfire_window_s = INT64_MAX;
    is->start_deadline_s = INT64_MAX;
    is->progress_deadline_s = INT64_MAX;
    is->finish_deadline_s = INT64_MAX;
    is->min_runtime_s = INT64_MAX;
    is->retries = UINT32_MAX;
    is->backoff_s = INT64_MAX;
    is->backoff_max_s = INT64_MIN;
    is->retry_unknown = true;
    is->critical = true;
    is->priority = INT64_MIN;
    memset(command.who, 'w', NAME_SIZE - 1);
    memset(command.why, 'y', REASON_SIZE - 1);
    return command;
}

static struct command full_slots(void)
{
    struct command command = slots_decide("run/x", UINT64_MAX, INT64_MIN, INT64_MAX);
    memset(command.slots.schedule + 4, 'n', SCHEDULE_ID_SIZE - 5);
    for (size_t i = 0; i < SLOTS_PER_COMMAND_MAX; i++) {
        add_slots(&command, INT64_MIN, INT64_MAX, UINT32_MAX, RUN_UNKNOWN, RUN_SHUTDOWN);
    }
    return command;
}

static size_t work_commands(struct command *ret)
{
    const struct run_key slot = run_key_of("run/report", 1795324500, 0);
    const struct run_key manual = run_key_of("run/report", 0, 1234);
    size_t count = 0;
    ret[count++] = full_schedule();
    ret[count++] = schedule_remove("run/report");
    ret[count++] = full_slots();
    ret[count++] = run_start("run/report");
    ret[count++] = run_end(slot, 2, 99, RUN_FAILED);
    ret[count - 1].run_end.exit_status = RUN_EXIT_STATUS_MAX;
    ret[count - 1].run_end.again_wall_ms = 1700000003000;
    ret[count++] = run_cancel(manual);
    ret[count++] = intent_open("github/ci.yml@1", "ci.yml", INTENT_PARK);
    ret[count++] = intent_take("github/ci.yml@1");
    ret[count++] = intent_done("github/ci.yml@1", INTENT_DROPPED);
    ret[count++] = intent_park("github/ci.yml@1");
    ret[count++] = recovery_set("pm2/worker", 3, RECOVERY_ESCALATED);
    ret[count++] = alert_raise("primary.down/pm2/worker", ALERT_CRITICAL, "it is down");
    ret[count++] = alert_named(COMMAND_ALERT_ACK, "primary.down/pm2/worker");
    ret[count++] = alert_named(COMMAND_ALERT_RESOLVE, "primary.down/pm2/worker");
    ret[count++] = duty_proven("pm2/worker-backup", 99, 12345);
    ret[count - 1].proven.by = UINT16_MAX; /* of a newer version: it keeps its number */
    return count;
}

static size_t all_commands(struct command *ret)
{
    size_t count = 0;
    ret[count++] = full_node();
    ret[count++] = node_named(COMMAND_NODE_REMOVE, "n1");
    ret[count++] = node_named(COMMAND_NODE_DRAIN, "n1");
    ret[count++] = node_named(COMMAND_NODE_UNDRAIN, "n1");
    ret[count++] = node_role("n1", NODE_ROLE_SPARE);
    ret[count++] = duty_put("pm2/worker", true, true);
    ret[count - 1].duty.priority = -5;
    ret[count++] = duty_remove("pm2/worker");
    ret[count++] = duty_assign("pm2/worker", 17, "n1", 1, 2);
    ret[count++] = duty_release("pm2/worker", 17, RELEASE_BY_EXPIRY);
    ret[count++] = leader_record(5, "n1");
    ret[count++] = setting_put("a.b", "c");
    ret[count++] = manager_change(COMMAND_MANAGER_PAUSE, "pm2");
    ret[count++] = manager_change(COMMAND_MANAGER_RESUME, "pm2");
    ret[count++] = manager_change(COMMAND_MANAGER_MODE, "pm2");
    ret[count - 1].manager.mode = MANAGER_MODE_SHADOW;
    ret[count++] = command_of(COMMAND_AUDIT_NOTE);
    copy_text(ret[count - 1].note.target, DUTY_ID_SIZE, "something");
    return count + work_commands(ret + count);
}

static void every_command_reads_back_equal(void **unused)
{
    (void)unused;
    struct command commands[COMMAND_DUTY_PROVEN];
    size_t count = all_commands(commands);
    assert_int_equal(count, COMMAND_DUTY_PROVEN);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(commands[i].type, i + 1);
        struct mp_writer writer;
        mp_writer_init(&writer, COMMAND_BYTES_MAX);
        assert_int_equal(command_encode(&commands[i], &writer, NULL), 0);
        struct command back;
        struct err err = {0};
        assert_int_equal(command_decode(writer.buffer.data, writer.buffer.length, &back, &err), 0);
        assert_memory_equal(&back, &commands[i], sizeof(back));
        assert_string_not_equal(command_type_name(back.type), "unknown");
        char target[DUTY_ID_SIZE];
        command_target(&back, target);
        assert_string_not_equal(target, "");
        mp_writer_deinit(&writer);
    }
}

static void every_truncation_is_refused(void **unused)
{
    (void)unused;
    struct command commands[COMMAND_DUTY_PROVEN];
    size_t count = all_commands(commands);
    for (size_t i = 0; i < count; i++) {
        struct mp_writer writer;
        mp_writer_init(&writer, COMMAND_BYTES_MAX);
        assert_int_equal(command_encode(&commands[i], &writer, NULL), 0);
        for (size_t length = 0; length < writer.buffer.length; length++) {
            struct command back;
            assert_int_equal(command_decode(writer.buffer.data, length, &back, NULL), ERR_PROTO);
            assert_int_equal(back.type, COMMAND_NONE);
        }
        mp_writer_deinit(&writer);
    }
}

static void newer_version_or_type_is_unsupported(void **unused)
{
    (void)unused;
    const struct {
        uint64_t version;
        uint64_t type;
        int expected;
    } table[] = {{COMMAND_VERSION + 1, COMMAND_NODE_PUT, ERR_UNSUPPORTED},
                 {COMMAND_VERSION, COMMAND_DUTY_PROVEN + 1, ERR_UNSUPPORTED},
                 {COMMAND_VERSION, UINT64_MAX, ERR_UNSUPPORTED},
                 {COMMAND_VERSION, 0, ERR_UNSUPPORTED},
                 {0, COMMAND_NODE_PUT, ERR_PROTO}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct mp_writer writer;
        mp_writer_init(&writer, COMMAND_BYTES_MAX);
        mp_put_array(&writer, 3);
        mp_put_u64(&writer, table[i].version);
        mp_put_u64(&writer, table[i].type);
        mp_put_text(&writer, "a form that this version has never seen");
        struct command back;
        assert_int_equal(command_decode(writer.buffer.data, writer.buffer.length, &back, NULL),
                         table[i].expected);
        mp_writer_deinit(&writer);
    }
}

/* A command of this version with fields appended, in header and payload. */
static void appended_fields_are_ignored(void **unused)
{
    (void)unused;
    struct mp_writer writer;
    mp_writer_init(&writer, COMMAND_BYTES_MAX);
    mp_put_array(&writer, 11);
    mp_put_u64(&writer, COMMAND_VERSION);
    mp_put_u64(&writer, COMMAND_NODE_DRAIN);
    for (int i = 0; i < 4; i++) {
        mp_put_u64(&writer, 1);
    }
    mp_put_text(&writer, "who");
    mp_put_u64(&writer, 60000); /* a reason of the future keeps its number */
    mp_put_text(&writer, "why");
    mp_put_array(&writer, 2);
    mp_put_text(&writer, "n1");
    mp_put_bool(&writer, true);
    mp_put_text(&writer, "new header field");
    struct command back;
    assert_int_equal(command_decode(writer.buffer.data, writer.buffer.length, &back, NULL), 0);
    assert_string_equal(back.node_name.name, "n1");
    assert_int_equal(back.reason, 60000);
    assert_string_equal(command_reason_name(back.reason), "unknown");
    mp_writer_deinit(&writer);
}

static void a_duty_that_is_assigned_once_says_so(void **unused)
{
    (void)unused;
    for (int once = 0; once < 2; once++) {
        struct command command = duty_put("run/a", true, true);
        command.duty.once = once == 1;
        struct mp_writer writer;
        mp_writer_init(&writer, COMMAND_BYTES_MAX);
        assert_int_equal(command_encode(&command, &writer, NULL), 0);
        struct command back;
        assert_int_equal(command_decode(writer.buffer.data, writer.buffer.length, &back, NULL), 0);
        assert_int_equal(back.duty.once, once == 1);
        mp_writer_deinit(&writer);
    }
}

static void what_a_command_is_about_has_its_name(void **unused)
{
    (void)unused;
    struct command key = intent_take("k");
    memset(key.intent_take.key, 'k', INTENT_KEY_SIZE - 1);
    char cut[DUTY_ID_SIZE] = "";
    memset(cut, 'k', DUTY_ID_SIZE - 1);
    const struct {
        struct command command;
        const char *target;
    } table[] = {
        {schedule_put("run/report", 0, 1), "run/report"},
        {slots_decide("run/report", 1, 1, 2), "run/report"},
        {run_start("run/report"), "run/report"},
        {run_end(run_key_of("run/report", 1795324500, 0), 1, 0, RUN_MISSED),
         "run/report@20261122T051500Z"},
        {run_cancel(run_key_of("run/report", 0, 12)), "run/report@m12"},
        {recovery_set("pm2/worker", 1, RECOVERY_WELL), "pm2/worker"},
        {alert_named(COMMAND_ALERT_ACK, "a/b"), "a/b"},
        {duty_proven("pm2/worker", 9, 1), "pm2/worker"},
        {key, cut},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char target[DUTY_ID_SIZE];
        command_target(&table[i].command, target);
        assert_string_equal(target, table[i].target);
    }
}

static void work_outside_its_bounds_is_not_encoded(void **unused)
{
    (void)unused;
    struct run_key both = run_key_of("run/a", 60, 1);
    struct run_key none = run_key_of("run/a", 0, 0);
    struct run_key early = run_key_of("run/a", -1, 0);
    struct run_key late = run_key_of("run/a", RUN_SLOT_S_MAX + 1, 0);
    struct command table[] = {
        schedule_put("", 0, 1),
        schedule_put("run/a", 0, 1),
        schedule_put("run/a", 0, 1),
        slots_decide("run/a", 1, 1, 2),
        run_end(both, 1, 0, RUN_FAILED),
        run_end(none, 1, 0, RUN_FAILED),
        run_end(early, 1, 0, RUN_FAILED),
        run_end(late, 1, 0, RUN_FAILED),
        run_end(run_key_of("run/a", 60, 0), 1, 0, RUN_UNDER_WAY),
        run_end(run_key_of("run/a", 60, 0), 1, 0, RUN_FAILED),
        intent_open("", "o", INTENT_SKIP),
        intent_open("k", "", INTENT_SKIP),
        intent_open("k", "o", (enum intent_policy)(INTENT_PARK + 1)),
        recovery_set("a/b", 1, (enum recovery_phase)(RECOVERY_ESCALATED + 1)),
        alert_raise("k", (enum alert_severity)(ALERT_CRITICAL + 1), "t"),
        alert_named(COMMAND_ALERT_ACK, ""),
        duty_proven("", 1, 1),
        duty_proven("pm2/worker", 1, 1),
    };
    table[17].proven.by = 0;
    memset(table[1].schedule.is.zone, 'z', ZONE_NAME_SIZE);
    table[2].schedule.is.expression[0] = '\0';
    table[3].slots.count = SLOTS_PER_COMMAND_MAX + 1;
    table[9].run_end.exit_status = RUN_EXIT_STATUS_MAX + 1;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct mp_writer writer;
        mp_writer_init(&writer, COMMAND_BYTES_MAX);
        if (command_encode(&table[i], &writer, NULL) != ERR_INVALID) {
            fail_msg("row %zu was encoded", i);
        }
        mp_writer_deinit(&writer);
    }
}

static void values_outside_their_bounds_are_not_encoded(void **unused)
{
    (void)unused;
    struct command table[6] = {command_of(COMMAND_NONE),
                               node_put("", 1),
                               node_put("n1", 1),
                               node_put("n1", 1),
                               duty_release("a/b", 1, RELEASE_BY_HOLDER),
                               command_of(COMMAND_AUDIT_NOTE)};
    table[2].node.label_count = NODE_LABELS_MAX + 1;
    table[3].node.wanted = NODE_ROLE_WITNESS + 1;
    table[4].release.proof = 0;
    memset(table[5].who, 'x', sizeof(table[5].who));
    for (size_t i = 0; i < 6; i++) {
        struct mp_writer writer;
        mp_writer_init(&writer, COMMAND_BYTES_MAX);
        struct err err = {0};
        assert_int_equal(command_encode(&table[i], &writer, &err), ERR_INVALID);
        assert_true(err.msg[0] != '\0');
        mp_writer_deinit(&writer);
    }
}

/* Flips and noise in real commands: any answer, no crash, and no half-filled command. */
static void random_bytes_never_crash(void **unused)
{
    (void)unused;
    struct rng rng;
    rng_init(&rng, 20);
    struct command commands[COMMAND_DUTY_PROVEN];
    size_t count = all_commands(commands);
    struct state *state = state_create();
    assert_non_null(state);
    for (int round = 0; round < 40000; round++) {
        struct mp_writer writer;
        mp_writer_init(&writer, COMMAND_BYTES_MAX);
        assert_int_equal(command_encode(&commands[rng_below(&rng, count)], &writer, NULL), 0);
        uint8_t *bytes = writer.buffer.data;
        size_t length = writer.buffer.length;
        for (uint64_t flips = rng_below(&rng, 6); flips > 0; flips--) {
            bytes[rng_below(&rng, length)] = (uint8_t)rng_next(&rng);
        }
        struct state_effect effect;
        assert_int_equal(state_apply(state, state_index(state) + 1, 1, bytes, length, &effect), 0);
        mp_writer_deinit(&writer);
    }
    struct state_counters counters;
    state_counters(state, &counters);
    assert_true(counters.malformed > 100);
    assert_true(counters.applied > 100);
    assert_int_equal(counters.applied + counters.unchanged + counters.refused + counters.repeated +
                         counters.malformed + counters.unsupported,
                     40000);
    state_destroy(&state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_reads_back_equal),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(newer_version_or_type_is_unsupported),
        cmocka_unit_test(appended_fields_are_ignored),
        cmocka_unit_test(a_duty_that_is_assigned_once_says_so),
        cmocka_unit_test(what_a_command_is_about_has_its_name),
        cmocka_unit_test(work_outside_its_bounds_is_not_encoded),
        cmocka_unit_test(values_outside_their_bounds_are_not_encoded),
        cmocka_unit_test(random_bytes_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
