#include "node/daemon/handlers_fan.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fan_request_free(struct fan_request *self)
{
    json_decref(self->kept);
    free(self);
}

static void on_closed(void *context, struct control_request *request)
{
    (void)request;
    struct fan_request *self = context;
    fan_cancel(self->node->fan, self->call);
    fan_request_free(self);
}

static int64_t wait_of(const struct fan_request *self)
{
    int64_t left_ms = control_request_left_ms(self->request) - FAN_MARGIN_MS;
    const struct verb *verb = verb_find(self->verb);
    int64_t most_ms = verb->access == VERB_VIEWER ? FAN_READ_MS : INT32_MAX;
    left_ms = left_ms < most_ms ? left_ms : most_ms;
    return left_ms > 0 ? left_ms : 0;
}

void fan_request_again(struct fan_request *self, const char *verb, const struct fan_target *targets,
                       size_t count, fan_done *done)
{
    struct err err = {0};
    self->verb = verb;
    struct fan_order order = {.who = control_request_who(self->request),
                              .manager = self->manager,
                              .verb = verb,
                              .wait_ms = wait_of(self),
                              .targets = targets,
                              .count = count,
                              .done = done,
                              .context = self};
    if (fan_out(self->node->fan, &order, &self->call, &err) != 0) {
        struct control_request *request = self->request;
        fan_request_free(self);
        control_fail(request, "busy", EXIT_FAILED, "try again", "%s", err.msg);
    }
}

/* The nodes that are meant; 0: the request was answered with an error. */
static size_t targets_of(struct node *self, struct control_request *request, const char *only,
                         const json_t *args, struct fan_target ret[NODES_MAX])
{
    bool reachable = false;
    if (only == NULL) {
        return fan_everyone(self, args, ret);
    }
    if (strlen(only) >= NAME_SIZE || !fan_knows(self, only, &reachable)) {
        control_fail(request, "not_found", EXIT_NOT_FOUND, "see `understudy members`",
                     "no node %.80s", only);
        return 0;
    }
    if (!reachable) {
        control_fail(request, "unreachable", EXIT_NO_NODE, "see `understudy members`",
                     "%s is dead, or cannot be reached from %s", only, node_name(self));
        return 0;
    }
    (void)snprintf(ret[0].node, sizeof ret[0].node, "%s", only);
    ret[0].args = args;
    return 1;
}

static void begin(struct fan_request *template, const struct fan_target *targets, size_t count,
                  fan_done *done)
{
    struct fan_request *self = malloc(sizeof *self);
    if (self == NULL) {
        control_fail(template->request, "failed", EXIT_FAILED, NULL, "out of memory");
        return;
    }
    *self = *template;
    control_request_on_close(self->request, on_closed, self);
    fan_request_again(self, self->verb, targets, count, done);
}

void fan_request_begin(struct node *self, struct control_request *request, const char *verb,
                       const char *manager, const json_t *args, fan_done *done)
{
    struct fan_target targets[NODES_MAX];
    const char *only = control_arg_text(request, "node");
    size_t count = targets_of(self, request, only, args, targets);
    if (count > 0) {
        struct fan_request template = {
            .node = self, .request = request, .verb = verb, .manager = manager};
        (void)snprintf(template.only, sizeof template.only, "%s", only == NULL ? "" : only);
        begin(&template, targets, count, done);
    }
}

/* ---- what came ---- */

static json_t *node_row(const char *node, const char *state, const char *text)
{
    return json_pack("{ss so ss so}", "kind", "node", "node", doc_text(node), "status", state,
                     "text", doc_text(text));
}

json_t *fan_no_rows(const struct fan_answer *answer)
{
    switch (answer->state) {
    case GATHER_UNREACHABLE:
        return node_row(answer->node, "unreachable", "it is dead, or cannot be reached");
    case GATHER_ANSWERED:
        return node_row(answer->node, answer->code[0] == '\0' ? "failed" : answer->code,
                        answer->message);
    case GATHER_WAITING:
    case GATHER_SILENT:
    default:
        return node_row(answer->node, "no answer", "no answer came in time");
    }
}

/* Who says it is the transport's word, not the row's. */
static void add_rows(json_t *ret, const struct fan_answer *answer, int64_t now_ms)
{
    size_t index;
    json_t *row;
    json_array_foreach(answer->document, index, row)
    {
        if (json_is_object(row)) {
            int64_t age_ms = doc_get_integer(row, "age_ms", 0) + now_ms - answer->taken_ms;
            (void)json_object_set_new(row, "node", doc_text(answer->node));
            (void)json_object_set_new(row, "age_ms", json_integer(age_ms));
            (void)json_array_append(ret, row);
        }
    }
}

json_t *fan_rows(const struct fan_answer *answers, size_t count)
{
    json_t *ret = json_array();
    int64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < count; i++) {
        if (answers[i].ok && json_is_array(answers[i].document)) {
            add_rows(ret, &answers[i], now_ms);
        } else {
            (void)json_array_append_new(ret, fan_no_rows(&answers[i]));
        }
    }
    return ret;
}

static void fail_with(struct control_request *request, const struct fan_answer *answer)
{
    struct manager_reply failed = {0};
    switch (answer->state) {
    case GATHER_ANSWERED:
        memcpy(failed.code, answer->code, sizeof failed.code);
        (void)snprintf(failed.message, sizeof failed.message, "%s: %s", answer->node,
                       answer->message);
        (void)managers_fail_with(request, &failed);
        return;
    case GATHER_UNREACHABLE:
        control_fail(request, "unreachable", EXIT_NO_NODE, "see `understudy members`",
                     "%s is dead, or cannot be reached", answer->node);
        return;
    case GATHER_WAITING:
    case GATHER_SILENT:
    default:
        control_fail(request, "timed_out", EXIT_TIMED_OUT,
                     "it may be busy, or of a version without this verb", "no answer of %s in time",
                     answer->node);
        return;
    }
}

bool fan_request_fails(struct fan_request *self, const struct fan_answer *answers, size_t count)
{
    if (self->only[0] == '\0' || count != 1 || answers[0].ok) {
        return false;
    }
    struct control_request *request = self->request;
    fan_request_free(self);
    fail_with(request, &answers[0]);
    return true;
}

/* ---- one node's word ---- */

static void on_relayed(void *context, const struct fan_answer *answers, size_t count)
{
    struct fan_request *self = context;
    struct control_request *request = self->request;
    if (fan_request_fails(self, answers, count)) {
        return;
    }
    fan_request_free(self);
    control_reply(request, json_incref(answers[0].document));
}

void handlers_relay(struct node *self, struct control_request *request, const char *node,
                    const char *manager)
{
    struct fan_target target = {.args = control_request_args(request)};
    struct fan_request template = {.node = self,
                                   .request = request,
                                   .verb = control_request_verb(request)->words,
                                   .manager = manager};
    (void)snprintf(target.node, sizeof target.node, "%s", node);
    (void)snprintf(template.only, sizeof template.only, "%s", node);
    begin(&template, &target, 1, on_relayed);
}
