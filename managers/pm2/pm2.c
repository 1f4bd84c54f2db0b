/* The PM2 manager: watches on every node, decides on the acting leader's, runs granted backups. */
#include "managers/pm2/pm2.h"
#include "managers/pm2/lists/lists.h"
#include "managers/pm2/lists/restore.h"
#include "managers/pm2/logs/cuts.h"
#include "managers/pm2/revive/install.h"

#include "managers/pm2/verbs/followed.h"
#include "managers/pm2/verbs/output.h"
#include "managers/pm2/verbs/verbs.h"
#include "managers/run/engine.h"
#include "node/base/clock.h"
#include "node/base/rng.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool pm2_can_run(const struct pm2 *self)
{
    return self->home_count > 0 && god_state(self->homes[0].god) == GOD_UP;
}

bool pm2_holds_still(const struct pm2 *self)
{
    return self->configure.shadow || runtime_paused(self->runtime);
}

void pm2_take_list(struct pm2 *self, struct home *home, const json_t *list, int64_t now_ms)
{
    lists_take(home->lists, list, god_life(home->god), now_ms);
    restore_take_list(home, list);
    detect_take_list(home, now_ms);
    primaries_take_list(self, home, now_ms);
    rotation_take_list(self, home, list);
    mend_take_list(self, home, list, now_ms);
    followed_take_list(self, home, list, now_ms);
    if (home == self->homes) {
        carry_reconcile(self, now_ms);
    }
    verbs_run(self, now_ms);
}

/* ---- configuration ---- */

static void close_homes(struct pm2 *self)
{
    verbs_end(self);
    followed_forget(self);
    for (size_t i = 0; i < self->home_count; i++) {
        home_close(&self->homes[i]);
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
        int rc = home_open(&self->homes[i], self, self->settings->homes[i], err);
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

static void leave_guarded_out(struct pm2 *self)
{
    for (size_t i = 0; i < self->home_count; i++) {
        for (size_t k = 0; k < self->settings->primary_count; k++) {
            if (self->settings->primaries[k].guarded) {
                lists_leave_out(self->homes[i].lists, self->settings->primaries[k].name);
            }
        }
    }
}

static int on_configure(void *context, const struct manager_configure *configure, struct err *err)
{
    struct pm2 *self = context;
    struct settings *settings = NULL;
    char home[MANAGER_PATH_SIZE];
    default_home(home);
    int rc = settings_read(&configure->section, home, &settings, err);
    rc = rc != 0 ? rc : cron_configure(self, configure, err);
    if (rc != 0) {
        settings_destroy(&settings);
        return rc;
    }
    if (configure->shadow && !self->configure.shadow) {
        shadow_begin(&self->shadow);
    }
    logs_destroy(&self->logs); /* it borrows from the settings */
    settings_destroy(&self->settings);
    self->settings = settings;
    if (logs_create(settings, &self->logs, err) != 0) {
        runtime_log(MANAGER_WARN, "logs are not looked at: %s", err->msg);
    }
    self->configure = *configure;
    self->configure.section = (struct manager_document){0};
    bool moved = !same_homes(self);
    if (moved) {
        close_homes(self);
        rotation_forget(self);
        rc = open_homes(self, err);
    }
    choose_begin(self, clock_boot_ms());
    primaries_configure(self, moved);
    if (moved) {
        mend_begin(self);
    }
    leave_guarded_out(self);
    install_configure(self);
    for (size_t i = 0; i < self->home_count; i++) {
        home_list_soon(&self->homes[i], 0);
    }
    return rc;
}

/* ---- the rest of what the node says ---- */

static bool on_role(void *context, bool active, uint64_t term)
{
    struct pm2 *self = context;
    runtime_log(MANAGER_INFO, "role %s term=%llu", active ? "active" : "standby",
                (unsigned long long)term);
    cron_role(self, active, clock_boot_ms());
    if (active) {
        choose_adopt(self);
        choose_begin(self, clock_boot_ms());
        choose_step(self, clock_boot_ms());
    }
    return true; /* wishes are all that the role allows, and they are checked one by one */
}

static void on_grant(void *context, const struct manager_grant *grant)
{
    struct pm2 *self = context;
    if (run_owns(self->run, grant->duty)) {
        run_grant(self->run, grant);
    } else {
        carry_grant(self, grant);
    }
}

static void on_revoke(void *context, const struct manager_revoke *revoke)
{
    struct pm2 *self = context;
    if (run_owns(self->run, revoke->duty)) {
        run_revoke(self->run, revoke);
    } else {
        carry_revoke(self, revoke);
    }
}

static void on_run_known(void *context, const struct manager_run *known)
{
    struct pm2 *self = context;
    run_known(self->run, known);
}

static void on_peer_observation(void *context, const struct manager_peer_observation *observation)
{
    struct pm2 *self = context;
    observe_peer(self, observation);
    if (runtime_active(self->runtime)) {
        choose_adopt(self); /* the leader before tells its last word late */
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
        home_list_soon(&self->homes[i], 0); /* what was not started meanwhile */
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
    /* Backups and runs go on: their grants and guards are the node's business, not ours. */
    (void)context;
}

/* ---- time ---- */

static void sample(struct pm2 *self, int64_t now_ms)
{
    self->sampled_ms = now_ms;
    (void)tree_take(&self->tree);
    for (size_t i = 0; i < self->home_count; i++) {
        detect_sample(&self->homes[i], now_ms);
    }
    primaries_sample(self, now_ms);
    carry_sample(self, now_ms);
    run_sample(self->run, process_tree_memory);
}

static void verify(struct pm2 *self, int64_t now_ms)
{
    self->verified_ms = now_ms;
    for (size_t i = 0; i < self->home_count; i++) {
        detect_verify(&self->homes[i]);
    }
}

/* What has changed is told at once; the rest of a long document less often. */
static int64_t observe_pause_ms(const struct pm2 *self)
{
    return PM2_OBSERVE_MS + (int64_t)self->watch_count * PM2_OBSERVE_EACH_MS;
}

static void on_tick(void *context)
{
    struct pm2 *self = context;
    int64_t now_ms = clock_boot_ms();
    if (self->settings == NULL) {
        return;
    }
    for (size_t i = 0; i < self->home_count; i++) {
        home_step(&self->homes[i], now_ms);
    }
    primaries_step(self, now_ms); /* the end of a process shows here, before PM2 tells */
    if (!pm2_can_run(self)) {
        carry_reconcile(self, now_ms);
    }
    if (now_ms - self->sampled_ms >= PM2_SAMPLE_MS) {
        sample(self, now_ms);
    }
    verbs_run(self, now_ms);
    if (now_ms - self->verified_ms >= self->settings->verify_ms) {
        verify(self, now_ms);
    }
    logs_step(self->logs, now_ms);
    if (now_ms - self->detected_ms >= PM2_OBSERVE_MS) {
        self->detected_ms = now_ms;
        detect_step(self, now_ms);
    }
    rotation_step(self, now_ms);
    cuts_expire(self->cuts, now_ms);
    mend_step(self, now_ms);
    facts_tick(self, now_ms);
    choose_step(self, now_ms);
    cron_tick(self, now_ms);
    install_step(self, now_ms);
    self->observe_now = findings_expire(&self->findings, now_ms) || self->observe_now;
    if (self->observe_now || now_ms - self->observed_ms >= observe_pause_ms(self)) {
        observe_send(self, now_ms);
    }
}

static void deinit(struct pm2 *self)
{
    rotation_destroy(&self->rotation);
    cuts_destroy(&self->cuts);
    install_destroy(&self->install);
    close_homes(self);
    output_end(self);
    primaries_forget(self);
    run_destroy(&self->run);
    for (size_t i = 0; i < PM2_SLOTS_MAX; i++) {
        if (self->slots[i].used) {
            process_drop(&self->slots[i].guard);
        }
    }
    for (size_t i = 0; i < NODES_MAX; i++) {
        json_decref(self->peers[i].document);
    }
    logs_destroy(&self->logs);
    tree_deinit(&self->tree);
    settings_destroy(&self->settings);
    runtime_destroy(&self->runtime);
}

/* Long lists and frames go back to the system when they are freed, as in the node. */
#define LARGE_BYTES (128 << 10)

int main(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
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
        .run_known = on_run_known,
    };
    static struct pm2 self;
    struct err err = {0};
    self.started_ms = clock_boot_ms();
    self.verified_ms = self.started_ms;
    self.ends_fd = -1;
    self.cuts = cuts_create(rng_system_seed());
    if (self.cuts == NULL) {
        return 1;
    }
    if (runtime_create("pm2", UNDERSTUDY_VERSION, &callbacks, &self, &self.runtime, &err) != 0 ||
        cron_open(&self, &err) != 0) {
        runtime_log(MANAGER_ERROR, "%s", err.msg);
        return 1;
    }
    int code = runtime_timer(self.runtime, PM2_TICK_MS, true, on_tick, &self) < 0
                   ? 1
                   : runtime_run(self.runtime);
    deinit(&self);
    return code;
}
