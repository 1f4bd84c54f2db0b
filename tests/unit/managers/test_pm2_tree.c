/* One pass over /proc: a process with its descendants, held against what was started. */
#include "managers/pm2/watch/process.h"
#include "managers/pm2/watch/tree.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES (16 << 20)
/* Sanitizers keep notes beside each byte that is written. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define MOST_FOLD 16
#else
#define MOST_FOLD 2
#endif

/* Takes memory, says so, and lives until its parent dies. */
static void live(int say)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    char *bytes = malloc(BYTES);
    for (size_t i = 0; bytes != NULL && i < BYTES; i += 512) {
        *(volatile char *)(bytes + i) = 1;
    }
    (void)!write(say, "x", 1);
    for (;;) {
        (void)pause();
    }
}

/* A child with two children, of which one has one: four processes of 16 MB. */
static pid_t start_family(int *ret_say)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (fork() == 0) {
            if (fork() == 0) {
                live(pipe_fds[1]);
            }
            live(pipe_fds[1]);
        }
        if (fork() == 0) {
            live(pipe_fds[1]);
        }
        live(pipe_fds[1]);
    }
    char byte;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    }
    *ret_say = pipe_fds[0];
    (void)close(pipe_fds[1]);
    return pid;
}

static void a_family_is_counted_together(void **state)
{
    (void)state;
    int say;
    pid_t pid = start_family(&say);
    struct tree tree = {0};
    assert_true(tree_take(&tree));
    struct tree_usage usage = {0};
    tree_add(&tree, pid, &usage);
    assert_int_equal(usage.processes, 4);
    assert_in_range(usage.memory_bytes, 4 * (int64_t)BYTES, MOST_FOLD * 4 * (int64_t)BYTES);
    assert_int_equal(tree_find(&tree, pid)->parent, getpid());
    struct tree_usage own = {0};
    tree_add(&tree, getpid(), &own);
    assert_true(own.processes >= 5 && own.memory_bytes > usage.memory_bytes);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    char byte;
    assert_int_equal(read(say, &byte, 1), 0); /* all of them have ended */
    (void)close(say);
    assert_true(tree_take(&tree));
    assert_null(tree_find(&tree, pid));
    usage = (struct tree_usage){0};
    tree_add(&tree, pid, &usage);
    assert_int_equal(usage.processes, 0);
    tree_deinit(&tree);
}

/* PM2's daemon may be slow to await it: what has ended does not exist. */
static void a_zombie_does_not_exist(void **state)
{
    (void)state;
    assert_true(process_exists(getpid()));
    assert_false(process_exists(0));
    assert_false(process_exists(INT32_MAX));
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_false(process_exists(pid));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A name may hold anything; only the kernel's fields count. */
static void names_cannot_lie(void **state)
{
    (void)state;
    char name[16];
    struct process_stat stat;
    assert_int_equal(prctl(PR_GET_NAME, name), 0);
    assert_int_equal(prctl(PR_SET_NAME, ") Z 1 1 1 (x"), 0);
    assert_true(process_stat(getpid(), &stat));
    assert_int_equal(stat.parent, getppid());
    assert_int_equal(stat.session, getsid(0));
    assert_int_not_equal(stat.state, 'Z');
    assert_true(stat.pages > 0);
    assert_int_equal(prctl(PR_SET_NAME, name), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_is_counted_together),
        cmocka_unit_test(a_zombie_does_not_exist),
        cmocka_unit_test(names_cannot_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
