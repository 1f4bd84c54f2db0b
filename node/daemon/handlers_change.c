#include "node/daemon/handlers_change.h"

#include <stdio.h>
#include <stdlib.h>

struct handlers_pending {
    struct control_request *request; /* NULL: gone meanwhile */
};

static void on_closed(void *context, struct control_request *request)
{
    (void)request;
    struct handlers_pending *pending = context;
    pending->request = NULL;
}

static void answer(struct control_request *request, int status, const struct state_effect *effect)
{
    if (status == ERR_STALE || status == ERR_CLOSED) {
        control_fail(request, "unknown_outcome", EXIT_TIMED_OUT,
                     "look at the state, then try again",
                     "leadership was lost before this was decided; it may still happen");
    } else if (status != 0) {
        struct err err = {.code = status};
        (void)snprintf(err.msg, sizeof err.msg, "%s", err_text(status));
        control_fail_err(request, &err);
    } else if (effect->status != 0) {
        struct err err = {.code = effect->status};
        (void)snprintf(err.msg, sizeof err.msg, "%s", effect->reason);
        control_fail_err(request, &err);
    } else {
        control_reply(request, json_pack("{s:s, s:b, s:I}", "target", effect->target, "changed",
                                         effect->outcome == STATE_APPLIED, "index",
                                         (json_int_t)effect->index));
    }
}

void handlers_decided(void *context, uint64_t token, int status, const struct state_effect *effect)
{
    struct handlers_pending *pending = context;
    (void)token;
    struct control_request *request = pending->request;
    free(pending);
    if (request != NULL) {
        answer(request, status, effect);
    }
}

void handlers_refused(struct handlers_pending *pending, const struct err *err)
{
    struct control_request *request = pending->request;
    free(pending);
    if (request != NULL) {
        control_fail_err(request, err);
    }
}

struct handlers_pending *handlers_pending(struct control_request *request)
{
    struct handlers_pending *pending = calloc(1, sizeof *pending);
    if (pending == NULL) {
        control_fail(request, "failed", EXIT_FAILED, NULL, "out of memory");
        return NULL;
    }
    pending->request = request;
    control_request_on_close(request, on_closed, pending);
    return pending;
}

void handlers_propose(struct node *self, struct control_request *request, struct command *command)
{
    struct handlers_pending *pending = handlers_pending(request);
    if (pending == NULL) {
        return;
    }
    (void)snprintf(command->who, sizeof command->who, "%s", control_request_who(request)->name);
    if (command->reason == REASON_UNSPECIFIED) {
        command->reason = REASON_OPERATOR;
    }
    if (command->why[0] == '\0') {
        (void)snprintf(command->why, sizeof command->why, "%s",
                       control_request_verb(request)->words);
    }
    struct err err = {0};
    if (proposals_submit(self->proposals, command, handlers_decided, pending, NULL, &err) != 0) {
        handlers_refused(pending, &err);
    }
}
