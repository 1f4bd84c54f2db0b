#include "managers/pm2/verbs/versions.h"

#include "managers/pm2/lists/lists.h"
#include "managers/pm2/lists/restore.h"
#include "managers/pm2/verbs/verbs.h"
#include "node/base/doc.h"

#include <stdlib.h>
#include <string.h>

/* A restore under way. */
struct restoring {
    struct pm2 *pm2;
    uint64_t id; /* of the command */
    struct home *home;
    json_t *args;
    json_t *entries; /* of the version */
    json_t *rows;    /* the answer so far */
    size_t next;     /* name */
};

/* ---- pm2 backups ---- */

static void add_versions(json_t *ret, const struct home *home)
{
    json_t *versions = lists_versions(home->lists);
    size_t index;
    json_t *version;
    json_array_foreach(versions, index, version)
    {
        (void)json_object_set_new(version, "kind", json_string("version"));
        (void)json_object_set_new(version, "home", doc_text(god_home(home->god)));
        (void)json_array_append(ret, version);
    }
    json_decref(versions);
}

static void answer_versions(struct pm2 *self, uint64_t id)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < self->home_count; i++) {
        add_versions(rows, &self->homes[i]);
    }
    runtime_answer(self->runtime, id, rows);
}

/* ---- pm2 restore ---- */

static void destroy(struct restoring *self)
{
    self->pm2->restoring = NULL;
    json_decref(self->args);
    json_decref(self->entries);
    json_decref(self->rows);
    free(self);
}

static void add_row(struct restoring *self, const char *name, json_t *ok, const char *text)
{
    (void)json_array_append_new(self->rows,
                                json_pack("{ss so so so so}", "kind", "process", "home",
                                          doc_text(god_home(self->home->god)), "name",
                                          doc_text(name), "ok", ok, "text", doc_text(text)));
}

static void add_report(struct restoring *self, const json_t *report)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(report, "prepared"), index, row)
    {
        add_row(self, json_string_value(row), json_true(), "prepared");
    }
    json_array_foreach(json_object_get(report, "failed"), index, row)
    {
        add_row(self, doc_get_text(row, "name", ""), json_false(), doc_get_text(row, "why", ""));
    }
    int64_t present = doc_get_integer(report, "present", 0);
    if (present > 0) {
        char text[REASON_SIZE];
        (void)snprintf(text, sizeof text, "%lld of these were there already, and are left alone",
                       (long long)present);
        (void)json_array_append_new(self->rows, json_pack("{ss so so}", "kind", "home", "home",
                                                          doc_text(god_home(self->home->god)),
                                                          "text", doc_text(text)));
    }
}

static void go_on(struct restoring *self);

static void on_restored(void *context, const json_t *report, const char *why)
{
    struct restoring *self = context;
    add_report(self, report);
    if (why[0] != '\0' && json_array_size(json_object_get(report, "failed")) == 0) {
        add_row(self, NULL, json_false(), why);
    }
    go_on(self);
}

static const char *code_of(int rc)
{
    switch (rc) {
    case ERR_NOTFOUND:
        return "not_found";
    case ERR_BUSY:
        return "busy";
    case ERR_DENIED:
    case ERR_CLOSED:
        return "precondition";
    default:
        return "failed";
    }
}

/* The next name, or all of the version when none was given. What cannot even begin ends it. */
static void go_on(struct restoring *self)
{
    const json_t *names = json_object_get(self->args, "name");
    struct err err = {0};
    bool all = names == NULL && self->next == 0;
    const char *name = json_string_value(json_array_get(names, self->next));
    if (!all && self->next >= json_array_size(names)) {
        runtime_answer(self->pm2->runtime, self->id, json_incref(self->rows));
        destroy(self);
        return;
    }
    self->next++;
    int rc = restore_begin(self->home, self->entries, name, true, on_restored, self, &err);
    if (rc != 0 && json_array_size(self->rows) > 0) {
        add_row(self, name, json_false(), err.msg);
        go_on(self);
    } else if (rc != 0) {
        runtime_refuse(self->pm2->runtime, self->id, code_of(rc), "%s", err.msg);
        destroy(self);
    }
}

/* The one that is meant; NULL: it was refused. */
static struct home *home_of(struct pm2 *self, uint64_t id, const json_t *args)
{
    const char *path = doc_get_text(args, "home", NULL);
    for (size_t i = 0; path != NULL && i < self->home_count; i++) {
        if (strcmp(god_home(self->homes[i].god), path) == 0) {
            return &self->homes[i];
        }
    }
    if (path != NULL) {
        runtime_refuse(self->runtime, id, "not_found", "no PM2 home %.200s is watched here", path);
    } else if (self->home_count != 1) {
        runtime_refuse(self->runtime, id, "precondition", "%zu PM2 homes are here: say --home PATH",
                       self->home_count);
    }
    return path == NULL && self->home_count == 1 ? self->homes : NULL;
}

static void restore(struct pm2 *self, uint64_t id, json_t *args_take)
{
    struct home *home = home_of(self, id, args_take);
    json_t *entries = NULL;
    struct err err = {0};
    if (home == NULL) {
        json_decref(args_take);
        return;
    }
    int64_t version = strtoll(doc_get_text(args_take, "version", "0"), NULL, 10);
    int rc = self->restoring != NULL ? err_set(&err, ERR_BUSY, "another restore is under way here")
                                     : lists_rows(home->lists, version, &entries, &err);
    struct restoring *restoring = rc == 0 ? calloc(1, sizeof *restoring) : NULL;
    if (restoring == NULL) {
        runtime_refuse(self->runtime, id, code_of(rc), "%s", rc == 0 ? "out of memory" : err.msg);
        json_decref(entries);
        json_decref(args_take);
        return;
    }
    *restoring = (struct restoring){.pm2 = self,
                                    .id = id,
                                    .home = home,
                                    .args = args_take,
                                    .entries = entries,
                                    .rows = json_array()};
    self->restoring = restoring;
    verbs_tell(self, "restore", args_take, json_array_size(entries));
    go_on(restoring);
}

bool versions_take(struct pm2 *self, const struct manager_command *command)
{
    if (strcmp(command->verb, "pm2 backups") == 0) {
        answer_versions(self, command->id);
    } else if (strcmp(command->verb, "pm2 restore") == 0) {
        restore(self, command->id, answer_args(command));
    } else {
        return false;
    }
    return true;
}

void versions_end(struct pm2 *self)
{
    struct restoring *restoring = self->restoring;
    if (restoring != NULL) {
        restore_drop(restoring->home); /* it calls nobody */
        runtime_refuse(self->runtime, restoring->id, "timed_out",
                       "the homes of PM2 were configured anew meanwhile");
        destroy(restoring);
    }
}
