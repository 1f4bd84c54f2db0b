/* What this node's manager sees, for the leader's: and what the others have told. Durations only,
 * no times: the clocks of two nodes do not agree. */
#include "managers/pm2/pm2.h"
#include "managers/pm2/revive/revive.h"

#include "managers/run/engine.h"
#include "node/base/clock.h"
#include "node/base/doc.h"

#include <string.h>

#define OBSERVATION_VERSION 1
#define AILING_MAX 32 /* rows, when there is not room for all */
#define RUNS_MAX 64   /* rows; the rest is counted */

static json_t *describe_home(const struct home *home, int64_t now_ms)
{
    const struct detect *detect = &home->detect;
    int64_t verified_ms = detect->verified_ms > 0 ? now_ms - detect->verified_ms : -1;
    return json_pack(
        "{so ss so sI so so so sI sI}", "home", doc_text(god_home(home->god)), "state",
        god_state_name(god_state(home->god)), "version", doc_text(god_version(home->god)), "pid",
        (json_int_t)god_pid(home->god), "why", doc_text(god_why(home->god)), "memory_bytes",
        doc_count_or_null(detect->memory_bytes), "verified_for_ms", doc_count_or_null(verified_ms),
        "verified", (json_int_t)detect->verified, "mistaken", (json_int_t)detect->mistaken);
}

static json_t *describe_watch(const struct pm2 *self, const struct watch *watch, int64_t now_ms)
{
    const struct settings_primary *primary =
        &self->settings->primaries[watch - self->watches]; /* in the same order */
    const struct watch_use *use = &watch->use;
    bool over = primary->memory_bytes > 0 && use->memory_bytes > primary->memory_bytes;
    bool over_cpu = primary->cpu_percent > 0 && use->cpu_percent > (double)primary->cpu_percent;
    int64_t uptime_ms = watch->started_wall_ms > 0 && process_lives(&watch->process)
                            ? clock_wall_ms() - watch->started_wall_ms
                            : -1;
    return json_pack("{so ss sI so ss sI so so so sb sb sb sb so}", "name", doc_text(watch->name),
                     "state", watch_state_name(watch->state), "for_ms",
                     (json_int_t)(now_ms - watch->since_ms), "reason", doc_text(watch->reason),
                     "status", watch->listed ? entry_status_name(watch->status) : "not listed",
                     "restarts", (json_int_t)watch->restarts, "pid",
                     doc_count_or_null(watch->process.pidfd >= 0 ? watch->process.pid : -1),
                     "memory_bytes", doc_count_or_null(use->memory_bytes), "cpu_percent",
                     use->cpu_percent < 0 ? json_null() : doc_rounded(use->cpu_percent, 1),
                     "over_memory", over, "over_cpu", over_cpu, "ours", watch->ours, "critical",
                     primary->critical, "uptime_ms", doc_count_or_null(uptime_ms));
}

static json_t *describe_slot(const struct slot *slot, int64_t now_ms)
{
    bool lives = process_lives(&slot->guard);
    return json_pack("{so so sI ss sI so sI so so sb}", "name", doc_text(slot->duty + 4), "duty",
                     doc_text(slot->duty), "assignment", (json_int_t)slot->assignment, "state",
                     slot->told ? manager_duty_phase_name(slot->phase) : "starting", "for_ms",
                     (json_int_t)(now_ms - slot->phase_since_ms), "reason", doc_text(slot->detail),
                     "restarts", (json_int_t)slot->restarts, "pid",
                     doc_count_or_null(lives ? slot->guard.pid : -1), "memory_bytes",
                     doc_count_or_null(slot->memory_bytes), "leaving", slot->revoking);
}

json_t *observe_document(const struct pm2 *self, int64_t now_ms)
{
    json_t *homes = json_array();
    json_t *primaries = json_array();
    json_t *backups = json_array();
    size_t left_out;
    json_t *runs = run_rows(self->run, now_ms, RUNS_MAX, &left_out);
    for (size_t i = 0; i < self->home_count; i++) {
        (void)json_array_append_new(homes, describe_home(&self->homes[i], now_ms));
    }
    for (size_t i = 0; i < self->watch_count; i++) {
        (void)json_array_append_new(primaries, describe_watch(self, &self->watches[i], now_ms));
    }
    for (size_t i = 0; i < PM2_SLOTS_MAX; i++) {
        if (self->slots[i].used && strncmp(self->slots[i].duty, "pm2/", 4) == 0) {
            (void)json_array_append_new(backups, describe_slot(&self->slots[i], now_ms));
        }
    }
    return json_pack("{si so sb so so so so so sI sI}", "v", OBSERVATION_VERSION, "node",
                     doc_text(self->configure.node), "can_run", pm2_can_run(self), "homes", homes,
                     "primaries", primaries, "backups", backups, "findings",
                     findings_document(&self->findings, now_ms), "runs", runs, "runs_left_out",
                     (json_int_t)left_out, "log_dropped", (json_int_t)logs_dropped(self->logs));
}

static json_t *texts_of(const char texts[][NAME_SIZE], size_t count)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(ret, doc_text(texts[i]));
    }
    return ret;
}

/* What is configured, whether it runs or not: `coverage` holds it against what runs. */
static void add_declared(const struct settings *settings, json_t *document)
{
    json_t *primaries = json_array();
    json_t *backups = json_array();
    for (size_t i = 0; i < settings->primary_count; i++) {
        const struct settings_primary *primary = &settings->primaries[i];
        (void)json_array_append_new(
            primaries, json_pack("{so sb sb so}", "name", doc_text(primary->name), "critical",
                                 primary->critical, "guarded", primary->guarded, "on",
                                 texts_of(primary->on.nodes, primary->on.count)));
    }
    for (size_t i = 0; i < settings->backup_count; i++) {
        const struct settings_backup *backup = &settings->backups[i];
        bool cron = backup->mode == SETTINGS_CRON;
        (void)json_array_append_new(
            backups, json_pack("{so so so so ss sb sb sI}", "duty", doc_text(backup->duty),
                               "stands_in_for", doc_text(backup->stands_in_for), "on",
                               texts_of(backup->on.nodes, backup->on.count), "labels",
                               texts_of(backup->labels, backup->label_count), "tier",
                               backup->enhanced ? "enhanced" : "standard", "cron", cron, "built",
                               true, "priority", (json_int_t)backup->priority));
    }
    (void)json_object_set_new(document, "primaries_declared", primaries);
    (void)json_object_set_new(document, "backups_declared", backups);
}

/* What the node's alerts, `manager show` and the next leader's manager read. */
static void add_decisions(const struct pm2 *self, json_t *document, int64_t now_ms)
{
    bool shadow = self->configure.shadow;
    if (runtime_active(self->runtime)) {
        (void)json_object_set_new(document, "held", choose_held(self, now_ms));
        (void)json_object_set_new(document, "conditions", choose_conditions(self, now_ms));
        (void)json_object_set_new(document, "tiers", choose_tiers(self, now_ms));
        (void)json_object_set_new(document, "term",
                                  json_integer((json_int_t)runtime_term(self->runtime)));
    }
    if (shadow || shadow_count(&self->shadow).decided > 0) {
        (void)json_object_set_new(document, "shadow",
                                  shadow_document(&self->shadow, shadow, now_ms));
    }
}

/* Of a primary: for people, and null where a node with very many of them left them out. */
static const char *const figures[] = {"memory_bytes", "cpu_percent", "uptime_ms", "over_memory",
                                      "over_cpu",     "restarts",    "pid"};
#define FIGURE_COUNT (sizeof figures / sizeof figures[0])

/* What ails is mended one by one: the rest comes when the first ones are well. */
static void leave_figures_out(json_t *document)
{
    json_t *ailing = json_object_get(document, "ailing");
    while (json_array_size(ailing) > AILING_MAX) {
        (void)json_array_remove(ailing, json_array_size(ailing) - 1);
    }
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(document, "primaries"), index, row)
    {
        for (size_t i = 0; i < FIGURE_COUNT; i++) {
            (void)json_object_del(row, figures[i]);
        }
    }
}

static void fill_figures_in(json_t *document)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(document, "primaries"), index, row)
    {
        for (size_t i = 0; i < FIGURE_COUNT; i++) {
            if (json_object_get(row, figures[i]) == NULL) {
                (void)json_object_set_new(row, figures[i], json_null());
            }
        }
    }
}

void observe_send(struct pm2 *self, int64_t now_ms)
{
    self->observe_now = false;
    self->observed_ms = now_ms;
    json_t *document = observe_document(self, now_ms);
    struct err err = {0};
    json_t *ailing = mend_document(self);
    revive_document(self, now_ms, &ailing);
    if (ailing != NULL) {
        (void)json_object_set_new(document, "ailing", ailing);
    }
    add_decisions(self, document, now_ms);
    add_declared(self->settings, document);
    int rc = runtime_observe_document(self->runtime, document, &err);
    static const char *const spare[] = {"shadow", "backups_declared", "primaries_declared"};
    for (size_t i = 0; rc == ERR_FULL && i < sizeof spare / sizeof spare[0]; i++) {
        (void)json_object_del(document, spare[i]); /* what others decide by goes first */
        rc = runtime_observe_document(self->runtime, document, &err);
    }
    if (rc == ERR_FULL) {
        leave_figures_out(document);
        rc = runtime_observe_document(self->runtime, document, &err);
    }
    if (rc != 0) {
        runtime_log(MANAGER_WARN, "observation not sent: %s", err.msg);
    }
    json_decref(document);
}

/* ---- the others ---- */

static struct peer *peer_of(struct pm2 *self, const char *node)
{
    struct peer *empty = NULL;
    for (size_t i = 0; i < NODES_MAX; i++) {
        struct peer *peer = &self->peers[i];
        if (peer->used && strcmp(peer->node, node) == 0) {
            return peer;
        }
        if (!peer->used && empty == NULL) {
            empty = peer;
        }
    }
    if (empty != NULL) {
        *empty = (struct peer){.used = true, .state_since_ms = clock_boot_ms()};
        (void)snprintf(empty->node, sizeof empty->node, "%s", node);
    }
    return empty;
}

static void set_member_state(struct peer *peer, enum manager_member_state state, int64_t since_ms)
{
    peer->state = state;
    peer->state_since_ms = since_ms;
}

void observe_peer(struct pm2 *self, const struct manager_peer_observation *observation)
{
    static const struct mp_limits limits = {
        .bytes = MANAGER_OBSERVATION_BYTES_MAX, .elements = 16384, .depth = 6};
    if (strcmp(observation->node, self->configure.node) == 0) {
        return; /* our own eyes are better */
    }
    struct peer *peer = peer_of(self, observation->node);
    json_t *document = NULL;
    struct err err = {0};
    if (peer == NULL || observation->document.data == NULL) {
        return;
    }
    if (doc_from_msgpack(observation->document.data, observation->document.length, &limits,
                         &document, &err) != 0 ||
        doc_get_integer(document, "v", 0) != OBSERVATION_VERSION) {
        runtime_log(MANAGER_WARN, "observation of %s skipped: %s", observation->node,
                    err.code != 0 ? err.msg : "another version");
        json_decref(document);
        return;
    }
    int64_t now_ms = clock_boot_ms();
    json_decref(peer->document);
    fill_figures_in(document);
    peer->document = document;
    peer->adopted = false;
    peer->made_ms = now_ms - observation->age_ms;
    if (peer->state != observation->state) {
        set_member_state(peer, observation->state, now_ms);
    }
}

void observe_members(struct pm2 *self, const struct manager_members *members)
{
    int64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < NODES_MAX; i++) {
        self->peers[i].member = false;
    }
    for (size_t i = 0; i < members->count; i++) {
        const struct manager_member *member = &members->members[i];
        struct peer *peer = peer_of(self, member->name);
        if (peer != NULL) {
            peer->member = true;
            set_member_state(peer, member->state, now_ms - member->since_ms);
        }
    }
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (self->peers[i].used && !self->peers[i].member) {
            json_decref(self->peers[i].document);
            self->peers[i] = (struct peer){0};
        }
    }
}

const json_t *observe_row(const json_t *document, const char *list, const char *name)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(document, list), index, row)
    {
        if (strcmp(doc_get_text(row, "name", ""), name) == 0) {
            return row;
        }
    }
    return NULL;
}
