#include "managers/pm2/ecosystem/evaluate.h"

#include "managers/pm2/ecosystem/evaluate_script.h"
#include "node/base/buffer.h"
#include "node/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RESULT_DESCRIPTOR 3
#define PATH_SIZE 4096
#define CHUNK 65536
#define SWEEP_ROUNDS_MAX 200

struct child {
    pid_t pid;
    int pidfd;
    int result;  /* our end */
    int printed; /* our end of its standard output and error */
};

struct owner {
    uid_t uid;
    gid_t gid;
    char name[64];
};

/* Foreign code runs with its owner's rights, never with root's for somebody else's file. */
static bool find_owner(const char *file, struct owner *ret)
{
    struct stat info;
    if (geteuid() != 0 || stat(file, &info) != 0 || info.st_uid == 0) {
        return false;
    }
    *ret = (struct owner){.uid = info.st_uid, .gid = info.st_gid};
    const struct passwd *entry = getpwuid(info.st_uid);
    if (entry != NULL) {
        ret->gid = entry->pw_gid;
        (void)snprintf(ret->name, sizeof ret->name, "%s", entry->pw_name);
    }
    return true;
}

static bool become(const struct owner *owner)
{
    bool groups =
        owner->name[0] == '\0' ? setgroups(0, NULL) == 0 : initgroups(owner->name, owner->gid) == 0;
    return groups && setgid(owner->gid) == 0 && setuid(owner->uid) == 0;
}

/* In the child, between fork and exec. */
static void start(const struct evaluate_request *request, const struct owner *owner, int result,
                  int printed)
{
    char folder[PATH_SIZE];
    const struct rlimit no_core = {0, 0};
    const struct rlimit memory = {EVALUATE_MEMORY_BYTES_MAX, EVALUATE_MEMORY_BYTES_MAX};
    (void)snprintf(folder, sizeof folder, "%s", request->file);
    (void)setpgid(0, 0);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)setrlimit(RLIMIT_DATA, &memory); /* what lies beside node's heap counts as well */
    int nothing = open("/dev/null", O_RDONLY);
    int high = fcntl(result, F_DUPFD, 10); /* out of the way of what follows */
    if (nothing < 0 || high < 0 || dup2(nothing, STDIN_FILENO) < 0 ||
        dup2(printed, STDOUT_FILENO) < 0 || dup2(printed, STDERR_FILENO) < 0 ||
        dup2(high, RESULT_DESCRIPTOR) < 0 || close_range(RESULT_DESCRIPTOR + 1, ~0U, 0) != 0 ||
        (owner != NULL && !become(owner)) || chdir(dirname(folder)) != 0) {
        return;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the change of user, which clears it */
    char *const arguments[] = {(char[]){"node"},
                               (char[]){"--max-old-space-size=256"},
                               (char[]){"-e"},
                               strdup(evaluate_script),
                               (char[]){"--"},
                               strdup(request->file),
                               strdup(request->ways),
                               request->env_name == NULL ? NULL : strdup(request->env_name),
                               NULL};
    (void)execv(request->node, arguments);
}

static void close_end(int *file)
{
    if (*file >= 0) {
        (void)close(*file);
    }
    *file = -1;
}

static int spawn(const struct evaluate_request *request, const struct owner *owner,
                 struct child *ret, struct err *err)
{
    int result[2];
    int printed[2];
    if (pipe2(result, O_CLOEXEC) != 0) {
        return err_set_errno(err, ERR_IO, "cannot make a pipe");
    }
    if (pipe2(printed, O_CLOEXEC) != 0) {
        (void)close(result[0]);
        (void)close(result[1]);
        return err_set_errno(err, ERR_IO, "cannot make a pipe");
    }
    pid_t pid = fork();
    if (pid == 0) {
        start(request, owner, result[1], printed[1]);
        _exit(EVALUATE_NOT_STARTED);
    }
    int os_errno = errno;
    (void)close(result[1]);
    (void)close(printed[1]);
    *ret = (struct child){.pid = pid, .pidfd = -1, .result = result[0], .printed = printed[0]};
    if (pid > 0) {
        (void)setpgid(pid, pid);
        ret->pidfd = pidfd_open(pid, 0);
    }
    if (pid < 0 || ret->pidfd < 0) {
        errno = pid < 0 ? os_errno : errno;
        return err_set_errno(err, ERR_IO, "cannot start node");
    }
    (void)fcntl(ret->result, F_SETFL, O_NONBLOCK);
    (void)fcntl(ret->printed, F_SETFL, O_NONBLOCK);
    return 0;
}

/* Children of this process that are left: those that the file's own processes left behind. */
static size_t kill_left(void)
{
    char path[64];
    char text[CHUNK / 16];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    size_t length = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    if (file != NULL) {
        (void)fclose(file);
    }
    text[length] = '\0';
    size_t count = 0;
    char *at = text;
    for (long pid; (pid = strtol(at, &at, 10)) > 1; count++) {
        (void)kill((pid_t)pid, SIGKILL);
        (void)waitpid((pid_t)pid, NULL, 0);
    }
    return count;
}

static void finish(struct child *child, int *ret_status)
{
    if (child->pid > 0) {
        (void)kill(-child->pid, SIGKILL);
        (void)kill(child->pid, SIGKILL); /* it may not have its group yet */
        while (waitpid(child->pid, ret_status, 0) < 0 && errno == EINTR) {
        }
        for (int i = 0; i < SWEEP_ROUNDS_MAX && kill_left() > 0; i++) {
        }
    }
    close_end(&child->pidfd);
    close_end(&child->result);
    close_end(&child->printed);
}

/* Throws away what it prints; false: too much. */
static bool drain(struct child *child, size_t *total)
{
    static char chunk[CHUNK];
    ssize_t length;
    while ((length = read(child->printed, chunk, sizeof chunk)) > 0) {
        *total += (size_t)length;
        if (*total > EVALUATE_PRINTED_BYTES_MAX) {
            return false;
        }
    }
    if (length == 0) {
        close_end(&child->printed);
    }
    return true;
}

/* Reads on; true: the whole line is there, or the result cannot come any more. */
static bool take(struct child *child, struct buffer *result)
{
    char chunk[CHUNK];
    ssize_t length;
    while ((length = read(child->result, chunk, sizeof chunk)) > 0) {
        if (buffer_append(result, chunk, (size_t)length) != 0 || chunk[length - 1] == '\n') {
            return true;
        }
    }
    return length == 0;
}

static enum evaluate_end follow(struct child *child, int64_t time_ms, struct buffer *result,
                                size_t *printed)
{
    int64_t deadline = clock_boot_ms() + time_ms;
    for (;;) {
        int64_t left = deadline - clock_boot_ms();
        struct pollfd files[] = {{.fd = child->result, .events = POLLIN},
                                 {.fd = child->printed, .events = POLLIN},
                                 {.fd = child->pidfd, .events = POLLIN}};
        if (left <= 0) {
            return EVALUATE_TIMED_OUT;
        }
        if (poll(files, 3, (int)left) < 0 && errno != EINTR) {
            return EVALUATE_ENDED;
        }
        bool whole = take(child, result);
        if (result->failed || (child->printed >= 0 && !drain(child, printed))) {
            return EVALUATE_FLOODED;
        }
        if (whole || files[2].revents != 0) {
            (void)take(child, result);
            return result->length > 0 ? EVALUATE_ANSWERED : EVALUATE_ENDED;
        }
    }
}

int evaluate(const struct evaluate_request *request, struct evaluate_result *ret, struct err *err)
{
    struct child child = {.pid = -1, .pidfd = -1, .result = -1, .printed = -1};
    struct owner owner;
    struct buffer result;
    bool drop = find_owner(request->file, &owner);
    *ret = (struct evaluate_result){.as_owner = drop};
    /* What leaves the group comes back to us, and is ended as well. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    int rc = spawn(request, drop ? &owner : NULL, &child, err);
    if (rc != 0) {
        finish(&child, &ret->status);
        return rc;
    }
    buffer_init(&result, EVALUATE_RESULT_BYTES_MAX);
    ret->end = follow(&child, request->time_ms, &result, &ret->printed_bytes);
    finish(&child, &ret->status);
    if (ret->end == EVALUATE_ANSWERED) {
        ret->answer = json_loadb((const char *)result.data, result.length, 0, NULL);
        ret->end = ret->answer == NULL ? EVALUATE_ENDED : ret->end;
    }
    buffer_deinit(&result);
    return 0;
}
