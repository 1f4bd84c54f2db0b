#include "node/documents/ledger_document.h"

#include "node/base/doc.h"

#include <string.h>

#define LEDGER_SCHEDULES_MAX 500 /* of a page */
#define LEDGER_SLOTS_MAX 8000    /* after as many no further schedule begins */

/* ---- names ---- */

const char *document_gap_name(enum calendar_gap gap)
{
    return gap == CALENDAR_GAP_SKIP ? "skip" : "next";
}

const char *document_fold_name(enum calendar_fold fold)
{
    static const char *const names[] = {"first", "second", "both"};
    return names[fold];
}

json_t *document_counts(const struct run_counts *counts)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "ran", (json_int_t)counts->ran, "failed",
                     (json_int_t)counts->failed, "skipped", (json_int_t)counts->skipped, "missed",
                     (json_int_t)counts->missed, "unknown", (json_int_t)counts->unknown);
}

/* ---- the ledger ---- */

static json_t *ledger_row(const struct state_run *run)
{
    return json_pack("[I, I, I, s, s, I]", (json_int_t)run->key.slot_s, (json_int_t)run->last_s,
                     (json_int_t)run->count,
                     run->outcome == RUN_UNDER_WAY ? "under_way" : run_outcome_name(run->outcome),
                     run_reason_name(run->reason), (json_int_t)run->attempt);
}

static json_t *ledger_schedule(const struct state_schedule *row)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "id", row->id,
                     "expression", row->is.expression, "zone", row->is.zone, "gap",
                     document_gap_name(row->is.gap), "fold", document_fold_name(row->is.fold),
                     "anchor_s", (json_int_t)row->is.anchor_s, "defined_s",
                     (json_int_t)row->defined_s, "decided_s", (json_int_t)row->decided_s,
                     "kept_from_s", (json_int_t)row->kept_from_s, "counts",
                     document_counts(&row->counts), "slots", json_array());
}

/* Which of the page's schedules the run belongs to; NULL: none. */
static json_t *ledger_slots_of(json_t *page, const struct state_run *run)
{
    size_t low = 0;
    size_t high = json_array_size(page);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        json_t *schedule = json_array_get(page, middle);
        int order = strcmp(doc_get_text(schedule, "id", ""), run->key.schedule);
        if (order == 0) {
            return json_object_get(schedule, "slots");
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static void ledger_add(json_t *page, const struct state_run *run)
{
    json_t *slots = run->key.slot_s == 0 ? NULL : ledger_slots_of(page, run);
    if (slots != NULL) {
        (void)json_array_append_new(slots, ledger_row(run));
    }
}

static uint64_t slots_kept(const struct state_schedule *row)
{
    const struct run_counts *counts = &row->counts;
    uint64_t all =
        counts->ran + counts->failed + counts->skipped + counts->missed + counts->unknown;
    return all < STATE_RUNS_ENDED_MAX ? all : STATE_RUNS_ENDED_MAX;
}

json_t *ledger_document(const struct state *state, const char *after, int64_t now_s)
{
    json_t *page = json_array();
    json_t *more = json_null();
    uint64_t slots = 0;
    for (size_t i = 0; i < state_schedule_count(state); i++) {
        const struct state_schedule *row = state_schedule_at(state, i);
        if (after != NULL && strcmp(row->id, after) <= 0) {
            continue;
        }
        size_t have = json_array_size(page);
        if (have > 0 && (have >= LEDGER_SCHEDULES_MAX || slots >= LEDGER_SLOTS_MAX)) {
            more = doc_text(doc_get_text(json_array_get(page, have - 1), "id", ""));
            break;
        }
        slots += slots_kept(row);
        (void)json_array_append_new(page, ledger_schedule(row));
    }
    for (size_t i = 0; i < state_run_count(state); i++) {
        ledger_add(page, state_run_at(state, i));
    }
    for (size_t i = 0; i < state_ended_count(state); i++) {
        ledger_add(page, state_ended_at(state, i));
    }
    return json_pack("{s:o, s:o, s:I}", "schedules", page, "more", more, "now_s",
                     (json_int_t)now_s);
}
