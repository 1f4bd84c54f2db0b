/* understudy-guard and the node's post, with real processes. */
#include "node/base/clock.h"
#include "node/guard/wire.h"
#include "tests/unit/guard/guard_fixture.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static pid_t victim_of(struct fixture *self)
{
    pump_until(self, fixture_number(self, "victim") != 0);
    return (pid_t)fixture_number(self, "victim");
}

static void assert_text_contains(int fd, const char *expected)
{
    char text[512];
    ssize_t got = read(fd, text, sizeof(text) - 1);
    text[got > 0 ? got : 0] = '\0';
    if (strstr(text, expected) == NULL) {
        fail_msg("\"%s\" not in \"%s\"", expected, text);
    }
}

static void no_grant_means_exit_86(void **state)
{
    struct fixture *self = *state;
    self->renew = false;
    int64_t began_ms = clock_boot_ms();
    struct guard_process guard = guard_start(self, "200", "keep", "run");
    pump_until(self, guard_ended(&guard));
    pump_until(self, self->gones == 1);
    assert_int_equal(guard.code, POST_EXIT_LOST);
    assert_true(clock_boot_ms() - began_ms >= 1900);
    assert_int_equal(self->releases, 1);
    assert_int_equal(self->reason, POST_NEVER_RAN);
    assert_int_equal(fixture_number(self, "victim"), 0);
    guard_end(&guard);
}

static void no_node_means_exit_86(void **state)
{
    struct fixture *self = *state;
    post_destroy(&self->post);
    (void)shutdown(self->listen_fd, SHUT_RDWR);
    struct guard_process guard = guard_start(self, "200", "keep", "run");
    pump_until(self, guard_ended(&guard));
    assert_int_equal(guard.code, POST_EXIT_LOST);
    assert_int_equal(fixture_number(self, "victim"), 0);
    guard_end(&guard);
}

/* A grant that leaves no time to stop decently is none. */
static void a_grant_shorter_than_the_kill_timeout_starts_nothing(void **state)
{
    struct fixture *self = *state;
    self->ttl_ms = 1000;
    struct guard_process guard = guard_start(self, "5000", "keep", "run");
    pump_until(self, guard_ended(&guard));
    assert_int_equal(guard.code, POST_EXIT_LOST);
    assert_int_equal(fixture_number(self, "victim"), 0);
    guard_end(&guard);
}

static void assert_end_file(struct fixture *self, const char *expected)
{
    char text[64];
    fixture_text(self, "end", text, sizeof(text));
    assert_string_equal(text, expected);
}

/* For whoever did not start the guard: a code of the program and one of the guard look the same. */
static void the_end_file_says_why_and_how_it_ended(void **state)
{
    struct fixture *self = *state;
    struct guard_process guard = guard_start(self, "200", "keep", "exit7");
    pump_until(self, guard_ended(&guard));
    assert_end_file(self, "ended exit 7\n");
    guard_end(&guard);

    guard = guard_start(self, "200", "keep", "run");
    pump_until(self, self->starts == 2);
    assert_int_equal(kill(self->last.child, SIGKILL), 0);
    pump_until(self, guard_ended(&guard));
    assert_int_equal(guard.code, 128 + SIGKILL);
    assert_end_file(self, "ended signal 9\n");
    guard_end(&guard);

    self->renew = false;
    guard = guard_start(self, "200", "keep", "run");
    pump_until(self, guard_ended(&guard));
    assert_end_file(self, "never-ran none 0\n");
    guard_end(&guard);
}

/* Its last words find no room, and nobody makes any: it ends all the same, and so does its lock. */
static void a_full_standard_error_holds_up_no_end(void **state)
{
    struct fixture *self = *state;
    self->full_errors = true;
    struct guard_process guard = guard_start(self, "200", "keep", "run");
    pump_until(self, self->starts == 1);
    assert_int_equal(post_revoke(self->post, DUTY, NULL), 0);
    pump_until(self, guard_ended(&guard));
    assert_int_equal(guard.code, POST_EXIT_LOST);
    assert_true(post_lock_free(self->dir, DUTY));
    guard_end(&guard);
}

static void renewals_keep_it_alive(void **state)
{
    struct fixture *self = *state;
    self->ttl_ms = 4000;
    struct guard_process guard = guard_start(self, "200", "keep", "run");
    pid_t victim = victim_of(self);
    int64_t first_deadline_ms = self->last_deadline_ms;
    pump_until(self, clock_boot_ms() > first_deadline_ms + 500 && self->starts == 1);
    assert_true(process_lives(victim));
    assert_int_equal(self->last.child, victim);
    assert_int_equal(post_revoke(self->post, DUTY, NULL), 0);
    pump_until(self, self->releases == 1);
    assert_int_equal(self->reason, POST_REVOKED);
    assert_false(process_lives(victim));
    pump_until(self, guard_ended(&guard));
    assert_int_equal(guard.code, POST_EXIT_LOST);
    assert_int_equal(post_grant(self->post, DUTY, 1, 1, 1, NULL),
                     post_find(self->post, DUTY, NULL) ? ERR_UNSAFE : ERR_NOTFOUND);
    guard_end(&guard);
}

static void a_lapse_is_sigterm_then_sigkill_at_the_deadline(void **state)
{
    struct fixture *self = *state;
    self->ttl_ms = 5000;
    struct guard_process guard = guard_start(self, "3000", "keep", "stubborn");
    pid_t victim = victim_of(self);
    self->renew = false;
    int64_t deadline_ms = self->last_deadline_ms;
    pump_until(self, !process_lives(victim));
    int64_t dead_ms = clock_boot_ms();
    int64_t signal_ms = fixture_number(self, "signal_ms");
    print_message("SIGTERM %lld ms before the deadline, gone %lld ms after it\n",
                  (long long)(deadline_ms - signal_ms), (long long)(dead_ms - deadline_ms));
    assert_int_equal(fixture_number(self, "signal"), SIGTERM);
    assert_true(signal_ms >= deadline_ms - 3000);
    assert_true(signal_ms < deadline_ms);
    assert_true(dead_ms >= deadline_ms);
    pump_until(self, guard_ended(&guard));
    pump_until(self, self->releases == 1);
    assert_int_equal(guard.code, POST_EXIT_LOST);
    assert_int_equal(self->reason, POST_LAPSED);
    assert_int_equal(self->status, 128 + SIGKILL);
    guard_end(&guard);
}

static void a_grandchild_with_its_own_session_dies_too(void **state)
{
    struct fixture *self = *state;
    struct guard_process guard = guard_start(self, "300", "keep", "family");
    pid_t victim = victim_of(self);
    pid_t grandchild = (pid_t)fixture_number(self, "grandchild");
    assert_true(process_lives(grandchild));
    assert_int_equal(post_revoke(self->post, DUTY, NULL), 0);
    pump_until(self, self->releases == 1);
    assert_false(process_lives(victim));
    assert_false(process_lives(grandchild));
    pump_until(self, guard_ended(&guard));
    assert_true(post_lock_free(self->dir, DUTY));
    guard_end(&guard);
}

static void what_a_program_leaves_behind_ends_before_the_guard(void **state)
{
    struct fixture *self = *state;
    struct guard_process guard = guard_start(self, "200", "keep", "orphan");
    pump_until(self, guard_ended(&guard));
    assert_int_equal(guard.code, 7);
    assert_false(process_lives((pid_t)fixture_number(self, "grandchild")));
    pump_until(self, self->releases == 1);
    assert_int_equal(self->reason, POST_ENDED);
    assert_int_equal(self->status, 7);
    guard_end(&guard);
}

static void kill_of_the_guard_ends_the_tree(void **state)
{
    struct fixture *self = *state;
    struct guard_process guard = guard_start(self, "10000", "keep", "family");
    pid_t victim = victim_of(self);
    pid_t grandchild = (pid_t)fixture_number(self, "grandchild");
    assert_int_equal(kill(guard.pid, SIGKILL), 0);
    pump_until(self, post_lock_free(self->dir, DUTY));
    assert_false(process_lives(victim));
    assert_false(process_lives(grandchild));
    pump_until(self, self->gones == 1);
    assert_int_equal(self->releases, 0);
    guard_end(&guard);
}

static void kill_of_the_keeper_ends_the_tree(void **state)
{
    struct fixture *self = *state;
    struct guard_process guard = guard_start(self, "10000", "keep", "family");
    pid_t victim = victim_of(self);
    pid_t grandchild = (pid_t)fixture_number(self, "grandchild");
    pid_t keeper = process_parent(victim);
    assert_int_equal(process_parent(keeper), guard.pid);
    assert_int_equal(kill(keeper, SIGKILL), 0);
    pump_until(self, guard_ended(&guard));
    assert_false(process_lives(victim));
    assert_false(process_lives(grandchild));
    assert_int_equal(guard.code, 128 + SIGKILL);
    pump_until(self, self->releases == 1);
    assert_int_equal(self->reason, POST_ENDED);
    guard_end(&guard);
}

/* The kernel ends the program; what it left in a session of its own still holds the lock. */
static void both_killed_at_once_leave_the_lock_to_what_lives(void **state)
{
    struct fixture *self = *state;
    struct guard_process guard = guard_start(self, "10000", "keep", "family");
    pid_t victim = victim_of(self);
    pid_t grandchild = (pid_t)fixture_number(self, "grandchild");
    pid_t keeper = process_parent(victim);
    /* Stopped first, so that neither can act on the other's end. */
    assert_int_equal(kill(keeper, SIGSTOP), 0);
    assert_int_equal(kill(guard.pid, SIGSTOP), 0);
    assert_int_equal(kill(keeper, SIGKILL), 0);
    assert_int_equal(kill(guard.pid, SIGKILL), 0);
    pump_until(self, !process_lives(victim));
    pump_until(self, guard_ended(&guard));
    assert_true(process_lives(grandchild));
    assert_false(post_lock_free(self->dir, DUTY));
    char held[4][DUTY_ID_SIZE];
    assert_int_equal(post_locks_held(self->dir, held, 4), 1);
    assert_string_equal(held[0], DUTY);
    struct guard_process second = guard_start(self, "200", "keep", "run");
    pump_until(self, guard_ended(&second));
    assert_int_equal(second.code, POST_EXIT_LOST);
    assert_text_contains(second.errors, "which is gone");
    assert_int_equal(kill(grandchild, SIGKILL), 0);
    pump_until(self, post_lock_free(self->dir, DUTY));
    guard_end(&second);
    guard_end(&guard);
}

/* A keeper that hangs does not delay the end: the front kills it and does its work. */
static void a_frozen_keeper_does_not_outlive_the_deadline(void **state)
{
    struct fixture *self = *state;
    self->ttl_ms = 2500;
    struct guard_process guard = guard_start(self, "500", "keep", "family");
    pid_t victim = victim_of(self);
    pid_t grandchild = (pid_t)fixture_number(self, "grandchild");
    assert_int_equal(kill(process_parent(victim), SIGSTOP), 0);
    self->renew = false;
    pump_until(self, guard_ended(&guard));
    assert_true(clock_boot_ms() >= self->last_deadline_ms);
    assert_false(process_lives(victim));
    assert_false(process_lives(grandchild));
    assert_int_equal(guard.code, POST_EXIT_LOST);
    guard_end(&guard);
}

static void a_frozen_front_does_not_outlive_the_deadline(void **state)
{
    struct fixture *self = *state;
    self->ttl_ms = 2500;
    struct guard_process guard = guard_start(self, "500", "keep", "stubborn");
    pid_t victim = victim_of(self);
    assert_int_equal(kill(guard.pid, SIGSTOP), 0);
    self->renew = false;
    pump_until(self, !process_lives(victim));
    assert_true(clock_boot_ms() >= self->last_deadline_ms);
    assert_int_equal(kill(guard.pid, SIGCONT), 0);
    pump_until(self, guard_ended(&guard));
    assert_int_equal(guard.code, POST_EXIT_LOST);
    guard_end(&guard);
}

/* The node in a process of its own, so that it can be stopped like a real one. */
static void run_node(struct fixture *self)
{
    for (;;) {
        fixture_pump(self, 20);
    }
}

static void a_stopped_node_loses_the_process_at_the_deadline(void **state)
{
    struct fixture *self = *state;
    self->ttl_ms = 2000;
    pid_t node = fork();
    if (node == 0) {
        run_node(self);
    }
    post_destroy(&self->post);
    struct guard_process guard = guard_start(self, "300", "keep", "stubborn");
    pid_t victim = victim_of(self);
    assert_int_equal(kill(node, SIGSTOP), 0);
    int64_t stopped_ms = clock_boot_ms();
    pump_until(self, !process_lives(victim));
    print_message("gone %lld ms after the node was stopped (ttl 2000)\n",
                  (long long)(clock_boot_ms() - stopped_ms));
    pump_until(self, guard_ended(&guard));
    assert_int_equal(guard.code, POST_EXIT_LOST);
    assert_int_equal(kill(node, SIGKILL), 0);
    assert_int_equal(waitpid(node, NULL, 0), node);
    guard_end(&guard);
}

static void two_guards_of_a_duty_never_overlap(void **state)
{
    struct fixture *self = *state;
    struct guard_process first = guard_start(self, "200", "keep", "run");
    pid_t victim = victim_of(self);
    assert_false(post_lock_free(self->dir, DUTY));
    struct guard_process second = guard_start(self, "200", "keep", "run");
    pump_until(self, guard_ended(&second));
    assert_int_equal(second.code, POST_EXIT_LOST);
    char holder[32];
    (void)snprintf(holder, sizeof(holder), "guard %d", (int)first.pid);
    assert_text_contains(second.errors, holder);
    assert_true(process_lives(victim));
    guard_end(&second);

    /* One that comes while the first is ending waits for it, and then runs. */
    assert_int_equal(kill(first.pid, SIGTERM), 0);
    struct guard_process third = guard_start(self, "200", "keep", "run");
    pump_until(self, guard_ended(&first));
    pump_until(self, self->starts == 2);
    assert_false(process_lives(victim));
    assert_true(process_lives((pid_t)self->last.child));
    assert_int_equal(post_revoke(self->post, DUTY, NULL), 0);
    pump_until(self, guard_ended(&third));
    guard_end(&third);
    guard_end(&first);
}

static void exit_codes_and_signals_are_passed_on(void **state)
{
    struct fixture *self = *state;
    struct guard_process plain = guard_start(self, "200", "keep", "exit7");
    pump_until(self, guard_ended(&plain));
    assert_int_equal(plain.code, 7);
    pump_until(self, self->releases == 1);
    assert_int_equal(self->reason, POST_ENDED);
    guard_end(&plain);

    struct guard_process ended = guard_start(self, "5000", "keep", "run");
    pump_until(self, self->starts == 2);
    assert_int_equal(kill(ended.pid, SIGTERM), 0);
    pump_until(self, guard_ended(&ended));
    assert_int_equal(ended.code, 128 + SIGTERM);
    pump_until(self, self->releases == 2);
    assert_int_equal(self->reason, POST_SIGNALLED);
    guard_end(&ended);
}

static void a_stop_from_pm2_is_sigkill_after_the_kill_timeout(void **state)
{
    struct fixture *self = *state;
    /* Long enough for a busy machine: the signal must be noted before the end. */
    struct guard_process guard = guard_start(self, "2500", "keep", "stubborn");
    pid_t victim = victim_of(self);
    assert_int_equal(kill(guard.pid, SIGUSR2), 0);
    pump_until(self, fixture_number(self, "signal") == SIGUSR2);
    assert_true(process_lives(victim));
    int64_t asked_ms = clock_boot_ms();
    assert_int_equal(kill(guard.pid, SIGINT), 0);
    pump_until(self, fixture_number(self, "signal") == SIGINT);
    pump_until(self, guard_ended(&guard));
    assert_true(clock_boot_ms() - asked_ms >= 2500);
    assert_int_equal(guard.code, 128 + SIGKILL);
    guard_end(&guard);
}

static void the_program_knows_its_term_and_duty(void **state)
{
    struct fixture *self = *state;
    char text[128];
    struct guard_process guard = guard_start(self, "200", "keep", "environment");
    (void)victim_of(self);
    fixture_text(self, "environment", text, sizeof(text));
    assert_string_equal(text, "4 " DUTY "\n");
    assert_int_equal(post_revoke(self->post, DUTY, NULL), 0);
    pump_until(self, guard_ended(&guard));
    guard_end(&guard);
}

static void a_program_that_cannot_run_is_told(void **state)
{
    struct fixture *self = *state;
    int errors[2];
    assert_int_equal(pipe(errors), 0);
    struct guard_process guard = {.pid = fork(), .pidfd = -1, .errors = errors[0]};
    if (guard.pid == 0) {
        (void)dup2(errors[1], STDERR_FILENO);
        (void)execl(GUARD_PROGRAM, GUARD_PROGRAM, "--socket", self->socket, "--duty", DUTY,
                    "--lock-dir", self->dir, "--", "/nowhere/at/all", NULL);
        _exit(99);
    }
    (void)close(errors[1]);
    pump_until(self, guard_ended(&guard));
    assert_int_equal(guard.code, 127);
    assert_text_contains(guard.errors, "/nowhere/at/all");
    guard_end(&guard);
}

/* The node dies; its parent takes the guards over from the same listening socket. */
static void the_parent_can_take_over_and_revoke(void **state)
{
    struct fixture *self = *state;
    struct guard_process guard = guard_start(self, "200", "keep", "run");
    pid_t victim = victim_of(self);
    pump_until(self, self->starts == 1);
    post_destroy(&self->post);
    assert_true(process_lives(victim));
    self->renew = false;
    self->starts = 0;
    fixture_open_post(self, true);
    pump_until(self, self->releases == 1);
    assert_int_equal(self->reason, POST_REVOKED);
    assert_int_equal(self->last.assignment, 11);
    assert_false(process_lives(victim));
    pump_until(self, guard_ended(&guard));
    assert_true(post_lock_free(self->dir, DUTY));
    guard_end(&guard);
}

/* A new node finds the guard as it was, and its renewals count. */
static void a_new_node_goes_on_with_a_running_guard(void **state)
{
    struct fixture *self = *state;
    self->ttl_ms = 4000;
    struct guard_process guard = guard_start(self, "200", "keep", "run");
    pid_t victim = victim_of(self);
    pump_until(self, self->starts == 1);
    int64_t old_deadline_ms = self->last_deadline_ms;
    post_destroy(&self->post);
    self->hellos = 0;
    fixture_open_post(self, false);
    pump_until(self, self->hellos == 1);
    assert_int_equal(self->last.child, victim);
    assert_int_equal(self->last.assignment, 11);
    pump_until(self, clock_boot_ms() > old_deadline_ms + 300);
    assert_true(process_lives(victim));
    post_revoke_all(self->post);
    pump_until(self, guard_ended(&guard));
    guard_end(&guard);
}

static void a_broken_connection_stops_it_when_so_configured(void **state)
{
    struct fixture *self = *state;
    struct guard_process guard = guard_start(self, "200", "stop", "run");
    pid_t victim = victim_of(self);
    pump_until(self, self->starts == 1);
    post_destroy(&self->post);
    pump_until(self, !process_lives(victim));
    self->renew = false;
    fixture_open_post(self, false);
    pump_until(self, self->releases == 1);
    assert_int_equal(self->reason, POST_DISCONNECTED);
    pump_until(self, guard_ended(&guard));
    assert_int_equal(guard.code, POST_EXIT_LOST);
    guard_end(&guard);
}

/* --- the post against strangers ------------------------------------------------------------ */

static int connect_raw(const struct fixture *self)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(self->socket) < sizeof(address.sun_path));
    memcpy(address.sun_path, self->socket, strlen(self->socket));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)), 0);
    return fd;
}

static bool closed_by_peer(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    char byte;
    return poll(&polled, 1, 0) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

static void rubbish_and_forged_hellos_are_refused(void **state)
{
    struct fixture *self = *state;
    int fd = connect_raw(self);
    assert_int_equal(send(fd, "rubbish", 7, 0), 7);
    pump_until(self, closed_by_peer(fd));
    (void)close(fd);

    struct guard_message hello = {.kind = GUARD_HELLO, .pid = 1, .duty = DUTY};
    uint8_t packet[GUARD_PACKET_BYTES];
    guard_encode(&hello, packet);
    fd = connect_raw(self);
    assert_int_equal(send(fd, packet, sizeof(packet), 0), sizeof(packet));
    pump_until(self, closed_by_peer(fd));
    (void)close(fd);
    assert_int_equal(self->hellos, 0);
    struct post_counters counters;
    post_counters(self->post, &counters);
    assert_int_equal(counters.malformed, 2);
}

static void silent_connections_give_way(void **state)
{
    struct fixture *self = *state;
    int fds[POST_GUARDS_MAX + 8];
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        fds[i] = connect_raw(self);
        fixture_pump(self, 0);
    }
    pump_until(self, closed_by_peer(fds[0]));
    struct guard_process guard = guard_start(self, "200", "keep", "exit7");
    pump_until(self, guard_ended(&guard));
    assert_int_equal(guard.code, 7);
    guard_end(&guard);
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        (void)close(fds[i]);
    }
}

static void other_users_are_refused(void **state)
{
    struct fixture *self = *state;
    if (geteuid() != 0) {
        print_message("needs root to become another user\n");
        skip();
    }
    post_destroy(&self->post);
    (void)close(self->listen_fd);
    assert_int_equal(unlink(self->socket), 0);
    assert_int_equal(chmod(self->dir, 0755), 0);
    assert_int_equal(post_listen(self->socket, 0666, &self->listen_fd, NULL), 0);
    fixture_open_post(self, false);
    pid_t stranger = fork();
    if (stranger == 0) {
        if (setuid(65534) != 0) {
            _exit(2);
        }
        int fd = connect_raw(self);
        struct pollfd polled = {.fd = fd, .events = POLLIN};
        (void)poll(&polled, 1, PATIENCE_MS);
        _exit(closed_by_peer(fd) ? 0 : 1);
    }
    int status = -1;
    pump_until(self, waitpid(stranger, &status, WNOHANG) == stranger);
    assert_int_equal(status, 0);
    struct post_counters counters;
    post_counters(self->post, &counters);
    assert_int_equal(counters.refused, 1);
    assert_int_equal(counters.accepted, 0);
}

static void a_live_socket_is_not_taken_away(void **state)
{
    struct fixture *self = *state;
    int fd = -1;
    struct err err;
    assert_int_equal(post_listen(self->socket, 0600, &fd, &err), ERR_BUSY);
    (void)close(self->listen_fd);
    post_destroy(&self->post);
    assert_int_equal(post_listen(self->socket, 0600, &self->listen_fd, &err), 0);
    fixture_open_post(self, false);
}

#define GUARD_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(int argc, char *argv[])
{
    if (argc == 4 && strcmp(argv[1], "--victim") == 0) {
        return victim_main(argv[2], argv[3]);
    }
    const struct CMUnitTest tests[] = {
        GUARD_TEST(no_grant_means_exit_86),
        GUARD_TEST(no_node_means_exit_86),
        GUARD_TEST(a_grant_shorter_than_the_kill_timeout_starts_nothing),
        GUARD_TEST(the_end_file_says_why_and_how_it_ended),
        GUARD_TEST(a_full_standard_error_holds_up_no_end),
        GUARD_TEST(renewals_keep_it_alive),
        GUARD_TEST(a_lapse_is_sigterm_then_sigkill_at_the_deadline),
        GUARD_TEST(a_grandchild_with_its_own_session_dies_too),
        GUARD_TEST(what_a_program_leaves_behind_ends_before_the_guard),
        GUARD_TEST(kill_of_the_guard_ends_the_tree),
        GUARD_TEST(kill_of_the_keeper_ends_the_tree),
        GUARD_TEST(both_killed_at_once_leave_the_lock_to_what_lives),
        GUARD_TEST(a_frozen_keeper_does_not_outlive_the_deadline),
        GUARD_TEST(a_frozen_front_does_not_outlive_the_deadline),
        GUARD_TEST(a_stopped_node_loses_the_process_at_the_deadline),
        GUARD_TEST(two_guards_of_a_duty_never_overlap),
        GUARD_TEST(exit_codes_and_signals_are_passed_on),
        GUARD_TEST(a_stop_from_pm2_is_sigkill_after_the_kill_timeout),
        GUARD_TEST(the_program_knows_its_term_and_duty),
        GUARD_TEST(a_program_that_cannot_run_is_told),
        GUARD_TEST(the_parent_can_take_over_and_revoke),
        GUARD_TEST(a_new_node_goes_on_with_a_running_guard),
        GUARD_TEST(a_broken_connection_stops_it_when_so_configured),
        GUARD_TEST(rubbish_and_forged_hellos_are_refused),
        GUARD_TEST(silent_connections_give_way),
        GUARD_TEST(other_users_are_refused),
        GUARD_TEST(a_live_socket_is_not_taken_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
