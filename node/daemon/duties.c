/* Duties that this node carries out: asks for grants, gives them to managers and guards, takes them
 * back, releases. The leader's half is duties_leader.c. */
#include "node/base/clock.h"
#include "node/daemon/maintenance.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <string.h>

#define RELEASE_REPEAT_MS 250
#define REVOKE_REPEAT_MS 1000 /* an answer may be lost, or be about the assignment before */
#define MANAGER_SIZE NAME_SIZE

static struct local_duty *find_local(struct node *self, const char *id)
{
    for (size_t i = 0; i < self->duty_count; i++) {
        if (strcmp(self->duties[i].id, id) == 0) {
            return &self->duties[i];
        }
    }
    return NULL;
}

static void manager_of(const char *id, char ret[MANAGER_SIZE])
{
    size_t length = strcspn(id, "/");
    (void)snprintf(ret, MANAGER_SIZE, "%.*s", (int)length, id);
}

static void lock_dir(const struct node *self, char ret[CONFIG_PATH_SIZE + 16])
{
    (void)snprintf(ret, CONFIG_PATH_SIZE + 16, "%s/locks", self->config->runtime_dir);
}

/* ---- releasing ---- */

static void send_releases(struct node *self)
{
    static struct grants_release release;
    if (self->view.leader == 0) {
        return;
    }
    size_t sent = 0;
    for (;;) {
        size_t count = grants_holder_releases(self->holding, sent, &release);
        if (count == 0) {
            return;
        }
        sent += count;
        if (self->view.leader == self->id) {
            duties_leader_release(self, self->id, &release);
            continue;
        }
        struct mp_writer writer;
        mp_writer_init(&writer, GRANTS_MESSAGE_BYTES_MAX);
        if (grants_release_encode(&release, &writer) == 0) {
            (void)transport_send_id(self->transport, self->view.leader, TRANSPORT_RELEASE,
                                    writer.buffer.data, writer.buffer.length, false);
        }
        mp_writer_deinit(&writer);
    }
}

static void release(struct node *self, struct local_duty *duty)
{
    const struct grants_held *held = grants_holder_by_duty(self->holding, duty->id);
    if (held == NULL || held->released || grants_holder_release(self->holding, duty->id) != 0) {
        return;
    }
    events_add(self->events, LOG_LEVEL_INFO, duty->term, "duty.stopped",
               json_pack("{s:s, s:s}", "duty", duty->id, "why", duty->why),
               "%s ended here and is released (%s)", duty->id, duty->why);
    duty->told = false;
    self->report_changed = true;
    send_releases(self);
}

/* Tell manager and guard to end it; its release follows when they have. */
static void revoke_duty(struct node *self, struct local_duty *duty, const char *why)
{
    char manager[MANAGER_SIZE];
    manager_of(duty->id, manager);
    struct manager_revoke message = {.assignment = duty->assignment};
    (void)snprintf(message.duty, sizeof message.duty, "%s", duty->id);
    (void)snprintf(message.why, sizeof message.why, "%s", why);
    memcpy(duty->why, message.why, sizeof duty->why);
    duty->revoked_ms = clock_boot_ms();
    bool told = supervise_revoke(self->supervise, manager, &message, NULL) == 0;
    (void)post_revoke(self->post, duty->id, NULL);
    duty->told = false;
    char locks[CONFIG_PATH_SIZE + 16];
    lock_dir(self, locks);
    if (duty->leaving && !told && post_lock_free(locks, duty->id)) {
        release(self, duty); /* no manager that could answer, and nothing runs */
    }
}

/* What an earlier life of this node held and nobody runs any more: the leader may not have heard
 * of its end (the parent's word was lost, a guard was slow to end, or the assignment came after the
 * death), and would wait for the end of the grant. */
static void release_former(struct node *self)
{
    bool replayed = self->view.leader != 0 && self->view.applied_index >= self->view.commit_index;
    if (!replayed) {
        return; /* what the log tells so far may be long over */
    }
    char locks[CONFIG_PATH_SIZE + 16];
    lock_dir(self, locks);
    bool any = false;
    for (size_t i = 0; i < grants_holder_count(self->holding); i++) {
        const struct grants_held *held = grants_holder_at(self->holding, i);
        if (!held->former || held->released || !post_lock_free(locks, held->duty) ||
            grants_holder_release(self->holding, held->duty) != 0) {
            continue;
        }
        events_add(self->events, LOG_LEVEL_INFO, held->term, "duty.stopped",
                   json_pack("{s:s, s:s}", "duty", held->duty, "why", "its node process died"),
                   "%s ended with the node's former process and is released", held->duty);
        any = true;
    }
    if (any) {
        send_releases(self);
    }
}

/* ---- following the replicated state ---- */

/* What `name` says of itself; GOSSIP_UNKNOWN when it has said nothing. */
static int capability_of(const struct node *self, const char *name, const char *manager)
{
    struct gossip_health health;
    bool complete;
    if (!gossip_member_health(self->gossip, name, &health, &complete)) {
        return GOSSIP_UNKNOWN;
    }
    for (size_t i = 0; i < health.capability_count; i++) {
        if (strcmp(health.capabilities[i].manager, manager) == 0) {
            return health.capabilities[i].percent;
        }
    }
    return GOSSIP_UNKNOWN;
}

/* This node's manager cannot do its work (its PM2 is dead, say) and another node's can. When none
 * can, what still runs is left alone. */
static bool incapable_here(const struct node *self, const char *manager)
{
    if (capability_of(self, node_name(self), manager) != 0) {
        return false;
    }
    for (size_t i = 0; i < gossip_member_count(self->gossip); i++) {
        struct gossip_member member;
        gossip_member_at(self->gossip, i, &member);
        if (!member.self && member.state == GOSSIP_ALIVE &&
            (member.flags & GOSSIP_FLAG_DRAINING) == 0 &&
            capability_of(self, member.name, manager) > 0) {
            return true;
        }
    }
    return false;
}

/* What would be given up now would be taken up by nobody. */
static bool stands_still(const struct node *self, const char *manager)
{
    enum gate gate = maintenance_gate(self, manager);
    return gate != GATE_OPEN && gate != GATE_STOPPED;
}

/* There is a better place, as far as somebody may move it now. */
static bool is_moved(const struct node *self, const struct state_duty *row, const char **why)
{
    char key[SETTING_KEY_SIZE];
    placement_move_key(row->is.id, key);
    const char *target = state_setting(self->state, key);
    const struct state_node *own = state_node_by_name(self->state, node_name(self));
    if (stands_still(self, row->manager)) {
        return false;
    }
    if (own != NULL && own->draining) {
        *why = "the node drains";
    } else if (target != NULL && strcmp(target, PLACEMENT_NOWHERE) == 0) {
        *why = "it gives way to others";
    } else if (target != NULL && strcmp(target, node_name(self)) != 0) {
        *why = "it is moved";
    } else if (incapable_here(self, row->manager)) {
        *why = "its manager cannot work here now";
    } else {
        return false;
    }
    return true;
}

static bool wants_elsewhere(const struct node *self, const struct state_duty *row, const char **why)
{
    const struct state_node *own = state_node_by_name(self->state, node_name(self));
    if (!row->is.wanted) {
        *why = "not wanted any more";
    } else if (self->managers_stopped) {
        *why = "the cluster's managers are stopped";
    } else if (self->leaving != LEAVING_NOT) {
        *why = "the node leaves";
    } else if (own != NULL && own->removed) {
        *why = "the node was removed";
    } else {
        return is_moved(self, row, why);
    }
    return true;
}

static void adopt(struct node *self, const struct grants_held *held)
{
    struct local_duty *duty = find_local(self, held->duty);
    if (duty != NULL && duty->assignment == held->assignment) {
        return;
    }
    if (duty == NULL) {
        if (self->duty_count == DUTIES_MAX) {
            return;
        }
        duty = &self->duties[self->duty_count++];
    }
    *duty = (struct local_duty){.assignment = held->assignment, .term = held->term};
    (void)snprintf(duty->id, sizeof duty->id, "%s", held->duty);
}

static void drop_lost(struct node *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->duty_count; i++) {
        struct local_duty *duty = &self->duties[i];
        const struct grants_held *held = grants_holder_by_duty(self->holding, duty->id);
        if (held != NULL && held->assignment == duty->assignment) {
            self->duties[kept++] = *duty;
            continue;
        }
        struct local_duty lost = *duty;
        lost.leaving = false; /* the assignment is gone: there is nothing to release */
        revoke_duty(self, &lost, "assigned elsewhere");
        self->report_changed = true;
    }
    self->duty_count = kept;
}

void duties_sync(struct node *self, int64_t now_ms)
{
    if (self->holding == NULL) {
        return;
    }
    grants_holder_sync(self->holding, now_ms, self->state);
    for (size_t i = 0; i < grants_holder_count(self->holding); i++) {
        const struct grants_held *held = grants_holder_at(self->holding, i);
        if (!held->released && !held->former) {
            adopt(self, held);
        }
    }
    drop_lost(self);
    self->placement_at_ms = 0;
}

static void leave_unwanted(struct node *self)
{
    for (size_t i = 0; i < self->duty_count; i++) {
        struct local_duty *duty = &self->duties[i];
        const struct state_duty *row = state_duty_by_id(self->state, duty->id);
        const struct grants_held *held = grants_holder_by_duty(self->holding, duty->id);
        const char *why = NULL;
        if (duty->leaving || row == NULL || held == NULL || held->released ||
            !wants_elsewhere(self, row, &why)) {
            continue;
        }
        duty->leaving = true;
        revoke_duty(self, duty, why);
    }
}

/* Ask again for the end of what should have ended. */
static void revoke_again(struct node *self, int64_t now_ms)
{
    for (size_t i = 0; i < self->duty_count; i++) {
        struct local_duty *duty = &self->duties[i];
        const struct grants_held *held = grants_holder_by_duty(self->holding, duty->id);
        if (duty->leaving && held != NULL && !held->released &&
            now_ms >= duty->revoked_ms + REVOKE_REPEAT_MS) {
            char why[REASON_SIZE];
            memcpy(why, duty->why, sizeof why);
            revoke_duty(self, duty, why);
        }
    }
}

/* ---- grants ---- */

static void ask(struct node *self, int64_t now_ms)
{
    static struct grants_renew request;
    if (self->view.leader == 0 || !grants_holder_request(self->holding, now_ms, &request)) {
        return;
    }
    if (self->view.leader == self->id) {
        duties_leader_renew(self, now_ms, self->id, &request);
        return;
    }
    struct mp_writer writer;
    mp_writer_init(&writer, GRANTS_MESSAGE_BYTES_MAX);
    if (grants_renew_encode(&request, &writer) == 0) {
        (void)transport_send_id(self->transport, self->view.leader, TRANSPORT_GRANT_RENEW,
                                writer.buffer.data, writer.buffer.length, false);
    }
    mp_writer_deinit(&writer);
}

static void tell_grant(struct node *self, struct local_duty *duty, const struct grants_held *held)
{
    char manager[MANAGER_SIZE];
    manager_of(duty->id, manager);
    struct manager_grant grant = {.assignment = held->assignment,
                                  .term = held->term,
                                  .deadline_ms = held->deadline_ms,
                                  .digest = schedule_digest(self, duty->id)};
    (void)snprintf(grant.duty, sizeof grant.duty, "%s", duty->id);
    if (supervise_grant(self->supervise, manager, &grant, NULL) == 0) {
        duty->told = true;
    }
}

static void follow_grants(struct node *self, int64_t now_ms)
{
    for (size_t i = 0; i < self->duty_count; i++) {
        struct local_duty *duty = &self->duties[i];
        const struct grants_held *held = grants_holder_by_duty(self->holding, duty->id);
        bool may_run = held != NULL && !duty->leaving && !held->released &&
                       grants_holder_may_run(self->holding, now_ms, duty->id);
        if (may_run && !duty->told) {
            tell_grant(self, duty, held);
        } else if (!may_run && duty->told) {
            revoke_duty(self, duty, "its grant has ended");
        }
    }
}

static void renew_guards(struct node *self, int64_t now_ms)
{
    for (size_t i = 0; i < self->duty_count; i++) {
        const struct local_duty *duty = &self->duties[i];
        const struct grants_held *held = grants_holder_by_duty(self->holding, duty->id);
        if (held != NULL && !duty->leaving && held->deadline_ms > now_ms) {
            (void)post_grant(self->post, duty->id, held->assignment, held->term, held->deadline_ms,
                             NULL);
        }
    }
}

void duties_take_grant(struct node *self, int64_t now_ms, const struct grants_grant *grant)
{
    if (grants_holder_take(self->holding, now_ms, grant) > 0) {
        renew_guards(self, now_ms);
        follow_grants(self, now_ms);
    }
}

static bool any_release_owed(const struct node *self)
{
    for (size_t i = 0; i < grants_holder_count(self->holding); i++) {
        if (grants_holder_at(self->holding, i)->released) {
            return true;
        }
    }
    return false;
}

static bool release_due(struct node *self, int64_t now_ms)
{
    if (now_ms < self->releases_at_ms + RELEASE_REPEAT_MS || !any_release_owed(self)) {
        return false;
    }
    self->releases_at_ms = now_ms;
    return true;
}

void duties_run(struct node *self, int64_t now_ms)
{
    leave_unwanted(self);
    revoke_again(self, now_ms);
    release_former(self);
    if (now_ms >= grants_holder_next_ms(self->holding)) {
        ask(self, now_ms);
    }
    follow_grants(self, now_ms);
    if (release_due(self, now_ms)) {
        send_releases(self);
    }
    duties_leader_run(self, now_ms);
}

int64_t duties_deadline_ms(const struct node *self)
{
    int64_t at_ms = self->view.leader == 0 ? INT64_MAX : grants_holder_next_ms(self->holding);
    for (size_t i = 0; i < self->duty_count; i++) {
        const struct grants_held *held = grants_holder_by_duty(self->holding, self->duties[i].id);
        if (held != NULL && self->duties[i].told && held->deadline_ms < at_ms) {
            at_ms = held->deadline_ms;
        }
    }
    return at_ms;
}

bool duties_any_held(const struct node *self)
{
    for (size_t i = 0; i < grants_holder_count(self->holding); i++) {
        const struct grants_held *held = grants_holder_at(self->holding, i);
        const struct state_duty *row = state_duty_by_id(self->state, held->duty);
        if (row != NULL && row->is.exclusive) {
            return true;
        }
    }
    return false;
}

/* ---- what managers and guards say ---- */

void duties_tell_manager(struct node *self, const char *manager)
{
    for (size_t i = 0; i < self->duty_count; i++) {
        char name[MANAGER_SIZE];
        manager_of(self->duties[i].id, name);
        if (strcmp(name, manager) == 0) {
            self->duties[i].told = false; /* follow_grants tells it again */
        }
    }
}

void duties_manager_state(struct node *self, const struct manager_duty_state *state)
{
    struct local_duty *duty = find_local(self, state->duty);
    if (duty == NULL || duty->assignment != state->assignment) {
        return;
    }
    bool changed = !duty->phase_known || duty->phase != state->phase;
    duty->phase = state->phase;
    duty->phase_known = true;
    if (!changed) {
        return;
    }
    self->report_changed = true;
    const char *kind = state->phase == MANAGER_DUTY_RUNNING ? "duty.started" : "duty.state";
    events_add(self->events, LOG_LEVEL_INFO, duty->term, kind,
               json_pack("{s:s, s:s, s:s}", "duty", duty->id, "state",
                         manager_duty_phase_name(state->phase), "detail", state->detail),
               "%s is %s on %s", duty->id, manager_duty_phase_name(state->phase), node_name(self));
}

void duties_manager_released(struct node *self, const char *id, uint64_t assignment)
{
    struct local_duty *duty = find_local(self, id);
    if (duty == NULL || duty->assignment != assignment || schedule_has_report(self, id)) {
        return; /* the end of a run says it, too */
    }
    char locks[CONFIG_PATH_SIZE + 16];
    lock_dir(self, locks);
    if (!post_lock_free(locks, id)) {
        /* The lock is the proof and it is held: wait for the guard's own word. */
        duty->leaving = true;
        (void)post_revoke(self->post, id, NULL);
        return;
    }
    if (duty->why[0] == '\0') {
        (void)snprintf(duty->why, sizeof duty->why, "its manager gave it up");
    }
    duty->leaving = true;
    release(self, duty);
}

void duties_guard_hello(void *context, const struct post_guard *guard)
{
    struct node *self = context;
    int64_t now_ms = clock_boot_ms();
    const struct local_duty *duty = find_local(self, guard->duty);
    const struct grants_held *held = grants_holder_by_duty(self->holding, guard->duty);
    if (duty != NULL && held != NULL && !duty->leaving && held->deadline_ms > now_ms) {
        (void)post_grant(self->post, guard->duty, held->assignment, held->term, held->deadline_ms,
                         NULL);
    } else if (duty == NULL && guard->deadline_ms == INT64_MIN) {
        (void)post_revoke(self->post, guard->duty, NULL); /* it never ran and is not ours */
    }
}

void duties_guard_started(void *context, const struct post_guard *guard)
{
    struct node *self = context;
    log_write(self->log, LOG_LEVEL_INFO, "guard.started", log_text("duty", guard->duty),
              log_int("pid", guard->pid), log_int("child", guard->child));
}

static bool manager_runs(const struct node *self, const char *duty)
{
    struct supervise_row rows[MANAGERS_MAX];
    char manager[MANAGER_SIZE];
    manager_of(duty, manager);
    size_t count = supervise_list(self->supervise, clock_boot_ms(), rows, MANAGERS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, manager) == 0) {
            return rows[i].pid != 0;
        }
    }
    return false;
}

void duties_guard_released(void *context, const struct post_guard *guard, enum post_reason reason,
                           int status)
{
    struct node *self = context;
    log_write(self->log, LOG_LEVEL_INFO, "guard.released", log_text("duty", guard->duty),
              log_int("reason", (int64_t)reason), log_int("status", status));
    struct local_duty *duty = find_local(self, guard->duty);
    /* Of a run its manager says how it has ended, and that it has, in this order. */
    bool told_by_manager = schedule_is_run(guard->duty) && manager_runs(self, guard->duty);
    if (duty != NULL && duty->leaving && reason == POST_REVOKED && !told_by_manager &&
        guard->assignment == duty->assignment) {
        release(self, duty);
    }
    node_pump(self);
}

void duties_guard_gone(void *context, const struct post_guard *guard)
{
    struct node *self = context;
    log_write(self->log, LOG_LEVEL_DEBUG, "guard.gone", log_text("duty", guard->duty));
}

int duties_create(struct node *self, struct err *err)
{
    struct grants_holder_config config = {.raft_id = self->id,
                                          .incarnation = self->incarnation,
                                          .renew_every_ms = self->config->grants.renew_ms,
                                          .releases_former = self->restarted};
    self->holding = grants_holder_create(&config);
    self->granting = grants_leader_create(NULL);
    self->placing = placement_create(NULL);
    return self->holding == NULL || self->granting == NULL || self->placing == NULL
               ? err_set(err, ERR_NOMEM, "cannot make the grants")
               : 0;
}
