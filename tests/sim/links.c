/* Connections between nodes, and the evidence that is drawn from their end. */
#include "node/base/invariant.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <math.h>

#define SCORE_BAND 10.0

/* The engine's configuration and gossip's verdicts, for the order of the candidates. */
static void tell_voters(struct node *node)
{
    struct evidence_voter voters[NODES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < node->view.server_count; i++) {
        const struct consensus_server *server = &node->view.servers[i];
        if (server->role != CONSENSUS_VOTER) {
            continue;
        }
        struct evidence_voter *voter = &voters[count++];
        *voter = (struct evidence_voter){.id = server->id};
        const struct node *other = world_node_of_id(node->world, server->id);
        struct gossip_member member;
        if (rumour_member(node, server->id, &member)) {
            voter->alive = member.state == GOSSIP_ALIVE || member.state == GOSSIP_SUSPECT;
            voter->score_known = member.has_health && member.score_tenths != GOSSIP_UNKNOWN;
            voter->score = floor(member.score_tenths / 10.0 / SCORE_BAND) * SCORE_BAND;
        } else if (node->peers->gossip == NULL && other != NULL) {
            voter->alive = other->alive;
        }
    }
    evidence_voters(node->peers->evidence, voters, count);
}

/* Only when something changed: asking gossip takes its time. */
static void follow_voters(struct node *node)
{
    struct peers *self = node->peers;
    if (self->voters_changed || self->gossip == NULL ||
        self->voters_index != node->view.configuration_index) {
        self->voters_changed = false;
        self->voters_index = node->view.configuration_index;
        tell_voters(node);
    }
}

static void probe(struct node *node, uint64_t peer)
{
    struct world *world = node->world;
    struct node *other = world_node_of_id(world, peer);
    if (other == NULL) {
        return;
    }
    bool reachable = world->up[node->index][other->index] && world->up[other->index][node->index];
    bool refused = !other->alive && !other->host_down && reachable;
    if (node->false_refusal[other->index]) {
        refused = true;
        node->false_refusal[other->index] = false;
    }
    int64_t after_us = refused ? world_between(world, 200, 2000) : 500000;
    world_schedule(world, world->now_us + after_us, EVENT_PROBED, node->index,
                   other->index + (refused ? PROBE_REFUSED : 0));
}

static void spread(struct node *node, const struct evidence_message *message)
{
    struct mp_writer *writer = &node->peers->writer;
    mp_writer_clear(writer);
    int code = evidence_encode(message, writer);
    invariant(code == 0);
    TRACE(node->world, "n%d tells its evidence about %" PRIu64 " of term %" PRIu64 "%s",
          node->index, message->leader, message->term, message->withdrawn ? " (withdrawn)" : "");
    for (size_t i = 0; i < node->view.server_count; i++) {
        const struct consensus_server *server = &node->view.servers[i];
        if (server->role == CONSENSUS_VOTER && server->id != node->id) {
            network_send(node->world, node->id, server->id, MESSAGE_EVIDENCE, writer->buffer.data,
                         writer->buffer.length);
        }
    }
}

static void perform_action(struct node *node, const struct evidence_action *action)
{
    switch (action->type) {
    case EVIDENCE_NONE:
        break;
    case EVIDENCE_PROBE:
        probe(node, action->leader);
        break;
    case EVIDENCE_SPREAD:
        spread(node, &action->message);
        break;
    case EVIDENCE_STAND:
        (void)node_stand(node, action->leader, action->term, action->proof);
        break;
    case EVIDENCE_PROOF:
        node->world->verdict->stats.proofs++;
        node_proof(node, action->leader, action->term);
        break;
    }
}

void links_after(struct node *node)
{
    struct peers *self = node->peers;
    uint64_t leader = node->view.leader == node->id ? 0 : node->view.leader;
    const struct node *other = world_node_of_id(node->world, leader);
    follow_voters(node);
    evidence_follow(self->evidence, node_now_ms(node), leader, node->view.term,
                    other == NULL || node->linked[other->index]);
    struct evidence_action action;
    while (node_runs(node) && evidence_next(self->evidence, node_now_ms(node), &action)) {
        perform_action(node, &action);
    }
}

void links_receive(struct node *node, const struct message *message)
{
    struct evidence_message evidence;
    struct err err = {0};
    int code = evidence_decode(message->bytes, message->length, &evidence, &err);
    invariant(code == 0);
    evidence_receive(node->peers->evidence, node_now_ms(node), message->from, &evidence);
}

void peers_link(struct node *node, int other, bool up)
{
    uint64_t id = node->world->nodes[other].id;
    if (up) {
        evidence_link_up(node->peers->evidence, node_now_ms(node), id);
    } else {
        evidence_link_lost(node->peers->evidence, node_now_ms(node), id);
    }
}

void peers_probed(struct node *node, int other, bool refused)
{
    TRACE(node->world, "n%d probed n%d: %s", node->index, other, refused ? "refused" : "no answer");
    evidence_probed(node->peers->evidence, node_now_ms(node), node->world->nodes[other].id,
                    refused);
    if (refused) {
        rumour_refused(node, other);
    }
}

void links_process_ended(struct node *node, bool host)
{
    struct world *world = node->world;
    for (int i = 0; i < world->node_count && !host; i++) {
        bool reachable = world->up[node->index][i] && world->up[i][node->index];
        if (i != node->index && reachable && world_percent(world, world->options.crash_evidence)) {
            world_schedule(world, world->now_us + world_between(world, 300, 3000), EVENT_LINK_LOST,
                           i, node->index);
        }
    }
}

void links_process_started(struct node *node)
{
    struct world *world = node->world;
    for (int i = 0; i < world->node_count; i++) {
        node->linked[i] = true;
        node->false_refusal[i] = false;
        if (i != node->index) {
            world_schedule(world, world->now_us + world_between(world, 1000, 10000), EVENT_LINK_UP,
                           i, node->index);
        }
    }
}
