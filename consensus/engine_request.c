/* Barrier, proposals and changes of the configuration. One batch of proposals is in flight at a
 * time: the library looks only at its own last entry when it counts replicas, and would commit
 * nothing while proposals keep coming. What comes meanwhile makes the next batch, which costs one
 * durable write however many they are. */
#include "consensus/engine.h"

#include "consensus/guard.h"
#include "consensus/raft_internals.h"
#include "node/base/invariant.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int status_of(int raft_status)
{
    switch (raft_status) {
    case 0:
        return 0;
    case RAFT_LEADERSHIPLOST:
        return ERR_STALE;
    case RAFT_NOCONNECTION:
        return ERR_TIMEOUT;
    case RAFT_NOTLEADER:
        return ERR_NOTLEADER;
    default:
        return ERR_IO;
    }
}

/* ---- barrier ---- */

static void become_ready(struct consensus *self)
{
    self->leadership.ready = true;
    self->leadership.ready_ms = self->now_ms;
    struct consensus_notice notice = {.type = CONSENSUS_NOTICE_READY,
                                      .term = self->leadership.term,
                                      .leader = self->config.id,
                                      .cause = self->candidature.cause};
    engine_notify(self, &notice);
}

static void barrier_done(struct raft_barrier *request, int status)
{
    struct consensus *self = request->data;
    if (status == 0 && self->leadership.term != 0 &&
        self->leadership.term == raft_internals_term(&self->instance->raft)) {
        become_ready(self);
    }
}

bool engine_submit_barrier(struct consensus *self)
{
    struct leadership *leadership = &self->leadership;
    if (!guard_barrier_due(leadership->term != 0, leadership->term, leadership->barrier_term)) {
        return false;
    }
    leadership->barrier_term = leadership->term;
    if (self->config.off.own_term_barrier) {
        become_ready(self);
        return false;
    }
    self->barrier = (struct raft_barrier){.data = self};
    /* The library has just sent empty appends; without this the barrier would wait for their
     * answers, one round trip more before this node may act. */
    raft_internals_probe_at_once(&self->instance->raft);
    int rv = raft_barrier(&self->instance->raft, &self->barrier, barrier_done);
    if (rv != 0) {
        engine_fatal(self, "barrier of term %" PRIu64 ": %s", leadership->term, raft_strerror(rv));
    }
    return true;
}

/* ---- proposals ---- */

static void proposal_notice(struct consensus *self, uint64_t token, int status)
{
    struct consensus_notice notice = {.type = CONSENSUS_NOTICE_PROPOSAL,
                                      .token = token,
                                      .status = status,
                                      .term = self->stored_term};
    engine_notify(self, &notice);
}

/* The proposals of the batch that were not applied. */
static void lose_in_flight(struct consensus *self, int status)
{
    for (size_t i = 0; i < self->in_flight_count; i++) {
        proposal_notice(self, self->in_flight[i].token, status);
    }
    self->in_flight_count = 0;
}

/* Called with success when the first entry of the batch was applied; the others follow at once. */
static void apply_done(struct raft_apply *request, int status, void *result)
{
    (void)result;
    struct consensus *self = request->data;
    self->apply_busy = false;
    if (status != 0) {
        lose_in_flight(self, status_of(status));
    }
}

void engine_proposal_applied(struct consensus *self, uint64_t index)
{
    if (self->in_flight_count == 0 || self->in_flight[0].index != index) {
        return;
    }
    uint64_t token = self->in_flight[0].token;
    self->in_flight_count--;
    memmove(self->in_flight, self->in_flight + 1, self->in_flight_count * sizeof *self->in_flight);
    proposal_notice(self, token, 0);
}

static struct proposal pop_proposal(struct consensus *self)
{
    invariant(self->proposal_count > 0);
    struct proposal first = self->proposals[self->proposal_head];
    self->proposals[self->proposal_head] = (struct proposal){0};
    self->proposal_head = (self->proposal_head + 1) % ENGINE_PROPOSALS_MAX;
    self->proposal_count--;
    return first;
}

void engine_drop_proposals(struct consensus *self, int status)
{
    while (self->proposal_count > 0) {
        struct proposal proposal = pop_proposal(self);
        raft_free(proposal.entry);
        proposal_notice(self, proposal.token, status);
    }
    if (!self->apply_busy) {
        lose_in_flight(self, ERR_STALE); /* the library will not speak of them again */
    }
}

/* Moves waiting proposals into the batch; returns how many. */
static unsigned make_batch(struct consensus *self, struct raft_buffer buffers[ENGINE_BATCH_MAX])
{
    uint64_t next = raft_last_index(&self->instance->raft) + 1;
    size_t bytes = 0;
    unsigned count = 0;
    while (self->proposal_count > 0 && count < ENGINE_BATCH_MAX) {
        bytes += self->proposals[self->proposal_head].entry_length;
        if (count > 0 && bytes > ENGINE_BATCH_BYTES_MAX) {
            break;
        }
        struct proposal proposal = pop_proposal(self);
        buffers[count] = (struct raft_buffer){.base = proposal.entry, .len = proposal.entry_length};
        self->in_flight[count] = (struct in_flight){.index = next + count, .token = proposal.token};
        count++;
    }
    self->in_flight_count = count;
    return count;
}

bool engine_submit_proposals(struct consensus *self)
{
    if (self->proposal_count == 0 || self->apply_busy || self->in_flight_count > 0 ||
        !self->leadership.ready || self->transfer_busy) {
        return false;
    }
    struct raft_buffer buffers[ENGINE_BATCH_MAX];
    unsigned count = make_batch(self, buffers);
    self->apply = (struct raft_apply){.data = self};
    self->apply_busy = true;
    int rv = raft_apply(&self->instance->raft, &self->apply, buffers, count, apply_done);
    if (rv != 0) {
        self->apply_busy = false;
        lose_in_flight(self, status_of(rv));
    }
    if (rv == RAFT_NOTLEADER) {
        for (unsigned i = 0; i < count; i++) {
            raft_free(buffers[i].base);
        }
    } else if (rv != 0) {
        /* The library may hold a part of the batch, so nothing is freed. */
        engine_fatal(self, "batch of %u proposals: %s", count, raft_strerror(rv));
    }
    return true;
}

int consensus_propose(struct consensus *self, int64_t now_ms, const uint8_t *bytes, size_t length,
                      uint64_t token, struct err *err)
{
    if (engine_is_fatal(self)) {
        return err_set(err, ERR_CLOSED, "consensus has ended: %s", self->fatal);
    }
    if (length > COMMAND_BYTES_MAX) {
        return err_set(err, ERR_INVALID, "command of %zu bytes, at most %d", length,
                       COMMAND_BYTES_MAX);
    }
    if (self->leadership.term == 0) {
        return err_set(err, ERR_NOTLEADER, "this node does not lead");
    }
    if (self->hand_over.active || self->transfer_busy) {
        return err_set(err, ERR_BUSY, "leadership is being handed over");
    }
    if (self->proposal_count == ENGINE_PROPOSALS_MAX) {
        return err_set(err, ERR_FULL, "%d proposals wait already", ENGINE_PROPOSALS_MAX);
    }
    struct proposal proposal = {.token = token, .entry_length = logbook_command_size(length)};
    proposal.entry = raft_malloc(proposal.entry_length);
    if (proposal.entry == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for a proposal");
    }
    logbook_command_write(proposal.entry, bytes, length);
    size_t slot = (self->proposal_head + self->proposal_count) % ENGINE_PROPOSALS_MAX;
    self->proposals[slot] = proposal;
    self->proposal_count++;
    engine_now(self, now_ms);
    engine_settle(self);
    return 0;
}

/* ---- changes of the configuration ---- */

static void change_done(struct raft_change *request, int status)
{
    struct consensus *self = request->data;
    self->change_busy = false;
    struct consensus_notice notice = {.type = CONSENSUS_NOTICE_CHANGE,
                                      .token = self->change_token,
                                      .status = status_of(status),
                                      .term = self->stored_term};
    engine_notify(self, &notice);
}

static int call_change(struct consensus *self, enum consensus_change what, uint64_t id,
                       enum consensus_role role)
{
    struct raft *raft = &self->instance->raft;
    char address[WIRE_ADDRESS_SIZE];
    wire_raft_address(id, address);
    switch (what) {
    case CONSENSUS_ADD:
        return raft_add(raft, &self->change, id, address, change_done);
    case CONSENSUS_ASSIGN:
        return raft_assign(raft, &self->change, id, wire_role_to_raft(role), change_done);
    case CONSENSUS_REMOVE:
        return raft_remove(raft, &self->change, id, change_done);
    }
    return RAFT_INVALID;
}

static int change_error(int rv, uint64_t id, struct err *err)
{
    switch (rv) {
    case RAFT_NOTLEADER:
        return err_set(err, ERR_NOTLEADER, "this node does not lead");
    case RAFT_CANTCHANGE:
        return err_set(err, ERR_BUSY, "another change of the configuration is under way");
    case RAFT_DUPLICATEID:
    case RAFT_BADROLE:
        return err_set(err, ERR_EXISTS, "server %" PRIu64 ": %s", id, raft_strerror(rv));
    case RAFT_NOTFOUND:
    case RAFT_BADID:
        return err_set(err, ERR_NOTFOUND, "server %" PRIu64 " is not in the configuration", id);
    case RAFT_NOMEM:
        return err_set(err, ERR_NOMEM, "no memory for a change");
    default:
        return err_set(err, ERR_IO, "change of server %" PRIu64 ": %s", id, raft_strerror(rv));
    }
}

/* A leader hands over before it is demoted or removed. The library neither votes nor stands once
 * its own newest configuration says that it is no voter, committed or not: a leader that demotes
 * itself and fails could leave a cluster in which nobody can be elected. It also keeps the last
 * voter. */
static bool demotes_leader(const struct consensus *self, enum consensus_change what, uint64_t id,
                           enum consensus_role role)
{
    return id == self->config.id &&
           (what == CONSENSUS_REMOVE || (what == CONSENSUS_ASSIGN && role != CONSENSUS_VOTER));
}

static int check_change(const struct consensus *self, enum consensus_change what, uint64_t id,
                        enum consensus_role role, struct err *err)
{
    const struct logbook_configuration *newest = logbook_newest_configuration(&self->log);
    if (engine_is_fatal(self)) {
        return err_set(err, ERR_CLOSED, "consensus has ended: %s", self->fatal);
    }
    if (id == 0) {
        return err_set(err, ERR_INVALID, "id 0 means nobody");
    }
    if (self->leadership.term == 0) {
        return err_set(err, ERR_NOTLEADER, "this node does not lead");
    }
    /* Before the barrier an older change may still be uncommitted, which the library forgets at a
     * restart; and see renew_lease for the second condition. */
    if (self->change_busy || self->hand_over.active || !self->leadership.ready ||
        self->leadership.quorum_ms < self->leadership.configuration_ms) {
        return err_set(err, ERR_BUSY, "another change or a hand-over is under way");
    }
    if (demotes_leader(self, what, id, role) && !self->config.off.leader_keeps_vote) {
        return err_set(err, ERR_UNSAFE, "server %" PRIu64 " leads: it must hand over first", id);
    }
    if (what == CONSENSUS_ADD && newest != NULL && newest->server_count >= NODES_MAX) {
        return err_set(err, ERR_FULL, "%d servers are in the configuration", NODES_MAX);
    }
    return 0;
}

int consensus_change(struct consensus *self, int64_t now_ms, enum consensus_change what,
                     uint64_t id, enum consensus_role role, uint64_t token, struct err *err)
{
    int rc = check_change(self, what, id, role, err);
    if (rc != 0) {
        return rc;
    }
    engine_now(self, now_ms);
    self->change = (struct raft_change){.data = self};
    self->change_busy = true;
    self->change_token = token;
    int rv = call_change(self, what, id, role);
    if (rv != 0) {
        self->change_busy = false;
        if (engine_is_fatal(self) && what != CONSENSUS_ASSIGN) {
            /* Our storage failed under the library, which has freed the configuration it now has.
             */
            raft_internals_drop_configuration(&self->instance->raft);
        }
        if (rv == RAFT_IOERR || rv == RAFT_NOMEM) {
            engine_fatal(self, "change of the configuration: %s", raft_strerror(rv));
        }
        return change_error(rv, id, err);
    }
    engine_settle(self);
    return 0;
}
