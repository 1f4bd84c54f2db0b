#include "node/daemon/handlers_why.h"

#include "consensus/why.h"
#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/node.h"

static json_t *document(const struct why *why)
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
        control_reply(request, document(why));
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
