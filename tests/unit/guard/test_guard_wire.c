/* The guard's packets, lock names, and finding one's children. */
#include "node/guard/post.h"
#include "node/guard/tree.h"
#include "node/guard/wire.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void a_packet_comes_back_as_it_was(void **state)
{
    (void)state;
    const struct guard_message sent = {
        .kind = GUARD_RELEASED,
        .pid = 12,
        .child = 13,
        .status = -1,
        .reason = POST_LAPSED,
        .assignment = UINT64_MAX,
        .term = 5,
        .deadline_ms = INT64_MAX,
        .duty = "pm2/x",
    };
    uint8_t packet[GUARD_PACKET_BYTES + 8] = {0};
    struct guard_message got;
    bool unknown = false;
    guard_encode(&sent, packet);
    /* A later version appended something. */
    assert_true(guard_decode(packet, sizeof(packet), &got, &unknown));
    assert_int_equal(got.kind, sent.kind);
    assert_int_equal(got.pid, sent.pid);
    assert_int_equal(got.child, sent.child);
    assert_int_equal(got.status, sent.status);
    assert_int_equal(got.reason, sent.reason);
    assert_true(got.assignment == sent.assignment);
    assert_true(got.term == sent.term);
    assert_true(got.deadline_ms == sent.deadline_ms);
    assert_string_equal(got.duty, sent.duty);
}

static void malformed_packets_are_refused(void **state)
{
    (void)state;
    const struct guard_message sent = {.kind = GUARD_GRANT, .duty = "pm2/x"};
    uint8_t packet[GUARD_PACKET_BYTES];
    uint8_t broken[GUARD_PACKET_BYTES];
    struct guard_message got;
    bool unknown = false;
    guard_encode(&sent, packet);
    assert_true(guard_decode(packet, sizeof(packet), &got, &unknown));
    for (size_t length = 0; length < sizeof(packet); length++) {
        assert_false(guard_decode(packet, length, &got, &unknown));
    }
    memcpy(broken, packet, sizeof(broken));
    memset(broken, 0, 2); /* version 0 */
    assert_false(guard_decode(broken, sizeof(broken), &got, &unknown));
    memcpy(broken, packet, sizeof(broken));
    memset(broken + 2, 0x7f, 2); /* a kind that nobody knows, in our version */
    assert_false(guard_decode(broken, sizeof(broken), &got, &unknown));
    assert_false(unknown);
    broken[0] = 2; /* and in a later one: to be skipped */
    assert_false(guard_decode(broken, sizeof(broken), &got, &unknown));
    assert_true(unknown);
    memcpy(broken, packet, sizeof(broken));
    memset(broken + GUARD_PACKET_BYTES - DUTY_ID_SIZE, 'x', DUTY_ID_SIZE); /* no end */
    assert_false(guard_decode(broken, sizeof(broken), &got, &unknown));
    memcpy(broken, packet, sizeof(broken));
    broken[GUARD_PACKET_BYTES - DUTY_ID_SIZE] = '\n';
    assert_false(guard_decode(broken, sizeof(broken), &got, &unknown));
    memcpy(broken, packet, sizeof(broken));
    memset(broken + 40, 0xff, 8); /* a negative deadline */
    assert_false(guard_decode(broken, sizeof(broken), &got, &unknown));
}

static void lock_names_stay_in_their_folder(void **state)
{
    (void)state;
    char path[64];
    assert_true(guard_lock_path("/run/x", "pm2/a.b", path, sizeof(path)));
    assert_string_equal(path, "/run/x/pm2%2Fa.b.lock");
    assert_true(guard_lock_path("/run/x", "../..", path, sizeof(path)));
    assert_string_equal(path, "/run/x/..%2F...lock");
    char small[24];
    assert_false(guard_lock_path("/run/x", "pm2/worker-backup", small, sizeof(small)));
    assert_false(guard_valid_duty(""));
    assert_false(guard_valid_duty("a b"));
}

static pid_t idle_child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            (void)poll(NULL, 0, 1000);
        }
    }
    return pid;
}

static void both_ways_find_every_child(void **state)
{
    (void)state;
    enum { CHILDREN = 40 };
    pid_t pids[CHILDREN];
    for (size_t i = 0; i < CHILDREN; i++) {
        pids[i] = idle_child();
    }
    int listed = tree_signal_listed(0);
    assert_true(listed == CHILDREN || listed == -1); /* -1: a kernel without the list */
    assert_int_equal(tree_signal_walked(0), CHILDREN);
    int status = 0;
    assert_true(tree_kill(pids[7], &status));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(tree_signal_walked(0), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet_comes_back_as_it_was),
        cmocka_unit_test(malformed_packets_are_refused),
        cmocka_unit_test(lock_names_stay_in_their_folder),
        cmocka_unit_test(both_ways_find_every_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
