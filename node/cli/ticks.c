#include "node/cli/ticks.h"

#include "node/base/doc.h"
#include "node/cli/almanac.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 4096

/* One row of the ledger, as `ticks ledger` lists it. */
struct row {
    int64_t first_s;
    int64_t last_s;
    int64_t count;
    const char *outcome; /* borrowed from the page */
};

/* One schedule while it is checked. */
struct check {
    const char *id;
    json_t *summary;
    int64_t from_s; /* slots after it */
    int64_t to_s;   /* and up to it are decided */
    int64_t now_s;
    struct row *rows; /* sorted by first_s */
    size_t row_count;
    int64_t *slots; /* rising */
    size_t slot_count;
};

/* ---- the summary ---- */

static void add(json_t *object, const char *key, int64_t count)
{
    (void)json_object_set_new(object, key, json_integer(doc_get_integer(object, key, 0) + count));
}

static json_t *want(json_t *object, const char *key, json_t *fresh_take)
{
    json_t *found = json_object_get(object, key);
    if (found == NULL) {
        (void)json_object_set(object, key, fresh_take);
        found = json_object_get(object, key);
    }
    json_decref(fresh_take);
    return found;
}

static void violation(struct check *self, int64_t slot_s, const char *problem)
{
    json_t *list = want(self->summary, "violations", json_array());
    add(self->summary, "violation_count", 1);
    if (json_array_size(list) < TICKS_VIOLATIONS_MAX) {
        (void)json_array_append_new(list, json_pack("{s:s, s:o, s:s}", "schedule", self->id, "slot",
                                                    doc_time(slot_s * 1000), "problem", problem));
    }
}

int64_t ticks_violations(const json_t *summary)
{
    return doc_get_integer(summary, "violation_count", 0);
}

/* ---- the rows of a schedule ---- */

static int compare_rows(const void *a, const void *b)
{
    const struct row *left = a;
    const struct row *right = b;
    return (left->first_s > right->first_s) - (left->first_s < right->first_s);
}

static int read_rows(struct check *self, const json_t *slots, struct err *err)
{
    size_t i;
    json_t *item;
    self->rows = calloc(json_array_size(slots) + 1, sizeof *self->rows);
    if (self->rows == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    json_array_foreach(slots, i, item)
    {
        struct row *row = &self->rows[self->row_count];
        const char *outcome = json_string_value(json_array_get(item, 3));
        *row = (struct row){.first_s = json_integer_value(json_array_get(item, 0)),
                            .last_s = json_integer_value(json_array_get(item, 1)),
                            .count = json_integer_value(json_array_get(item, 2)),
                            .outcome = outcome};
        if (outcome == NULL || row->first_s <= 0 || row->last_s < row->first_s || row->count < 1) {
            return err_set(err, ERR_PROTO, "a slot of %s is malformed", self->id);
        }
        self->row_count += row->last_s > self->from_s && row->first_s <= self->to_s ? 1 : 0;
    }
    qsort(self->rows, self->row_count, sizeof *self->rows, compare_rows);
    return 0;
}

/* ---- the slots that there should be ---- */

static enum calendar_fold fold_of(const char *name)
{
    if (strcmp(name, "both") == 0) {
        return CALENDAR_FOLD_BOTH;
    }
    return strcmp(name, "second") == 0 ? CALENDAR_FOLD_SECOND : CALENDAR_FOLD_FIRST;
}

static int compute(const json_t *schedule, int64_t after_s, int64_t to_s, int64_t **ret,
                   size_t *ret_count, struct err *err)
{
    bool skip = strcmp(doc_get_text(schedule, "gap", ""), "skip") == 0;
    struct almanac_question question = {
        .expression = doc_get_text(schedule, "expression", ""),
        .zone = doc_get_text(schedule, "zone", ""),
        .gap = skip ? CALENDAR_GAP_SKIP : CALENDAR_GAP_NEXT,
        .fold = fold_of(doc_get_text(schedule, "fold", "")),
        .anchor_s = doc_get_integer(schedule, "anchor_s", 0),
        .from_s = after_s + 1,
        .to_s = to_s + 1,
    };
    int rc = ERR_FULL;
    *ret = NULL;
    *ret_count = 0;
    for (size_t room = SLOTS_FIRST; rc == ERR_FULL && room <= TICKS_SLOTS_MAX; room *= 4) {
        free(*ret);
        *ret = calloc(room, sizeof **ret);
        if (*ret == NULL) {
            return err_set(err, ERR_NOMEM, "out of memory");
        }
        rc = almanac_slots(&question, *ret, room, ret_count, err);
    }
    return rc;
}

/* ---- comparing ---- */

static size_t first_slot_from(const struct check *self, int64_t from_s)
{
    size_t low = 0;
    size_t high = self->slot_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (self->slots[middle] < from_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void check_row(struct check *self, const struct row *row, json_t *outcomes)
{
    char text[160];
    size_t first = first_slot_from(self, row->first_s);
    size_t behind = first_slot_from(self, row->last_s + 1);
    int64_t found = (int64_t)(behind - first);
    add(outcomes, row->outcome, found);
    if (row->first_s <= self->from_s || row->last_s > self->to_s) {
        return; /* reaches beyond what is looked at: its number cannot be told */
    }
    if (found == row->count) {
        return;
    }
    if (found == 0) {
        (void)snprintf(text, sizeof text, "told as %s, and is no slot of this schedule",
                       row->outcome);
    } else {
        (void)snprintf(text, sizeof text, "told as %" PRId64 " slots (%s), and there are %" PRId64,
                       row->count, row->outcome, found);
    }
    violation(self, row->first_s, text);
}

/* Each slot is in exactly one row. */
static void check_slots(struct check *self)
{
    size_t next = 0;
    int64_t covered_s = INT64_MIN; /* every row so far ends here or before */
    for (size_t i = 0; i < self->slot_count; i++) {
        int64_t slot_s = self->slots[i];
        unsigned hits = covered_s >= slot_s ? 1 : 0;
        while (next < self->row_count && self->rows[next].first_s <= slot_s) {
            int64_t last_s = self->rows[next++].last_s;
            hits += last_s >= slot_s ? 1 : 0;
            covered_s = last_s > covered_s ? last_s : covered_s;
        }
        if (hits == 0) {
            violation(self, slot_s, "has no outcome");
        } else if (hits > 1) {
            violation(self, slot_s, "was decided more than once");
        }
    }
    add(self->summary, "slots", (int64_t)self->slot_count);
}

static int check_overdue(struct check *self, const json_t *schedule, struct err *err)
{
    int64_t *late = NULL;
    size_t count = 0;
    if (self->to_s >= self->now_s - TICKS_OVERDUE_S) {
        return 0;
    }
    int rc = compute(schedule, self->to_s, self->now_s - TICKS_OVERDUE_S, &late, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        violation(self, late[i], "came and is not decided");
    }
    free(late);
    return rc;
}

static void note_not_kept(const struct check *self, int64_t defined_s, int64_t kept_from_s)
{
    if (kept_from_s > defined_s) {
        json_t *list = want(self->summary, "not_kept", json_array());
        (void)json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "schedule", self->id,
                                                    "defined", doc_time(defined_s * 1000),
                                                    "kept_from", doc_time(kept_from_s * 1000)));
    }
}

static int check_schedule(const json_t *schedule, int64_t since_s, int64_t now_s, json_t *summary,
                          struct err *err)
{
    int64_t defined_s = doc_get_integer(schedule, "defined_s", -1);
    int64_t kept_from_s = doc_get_integer(schedule, "kept_from_s", -1);
    struct check self = {.id = doc_get_text(schedule, "id", ""),
                         .summary = summary,
                         .to_s = doc_get_integer(schedule, "decided_s", -1),
                         .now_s = now_s};
    if (defined_s < 0 || kept_from_s < 0 || self.to_s < 0 || self.id[0] == '\0') {
        return err_set(err, ERR_PROTO, "the ledger has a malformed schedule");
    }
    self.from_s = kept_from_s > defined_s ? kept_from_s : defined_s;
    self.from_s = since_s > self.from_s ? since_s : self.from_s;
    note_not_kept(&self, defined_s, kept_from_s);
    int rc = read_rows(&self, json_object_get(schedule, "slots"), err);
    if (rc == 0 && self.to_s > self.from_s) {
        rc = compute(schedule, self.from_s, self.to_s, &self.slots, &self.slot_count, err);
    }
    if (rc == 0) {
        json_t *outcomes = want(summary, "outcomes", json_object());
        for (size_t i = 0; i < self.row_count; i++) {
            check_row(&self, &self.rows[i], outcomes);
        }
        check_slots(&self);
        add(summary, "schedules", 1);
        rc = check_overdue(&self, schedule, err);
    }
    free(self.rows);
    free(self.slots);
    return rc;
}

int ticks_check_page(const json_t *page, int64_t since_s, json_t *summary, struct err *err)
{
    size_t i;
    json_t *schedule;
    const json_t *schedules = json_object_get(page, "schedules");
    int64_t now_s = doc_get_integer(page, "now_s", -1);
    if (!json_is_array(schedules) || now_s < 0) {
        return err_set(err, ERR_PROTO, "the ledger has not the shape that was expected");
    }
    (void)want(summary, "violations", json_array());
    (void)want(summary, "not_kept", json_array());
    add(summary, "violation_count", 0);
    add(summary, "schedules", 0);
    add(summary, "slots", 0);
    json_array_foreach(schedules, i, schedule)
    {
        int rc = check_schedule(schedule, since_s, now_s, summary, err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
