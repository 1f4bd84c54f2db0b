/* What nodes tell each other of themselves beside gossip: each its managers and duties, to all at a
 * change, and its managers' observations: to the leader as they come, to the others after something
 * happened or from a leader in shadow, so that any node can answer and a new leader need not wait.
 * Both again to one peer after the other, for what was lost; so this costs a node the same in a
 * large cluster. Advice, never authority. The bytes are report.h's. */
#include "node/base/clock.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_PERIOD_MS 4000
#define REPORT_AFTERMATH_MS 3000 /* after something happened, observations go to all */
#define REPORT_HASTE_MS 50       /* the least time between two */

/* ---- sending ---- */

static void describe_self(struct node *self, int64_t now_ms, struct report *ret)
{
    struct supervise_row rows[MANAGERS_MAX];
    *ret = (struct report){.taken_ms = now_ms,
                           .leads_term = self->view.ready ? self->view.term : 0,
                           .wall_ms = clock_machine_wall_ms()};
    (void)snprintf(ret->node, sizeof ret->node, "%s", node_name(self));
    ret->manager_count = supervise_list(self->supervise, now_ms, rows, MANAGERS_MAX);
    for (size_t i = 0; i < ret->manager_count; i++) {
        struct report_manager *manager = &ret->managers[i];
        memcpy(manager->name, rows[i].name, sizeof manager->name);
        (void)snprintf(manager->state, sizeof manager->state, "%s",
                       supervise_state_name(rows[i].state));
        manager->active = rows[i].active;
        manager->shadow = rows[i].shadow;
        manager->restarts = rows[i].restarts;
        manager->score_known = rows[i].score_known;
        manager->score = rows[i].score;
        manager->failures = rows[i].failures;
        memcpy(manager->version, rows[i].version, sizeof manager->version);
        memcpy(manager->capabilities, rows[i].capabilities, sizeof manager->capabilities);
        manager->capability_count = rows[i].capability_count;
    }
    for (size_t i = 0; i < self->duty_count && ret->duty_count < REPORT_DUTIES_MAX; i++) {
        const struct local_duty *local = &self->duties[i];
        struct report_duty *duty = &ret->duties[ret->duty_count++];
        (void)snprintf(duty->id, sizeof duty->id, "%s", local->id);
        duty->assignment = local->assignment;
        (void)snprintf(duty->phase, sizeof duty->phase, "%s",
                       local->leaving ? "stopping"
                                      : (local->phase_known ? manager_duty_phase_name(local->phase)
                                                            : "starting"));
    }
}

static struct report *report_slot(struct node *self, const char *node)
{
    struct report *free_slot = NULL;
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (strcmp(self->reports[i].node, node) == 0) {
            return &self->reports[i];
        }
        if (self->reports[i].node[0] == '\0' && free_slot == NULL) {
            free_slot = &self->reports[i];
        }
    }
    return free_slot;
}

/* To all, or to `name` alone. */
static void send_to(struct node *self, const char *name, const struct mp_writer *writer)
{
    if (name == NULL) {
        peers_broadcast(self, TRANSPORT_OBSERVATION, writer->buffer.data, writer->buffer.length);
    } else {
        (void)transport_send(self->transport, name, TRANSPORT_OBSERVATION, writer->buffer.data,
                             writer->buffer.length, false);
    }
}

/* The latest observations of this node's managers. */
static void send_own_observations(struct node *self, const char *name)
{
    for (size_t i = 0; i < sizeof self->observations / sizeof self->observations[0]; i++) {
        const struct observation *seen = &self->observations[i];
        if (seen->bytes != NULL && strcmp(seen->node, node_name(self)) == 0) {
            struct mp_writer writer;
            mp_writer_init(&writer, REPORT_BYTES_MAX);
            if (report_observation_encode(seen->manager, seen->bytes, seen->length, &writer) == 0) {
                send_to(self, name, &writer);
            }
            mp_writer_deinit(&writer);
        }
    }
}

/* The peer whose turn it is; false when there is none. */
static bool next_peer(struct node *self, struct gossip_member *ret)
{
    size_t count = gossip_member_count(self->gossip);
    for (size_t i = 0; i < count; i++) {
        gossip_member_at(self->gossip, self->report_turn++ % count, ret);
        if (!ret->self && ret->state != GOSSIP_DEAD && ret->state != GOSSIP_LEFT) {
            return true;
        }
    }
    return false;
}

void reports_run(struct node *self, int64_t now_ms)
{
    bool due = now_ms >= self->report_at_ms + REPORT_PERIOD_MS;
    if (!due && (!self->report_changed || now_ms < self->report_at_ms + REPORT_HASTE_MS)) {
        return;
    }
    struct gossip_member peer;
    bool to_all = self->report_changed;
    if (to_all) {
        self->observations_to_all_until_ms = now_ms + REPORT_AFTERMATH_MS;
        self->publish_now = true;
    }
    self->report_at_ms = now_ms;
    self->report_changed = false;
    struct report *own = report_slot(self, node_name(self));
    if (own == NULL) {
        return;
    }
    describe_self(self, now_ms, own);
    if (!to_all && !next_peer(self, &peer)) {
        return;
    }
    const char *name = to_all ? NULL : peer.name;
    struct mp_writer writer;
    mp_writer_init(&writer, REPORT_BYTES_MAX);
    if (report_encode(own, &writer) == 0) {
        send_to(self, name, &writer);
    }
    mp_writer_deinit(&writer);
    send_own_observations(self, name);
}

/* What a leader's manager decides in shadow, no duty tells; so its own word goes to all. */
static bool is_for_all(const struct node *self, const char *manager)
{
    return clock_boot_ms() < self->observations_to_all_until_ms ||
           (node_may_act(self) && managers_shadow(self, manager));
}

void reports_send_observation(struct node *self, const char *manager, const uint8_t *bytes,
                              size_t length)
{
    bool to_all = is_for_all(self, manager);
    uint64_t leader = node_leader(self);
    bool to_leader = leader != 0 && leader != self->id;
    struct mp_writer writer;
    mp_writer_init(&writer, REPORT_BYTES_MAX);
    bool encoded =
        (to_all || to_leader) && report_observation_encode(manager, bytes, length, &writer) == 0;
    if (encoded && to_all) {
        peers_broadcast(self, TRANSPORT_OBSERVATION, writer.buffer.data, writer.buffer.length);
    } else if (encoded) {
        (void)transport_send_id(self->transport, leader, TRANSPORT_OBSERVATION, writer.buffer.data,
                                writer.buffer.length, false);
    }
    mp_writer_deinit(&writer);
}

/* ---- receiving ---- */

/* A spare is told by nobody else. */
static void note_leader(struct node *self, const char *from, uint64_t term)
{
    uint64_t id = node_id_of(self, from);
    if (term != 0 && term >= self->told_leader_term) {
        self->told_leader = id;
        self->told_leader_term = term;
    } else if (self->told_leader == id) {
        self->told_leader = 0; /* it leads no more */
    }
}

bool reports_receive(struct node *self, const char *from, const uint8_t *bytes, size_t length)
{
    struct report_message message;
    if (report_decode(bytes, length, &message) != 0) {
        return false;
    }
    if (message.kind == REPORT_OBSERVATION) {
        managers_observation(self, from, message.manager, message.document,
                             message.document_length);
        return true;
    }
    note_leader(self, from, message.self.leads_term);
    if (message.self.wall_ms != 0) {
        wall_told(&self->wall, clock_boot_ms(), node_id_of(self, from), message.self.wall_ms);
        message.self.wall_ms = 0; /* of the moment: no news */
    }
    struct report *report = report_slot(self, from);
    if (report != NULL) {
        message.self.taken_ms = report->taken_ms;
        (void)snprintf(message.self.node, sizeof message.self.node, "%s", from);
        /* Padding may at worst make one of them news. */
        // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
        self->publish_now |= memcmp(report, &message.self, sizeof *report) != 0;
        *report = message.self;
        report->taken_ms = clock_boot_ms();
    }
    return true;
}

const struct report *reports_of(const struct node *self, const char *node)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (strcmp(self->reports[i].node, node) == 0) {
            return &self->reports[i];
        }
    }
    return NULL;
}
