/* Two nodes over loopback: exchange, death, return, full queues, long messages. */
#include "tests/unit/transport/transport_fixture.h"

#include "node/base/clock.h"
#include "node/base/invariant.h"
#include "node/transport/probe.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

struct pair {
    struct node one;
    struct node two;
    struct node *both[2];
};

static int set_up(void **state)
{
    struct pair *self = calloc(1, sizeof *self);
    invariant(self != NULL);
    keys_make(&self->one.keys);
    keys_make(&self->two.keys);
    self->two.name = "n2";
    self->two.id = 0xfedcba9876543210u;
    node_start(&self->one, "n1", 11, FIXTURE_CLUSTER, NULL);
    self->both[0] = &self->one;
    self->both[1] = &self->two;
    const struct node *const known[] = {&self->one, &self->two};
    node_admit(&self->one, known, 2);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *self = *state;
    node_stop(&self->one);
    node_stop(&self->two);
    free(self);
    return 0;
}

/* The second node in this process too. */
static void start_two(struct pair *self)
{
    const struct node *const known[] = {&self->one, &self->two};
    node_start(&self->two, "n2", self->two.id, FIXTURE_CLUSTER, NULL);
    node_admit(&self->two, known, 2);
    node_add_peer(&self->one, &self->two, transport_endpoint(self->two.transport));
    node_add_peer(&self->two, &self->one, transport_endpoint(self->one.transport));
}

static int send_text(struct node *from, const char *to, uint32_t kind, const char *text)
{
    return transport_send(from->transport, to, kind, (const uint8_t *)text, strlen(text), false);
}

static void two_nodes_exchange_messages(void **state)
{
    struct pair *self = *state;
    start_two(self);
    /* The first ones wait for the dial that they begin. */
    assert_int_equal(send_text(&self->one, "n2", TRANSPORT_RAFT, "vote"), 0);
    run_until(self->both, 2, &self->two.received, 1);
    assert_string_equal(self->two.last_sender, "n1");
    assert_string_equal(self->two.last_text, "vote");
    assert_int_equal(self->two.last_kind, TRANSPORT_RAFT);
    assert_int_equal(self->one.connected, 1);
    assert_true(transport_peer_connected(self->one.transport, "n2"));
    assert_string_equal(transport_peer_endpoint(self->one.transport, "n2"),
                        transport_endpoint(self->two.transport));
    assert_int_equal(transport_send_id(self->two.transport, 11, TRANSPORT_GOSSIP,
                                       (const uint8_t *)"x", 1, false),
                     0);
    run_until(self->both, 2, &self->one.received, 1);
    assert_string_equal(self->one.last_sender, "n2");
    struct transport_counters counters;
    transport_counters(self->two.transport, &counters);
    assert_int_equal(counters.received, 1);
    assert_int_equal(counters.gaps, 0);
    assert_int_equal(send_text(&self->one, "n9", TRANSPORT_RAFT, "x"), ERR_NOTFOUND);
    assert_int_equal(send_text(&self->one, "n2", 0, "x"), ERR_INVALID);
}

/* The answer to a heartbeat goes back over the leader's connection, without a dial of our own. */
static void an_answer_takes_the_way_back(void **state)
{
    struct pair *self = *state;
    start_two(self);
    self->two.echo = true;
    uint64_t answered = 0;
    /* On a busy machine an answer may come too late for the short way: repeat. */
    for (int i = 0; i < 1000 && answered == 0; i++) {
        uint64_t before = self->one.received;
        assert_int_equal(send_text(&self->one, "n2", TRANSPORT_GOSSIP, "probe"), 0);
        run_until(self->both, 2, &self->one.received, before + 1);
        struct transport_counters counters;
        transport_counters(self->two.transport, &counters);
        answered = counters.sent_answer;
    }
    assert_true(answered > 0);
    assert_int_equal(self->one.last_kind, TRANSPORT_EVIDENCE);
    assert_string_equal(self->one.last_text, "probe");
    assert_string_equal(self->one.last_sender, "n2");
}

static void a_reply_names_its_connection(void **state)
{
    struct pair *self = *state;
    start_two(self);
    assert_int_equal(send_text(&self->one, "n2", TRANSPORT_OBITUARY, "dead"), 0);
    run_until(self->both, 2, &self->two.received, 1);
    struct transport_route route = self->two.last_route;
    assert_true(route.length > 0);
    assert_int_equal(transport_reply(self->two.transport, &route, TRANSPORT_OBITUARY_ACK,
                                     (const uint8_t *)"ok", 2),
                     0);
    run_until(self->both, 2, &self->one.received, 1);
    assert_int_equal(self->one.last_kind, TRANSPORT_OBITUARY_ACK);
    assert_int_equal(self->one.last_route.length, 0);
    route.id[1] ^= 0x55;
    assert_int_equal(transport_reply(self->two.transport, &route, TRANSPORT_OBITUARY_ACK, NULL, 0),
                     ERR_NOTFOUND);
}

/* A send that fails takes back what libzmq has signalled for a message that came before it. */
static void a_failed_send_leaves_nothing_unread(void **state)
{
    struct pair *self = *state;
    struct node *const two[] = {&self->two};
    const struct transport_route gone = {.length = 5, .id = {0, 1, 2, 3, 4}};
    start_two(self);
    for (uint64_t round = 1; round <= 20; round++) {
        assert_int_equal(send_text(&self->two, "n1", TRANSPORT_GOSSIP, "probe"), 0);
        for (int i = 0; i < 10; i++) { /* it arrives between two of these */
            run_once(two, 1, 1);
            assert_int_equal(transport_reply(self->one.transport, &gone, TRANSPORT_OBITUARY_ACK,
                                             (const uint8_t *)"x", 1),
                             ERR_NOTFOUND);
        }
        run_until(self->both, 2, &self->one.received, round);
    }
}

static void a_killed_peer_is_noticed_and_refuses_the_probe(void **state)
{
    struct pair *self = *state;
    char endpoint[ADDRESS_SIZE];
    pid_t child = child_start(&self->two, &self->one, NULL, endpoint);
    node_add_peer(&self->one, &self->two, endpoint);
    transport_peer_watch(self->one.transport, "n2", true);
    run_until(self->both, 1, &self->one.connected, 1);
    child_kill(child);
    run_until(self->both, 1, &self->one.disconnected, 1);
    assert_true(self->one.disconnected_ms > 0);
    assert_false(transport_peer_connected(self->one.transport, "n2"));
    struct probe probe;
    struct err err;
    assert_int_equal(probe_start(&probe, transport_peer_endpoint(self->one.transport, "n2"),
                                 clock_boot_ms(), FIXTURE_WAIT_MS, &err),
                     0);
    while (!probe_finish(&probe, clock_boot_ms())) {
        run_once(self->both, 1, 1);
    }
    assert_int_equal(probe.outcome, PROBE_REFUSED);
    /* Messages to it are dropped, after the short wait for a dial at the latest. */
    struct transport_counters counters = {0};
    while (counters.dropped == 0) {
        (void)send_text(&self->one, "n2", TRANSPORT_RAFT, "vote");
        transport_counters(self->one.transport, &counters);
    }
}

static void a_peer_that_returns_is_connected_again(void **state)
{
    struct pair *self = *state;
    char endpoint[ADDRESS_SIZE];
    char again[ADDRESS_SIZE];
    pid_t child = child_start(&self->two, &self->one, NULL, endpoint);
    node_add_peer(&self->one, &self->two, endpoint);
    transport_peer_watch(self->one.transport, "n2", true);
    for (uint64_t round = 1; round <= 3; round++) {
        run_until(self->both, 1, &self->one.connected, round);
        assert_int_equal(send_text(&self->one, "n2", TRANSPORT_GOSSIP, "hello"), 0);
        run_until(self->both, 1, &self->one.received_kind[TRANSPORT_EVIDENCE], round);
        child_kill(child);
        run_until(self->both, 1, &self->one.disconnected, round);
        child = child_start(&self->two, &self->one, endpoint, again);
        assert_string_equal(again, endpoint);
    }
    child_kill(child);
}

static void a_removed_peer_gives_no_disconnect(void **state)
{
    struct pair *self = *state;
    start_two(self);
    transport_peer_watch(self->one.transport, "n2", true);
    run_until(self->both, 2, &self->one.connected, 1);
    transport_peer_remove(self->one.transport, "n2");
    transport_peer_remove(self->one.transport, "n2");
    transport_peer_watch(self->two.transport, "n1", true);
    run_until(self->both, 2, &self->two.connected, 1);
    assert_int_equal(self->one.disconnected, 0);
    assert_int_equal(send_text(&self->one, "n2", TRANSPORT_RAFT, "x"), ERR_NOTFOUND);
    /* Its key is still admitted: a node that joins may speak before it is a peer. */
    assert_int_equal(send_text(&self->two, "n1", TRANSPORT_HELLO, "let me in"), 0);
    run_until(self->both, 2, &self->one.received, 1);
    assert_string_equal(self->one.last_sender, "n2");
}

static void a_new_address_is_dialed(void **state)
{
    struct pair *self = *state;
    start_two(self);
    node_add_peer(&self->one, &self->two, "tcp://127.0.0.1:1");
    transport_peer_watch(self->one.transport, "n2", true);
    run_once(self->both, 2, 5);
    assert_int_equal(self->one.connected, 0);
    node_add_peer(&self->one, &self->two, transport_endpoint(self->two.transport));
    run_until(self->both, 2, &self->one.connected, 1);
}

/* A name in an address is resolved when it is dialed. */
static void a_name_is_resolved(void **state)
{
    struct pair *self = *state;
    start_two(self);
    char address[ADDRESS_SIZE];
    (void)snprintf(address, sizeof address, "tcp://localhost%s",
                   strrchr(transport_endpoint(self->two.transport), ':'));
    node_add_peer(&self->one, &self->two, address);
    assert_int_equal(send_text(&self->one, "n2", TRANSPORT_RAFT, "vote"), 0);
    run_until(self->both, 2, &self->two.received, 1);
    assert_string_equal(transport_peer_endpoint(self->one.transport, "n2"),
                        transport_endpoint(self->two.transport));
}

static void a_stopped_peer_fills_a_bounded_queue(void **state)
{
    struct pair *self = *state;
    char endpoint[ADDRESS_SIZE];
    pid_t child = child_start(&self->two, &self->one, NULL, endpoint);
    node_add_peer(&self->one, &self->two, endpoint);
    transport_peer_watch(self->one.transport, "n2", true);
    run_until(self->both, 1, &self->one.connected, 1);
    assert_int_equal(kill(child, SIGSTOP), 0);
    static uint8_t payload[32768];
    struct transport_counters counters = {0};
    /* The kernel's buffers and the queue fill up; far below this many bytes it is over. */
    for (int i = 0; i < 20000 && counters.dropped < 1000; i++) {
        (void)transport_send(self->one.transport, "n2", TRANSPORT_RAFT, payload, sizeof payload,
                             false);
        if (i % 100 == 0) {
            run_once(self->both, 1, 1);
        }
        transport_counters(self->one.transport, &counters);
    }
    assert_true(counters.dropped >= 1000);
    assert_true(counters.sent_bytes < 64u << 20);
    assert_int_equal(kill(child, SIGCONT), 0);
    child_kill(child);
}

/* Fills 8 MB with something that has an order. */
static uint8_t *make_long(size_t length, uint8_t *ret_sum)
{
    uint8_t *bytes = malloc(length);
    invariant(bytes != NULL);
    *ret_sum = 0;
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(i >> 12 ^ i);
        *ret_sum = (uint8_t)(*ret_sum * 31 + bytes[i]);
    }
    return bytes;
}

static void small_messages_overtake_long_ones(void **state)
{
    struct pair *self = *state;
    start_two(self);
    uint8_t sum;
    size_t length = 8 << 20;
    uint8_t *bytes = make_long(length, &sum);
    assert_int_equal(send_text(&self->one, "n2", TRANSPORT_RAFT, "first"), 0);
    run_until(self->both, 2, &self->two.received, 1);
    self->two.small_before_bulk = false;
    assert_int_equal(
        transport_send(self->one.transport, "n2", TRANSPORT_OBSERVATION, bytes, length, true), 0);
    assert_int_equal(send_text(&self->one, "n2", TRANSPORT_RAFT, "heartbeat"), 0);
    run_until(self->both, 2, &self->two.received_kind[TRANSPORT_OBSERVATION], 1);
    assert_true(self->two.small_before_bulk);
    assert_int_equal(self->two.last_length, length);
    assert_int_equal(self->two.last_sum, sum);
    /* Once more on the open connection, of the greatest length, and not told to be bulk. */
    free(bytes);
    length = SNAPSHOT_BYTES_MAX;
    bytes = make_long(length, &sum);
    assert_int_equal(
        transport_send(self->one.transport, "n2", TRANSPORT_OBSERVATION, bytes, length, false), 0);
    assert_int_equal(
        transport_send(self->one.transport, "n2", TRANSPORT_OBSERVATION, bytes, length + 1, false),
        ERR_INVALID);
    run_until(self->both, 2, &self->two.received_kind[TRANSPORT_OBSERVATION], 2);
    assert_int_equal(self->two.last_length, length);
    assert_int_equal(self->two.last_sum, sum);
    struct transport_counters counters;
    transport_counters(self->two.transport, &counters);
    assert_int_equal(counters.gaps, 0);
    assert_int_equal(counters.chunks_discarded, 0);
    free(bytes);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(two_nodes_exchange_messages),
        CASE(an_answer_takes_the_way_back),
        CASE(a_reply_names_its_connection),
        CASE(a_failed_send_leaves_nothing_unread),
        CASE(a_killed_peer_is_noticed_and_refuses_the_probe),
        CASE(a_peer_that_returns_is_connected_again),
        CASE(a_removed_peer_gives_no_disconnect),
        CASE(a_new_address_is_dialed),
        CASE(a_name_is_resolved),
        CASE(a_stopped_peer_fills_a_bounded_queue),
        CASE(small_messages_overtake_long_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
