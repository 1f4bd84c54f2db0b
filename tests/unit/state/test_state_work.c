/* Work in snapshots: the same bytes everywhere, older ones read, damaged ones refused. */
#include "consensus/state_internal.h"
#include "node/base/rng.h"
#include "tests/unit/state/commands_work.h"

#include <stdlib.h>

/* ---- random commands ---- */

static struct command random_slots(struct rng *rng, const struct state *state, const char *id)
{
    const struct state_schedule *row = state_schedule_by_id(state, id);
    int64_t after_s = row == NULL ? 5 : row->decided_s;
    int64_t slot_s = after_s;
    struct command command = slots_decide(id, row == NULL ? 1 : row->revision, after_s, after_s);
    for (uint64_t items = rng_below(rng, 4); items > 0; items--) {
        slot_s += 1 + (int64_t)rng_below(rng, 4) - (rng_below(rng, 20) == 0 ? 2 : 0);
        if (rng_below(rng, 4) == 0) {
            add_slots(&command, slot_s, slot_s + 3, 2, RUN_MISSED, RUN_LATE);
            slot_s += 3;
        } else {
            add_slot(&command, slot_s, rng_below(rng, 2) == 0 ? RUN_UNDER_WAY : RUN_SKIPPED);
        }
    }
    command.slots.decided_s = slot_s + (int64_t)rng_below(rng, 3);
    return command;
}

/* About a run that is under way, mostly. */
static struct command random_run(struct rng *rng, const struct state *state, const char *schedule)
{
    const struct state_run *run =
        state_run_count(state) == 0
            ? NULL
            : state_run_at(state, (size_t)rng_below(rng, state_run_count(state)));
    struct run_key key = run == NULL ? run_key_of(schedule, 77, 0) : run->key;
    uint32_t attempt = run == NULL ? 1 : run->attempt;
    char id[DUTY_ID_SIZE];
    run_duty_id(&key, attempt, id);
    const struct state_duty *duty = state_duty_by_id(state, id);
    uint64_t assignment = duty == NULL ? 0 : duty->assignment.number;
    switch (rng_below(rng, 8)) {
    case 0:
        return run_cancel(key);
    case 1:
        return duty_release(id, assignment, RELEASE_BY_OBITUARY);
    case 2:
        return duty_put(id, true, rng_below(rng, 2) == 0);
    case 3:
        return duty_remove(id);
    case 4:
        return duty_assign(id, 0, "n1", 1, 1);
    default:
        break;
    }
    struct command command = run_end(key, attempt + (rng_below(rng, 9) == 0 ? 1 : 0), assignment,
                                     (enum run_outcome)(RUN_RAN + rng_below(rng, 5)));
    command.run_end.again_wall_ms = rng_below(rng, 3) == 0 ? 99 : 0;
    return command;
}

static struct command random_intent(struct rng *rng)
{
    char key[INTENT_KEY_SIZE];
    (void)snprintf(key, sizeof(key), "k%u", (unsigned)rng_below(rng, 40));
    switch (rng_below(rng, 4)) {
    case 0:
        return intent_open(key, "o", (enum intent_policy)rng_below(rng, 3));
    case 1:
        return intent_take(key);
    case 2:
        return intent_done(key, (enum intent_verdict)rng_below(rng, 4));
    default:
        return intent_park(key);
    }
}

static struct command random_trouble(struct rng *rng)
{
    char key[DUTY_ID_SIZE];
    (void)snprintf(key, sizeof(key), "pm2/%u", (unsigned)rng_below(rng, 20));
    switch (rng_below(rng, 4)) {
    case 0:
        return recovery_set(key, (uint32_t)rng_below(rng, 3),
                            (enum recovery_phase)rng_below(rng, 4));
    case 1:
        return alert_named(COMMAND_ALERT_ACK, key);
    case 2:
        return alert_named(COMMAND_ALERT_RESOLVE, key);
    default:
        return alert_raise(key, (enum alert_severity)rng_below(rng, 3), key);
    }
}

/* About one of some shared duties, which are made, assigned, removed and proven. */
static struct command random_proof(struct rng *rng, const struct state *state)
{
    char id[DUTY_ID_SIZE];
    (void)snprintf(id, sizeof(id), "pm2/d%u", (unsigned)rng_below(rng, 6));
    const struct state_duty *duty = state_duty_by_id(state, id);
    uint64_t assignment = duty == NULL ? 0 : duty->assignment.number;
    switch (rng_below(rng, 6)) {
    case 0:
        return duty_put(id, false, true);
    case 1:
        return rng_below(rng, 8) == 0
                   ? duty_remove(id)
                   : duty_assign(id, assignment, "n1", 1, rng_below(rng, 1000) + 1);
    default: {
        struct command command =
            duty_proven(id, assignment - rng_below(rng, 10) / 9, (int64_t)rng_below(rng, 100) + 1);
        command.wall_ms += (int64_t)rng_below(rng, 100);
        return command;
    }
    }
}

static struct command random_command(struct rng *rng, const struct state *state)
{
    char id[SCHEDULE_ID_SIZE];
    (void)snprintf(id, sizeof(id), "run/s%u", (unsigned)rng_below(rng, 12));
    const struct state_schedule *row = state_schedule_by_id(state, id);
    switch (rng_below(rng, 16)) {
    case 0: {
        struct command command =
            schedule_put(id, row == NULL ? 0 : row->revision, row == NULL ? 100 : row->decided_s);
        command.schedule.is.digest = rng_below(rng, 3);
        return command;
    }
    case 1:
        return rng_below(rng, 10) == 0 ? schedule_remove(id) : run_start(id);
    case 2:
    case 3:
    case 4:
    case 5:
        return random_slots(rng, state, id);
    case 6:
        return random_intent(rng);
    case 7:
        return random_trouble(rng);
    case 8:
        return random_proof(rng, state);
    default:
        return random_run(rng, state, id);
    }
}

/* Terms rise now and then. */
static void run(struct state *state, struct rng *rng, int count)
{
    for (int i = 0; i < count; i++) {
        (void)apply_in_term(state, random_command(rng, state), 1 + state_index(state) / 100);
    }
}

static struct state *filled(uint64_t seed, int count)
{
    struct state *state = state_create();
    assert_non_null(state);
    apply_ok(state, node_put("n1", 1));
    struct rng rng;
    rng_init(&rng, seed);
    run(state, &rng, count);
    return state;
}

static void assert_same_rows(const struct state_rows *one, const struct state_rows *other,
                             size_t row_size)
{
    assert_int_equal(one->count, other->count);
    if (one->count > 0) {
        assert_memory_equal(one->first, other->first, one->count * row_size);
    }
}

/* Field by field: a digest cannot tell what neither is written nor read. */
static void assert_same_work(const struct state *one, const struct state *other)
{
    const struct state_work *a = &one->work;
    const struct state_work *b = &other->work;
    assert_same_rows(&a->schedules, &b->schedules, sizeof(struct state_schedule));
    assert_same_rows(&a->runs, &b->runs, sizeof(struct state_run));
    assert_same_rows(&a->intents, &b->intents, sizeof(struct state_intent));
    assert_same_rows(&a->recoveries, &b->recoveries, sizeof(struct state_recovery));
    assert_same_rows(&a->alerts, &b->alerts, sizeof(struct state_alert));
    assert_same_rows(&a->proven, &b->proven, sizeof(struct state_proven));
    assert_int_equal(state_ended_count(one), state_ended_count(other));
    for (size_t i = 0; i < state_ended_count(one); i++) {
        assert_memory_equal(state_ended_at(one, i), state_ended_at(other, i),
                            sizeof(struct state_run));
    }
}

/* One state applies everything, the other goes through a snapshot now and then. */
static void a_restored_state_goes_on_alike(void **unused)
{
    (void)unused;
    struct state *whole = filled(1, 0);
    struct state *other = filled(1, 0);
    struct rng rng_one;
    struct rng rng_two;
    struct rng rng;
    rng_init(&rng_one, 11);
    rng_init(&rng_two, 11);
    rng_init(&rng, 12);
    for (int round = 0; round < 60; round++) {
        int count = (int)rng_below(&rng, 200);
        run(whole, &rng_one, count);
        run(other, &rng_two, count);
        assert_true(state_digest(whole) == state_digest(other));
        uint8_t *bytes;
        size_t length;
        assert_int_equal(state_snapshot(other, &bytes, &length), 0);
        struct state *fresh = round % 2 == 0 ? state_create() : filled(9, 300);
        struct err err = {0};
        assert_int_equal(state_restore(fresh, state_index(other), bytes, length, &err), 0);
        free(bytes);
        state_destroy(&other);
        other = fresh;
        assert_true(state_digest(whole) == state_digest(other));
        assert_same_work(whole, other);
    }
    struct state_counters counters;
    state_counters(whole, &counters);
    assert_true(counters.applied > 1500); /* the mixture does something */
    assert_true(counters.refused > 1000);
    assert_true(counters.unchanged > 20);
    assert_int_equal(counters.malformed, 0);
    assert_true(state_ended_count(whole) > 300);
    assert_true(state_proven_count(whole) > 3);
    state_destroy(&whole);
    state_destroy(&other);
}

/* The ring begins anywhere when it is full; read back, it tells the same. */
static void a_full_ring_is_read_back_in_its_order(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    uint64_t revision = apply_ok(state, schedule_put("run/a", 0, 0)).number;
    int64_t decided_s = 0;
    while (decided_s < STATE_RUNS_ENDED_MAX + 500) {
        struct command decide = slots_decide("run/a", revision, decided_s, decided_s + 16);
        for (int i = 1; i <= 16; i++) {
            add_slot(&decide, decided_s + i, RUN_SKIPPED);
        }
        apply_ok(state, decide);
        decided_s += 16;
    }
    uint8_t *bytes;
    size_t length;
    assert_int_equal(state_snapshot(state, &bytes, &length), 0);
    struct state *other = state_create();
    assert_int_equal(state_restore(other, state_index(state), bytes, length, NULL), 0);
    free(bytes);
    assert_same_work(state, other);
    struct command decide = slots_decide("run/a", revision, decided_s, decided_s + 1);
    add_slot(&decide, decided_s + 1, RUN_SKIPPED);
    apply_ok(state, decide);
    apply_ok(other, decide);
    assert_same_work(state, other);
    state_destroy(&state);
    state_destroy(&other);
}

static void each_kind_of_row_is_in_the_digest(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    uint64_t former = state_digest(state);
    const struct command commands[] = {
        schedule_put("run/a", 0, 1000),
        run_start("run/a"),
        run_end(run_key_of("run/a", 0, 2), 1, 0, RUN_MISSED),
        intent_open("k", "o", INTENT_SKIP),
        intent_done("k", INTENT_HAPPENED),
        recovery_set("pm2/a", 1, RECOVERY_ACTING),
        alert_raise("pm2/a", ALERT_INFO, "x"),
        node_put("n1", 1),
        duty_put("pm2/a", true, true),
        duty_assign("pm2/a", 0, "n1", 1, 1),
        duty_proven("pm2/a", 10, 1), /* the index of its assignment */
    };
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        apply_ok(state, commands[i]);
        assert_true(state_digest(state) != former);
        former = state_digest(state);
    }
    state->work.proven.count = 0;
    assert_true(state_digest(state) != former);
    former = state_digest(state);
    state->work.alerts.count = 0; /* not only by their audit rows */
    assert_true(state_digest(state) != former);
    former = state_digest(state);
    state->work.ended.count = 0;
    assert_true(state_digest(state) != former);
    state_destroy(&state);
}

/* ---- versions ---- */

/* Where the body begins; it goes to the end. */
static size_t body_begin(const uint8_t *bytes, size_t length)
{
    const struct mp_limits limits = {.bytes = SNAPSHOT_BYTES_MAX, .elements = 64, .depth = 2};
    struct mp_doc doc;
    const uint8_t *body;
    size_t body_length;
    assert_int_equal(mp_parse(bytes, length, &limits, &doc, NULL), 0);
    assert_true(mp_bytes(mp_at(&doc.root, 2), &body, &body_length));
    mp_doc_deinit(&doc);
    return length - body_length;
}

static size_t body_elements(const struct state *state)
{
    const struct mp_limits limits = {.bytes = SNAPSHOT_BYTES_MAX, .elements = 400000, .depth = 6};
    uint8_t *bytes;
    size_t length;
    assert_int_equal(state_snapshot(state, &bytes, &length), 0);
    size_t begin = body_begin(bytes, length);
    struct mp_doc doc;
    assert_int_equal(mp_parse(bytes + begin, length - begin, &limits, &doc, NULL), 0);
    size_t count = mp_count(&doc.root);
    mp_doc_deinit(&doc);
    free(bytes);
    return count;
}

/* Without work a snapshot is what the version before wrote, so that one is read, too. */
static void a_state_without_work_is_as_before(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    apply_ok(state, node_put("n1", 1));
    apply_ok(state, duty_put("pm2/a", true, true));
    assert_int_equal(body_elements(state), 8);
    struct state *other = filled(3, 500);
    uint8_t *bytes;
    size_t length;
    assert_int_equal(state_snapshot(state, &bytes, &length), 0);
    assert_int_equal(state_restore(other, 2, bytes, length, NULL), 0);
    free(bytes);
    assert_true(state_digest(state) == state_digest(other));
    assert_int_equal(state_schedule_count(other), 0);
    assert_int_equal(state_ended_count(other), 0);
    assert_false(state_duty_by_id(other, "pm2/a")->is.once);
    apply_ok(state, recovery_set("pm2/a", 1, RECOVERY_ACTING));
    assert_int_equal(body_elements(state), 9);
    state_destroy(&state);
    state_destroy(&other);
}

static size_t work_tables(const struct state *state)
{
    const struct mp_limits limits = {.bytes = SNAPSHOT_BYTES_MAX, .elements = 400000, .depth = 6};
    uint8_t *bytes;
    size_t length;
    assert_int_equal(state_snapshot(state, &bytes, &length), 0);
    size_t begin = body_begin(bytes, length);
    struct mp_doc doc;
    assert_int_equal(mp_parse(bytes + begin, length - begin, &limits, &doc, NULL), 0);
    size_t count = mp_count(mp_at(&doc.root, 8));
    mp_doc_deinit(&doc);
    free(bytes);
    return count;
}

/* Without proofs it has the six tables of the version before, which is read so. */
static void a_state_without_proofs_is_as_before(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    apply_ok(state, node_put("n1", 1));
    apply_ok(state, duty_put("pm2/a", true, true));
    uint64_t assignment = apply_ok(state, duty_assign("pm2/a", 0, "n1", 1, 1)).number;
    apply_ok(state, recovery_set("pm2/a", 1, RECOVERY_ACTING));
    assert_int_equal(work_tables(state), 6);
    struct state *other = filled(3, 900);
    assert_true(state_proven_count(other) > 0);
    uint8_t *bytes;
    size_t length;
    assert_int_equal(state_snapshot(state, &bytes, &length), 0);
    assert_int_equal(state_restore(other, 4, bytes, length, NULL), 0);
    free(bytes);
    assert_true(state_digest(state) == state_digest(other));
    assert_int_equal(state_proven_count(other), 0);
    apply_ok(state, duty_proven("pm2/a", assignment, 5));
    assert_int_equal(work_tables(state), 7);
    apply_ok(state, recovery_set("pm2/a", 1, RECOVERY_WELL)); /* the proof is all that is left */
    assert_int_equal(state_snapshot(state, &bytes, &length), 0);
    assert_int_equal(state_restore(other, 6, bytes, length, NULL), 0);
    free(bytes);
    assert_int_equal(state_proven_of(other, "pm2/a")->ran_ms, 5);
    state_destroy(&state);
    state_destroy(&other);
}

/* ---- damage ---- */

/* A snapshot under a hash that fits. 0 or the refusal. */
static int restore_body(struct state *state, const uint8_t *body, size_t length, struct err *err)
{
    struct mp_writer writer;
    mp_writer_init(&writer, SNAPSHOT_BYTES_MAX);
    mp_put_array(&writer, 3);
    mp_put_u64(&writer, STATE_VERSION);
    mp_put_u64(&writer, state_hash(body, length));
    mp_put_bytes(&writer, body, length);
    int rc = state_restore(state, 1, writer.buffer.data, writer.buffer.length, err);
    mp_writer_deinit(&writer);
    return rc;
}

/* What is read in spite of the damage is a state as good as any. */
static void any_body_is_refused_or_sound(void **unused)
{
    (void)unused;
    struct state *source = filled(21, 900);
    struct rng rng;
    rng_init(&rng, 22);
    uint8_t *bytes;
    size_t length;
    assert_int_equal(state_snapshot(source, &bytes, &length), 0);
    size_t begin = body_begin(bytes, length);
    int refused = 0;
    for (int i = 0; i < 500; i++) {
        size_t at = begin + (size_t)rng_below(&rng, length - begin);
        uint8_t kept = bytes[at];
        bytes[at] = (uint8_t)rng_next(&rng);
        struct state *target = state_create();
        if (restore_body(target, bytes + begin, length - begin, NULL) == 0) {
            uint8_t *again;
            size_t again_length;
            assert_int_equal(state_snapshot(target, &again, &again_length), 0);
            assert_int_equal(state_restore(source, 1, again, again_length, NULL), 0);
            assert_true(state_digest(source) == state_digest(target));
            free(again);
        } else {
            refused++;
        }
        state_destroy(&target);
        bytes[at] = kept;
    }
    assert_true(refused > 50);
    free(bytes);
    state_destroy(&source);
}

/* A state with one row of each kind, two of most. */
static struct state *sample(void)
{
    struct state *state = state_create();
    assert_non_null(state);
    apply_ok(state, schedule_put("run/a", 0, 1000));
    apply_ok(state, schedule_put("run/b", 0, 1000));
    struct command decide = slots_decide("run/a", 1, 1000, 1300);
    add_slot(&decide, 1060, RUN_SKIPPED);
    add_slot(&decide, 1120, RUN_UNDER_WAY);
    add_slot(&decide, 1180, RUN_UNDER_WAY);
    apply_ok(state, decide);
    apply_ok(state, intent_open("k1", "o", INTENT_SKIP));
    apply_ok(state, intent_open("k2", "o", INTENT_SKIP));
    apply_ok(state, recovery_set("pm2/a", 1, RECOVERY_ACTING));
    apply_ok(state, recovery_set("pm2/b", 1, RECOVERY_ACTING));
    apply_ok(state, alert_raise("a/a", ALERT_INFO, "x"));
    apply_ok(state, alert_raise("a/b", ALERT_INFO, "x"));
    apply_ok(state, node_put("n1", 1));
    for (int i = 0; i < 2; i++) {
        const char *duty = i == 0 ? "watch/a" : "watch/b";
        apply_ok(state, duty_put(duty, true, true));
        uint64_t assignment = apply_ok(state, duty_assign(duty, 0, "n1", 1, 1)).number;
        apply_ok(state, duty_proven(duty, assignment, 5));
        apply_ok(state, duty_release(duty, assignment, RELEASE_BY_HOLDER));
        apply_ok(state, duty_remove(duty)); /* the proof stays */
    }
    return state;
}

static const char *damage_duty(struct state *state, int number)
{
    struct state_run *runs = state->work.runs.first;
    switch (number) {
    case 0:
        state->duty_count--;
        break;
    case 1:
        state->duties[0].is.once = false;
        break;
    case 2:
        state->duties[0].is.exclusive = false;
        break;
    case 3:
        state->duties[0].is.wanted = false;
        break;
    case 4:
        runs[0].cancelled = true;
        break;
    default:
        runs[1].attempt = 2;
        break;
    }
    return "duty";
}

static const char *damage_run(struct state *state, int number)
{
    struct state_run *runs = state->work.runs.first;
    switch (number) {
    case 0:
        runs[0].attempt = 0;
        break;
    case 1:
        runs[0].outcome = RUN_RAN;
        break;
    case 2:
        runs[0].count = 2;
        break;
    case 3:
        runs[0].last_s++;
        break;
    case 4:
        runs[0].key.number = 5;
        break;
    default:
        runs[1].key.slot_s = 1060;
        runs[1].last_s = 1060;
        break;
    }
    return "runs under way";
}

static const char *damage_ended(struct state *state, int number)
{
    struct state_run *ended = state->work.ended.first;
    switch (number) {
    case 0:
        ended[0].outcome = RUN_UNDER_WAY;
        break;
    case 1:
        ended[0].count = 0;
        break;
    case 2:
        ended[0].last_s = 1;
        break;
    case 3:
        ended[0].attempt = RUN_ATTEMPTS_MAX + 1;
        break;
    case 4:
        ended[0].exit_status = RUN_EXIT_STATUS_MAX + 1;
        break;
    default:
        copy_text(ended[0].key.schedule, SCHEDULE_ID_SIZE, "a");
        break;
    }
    return "ended runs";
}

static const char *damage_schedule(struct state *state, int number)
{
    struct state_schedule *schedules = state->work.schedules.first;
    switch (number) {
    case 0:
        copy_text(schedules[0].id, SCHEDULE_ID_SIZE, "a");
        break;
    case 1:
        copy_text(schedules[1].id, SCHEDULE_ID_SIZE, "run/a");
        break;
    case 2:
        schedules[0].is.misfire_cap = 0;
        break;
    case 3:
        schedules[0].defined_s = schedules[0].decided_s + 1;
        break;
    case 4:
        schedules[0].kept_from_s = -1;
        break;
    default:
        schedules[0].last_outcome = RUN_UNKNOWN + 1;
        break;
    }
    return "schedules";
}

static const char *damage_record(struct state *state, int number)
{
    struct state_intent *intents = state->work.intents.first;
    struct state_recovery *recoveries = state->work.recoveries.first;
    struct state_alert *alerts = state->work.alerts.first;
    switch (number) {
    case 0:
        copy_text(intents[1].key, INTENT_KEY_SIZE, "k1");
        return "intents";
    case 1:
        intents[0].state = INTENT_PARKED + 1;
        return "intents";
    case 2:
        intents[0].object[0] = '\0';
        return "intents";
    case 3:
        recoveries[0].phase = RECOVERY_WELL;
        return "recoveries";
    case 4:
        copy_text(recoveries[0].component, COMPONENT_SIZE, "pm2/c");
        return "recoveries";
    case 5:
        alerts[0].severity = ALERT_CRITICAL + 1;
        return "alerts";
    default:
        copy_text(alerts[0].key, DUTY_ID_SIZE, "a/c");
        return "alerts";
    }
}

static const char *damage_proof(struct state *state, int number)
{
    struct state_proven *proven = state->work.proven.first;
    switch (number) {
    case 0:
        proven[0].ran_ms = 0;
        break;
    case 1:
        proven[0].by = 0;
        break;
    case 2:
        proven[0].node[0] = '\0';
        break;
    default:
        copy_text(proven[0].duty, DUTY_ID_SIZE, "watch/c");
        break;
    }
    return "proofs";
}

#define DAMAGES 35

/* What the refusal must name; NULL: no damage. */
static const char *damage(struct state *state, int number)
{
    if (number >= DAMAGES) {
        return NULL;
    }
    return number < 6    ? damage_duty(state, number)
           : number < 12 ? damage_run(state, number - 6)
           : number < 18 ? damage_ended(state, number - 12)
           : number < 24 ? damage_schedule(state, number - 18)
           : number < 31 ? damage_record(state, number - 24)
                         : damage_proof(state, number - 31);
}

static void rows_that_no_command_makes_are_refused(void **unused)
{
    (void)unused;
    for (int number = 0; number <= DAMAGES; number++) {
        struct state *state = sample();
        const char *expected = damage(state, number);
        uint8_t *bytes;
        size_t length;
        assert_int_equal(state_snapshot(state, &bytes, &length), 0);
        struct state *target = state_create();
        struct err err = {0};
        int rc = state_restore(target, 1, bytes, length, &err);
        if (rc != (expected == NULL ? 0 : ERR_CORRUPT) ||
            (expected != NULL && strstr(err.msg, expected) == NULL)) {
            fail_msg("damage %d: %d, %s", number, rc, err.msg);
        }
        free(bytes);
        state_destroy(&target);
        state_destroy(&state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restored_state_goes_on_alike),
        cmocka_unit_test(a_full_ring_is_read_back_in_its_order),
        cmocka_unit_test(each_kind_of_row_is_in_the_digest),
        cmocka_unit_test(a_state_without_work_is_as_before),
        cmocka_unit_test(a_state_without_proofs_is_as_before),
        cmocka_unit_test(any_body_is_refused_or_sound),
        cmocka_unit_test(rows_that_no_command_makes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
