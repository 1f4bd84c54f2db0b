#include "tests/fuzz/gossip/subject.h"

#include "gossip/wire.h"
#include "node/base/invariant.h"

#include <stdio.h>
#include <string.h>

#define MEMBERS_MAX 8
#define ANSWERS_MAX 96 /* to one event: pages of state, and some news */

static const char *const names[] = {"n2", "n3", "n4", "n1"};

struct gossip *subject_make_node(const char *name)
{
    struct gossip_config config = {0};
    struct gossip_seed seeds[4] = {
        {"n1", "tcp://n1:1"}, {"n2", "tcp://n2:1"}, {"n3", "tcp://n3:1"}, {"n4", "tcp://n4:1"}};
    struct gossip *gossip = NULL;
    int rc = gossip_config_profile(&config, "local", NULL);
    invariant(rc == 0);
    (void)snprintf(config.name, sizeof config.name, "%s", name);
    (void)snprintf(config.address, sizeof config.address, "tcp://%s:1", name);
    config.incarnation = 5;
    config.members_max = MEMBERS_MAX;
    config.seeds = seeds;
    config.seed_count = 4;
    rc = gossip_create(&config, SUBJECT_START_MS, &gossip, NULL);
    invariant(rc == 0);
    return gossip;
}

/* A good message makes the sender known, so that claims about it meet something. */
static void introduce(struct gossip *gossip, const char *name)
{
    struct mp_writer writer;
    struct gossip_wire_message message = {.type = WIRE_NEWS};
    struct gossip_wire_member member = {.incarnation = 5, .state = GOSSIP_ALIVE};
    (void)snprintf(message.sender, NAME_SIZE, "%s", name);
    (void)snprintf(member.name, NAME_SIZE, "%s", name);
    (void)snprintf(member.address, ADDRESS_SIZE, "tcp://%s:1", name);
    mp_writer_init(&writer, 1024);
    gossip_wire_put_head(&writer, &message, NULL, 1);
    gossip_wire_put_member(&writer, &member);
    gossip_receive(gossip, SUBJECT_START_MS, name, writer.buffer.data, writer.buffer.length);
    mp_writer_deinit(&writer);
}

/* What the node sends must be readable by its own decoder, within the bound, and must end. */
static void drain(struct subject *self)
{
    struct gossip_action action;
    struct gossip_wire_message message;
    unsigned sends = 0;
    while (gossip_action_next(self->gossip, &action)) {
        if (action.kind != GOSSIP_ACTION_SEND) {
            continue;
        }
        int rc = gossip_wire_decode(action.bytes, action.length, &message, NULL);
        invariant(rc == 0);
        gossip_wire_message_deinit(&message);
        invariant(++sends <= ANSWERS_MAX);
        if (self->on_send != NULL) {
            self->on_send(self->context, &action);
        }
    }
}

static void give_health(struct subject *self)
{
    struct gossip_health health;
    gossip_health_init(&health);
    health.score_tenths = 900;
    (void)snprintf(health.version, sizeof health.version, "0.1.0");
    int rc = gossip_set_health(self->gossip, self->now_ms, &health, NULL);
    invariant(rc == 0);
}

void subject_begin(struct subject *self)
{
    self->gossip = subject_make_node("n1");
    self->now_ms = SUBJECT_START_MS;
    introduce(self->gossip, "n2");
    introduce(self->gossip, "n3");
    give_health(self);
    drain(self);
}

void subject_end(struct subject *self)
{
    struct gossip_member member;
    struct gossip_health health;
    bool complete;
    for (size_t i = 0; i < gossip_member_count(self->gossip); i++) {
        gossip_member_at(self->gossip, i, &member);
        (void)gossip_member_health(self->gossip, member.name, &health, &complete);
    }
    invariant(gossip_member_count(self->gossip) <= MEMBERS_MAX);
    gossip_destroy(&self->gossip);
}

void subject_pass(struct subject *self, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        self->now_ms += SUBJECT_STEP_MS;
        gossip_tick(self->gossip, self->now_ms);
        drain(self);
    }
}

/* Bits 0-2: what happens; bits 3-4: to whom. */
static void happen(struct subject *self, uint8_t event)
{
    const char *name = names[event >> 3 & 3];
    switch (event & 7) {
    case 0:
        gossip_note_refused(self->gossip, self->now_ms, name);
        break;
    case 1:
        gossip_note_ended(self->gossip, self->now_ms, name, 6);
        break;
    case 2:
        gossip_forget(self->gossip, self->now_ms, name);
        break;
    case 3:
        gossip_admit(self->gossip, self->now_ms, name);
        break;
    case 4:
        gossip_note_contact(self->gossip, self->now_ms, name);
        break;
    case 5:
        gossip_leave(self->gossip, self->now_ms);
        break;
    case 6:
        self->now_ms += 2 * GOSSIP_STALL_MS; /* frozen */
        break;
    default:
        give_health(self);
        break;
    }
}

void subject_take(struct subject *self, const uint8_t *part, size_t size)
{
    if (size < 2) {
        return;
    }
    subject_pass(self, part[0] >> 2);
    if (size == 2) {
        happen(self, part[1]);
    } else {
        gossip_receive(self->gossip, self->now_ms, names[part[0] & 3], part + 1, size - 1);
    }
    drain(self);
}
