#include "managers/pm2/verbs/adopt.h"

#include "managers/pm2/ecosystem/propose.h"
#include "managers/pm2/ecosystem/world.h"
#include "managers/pm2/revive/proc.h"
#include "managers/pm2/verbs/look.h"
#include "node/base/doc.h"

#include <string.h>

static json_t *known_of(const struct settings *settings)
{
    json_t *primaries = json_array();
    json_t *backups = json_array();
    for (size_t i = 0; i < settings->primary_count; i++) {
        (void)json_array_append_new(primaries, doc_text(settings->primaries[i].name));
    }
    for (size_t i = 0; i < settings->backup_count; i++) {
        (void)json_array_append_new(
            backups, json_pack("{so so}", "name", doc_text(settings->backups[i].name),
                               "stands_in_for", doc_text(settings->backups[i].stands_in_for)));
    }
    return json_pack("{so so}", "primaries", primaries, "backups", backups);
}

/* What the app has of its own: PM2 lays it over the environment of the shell that called it, which
 * the daemon has too, mostly. */
static json_t *own_environment(const json_t *env, const char *daemons, size_t length)
{
    json_t *ret = json_object();
    const char *name;
    json_t *value;
    json_object_foreach(doc_writable(env), name, value)
    {
        const char *text = json_string_value(value);
        const char *other = proc_variable(daemons, length, name);
        bool inherited = text != NULL && other != NULL && strcmp(text, other) == 0;
        if (!inherited || strcmp(name, "NODE_ENV") == 0) {
            (void)json_object_set(ret, name, value);
        }
    }
    return ret;
}

/* pm2_env of each row of PM2's list. */
static json_t *apps_of(const json_t *list, int64_t daemon_pid)
{
    size_t length = 0;
    const char *daemons = proc_environment(daemon_pid, &length);
    json_t *ret = json_array();
    size_t index;
    json_t *row;
    json_array_foreach(doc_writable(list), index, row)
    {
        json_t *app = json_copy(json_object_get(row, "pm2_env"));
        if (json_is_object(app)) {
            json_t *env = own_environment(json_object_get(app, "env"), daemons, length);
            (void)json_object_set_new(app, "env", env);
            (void)json_array_append(ret, app);
        }
        json_decref(app);
    }
    return ret;
}

static void add_home(json_t *rows, const struct look_home *home,
                     const struct propose_context *context)
{
    size_t index;
    json_t *row;
    json_t *apps = apps_of(home->list, doc_get_integer(home->daemon, "pid", 0));
    json_t *proposed = propose(apps, context);
    json_array_foreach(proposed, index, row)
    {
        (void)json_object_set_new(row, "home", doc_text(home->home));
    }
    (void)json_array_extend(rows, proposed);
    json_decref(proposed);
    json_decref(apps);
}

static void on_looked(struct pm2 *self, struct look *look)
{
    char zone[64];
    json_t *known = known_of(self->settings);
    json_t *rows = json_array();
    const struct propose_context context = {
        .known = known, .zone = world_zone(zone, sizeof zone) ? zone : NULL, .listed = true};
    for (size_t i = 0; i < look->count; i++) {
        const struct look_home *home = &look->homes[i];
        if (home->list == NULL) {
            (void)json_object_set_new(home->daemon, "text", doc_text(home->why));
            (void)json_array_append(rows, home->daemon);
        } else {
            add_home(rows, home, &context);
        }
    }
    json_decref(known);
    runtime_answer(self->runtime, look->id, rows);
}

bool adopt_take(struct pm2 *self, const struct manager_command *command)
{
    if (strcmp(command->verb, "pm2 adopt") != 0) {
        return false;
    }
    look_begin(self, command->id, answer_args(command), on_looked);
    return true;
}
