#include "node/daemon/handlers_work.h"

#include "node/base/clock.h"
#include "node/daemon/documents_work.h"
#include "node/daemon/handlers_change.h"
#include "node/daemon/handlers_fan.h"
#include "node/daemon/node.h"
#include "node/documents/ledger_document.h"

#include <stdio.h>
#include <string.h>

static size_t limit_of(const struct control_request *request)
{
    int64_t limit = control_arg_integer(request, "limit", WORK_ROWS_DEFAULT);
    return limit < 1 ? 1 : (limit > WORK_ROWS_MAX ? WORK_ROWS_MAX : (size_t)limit);
}

/* ---- schedules ---- */

void handlers_schedule_list(void *context, struct control_request *request)
{
    int64_t limit = control_arg_integer(request, "limit", WORK_ROWS_MAX);
    control_reply(request,
                  document_schedules(context, control_arg_text(request, "after"),
                                     limit < WORK_ROWS_MAX ? (size_t)limit : WORK_ROWS_MAX));
}

void handlers_schedule_show(void *context, struct control_request *request)
{
    const char *id = control_arg_text(request, "id");
    json_t *data = document_schedule(context, id);
    if (data == NULL) {
        control_fail(request, "not_found", EXIT_NOT_FOUND, "see `understudy schedule list`",
                     "no schedule %s", id);
        return;
    }
    control_reply(request, data);
}

void handlers_schedule_next(void *context, struct control_request *request)
{
    json_t *data = NULL;
    struct err err = {0};
    if (document_next(context, control_arg_text(request, "id"), limit_of(request), &data, &err) !=
        0) {
        control_fail_err(request, &err);
        return;
    }
    control_reply(request, data);
}

/* ---- runs ---- */

void handlers_run_list(void *context, struct control_request *request)
{
    control_reply(request, document_runs(context, control_arg_text(request, "schedule"),
                                         control_arg_text(request, "outcome"), limit_of(request)));
}

static void fail_no_run(struct control_request *request, const char *id)
{
    control_fail(request, "not_found", EXIT_NOT_FOUND,
                 "see `understudy run list`; runs that ended long ago are forgotten", "no run %s",
                 id);
}

void handlers_run_show(void *context, struct control_request *request)
{
    const char *id = control_arg_text(request, "id");
    json_t *data = document_run(context, id);
    if (data == NULL) {
        fail_no_run(request, id);
        return;
    }
    control_reply(request, data);
}

void handlers_run_cancel(void *context, struct control_request *request)
{
    struct node *self = context;
    const char *id = control_arg_text(request, "id");
    struct command command = {.type = COMMAND_RUN_CANCEL};
    uint32_t attempt;
    command.run_cancel.reason = RUN_CANCELLED;
    if (!run_parse(id, &command.run_cancel.run, &attempt) ||
        state_run_by_key(self->state, &command.run_cancel.run) == NULL) {
        fail_no_run(request, id);
        return;
    }
    handlers_propose(self, request, &command);
}

void handlers_run_start(void *context, struct control_request *request)
{
    struct node *self = context;
    const char *id = control_arg_text(request, "id");
    struct command command = {.type = COMMAND_RUN_START};
    if (state_schedule_by_id(self->state, id) == NULL) {
        control_fail(request, "not_found", EXIT_NOT_FOUND, "see `understudy schedule list`",
                     "no schedule %s", id);
        return;
    }
    if (!self->wall.looked || self->wall.verdict != WALL_TRUSTED) {
        /* The leader's, as this is: deadlines and retries would count from a wrong instant. */
        control_fail(request, "clock_not_trusted", EXIT_PRECONDITION,
                     "set that clock right, or let another lead: `understudy leader transfer`",
                     "the wall clock of %s is not trusted (%s)", node_name(self),
                     wall_verdict_name(self->wall.verdict));
        return;
    }
    (void)snprintf(command.run_start.schedule, sizeof command.run_start.schedule, "%s", id);
    handlers_propose(self, request, &command);
}

/* The output is where the run ran: that node's manager answers. */
void handlers_run_logs(void *context, struct control_request *request)
{
    struct node *self = context;
    struct run_key key;
    uint32_t attempt;
    char manager[NAME_SIZE];
    const char *id = control_arg_text(request, "id");
    const struct state_run *run =
        run_parse(id, &key, &attempt) ? state_run_by_key(self->state, &key) : NULL;
    if (run == NULL) {
        fail_no_run(request, id);
        return;
    }
    (void)snprintf(manager, sizeof manager, "%.*s", (int)strcspn(id, "/"), id);
    if (run->raft_id == 0 || run->raft_id == self->id) {
        (void)managers_command(self, request, manager);
    } else {
        handlers_relay(self, request, node_name_of(self, run->raft_id), manager);
    }
}

void handlers_ticks_ledger(void *context, struct control_request *request)
{
    const struct node *self = context;
    control_reply(request, ledger_document(self->state, control_arg_text(request, "after"),
                                           clock_wall_ms() / 1000));
}
