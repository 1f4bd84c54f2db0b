/* The manager that carries out scheduled runs of any command: the engine (engine.h), and nothing
 * beside it. */
#include "managers/run/engine.h"

#include "managers/common/runtime_document.h"
#include "node/base/clock.h"
#include "node/base/doc.h"

#include <stdio.h>

#define OBSERVATION_VERSION 1
#define OBSERVE_MS 1000 /* at the latest */
#define ROWS_MAX 128

struct manager {
    struct runtime *runtime;
    struct run *run;
    char node[NAME_SIZE];
    bool ready;
    int64_t observed_ms;
};

/* ---- what the node says ---- */

static int on_configure(void *context, const struct manager_configure *configure, struct err *err)
{
    struct manager *self = context;
    int rc = run_configure(self->run, configure, err);
    if (rc == 0) {
        (void)snprintf(self->node, sizeof self->node, "%s", configure->node);
        self->ready = true;
    }
    return rc;
}

static bool on_role(void *context, bool active, uint64_t term)
{
    const struct manager *self = context;
    runtime_log(MANAGER_INFO, "role %s term=%llu", active ? "active" : "standby",
                (unsigned long long)term);
    run_role(self->run, active);
    return true; /* wishes are all that the role allows, and they are checked one by one */
}

static void on_grant(void *context, const struct manager_grant *grant)
{
    const struct manager *self = context;
    run_grant(self->run, grant);
}

static void on_revoke(void *context, const struct manager_revoke *revoke)
{
    const struct manager *self = context;
    run_revoke(self->run, revoke);
}

static void on_run_known(void *context, const struct manager_run *known)
{
    const struct manager *self = context;
    run_known(self->run, known);
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
    const struct manager *self = context;
    if (!run_command(self->run, command)) {
        runtime_refuse(self->runtime, command->id, "unknown_verb", "the run manager has no \"%s\"",
                       command->verb);
    }
}

static void on_paused(void *context, bool paused)
{
    (void)context;
    runtime_log(MANAGER_INFO, paused ? "paused" : "resumed");
}

static void on_heartbeat(void *context, struct manager_heartbeat *ret)
{
    const struct manager *self = context;
    bool can_run = run_can_run(self->run);
    ret->score_known = true;
    ret->score = can_run ? 100 : 0;
    ret->capability = can_run ? 100 : 0;
    ret->degraded = !can_run;
    (void)snprintf(ret->state, sizeof ret->state, "%zu runs under way", run_under_way(self->run));
    if (!can_run) {
        ret->input_count = 1;
        (void)snprintf(ret->inputs[0], sizeof ret->inputs[0], "guard");
    }
}

static void on_stop(void *context)
{
    (void)context; /* run_destroy lets go of what goes on */
}

/* ---- time ---- */

static void observe(struct manager *self, int64_t now_ms)
{
    size_t left_out;
    json_t *rows = run_rows(self->run, now_ms, ROWS_MAX, &left_out);
    json_t *document = json_pack("{si so sb sI so sI}", "v", OBSERVATION_VERSION, "node",
                                 doc_text(self->node), "can_run", run_can_run(self->run),
                                 "schedules", (json_int_t)run_schedules(self->run)->count, "runs",
                                 rows, "left_out", (json_int_t)left_out);
    struct err err = {0};
    self->observed_ms = now_ms;
    if (runtime_observe_document(self->runtime, document, &err) != 0) {
        runtime_log(MANAGER_WARN, "observation not sent: %s", err.msg);
    }
    json_decref(document);
}

static void on_tick(void *context)
{
    struct manager *self = context;
    int64_t now_ms = clock_boot_ms();
    if (!self->ready) {
        return;
    }
    run_tick(self->run);
    if (run_has_news(self->run) || now_ms - self->observed_ms >= OBSERVE_MS) {
        observe(self, now_ms);
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
    static const struct schedules_source source = {.prefix = "run/", .list = "schedules"};
    struct manager self = {0};
    struct err err = {0};
    int rc = runtime_create("run", UNDERSTUDY_VERSION, &callbacks, &self, &self.runtime, &err);
    rc = rc != 0 ? rc : run_create(self.runtime, &source, &self.run, &err);
    int code = 1;
    if (rc != 0) {
        runtime_log(MANAGER_ERROR, "%s", err.msg);
    } else if (runtime_timer(self.runtime, RUN_TICK_MS, true, on_tick, &self) > 0) {
        code = runtime_run(self.runtime);
    }
    run_destroy(&self.run);
    runtime_destroy(&self.runtime);
    return code;
}
