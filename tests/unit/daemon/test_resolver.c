/* Names of peers: taken apart, looked up off the caller's thread, each once at a time. */
#include "node/daemon/resolver.h"
#include "tests/unit/daemon/cmocka_all.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

static void addresses_are_taken_apart(void **state)
{
    (void)state;
    char host[ADDRESS_SIZE];
    char port[8];
    assert_true(resolver_split("tcp://host-b:7400", host, port));
    assert_string_equal(host, "host-b");
    assert_string_equal(port, "7400");
    assert_true(resolver_split("tcp://[::1]:7400", host, port));
    assert_string_equal(host, "[::1]");
    assert_false(resolver_split("ipc://x", host, port));
    assert_false(resolver_split("tcp://:7400", host, port));
    assert_false(resolver_split("tcp://host", host, port));
    assert_false(resolver_split("tcp://host:", host, port));
    assert_false(resolver_split("tcp://host:12345678", host, port));
}

static void numeric_hosts_need_no_look_up(void **state)
{
    (void)state;
    assert_true(resolver_is_numeric("10.0.0.1"));
    assert_true(resolver_is_numeric("[::1]"));
    assert_false(resolver_is_numeric("n1"));
    assert_false(resolver_is_numeric("10.0.0"));
}

static struct resolver_answer wait_for_answer(struct resolver *resolver)
{
    struct resolver_answer answer;
    struct pollfd poll_fd = {.fd = resolver_fd(resolver), .events = POLLIN};
    while (!resolver_take(resolver, &answer)) {
        assert_int_equal(poll(&poll_fd, 1, 60000), 1);
    }
    return answer;
}

static void a_name_is_looked_up(void **state)
{
    (void)state;
    struct resolver *resolver = resolver_create();
    assert_non_null(resolver);
    assert_true(resolver_ask(resolver, "localhost"));
    struct resolver_answer answer = wait_for_answer(resolver);
    assert_string_equal(answer.host, "localhost");
    assert_string_equal(answer.numeric, "127.0.0.1");
    assert_true(resolver_ask(resolver, "localhost")); /* and again, once it was answered */
    (void)wait_for_answer(resolver);
    resolver_destroy(&resolver);
    assert_null(resolver);
}

static void what_is_no_name_has_no_address(void **state)
{
    (void)state;
    struct resolver *resolver = resolver_create();
    char label[80]; /* longer than a label may be: refused before anything is asked */
    memset(label, 'a', sizeof label);
    label[sizeof label - 1] = '\0';
    assert_true(resolver_ask(resolver, label));
    struct resolver_answer answer = wait_for_answer(resolver);
    assert_string_equal(answer.host, label);
    assert_string_equal(answer.numeric, "");
    resolver_destroy(&resolver);
}

static void too_many_at_once_are_refused(void **state)
{
    (void)state;
    struct resolver *resolver = resolver_create();
    size_t taken = 0;
    for (int i = 0; i < NODES_MAX + 1; i++) {
        char host[ADDRESS_SIZE];
        (void)snprintf(host, sizeof host, "127.0.0.%d", i + 1); /* answered without a name server */
        taken += resolver_ask(resolver, host) ? 1 : 0;
    }
    assert_int_equal(taken, NODES_MAX);
    assert_false(resolver_ask(resolver, "127.0.0.1")); /* its answer was not taken yet */
    for (size_t i = 0; i < taken; i++) {
        struct resolver_answer answer = wait_for_answer(resolver);
        assert_string_equal(answer.host, answer.numeric);
    }
    assert_true(resolver_ask(resolver, "127.0.0.1"));
    resolver_destroy(&resolver); /* with a look-up under way */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(numeric_hosts_need_no_look_up),
        cmocka_unit_test(a_name_is_looked_up),
        cmocka_unit_test(what_is_no_name_has_no_address),
        cmocka_unit_test(too_many_at_once_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
