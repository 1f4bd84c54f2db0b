/* What must not come through: unknown keys, other roles, forged senders, other clusters, noise. */
#include "tests/unit/transport/transport_fixture.h"

#include "node/base/clock.h"
#include "node/base/invariant.h"
#include "node/base/rng.h"
#include "node/transport/wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct pair {
    struct node one;
    struct node two;
    struct node *both[2];
    void *intruder; /* a bare DEALER with the keys of the second node */
    struct mp_writer writer;
};

static int set_up(void **state)
{
    struct pair *self = calloc(1, sizeof *self);
    invariant(self != NULL);
    keys_make(&self->one.keys);
    keys_make(&self->two.keys);
    self->two.name = "n2";
    self->two.id = 22;
    node_start(&self->one, "n1", 11, FIXTURE_CLUSTER, NULL);
    self->both[0] = &self->one;
    self->both[1] = &self->two;
    mp_writer_init(&self->writer, WIRE_FRAME_MAX);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *self = *state;
    if (self->intruder != NULL) {
        (void)zmq_close(self->intruder);
    }
    node_stop(&self->one);
    node_stop(&self->two);
    mp_writer_deinit(&self->writer);
    free(self);
    return 0;
}

static void admit_both(struct pair *self, struct node *node)
{
    const struct node *const known[] = {&self->one, &self->two};
    node_admit(node, known, 2);
}

static void start_two(struct pair *self, uint32_t cluster)
{
    node_start(&self->two, "n2", 22, cluster, NULL);
    admit_both(self, &self->two);
    node_add_peer(&self->two, &self->one, transport_endpoint(self->one.transport));
}

static void start_intruder(struct pair *self)
{
    admit_both(self, &self->one);
    int zero = 0;
    self->intruder = zmq_socket(self->one.zmq_context, ZMQ_DEALER);
    assert_non_null(self->intruder);
    (void)zmq_setsockopt(self->intruder, ZMQ_LINGER, &zero, sizeof zero);
    (void)zmq_setsockopt(self->intruder, ZMQ_CURVE_PUBLICKEY, self->two.keys.public_key, 40);
    (void)zmq_setsockopt(self->intruder, ZMQ_CURVE_SECRETKEY, self->two.keys.secret_key, 40);
    (void)zmq_setsockopt(self->intruder, ZMQ_CURVE_SERVERKEY, self->one.keys.public_key, 40);
    assert_int_equal(zmq_connect(self->intruder, transport_endpoint(self->one.transport)), 0);
}

static void intrude(struct pair *self, struct wire_frame frame)
{
    assert_int_equal(frame_encode(&frame, &self->writer), 0);
    assert_true(zmq_send(self->intruder, self->writer.buffer.data, self->writer.buffer.length, 0) >
                0);
}

static struct wire_frame honest(uint16_t sequence)
{
    return (struct wire_frame){.kind = TRANSPORT_GOSSIP,
                               .cluster = FIXTURE_CLUSTER,
                               .sender = 22,
                               .sequence = sequence,
                               .payload = (const uint8_t *)"hello",
                               .length = 5};
}

static void say_hello(struct pair *self)
{
    (void)transport_send(self->two.transport, "n1", TRANSPORT_HELLO, (const uint8_t *)"hi", 2,
                         false);
}

static void an_unknown_key_is_refused_without_spinning(void **state)
{
    struct pair *self = *state;
    int64_t began_ms = clock_boot_ms();
    start_two(self, FIXTURE_CLUSTER);
    transport_peer_watch(self->two.transport, "n1", true);
    struct transport_counters counters = {0};
    struct zap_counters refusals = {0};
    while (counters.handshakes_failed < 4) {
        assert_true(clock_boot_ms() < began_ms + FIXTURE_WAIT_MS);
        run_once(self->both, 2, 1);
        transport_counters(self->two.transport, &counters);
        zap_counters(self->one.zap, &refusals);
    }
    /* Pauses of 50, 100 and 200 ms lie between the four. */
    assert_true(clock_boot_ms() - began_ms >= 350);
    assert_true(refusals.refused >= 4);
    assert_int_equal(refusals.accepted, 0);
    assert_true(self->one.refused >= 1 && self->one.refused < refusals.refused);
    assert_true(self->two.told[TRANSPORT_EVENT_HANDSHAKE] >= 1);
    assert_int_equal(self->two.connected, 0);
    /* Once it is admitted the link stands without further ado. */
    admit_both(self, &self->one);
    run_until(self->both, 2, &self->two.connected, 1);
    say_hello(self);
    run_until(self->both, 2, &self->one.received, 1);
}

static void an_operator_is_no_node(void **state)
{
    struct pair *self = *state;
    struct zap_key key = {.name = "n2", .role = ZAP_OPERATOR};
    struct err err;
    memcpy(key.public_key, self->two.keys.public_key, PUBLIC_KEY_SIZE);
    assert_int_equal(zap_keys_set(self->one.zap, &key, 1, &err), 0);
    start_two(self, FIXTURE_CLUSTER);
    transport_peer_watch(self->two.transport, "n1", true);
    run_until(self->both, 2, &self->two.told[TRANSPORT_EVENT_HANDSHAKE], 1);
    assert_int_equal(self->two.connected, 0);
    assert_true(self->one.refused >= 1);
}

static void a_server_with_another_key_is_not_spoken_to(void **state)
{
    struct pair *self = *state;
    struct node other = self->one;
    admit_both(self, &self->one);
    start_two(self, FIXTURE_CLUSTER);
    keys_make(&other.keys);
    node_add_peer(&self->two, &other, transport_endpoint(self->one.transport));
    say_hello(self);
    run_until(self->both, 2, &self->two.told[TRANSPORT_EVENT_HANDSHAKE], 1);
    assert_int_equal(self->two.connected, 0);
    assert_int_equal(self->one.received, 0);
}

static void a_forged_sender_is_dropped(void **state)
{
    struct pair *self = *state;
    start_intruder(self);
    node_add_peer(&self->one, &self->two, "tcp://127.0.0.1:1");
    struct wire_frame frame = honest(0);
    frame.sender = 11;
    intrude(self, frame);
    intrude(self, honest(1));
    run_until(self->both, 1, &self->one.received, 1);
    assert_int_equal(self->one.told[TRANSPORT_EVENT_FORGED], 1);
    struct transport_counters counters;
    transport_counters(self->one.transport, &counters);
    assert_int_equal(counters.events[TRANSPORT_EVENT_FORGED], 1);
    assert_int_equal(counters.received, 1);
    assert_true(transport_peer_counters(self->one.transport, "n2", &counters));
    assert_int_equal(counters.events[TRANSPORT_EVENT_FORGED], 1);
    assert_string_equal(self->one.last_sender, "n2");
}

static void another_cluster_is_dropped(void **state)
{
    struct pair *self = *state;
    admit_both(self, &self->one);
    start_two(self, transport_cluster_id("test", "staging"));
    say_hello(self);
    run_until(self->both, 2, &self->one.told[TRANSPORT_EVENT_WRONG_CLUSTER], 1);
    assert_int_equal(self->one.received, 0);
}

static void malformed_messages_are_counted(void **state)
{
    struct pair *self = *state;
    start_intruder(self);
    assert_int_equal(zmq_send(self->intruder, "junk", 4, 0), 4);
    assert_int_equal(zmq_send(self->intruder, "two", 3, ZMQ_SNDMORE), 3);
    assert_int_equal(zmq_send(self->intruder, "parts", 5, 0), 5);
    assert_int_equal(zmq_send(self->intruder, "", 0, 0), 0);
    intrude(self, honest(0));
    run_until(self->both, 1, &self->one.received, 1);
    struct transport_counters counters;
    transport_counters(self->one.transport, &counters);
    assert_int_equal(counters.events[TRANSPORT_EVENT_MALFORMED], 3);
    assert_int_equal(self->one.told[TRANSPORT_EVENT_MALFORMED], 1); /* the rate is limited */
}

static void a_revoked_key_is_heard_no_more(void **state)
{
    struct pair *self = *state;
    start_intruder(self);
    intrude(self, honest(0));
    run_until(self->both, 1, &self->one.received, 1);
    const struct node *const only[] = {&self->one};
    node_admit(&self->one, only, 1);
    intrude(self, honest(1));
    run_until(self->both, 1, &self->one.told[TRANSPORT_EVENT_UNAUTHENTICATED], 1);
    assert_int_equal(self->one.received, 1);
    /* The same name with another key does not help the old one. */
    struct node renewed = self->two;
    keys_make(&renewed.keys);
    const struct node *const both[] = {&self->one, &renewed};
    node_admit(&self->one, both, 2);
    intrude(self, honest(2));
    struct transport_counters counters = {0};
    while (counters.events[TRANSPORT_EVENT_UNAUTHENTICATED] < 2) {
        run_once(self->both, 1, 1);
        transport_counters(self->one.transport, &counters);
    }
    assert_int_equal(self->one.received, 1);
}

static void missing_frames_are_counted_as_gaps(void **state)
{
    struct pair *self = *state;
    start_intruder(self);
    node_add_peer(&self->one, &self->two, "tcp://127.0.0.1:1");
    intrude(self, honest(0));
    intrude(self, honest(1));
    intrude(self, honest(5));
    intrude(self, honest(WIRE_BULK | 9)); /* another stream: nothing is missing */
    intrude(self, honest(6));
    intrude(self, honest(0)); /* a new process */
    intrude(self, honest(1));
    run_until(self->both, 1, &self->one.received, 7);
    struct transport_counters counters;
    transport_counters(self->one.transport, &counters);
    assert_int_equal(counters.gaps, 3);
}

static void intrude_chunk(struct pair *self, uint16_t sequence, uint32_t offset)
{
    struct wire_frame frame = honest(WIRE_BULK | sequence);
    frame.chunk = true;
    frame.offset = offset;
    frame.total = 15;
    intrude(self, frame);
}

static void a_long_message_with_a_hole_is_given_up(void **state)
{
    struct pair *self = *state;
    start_intruder(self);
    node_add_peer(&self->one, &self->two, "tcp://127.0.0.1:1");
    intrude_chunk(self, 0, 0);
    intrude_chunk(self, 1, 10); /* does not follow */
    intrude_chunk(self, 2, 0);
    intrude_chunk(self, 4, 5); /* one is missing before */
    intrude_chunk(self, 5, 10);
    intrude_chunk(self, 6, 0);
    intrude_chunk(self, 7, 0); /* begins anew */
    intrude_chunk(self, 8, 5);
    intrude_chunk(self, 9, 10);
    run_until(self->both, 1, &self->one.received, 1);
    assert_string_equal(self->one.last_text, "hellohellohello");
    assert_int_equal(self->one.last_length, 15);
    struct transport_counters counters;
    transport_counters(self->one.transport, &counters);
    assert_int_equal(counters.chunks_discarded, 3);
}

static void an_oversized_message_ends_its_connection(void **state)
{
    struct pair *self = *state;
    start_intruder(self);
    intrude(self, honest(0));
    run_until(self->both, 1, &self->one.received, 1);
    char *monitor_endpoint = "inproc://intruder";
    assert_int_equal(zmq_socket_monitor(self->intruder, monitor_endpoint, ZMQ_EVENT_DISCONNECTED),
                     0);
    void *monitor = zmq_socket(self->one.zmq_context, ZMQ_PAIR);
    assert_int_equal(zmq_connect(monitor, monitor_endpoint), 0);
    size_t length = WIRE_FRAME_MAX + 1024;
    char *big = calloc(1, length);
    assert_int_equal(zmq_send(self->intruder, big, length, 0), length);
    zmq_pollitem_t item = {.socket = monitor, .events = ZMQ_POLLIN};
    int64_t deadline_ms = clock_boot_ms() + FIXTURE_WAIT_MS;
    while (zmq_poll(&item, 1, 0) == 0) {
        assert_true(clock_boot_ms() < deadline_ms);
        run_once(self->both, 1, 1);
    }
    (void)zmq_socket_monitor(self->intruder, NULL, 0);
    (void)zmq_close(monitor);
    free(big);
    assert_int_equal(self->one.received, 1);
}

static void send_noise(const char *endpoint, struct rng *rng)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(strrchr(endpoint, ':') + 1, NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    uint8_t noise[512];
    for (size_t i = 0; i < sizeof noise; i++) {
        noise[i] = (uint8_t)rng_next(rng);
    }
    if (rng_below(rng, 2) == 0) { /* half of them begin as ZMTP does */
        memcpy(noise, "\xff\0\0\0\0\0\0\0\1\x7f\3\0CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 33);
    }
    (void)send(fd, noise, 1 + rng_below(rng, sizeof noise), MSG_NOSIGNAL);
    (void)close(fd);
}

static void noise_on_the_port_is_harmless(void **state)
{
    struct pair *self = *state;
    struct rng rng;
    rng_init(&rng, 7);
    admit_both(self, &self->one);
    start_two(self, FIXTURE_CLUSTER);
    for (int i = 0; i < 50; i++) {
        send_noise(transport_endpoint(self->one.transport), &rng);
        run_once(self->both, 2, 1);
    }
    say_hello(self);
    run_until(self->both, 2, &self->one.received, 1);
    assert_int_equal(self->one.received, 1);
    assert_string_equal(self->one.last_sender, "n2");
}

static void a_port_in_use_is_said(void **state)
{
    struct pair *self = *state;
    struct transport *second = NULL;
    struct err err = {0};
    struct transport_config config = {
        .zmq_context = self->one.zmq_context,
        .loop = self->one.loop,
        .zap = self->one.zap,
        .listen = transport_endpoint(self->one.transport),
        .id = 5,
        .cluster = FIXTURE_CLUSTER,
        .public_key = self->two.keys.public_key,
        .secret_key = self->two.keys.secret_key,
        .callbacks = {.received = (void (*)(void *, const struct transport_message *))abort},
    };
    assert_int_equal(transport_create(&config, &second, &err), ERR_BUSY);
    assert_non_null(strstr(err.msg, config.listen));
}

static void a_bad_key_table_changes_nothing(void **state)
{
    struct pair *self = *state;
    struct err err;
    struct zap_key keys[2] = {{.name = "a", .id = 1, .role = ZAP_NODE},
                              {.name = "b", .id = 2, .role = ZAP_NODE}};
    memcpy(keys[0].public_key, self->one.keys.public_key, PUBLIC_KEY_SIZE);
    memcpy(keys[1].public_key, self->one.keys.public_key, PUBLIC_KEY_SIZE);
    assert_int_equal(zap_keys_set(self->one.zap, keys, 2, &err), ERR_INVALID);
    keys[1].public_key[3] = '\0';
    assert_int_equal(zap_keys_set(self->one.zap, keys, 2, &err), ERR_INVALID);
    memcpy(keys[1].public_key, self->two.keys.public_key, PUBLIC_KEY_SIZE);
    keys[1].id = 0;
    assert_int_equal(zap_keys_set(self->one.zap, keys, 2, &err), ERR_INVALID);
    assert_null(zap_identify(self->one.zap, "a", self->one.keys.public_key));
    keys[1].id = 2;
    assert_int_equal(zap_keys_set(self->one.zap, keys, 2, &err), 0);
    assert_non_null(zap_identify(self->one.zap, "a", self->one.keys.public_key));
    assert_null(zap_identify(self->one.zap, "b", self->one.keys.public_key));
    assert_null(zap_identify(self->one.zap, NULL, self->one.keys.public_key));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(an_unknown_key_is_refused_without_spinning),
        CASE(an_operator_is_no_node),
        CASE(a_server_with_another_key_is_not_spoken_to),
        CASE(a_forged_sender_is_dropped),
        CASE(another_cluster_is_dropped),
        CASE(malformed_messages_are_counted),
        CASE(a_revoked_key_is_heard_no_more),
        CASE(missing_frames_are_counted_as_gaps),
        CASE(a_long_message_with_a_hole_is_given_up),
        CASE(an_oversized_message_ends_its_connection),
        CASE(noise_on_the_port_is_harmless),
        CASE(a_port_in_use_is_said),
        CASE(a_bad_key_table_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
