#include "node/cli/helper.h"

#include "node/base/buffer.h"
#include "node/base/clock.h"
#include "node/base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK 65536
#define INPUT_BYTES_MAX 32768 /* of what a pipe holds without a reader */

static int fail(struct understudy_error *error, int exit, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int fail(struct understudy_error *error, int exit, const char *code, const char *format, ...)
{
    va_list arguments;
    *error = (struct understudy_error){.exit = exit};
    (void)snprintf(error->code, sizeof error->code, "%s", code);
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return exit;
}

/* "../libexec/NAME" beside our own program. */
static int find_program(const char *name, char ret[PATH_MAX], struct understudy_error *error)
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    own[length > 0 ? length : 0] = '\0';
    int needed = snprintf(ret, PATH_MAX, "%s/../libexec/%s", dirname(own), name);
    if (length <= 0 || needed >= PATH_MAX || access(ret, X_OK) != 0) {
        return fail(error, UNDERSTUDY_FAILED, "incomplete", "the program %s is not installed: %s",
                    name, ret);
    }
    return UNDERSTUDY_DONE;
}

/* In the child, between fork and exec. */
static void become(const char *program, const struct helper_call *call, int input, int output)
{
    char *words[HELPER_WORDS_MAX + 2] = {strdup(call->program)};
    for (size_t i = 0; i < HELPER_WORDS_MAX && call->words[i] != NULL; i++) {
        words[i + 1] = strdup(call->words[i]);
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(input, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0) {
        (void)execv(program, words);
    }
}

/* A descriptor to read `text` from; -1 with errno. */
static int input_of(const char *text)
{
    int ends[2];
    if (text == NULL) {
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    if (strlen(text) > INPUT_BYTES_MAX) {
        errno = E2BIG;
        return -1;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    ssize_t written = write(ends[1], text, strlen(text));
    (void)close(ends[1]);
    if (written != (ssize_t)strlen(text)) {
        (void)close(ends[0]);
        return -1;
    }
    return ends[0];
}

static pid_t spawn(const char *program, const struct helper_call *call, int *ret_output)
{
    int output[2];
    int input = input_of(call->input);
    if (input < 0 || pipe2(output, O_CLOEXEC) != 0) {
        if (input >= 0) {
            (void)close(input);
        }
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(program, call, input, output[1]);
        _exit(EXIT_FAILURE);
    }
    (void)close(input);
    (void)close(output[1]);
    *ret_output = output[0];
    if (pid < 0) {
        (void)close(output[0]);
    }
    return pid;
}

/* Reads to the end, or until the time is over or there is too much. */
static int take_output(int output, int64_t time_ms, struct buffer *ret)
{
    char chunk[CHUNK];
    int64_t deadline = clock_boot_ms() + time_ms;
    for (;;) {
        int64_t left = deadline - clock_boot_ms();
        struct pollfd file = {.fd = output, .events = POLLIN};
        if (left <= 0) {
            return ERR_TIMEOUT;
        }
        if (poll(&file, 1, left > INT_MAX ? INT_MAX : (int)left) <= 0) {
            continue;
        }
        ssize_t length = read(output, chunk, sizeof chunk);
        if (length == 0) {
            return 0;
        }
        if (length < 0 && errno != EINTR) {
            return ERR_IO;
        }
        if (length > 0 && buffer_append(ret, chunk, (size_t)length) != 0) {
            return ERR_FULL;
        }
    }
}

int helper_run(const struct helper_call *call, json_t **ret_document,
               struct understudy_error *error)
{
    char program[PATH_MAX];
    struct buffer text;
    int output = -1;
    int status = 0;
    int exit = find_program(call->program, program, error);
    if (exit != UNDERSTUDY_DONE) {
        return exit;
    }
    pid_t pid = spawn(program, call, &output);
    if (pid < 0) {
        return fail(error, UNDERSTUDY_FAILED, "failed", "cannot start %s: %s", call->program,
                    strerror(errno));
    }
    buffer_init(&text, HELPER_OUTPUT_BYTES_MAX);
    int rc = take_output(output, call->time_ms, &text);
    (void)close(output);
    if (rc != 0) {
        (void)kill(pid, SIGKILL);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    *ret_document = rc == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0
                        ? json_loadb((const char *)text.data, text.length, 0, NULL)
                        : NULL;
    buffer_deinit(&text);
    if (*ret_document != NULL) {
        return UNDERSTUDY_DONE;
    }
    return fail(error, rc == ERR_TIMEOUT ? UNDERSTUDY_TIMED_OUT : UNDERSTUDY_FAILED, "failed",
                "%s %s", call->program,
                rc == ERR_TIMEOUT ? "did not come to its end"
                                  : "did not answer; what it says is above");
}
