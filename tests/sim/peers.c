#include "tests/sim/peers.h"

#include "node/base/invariant.h"
#include "tests/sim/check.h"
#include "tests/sim/leading.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/placing.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void peers_start(struct node *node)
{
    struct peers *self = calloc(1, sizeof *self);
    invariant(self != NULL);
    node->peers = self;
    mp_writer_init(&self->writer, GRANTS_MESSAGE_BYTES_MAX);
    const struct evidence_config evidence = {
        .id = node->id, .incarnation = node->incarnation, .off = node->world->options.evidence_off};
    const struct grants_holder_config holder = {.raft_id = node->id,
                                                .incarnation = node->incarnation,
                                                .releases_former = node->incarnation % 2 == 0,
                                                .off = node->world->options.grants_off};
    self->evidence = evidence_create(&evidence);
    self->leader = grants_leader_create(&node->world->options.grants_off);
    self->holder = grants_holder_create(&holder);
    invariant(self->evidence != NULL && self->leader != NULL && self->holder != NULL);
    self->release_at_ms = INT64_MAX;
    self->voters_changed = true;
    leading_start(node);
    placing_start(node);
    ticking_start(node);
    dispatch_start(node);
    if (node->world->options.gossip != 0) {
        rumour_start(node);
    }
}

void peers_end(struct node *node)
{
    struct peers *self = node->peers;
    if (self == NULL) {
        return;
    }
    evidence_destroy(&self->evidence);
    grants_leader_destroy(&self->leader);
    grants_holder_destroy(&self->holder);
    gossip_destroy(&self->gossip);
    placement_destroy(&self->placing);
    ticking_end(node);
    dispatch_end(node);
    mp_writer_deinit(&self->writer);
    free(self);
    node->peers = NULL;
}

void peers_after(struct node *node)
{
    struct peers *self = node->peers;
    if (self->busy) { /* called from within: the outer one goes on */
        return;
    }
    uint64_t life = node->life;
    self->busy = true;
    links_after(node);
    if (node->alive && node->life == life) {
        duties_after(node);
    }
    if (node->alive && node->life == life) {
        rumour_after(node);
        self->busy = false;
    }
}

int64_t peers_deadline_ms(const struct node *node)
{
    const struct peers *self = node->peers;
    int64_t at = evidence_deadline_ms(self->evidence);
    int64_t others[] = {
        grants_holder_next_ms(self->holder),
        self->release_at_ms,
        self->duties_at_ms == 0 ? INT64_MAX : self->duties_at_ms,
        leading_deadline_ms(node),
        self->gossip == NULL ? INT64_MAX : self->gossip_at_ms,
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        at = others[i] < at ? others[i] : at;
    }
    return at;
}

static void take_obituary(struct node *node, const struct message *message)
{
    struct obituary obituary;
    struct err err = {0};
    int code = obituary_decode(message->bytes, message->length, &obituary, &err);
    invariant(code == 0);
    int64_t now = node_now_ms(node);
    TRACE(node->world, "n%d reads the obituary of %" PRIu64 "/%" PRIu64 ", term %" PRIu64 "%s",
          node->index, obituary.raft_id, obituary.incarnation, obituary.term,
          obituary.owed_wait ? ", owed a wait" : "");
    evidence_obituary(node->peers->evidence, now, &obituary);
    if (node->view.state == CONSENSUS_LEADER) {
        (void)grants_leader_take_obituary(node->peers->leader, machine_state(node->machine),
                                          &obituary);
    }
    struct node *dead = world_node_of_id(node->world, obituary.raft_id);
    if (dead != NULL) {
        rumour_ended(node, dead->index, obituary.incarnation);
    }
}

void peers_receive(struct node *node, const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_RAFT:
        break;
    case MESSAGE_GOSSIP:
        rumour_receive(node, message);
        break;
    case MESSAGE_EVIDENCE:
        links_receive(node, message);
        break;
    case MESSAGE_RENEW:
    case MESSAGE_GRANT:
    case MESSAGE_RELEASE:
        duties_receive(node, message);
        break;
    case MESSAGE_OBITUARY:
        take_obituary(node, message);
        break;
    case MESSAGE_RUN_REPORT:
        running_receive(node, message);
        break;
    }
}

/* Not wanted, and nowhere; or another one of its group runs, which is wanted too. */
static bool may_rest(struct node *leader, const struct state_duty *row)
{
    const struct state_duty *bar = state_duty_barred_by(machine_state(leader->machine), row);
    return !state_duty_held(row) && (!row->is.wanted || (bar != NULL && bar->is.wanted));
}

/* The duty runs where it is assigned, and may be there. */
static bool duty_settled(struct world *world, struct node *leader, int duty, char *ret_why,
                         size_t size)
{
    char id[DUTY_ID_SIZE];
    duties_name(duty, id);
    const struct state_duty *row = state_duty_by_id(machine_state(leader->machine), id);
    bool manages = world->options.manage != 0;
    if (manages && row != NULL && placing_impossible(leader)) {
        return true;
    }
    if (row != NULL && may_rest(leader, row)) {
        return true;
    }
    if (row != NULL && !row->is.wanted) {
        (void)snprintf(ret_why, size, "duty %d is not wanted and assigned", duty);
        return false;
    }
    if (row == NULL || !state_duty_held(row)) {
        (void)snprintf(ret_why, size, "duty %d is not assigned", duty);
        return false;
    }
    const struct node *holder = world_node_of_id(world, row->assignment.raft_id);
    if (holder == NULL || !holder->alive || !peers_runs(holder, duty)) {
        (void)snprintf(ret_why, size, "duty %d does not run where it is assigned (%" PRIu64 ")",
                       duty, row->assignment.raft_id);
        return false;
    }
    return !manages || placing_settled(leader, holder, ret_why, size);
}

bool peers_settled(struct world *world, struct node *leader, char *ret_why, size_t size)
{
    for (int duty = 0; duty < (int)world->options.duties; duty++) {
        if (!duty_settled(world, leader, duty, ret_why, size)) {
            return false;
        }
    }
    return world->options.manage == 0 || leading_settled(world, leader, ret_why, size);
}
