#include "node/daemon/documents_work.h"

#include "node/base/clock.h"
#include "node/daemon/node.h"
#include "node/documents/ledger_document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEXT_EACH_MAX 50 /* slots of one schedule in a list of all */

static void put(json_t *object, const char *key, json_t *value_take)
{
    (void)json_object_set_new(object, key, value_take);
}

static json_t *instant(int64_t seconds)
{
    return seconds <= 0 ? json_null() : doc_time(seconds * 1000);
}

static json_t *moment(int64_t wall_ms)
{
    return wall_ms <= 0 ? json_null() : doc_time(wall_ms);
}

/* ---- schedules ---- */

static json_t *next_of(struct node *self, const struct state_schedule *row, struct err *err)
{
    int64_t next_s = 0;
    size_t count = 0;
    int64_t now_s = clock_wall_ms() / 1000;
    int64_t after_s = row->decided_s > now_s ? row->decided_s : now_s;
    bool known = schedule_preview(self, row->id, after_s, &next_s, 1, &count, err) == 0;
    return known && count == 1 ? instant(next_s) : json_null();
}

static json_t *describe_schedule(struct node *self, const struct state_schedule *row)
{
    struct err err = {0};
    json_t *ret = json_object();
    put(ret, "id", doc_text(row->id));
    put(ret, "expression", doc_text(row->is.expression));
    put(ret, "zone", doc_text(row->is.zone));
    put(ret, "next", next_of(self, row, &err));
    put(ret, "problem", doc_text(err.msg));
    put(ret, "critical", json_boolean(row->is.critical));
    put(ret, "under_way", json_integer(row->under_way));
    put(ret, "last_slot", instant(row->last_slot_s));
    put(ret, "last_outcome",
        row->last_slot_s == 0 ? json_null() : doc_text(run_outcome_name(row->last_outcome)));
    put(ret, "last_ran", moment(row->last_ran_wall_ms));
    put(ret, "failures", json_integer(row->failures));
    put(ret, "counts", document_counts(&row->counts));
    return ret;
}

json_t *document_schedules(struct node *self, const char *after, size_t limit)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < state_schedule_count(self->state) && json_array_size(ret) < limit; i++) {
        const struct state_schedule *row = state_schedule_at(self->state, i);
        if (after == NULL || strcmp(row->id, after) > 0) {
            (void)json_array_append_new(ret, describe_schedule(self, row));
        }
    }
    return ret;
}

static const char *overlap_name(enum schedule_overlap overlap)
{
    static const char *const names[] = {"forbid", "allow", "replace"};
    return names[overlap];
}

static const char *misfire_name(enum schedule_misfire misfire)
{
    static const char *const names[] = {"run_once", "run_all", "skip"};
    return names[misfire];
}

static void put_policies(json_t *ret, const struct schedule_definition *is)
{
    put(ret, "gap", doc_text(document_gap_name(is->gap)));
    put(ret, "fold", doc_text(document_fold_name(is->fold)));
    put(ret, "overlap", doc_text(overlap_name(is->overlap)));
    put(ret, "misfire", doc_text(misfire_name(is->misfire)));
    put(ret, "misfire_cap", json_integer(is->misfire_cap));
    put(ret, "misfire_window_s", json_integer(is->misfire_window_s));
    put(ret, "start_deadline_s", json_integer(is->start_deadline_s));
    put(ret, "progress_deadline_s", json_integer(is->progress_deadline_s));
    put(ret, "finish_deadline_s", json_integer(is->finish_deadline_s));
    put(ret, "min_runtime_s", json_integer(is->min_runtime_s));
    put(ret, "retries", json_integer(is->retries));
    put(ret, "backoff_s", json_integer(is->backoff_s));
    put(ret, "backoff_max_s", json_integer(is->backoff_max_s));
    put(ret, "retry_unknown", json_boolean(is->retry_unknown));
    put(ret, "priority", json_integer(is->priority));
    put(ret, "anchor", doc_time(is->anchor_s * 1000));
}

json_t *document_schedule(struct node *self, const char *id)
{
    const struct state_schedule *row = state_schedule_by_id(self->state, id);
    if (row == NULL) {
        return NULL;
    }
    int64_t slots[5];
    size_t count = 0;
    json_t *next = json_array();
    json_t *ret = describe_schedule(self, row);
    if (schedule_preview(self, id, clock_wall_ms() / 1000, slots, 5, &count, NULL) == 0) {
        for (size_t i = 0; i < count; i++) {
            (void)json_array_append_new(next, instant(slots[i]));
        }
    }
    put(ret, "slots", next);
    put_policies(ret, &row->is);
    put(ret, "revision", json_integer((json_int_t)row->revision));
    put(ret, "defined", instant(row->defined_s));
    put(ret, "decided", instant(row->decided_s));
    put(ret, "kept_from", instant(row->kept_from_s));
    return ret;
}

struct upcoming {
    int64_t slot_s;
    const char *schedule;
};

static int compare_upcoming(const void *a, const void *b)
{
    const struct upcoming *left = a;
    const struct upcoming *right = b;
    if (left->slot_s != right->slot_s) {
        return left->slot_s < right->slot_s ? -1 : 1;
    }
    return strcmp(left->schedule, right->schedule);
}

int document_next(struct node *self, const char *id, size_t limit, json_t **ret, struct err *err)
{
    size_t schedules = state_schedule_count(self->state);
    size_t each = id != NULL || limit < NEXT_EACH_MAX ? limit : NEXT_EACH_MAX;
    if (id != NULL && state_schedule_by_id(self->state, id) == NULL) {
        return err_set(err, ERR_NOTFOUND, "no schedule %s; see `understudy schedule list`", id);
    }
    size_t room = (id != NULL ? 1 : schedules) * each;
    struct upcoming *rows = calloc(room + 1, sizeof *rows);
    int64_t *slots = calloc(each + 1, sizeof *slots);
    size_t count = 0;
    int64_t now_s = clock_wall_ms() / 1000;
    for (size_t i = 0; rows != NULL && slots != NULL && i < schedules; i++) {
        const struct state_schedule *row = state_schedule_at(self->state, i);
        size_t found = 0;
        if ((id == NULL || strcmp(row->id, id) == 0) &&
            schedule_preview(self, row->id, now_s, slots, each, &found, NULL) == 0) {
            for (size_t k = 0; k < found; k++) {
                rows[count++] = (struct upcoming){slots[k], row->id};
            }
        }
    }
    json_t *list = rows != NULL && slots != NULL ? json_array() : NULL;
    if (list != NULL) {
        qsort(rows, count, sizeof *rows, compare_upcoming);
    }
    for (size_t i = 0; list != NULL && i < count && i < limit; i++) {
        (void)json_array_append_new(list, json_pack("{s:o, s:s}", "slot", instant(rows[i].slot_s),
                                                    "schedule", rows[i].schedule));
    }
    free(rows);
    free(slots);
    *ret = list;
    return list != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

/* ---- runs ---- */

static const char *state_of(const struct node *self, const struct state_run *run)
{
    char duty[DUTY_ID_SIZE];
    if (run->outcome != RUN_UNDER_WAY) {
        return "ended";
    }
    run_duty_id(&run->key, run->attempt, duty);
    const struct state_duty *row = state_duty_by_id(self->state, duty);
    if (run->cancelled) {
        return "cancelling";
    }
    return row != NULL && state_duty_held(row) ? "running" : "waiting";
}

static const char *node_of_run(const struct node *self, const struct state_run *run)
{
    char duty[DUTY_ID_SIZE];
    run_duty_id(&run->key, run->attempt, duty);
    const struct state_duty *row = state_duty_by_id(self->state, duty);
    if (run->outcome == RUN_UNDER_WAY && row != NULL && row->assignment.number != 0) {
        return row->assignment.node;
    }
    return run->raft_id == 0 ? "" : node_name_of(self, run->raft_id);
}

static json_t *describe_run(const struct node *self, const struct state_run *run)
{
    char id[RUN_ID_SIZE];
    run_id(&run->key, id);
    bool ended = run->outcome != RUN_UNDER_WAY;
    json_t *ret = json_object();
    put(ret, "id", doc_text(id));
    put(ret, "schedule", doc_text(run->key.schedule));
    put(ret, "slot", instant(run->key.slot_s));
    put(ret, "last_slot", run->count > 1 ? instant(run->last_s) : json_null());
    put(ret, "slots", json_integer(run->count));
    put(ret, "state", doc_text(state_of(self, run)));
    put(ret, "outcome", ended ? doc_text(run_outcome_name(run->outcome)) : json_null());
    put(ret, "reason", doc_text(run_reason_name(run->reason)));
    put(ret, "attempt", json_integer(run->attempt));
    put(ret, "node", doc_text(node_of_run(self, run)));
    put(ret, "exit",
        run->exit_status >= 0 && run->exit_status < 256 && run->attempt > 0 && ended
            ? json_integer(run->exit_status)
            : json_null());
    put(ret, "signal", run->exit_status > 256 ? json_integer(run->exit_status - 256) : json_null());
    put(ret, "decided", moment(run->decided_wall_ms));
    put(ret, "started", moment(run->started_wall_ms));
    put(ret, "ended", moment(run->ended_wall_ms));
    put(ret, "again", ended ? json_null() : moment(run->again_wall_ms));
    put(ret, "term", json_integer((json_int_t)run->term));
    return ret;
}

static bool is_asked_for(const struct state_run *run, const char *schedule, const char *outcome)
{
    const char *name = run->outcome == RUN_UNDER_WAY ? "under_way" : run_outcome_name(run->outcome);
    return (schedule == NULL || strcmp(run->key.schedule, schedule) == 0) &&
           (outcome == NULL || strcmp(name, outcome) == 0);
}

json_t *document_runs(struct node *self, const char *schedule, const char *outcome, size_t limit)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < state_run_count(self->state) && json_array_size(ret) < limit; i++) {
        const struct state_run *run = state_run_at(self->state, i);
        if (is_asked_for(run, schedule, outcome)) {
            (void)json_array_append_new(ret, describe_run(self, run));
        }
    }
    for (size_t i = 0; i < state_ended_count(self->state) && json_array_size(ret) < limit; i++) {
        const struct state_run *run = state_ended_at(self->state, i);
        if (is_asked_for(run, schedule, outcome)) {
            (void)json_array_append_new(ret, describe_run(self, run));
        }
    }
    return ret;
}

json_t *document_run(struct node *self, const char *id)
{
    struct run_key key;
    uint32_t attempt;
    const struct state_run *run =
        run_parse(id, &key, &attempt) ? state_run_by_key(self->state, &key) : NULL;
    return run == NULL ? NULL : describe_run(self, run);
}
