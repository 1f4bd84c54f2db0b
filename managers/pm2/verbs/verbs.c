#include "managers/pm2/verbs/verbs.h"

#include "managers/pm2/verbs/adopt.h"
#include "managers/pm2/verbs/change.h"
#include "managers/pm2/verbs/look.h"
#include "managers/pm2/verbs/output.h"
#include "managers/pm2/verbs/rows.h"
#include "managers/pm2/verbs/versions.h"
#include "node/base/doc.h"

#include <string.h>

/* ---- pm2 list ---- */

static void tell_left_out(json_t *daemon, size_t left_out, const char *why)
{
    char text[REASON_SIZE];
    if (why[0] != '\0') {
        (void)json_object_set_new(daemon, "text", doc_text(why));
    } else if (left_out > 0) {
        (void)snprintf(text, sizeof text, "%zu processes are left out", left_out);
        (void)json_object_set_new(daemon, "text", doc_text(text));
    }
}

/* The daemons come first. */
static void on_looked(struct pm2 *self, struct look *look)
{
    const json_t *names = json_object_get(look->args, "name");
    json_t *processes = json_array();
    json_t *rows = json_array();
    for (size_t i = 0; i < look->count; i++) {
        struct look_home *home = &look->homes[i];
        size_t left_out = home->list == NULL ? 0
                                             : rows_of_list(self->settings, home->home, home->list,
                                                            names, processes);
        tell_left_out(home->daemon, left_out, home->why);
        if (names == NULL || home->list == NULL) {
            (void)json_array_append(rows, home->daemon);
        }
    }
    (void)json_array_extend(rows, processes);
    json_decref(processes);
    runtime_answer(self->runtime, look->id, rows);
}

/* ---- what is recorded ---- */

void verbs_tell(struct pm2 *self, const char *verb, const json_t *args, size_t processes)
{
    const char *who = doc_get_text(args, "who", "?");
    const json_t *names = json_object_get(args, "name");
    const char *first = json_string_value(json_array_get(names, 0));
    json_t *fields = json_pack("{so ss sO* sI}", "who", doc_text(who), "verb", verb, "names",
                               doc_writable(names), "processes", (json_int_t)processes);
    struct mp_writer writer;
    struct manager_document document = {0};
    mp_writer_init(&writer, MANAGER_FIELDS_BYTES_MAX);
    if (doc_to_msgpack(fields, &writer, NULL) == 0) {
        document =
            (struct manager_document){.data = writer.buffer.data, .length = writer.buffer.length};
    }
    runtime_event(self->runtime, MANAGER_INFO, "pm2.command", &document,
                  "%s asks: pm2 %s%s%.80s%s, processes here: %zu", who, verb,
                  first == NULL ? "" : " ", first == NULL ? "" : first,
                  json_array_size(names) > 1 ? " and more" : "", processes);
    journal_write(self, verb, first == NULL ? "-" : first, who);
    mp_writer_deinit(&writer);
    json_decref(fields);
}

/* ---- all ---- */

bool verbs_take(struct pm2 *self, const struct manager_command *command)
{
    if (strcmp(command->verb, "pm2 list") == 0) {
        look_begin(self, command->id, answer_args(command), on_looked);
        return true;
    }
    return adopt_take(self, command) || output_take(self, command) ||
           versions_take(self, command) || change_take(self, command);
}

void verbs_run(struct pm2 *self, int64_t now_ms)
{
    change_run(self, now_ms);
}

void verbs_end(struct pm2 *self)
{
    change_end(self);
    versions_end(self);
}
