/* The orderly end of this node (SIGTERM, `leave`): its exclusive duties end and are released, then
 * leadership is handed over, then the others are told, then the managers stop. Every step has a
 * bound, so a node that cannot reach anybody ends too. */
#include "node/base/clock.h"
#include "node/daemon/leadership_policy.h"
#include "node/daemon/node.h"

#include <stdio.h>

#define ROSTER_PATIENCE_MS 5000
#define ROSTER_REPEAT_MS 500
#define DUTIES_PATIENCE_MS 4000
#define LEADER_PATIENCE_MS 2000
#define GOSSIP_PATIENCE_MS 1500
#define MANAGERS_GRACE_MS 2000

void leaving_begin(struct node *self, const char *why)
{
    if (self->leaving != LEAVING_NOT) {
        return;
    }
    int64_t now_ms = clock_boot_ms();
    self->leaving = LEAVING_DUTIES;
    self->leaving_step_ms = now_ms;
    self->publish_now = true;
    events_add(self->events, LOG_LEVEL_INFO, self->view.term, "node.leaving", NULL,
               "%s leaves (%s)", node_name(self), why);
    membership_publish_health(self, now_ms); /* says that it drains */
}

/* ---- for good ---- */

static void propose_removal(struct node *self, const char *name)
{
    struct command command = {.type = COMMAND_NODE_REMOVE, .reason = REASON_NODE_LEFT};
    (void)snprintf(command.node_name.name, sizeof command.node_name.name, "%s", name);
    (void)snprintf(command.who, sizeof command.who, "%s", name);
    (void)snprintf(command.why, sizeof command.why, "leave");
    (void)proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL);
}

static void remove_from_roster(struct node *self, const char *name)
{
    const struct state_node *row = state_node_by_name(self->state, name);
    if (node_may_act(self) && row != NULL && !row->removed) {
        propose_removal(self, name);
    }
}

bool leaving_peer_asks(struct node *self, const char *peer, const uint8_t *bytes, size_t length)
{
    bool asks = leave_decode(bytes, length);
    if (asks) {
        remove_from_roster(self, peer);
    }
    return asks;
}

void leaving_for_good(struct node *self)
{
    if (self->leaving != LEAVING_NOT) {
        return;
    }
    leaving_begin(self, "asked to leave for good");
    self->leaving = LEAVING_ROSTER;
}

static void ask_for_removal(struct node *self, int64_t now_ms)
{
    if (now_ms < self->leaving_asked_ms + ROSTER_REPEAT_MS) {
        return;
    }
    self->leaving_asked_ms = now_ms;
    if (self->view.leader == self->id) {
        remove_from_roster(self, node_name(self));
    } else if (node_leader(self) != 0) {
        struct mp_writer writer;
        mp_writer_init(&writer, LEAVE_BYTES_MAX);
        leave_encode(&writer);
        (void)transport_send_id(self->transport, node_leader(self), TRANSPORT_HELLO,
                                writer.buffer.data, writer.buffer.length, false);
        mp_writer_deinit(&writer);
    }
}

static void step_to(struct node *self, enum leaving_step step, int64_t now_ms)
{
    self->leaving = step;
    self->leaving_step_ms = now_ms;
}

/* Nobody who could take over, or who could commit a release, is there. */
static bool alone(const struct node *self, int64_t now_ms)
{
    struct policy_input input;
    leadership_policy_input(self, now_ms, &input);
    for (size_t i = 0; i < input.voter_count; i++) {
        if (input.voters[i].alive && !input.voters[i].draining) {
            return false;
        }
    }
    return true;
}

static void leave_roster(struct node *self, int64_t now_ms)
{
    const struct state_node *row = state_node_by_name(self->state, node_name(self));
    if (row == NULL || row->removed || now_ms > self->leaving_step_ms + ROSTER_PATIENCE_MS) {
        step_to(self, LEAVING_DUTIES, now_ms);
        return;
    }
    ask_for_removal(self, now_ms);
}

static void end_duties(struct node *self, int64_t now_ms)
{
    bool done = !duties_any_held(self) || !node_has_quorum(self) || alone(self, now_ms);
    if (done || now_ms > self->leaving_step_ms + DUTIES_PATIENCE_MS) {
        step_to(self, LEAVING_LEADER, now_ms);
        self->hand_over_asked_ms = 0;
    }
}

static void hand_over(struct node *self, int64_t now_ms)
{
    bool leads = self->view.state == CONSENSUS_LEADER;
    if (!leads || alone(self, now_ms) || now_ms > self->leaving_step_ms + LEADER_PATIENCE_MS) {
        step_to(self, LEAVING_GOSSIP, now_ms);
        gossip_leave(self->gossip, now_ms);
        return;
    }
    if (self->hand_over_asked_ms == 0) {
        (void)leadership_hand_over(self, leadership_policy_best(self, now_ms),
                                   CONSENSUS_CAUSE_DRAIN, NULL);
    }
}

static void tell_others(struct node *self, int64_t now_ms)
{
    if (gossip_leave_done(self->gossip) || now_ms > self->leaving_step_ms + GOSSIP_PATIENCE_MS) {
        step_to(self, LEAVING_MANAGERS, now_ms);
        supervise_stop(self->supervise, now_ms, MANAGERS_GRACE_MS);
    }
}

void leaving_run(struct node *self, int64_t now_ms)
{
    switch (self->leaving) {
    case LEAVING_ROSTER:
        leave_roster(self, now_ms);
        break;
    case LEAVING_DUTIES:
        end_duties(self, now_ms);
        break;
    case LEAVING_LEADER:
        hand_over(self, now_ms);
        break;
    case LEAVING_GOSSIP:
        tell_others(self, now_ms);
        break;
    case LEAVING_MANAGERS: /* on_stopped ends it; the bound is for a callback that never comes */
        if (now_ms > self->leaving_step_ms + INT64_C(2) * MANAGERS_GRACE_MS) {
            self->leaving = LEAVING_DONE;
        }
        break;
    case LEAVING_NOT:
    case LEAVING_DONE:
        break;
    }
}
