/* Nodes that get no log: spares, and those that are not admitted yet. The leader tells its spares
 * the whole replicated state when it has changed, slowly; so they know the roster with its keys,
 * and answer questions, at an age of some seconds. Shown to people and to the transport only: a
 * spare decides nothing and runs no duty. */
#include "node/base/clock.h"
#include "node/daemon/node.h"

#include <stdlib.h>

#define TELL_PERIOD_MS 2000
#define TELL_MS_PER_MB 5000 /* a large state is told less often */

/* ---- the leader ---- */

static struct outside_told *told_of(struct node *self, uint64_t id)
{
    struct outside_told *free_slot = NULL;
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (self->told_to[i].id == id) {
            return &self->told_to[i];
        }
        if (self->told_to[i].id == 0 && free_slot == NULL) {
            free_slot = &self->told_to[i];
        }
    }
    if (free_slot != NULL) {
        *free_slot = (struct outside_told){.id = id};
    }
    return free_slot;
}

/* A spare that started anew has forgotten. */
static bool is_due(struct node *self, const struct consensus_server *server, int64_t now_ms)
{
    struct gossip_member member;
    struct outside_told *told = server->role == CONSENSUS_SPARE ? told_of(self, server->id) : NULL;
    if (told == NULL ||
        !gossip_member_find(self->gossip, node_name_of(self, server->id), &member) ||
        member.state != GOSSIP_ALIVE) {
        return false;
    }
    uint64_t incarnation = member.incarnation >> GOSSIP_REFUTATION_BITS;
    bool news = told->index != state_index(self->state) || told->incarnation != incarnation;
    int64_t period_ms = TELL_PERIOD_MS + (int64_t)(self->told_length >> 20) * TELL_MS_PER_MB;
    told->incarnation = incarnation;
    return news && now_ms >= told->at_ms + period_ms;
}

static void tell_all(struct node *self, const struct told_state *told, int64_t now_ms)
{
    struct mp_writer writer;
    mp_writer_init(&writer, SNAPSHOT_BYTES_MAX);
    bool encoded = told_state_encode(told, &writer) == 0;
    for (size_t i = 0; encoded && i < self->view.server_count; i++) {
        const struct consensus_server *server = &self->view.servers[i];
        if (is_due(self, server, now_ms) &&
            transport_send_id(self->transport, server->id, TRANSPORT_STATE, writer.buffer.data,
                              writer.buffer.length, true) == 0) {
            told_of(self, server->id)->index = told->index;
            told_of(self, server->id)->at_ms = now_ms;
        }
    }
    mp_writer_deinit(&writer);
}

void outside_run(struct node *self, int64_t now_ms)
{
    bool any = false;
    for (size_t i = 0; self->view.ready && i < self->view.server_count; i++) {
        any = any || is_due(self, &self->view.servers[i], now_ms);
    }
    uint8_t *bytes = NULL;
    size_t length = 0;
    if (!any || state_snapshot(self->state, &bytes, &length) != 0) {
        return;
    }
    struct told_state told = {.term = self->view.term,
                              .index = state_index(self->state),
                              .bytes = bytes,
                              .length = length};
    self->told_length = length;
    tell_all(self, &told, now_ms);
    free(bytes);
}

/* ---- the spare ---- */

static void show(struct node *self, struct state *state, int64_t now_ms)
{
    self->state = state;
    self->publish_now = true;
    peers_sync(self);
    duties_sync(self, now_ms);
}

void outside_choose(struct node *self, int64_t now_ms)
{
    bool told = self->told_state != NULL && node_is_outside(self);
    struct state *wanted = told ? self->told_state : self->mirror;
    if (wanted != self->state) {
        show(self, wanted, now_ms);
    }
}

bool outside_receive(struct node *self, const char *from, const uint8_t *bytes, size_t length)
{
    struct told_state told;
    if (told_state_decode(bytes, length, &told) != 0) {
        return false;
    }
    if (!node_is_outside(self) || told.term < self->told_leader_term) {
        return true; /* of a leader that was */
    }
    if (self->told_state == NULL) {
        self->told_state = state_create();
    }
    struct err err = {0};
    if (self->told_state == NULL ||
        state_restore(self->told_state, told.index, told.bytes, told.length, &err) != 0) {
        log_write(self->log, LOG_LEVEL_WARN, "state.refused", log_text("peer", from),
                  log_text("why", err.msg));
        return true;
    }
    self->told_leader = node_id_of(self, from);
    self->told_leader_term = told.term;
    show(self, self->told_state, clock_boot_ms());
    return true;
}
