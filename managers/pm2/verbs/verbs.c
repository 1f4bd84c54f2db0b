#include "managers/pm2/verbs/verbs.h"

#include "managers/pm2/verbs/change.h"
#include "managers/pm2/verbs/look.h"
#include "managers/pm2/verbs/output.h"
#include "managers/pm2/verbs/rows.h"
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
    answer_send(self, look->id, rows);
}

/* ---- all ---- */

bool verbs_take(struct pm2 *self, const struct manager_command *command)
{
    if (strcmp(command->verb, "pm2 list") == 0) {
        look_begin(self, command->id, answer_args(command), on_looked);
        return true;
    }
    return output_take(self, command) || change_take(self, command);
}

void verbs_run(struct pm2 *self, int64_t now_ms)
{
    change_run(self, now_ms);
}

void verbs_end(struct pm2 *self)
{
    change_end(self);
}
