/* A child's signals after exec. */
#include "node/base/exec.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The masks of a new program that was started with signals ignored and blocked. */
struct masks {
    uint64_t blocked;
    uint64_t ignored;
};

static struct masks of_child(bool reset)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        sigset_t all;
        (void)sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, NULL);
        (void)signal(SIGPIPE, SIG_IGN);
        (void)signal(SIGHUP, SIG_IGN);
        if (reset) {
            exec_reset_signals();
        }
        (void)dup2(ends[1], STDOUT_FILENO);
        char *arguments[] = {exec_word("cat"), exec_word("/proc/self/status"), NULL};
        (void)execvp(arguments[0], arguments);
        _exit(127);
    }
    (void)close(ends[1]);
    FILE *file = fdopen(ends[0], "r");
    struct masks ret = {0};
    bool found[2] = {false, false};
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "SigBlk:", 7) == 0) {
            ret.blocked = strtoull(line + 7, NULL, 16);
            found[0] = true;
        } else if (strncmp(line, "SigIgn:", 7) == 0) {
            ret.ignored = strtoull(line + 7, NULL, 16);
            found[1] = true;
        }
    }
    (void)fclose(file);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(found[0] && found[1]);
    return ret;
}

static void a_child_starts_with_every_signal_as_it_should_be(void **state)
{
    (void)state;
    struct masks without = of_child(false);
    assert_int_not_equal(without.blocked, 0); /* the test sees a mask when there is one */
    assert_int_not_equal(without.ignored, 0);
    struct masks with = of_child(true);
    assert_int_equal(with.blocked, 0);
    assert_int_equal(with.ignored, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_starts_with_every_signal_as_it_should_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
