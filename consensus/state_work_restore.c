/* Reads what state_work_snapshot.c writes, and refuses what commands could not have made. */
#include "consensus/command_internal.h"
#include "consensus/state_internal.h"

#include <string.h>

/* A piece has 256 rows; the rest is room for newer versions' fields. */
static const struct mp_limits piece_limits = {
    .bytes = SNAPSHOT_BYTES_MAX, .elements = 65536, .depth = 6};

/* ---- rows ---- */

static bool get_counts(const msgpack_object *array, struct run_counts *ret)
{
    return mp_array(array, 5) != NULL && mp_u64(mp_at(array, 0), &ret->ran) &&
           mp_u64(mp_at(array, 1), &ret->failed) && mp_u64(mp_at(array, 2), &ret->skipped) &&
           mp_u64(mp_at(array, 3), &ret->missed) && mp_u64(mp_at(array, 4), &ret->unknown);
}

static bool schedule_is_sound(const struct state_schedule *schedule)
{
    char manager[NAME_SIZE];
    return state_duty_manager(schedule->id, manager) &&
           state_definition_fault(&schedule->is) == NULL &&
           state_instant_valid(schedule->defined_s) && state_instant_valid(schedule->decided_s) &&
           state_instant_valid(schedule->kept_from_s) &&
           state_instant_valid(schedule->last_slot_s) && schedule->defined_s <= schedule->decided_s;
}

static bool get_schedule(const msgpack_object *array, void *row)
{
    struct state_schedule *ret = row;
    int outcome;
    if (mp_array(array, 11) == NULL || !mp_text(mp_at(array, 0), ret->id, sizeof(ret->id)) ||
        !command_get_definition(mp_at(array, 1), &ret->is) ||
        !mp_u64(mp_at(array, 2), &ret->revision) || !mp_i64(mp_at(array, 3), &ret->defined_s) ||
        !mp_i64(mp_at(array, 4), &ret->decided_s) || !mp_i64(mp_at(array, 5), &ret->kept_from_s) ||
        !get_counts(mp_at(array, 6), &ret->counts) || !mp_i64(mp_at(array, 7), &ret->last_slot_s) ||
        !command_get_choice(mp_at(array, 8), RUN_UNDER_WAY, RUN_UNKNOWN, &outcome) ||
        !mp_i64(mp_at(array, 9), &ret->last_ran_wall_ms) ||
        !mp_u32(mp_at(array, 10), &ret->failures)) {
        return false;
    }
    ret->last_outcome = (enum run_outcome)outcome;
    return schedule_is_sound(ret);
}

/* What it is and what became of it: elements 0 to 10. */
static bool get_fate(const msgpack_object *array, struct state_run *ret)
{
    int outcome;
    int reason;
    int cancel;
    int64_t exit_status;
    if (!command_get_run_key(array, 0, &ret->key) || !mp_i64(mp_at(array, 3), &ret->last_s) ||
        !mp_u32(mp_at(array, 4), &ret->count) || !mp_u32(mp_at(array, 5), &ret->attempt) ||
        !command_get_choice(mp_at(array, 6), RUN_UNDER_WAY, RUN_UNKNOWN, &outcome) ||
        !command_get_choice(mp_at(array, 7), 0, UINT16_MAX, &reason) ||
        !mp_bool(mp_at(array, 8), &ret->cancelled) ||
        !command_get_choice(mp_at(array, 9), 0, UINT16_MAX, &cancel) ||
        !mp_i64(mp_at(array, 10), &exit_status) || exit_status < -1 ||
        exit_status > RUN_EXIT_STATUS_MAX) {
        return false;
    }
    ret->outcome = (enum run_outcome)outcome;
    ret->reason = (enum run_reason)reason;
    ret->cancel = (enum run_reason)cancel;
    ret->exit_status = (int)exit_status;
    return true;
}

static bool get_run(const msgpack_object *array, struct state_run *ret)
{
    char manager[NAME_SIZE];
    return mp_array(array, 21) != NULL && get_fate(array, ret) &&
           mp_u64(mp_at(array, 11), &ret->raft_id) && mp_u64(mp_at(array, 12), &ret->assignment) &&
           mp_u64(mp_at(array, 13), &ret->term) && mp_u64(mp_at(array, 14), &ret->index) &&
           mp_u64(mp_at(array, 15), &ret->revision) &&
           mp_i64(mp_at(array, 16), &ret->decided_wall_ms) &&
           mp_i64(mp_at(array, 17), &ret->again_wall_ms) &&
           mp_i64(mp_at(array, 18), &ret->started_wall_ms) &&
           mp_i64(mp_at(array, 19), &ret->ended_wall_ms) &&
           mp_u32(mp_at(array, 20), &ret->unstarted) && ret->attempt <= RUN_ATTEMPTS_MAX &&
           ret->unstarted <= ret->attempt && ret->last_s >= ret->key.slot_s &&
           ret->last_s <= RUN_SLOT_S_MAX && ret->count >= 1 &&
           state_duty_manager(ret->key.schedule, manager);
}

static bool get_run_under_way(const msgpack_object *array, void *row)
{
    struct state_run *ret = row;
    return get_run(array, ret) && ret->outcome == RUN_UNDER_WAY && ret->attempt >= 1 &&
           ret->count == 1 && ret->last_s == ret->key.slot_s;
}

static bool get_run_ended(const msgpack_object *array, void *row)
{
    struct state_run *ret = row;
    return get_run(array, ret) && ret->outcome != RUN_UNDER_WAY;
}

static bool get_intent(const msgpack_object *array, void *row)
{
    struct state_intent *ret = row;
    int policy;
    int state;
    int verdict;
    if (mp_array(array, 14) == NULL ||
        !command_get_name(mp_at(array, 0), ret->key, sizeof(ret->key)) ||
        !command_get_name(mp_at(array, 1), ret->manager, sizeof(ret->manager)) ||
        !command_get_name(mp_at(array, 2), ret->object, sizeof(ret->object)) ||
        !command_get_choice(mp_at(array, 3), INTENT_SKIP, INTENT_PARK, &policy) ||
        !command_get_choice(mp_at(array, 4), INTENT_OPEN, INTENT_PARKED, &state) ||
        !command_get_choice(mp_at(array, 5), INTENT_HAPPENED, INTENT_DROPPED, &verdict) ||
        !mp_bool(mp_at(array, 6), &ret->verified) || !mp_u32(mp_at(array, 7), &ret->attempt) ||
        !mp_u64(mp_at(array, 8), &ret->term) || !mp_u64(mp_at(array, 9), &ret->opened_index) ||
        !mp_i64(mp_at(array, 10), &ret->opened_wall_ms) ||
        !mp_i64(mp_at(array, 11), &ret->changed_wall_ms) ||
        !mp_i64(mp_at(array, 12), &ret->keep_until_wall_ms) ||
        !mp_text(mp_at(array, 13), ret->outcome, sizeof(ret->outcome))) {
        return false;
    }
    ret->policy = (enum intent_policy)policy;
    ret->state = (enum intent_state)state;
    ret->verdict = (enum intent_verdict)verdict;
    return true;
}

static bool get_recovery(const msgpack_object *array, void *row)
{
    struct state_recovery *ret = row;
    int phase;
    if (mp_array(array, 6) == NULL ||
        !command_get_name(mp_at(array, 0), ret->component, sizeof(ret->component)) ||
        !mp_u32(mp_at(array, 1), &ret->attempt) ||
        !command_get_choice(mp_at(array, 2), RECOVERY_WAITING, RECOVERY_ESCALATED, &phase) ||
        !mp_i64(mp_at(array, 3), &ret->next_wall_ms) ||
        !mp_i64(mp_at(array, 4), &ret->since_wall_ms) ||
        !mp_i64(mp_at(array, 5), &ret->changed_wall_ms)) {
        return false;
    }
    ret->phase = (enum recovery_phase)phase;
    return true;
}

static bool get_alert(const msgpack_object *array, void *row)
{
    struct state_alert *ret = row;
    int severity;
    int state;
    if (mp_array(array, 9) == NULL ||
        !command_get_name(mp_at(array, 0), ret->key, sizeof(ret->key)) ||
        !command_get_choice(mp_at(array, 1), ALERT_INFO, ALERT_CRITICAL, &severity) ||
        !command_get_choice(mp_at(array, 2), ALERT_FIRING, ALERT_RESOLVED, &state) ||
        !mp_u32(mp_at(array, 3), &ret->raised) || !mp_u64(mp_at(array, 4), &ret->changed_index) ||
        !mp_i64(mp_at(array, 5), &ret->raised_wall_ms) ||
        !mp_i64(mp_at(array, 6), &ret->changed_wall_ms) ||
        !mp_text(mp_at(array, 7), ret->who, sizeof(ret->who)) ||
        !mp_text(mp_at(array, 8), ret->text, sizeof(ret->text))) {
        return false;
    }
    ret->severity = (enum alert_severity)severity;
    ret->state = (enum alert_state)state;
    return true;
}

static bool get_proven(const msgpack_object *array, void *row)
{
    struct state_proven *ret = row;
    int by;
    if (mp_array(array, 8) == NULL ||
        !command_get_name(mp_at(array, 0), ret->duty, sizeof(ret->duty)) ||
        !command_get_name(mp_at(array, 1), ret->node, sizeof(ret->node)) ||
        !mp_u64(mp_at(array, 2), &ret->assignment) || !mp_u64(mp_at(array, 3), &ret->term) ||
        !mp_u64(mp_at(array, 4), &ret->index) ||
        !command_get_choice(mp_at(array, 5), PROVEN_BY_RUN, UINT16_MAX, &by) ||
        !mp_i64(mp_at(array, 6), &ret->ran_ms) || ret->ran_ms < 1 ||
        !mp_i64(mp_at(array, 7), &ret->last_wall_ms)) {
        return false;
    }
    ret->by = (enum proven_by)by;
    return true;
}

/* ---- tables ---- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int compare_runs(const void *a, const void *b)
{
    const struct state_run *one = a;
    const struct state_run *other = b;
    return state_run_compare(&one->key, &other->key);
}

struct table {
    const char *name;
    struct state_rows *rows;
    size_t max;
    size_t row_size;
    bool (*get)(const msgpack_object *array, void *row);
    int (*compare)(const void *a, const void *b); /* rows rise; NULL: in any order */
};

static int get_row(const msgpack_object *array, const struct table *table, struct err *err)
{
    struct state_rows *rows = table->rows;
    char *row = (char *)rows->first + rows->count * table->row_size;
    memset(row, 0, table->row_size);
    if (!table->get(array, row)) {
        return err_set(err, ERR_CORRUPT, "row %zu of %s is malformed", rows->count, table->name);
    }
    if (table->compare != NULL && rows->count > 0 &&
        table->compare(row - table->row_size, row) >= 0) {
        return err_set(err, ERR_CORRUPT, "row %zu of %s is out of order", rows->count, table->name);
    }
    rows->count++;
    return 0;
}

static int get_rows(const msgpack_object *array, const struct table *table, struct err *err)
{
    size_t count = mp_count(array);
    if (mp_array(array, 0) == NULL || count > table->max - table->rows->count) {
        return err_set(err, ERR_CORRUPT, "there are over %zu %s", table->max, table->name);
    }
    int rc = state_rows_reserve(table->rows, count, table->max, table->row_size);
    if (rc != 0) {
        return err_set(err, rc, "no memory for %s", table->name);
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = get_row(mp_at(array, i), table, err);
    }
    return rc;
}

static int get_piece(const msgpack_object *object, const struct table *table, struct err *err)
{
    const uint8_t *bytes;
    size_t length;
    if (!mp_bytes(object, &bytes, &length)) {
        return err_set(err, ERR_CORRUPT, "a piece of %s is missing", table->name);
    }
    struct mp_doc doc;
    int rc = mp_parse(bytes, length, &piece_limits, &doc, err);
    if (rc == 0) {
        rc = get_rows(&doc.root, table, err);
    }
    mp_doc_deinit(&doc);
    return rc == 0 || rc == ERR_NOMEM ? rc : ERR_CORRUPT;
}

static int get_table(const msgpack_object *pieces, const struct table *table, struct err *err)
{
    if (mp_array(pieces, 0) == NULL) {
        return err_set(err, ERR_CORRUPT, "%s are missing", table->name);
    }
    int rc = 0;
    for (size_t i = 0; i < mp_count(pieces) && rc == 0; i++) {
        rc = get_piece(mp_at(pieces, i), table, err);
    }
    return rc;
}

/* ---- what rows say of each other ---- */

/* Each run under way has the duty of its attempt, and counts for its schedule. */
static int join_run(struct state *self, const struct state_run *run, struct err *err)
{
    char id[DUTY_ID_SIZE];
    run_duty_id(&run->key, run->attempt, id);
    const struct state_duty *duty = state_duty_by_id(self, id);
    if (duty == NULL || !duty->is.exclusive || !duty->is.once ||
        duty->is.wanted == run->cancelled) {
        return err_set(err, ERR_CORRUPT, "the run of duty %s has no such duty", id);
    }
    struct state_table schedules = state_table_schedules(self);
    struct state_schedule *schedule = state_table_find(&schedules, run->key.schedule);
    if (schedule != NULL) {
        schedule->under_way++;
    }
    return 0;
}

int state_work_restore(const msgpack_object *array, struct state *ret, struct err *err)
{
    struct state_work *work = &ret->work;
    const struct table tables[] = {
        {"schedules", &work->schedules, STATE_SCHEDULES_MAX, sizeof(struct state_schedule),
         get_schedule, compare_texts},
        {"runs under way", &work->runs, STATE_RUNS_UNDER_WAY_MAX, sizeof(struct state_run),
         get_run_under_way, compare_runs},
        {"ended runs", &work->ended, STATE_RUNS_ENDED_MAX, sizeof(struct state_run), get_run_ended,
         NULL},
        {"intents", &work->intents, STATE_INTENTS_MAX, sizeof(struct state_intent), get_intent,
         compare_texts},
        {"recoveries", &work->recoveries, STATE_RECOVERIES_MAX, sizeof(struct state_recovery),
         get_recovery, compare_texts},
        {"alerts", &work->alerts, STATE_ALERTS_MAX, sizeof(struct state_alert), get_alert,
         compare_texts},
        {"proofs", &work->proven, STATE_PROVEN_MAX, sizeof(struct state_proven), get_proven,
         compare_texts},
    };
    size_t count = sizeof(tables) / sizeof(tables[0]);
    if (array == NULL) {
        return 0; /* written before there was any, or by a version without */
    }
    int rc = 0;
    count -= mp_count(array) < count ? 1 : 0; /* the version before knew no proofs */
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = get_table(mp_at(array, i), &tables[i], err);
    }
    for (size_t i = 0; i < work->runs.count && rc == 0; i++) {
        rc = join_run(ret, state_run_at(ret, i), err);
    }
    return rc;
}
