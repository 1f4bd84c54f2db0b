/* Commands: `primary list` and `backup list`, from our own eyes and the others' observations; the
 * rest is answered where it is done. */
#include "managers/pm2/pm2.h"

#include "managers/pm2/revive/revive.h"
#include "managers/pm2/verbs/verbs.h"
#include "managers/run/engine.h"
#include "node/base/clock.h"
#include "node/base/doc.h"

#include <string.h>

static void fill_age(json_t *row, const char *node, int64_t age_ms)
{
    (void)json_object_set_new(row, "node", doc_text(node));
    (void)json_object_set_new(row, "age_ms", json_integer(age_ms));
}

/* The rows of one list of every node that told something, with node and age added. */
static json_t *collect(const struct pm2 *self, const char *list, int64_t now_ms)
{
    json_t *ret = json_array();
    json_t *own = observe_document(self, now_ms);
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(own, list), index, row)
    {
        fill_age(row, self->configure.node, 0);
        (void)json_array_append(ret, row);
    }
    json_decref(own);
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct peer *peer = &self->peers[i];
        json_array_foreach(json_object_get(peer->document, list), index, row)
        {
            json_t *copy = json_deep_copy(row);
            fill_age(copy, peer->node, now_ms - peer->made_ms);
            if (peer->state == MANAGER_DEAD) {
                (void)json_object_set_new(copy, "state", json_string("unreachable"));
            }
            (void)json_array_append_new(ret, copy);
        }
    }
    return ret;
}

static json_t *backups_of(const struct settings *settings, const char *primary)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < settings->backup_count; i++) {
        if (strcmp(settings->backups[i].stands_in_for, primary) == 0) {
            (void)json_array_append_new(ret, doc_text(settings->backups[i].name));
        }
    }
    return ret;
}

/* Whether we run it, and whose turn it is; only the leader's manager knows that. */
static void add_guard(const struct pm2 *self, size_t position, json_t *row)
{
    const struct settings_primary *primary = &self->settings->primaries[position];
    const struct tiers *tiers = &self->tiers[position];
    bool decides = runtime_active(self->runtime) && tiers->known;
    (void)json_object_set_new(row, "guarded", json_boolean(primary->guarded));
    (void)json_object_set_new(row, "duty",
                              primary->guarded ? doc_text(primary->own.duty) : json_null());
    (void)json_object_set_new(row, "tier",
                              decides ? json_string(tier_name(tiers->now)) : json_null());
    (void)json_object_set_new(row, "why",
                              decides ? doc_text(self->tier_reasons[position]) : json_null());
}

/* One row per primary and node that has it; one row with node null when none is known to. */
static json_t *list_primaries(const struct pm2 *self, int64_t now_ms)
{
    json_t *ret = json_array();
    json_t *rows = collect(self, "primaries", now_ms);
    for (size_t i = 0; i < self->settings->primary_count; i++) {
        const char *name = self->settings->primaries[i].name;
        bool any = false;
        size_t index;
        json_t *row;
        json_array_foreach(rows, index, row)
        {
            if (strcmp(doc_get_text(row, "name", ""), name) == 0 &&
                strcmp(doc_get_text(row, "state", ""), "elsewhere") != 0) {
                (void)json_object_set_new(row, "backups", backups_of(self->settings, name));
                add_guard(self, i, row);
                (void)json_array_append(ret, row);
                any = true;
            }
        }
        if (!any) {
            json_t *nowhere = json_pack("{so sn ss so}", "name", doc_text(name), "node", "state",
                                        "unknown", "backups", backups_of(self->settings, name));
            add_guard(self, i, nowhere);
            (void)json_array_append_new(ret, nowhere);
        }
    }
    json_decref(rows);
    return ret;
}

static const char *mode_name(enum settings_mode mode)
{
    return mode == SETTINGS_STANDBY ? "standby" : mode == SETTINGS_ALWAYS ? "always" : "cron";
}

static json_t *describe_backup(const struct pm2 *self, size_t index, json_t *rows, json_t *runs)
{
    const struct settings_backup *backup = &self->settings->backups[index];
    const struct choice *choice = &self->choices[index];
    bool decides = runtime_active(self->runtime) && choice->known;
    json_t *ret = json_pack(
        "{so so so ss ss sn ss so so}", "name", doc_text(backup->name), "duty",
        doc_text(backup->duty), "stands_in_for", doc_text(backup->stands_in_for), "mode",
        mode_name(backup->mode), "tier", backup->enhanced ? "enhanced" : "standard", "node",
        "state", "waiting", "wanted", decides ? json_boolean(choice->wanted) : json_null(), "why",
        doc_text(choice->reason));
    size_t i;
    json_t *row;
    if (backup->mode == SETTINGS_CRON) {
        cron_describe(self, backup, runs, ret);
    }
    json_array_foreach(rows, i, row)
    {
        if (strcmp(doc_get_text(row, "name", ""), backup->name) == 0) {
            (void)json_object_update(ret, row);
            break;
        }
    }
    return ret;
}

static json_t *list_backups(const struct pm2 *self, int64_t now_ms)
{
    json_t *ret = json_array();
    json_t *rows = collect(self, "backups", now_ms);
    json_t *runs = collect(self, "runs", now_ms);
    for (size_t i = 0; i < self->settings->backup_count; i++) {
        (void)json_array_append_new(ret, describe_backup(self, i, rows, runs));
    }
    json_decref(rows);
    json_decref(runs);
    return ret;
}

json_t *answer_args(const struct manager_command *command)
{
    static const struct mp_limits limits = {
        .bytes = MANAGER_FIELDS_BYTES_MAX, .elements = 512, .depth = 3};
    json_t *args = NULL;
    if (command->args.data == NULL ||
        doc_from_msgpack(command->args.data, command->args.length, &limits, &args, NULL) != 0) {
        args = json_object();
    }
    return args;
}

/* Of the node, when the leader says that what failed here is to be tried again. */
static void retry_duty(struct pm2 *self, const struct manager_command *command)
{
    json_t *args = answer_args(command);
    if (carry_retry(self, doc_get_text(args, "duty", ""))) {
        runtime_answer(self->runtime, command->id, json_object());
    } else {
        runtime_refuse(self->runtime, command->id, "not_found", "the duty is not granted here");
    }
    json_decref(args);
}

/* Of the node, when the leader says that what ails here is to be mended: a PM2 daemon, or a
 * primary. */
static void mend(struct pm2 *self, const struct manager_command *command)
{
    struct err err = {0};
    json_t *args = answer_args(command);
    const char *name = doc_get_text(args, "name", "");
    bool daemon = strncmp(name, REVIVE_PREFIX, strlen(REVIVE_PREFIX)) == 0;
    int rc = daemon ? revive_order(self, name, &err)
                    : mend_order(self, name, (uint64_t)doc_get_integer(args, "attempt", 0), &err);
    if (rc == 0) {
        runtime_answer(self->runtime, command->id, json_object());
    } else {
        runtime_refuse(self->runtime, command->id, rc == ERR_NOTFOUND ? "not_found" : "refused",
                       "%s", err.msg);
    }
    json_decref(args);
}

void answer_command(struct pm2 *self, const struct manager_command *command)
{
    int64_t now_ms = clock_boot_ms();
    if (strcmp(command->verb, "primary list") == 0) {
        runtime_answer(self->runtime, command->id, list_primaries(self, now_ms));
    } else if (strcmp(command->verb, "backup list") == 0) {
        runtime_answer(self->runtime, command->id, list_backups(self, now_ms));
    } else if (strcmp(command->verb, "duty retry") == 0) {
        retry_duty(self, command);
    } else if (strcmp(command->verb, "mend") == 0) {
        mend(self, command);
    } else if (!verbs_take(self, command) && !run_command(self->run, command)) {
        runtime_refuse(self->runtime, command->id, "unknown_verb", "the pm2 manager has no \"%s\"",
                       command->verb);
    }
}
