#include "node/documents/why_document.h"

#include "node/base/doc.h"

#include <string.h>

/* ---- why ---- */

static json_t *describe_step(const struct why_step *step)
{
    return json_pack("{s:o, s:o, s:o, s:s, s:o, s:o}", "time",
                     step->wall_ms == 0 ? json_null() : doc_time(step->wall_ms), "term",
                     step->term == 0 ? json_null() : json_integer((json_int_t)step->term), "index",
                     step->index == 0 ? json_null() : json_integer((json_int_t)step->index),
                     "reason", step->reason, "who", doc_text(step->who), "text",
                     doc_text(step->text));
}

static json_t *describe(const struct why *why)
{
    json_t *steps = json_array();
    for (size_t i = 0; i < why->count; i++) {
        (void)json_array_append_new(steps, describe_step(&why->steps[i]));
    }
    return json_pack("{s:o, s:s, s:b, s:o}", "answer", doc_text(why->answer), "reason", why->reason,
                     "whole", why->whole, "steps", steps);
}

static int ask(const struct state *state, const char *verb, const char *id, int64_t wall_ms,
               struct why *ret, struct err *err)
{
    if (strcmp(verb, "why leader") == 0) {
        return why_leader(state, ret, err);
    }
    if (strcmp(verb, "why duty") == 0 || strcmp(verb, "why not duty") == 0) {
        return why_duty(state, id, wall_ms, ret, err);
    }
    if (strcmp(verb, "why run") == 0) {
        return why_run(state, id, ret, err);
    }
    if (strcmp(verb, "why alert") == 0) {
        return why_alert(state, id, ret, err);
    }
    return err_set(err, ERR_UNSUPPORTED, "%s is no question about causes", verb);
}

int why_document(const struct state *state, const char *verb, const char *id, int64_t wall_ms,
                 json_t **ret, struct err *err)
{
    struct why why = {.count = 0};
    int rc = ask(state, verb, id, wall_ms, &why, err);
    if (rc != 0) {
        return rc;
    }
    json_t *document = describe(&why);
    if (document == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory for a document");
    }
    *ret = document;
    return 0;
}

/* ---- the audit ---- */

static json_t *describe_entry(const struct state_audit *entry)
{
    return json_pack("{s:o, s:I, s:I, s:s, s:o, s:s, s:o, s:o, s:o}", "time",
                     doc_time(entry->wall_ms), "index", (json_int_t)entry->index, "term",
                     (json_int_t)entry->term, "what", command_type_name(entry->type), "target",
                     doc_text(entry->target), "reason", command_reason_name(entry->reason), "who",
                     doc_text(entry->who), "why", doc_text(entry->why), "refused",
                     entry->status == 0 ? json_null() : doc_text(err_text(entry->status)));
}

json_t *audit_document(const struct state *state, const char *target, int64_t limit)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < state_audit_count(state); i++) {
        const struct state_audit *entry = state_audit_at(state, i);
        if ((int64_t)json_array_size(rows) < limit &&
            (target == NULL || strcmp(entry->target, target) == 0)) {
            (void)json_array_append_new(rows, describe_entry(entry));
        }
    }
    return rows;
}
