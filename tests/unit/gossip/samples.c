#include "tests/unit/gossip/samples.h"

#include "gossip/health.h"
#include "node/base/invariant.h"

#include <stdio.h>
#include <string.h>

static uint8_t details[GOSSIP_DETAILS_BYTES_MAX];
static size_t details_length;

static void make_details(void)
{
    struct gossip_health health;
    gossip_health_init(&health);
    (void)snprintf(health.version, sizeof health.version, "0.1.0");
    health.component_count = 1;
    (void)snprintf(health.components[0].name, GOSSIP_LABEL_NAME_SIZE, "cpu");
    health.components[0].score_tenths = 991;
    health.capability_count = 1;
    (void)snprintf(health.capabilities[0].manager, GOSSIP_LABEL_NAME_SIZE, "pm2");
    health.capabilities[0].percent = GOSSIP_UNKNOWN;
    health.label_count = 1;
    (void)snprintf(health.labels[0].name, GOSSIP_LABEL_NAME_SIZE, "zone");
    (void)snprintf(health.labels[0].value, GOSSIP_LABEL_VALUE_SIZE, "b");
    int rc = gossip_health_details_encode(&health, details, &details_length, NULL);
    invariant(rc == 0);
}

struct gossip_wire_member sample_member(void)
{
    struct gossip_wire_member member = {
        .name = "n3",
        .incarnation = (UINT64_C(7) << GOSSIP_REFUTATION_BITS) + 2,
        .state = GOSSIP_SUSPECT,
        .address = "tcp://10.0.0.3:7400",
        .age_s = 90,
        .accuser_count = 2,
        .accusers = {"n2", "n4"},
    };
    return member;
}

struct gossip_wire_health sample_health(void)
{
    make_details();
    struct gossip_wire_health health = {
        .name = "n2",
        .incarnation = UINT64_C(3) << GOSSIP_REFUTATION_BITS,
        .sequence = 12,
        .score_tenths = 875,
        .load_hundredths = GOSSIP_UNKNOWN,
        .flags = GOSSIP_FLAG_DRAINING | GOSSIP_FLAG_LEADER_CAPABLE,
        .details_hash = gossip_health_details_hash(details, details_length),
        .details = details,
        .details_length = details_length,
    };
    return health;
}

void sample_encode(size_t index, struct mp_writer *ret)
{
    struct gossip_wire_message message = {.type = (enum gossip_wire_type)(index + 1),
                                          .sender = SAMPLE_SENDER,
                                          .sequence = 300,
                                          .target = "n3",
                                          .wait_ms = 450,
                                          .join = true,
                                          .digest = UINT64_C(0x1234567890ABCDEF),
                                          .bucket_count = 8,
                                          .buckets = {1, 2, 3, 0xFFFFFFFF, 5, 6, 7, 8},
                                          .covered = {0xA5}};
    struct mp_writer names;
    mp_writer_init(&names, 256);
    mp_put_text(&names, "n3");
    if (message.type == WIRE_VERSIONS) {
        mp_put_u64(&names, 0xCAFE);
    } else {
        mp_put_text(&names, "n4");
    }
    struct gossip_wire_names raw = {
        .bytes = names.buffer.data, .length = names.buffer.length, .count = 2};
    struct gossip_wire_member member = sample_member();
    struct gossip_wire_health health = sample_health();
    mp_writer_init(ret, GOSSIP_MESSAGE_BYTES_MAX);
    bool bare = message.type == WIRE_NACK;
    gossip_wire_put_head(ret, &message, &raw, bare ? 0 : 2);
    if (!bare) {
        gossip_wire_put_member(ret, &member);
        gossip_wire_put_health(ret, &health);
    }
    mp_writer_deinit(&names);
    invariant(mp_writer_ok(ret));
}
