#include "node/daemon/handlers_intent.h"

#include "node/base/doc.h"
#include "node/daemon/handlers_change.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 2000

static json_t *describe(const struct state_intent *row)
{
    bool done = row->state == INTENT_DONE;
    return json_pack("{s:o, s:s, s:s, s:s, s:s, s:o, s:b, s:I, s:I, s:o, s:o, s:o, s:o}", "key",
                     doc_text(row->key), "manager", row->manager, "object", row->object, "state",
                     intent_state_name(row->state), "policy", intent_policy_name(row->policy),
                     "verdict", done ? json_string(intent_verdict_name(row->verdict)) : json_null(),
                     "verified", row->verified, "attempt", (json_int_t)row->attempt, "term",
                     (json_int_t)row->term, "opened", doc_time(row->opened_wall_ms), "changed",
                     doc_time(row->changed_wall_ms), "kept_until",
                     doc_time(row->keep_until_wall_ms), "text", doc_text(row->outcome));
}

struct shown {
    const struct state_intent *row;
};

static int newest_first(const void *a, const void *b)
{
    const struct state_intent *left = ((const struct shown *)a)->row;
    const struct state_intent *right = ((const struct shown *)b)->row;
    if (left->changed_wall_ms != right->changed_wall_ms) {
        return left->changed_wall_ms < right->changed_wall_ms ? 1 : -1;
    }
    return strcmp(left->key, right->key);
}

void handlers_intent_list(void *context, struct control_request *request)
{
    const struct node *self = context;
    bool all = control_arg_flag(request, "all");
    int64_t limit = control_arg_integer(request, "limit", LIMIT_DEFAULT);
    size_t count = state_intent_count(self->state);
    struct shown *shown = calloc(count + 1, sizeof *shown);
    json_t *ret = json_array();
    size_t chosen = 0;
    for (size_t i = 0; shown != NULL && i < count; i++) {
        const struct state_intent *row = state_intent_at(self->state, i);
        if (all || row->state != INTENT_DONE) {
            shown[chosen++].row = row;
        }
    }
    if (chosen > 0) {
        qsort(shown, chosen, sizeof *shown, newest_first);
    }
    int64_t most = limit < 0 ? 0 : (limit > LIMIT_MAX ? LIMIT_MAX : limit);
    for (size_t i = 0; i < chosen && (int64_t)i < most; i++) {
        (void)json_array_append_new(ret, describe(shown[i].row));
    }
    free(shown);
    control_reply(request, ret);
}

/* The state refuses what is not parked any more when the command is decided. */
static const struct state_intent *find_parked(struct node *self, struct control_request *request)
{
    const char *key = control_arg_text(request, "key");
    const struct state_intent *row =
        strlen(key) < INTENT_KEY_SIZE ? state_intent_by_key(self->state, key) : NULL;
    if (row == NULL) {
        control_fail(request, "not_found", EXIT_NOT_FOUND, "see `understudy intent list`",
                     "no intent %.120s", key);
    } else if (row->state != INTENT_PARKED) {
        control_fail(request, "not_parked", EXIT_PRECONDITION,
                     "only one that waits for a person may be settled by one",
                     "%.120s is %s: its manager settles it", key, intent_state_name(row->state));
        row = NULL;
    }
    return row;
}

void handlers_intent_retry(void *context, struct control_request *request)
{
    struct node *self = context;
    const struct state_intent *row = find_parked(self, request);
    if (row == NULL) {
        return;
    }
    struct command command = {.type = COMMAND_INTENT_TAKE};
    memcpy(command.intent_take.key, row->key, sizeof command.intent_take.key);
    handlers_propose(self, request, &command);
}

void handlers_intent_drop(void *context, struct control_request *request)
{
    struct node *self = context;
    const struct state_intent *row = find_parked(self, request);
    const char *why = control_arg_text(request, "why");
    if (row == NULL) {
        return;
    }
    struct command command = {.type = COMMAND_INTENT_DONE};
    memcpy(command.intent_done.key, row->key, sizeof command.intent_done.key);
    command.intent_done.verdict = INTENT_DROPPED;
    (void)snprintf(command.intent_done.outcome, sizeof command.intent_done.outcome, "%s",
                   why == NULL ? "given up by a person" : why);
    handlers_propose(self, request, &command);
}
