#include "tests/unit/gossip/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void look_into(struct world *world, const struct gossip_action *action)
{
    struct gossip_wire_message message;
    struct gossip_wire_item item;
    assert_int_equal(gossip_wire_decode(action->bytes, action->length, &message, NULL), 0);
    world->send_count++;
    if (action->length > world->largest_bytes) {
        world->largest_bytes = action->length;
    }
    if (message.type == WIRE_PING) {
        world->pings++;
        world->ping_sequence = message.sequence;
        memcpy(world->pinged, action->name, NAME_SIZE);
    }
    if (message.type == WIRE_ASK) {
        world->asks++;
        world->ask_sequence = message.sequence;
    }
    world->acks += message.type == WIRE_ACK;
    world->nacks += message.type == WIRE_NACK;
    for (size_t i = 0; i < gossip_wire_item_count(&message); i++) {
        assert_true(gossip_wire_item_at(&message, i, &item));
        if (item.kind == WIRE_ITEM_MEMBER && world->watch != NULL &&
            strcmp(item.member.name, world->watch) == 0) {
            world->told = item.member;
            world->told_count++;
            world->told_kind = message.type;
            world->told_others += strcmp(action->name, world->watch) != 0;
            memcpy(world->told_to, action->name, NAME_SIZE);
            if (message.type == WIRE_PING && strcmp(action->name, world->watch) == 0) {
                world->questions++;
            } else if (message.type == WIRE_PING) {
                world->questions_to_others++;
            }
        }
    }
    gossip_wire_message_deinit(&message);
}

void world_drain(struct world *world)
{
    struct gossip_action action;
    while (gossip_action_next(world->gossip, &action)) {
        switch (action.kind) {
        case GOSSIP_ACTION_SEND:
            look_into(world, &action);
            break;
        case GOSSIP_ACTION_MEMBER:
            world->member = action;
            world->member_count++;
            break;
        case GOSSIP_ACTION_HEALTH:
            world->health_count++;
            break;
        case GOSSIP_ACTION_INCARNATION:
            world->incarnation = action;
            break;
        case GOSSIP_ACTION_GONE:
            world->gone_count++;
            break;
        }
    }
}

void world_begin(struct world *world)
{
    memset(world, 0, sizeof *world);
    assert_int_equal(gossip_config_profile(&world->config, "lan", NULL), 0);
    (void)snprintf(world->config.name, NAME_SIZE, "n1");
    (void)snprintf(world->config.address, ADDRESS_SIZE, "tcp://10.0.0.1:7400");
    world->config.incarnation = OWN_INCARNATION;
    world->config.rng_seed = 42;
    world->now_ms = START_MS;
    assert_int_equal(gossip_create(&world->config, START_MS, &world->gossip, NULL), 0);
}

void world_end(struct world *world)
{
    gossip_destroy(&world->gossip);
    assert_null(world->gossip);
}

void world_run(struct world *world, int64_t duration_ms)
{
    int64_t end_ms = world->now_ms + duration_ms;
    while (gossip_deadline_ms(world->gossip) <= end_ms) {
        int64_t deadline_ms = gossip_deadline_ms(world->gossip);
        world->now_ms = deadline_ms > world->now_ms ? deadline_ms : world->now_ms;
        gossip_tick(world->gossip, world->now_ms);
        world_drain(world);
    }
    world->now_ms = end_ms;
}

void world_receive(struct world *world, const char *authenticated,
                   struct gossip_wire_message *message, const struct gossip_wire_item *item)
{
    struct mp_writer writer;
    mp_writer_init(&writer, GOSSIP_MESSAGE_BYTES_MAX);
    if (message->sender[0] == '\0') {
        (void)snprintf(message->sender, NAME_SIZE, "%s", authenticated);
    }
    gossip_wire_put_head(&writer, message, NULL, item == NULL ? 0 : 1);
    if (item != NULL && item->kind == WIRE_ITEM_MEMBER) {
        gossip_wire_put_member(&writer, &item->member);
    } else if (item != NULL) {
        gossip_wire_put_health(&writer, &item->health);
    }
    gossip_receive(world->gossip, world->now_ms, authenticated, writer.buffer.data,
                   writer.buffer.length);
    mp_writer_deinit(&writer);
    world_drain(world);
}

void world_hear(struct world *world, const char *from, const char *name, uint64_t incarnation,
                enum gossip_state state, const char *by)
{
    struct gossip_wire_message message = {.type = WIRE_NEWS};
    struct gossip_wire_item item = {.kind = WIRE_ITEM_MEMBER,
                                    .member = {.incarnation = incarnation, .state = state}};
    (void)snprintf(item.member.name, NAME_SIZE, "%s", name);
    (void)snprintf(item.member.address, ADDRESS_SIZE, "tcp://%s:7400", name);
    if (by != NULL) {
        item.member.accuser_count = 1;
        (void)snprintf(item.member.accusers[0], NAME_SIZE, "%s", by);
    }
    world_receive(world, from, &message, &item);
}

void world_answer_ping(struct world *world)
{
    struct gossip_wire_message message = {.type = WIRE_ACK, .sequence = world->ping_sequence};
    world_receive(world, world->pinged, &message, NULL);
}

struct gossip_member world_member_of(struct world *world, const char *name)
{
    struct gossip_member member;
    assert_true(gossip_member_find(world->gossip, name, &member));
    return member;
}

struct gossip_counters world_counters_of(struct world *world)
{
    struct gossip_counters counters;
    gossip_counters(world->gossip, &counters);
    return counters;
}
