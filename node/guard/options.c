#include "node/guard/options.h"

#include "node/guard/wire.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KILL_TIMEOUT_MS_MAX 3600000L

static const char help[] =
    "understudy-guard --socket PATH --duty ID --lock-dir DIR [--kill-timeout MS]\n"
    "                 [--on-disconnect keep|stop] [--end-file PATH] -- PROGRAM [ARGUMENT...]\n"
    "\n"
    "Runs PROGRAM while the node at PATH grants the duty, and stops it and everything it\n"
    "started before the grant ends: SIGTERM kill-timeout before, SIGKILL at the end.\n"
    "\n"
    "  --socket PATH            the node's socket for guards\n"
    "  --duty ID                the duty, for example pm2/worker-backup\n"
    "  --lock-dir DIR           folder of the locks that keep a second guard out\n"
    "  --kill-timeout MS        milliseconds between SIGTERM and SIGKILL (1600)\n"
    "  --on-disconnect WHAT     keep to the grant (default) or stop when the node is gone\n"
    "  --end-file PATH          written at the end, when nothing runs any more: why it ended\n"
    "                           (ended, signalled, revoked, lapsed, disconnected, never-ran)\n"
    "                           and how PROGRAM did (exit CODE, signal NUMBER, none 0)\n"
    "  --help, --version\n"
    "\n"
    "Exit code: that of PROGRAM, 128 + signal after a signal, 86 without a grant or after\n"
    "losing it, 2 for wrong usage, 1 for failures of the guard itself.\n";

static int refuse(const char *what)
{
    (void)fprintf(stderr, "understudy-guard: %s; see understudy-guard --help\n", what);
    return GUARD_EXIT_USAGE;
}

static int set_socket(struct guard_options *self, const char *path)
{
    if (strlen(path) >= sizeof(self->socket.sun_path)) {
        return refuse("the socket's path must stay under 108 bytes");
    }
    self->socket.sun_family = AF_UNIX;
    (void)snprintf(self->socket.sun_path, sizeof(self->socket.sun_path), "%s", path);
    return 0;
}

static int set_kill_timeout(struct guard_options *self, const char *text)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 0 || value > KILL_TIMEOUT_MS_MAX) {
        return refuse("--kill-timeout takes milliseconds from 0 to 3600000");
    }
    self->kill_timeout_ms = value;
    return 0;
}

static int set_disconnect(struct guard_options *self, const char *word)
{
    self->stop_on_disconnect = strcmp(word, "stop") == 0;
    if (!self->stop_on_disconnect && strcmp(word, "keep") != 0) {
        return refuse("--on-disconnect takes keep or stop");
    }
    return 0;
}

static int set_duty(struct guard_options *self, const char *duty)
{
    if (!guard_valid_duty(duty)) {
        return refuse("--duty takes a name of at most 127 printable bytes");
    }
    (void)snprintf(self->duty, sizeof(self->duty), "%s", duty);
    return 0;
}

static int set_end_file(struct guard_options *self, const char *path)
{
    if (path[0] != '/' || strlen(path) >= sizeof(self->end_path)) {
        return refuse("--end-file takes an absolute path");
    }
    (void)snprintf(self->end_path, sizeof(self->end_path), "%s", path);
    return 0;
}

static int finish(struct guard_options *self, const char *lock_dir)
{
    if (self->socket.sun_path[0] == '\0' || self->duty[0] == '\0' || lock_dir == NULL) {
        return refuse("--socket, --duty and --lock-dir are needed");
    }
    if (self->program[0] == NULL) {
        return refuse("there is no program to run");
    }
    if (!guard_lock_path(lock_dir, self->duty, self->lock_path, sizeof(self->lock_path))) {
        return refuse("the lock folder's path is too long");
    }
    return 0;
}

int options_parse(int argc, char *const argv[], struct guard_options *ret)
{
    static const struct option known[] = {
        {"socket", required_argument, NULL, 's'},
        {"duty", required_argument, NULL, 'd'},
        {"lock-dir", required_argument, NULL, 'l'},
        {"kill-timeout", required_argument, NULL, 'k'},
        {"on-disconnect", required_argument, NULL, 'o'},
        {"end-file", required_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    const char *lock_dir = NULL;
    int code = 0;
    int option = 0;
    *ret = (struct guard_options){.kill_timeout_ms = 1600};
    while (code == 0 && (option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
        switch (option) {
        case 's':
            code = set_socket(ret, optarg);
            break;
        case 'd':
            code = set_duty(ret, optarg);
            break;
        case 'l':
            lock_dir = optarg;
            break;
        case 'k':
            code = set_kill_timeout(ret, optarg);
            break;
        case 'o':
            code = set_disconnect(ret, optarg);
            break;
        case 'e':
            code = set_end_file(ret, optarg);
            break;
        case 'h':
            (void)fputs(help, stdout);
            return -1;
        case 'v':
            (void)puts("understudy-guard " UNDERSTUDY_VERSION);
            return -1;
        default:
            code = GUARD_EXIT_USAGE; /* getopt has said what it did not understand */
            break;
        }
    }
    ret->program = argv + optind;
    return code != 0 ? code : finish(ret, lock_dir);
}
