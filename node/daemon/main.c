/* understudyd: reads its configuration and keys, then starts the watching parent and the node. */
#include "node/base/clock.h"
#include "node/config/config.h"
#include "node/config/keys.h"
#include "node/daemon/node.h"
#include "node/daemon/parent.h"

#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

#define DEFAULT_FILE "/etc/understudy/understudy.yml"
#define FORMER_WAIT_MS 2000 /* for one that is dying */
#define FORMER_LOOK_MS 20

struct options {
    const char *file;
    bool check;
};

static void print_usage(FILE *to)
{
    (void)fputs("usage: understudyd [--config FILE] [--check]\n"
                "  --config FILE   configuration (default " DEFAULT_FILE ")\n"
                "  --check         validate it and end: 0 good, 78 not\n"
                "  --version       print the version and end\n",
                to);
}

/* -1: go on; otherwise the exit code. */
static int parse_options(int argc, char **argv, struct options *ret)
{
    static const struct option table[] = {{"config", required_argument, NULL, 'c'},
                                          {"check", no_argument, NULL, 'k'},
                                          {"version", no_argument, NULL, 'v'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:h", table, NULL)) != -1) {
        switch (option) {
        case 'c':
            ret->file = optarg;
            break;
        case 'k':
            ret->check = true;
            break;
        case 'v':
            (void)printf("understudyd %s\n", UNDERSTUDY_VERSION);
            return 0;
        case 'h':
            print_usage(stdout);
            return 0;
        default:
            print_usage(stderr);
            return 2;
        }
    }
    if (optind < argc) {
        print_usage(stderr);
        return 2;
    }
    return -1;
}

static void print_errors(const struct config_errors *errors)
{
    char *text = config_errors_text(errors);
    (void)fputs(text == NULL ? "out of memory\n" : text, stderr);
    free(text);
}

static int make_folder(const char *path, mode_t mode, struct err *err)
{
    if (mkdir(path, mode) == 0) {
        return 0;
    }
    struct stat found;
    if (stat(path, &found) == 0 && S_ISDIR(found.st_mode)) {
        return 0;
    }
    return err_set_errno(err, ERR_IO, "cannot make the folder %s", path);
}

struct daemon {
    struct config *config;
    struct key_own own;
    struct key_roster keys;
    int guard_listen_fd;
};

/* A node that starts again takes what the files say now, when they are good: SIGHUP may have
 * changed it since. Runs in the child. */
static void refresh(struct daemon *daemon)
{
    static struct config_errors errors;
    struct config_sources sources = {.file = daemon->config->file, .environment = environ};
    struct config *config = NULL;
    struct key_roster keys = {0};
    if (config_load(&sources, &config, &errors) != 0) {
        return;
    }
    struct config_change *changes = NULL;
    size_t count = 0;
    bool fits = config_reload_diff(daemon->config, config, &changes, &count) == 0;
    for (size_t i = 0; fits && i < count; i++) {
        fits = !changes[i].restart; /* the parent knows the old values */
    }
    free(changes);
    if (!fits || keys_load_roster(config->cluster.keys, &keys, NULL) != 0) {
        config_destroy(&config);
        return;
    }
    config_destroy(&daemon->config);
    key_roster_deinit(&daemon->keys);
    daemon->config = config;
    daemon->keys = keys;
}

static int run_node(void *context, int link_fd, bool restarted)
{
    struct daemon *daemon = context;
    refresh(daemon);
    struct node_start start = {
        .config = daemon->config,
        .own = &daemon->own,
        .keys = &daemon->keys,
        .guard_listen_fd = daemon->guard_listen_fd,
        .parent_fd = link_fd,
        .restarted = restarted,
    };
    return node_run(&start);
}

/* Another daemon has this runtime folder: say which. */
static int name_holder(const struct config *config, struct err *err)
{
    char path[CONFIG_PATH_SIZE + 16];
    char pid[16] = "unknown";
    (void)snprintf(path, sizeof path, "%s/node.pid", config->runtime_dir);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(pid, sizeof pid, file) != NULL) {
            pid[strcspn(pid, "\n")] = '\0';
        }
        (void)fclose(file);
    }
    return err_set(
        err, ERR_BUSY,
        "the folders %s and %s are in use by another understudyd (pid %s); end that one, "
        "or configure other folders",
        config->runtime_dir, config->data_dir, pid);
}

/* One that was killed lives for some more milliseconds while the kernel takes it apart: whoever
 * starts the next at once shall not be refused for that. */
static int listen_for_guards(const struct config *config, int *ret_fd, struct err *err)
{
    char path[CONFIG_PATH_SIZE + 16];
    (void)snprintf(path, sizeof path, "%s/guard.sock", config->runtime_dir);
    int64_t give_up_ms = clock_boot_ms() + FORMER_WAIT_MS;
    int rc = post_listen(path, 0666, ret_fd, err);
    while (rc == ERR_BUSY && clock_boot_ms() < give_up_ms) {
        (void)poll(NULL, 0, FORMER_LOOK_MS);
        rc = post_listen(path, 0666, ret_fd, err);
    }
    return rc == ERR_BUSY ? name_holder(config, err) : rc;
}

static int prepare(struct daemon *daemon, struct err *err)
{
    const struct config *config = daemon->config;
    int rc = keys_load_own(config->cluster.keys, config->cluster.node, &daemon->own, err);
    rc = rc != 0 ? rc : keys_load_roster(config->cluster.keys, &daemon->keys, err);
    rc = rc != 0 ? rc : make_folder(config->runtime_dir, 0755, err);
    if (config->log.dir[0] != '\0') {
        rc = rc != 0 ? rc : make_folder(config->log.dir, 0750, err);
    }
    if (rc != 0) {
        return rc;
    }
    return listen_for_guards(config, &daemon->guard_listen_fd, err);
}

/* Managers find it in their environment. False: told on standard error. */
static bool use_test_clock(const struct config *config)
{
    const char *text = config->debug_clock;
    if (text[0] == '\0') {
        return true;
    }
    if (!clock_use_test(text)) {
        (void)fprintf(
            stderr,
            "understudyd: debug.clock: %s is not BOOT_MS:WALL_MS:RATE, whole numbers with "
            "a rate of 1 to 100000\n",
            text);
        return false;
    }
    return setenv(CLOCK_TEST_VARIABLE, text, 1) == 0;
}

static int run(struct daemon *daemon)
{
    struct err err = {0};
    daemon->guard_listen_fd = -1;
    if (prepare(daemon, &err) != 0) {
        (void)fprintf(stderr, "understudyd: %s\n", err.msg);
        return DAEMON_EXIT_CONFIGURATION;
    }
    struct parent_start start = {
        .config = daemon->config,
        .own = &daemon->own,
        .guard_listen_fd = daemon->guard_listen_fd,
        .run_node = run_node,
        .context = daemon,
    };
    return parent_run(&start);
}

/* Large buffers (a snapshot of the state, tables that grow) go back to the system when they are
 * freed. Left to itself glibc raises this bound to the largest that it has seen, and keeps them. */
#define LARGE_BYTES (128 << 10)

int main(int argc, char **argv)
{
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    struct options options = {.file = DEFAULT_FILE};
    int code = parse_options(argc, argv, &options);
    if (code >= 0) {
        return code;
    }
    static struct config_errors errors;
    struct config_sources sources = {.file = options.file, .environment = environ};
    struct daemon daemon = {0};
    int rc = config_load(&sources, &daemon.config, &errors);
    print_errors(&errors);
    if (rc != 0) {
        return DAEMON_EXIT_CONFIGURATION;
    }
    if (options.check) {
        (void)printf("%s is good\n", options.file);
        config_destroy(&daemon.config);
        return 0;
    }
    if (!use_test_clock(daemon.config)) {
        config_destroy(&daemon.config);
        return DAEMON_EXIT_CONFIGURATION;
    }
    (void)parent_block_signals();
    code = run(&daemon);
    if (daemon.guard_listen_fd >= 0) {
        (void)close(daemon.guard_listen_fd);
    }
    key_own_wipe(&daemon.own);
    key_roster_deinit(&daemon.keys);
    config_destroy(&daemon.config);
    return code;
}
