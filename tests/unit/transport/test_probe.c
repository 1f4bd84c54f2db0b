/* The three answers of a probe. */
#include "node/base/clock.h"
#include "node/transport/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 60000

/* A listening socket on loopback, and its address as text. */
static int listen_somewhere(char ret_address[64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    (void)snprintf(ret_address, 64, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

static enum probe_outcome probe(const char *address)
{
    struct probe self;
    struct err err;
    assert_int_equal(probe_start(&self, address, clock_boot_ms(), WAIT_MS, &err), 0);
    while (!probe_finish(&self, clock_boot_ms())) {
    }
    assert_int_equal(self.fd, -1);
    return self.outcome;
}

static void a_listener_accepts(void **state)
{
    (void)state;
    char address[64];
    int fd = listen_somewhere(address);
    assert_int_equal(probe(address), PROBE_ACCEPTED);
    (void)close(fd);
}

static void a_closed_port_refuses(void **state)
{
    (void)state;
    char address[64];
    int fd = listen_somewhere(address);
    (void)close(fd);
    assert_int_equal(probe(address), PROBE_REFUSED);
    assert_string_equal(probe_outcome_name(PROBE_REFUSED), "refused");
}

/* A full backlog answers nothing: undecided until the deadline, which is given here as passed. */
static void the_deadline_ends_it(void **state)
{
    (void)state;
    char address[64];
    int fd = listen_somewhere(address);
    struct probe fillers[16];
    struct err err;
    struct probe *waiting = NULL;
    int64_t now_ms = clock_boot_ms();
    for (int i = 0; i < 16 && waiting == NULL; i++) {
        assert_int_equal(probe_start(&fillers[i], address, now_ms, 500, &err), 0);
        if (!probe_finish(&fillers[i], now_ms)) {
            waiting = &fillers[i];
        }
    }
    if (waiting == NULL) { /* resets emptied the backlog each time: nothing to see here */
        (void)close(fd);
        skip();
    }
    assert_false(probe_finish(waiting, now_ms + 499));
    assert_true(probe_finish(waiting, now_ms + 500));
    assert_int_equal(waiting->outcome, PROBE_OTHER);
    assert_int_equal(waiting->os_errno, ETIMEDOUT);
    assert_int_equal(waiting->fd, -1);
    (void)close(fd);
}

static void names_and_nonsense_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "tcp://",
                                      "tcp://localhost:7400",
                                      "tcp://127.0.0.1",
                                      "tcp://127.0.0.1:",
                                      "tcp://127.0.0.1:0",
                                      "tcp://127.0.0.1:65536",
                                      "tcp://127.0.0.1:80x",
                                      "ipc://x:1",
                                      "tcp://[::1:7400",
                                      "tcp://[127.0.0.1]:7400",
                                      "tcp://:7400"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct probe self;
        struct err err;
        assert_int_equal(probe_start(&self, bad[i], 0, 1000, &err), ERR_INVALID);
        assert_int_equal(self.fd, -1);
        probe_cancel(&self);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_accepts),
        cmocka_unit_test(a_closed_port_refuses),
        cmocka_unit_test(the_deadline_ends_it),
        cmocka_unit_test(names_and_nonsense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
