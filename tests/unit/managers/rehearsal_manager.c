/* A manager for the tests of the supervision. Its section is {"mode": TEXT}:
 *
 * good     behaves; says a wish every 20 ms while it may act
 * hang     never answers again after its configuration
 * crash    ends with code 3 at its configuration
 * deaf     takes the role and never confirms its end, nor heeds the deadline
 * late     confirms the end of its role only 20 ms later, by itself
 * flood    sends events as fast as it can
 * wish     wishes under any role, straight past the runtime's own check
 * intent   says everything about intents, its own and another's, as `wish` does
 * run      says schedules and ends of runs under any role, its own and another's
 * forge    speaks of a duty of another manager */
#include "managers/common/runtime_private.h"

#include <string.h>
#include <unistd.h>

struct rehearsal {
    struct runtime *runtime;
    char mode[NAME_SIZE];
};

static void wish(struct rehearsal *self, bool checked)
{
    struct manager_duty_wanted wanted = {
        .duty = "rehearsal/duty", .exclusive = true, .wanted = true, .reason = "a test wants it"};
    if (checked) {
        (void)runtime_duty_wanted(self->runtime, &wanted);
        return;
    }
    struct manager_message message = {.kind = MANAGER_DUTY_WANTED, .as.duty_wanted = wanted};
    message.as.duty_wanted.term = 1;
    runtime_send(self->runtime, &message, false);
}

static void say_intents(struct rehearsal *self, const char *key)
{
    struct manager_message wanted = {
        .kind = MANAGER_INTENT_WANTED,
        .as.intent_wanted = {.object = "effect", .term = 1, .ticket = 1}};
    struct manager_message verified = {
        .kind = MANAGER_INTENT_VERIFIED,
        .as.intent_verified = {.evidence = MANAGER_INTENT_IT_DID_NOT, .term = 1, .ticket = 1}};
    struct manager_message performed = {
        .kind = MANAGER_INTENT_PERFORMED,
        .as.intent_performed = {.outcome = "done", .term = 1, .ticket = 2}};
    (void)snprintf(wanted.as.intent_wanted.key, MANAGER_INTENT_KEY_SIZE, "%s", key);
    (void)snprintf(verified.as.intent_verified.key, MANAGER_INTENT_KEY_SIZE, "%s", key);
    (void)snprintf(performed.as.intent_performed.key, MANAGER_INTENT_KEY_SIZE, "%s", key);
    runtime_send(self->runtime, &wanted, false);
    runtime_send(self->runtime, &verified, false);
    runtime_send(self->runtime, &performed, false);
}

static void say_runs(struct rehearsal *self, const char *id)
{
    struct manager_message schedule = {
        .kind = MANAGER_SCHEDULE_WANTED,
        .as.schedule_wanted = {.term = 1,
                               .total = 1,
                               .is = {.expression = "@daily", .zone = "UTC", .misfire_cap = 1}}};
    struct manager_message ended = {
        .kind = MANAGER_RUN_ENDED,
        .as.run_ended = {.outcome = MANAGER_OUTCOME_RAN, .reason = MANAGER_REASON_EXIT}};
    (void)snprintf(schedule.as.schedule_wanted.id, MANAGER_SCHEDULE_ID_SIZE, "%s", id);
    (void)snprintf(ended.as.run_ended.duty, DUTY_ID_SIZE, "%s@m1", id);
    runtime_send(self->runtime, &schedule, false);
    runtime_send(self->runtime, &ended, false);
}

static void on_run_known(void *context, const struct manager_run *run)
{
    struct rehearsal *self = context;
    runtime_released(self->runtime, run->duty, run->assignment);
}

static void on_tick(void *context)
{
    struct rehearsal *self = context;
    if (strcmp(self->mode, "good") == 0) {
        wish(self, true);
    } else if (strcmp(self->mode, "wish") == 0) {
        wish(self, false);
    } else if (strcmp(self->mode, "intent") == 0) {
        say_intents(self, "rehearsal/effect");
        say_intents(self, "pm2/effect");
    } else if (strcmp(self->mode, "run") == 0) {
        say_runs(self, "rehearsal/report");
        say_runs(self, "other/report");
    } else if (strcmp(self->mode, "forge") == 0) {
        struct manager_duty_state told = {
            .duty = "another/duty", .assignment = 41, .phase = MANAGER_DUTY_FAILED};
        runtime_duty_state(self->runtime, &told);
        runtime_released(self->runtime, "another/duty", 41);
    } else if (strcmp(self->mode, "flood") == 0) {
        for (int i = 0; i < 5000; i++) {
            runtime_event(self->runtime, MANAGER_INFO, "flood", NULL, "one more");
        }
    }
}

static int on_configure(void *context, const struct manager_configure *configure, struct err *err)
{
    struct rehearsal *self = context;
    struct mp_limits limits = {.bytes = 4096, .elements = 64, .depth = 4};
    struct mp_doc doc;
    int rc = mp_parse(configure->section.data, configure->section.length, &limits, &doc, err);
    if (rc != 0) {
        return rc;
    }
    bool known = mp_text(mp_get(&doc.root, "mode"), self->mode, sizeof self->mode);
    mp_doc_deinit(&doc);
    if (!known) {
        return err_set(err, ERR_INVALID, "no mode in the section");
    }
    runtime_log(MANAGER_WARN, "configured mode=%s", self->mode);
    if (strcmp(self->mode, "crash") == 0) {
        _exit(3);
    }
    while (strcmp(self->mode, "hang") == 0) {
        (void)pause();
    }
    return 0;
}

static void end_late(void *context)
{
    struct rehearsal *self = context;
    runtime_role_ended(self->runtime);
}

static bool on_role(void *context, bool active, uint64_t term)
{
    struct rehearsal *self = context;
    runtime_event(self->runtime, MANAGER_INFO, active ? "role.active" : "role.standby", NULL,
                  "term %llu", (unsigned long long)term);
    if (strcmp(self->mode, "late") == 0 && !active) {
        (void)runtime_timer(self->runtime, 20, false, end_late, self);
        return false;
    }
    return strcmp(self->mode, "deaf") != 0;
}

static void on_grant(void *context, const struct manager_grant *grant)
{
    struct rehearsal *self = context;
    struct manager_duty_state state = {.assignment = grant->assignment,
                                       .phase = MANAGER_DUTY_RUNNING};
    memcpy(state.duty, grant->duty, sizeof state.duty);
    runtime_duty_state(self->runtime, &state);
}

static void on_revoke(void *context, const struct manager_revoke *revoke)
{
    struct rehearsal *self = context;
    runtime_released(self->runtime, revoke->duty, revoke->assignment);
}

static void on_peer_observation(void *context, const struct manager_peer_observation *observation)
{
    struct rehearsal *self = context;
    runtime_observe(self->runtime, observation->document.data, observation->document.length);
}

static void on_members(void *context, const struct manager_members *members)
{
    (void)context;
    (void)members;
}

static void on_command(void *context, const struct manager_command *command)
{
    struct rehearsal *self = context;
    struct manager_reply reply = {.id = command->id, .ok = true, .result = command->args};
    runtime_reply(self->runtime, &reply);
}

static void on_paused(void *context, bool paused)
{
    (void)context;
    (void)paused;
}

static void on_heartbeat(void *context, struct manager_heartbeat *ret)
{
    (void)context;
    *ret = (struct manager_heartbeat){.score_known = true, .score = 88, .capability = 100};
}

static void on_stop(void *context)
{
    (void)context;
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
    struct rehearsal self = {0};
    struct err err = {0};
    if (runtime_create("rehearsal", UNDERSTUDY_VERSION, &callbacks, &self, &self.runtime, &err) !=
        0) {
        runtime_log(MANAGER_ERROR, "%s", err.msg);
        return 1;
    }
    (void)runtime_timer(self.runtime, 20, true, on_tick, &self);
    int code = runtime_run(self.runtime);
    runtime_destroy(&self.runtime);
    return code;
}
