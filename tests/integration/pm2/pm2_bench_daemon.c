/* PM2 itself: the daemon in the bench's home, and the command line. */
#include "tests/integration/pm2/pm2_bench_parts.h"

#include "node/base/doc.h"
#include "node/base/exec.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

const char *bench_pm2_dir(void)
{
    const char *set = getenv("UNDERSTUDY_PM2_DIR");
    return set != NULL ? set : PM2_DIR;
}

bool bench_is_version(const char *version)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/node_modules/pm2/package.json", bench_pm2_dir());
    json_t *package = json_load_file(path, 0, NULL);
    assert_non_null(package);
    bool is_that = strcmp(version, doc_get_text(package, "version", "?")) == 0;
    json_decref(package);
    return is_that;
}

/* UNDERSTUDY_NODE_DIR: the folder of the Node that PM2 runs on; else that of the machine. */
static void choose_node(void)
{
    const char *folder = getenv("UNDERSTUDY_NODE_DIR");
    const char *path = getenv("PATH");
    char both[8192];
    if (folder != NULL) {
        (void)snprintf(both, sizeof both, "%s:%s", folder, path != NULL ? path : "");
        (void)setenv("PATH", both, 1);
    }
}

/* Of this Node, and of no other that the machine has too. */
static void check_node(const struct bench *bench)
{
    const char *folder = getenv("UNDERSTUDY_NODE_DIR");
    char wanted[512];
    char running[64];
    char a[PATH_MAX];
    char b[PATH_MAX];
    (void)snprintf(wanted, sizeof wanted, "%s/node", folder != NULL ? folder : "");
    (void)snprintf(running, sizeof running, "/proc/%d/exe", (int)bench->god);
    if (folder != NULL) {
        assert_non_null(realpath(wanted, a));
        assert_non_null(realpath(running, b));
        assert_string_equal(a, b);
    }
}

static void set_environment(const struct bench *bench, const char *program)
{
    choose_node();
    (void)setenv("PM2_HOME", bench->home, 1);
    (void)setenv("HOME", bench->folder, 1);
    (void)setenv("PM2_DISCRETE_MODE", "1", 1);
    (void)setenv("PM2_DISABLE_VERSION_CHECK", "1", 1);
    (void)setenv("SILENT", "true", 1);
    (void)setenv("_", program, 1);
}

int bench_dial(const struct bench *bench, const char *socket_name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", bench->home, socket_name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

pid_t bench_god(const struct bench *bench)
{
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    int fd = bench_dial(bench, "rpc.sock");
    if (fd < 0) {
        return 0;
    }
    bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    (void)close(fd);
    return known ? peer.pid : 0;
}

static bool is_god_up(struct bench *bench)
{
    return bench_god(bench) > 0;
}

void bench_make_home(const struct bench *bench)
{
    static const char *const folders[] = {"", "/logs", "/pids", "/modules"};
    char path[160];
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        (void)snprintf(path, sizeof path, "%s%s", bench->home, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    (void)snprintf(path, sizeof path, "%s/module_conf.json", bench->home);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("{}", file);
    (void)fclose(file);
    (void)snprintf(path, sizeof path, "%s/touch", bench->home);
    file = fopen(path, "w"); /* else the command line greets with a banner */
    assert_non_null(file);
    (void)fclose(file);
}

static void send_output(const struct bench *bench, const char *name)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", bench->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    int null = open("/dev/null", O_RDONLY);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
}

void bench_start_god(struct bench *bench, uid_t user, bool bare)
{
    char daemon[512];
    char program[512];
    (void)snprintf(daemon, sizeof daemon, "%s/node_modules/pm2/lib/Daemon.js", bench_pm2_dir());
    (void)snprintf(program, sizeof program, "%s/node_modules/pm2/bin/pm2", bench_pm2_dir());
    if (access(daemon, R_OK) != 0) {
        fail_msg("no PM2 in %s: run deploy/install-pm2 %s", bench_pm2_dir(), bench_pm2_dir());
    }
    bench->god = fork();
    if (bench->god == 0) {
        (void)setsid();
        set_environment(bench, program);
        if (bare) {
            (void)unsetenv("_");
        }
        if (user != geteuid() && (setgid(user) != 0 || setuid(user) != 0)) {
            _exit(127);
        }
        send_output(bench, "pm2/pm2.log");
        (void)execlp("node", "node", daemon, (char *)NULL);
        _exit(127);
    }
    RUN_UNTIL(bench, is_god_up);
    check_node(bench);
}

void bench_kill_god(struct bench *bench)
{
    assert_int_equal(kill(bench->god, SIGKILL), 0);
    assert_int_equal(waitpid(bench->god, NULL, 0), bench->god);
    bench->god = 0;
}

static bool god_has_ended(struct bench *bench)
{
    return waitpid(bench->god, NULL, WNOHANG) == bench->god;
}

void bench_end_god(struct bench *bench)
{
    if (bench->god == 0) {
        bench->god = bench_god(bench); /* one that was brought back */
    }
    if (bench->god > 0) {
        (void)kill(bench->god, SIGTERM); /* it ends its apps first */
        RUN_UNTIL(bench, god_has_ended);
    }
}

/* ---- its command line ---- */

static bool command_ended(struct bench *bench)
{
    return waitpid(bench->command, &bench->command_status, WNOHANG) == bench->command;
}

void bench_pm2(struct bench *bench, const char *const *arguments)
{
    char program[512];
    char *command[32] = {"node", program};
    (void)snprintf(program, sizeof program, "%s/node_modules/pm2/bin/pm2", bench_pm2_dir());
    for (size_t i = 0; arguments[i] != NULL; i++) {
        command[i + 2] = exec_word(arguments[i]);
    }
    bench->command = fork();
    if (bench->command == 0) {
        set_environment(bench, program);
        send_output(bench, "out");
        (void)execvp("node", command);
        _exit(127);
    }
    RUN_UNTIL(bench, command_ended);
    if (!WIFEXITED(bench->command_status) || WEXITSTATUS(bench->command_status) != 0) {
        fail_msg("pm2 %s ended with status %d", arguments[0], bench->command_status);
    }
}

json_t *bench_list_row(struct bench *bench, const char *name)
{
    char path[160];
    PM2(bench, "jlist");
    (void)snprintf(path, sizeof path, "%s/out", bench->folder);
    json_t *list = json_load_file(path, 0, NULL);
    assert_non_null(list);
    json_t *found = NULL;
    size_t index;
    json_t *row;
    json_array_foreach(list, index, row)
    {
        if (strcmp(doc_get_text(row, "name", ""), name) == 0) {
            found = json_incref(row);
        }
    }
    json_decref(list);
    return found;
}
