/* The parent's voice: heard by living nodes as the node's own, acknowledged, and gone without
 * leaving a thread or a descriptor. */
#include "tests/unit/transport/transport_fixture.h"

#include "node/base/clock.h"
#include "node/base/invariant.h"
#include "node/transport/obituary.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define RECEIVERS 3

struct fixture {
    struct node dead; /* only its keys and id; its transport gives the children an address */
    struct node receivers[RECEIVERS];
    pid_t children[RECEIVERS];
    char endpoints[RECEIVERS][ADDRESS_SIZE];
    struct obituary_peer peers[RECEIVERS + 2];
    struct obituary_config config;
};

static struct fixture fixture;

static int set_up(void **state)
{
    static const char *const names[RECEIVERS] = {"n1", "n2", "n3"};
    memset(&fixture, 0, sizeof fixture);
    keys_make(&fixture.dead.keys);
    node_start(&fixture.dead, "n9", 99, FIXTURE_CLUSTER, NULL);
    for (size_t i = 0; i < RECEIVERS; i++) {
        struct node *receiver = &fixture.receivers[i];
        keys_make(&receiver->keys);
        receiver->name = names[i];
        receiver->id = i + 1;
        receiver->echo_ack = true;
        fixture.children[i] = child_start(receiver, &fixture.dead, NULL, fixture.endpoints[i]);
        fixture.peers[i] = (struct obituary_peer){.address = fixture.endpoints[i],
                                                  .public_key = receiver->keys.public_key,
                                                  .id = receiver->id};
    }
    node_stop(&fixture.dead);
    fixture.config = (struct obituary_config){.public_key = fixture.dead.keys.public_key,
                                              .secret_key = fixture.dead.keys.secret_key,
                                              .id = 99,
                                              .cluster = FIXTURE_CLUSTER,
                                              .peers = fixture.peers,
                                              .peer_count = RECEIVERS};
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < RECEIVERS; i++) {
        child_kill(fixture.children[i]);
    }
    return 0;
}

static size_t count_entries(const char *folder)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    size_t count = 0;
    while (readdir(dir) != NULL) {
        count++;
    }
    (void)closedir(dir);
    return count;
}

static size_t publish(uint32_t cluster, uint64_t id, size_t needed, int64_t timeout_ms)
{
    struct obituary_sender *obituary = NULL;
    struct err err = {0};
    struct obituary_config config = fixture.config;
    config.cluster = cluster;
    config.id = id;
    assert_int_equal(obituary_open(&config, &obituary, &err), 0);
    assert_int_equal(
        obituary_send(obituary, TRANSPORT_OBITUARY, (const uint8_t *)"term 7", 6, &err), 0);
    size_t acks = obituary_wait(obituary, needed, clock_boot_ms() + timeout_ms);
    obituary_destroy(&obituary, 0);
    return acks;
}

static void all_acknowledge(void **state)
{
    (void)state;
    int64_t began_us = clock_boot_us();
    assert_int_equal(publish(FIXTURE_CLUSTER, 99, RECEIVERS, FIXTURE_WAIT_MS), RECEIVERS);
    print_message("opened, sent, acknowledged by %d, closed: %lld us\n", RECEIVERS,
                  (long long)(clock_boot_us() - began_us));
}

/* Of two messages the second is the one that matters. */
static void who_missed_the_last_message_has_not_heard(void **state)
{
    (void)state;
    struct obituary_sender *obituary = NULL;
    struct err err = {0};
    static const uint8_t unheard[] = FIXTURE_UNHEARD;
    assert_int_equal(obituary_open(&fixture.config, &obituary, &err), 0);
    assert_int_equal(
        obituary_send(obituary, TRANSPORT_OBITUARY, (const uint8_t *)"term 7", 6, &err), 0);
    assert_int_equal(obituary_wait(obituary, RECEIVERS, clock_boot_ms() + FIXTURE_WAIT_MS),
                     RECEIVERS);
    assert_int_equal(obituary_send(obituary, TRANSPORT_OBITUARY, unheard, sizeof unheard - 1, &err),
                     0);
    assert_int_equal(obituary_wait(obituary, 1, clock_boot_ms() + 200), 0);
    obituary_destroy(&obituary, 0);
}

static void nothing_is_left_over(void **state)
{
    (void)state;
    size_t threads = count_entries("/proc/self/task");
    size_t descriptors = count_entries("/proc/self/fd");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(publish(FIXTURE_CLUSTER, 99, 2, FIXTURE_WAIT_MS) >= 2, 1);
    }
    assert_int_equal(count_entries("/proc/self/task"), threads);
    assert_int_equal(count_entries("/proc/self/fd"), descriptors);
}

static void a_majority_is_enough_when_one_is_dead(void **state)
{
    (void)state;
    child_kill(fixture.children[1]);
    assert_int_equal(publish(FIXTURE_CLUSTER, 99, 2, FIXTURE_WAIT_MS), 2);
    /* All three never come: the deadline ends it. */
    int64_t began_ms = clock_boot_ms();
    assert_int_equal(publish(FIXTURE_CLUSTER, 99, 3, 200) <= 2, 1);
    assert_true(clock_boot_ms() - began_ms >= 200);
}

static void a_liar_is_not_acknowledged(void **state)
{
    (void)state;
    assert_int_equal(publish(FIXTURE_CLUSTER, 1, 1, 300), 0); /* claims to be n1 */
    assert_int_equal(publish(FIXTURE_CLUSTER + 1, 99, 1, 300), 0);
    fixture.peers[0].id = 77; /* answers as somebody else than the one we asked */
    fixture.config.peer_count = 1;
    assert_int_equal(publish(FIXTURE_CLUSTER, 99, 1, 300), 0);
}

static void nobody_to_tell_is_an_error(void **state)
{
    (void)state;
    struct obituary_sender *obituary = NULL;
    struct err err = {0};
    struct obituary_config config = fixture.config;
    config.peer_count = 0;
    assert_int_equal(obituary_open(&config, &obituary, &err), ERR_INVALID);
    fixture.peers[0].address = "nonsense";
    config.peer_count = 1;
    assert_int_equal(obituary_open(&config, &obituary, &err), ERR_INVALID);
    assert_null(obituary);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(all_acknowledge),
        CASE(who_missed_the_last_message_has_not_heard),
        CASE(nothing_is_left_over),
        CASE(a_majority_is_enough_when_one_is_dead),
        CASE(a_liar_is_not_acknowledged),
        CASE(nobody_to_tell_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
