/* Bytes from anywhere into a node that knows some members: every decoder and every rule behind it.
 * The first byte chooses who is taken for the authenticated sender and how much time passes. */
#include "gossip/gossip.h"
#include "gossip/wire.h"
#include "node/base/invariant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_MS 1000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gossip *make_node(void)
{
    struct gossip_config config = {0};
    struct gossip_seed seeds[3] = {
        {"n2", "tcp://n2:1"}, {"n3", "tcp://n3:1"}, {"n4", "tcp://n4:1"}};
    struct gossip *gossip = NULL;
    int rc = gossip_config_profile(&config, "local", NULL);
    invariant(rc == 0);
    (void)snprintf(config.name, sizeof config.name, "n1");
    (void)snprintf(config.address, sizeof config.address, "tcp://n1:1");
    config.incarnation = 5;
    config.members_max = 8;
    config.seeds = seeds;
    config.seed_count = 3;
    rc = gossip_create(&config, START_MS, &gossip, NULL);
    invariant(rc == 0);
    return gossip;
}

/* A good message makes n2 and n3 known, so that claims about them meet something. */
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
    gossip_receive(gossip, START_MS, name, writer.buffer.data, writer.buffer.length);
    mp_writer_deinit(&writer);
}

/* What the node sends must be readable by its own decoder, and within the bound. */
static void drain(struct gossip *gossip)
{
    struct gossip_action action;
    struct gossip_wire_message message;
    while (gossip_action_next(gossip, &action)) {
        if (action.kind == GOSSIP_ACTION_SEND) {
            int rc = gossip_wire_decode(action.bytes, action.length, &message, NULL);
            invariant(rc == 0);
            gossip_wire_message_deinit(&message);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const senders[] = {"n2", "n3", "n4", "n1"};
    struct gossip_member member;
    struct gossip_health health;
    bool complete;
    if (size < 1) {
        return 0;
    }
    struct gossip *gossip = make_node();
    introduce(gossip, "n2");
    introduce(gossip, "n3");
    int64_t now_ms = START_MS + (data[0] >> 2) * 50;
    gossip_receive(gossip, now_ms, senders[data[0] & 3], data + 1, size - 1);
    drain(gossip);
    for (int64_t step = 0; step < 20; step++) {
        gossip_tick(gossip, now_ms + step * 100);
        drain(gossip);
    }
    for (size_t i = 0; i < gossip_member_count(gossip); i++) {
        gossip_member_at(gossip, i, &member);
        (void)gossip_member_health(gossip, member.name, &health, &complete);
    }
    invariant(gossip_member_count(gossip) <= 8);
    gossip_destroy(&gossip);
    return 0;
}
