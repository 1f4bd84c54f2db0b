#include "node/daemon/handlers_why.h"

#include "consensus/why.h"
#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/node.h"

#include <string.h>

#define AUDIT_ROWS_DEFAULT 100

json_t *handlers_why_document(const struct why *why)
{
    json_t *steps = json_array();
    for (size_t i = 0; i < why->count; i++) {
        const struct why_step *step = &why->steps[i];
        (void)json_array_append_new(
            steps,
            json_pack("{s:o, s:o, s:o, s:s, s:o, s:o}", "time",
                      step->wall_ms == 0 ? json_null() : doc_time(step->wall_ms), "term",
                      step->term == 0 ? json_null() : json_integer((json_int_t)step->term), "index",
                      step->index == 0 ? json_null() : json_integer((json_int_t)step->index),
                      "reason", step->reason, "who", doc_text(step->who), "text",
                      doc_text(step->text)));
    }
    return json_pack("{s:o, s:s, s:b, s:o}", "answer", doc_text(why->answer), "reason", why->reason,
                     "whole", why->whole, "steps", steps);
}

static void answer(struct control_request *request, int rc, const struct why *why,
                   const struct err *err)
{
    if (rc != 0) {
        control_fail_err(request, err);
    } else {
        control_reply(request, handlers_why_document(why));
    }
}

void handlers_why_leader(void *context, struct control_request *request)
{
    const struct node *self = context;
    struct why why;
    struct err err = {0};
    int rc = why_leader(self->state, &why, &err);
    answer(request, rc, &why, &err);
}

void handlers_why_duty(void *context, struct control_request *request)
{
    const struct node *self = context;
    struct why why;
    struct err err = {0};
    int rc = why_duty(self->state, control_arg_text(request, "id"), clock_wall_ms(), &why, &err);
    answer(request, rc, &why, &err);
}

void handlers_why_run(void *context, struct control_request *request)
{
    const struct node *self = context;
    struct why why;
    struct err err = {0};
    int rc = why_run(self->state, control_arg_text(request, "id"), &why, &err);
    answer(request, rc, &why, &err);
}

void handlers_why_alert(void *context, struct control_request *request)
{
    const struct node *self = context;
    struct why why;
    struct err err = {0};
    int rc = why_alert(self->state, control_arg_text(request, "id"), &why, &err);
    answer(request, rc, &why, &err);
}

/* ---- the audit ---- */

static json_t *describe(const struct state_audit *entry)
{
    return json_pack("{s:o, s:I, s:I, s:s, s:o, s:s, s:o, s:o, s:o}", "time",
                     doc_time(entry->wall_ms), "index", (json_int_t)entry->index, "term",
                     (json_int_t)entry->term, "what", command_type_name(entry->type), "target",
                     doc_text(entry->target), "reason", command_reason_name(entry->reason), "who",
                     doc_text(entry->who), "why", doc_text(entry->why), "refused",
                     entry->status == 0 ? json_null() : doc_text(err_text(entry->status)));
}

void handlers_audit_show(void *context, struct control_request *request)
{
    const struct node *self = context;
    const char *target = control_arg_text(request, "target");
    int64_t limit = control_arg_integer(request, "limit", AUDIT_ROWS_DEFAULT);
    json_t *rows = json_array();
    for (size_t i = 0; i < state_audit_count(self->state); i++) {
        const struct state_audit *entry = state_audit_at(self->state, i);
        if ((int64_t)json_array_size(rows) < limit &&
            (target == NULL || strcmp(entry->target, target) == 0)) {
            (void)json_array_append_new(rows, describe(entry));
        }
    }
    control_reply(request, rows);
}
