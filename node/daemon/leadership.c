/* The loop's side of consensus: takes the outputs of the consensus thread, keeps the mirror of the
 * replicated state, begins and ends the right to act. What a leader decides about leadership and
 * roles is in leadership_policy.c. */
#include "node/base/clock.h"
#include "node/base/invariant.h"
#include "node/base/rng.h"
#include "node/daemon/alerts.h"
#include "node/daemon/leadership_policy.h"
#include "node/daemon/maintenance.h"
#include "node/daemon/node.h"
#include "node/daemon/recoveries.h"

#include <stdlib.h>
#include <string.h>

/* Tokens of configuration changes, apart from those of proposals. */
#define CHANGE_TOKEN (UINT64_C(1) << 63)

/* ---- what was applied ---- */

bool leadership_is_news(const struct node *self, int64_t wall_ms)
{
    int64_t age_ms = clock_boot_ms() - self->started_ms;
    return wall_ms >= clock_wall_ms() - age_ms;
}

static void on_leader_record(struct node *self, int64_t now_ms)
{
    const struct state_leader *record = state_history_at(self->state, 0);
    if (record == NULL || !leadership_is_news(self, record->wall_ms)) {
        return; /* history that is read back after a start */
    }
    const struct command_leader *is = &record->is;
    if (is->cause == CONSENSUS_CAUSE_HEALTH || is->cause == CONSENSUS_CAUSE_GRAY) {
        policy_note_move(&self->policy, now_ms);
    }
    events_add(self->events, LOG_LEVEL_INFO, is->term, "leader.elected",
               json_pack("{s:s, s:s, s:s, s:I, s:I}", "leader", is->node, "cause",
                         consensus_cause_name(is->cause), "proof",
                         command_leader_proof_name(is->proof), "elected_ms",
                         (json_int_t)is->elected_ms, "acting_ms", (json_int_t)is->acting_ms),
               "%s leads in term %llu (%s)", is->node, (unsigned long long)is->term,
               consensus_cause_name(is->cause));
}

static void on_effect(struct node *self, const struct state_effect *effect, int64_t now_ms)
{
    proposals_applied(self->proposals, effect);
    if (effect->outcome != STATE_APPLIED) {
        return;
    }
    self->publish_now = true;
    schedule_applied(self, effect);
    switch (effect->type) {
    case COMMAND_NODE_PUT:
    case COMMAND_NODE_REMOVE:
    case COMMAND_NODE_DRAIN:
    case COMMAND_NODE_UNDRAIN:
    case COMMAND_NODE_ROLE:
        peers_sync(self);
        duties_sync(self, now_ms);
        break;
    case COMMAND_DUTY_PUT:
    case COMMAND_DUTY_REMOVE:
    case COMMAND_DUTY_ASSIGN:
    case COMMAND_DUTY_RELEASE:
        duties_sync(self, now_ms);
        break;
    case COMMAND_SETTING_PUT:
    case COMMAND_MANAGER_PAUSE:
    case COMMAND_MANAGER_RESUME:
    case COMMAND_MANAGER_MODE:
        managers_follow_state(self);
        maintenance_applied(self, effect);
        duties_sync(self, now_ms);
        break;
    case COMMAND_SLOTS_DECIDE:
    case COMMAND_RUN_START:
    case COMMAND_RUN_END:
    case COMMAND_RUN_CANCEL:
        duties_sync(self, now_ms);
        break;
    case COMMAND_LEADER_RECORD:
        on_leader_record(self, now_ms);
        break;
    case COMMAND_RECOVERY_SET:
        recoveries_applied(self, effect);
        break;
    case COMMAND_ALERT_RAISE:
    case COMMAND_ALERT_ACK:
    case COMMAND_ALERT_RESOLVE:
        alerts_applied(self, effect);
        break;
    default:
        break;
    }
}

static void on_applied(struct node *self, const struct consensus_output *output, int64_t now_ms)
{
    struct state_effect effect;
    int rc = state_apply(self->mirror, output->index, output->term, output->bytes, output->length,
                         &effect);
    invariant(rc != ERR_NOMEM); /* a mirror that misses a command is worth nothing */
    if (rc == 0) {
        on_effect(self, &effect, now_ms);
    }
}

static void on_restored(struct node *self, const struct consensus_output *output, int64_t now_ms)
{
    struct err err = {0};
    int rc = state_restore(self->mirror, output->index, output->bytes, output->length, &err);
    invariant(rc == 0); /* the consensus thread has restored the same bytes */
    peers_sync(self);
    managers_follow_state(self);
    schedule_restored(self);
    duties_sync(self, now_ms);
    self->publish_now = true;
}

/* ---- notices ---- */

static void on_new_leader(struct node *self, const struct consensus_notice *notice, int64_t now_ms)
{
    log_write(self->log, LOG_LEVEL_INFO, "raft.leader",
              log_text("leader", node_name_of(self, notice->leader)),
              log_int("term", (int64_t)notice->term));
    grants_holder_hurry(self->holding, now_ms);
    self->report_changed = true;
}

/* It votes although it may have forgotten a vote: only a person can tell whether to go on. */
static void on_memory_lost(struct node *self, const char *name, uint64_t term)
{
    events_add(
        self->events, LOG_LEVEL_ERROR, term, "member.memory_lost",
        json_pack("{s:s}", "member", name),
        "%s lacks what it acknowledged before: its data folder was lost or is an older copy; "
        "remove %s, empty its data folder, and let it join anew",
        name, name);
}

static void on_notice(struct node *self, const struct consensus_notice *notice, int64_t now_ms)
{
    self->publish_now = true;
    switch (notice->type) {
    case CONSENSUS_NOTICE_PROPOSAL:
        proposals_noticed(self->proposals, notice->token, notice->status);
        break;
    case CONSENSUS_NOTICE_CHANGE:
        log_write(self->log, notice->status == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
                  "raft.configuration", log_text("outcome", err_text(notice->status)));
        break;
    case CONSENSUS_NOTICE_ELECTED:
        parent_link_elected(self->parent, notice->term);
        self->elected_term = notice->term;
        self->owes_wait_told = true;
        log_write(self->log, LOG_LEVEL_INFO, "raft.elected", log_int("term", (int64_t)notice->term),
                  log_text("cause", consensus_cause_name(notice->cause)));
        break;
    case CONSENSUS_NOTICE_READY:
        events_add(self->events, LOG_LEVEL_INFO, notice->term, "leader.ready", NULL,
                   "%s leads in term %llu and commits", node_name(self),
                   (unsigned long long)notice->term);
        break;
    case CONSENSUS_NOTICE_STEPPED_DOWN:
        log_write(self->log, LOG_LEVEL_INFO, "raft.stepped_down",
                  log_int("term", (int64_t)notice->term));
        managers_end_role(self, now_ms);
        break;
    case CONSENSUS_NOTICE_NEW_LEADER:
        on_new_leader(self, notice, now_ms);
        break;
    case CONSENSUS_NOTICE_RELOADED:
        log_write(self->log, LOG_LEVEL_WARN, "raft.reloaded",
                  log_int("term", (int64_t)notice->term));
        break;
    case CONSENSUS_NOTICE_MEMORY_LOST:
        on_memory_lost(self, node_name_of(self, notice->leader), notice->term);
        break;
    case CONSENSUS_NOTICE_NO_ECHO:
        log_write(self->log, LOG_LEVEL_WARN, "lease.no_echo", log_text("why", notice->text));
        break;
    }
}

static void on_view(struct node *self, const struct consensus_view *view, int64_t now_ms)
{
    bool leader_changed = view->leader != self->view.leader || view->term != self->view.term;
    bool servers_changed = view->configuration_index != self->view.configuration_index ||
                           view->server_count != self->view.server_count;
    if (view->election_timeout_ms != self->view.election_timeout_ms) {
        log_write(self->log, LOG_LEVEL_INFO, "raft.election_timeout",
                  log_int("timeout_ms", view->election_timeout_ms));
    }
    self->view = *view;
    outside_choose(self, now_ms);
    if (servers_changed) {
        peers_sync(self);
    }
    if (leader_changed || servers_changed) {
        self->publish_now = true;
        failover_follow(self, now_ms);
    }
    bool leads = view->state == CONSENSUS_LEADER && view->term == self->elected_term;
    if (leads && self->owes_wait_told && view->ready && !view->owes_wait) {
        self->owes_wait_told = false;
        parent_link_no_wait(self->parent, view->term);
    }
    if (view->handing_over || view->state != CONSENSUS_LEADER) {
        managers_end_role(self, now_ms);
    }
}

/* False when the process must end. */
static bool on_output(struct node *self, const struct consensus_output *output, int64_t now_ms)
{
    switch (output->kind) {
    case CONSENSUS_OUTPUT_SEND:
        (void)transport_send_id(self->transport, output->peer, TRANSPORT_RAFT, output->bytes,
                                output->length, output->bulk);
        break;
    case CONSENSUS_OUTPUT_APPLIED:
        on_applied(self, output, now_ms);
        break;
    case CONSENSUS_OUTPUT_RESTORED:
        on_restored(self, output, now_ms);
        break;
    case CONSENSUS_OUTPUT_NOTICE:
        on_notice(self, &output->notice, now_ms);
        break;
    case CONSENSUS_OUTPUT_VIEW:
        self->consensus_counters = output->counters;
        on_view(self, &output->view, now_ms);
        break;
    case CONSENSUS_OUTPUT_REFUSED:
        if (output->token != 0 && (output->token & CHANGE_TOKEN) == 0) {
            proposals_noticed(self->proposals, output->token, output->err.code);
        } else {
            log_write(self->log, LOG_LEVEL_DEBUG, "raft.refused", log_text("why", output->err.msg));
        }
        break;
    case CONSENSUS_OUTPUT_FATAL:
        log_write(self->log, LOG_LEVEL_ERROR, "raft.fatal", log_text("why", output->err.msg));
        (void)log_flush(self->log, 1000);
        self->exit_code = 1;
        return false;
    }
    return true;
}

static int on_outputs(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    (void)item;
    struct node *self = argument;
    int64_t now_ms = clock_boot_ms();
    bool alive = true;
    for (struct consensus_output *output = consensus_thread_next(self->consensus);
         alive && output != NULL; output = consensus_thread_next(self->consensus)) {
        alive = on_output(self, output, now_ms);
        free(output);
        if (!alive) {
            return -1;
        }
    }
    node_pump(self);
    return 0;
}

/* ---- the right to act ---- */

static void record_leadership(struct node *self)
{
    const struct consensus_view *view = &self->view;
    int64_t base_ms = view->first_sign_ms != 0 ? view->first_sign_ms : view->detected_ms;
    struct command command = {.type = COMMAND_LEADER_RECORD, .reason = REASON_LEADER_CHANGED};
    struct command_leader *record = &command.leader;
    record->term = view->term;
    record->cause = view->cause;
    record->detected_ms = view->detected_ms - base_ms;
    record->elected_ms = view->elected_ms - base_ms;
    record->acting_ms = view->acting_ms - base_ms;
    bool released = view->cause == CONSENSUS_CAUSE_TRANSFER ||
                    view->cause == CONSENSUS_CAUSE_HEALTH || view->cause == CONSENSUS_CAUSE_DRAIN ||
                    view->cause == CONSENSUS_CAUSE_GRAY;
    record->proof =
        view->proof ? LEADER_PROOF_OBITUARY : (released ? LEADER_PROOF_RELEASE : LEADER_PROOF_NONE);
    (void)snprintf(record->node, sizeof record->node, "%s", node_name(self));
    const struct state_leader *before = state_history_at(self->state, 0);
    if (before != NULL) {
        (void)snprintf(record->previous, sizeof record->previous, "%s", before->is.node);
    }
    (void)snprintf(command.who, sizeof command.who, "%s", node_name(self));
    (void)snprintf(command.why, sizeof command.why, "elected: %s",
                   consensus_cause_name(view->cause));
    if (proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL) == 0) {
        self->recorded_term = view->term;
    }
}

/* When the lease that the loop knew of ended. */
static int64_t right_ended_ms(const struct node *self, int64_t now_ms)
{
    uint64_t term = 0;
    int64_t until_ms = consensus_thread_may_act(self->consensus, &term);
    if (until_ms == 0 || term != self->lease_term) {
        until_ms = consensus_thread_acted_until_ms(self->consensus);
    }
    return until_ms < now_ms ? until_ms : now_ms;
}

static void begin_acting(struct node *self, int64_t now_ms)
{
    grants_leader_begin(self->granting, now_ms, self->view.term, self->config->grants.ttl_ms);
    effects_begin(self);
    events_add(self->events, LOG_LEVEL_INFO, self->view.term, "lease.acquired",
               json_pack("{s:I}", "since_boot_ms", (json_int_t)self->view.acting_ms),
               "%s acts as leader of term %llu", node_name(self),
               (unsigned long long)self->view.term);
    self->lease_held = true;
    self->lease_term = self->view.term;
    self->role_at_ms = 0;
    self->publish_now = true;
    grants_holder_hurry(self->holding, now_ms);
}

static void end_acting(struct node *self, int64_t now_ms)
{
    grants_leader_end(self->granting);
    effects_end(self);
    managers_end_role(self, now_ms);
    /* Told late by a node that was frozen: when the right ended is what counts. */
    events_add(self->events, LOG_LEVEL_INFO, self->lease_term, "lease.lost",
               json_pack("{s:I}", "until_boot_ms", (json_int_t)right_ended_ms(self, now_ms)),
               "%s does not act any more", node_name(self));
    self->lease_held = false;
    self->publish_now = true;
}

/* Lost and won again between two looks is an end and a beginning: others may have led meanwhile. */
static void follow_lease(struct node *self, int64_t now_ms)
{
    bool acting = node_may_act(self);
    if (self->lease_held && (!acting || self->view.term != self->lease_term)) {
        end_acting(self, now_ms);
    }
    if (acting && !self->lease_held) {
        begin_acting(self, now_ms);
    }
    if (acting && self->recorded_term != self->view.term) {
        record_leadership(self);
    }
}

void leadership_run(struct node *self, int64_t now_ms)
{
    follow_lease(self, now_ms);
    int64_t end_ms = node_may_act_until_ms(self);
    if (self->lease_held && end_ms != 0 && now_ms >= self->role_at_ms) {
        supervise_set_role(self->supervise, now_ms, true, self->view.term, end_ms);
        self->role_at_ms = now_ms + self->config->cluster.heartbeat_ms;
    }
    leadership_policy_run(self, now_ms);
}

int64_t leadership_deadline_ms(const struct node *self, int64_t now_ms)
{
    if (!self->lease_held) {
        return INT64_MAX;
    }
    int64_t end_ms = node_may_act_until_ms(self);
    int64_t at_ms = self->role_at_ms < end_ms ? self->role_at_ms : end_ms;
    int64_t policy_ms = leadership_policy_deadline_ms(self, now_ms);
    at_ms = policy_ms < at_ms ? policy_ms : at_ms;
    return at_ms < now_ms ? now_ms : at_ms;
}

int leadership_hand_over(struct node *self, uint64_t target, enum consensus_cause cause,
                         struct err *err)
{
    if (self->view.state != CONSENSUS_LEADER) {
        return err_set(err, ERR_NOTLEADER, "%s is not the leader", node_name(self));
    }
    struct consensus_event event = {
        .kind = CONSENSUS_EVENT_HAND_OVER, .peer = target, .cause = cause};
    if (consensus_thread_post(self->consensus, &event) != 0) {
        return err_set(err, ERR_FULL, "the consensus thread is too far behind; try again");
    }
    self->hand_over_asked_ms = clock_boot_ms();
    events_add(self->events, LOG_LEVEL_INFO, self->view.term, "leader.handover",
               json_pack("{s:s, s:s}", "cause", consensus_cause_name(cause), "target",
                         target == 0 ? "best" : node_name_of(self, target)),
               "%s hands leadership over (%s)", node_name(self), consensus_cause_name(cause));
    return 0;
}

/* ---- life ---- */

static int prove_storage(void *context, struct err *err)
{
    return storage_prove(context, err);
}

static size_t list_founders(const struct node *self, struct consensus_server *ret)
{
    size_t count = 0;
    const struct config_cluster *cluster = &self->config->cluster;
    for (size_t i = 0; i < cluster->peer_count; i++) {
        uint64_t id = node_id_of(self, cluster->peers[i].name);
        if (id != 0) {
            ret[count++] = (struct consensus_server){.id = id, .role = CONSENSUS_VOTER};
        }
    }
    return count;
}

static int check_founder_keys(const struct node *self, struct err *err)
{
    const struct config_cluster *cluster = &self->config->cluster;
    for (size_t i = 0; i < cluster->peer_count; i++) {
        if (node_id_of(self, cluster->peers[i].name) == 0) {
            return err_set(
                err, ERR_NOTFOUND,
                "no public key of the founding node %s in %s: copy %s.key there, or make "
                "all keys with `understudy keys init`",
                cluster->peers[i].name, cluster->keys, cluster->peers[i].name);
        }
    }
    return 0;
}

int leadership_create(struct node *self, struct err *err)
{
    int rc = check_founder_keys(self, err);
    if (rc != 0) {
        return rc;
    }
    struct consensus_server founders[NODES_MAX];
    const struct config_cluster *cluster = &self->config->cluster;
    struct consensus_thread_config config = {
        .engine = {.id = self->id,
                   .rng_seed = rng_system_seed(),
                   .heartbeat_ms = cluster->heartbeat_ms,
                   .election_timeout_ms = cluster->election_timeout_ms,
                   .lease_ttl_ms = cluster->lease_ms,
                   .founders = founders,
                   .founder_count = cluster->founding ? list_founders(self, founders) : 0},
        .prove = prove_storage,
        .prove_context = self->storage,
        .record_bytes_max = self->config->debug_record_bytes,
        .record_dir = self->config->data_dir};
    storage_consensus(self->storage, &config.engine.storage);
    rc = consensus_thread_create(&config, &self->consensus, err);
    if (rc != 0) {
        return rc;
    }
    self->proposals = proposals_create(self->id, self->incarnation, self->consensus);
    if (self->proposals == NULL) {
        return err_set(err, ERR_NOMEM, "cannot make the table of proposals");
    }
    struct policy_config policy = policy_config_default;
    policy.handover_below = self->config->leadership.handover_below;
    policy.margin = self->config->leadership.margin;
    policy.hold_ms = self->config->leadership.hold_ms;
    policy.min_tenure_ms = self->config->leadership.min_tenure_ms;
    policy_init(&self->policy, &policy);
    zmq_pollitem_t item = {.fd = consensus_thread_fd(self->consensus), .events = ZMQ_POLLIN};
    return zloop_poller(self->loop, &item, on_outputs, self) == 0
               ? 0
               : err_set(err, ERR_NOMEM, "cannot watch the consensus thread");
}
