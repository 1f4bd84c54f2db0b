#include "node/daemon/handlers_pm2.h"

#include "node/base/doc.h"
#include "node/daemon/handlers_fan.h"

#include <stdio.h>
#include <string.h>

#define MANAGER "pm2"
#define CURSORS_MAX 32 /* files of one answer */
#define CURSORS_NAME_MAX 256
#define OURS_HINT "`understudy duty move` or `understudy manager pause pm2`"

/* {name: [...]}, or empty when no name was given. */
static json_t *names_of(const struct control_request *request)
{
    json_t *names = json_object_get(control_request_args(request), "name");
    json_t *ret = json_object();
    if (json_is_array(names)) {
        (void)json_object_set(ret, "name", names);
    }
    return ret;
}

static bool is_process(const json_t *row)
{
    return strcmp(doc_get_text(row, "kind", ""), "process") == 0;
}

static bool any_of_kind(const json_t *rows, const char *kind)
{
    size_t index;
    json_t *row;
    json_array_foreach(doc_writable(rows), index, row)
    {
        if (strcmp(doc_get_text(row, "kind", ""), kind) == 0) {
            return true;
        }
    }
    return false;
}

/* What is asked about has a name, and no row of that kind came. */
static void reply_found(struct control_request *request, json_t *rows_take, const char *kind)
{
    if (any_of_kind(rows_take, kind)) {
        control_reply(request, rows_take);
        return;
    }
    json_decref(rows_take);
    control_fail(request, "not_found", EXIT_NOT_FOUND, "see `understudy pm2 list`",
                 "no PM2 that answers has a process of that name");
}

/* ---- pm2 list ---- */

static void on_listed(void *context, const struct fan_answer *answers, size_t count)
{
    struct fan_request *self = context;
    struct control_request *request = self->request;
    if (fan_request_fails(self, answers, count)) {
        return;
    }
    fan_request_free(self);
    json_t *rows = fan_rows(answers, count);
    if (json_object_get(control_request_args(request), "name") != NULL) {
        reply_found(request, rows, "process");
    } else {
        control_reply(request, rows);
    }
}

void handlers_pm2_list(void *context, struct control_request *request)
{
    json_t *args = names_of(request);
    fan_request_begin(context, request, "pm2 list", MANAGER, args, on_listed);
    json_decref(args);
}

/* ---- pm2 adopt ---- */

void handlers_pm2_adopt(void *context, struct control_request *request)
{
    json_t *args = json_object();
    fan_request_begin(context, request, "pm2 adopt", MANAGER, args, on_listed);
    json_decref(args);
}

/* ---- pm2 logs ---- */

static void on_read(void *context, const struct fan_answer *answers, size_t count)
{
    struct fan_request *self = context;
    struct control_request *request = self->request;
    if (fan_request_fails(self, answers, count)) {
        return;
    }
    fan_request_free(self);
    if (control_arg_flag(request, "follow")) {
        control_reply(request, fan_rows(answers, count)); /* what is not there yet may come */
    } else {
        reply_found(request, fan_rows(answers, count), "file");
    }
}

/* They must fit into the arguments of one command (MANAGER_FIELDS_BYTES_MAX). */
static bool too_long(const struct control_request *request)
{
    size_t cursors = json_array_size(json_object_get(control_request_args(request), "cursor"));
    return cursors > CURSORS_MAX ||
           (cursors > 0 && strlen(control_arg_text(request, "name")) > CURSORS_NAME_MAX);
}

void handlers_pm2_logs(void *context, struct control_request *request)
{
    if (too_long(request)) {
        control_fail(request, "invalid", EXIT_USAGE, NULL,
                     "more than %d cursors, or a name of more than %d bytes", CURSORS_MAX,
                     CURSORS_NAME_MAX);
        return;
    }
    json_t *args = json_copy(doc_writable(control_request_args(request)));
    (void)json_object_del(args, "node");
    if (json_object_get(args, "since") != NULL) {
        (void)json_object_set_new(args, "since",
                                  json_integer(control_arg_duration_ms(request, "since", 0)));
    }
    fan_request_begin(context, request, "pm2 logs", MANAGER, args, on_read);
    json_decref(args);
}

/* ---- pm2 start, stop, restart ---- */

enum outcome { OUTCOME_DONE, OUTCOME_UNKNOWN, OUTCOME_FAILED };

static enum outcome worse(enum outcome a, enum outcome b)
{
    return a > b ? a : b;
}

static enum outcome outcome_of_row(const json_t *row)
{
    const json_t *ok = json_object_get(row, "ok");
    if (!is_process(row) || json_is_true(ok)) {
        return OUTCOME_DONE;
    }
    return json_is_false(ok) ? OUTCOME_FAILED : OUTCOME_UNKNOWN;
}

static enum outcome outcome_of(const struct fan_answer *answer)
{
    enum outcome ret = OUTCOME_DONE;
    size_t index;
    json_t *row;
    if (answer->state == GATHER_SILENT || strcmp(answer->code, "timed_out") == 0 ||
        strcmp(answer->code, "left_out") == 0) {
        return OUTCOME_UNKNOWN;
    }
    if (!answer->ok || !json_is_array(answer->document)) {
        return OUTCOME_FAILED;
    }
    json_array_foreach(answer->document, index, row)
    {
        ret = worse(ret, outcome_of_row(row));
    }
    return ret;
}

/* `kept` holds the rows of nodes that were meant and could not even be looked at. */
static void on_changed(void *context, const struct fan_answer *answers, size_t count)
{
    struct fan_request *self = context;
    struct control_request *request = self->request;
    json_t *rows = fan_rows(answers, count);
    enum outcome outcome = json_array_size(self->kept) > 0 && control_arg_flag(request, "all-nodes")
                               ? OUTCOME_FAILED
                               : OUTCOME_DONE;
    for (size_t i = 0; i < count; i++) {
        outcome = worse(outcome, outcome_of(&answers[i]));
    }
    (void)json_array_extend(rows, self->kept);
    fan_request_free(self);
    control_reply_exit(request, rows,
                       outcome == OUTCOME_DONE
                           ? EXIT_DONE
                           : (outcome == OUTCOME_FAILED ? EXIT_FAILED : EXIT_TIMED_OUT));
}

/* Where each name is: what the managers listed. */
struct found {
    struct fan_request *self;
    const struct fan_answer *answers;
    size_t count;
};

/* Rows of `name` on that node; ret_ours: one of them is the cluster's own. */
static size_t rows_of(const struct fan_answer *answer, const char *name, bool *ret_ours)
{
    size_t found = 0;
    size_t index;
    json_t *row;
    json_array_foreach(answer->document, index, row)
    {
        if (is_process(row) && strcmp(doc_get_text(row, "name", ""), name) == 0) {
            const char *role = doc_get_text(row, "role", "");
            found++;
            *ret_ours = *ret_ours || strcmp(role, "backup") == 0 || strcmp(role, "ours") == 0;
        }
    }
    return found;
}

/* Refuse what is not there, is the cluster's, or is in several places. True when it was. */
static bool refuse_name(const struct found *found, const char *name)
{
    struct control_request *request = found->self->request;
    char nodes[256] = "";
    size_t length = 0;
    size_t places = 0;
    bool ours = false;
    for (size_t i = 0; i < found->count; i++) {
        if (rows_of(&found->answers[i], name, &ours) > 0) {
            int written = snprintf(nodes + length, sizeof nodes - length, "%s%s",
                                   places++ == 0 ? "" : ", ", found->answers[i].node);
            length += (size_t)written < sizeof nodes - length ? (size_t)written : 0;
        }
    }
    if (places == 0) {
        control_fail(request, "not_found", EXIT_NOT_FOUND, "see `understudy pm2 list`",
                     "no PM2 that answers has a process %.80s", name);
    } else if (ours) {
        control_fail(request, "unsafe", EXIT_UNSAFE, OURS_HINT,
                     "%.80s (%s) is run by the cluster, which starts and stops it", name, nodes);
    } else if (places > 1 && !control_arg_flag(request, "all-nodes")) {
        control_fail(request, "ambiguous", EXIT_PRECONDITION, "say --node NODE, or --all-nodes",
                     "%.80s is on %zu nodes: %s", name, places, nodes);
    } else {
        return false;
    }
    return true;
}

/* {name: [those that are on this node]}, NULL when none is. */
static json_t *args_for(const struct fan_answer *answer, const json_t *names)
{
    json_t *here = json_array();
    bool ours = false;
    size_t index;
    json_t *name;
    json_array_foreach(doc_writable(names), index, name)
    {
        if (rows_of(answer, json_string_value(name), &ours) > 0) {
            (void)json_array_append(here, name);
        }
    }
    if (json_array_size(here) == 0) {
        json_decref(here);
        return NULL;
    }
    return json_pack("{so}", "name", here);
}

static void change_on_each(const struct found *found, const json_t *names)
{
    struct fan_request *self = found->self;
    struct fan_target targets[NODES_MAX];
    json_t *args[NODES_MAX];
    size_t count = 0;
    self->kept = json_array();
    for (size_t i = 0; i < found->count; i++) {
        const struct fan_answer *answer = &found->answers[i];
        args[count] = answer->ok ? args_for(answer, names) : NULL;
        if (args[count] != NULL) {
            targets[count].args = args[count];
            memcpy(targets[count].node, answer->node, sizeof targets[count].node);
            count++;
        } else if (!answer->ok) {
            (void)json_array_append_new(self->kept, fan_no_rows(answer));
        }
    }
    fan_request_again(self, control_request_verb(self->request)->words, targets, count, on_changed);
    for (size_t i = 0; i < count; i++) {
        json_decref(args[i]);
    }
}

static void on_found(void *context, const struct fan_answer *answers, size_t count)
{
    struct found found = {.self = context, .answers = answers, .count = count};
    const json_t *names = json_object_get(control_request_args(found.self->request), "name");
    size_t index;
    json_t *name;
    if (fan_request_fails(found.self, answers, count)) {
        return;
    }
    json_array_foreach(doc_writable(names), index, name)
    {
        if (refuse_name(&found, json_string_value(name))) {
            fan_request_free(found.self);
            return;
        }
    }
    change_on_each(&found, names);
}

void handlers_pm2_change(void *context, struct control_request *request)
{
    if (control_arg_flag(request, "all-nodes") && control_arg_text(request, "node") != NULL) {
        control_fail(request, "invalid", EXIT_USAGE, NULL, "say --node or --all-nodes, not both");
        return;
    }
    json_t *args = names_of(request);
    fan_request_begin(context, request, "pm2 list", MANAGER, args, on_found);
    json_decref(args);
}

/* ---- pm2 backups, pm2 restore ---- */

static void on_versions(void *context, const struct fan_answer *answers, size_t count)
{
    struct fan_request *self = context;
    struct control_request *request = self->request;
    if (!fan_request_fails(self, answers, count)) {
        fan_request_free(self);
        control_reply(request, fan_rows(answers, count));
    }
}

void handlers_pm2_backups(void *context, struct control_request *request)
{
    json_t *args = json_object();
    fan_request_begin(context, request, "pm2 backups", MANAGER, args, on_versions);
    json_decref(args);
}

/* A first word that is no number is a name. False: it is a number that is none of a version. */
static bool split_version(json_t *args)
{
    const char *text = doc_get_text(args, "version", NULL);
    json_t *names = json_object_get(args, "name");
    if (text == NULL || strspn(text, "0123456789") == strlen(text)) {
        return text == NULL || (strlen(text) > 0 && strlen(text) <= 18);
    }
    json_t *all = json_pack("[s]", text);
    (void)json_array_extend(all, names);
    (void)json_object_set_new(args, "name", all);
    (void)json_object_del(args, "version");
    return true;
}

static void on_restored(void *context, const struct fan_answer *answers, size_t count)
{
    struct fan_request *self = context;
    if (!fan_request_fails(self, answers, count)) {
        on_changed(self, answers, count);
    }
}

void handlers_pm2_reinstate(void *context, struct control_request *request)
{
    json_t *args = json_copy(doc_writable(control_request_args(request)));
    if (control_arg_text(request, "node") == NULL) {
        control_fail(request, "invalid", EXIT_USAGE, "understudy pm2 restore --node NODE",
                     "say --node NODE: a list is restored on one node");
    } else if (!split_version(args)) {
        control_fail(request, "invalid", EXIT_USAGE, "see `understudy pm2 backups`",
                     "no version has that number");
    } else {
        (void)json_object_del(args, "node");
        fan_request_begin(context, request, "pm2 restore", MANAGER, args, on_restored);
    }
    json_decref(args);
}
