/* The manager of scheduled runs: its callbacks and its tick. */
#include "managers/run/run.h"

#include "node/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool run_can_run(const struct run *self)
{
    return self->ready && access(self->configure.guard_path, X_OK) == 0 &&
           access(self->files.folder, W_OK | X_OK) == 0;
}

/* ---- what the node says ---- */

static int on_configure(void *context, const struct manager_configure *configure, struct err *err)
{
    struct run *self = context;
    struct schedules *schedules = NULL;
    int rc = schedules_read(&configure->section, &schedules, err);
    if (rc == 0 && !self->ready) {
        rc = files_open(configure->data_dir, &self->files, err);
    }
    if (rc != 0) {
        schedules_destroy(&schedules);
        return rc;
    }
    schedules_destroy(&self->schedules);
    self->schedules = schedules;
    self->configure = *configure;
    self->configure.section = (struct manager_document){0};
    if (!self->ready) {
        self->ready = true;
        carry_resume(self);
    }
    tell_begin(self);
    self->observe_now = true;
    return 0;
}

static bool on_role(void *context, bool active, uint64_t term)
{
    struct run *self = context;
    runtime_log(MANAGER_INFO, "role %s term=%llu", active ? "active" : "standby",
                (unsigned long long)term);
    tell_begin(self);
    if (active) {
        tell_step(self, clock_boot_ms());
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

static void on_run_known(void *context, const struct manager_run *known)
{
    carry_known(context, known);
}

static void on_peer_observation(void *context, const struct manager_peer_observation *observation)
{
    (void)context;
    (void)observation; /* nothing here depends on what runs elsewhere */
}

static void on_members(void *context, const struct manager_members *members)
{
    (void)context;
    (void)members;
}

static void on_command(void *context, const struct manager_command *command)
{
    answer_command(context, command);
}

static void on_paused(void *context, bool paused)
{
    (void)context;
    runtime_log(MANAGER_INFO, paused ? "paused" : "resumed");
}

static void on_heartbeat(void *context, struct manager_heartbeat *ret)
{
    const struct run *self = context;
    bool can_run = run_can_run(self);
    size_t under_way = 0;
    for (size_t i = 0; i < RUN_ATTEMPTS_MAX; i++) {
        under_way += self->carried[i].used && self->carried[i].attempt.phase == ATTEMPT_RUNNING;
    }
    ret->score_known = true;
    ret->score = can_run ? 100 : 0;
    ret->capability = can_run ? 100 : 0;
    ret->degraded = !can_run;
    (void)snprintf(ret->state, sizeof ret->state, "%zu runs under way", under_way);
    if (!can_run) {
        ret->input_count = 1;
        (void)snprintf(ret->inputs[0], sizeof ret->inputs[0], "guard");
    }
}

static void on_stop(void *context)
{
    /* Runs go on: their grants and guards are the node's business, and our next life takes them up
     * again. */
    carry_close(context);
}

/* ---- time ---- */

static void on_tick(void *context)
{
    struct run *self = context;
    int64_t now_ms = clock_boot_ms();
    if (!self->ready) {
        return;
    }
    carry_tick(self);
    tell_step(self, now_ms);
    if (self->observe_now || now_ms - self->observed_ms >= RUN_OBSERVE_MS) {
        observe_send(self, now_ms);
    }
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
        .run_known = on_run_known,
    };
    static struct run self;
    struct err err = {0};
    if (runtime_create("run", UNDERSTUDY_VERSION, &callbacks, &self, &self.runtime, &err) != 0) {
        runtime_log(MANAGER_ERROR, "%s", err.msg);
        return 1;
    }
    int code = runtime_timer(self.runtime, RUN_TICK_MS, true, on_tick, &self) < 0
                   ? 1
                   : runtime_run(self.runtime);
    carry_close(&self);
    schedules_destroy(&self.schedules);
    runtime_destroy(&self.runtime);
    return code;
}
