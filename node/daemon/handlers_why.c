#include "node/daemon/handlers_why.h"

#include "node/base/clock.h"
#include "node/daemon/node.h"
#include "node/documents/why_document.h"

void handlers_why(void *context, struct control_request *request)
{
    const struct node *self = context;
    json_t *document = NULL;
    struct err err = {0};
    if (why_document(self->state, control_request_verb(request)->words,
                     control_arg_text(request, "id"), clock_wall_ms(), &document, &err) != 0) {
        control_fail_err(request, &err);
        return;
    }
    control_reply(request, document);
}

void handlers_audit_show(void *context, struct control_request *request)
{
    const struct node *self = context;
    control_reply(request,
                  audit_document(self->state, control_arg_text(request, "target"),
                                 control_arg_integer(request, "limit", AUDIT_ROWS_DEFAULT)));
}
