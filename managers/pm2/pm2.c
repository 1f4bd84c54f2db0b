/* The PM2 manager: watches on every node, decides on the acting leader's, runs granted backups. */
#include "managers/pm2/pm2.h"

#include "node/base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- lists ---- */

static void ask_for_list(struct home *home, int64_t now_ms);

static void on_list_due(void *context)
{
    struct home *home = context;
    home->list_timer = 0;
    ask_for_list(home, clock_boot_ms());
}

static void cancel_list_timer(struct home *home)
{
    if (home->list_timer > 0) {
        runtime_timer_cancel(home->pm2->runtime, home->list_timer);
        home->list_timer = 0;
    }
}

/* A take-over is a chain of lists and requests: none of them waits for the tick. */
static void set_list_timer(struct home *home)
{
    if (home->list_timer > 0 && home->list_timer_ms <= home->next_list_ms) {
        return;
    }
    cancel_list_timer(home);
    int64_t delay_ms = home->next_list_ms - clock_boot_ms();
    int id =
        runtime_timer(home->pm2->runtime, delay_ms < 0 ? 0 : delay_ms, false, on_list_due, home);
    home->list_timer = id < 0 ? 0 : id; /* without memory for it, the tick is soon enough */
    home->list_timer_ms = home->next_list_ms;
}

void pm2_list_soon(struct home *home, int64_t delay_ms)
{
    int64_t at_ms = clock_boot_ms() + delay_ms;
    if (at_ms < home->next_list_ms) {
        home->next_list_ms = at_ms;
        set_list_timer(home);
    }
}

bool pm2_can_run(const struct pm2 *self)
{
    return self->home_count > 0 && god_state(self->homes[0].god) == GOD_UP;
}

bool pm2_holds_still(const struct pm2 *self)
{
    return self->configure.shadow || runtime_paused(self->runtime);
}

static void tell_change(struct pm2 *self, const struct watch *watch,
                        enum decide_primary_state before)
{
    self->observe_now = true;
    runtime_log(MANAGER_INFO, "primary %s is %s: %s", watch->name, watch_state_name(watch->state),
                watch->reason);
    if (watch->state == DECIDE_DOWN) {
        runtime_event(self->runtime, MANAGER_WARN, "primary.down", NULL, "%s is down: %s",
                      watch->name, watch->reason);
    } else if (watch->state == DECIDE_UP && before != DECIDE_UNKNOWN) {
        runtime_event(self->runtime, MANAGER_INFO, "primary.up", NULL, "%s is up", watch->name);
    }
}

/* The home whose daemon speaks for the primary: where it is listed, else where it was. */
static const struct home *home_for(const struct pm2 *self, const struct watch *watch)
{
    return &self->homes[watch->home < self->home_count ? watch->home : 0];
}

static void step_watch(struct pm2 *self, struct watch *watch, int64_t now_ms)
{
    const struct home *home = home_for(self, watch);
    const struct settings_primary *primary = settings_primary(self->settings, watch->name);
    enum god_state state = god_state(home->god);
    struct watch_facts facts = {
        .daemon_known = state != GOD_UNKNOWN && (state != GOD_UP || home->fresh),
        .daemon_up = state == GOD_UP && home->fresh,
        .daemon = god_state_name(state),
        .must_be_here = primary != NULL && primary->on.count > 0 &&
                        settings_on(&primary->on, self->configure.node),
    };
    enum decide_primary_state before = watch->state;
    if (watch_step(watch, facts, now_ms)) {
        tell_change(self, watch, before);
    }
}

static const struct entry *best_row(const struct home *home, const char *name)
{
    const struct entry *best = NULL;
    for (size_t i = 0; i < home->entries.count; i++) {
        const struct entry *row = &home->entries.rows[i];
        /* Several instances: the primary is as well as the best of them. */
        if (strcmp(row->name, name) == 0 && row->duty[0] == '\0' &&
            (best == NULL || row->status < best->status)) {
            best = row;
        }
    }
    return best;
}

static void take_rows(struct pm2 *self, struct home *home, int64_t now_ms)
{
    size_t index = (size_t)(home - self->homes);
    for (size_t i = 0; i < self->watch_count; i++) {
        struct watch *watch = &self->watches[i];
        const struct entry *row = best_row(home, watch->name);
        if (row != NULL) {
            watch->home = index;
            watch_row(watch, row, now_ms);
        } else if (watch->home == index) {
            watch_row(watch, NULL, now_ms);
        }
        step_watch(self, watch, now_ms);
    }
}

static void on_list(void *context, int rc, const json_t *result, const char *why)
{
    struct home *home = context;
    struct pm2 *self = home->pm2;
    int64_t now_ms = clock_boot_ms();
    struct err err = {0};
    home->pending = false;
    if (rc == 0) {
        rc = entries_read(result, &home->entries, &err);
        why = err.msg;
    }
    if (rc != 0) {
        runtime_log(MANAGER_WARN, "no list of %s: %s", god_home(home->god), why);
        return;
    }
    bool first = !home->fresh;
    home->fresh = true;
    home->answered = home->asked;
    if (home->entries.left_out > 0 && first) {
        runtime_log(MANAGER_WARN, "%zu rows of %s were left out", home->entries.left_out,
                    god_home(home->god));
    }
    take_rows(self, home, now_ms);
    if (home == self->homes) {
        carry_reconcile(self, now_ms);
    }
    if (home->next_list_ms <= clock_boot_ms()) {
        set_list_timer(home); /* wanted while this one was under way */
    }
    self->observe_now = self->observe_now || first;
}

static bool is_settling(const struct pm2 *self, const struct home *home)
{
    for (size_t i = 0; i < self->watch_count; i++) {
        if (home_for(self, &self->watches[i]) == home && watch_is_settling(&self->watches[i])) {
            return true;
        }
    }
    return home == self->homes && carry_is_settling(self);
}

static void ask_for_list(struct home *home, int64_t now_ms)
{
    if (home->pending || now_ms < home->next_list_ms || god_state(home->god) != GOD_UP) {
        return;
    }
    struct request request = {.method = REQUEST_LIST};
    int64_t pause_ms =
        is_settling(home->pm2, home) ? PM2_SETTLING_LIST_MS : home->pm2->settings->poll_ms;
    home->next_list_ms = now_ms + pause_ms;
    home->asked++;
    home->pending = god_call(home->god, &request, on_list, home, NULL) == 0;
}

/* ---- the daemons ---- */

static struct home *home_of_god(struct pm2 *self, const struct god *god)
{
    for (size_t i = 0; i < self->home_count; i++) {
        if (self->homes[i].god == god) {
            return &self->homes[i];
        }
    }
    return NULL;
}

/* Without the daemon nobody lists the processes that outlived it. A primary among them runs. */
static void look_for_orphans(struct pm2 *self, const struct home *home)
{
    for (size_t i = 0; i < self->watch_count; i++) {
        struct watch *watch = &self->watches[i];
        if (home_for(self, watch) == home && !process_lives(&watch->process)) {
            (void)process_hold(&watch->process, orphan_find(god_home(home->god), watch->name));
        }
    }
}

static void on_god_state(void *context, struct god *god, enum god_state state, const char *why)
{
    struct pm2 *self = context;
    struct home *home = home_of_god(self, god);
    self->observe_now = true;
    if (home == NULL) {
        return;
    }
    if (state == GOD_UP) {
        runtime_event(self->runtime, MANAGER_INFO, "pm2.up", NULL, "PM2 of %s answers",
                      god_home(god));
        home->next_list_ms = 0;
        return;
    }
    home->fresh = false;
    home->pending = false;
    if (state == GOD_DEAD || state == GOD_HUNG) {
        look_for_orphans(self, home);
    }
    runtime_event(self->runtime, MANAGER_ERROR, "pm2.down", NULL, "PM2 of %s is %s: %s",
                  god_home(god), god_state_name(state), why);
}

static void on_god_event(void *context, struct god *god, const char *event, const char *name)
{
    (void)event;
    (void)name;
    struct pm2 *self = context;
    struct home *home = home_of_god(self, god);
    if (home != NULL) {
        pm2_list_soon(home, 20); /* events come in groups */
    }
}

static const struct god_callbacks god_callbacks = {.state = on_god_state, .event = on_god_event};

/* ---- configuration ---- */

static void close_homes(struct pm2 *self)
{
    for (size_t i = 0; i < self->home_count; i++) {
        cancel_list_timer(&self->homes[i]);
        god_destroy(&self->homes[i].god);
    }
    free(self->homes);
    self->homes = NULL;
    self->home_count = 0;
}

static int open_homes(struct pm2 *self, struct err *err)
{
    self->homes = calloc(self->settings->home_count, sizeof *self->homes);
    if (self->homes == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for the PM2 homes");
    }
    for (size_t i = 0; i < self->settings->home_count; i++) {
        struct home *home = &self->homes[i];
        home->pm2 = self;
        int rc = god_create(self->runtime, self->settings->homes[i], &god_callbacks, self,
                            &home->god, err);
        if (rc != 0) {
            return rc;
        }
        self->home_count++;
    }
    return 0;
}

static bool same_homes(const struct pm2 *self)
{
    bool same = self->home_count == self->settings->home_count;
    for (size_t i = 0; same && i < self->home_count; i++) {
        same = strcmp(god_home(self->homes[i].god), self->settings->homes[i]) == 0;
    }
    return same;
}

static bool same_watches(const struct pm2 *self)
{
    bool same = self->watch_count == self->settings->primary_count;
    for (size_t i = 0; same && i < self->watch_count; i++) {
        same = strcmp(self->watches[i].name, self->settings->primaries[i].name) == 0;
    }
    return same;
}

static void set_watches(struct pm2 *self)
{
    int64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < self->watch_count; i++) {
        watch_deinit(&self->watches[i]);
    }
    self->watch_count = self->settings->primary_count;
    for (size_t i = 0; i < self->watch_count; i++) {
        watch_init(&self->watches[i], self->settings->primaries[i].name, now_ms);
    }
    for (size_t i = 0; i < self->home_count; i++) {
        self->homes[i].next_list_ms = 0;
    }
}

static void default_home(char ret[MANAGER_PATH_SIZE])
{
    const char *pm2_home = getenv("PM2_HOME");
    const char *home = getenv("HOME");
    if (pm2_home != NULL && pm2_home[0] == '/') {
        (void)snprintf(ret, MANAGER_PATH_SIZE, "%s", pm2_home);
    } else {
        (void)snprintf(ret, MANAGER_PATH_SIZE, "%s/.pm2", home != NULL ? home : "/root");
    }
}

static int on_configure(void *context, const struct manager_configure *configure, struct err *err)
{
    struct pm2 *self = context;
    struct settings *settings = NULL;
    char home[MANAGER_PATH_SIZE];
    default_home(home);
    int rc = settings_read(&configure->section, home, &settings, err);
    if (rc != 0) {
        return rc;
    }
    if (configure->shadow && !self->configure.shadow) {
        shadow_begin(&self->shadow);
    }
    settings_destroy(&self->settings);
    self->settings = settings;
    self->configure = *configure;
    self->configure.section = (struct manager_document){0};
    bool keeps_watching = same_homes(self) && same_watches(self); /* a change of mode, say */
    if (!same_homes(self)) {
        close_homes(self);
        rc = open_homes(self, err);
    }
    choose_begin(self, clock_boot_ms());
    if (!keeps_watching) {
        set_watches(self);
    }
    for (size_t i = 0; i < self->home_count; i++) {
        pm2_list_soon(&self->homes[i], 0);
    }
    for (size_t i = 0; i < settings->backup_count; i++) {
        if (settings->backups[i].enhanced || settings->backups[i].mode == SETTINGS_CRON) {
            runtime_log(MANAGER_WARN,
                        "backup %s: enhanced tier and mode cron are not in this "
                        "version; it is not started",
                        settings->backups[i].name);
        }
    }
    return rc;
}

/* ---- the rest of what the node says ---- */

static bool on_role(void *context, bool active, uint64_t term)
{
    struct pm2 *self = context;
    runtime_log(MANAGER_INFO, "role %s term=%llu", active ? "active" : "standby",
                (unsigned long long)term);
    if (active) {
        choose_adopt(self, clock_boot_ms());
        choose_begin(self, clock_boot_ms());
        choose_step(self, clock_boot_ms());
    }
    return true; /* wishes are all that the role allows, and they are checked one by one */
}

static void on_grant(void *context, const struct manager_grant *grant)
{
    carry_grant(context, grant);
}

static void on_revoke(void *context, const struct manager_revoke *revoke)
{
    carry_revoke(context, revoke);
}

static void on_peer_observation(void *context, const struct manager_peer_observation *observation)
{
    struct pm2 *self = context;
    observe_peer(self, observation);
    if (runtime_active(self->runtime)) {
        choose_adopt(self, clock_boot_ms()); /* the leader before tells its last word late */
    }
    choose_step(self, clock_boot_ms());
}

static void on_members(void *context, const struct manager_members *members)
{
    observe_members(context, members);
    choose_step(context, clock_boot_ms());
}

static void on_command(void *context, const struct manager_command *command)
{
    answer_command(context, command);
}

static void on_paused(void *context, bool paused)
{
    struct pm2 *self = context;
    runtime_log(MANAGER_INFO, paused ? "paused" : "resumed");
    for (size_t i = 0; i < self->home_count; i++) {
        pm2_list_soon(&self->homes[i], 0); /* what was not started meanwhile */
    }
}

/* 100 for all well; the share of processes that run as they should. */
static void fill_score(const struct pm2 *self, struct manager_heartbeat *ret)
{
    unsigned total = 0;
    unsigned well = 0;
    for (size_t i = 0; i < self->watch_count; i++) {
        enum decide_primary_state state = self->watches[i].state;
        if (state != DECIDE_ELSEWHERE && state != DECIDE_UNKNOWN) {
            total++;
            well += state == DECIDE_UP;
        }
    }
    for (size_t i = 0; i < PM2_SLOTS_MAX; i++) {
        const struct slot *slot = &self->slots[i];
        if (slot->used && slot->told && !slot->revoking) {
            total++;
            well += slot->phase == MANAGER_DUTY_RUNNING;
        }
    }
    ret->score_known = pm2_can_run(self) || total > 0;
    ret->score = total > 0 ? 100.0 * well / total : 100.0;
}

static void on_heartbeat(void *context, struct manager_heartbeat *ret)
{
    struct pm2 *self = context;
    bool can_run = pm2_can_run(self);
    ret->capability = can_run ? 100 : 0;
    ret->degraded = !can_run;
    fill_score(self, ret);
    if (can_run) {
        (void)snprintf(ret->state, sizeof ret->state, "PM2 %.32s", god_version(self->homes[0].god));
        return;
    }
    const struct god *god = self->home_count > 0 ? self->homes[0].god : NULL;
    (void)snprintf(ret->state, sizeof ret->state, "PM2 daemon %s",
                   god != NULL ? god_state_name(god_state(god)) : "unknown");
    ret->input_count = 1;
    (void)snprintf(ret->inputs[0], sizeof ret->inputs[0], "pm2");
}

static void on_stop(void *context)
{
    /* Backups go on: their grants and guards are the node's business, not ours. */
    (void)context;
}

/* ---- time ---- */

static void sample(struct pm2 *self, int64_t now_ms)
{
    self->sampled_ms = now_ms;
    for (size_t i = 0; i < self->watch_count; i++) {
        process_sample(&self->watches[i].process, now_ms, &self->watches[i].usage);
    }
    carry_sample(self, now_ms);
}

static void on_tick(void *context)
{
    struct pm2 *self = context;
    int64_t now_ms = clock_boot_ms();
    if (self->settings == NULL) {
        return;
    }
    for (size_t i = 0; i < self->home_count; i++) {
        ask_for_list(&self->homes[i], now_ms);
    }
    for (size_t i = 0; i < self->watch_count; i++) {
        /* The end of a process shows here, before PM2 tells. */
        step_watch(self, &self->watches[i], now_ms);
    }
    if (!pm2_can_run(self)) {
        carry_reconcile(self, now_ms);
    }
    if (now_ms - self->sampled_ms >= PM2_SAMPLE_MS) {
        sample(self, now_ms);
    }
    choose_step(self, now_ms);
    if (self->observe_now || now_ms - self->observed_ms >= PM2_OBSERVE_MS) {
        observe_send(self, now_ms);
    }
}

static void deinit(struct pm2 *self)
{
    close_homes(self);
    for (size_t i = 0; i < self->watch_count; i++) {
        watch_deinit(&self->watches[i]);
    }
    for (size_t i = 0; i < PM2_SLOTS_MAX; i++) {
        if (self->slots[i].used) {
            process_drop(&self->slots[i].guard);
        }
    }
    for (size_t i = 0; i < NODES_MAX; i++) {
        json_decref(self->peers[i].document);
    }
    settings_destroy(&self->settings);
    runtime_destroy(&self->runtime);
}

int main(void)
{
    static const struct runtime_callbacks callbacks = {
        .configure = on_configure,
        .role = on_role,
        .grant = on_grant,
        .revoke = on_revoke,
        .peer_observation = on_peer_observation,
        .members = on_members,
        .command = on_command,
        .paused = on_paused,
        .heartbeat = on_heartbeat,
        .stop = on_stop,
    };
    static struct pm2 self;
    struct err err = {0};
    self.started_ms = clock_boot_ms();
    if (runtime_create("pm2", UNDERSTUDY_VERSION, &callbacks, &self, &self.runtime, &err) != 0) {
        runtime_log(MANAGER_ERROR, "%s", err.msg);
        return 1;
    }
    int code = runtime_timer(self.runtime, PM2_TICK_MS, true, on_tick, &self) < 0
                   ? 1
                   : runtime_run(self.runtime);
    deinit(&self);
    return code;
}
