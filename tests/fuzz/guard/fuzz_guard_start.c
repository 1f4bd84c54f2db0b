/* How a guard begins: its command line (one word a line), and the text in a duty's lock file. */
#include "node/base/invariant.h"
#include "node/guard/lock.h"
#include "node/guard/options.h"
#include "node/guard/wire.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* It writes its complaints to standard error, and its help to standard output. */
static int parse_quietly(int count, char **words, struct guard_options *ret)
{
    static FILE *nowhere;
    FILE *errors = stderr;
    FILE *output = stdout;
    if (nowhere == NULL) {
        nowhere = fopen("/dev/null", "w");
        invariant(nowhere != NULL);
    }
    stderr = nowhere;
    stdout = nowhere;
    optind = 0; /* start over, as the manual page of getopt says */
    int rc = options_parse(count, words, ret);
    stderr = errors;
    stdout = output;
    return rc;
}

static void check_options(char *text)
{
    static char program[] = "understudy-guard";
    char *words[WORDS_MAX + 1] = {program};
    int count = 1;
    for (char *word = text; word != NULL && count < WORDS_MAX; count++) {
        char *end = strchr(word, '\n');
        words[count] = word;
        if (end != NULL) {
            *end = '\0';
        }
        word = end != NULL ? end + 1 : NULL;
    }
    static struct guard_options options;
    if (parse_quietly(count, words, &options) != 0) {
        return;
    }
    invariant(guard_valid_duty(options.duty));
    invariant(options.program[0] != NULL);
    invariant(options.kill_timeout_ms >= 0);
    invariant(options.socket.sun_path[sizeof options.socket.sun_path - 1] == '\0');
    invariant(options.lock_path[0] != '\0');
}

static void check_lock(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("lock", MFD_CLOEXEC);
    }
    invariant(fd >= 0);
    int rc = ftruncate(fd, 0);
    ssize_t written = pwrite(fd, data, size, 0);
    invariant(rc == 0 && written == (ssize_t)size);
    pid_t pid = 0;
    char duty[DUTY_ID_SIZE];
    if (lock_read(fd, &pid, duty, sizeof duty)) {
        char start[32];
        invariant(pid > 0);
        /* The number is in the file as it was understood. */
        (void)snprintf(start, sizeof start, "%ld", (long)pid);
        invariant(memmem(data, size, start, strlen(start)) != NULL);
        invariant(memchr(duty, '\0', sizeof duty) != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    invariant(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    check_lock(data, size);
    check_options(text);
    free(text);
    return 0;
}
