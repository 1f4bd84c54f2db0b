#include "managers/run/child.h"

#include "node/base/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUARD_WORDS 12 /* before the command, NULL counted */

static void give_up(const char *what)
{
    static const char text[] = "understudy: the guard was not started: ";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    (void)!write(STDERR_FILENO, what, strlen(what));
    (void)!write(STDERR_FILENO, "\n", 1);
    _exit(CHILD_EXIT_NOT_RUN);
}

/* Between fork and exec: calls that are safe there only. */
static void become_guard(const struct child_start *start, char *const *arguments)
{
    (void)setsid(); /* a signal to the terminal's group is the node's to understand */
    exec_reset_signals();
    /* Open for reading, too: then a program that writes while no manager reads waits, instead of
     * being ended by SIGPIPE. */
    int out = open(start->pipe_path, O_RDWR | O_NOFOLLOW);
    int in = open("/dev/null", O_RDONLY);
    if (out < 0 || in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(out, STDERR_FILENO) < 0) {
        _exit(CHILD_EXIT_NOT_RUN);
    }
    (void)close_range(3, ~0U, 0);
    if (chdir(start->cwd) != 0) {
        give_up("its working folder cannot be entered");
    }
    (void)execve(start->guard_path, arguments, start->environment->variables);
    give_up("its program cannot be executed");
}

static char **make_arguments(const struct child_start *start, char *timeout)
{
    char **ret = calloc(GUARD_WORDS + start->word_count + 1, sizeof *ret);
    if (ret == NULL) {
        return NULL;
    }
    size_t count = 0;
    ret[count++] = exec_word("understudy-guard");
    ret[count++] = exec_word("--socket");
    ret[count++] = exec_word(start->guard_socket);
    ret[count++] = exec_word("--duty");
    ret[count++] = exec_word(start->duty);
    ret[count++] = exec_word("--lock-dir");
    ret[count++] = exec_word(start->lock_dir);
    ret[count++] = exec_word("--kill-timeout");
    ret[count++] = timeout;
    ret[count++] = exec_word("--end-file");
    ret[count++] = exec_word(start->end_path);
    ret[count++] = exec_word("--");
    for (size_t i = 0; i < start->word_count; i++) {
        ret[count++] = exec_word(start->words[i]);
    }
    return ret;
}

int child_start(const struct child_start *start, pid_t *ret_pid, int *ret_pidfd, struct err *err)
{
    char timeout[24];
    (void)snprintf(timeout, sizeof timeout, "%" PRId64, start->kill_timeout_ms);
    char **arguments = make_arguments(start, timeout);
    if (arguments == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for the command");
    }
    pid_t pid = fork();
    if (pid == 0) {
        become_guard(start, arguments);
    }
    free(arguments);
    if (pid < 0) {
        return err_set_errno(err, ERR_IO, "cannot start a process");
    }
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        int rc = err_set_errno(err, ERR_IO, "cannot watch a process");
        /* Ours and not yet reaped, so the number is its own. */
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return rc;
    }
    *ret_pid = pid;
    *ret_pidfd = pidfd;
    return 0;
}

static bool is_program(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

bool child_finds(const char *name, const char *cwd, const char *search)
{
    char path[8192];
    if (name[0] == '/') {
        return is_program(name);
    }
    if (strchr(name, '/') != NULL) {
        int length = snprintf(path, sizeof path, "%s/%s", cwd, name);
        return length > 0 && (size_t)length < sizeof path && is_program(path);
    }
    for (const char *at = search; *at != '\0';) {
        const char *end = strchrnul(at, ':');
        int length = snprintf(path, sizeof path, "%.*s/%s", (int)(end - at), at, name);
        if (length > 0 && (size_t)length < sizeof path && is_program(path)) {
            return true;
        }
        at = *end == ':' ? end + 1 : end;
    }
    return false;
}
