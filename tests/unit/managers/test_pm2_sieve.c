/* Lists that say the same are known by their text, and only those. */
#include "managers/pm2/daemon/sieve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SEED 42

static uint64_t of(const char *text)
{
    return sieve_digest(text, strlen(text), SEED);
}

#define ROW(memory, status, env)                                                                 \
    "[{\"name\":\"a\",\"pid\":7,\"monit\":{\"memory\":" memory ",\"cpu\":1},\"pm2_env\":"        \
    "{\"status\":\"" status "\",\"axm_monitor\":{\"Heap {\":{\"value\":\"1}\"}},\"env\":{\"A\":" \
    "\"" env "\"}}}]"

static void figures_do_not_count(void **state)
{
    (void)state;
    assert_true(of(ROW("4096", "online", "x")) == of(ROW("8192", "online", "x")));
    assert_true(of("{\"axm_monitor\":{\"a\":{\"b\":\"}\\\"\"}},\"c\":1}") ==
                of("{\"axm_monitor\":{},\"c\":1}"));
}

static void all_else_does(void **state)
{
    (void)state;
    assert_true(of(ROW("4096", "online", "x")) != of(ROW("4096", "stopped", "x")));
    assert_true(of(ROW("4096", "online", "x")) != of(ROW("4096", "online", "y")));
    assert_true(of(ROW("4096", "online", "x")) != of(ROW("0", "online", "x"))); /* a ghost's sign */
    assert_true(of(ROW("0", "online", "x")) == of(ROW("0", "online", "x")));
    assert_true(of("[1]") != of("[1] "));
    assert_true(of("[]") != sieve_digest("[]", 2, SEED + 1));
    /* A variable of that name is none of PM2's figures, nor is a value. */
    assert_true(of("{\"monit\":\"{a}\"}") != of("{\"monit\":\"{b}\"}"));
    assert_true(of("[\"monit\",{\"a\":1}]") != of("[\"monit\",{\"a\":2}]"));
    assert_true(of("{\"x\":\"\\\"monit\\\":{1}\"}") != of("{\"x\":\"\\\"monit\\\":{2}\"}"));
}

static void any_bytes_end(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "\"",
                                        "\"\\",
                                        "\"monit\"",
                                        "\"monit\":",
                                        "\"monit\":{",
                                        "}}}{\"\\",
                                        "\"monit\":{\"",
                                        "\"monit\":{}",
                                        "{{{{\"monit\":{\"a\\"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (size_t length = 0; length <= strlen(texts[i]); length++) {
            (void)sieve_digest(texts[i], length, SEED);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_do_not_count),
        cmocka_unit_test(all_else_does),
        cmocka_unit_test(any_bytes_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
