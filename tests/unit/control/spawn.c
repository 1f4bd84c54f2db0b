#include "tests/unit/control/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A file without a name: the program can print as much as it likes without a reader. */
static int scratch(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0) {
        abort();
    }
    return fd;
}

static void take(int fd, char ret[SPAWN_BYTES])
{
    ssize_t length = pread(fd, ret, SPAWN_BYTES - 1, 0);
    ret[length < 0 ? 0 : length] = '\0';
    (void)close(fd);
}

void spawn(char *const argv[], struct spawned *ret)
{
    int out = scratch("out");
    int error = scratch("error");
    pid_t pid;
    int status = 0;
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, error, STDERR_FILENO) != 0 ||
        posix_spawn(&pid, argv[0], &actions, NULL, argv, environ) != 0) {
        (void)fprintf(stderr, "%s does not start\n", argv[0]);
        abort();
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    ret->exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    take(out, ret->out);
    take(error, ret->error);
}
