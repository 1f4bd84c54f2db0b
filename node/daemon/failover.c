/* The loop's side of election on evidence: watches the connection to the leader, probes its
 * address, spreads and collects evidence, hears obituaries, and stands. */
#include "node/base/clock.h"
#include "node/daemon/node.h"

#include <math.h>
#include <string.h>

#define PROBE_TIMEOUT_MS 200 /* at least; three heartbeats where those are longer */
/* Between one candidate and the next: longer than a round of votes takes on a busy machine or, two
 * thirds of a heartbeat, on the profile's network, as a split costs a whole further round; the
 * first candidate does not wait. */
#define EVIDENCE_STEP_MS 40
#define SCORE_BAND \
    10.0 /* small differences, not yet known everywhere, must not reorder candidates */

static int64_t at_least(int64_t least_ms, int64_t ms)
{
    return ms > least_ms ? ms : least_ms;
}

static bool leader_connected(const struct node *self)
{
    return transport_peer_connected(self->transport, node_name_of(self, self->view.leader));
}

static void tell_voters(struct node *self)
{
    struct evidence_voter voters[NODES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < self->view.server_count; i++) {
        if (self->view.servers[i].role != CONSENSUS_VOTER) {
            continue;
        }
        struct evidence_voter *voter = &voters[count++];
        *voter = (struct evidence_voter){.id = self->view.servers[i].id};
        struct gossip_member member;
        if (gossip_member_find(self->gossip, node_name_of(self, voter->id), &member)) {
            voter->alive = member.state == GOSSIP_ALIVE || member.state == GOSSIP_SUSPECT;
            voter->score_known = member.has_health && member.score_tenths != GOSSIP_UNKNOWN;
            voter->score = floor(member.score_tenths / 10.0 / SCORE_BAND) * SCORE_BAND;
        }
    }
    evidence_voters(self->evidence, voters, count);
}

void failover_follow(struct node *self, int64_t now_ms)
{
    tell_voters(self);
    bool follows = self->view.leader != 0 && self->view.leader != self->id;
    evidence_follow(self->evidence, now_ms, follows ? self->view.leader : 0, self->view.term,
                    follows && leader_connected(self));
}

/* ---- the probe ---- */

static void finish_probe(struct node *self, int64_t now_ms)
{
    self->probing = false;
    bool refused = self->probe.outcome == PROBE_REFUSED;
    const char *name = node_name_of(self, self->probe_peer);
    log_write(self->log, LOG_LEVEL_INFO, "leader.probed", log_text("peer", name),
              log_text("outcome", probe_outcome_name(self->probe.outcome)));
    if (refused) {
        gossip_note_refused(self->gossip, now_ms, name);
    }
    evidence_probed(self->evidence, now_ms, self->probe_peer, refused);
}

static int on_probe(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    struct node *self = argument;
    int64_t now_ms = clock_boot_ms();
    zmq_pollitem_t watched = *item;
    if (probe_finish(&self->probe, now_ms)) {
        (void)zloop_poller_end(loop, &watched);
        finish_probe(self, now_ms);
    }
    node_pump(self);
    return 0;
}

static void begin_probe(struct node *self, uint64_t peer, int64_t now_ms)
{
    if (self->probing) {
        return;
    }
    const char *endpoint = transport_peer_endpoint(self->transport, node_name_of(self, peer));
    self->probe_peer = peer;
    int64_t timeout_ms = at_least(PROBE_TIMEOUT_MS, 3 * self->config->cluster.heartbeat_ms);
    struct err err = {0};
    if (endpoint == NULL || probe_start(&self->probe, endpoint, now_ms, timeout_ms, &err) != 0) {
        evidence_probed(self->evidence, now_ms, peer, false);
        return;
    }
    self->probing = true;
    if (self->probe.fd < 0) {
        finish_probe(self, now_ms);
        return;
    }
    self->probe_item = (zmq_pollitem_t){.fd = self->probe.fd, .events = ZMQ_POLLOUT | ZMQ_POLLERR};
    (void)zloop_poller(self->loop, &self->probe_item, on_probe, self);
}

/* ---- what evidence asks for ---- */

static void spread(struct node *self, const struct evidence_message *message)
{
    struct mp_writer writer;
    mp_writer_init(&writer, EVIDENCE_MESSAGE_BYTES_MAX);
    if (evidence_encode(message, &writer) == 0) {
        for (size_t i = 0; i < self->view.server_count; i++) {
            const struct consensus_server *server = &self->view.servers[i];
            if (server->role == CONSENSUS_VOTER && server->id != self->id) {
                (void)transport_send_id(self->transport, server->id, TRANSPORT_EVIDENCE,
                                        writer.buffer.data, writer.buffer.length, false);
            }
        }
    }
    mp_writer_deinit(&writer);
}

static void stand(struct node *self, const struct evidence_action *action)
{
    events_add(self->events, LOG_LEVEL_WARN, action->term, "leader.evidence",
               json_pack("{s:s, s:b}", "leader", node_name_of(self, action->leader), "proof",
                         action->proof),
               "%s is gone (%s); %s stands for election", node_name_of(self, action->leader),
               action->proof ? "obituary" : "refused by its address", node_name(self));
    struct consensus_event event = {.kind = CONSENSUS_EVENT_STAND,
                                    .peer = action->leader,
                                    .term = action->term,
                                    .proof = action->proof,
                                    .time_ms = action->first_sign_ms};
    (void)consensus_thread_post(self->consensus, &event);
}

static void perform(struct node *self, const struct evidence_action *action, int64_t now_ms)
{
    switch (action->type) {
    case EVIDENCE_PROBE:
        begin_probe(self, action->leader, now_ms);
        break;
    case EVIDENCE_SPREAD:
        spread(self, &action->message);
        break;
    case EVIDENCE_STAND:
        stand(self, action);
        break;
    case EVIDENCE_PROOF: {
        struct consensus_event event = {
            .kind = CONSENSUS_EVENT_PROOF, .peer = action->leader, .term = action->term};
        (void)consensus_thread_post(self->consensus, &event);
        break;
    }
    case EVIDENCE_NONE:
        break;
    }
}

void failover_run(struct node *self, int64_t now_ms)
{
    if (self->probing && now_ms >= self->probe.deadline_ms && self->probe.fd >= 0) {
        (void)zloop_poller_end(self->loop, &self->probe_item);
        if (probe_finish(&self->probe, now_ms)) {
            finish_probe(self, now_ms);
        }
    }
    struct evidence_action action;
    while (evidence_next(self->evidence, now_ms, &action)) {
        perform(self, &action, now_ms);
    }
}

/* ---- obituaries ---- */

bool failover_obituary(struct node *self, const struct transport_message *message)
{
    int64_t now_ms = clock_boot_ms();
    struct obituary obituary;
    if (obituary_decode(message->bytes, message->length, &obituary, NULL) != 0 ||
        obituary.raft_id != message->sender_id) {
        return false;
    }
    events_add(
        self->events, LOG_LEVEL_WARN, self->view.term, "member.obituary",
        json_pack("{s:s, s:b}", "member", message->sender, "duties_ended", obituary.duties_ended),
        "the parent of %s says that its node process is dead", message->sender);
    evidence_obituary(self->evidence, now_ms, &obituary);
    if (grants_leader_take_obituary(self->granting, self->state, &obituary) > 0) {
        self->placement_at_ms = 0;
    }
    uint64_t last = ((obituary.incarnation + 1) << GOSSIP_REFUTATION_BITS) - 1;
    gossip_note_ended(self->gossip, now_ms, message->sender, last);
    static const uint8_t acknowledgement[] = {0xc0}; /* msgpack nil: nothing more to say */
    if (message->route.length > 0) {
        (void)transport_reply(self->transport, &message->route, TRANSPORT_OBITUARY_ACK,
                              acknowledgement, sizeof acknowledgement);
    }
    return true;
}

int failover_create(struct node *self, struct err *err)
{
    struct evidence_config config = {
        .id = self->id,
        .incarnation = self->incarnation,
        .step_ms = at_least(EVIDENCE_STEP_MS, self->config->cluster.heartbeat_ms * 2 / 3)};
    self->evidence = evidence_create(&config);
    return self->evidence == NULL ? err_set(err, ERR_NOMEM, "cannot make the evidence") : 0;
}
