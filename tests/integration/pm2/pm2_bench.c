#include "tests/integration/pm2/pm2_bench.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct mp_limits limits = {.bytes = 1 << 20, .elements = 65536, .depth = 8};

const char *bench_pm2_dir(void)
{
    const char *set = getenv("UNDERSTUDY_PM2_DIR");
    return set != NULL ? set : PM2_DIR;
}

/* ---- callbacks of the supervision ---- */

static void on_ready(void *context, const char *manager)
{
    struct bench *bench = context;
    (void)manager;
    bench->ready++;
}

static void on_heartbeat(void *context, const char *manager, const struct manager_heartbeat *beat)
{
    struct bench *bench = context;
    (void)manager;
    bench->capability = beat->capability;
    bench->score = beat->score;
}

static void on_observation(void *context, const char *manager, const uint8_t *bytes, size_t length)
{
    struct bench *bench = context;
    (void)manager;
    json_t *seen = NULL;
    struct err err = {0};
    if (doc_from_msgpack(bytes, length, &limits, &seen, &err) != 0) {
        fail_msg("observation: %s", err.msg);
    }
    json_decref(bench->seen);
    bench->seen = seen;
}

static void on_event(void *context, const char *manager, const struct manager_event *event)
{
    struct bench *bench = context;
    (void)manager;
    print_message("event %s: %s\n", event->kind, event->message);
    if (bench->event_count < EVENTS_MAX) {
        memcpy(bench->events[bench->event_count++], event->kind, NAME_SIZE);
    }
}

static void on_duty_wanted(void *context, const char *manager,
                           const struct manager_duty_wanted *wanted)
{
    struct bench *bench = context;
    (void)manager;
    bench->wish = *wanted;
    bench->wishes++;
}

static void on_intent(void *context, const char *manager, const struct manager_message *message)
{
    (void)context;
    (void)manager;
    print_message("%s, which this manager has none of\n", manager_kind_name(message->kind));
}

static void on_duty_state(void *context, const char *manager,
                          const struct manager_duty_state *state)
{
    struct bench *bench = context;
    (void)manager;
    print_message("duty %s: %s %s\n", state->duty, manager_duty_phase_name(state->phase),
                  state->detail);
    bench->duty = *state;
    bench->duty_states++;
}

static void on_released(void *context, const char *manager, const struct manager_released *released)
{
    struct bench *bench = context;
    (void)manager;
    assert_string_equal(released->duty, bench_duty);
    assert_int_equal(released->assignment, bench->assignment);
    bench->released = true;
}

static void on_reply(void *context, const char *manager, const struct manager_reply *reply)
{
    struct bench *bench = context;
    (void)manager;
    if (!reply->ok && bench->may_refuse) {
        print_message("refused: %s\n", reply->message);
        bench->refused = true;
        return;
    }
    assert_true(reply->ok);
    struct err err = {0};
    json_decref(bench->reply);
    bench->reply = NULL;
    if (doc_from_msgpack(reply->result.data, reply->result.length, &limits, &bench->reply, &err) !=
        0) {
        fail_msg("reply: %s", err.msg);
    }
}

static void on_ended(void *context, uint64_t term)
{
    (void)context;
    (void)term;
}

static void on_log(void *context, const char *manager, enum manager_level level, const char *text)
{
    (void)context;
    print_message("%s %s: %s\n", manager_level_name(level), manager, text);
}

static void on_stopped(void *context)
{
    (void)context;
}

static const struct supervise_callbacks supervise_callbacks = {
    .ready = on_ready,
    .heartbeat = on_heartbeat,
    .observation = on_observation,
    .event = on_event,
    .duty_wanted = on_duty_wanted,
    .duty_state = on_duty_state,
    .intent = on_intent,
    .released = on_released,
    .reply = on_reply,
    .managers_ended = on_ended,
    .log = on_log,
    .stopped = on_stopped,
};

/* ---- the guard's side ---- */

static void on_guard_hello(void *context, const struct post_guard *guard)
{
    (void)context;
    print_message("guard of %s is here\n", guard->duty);
}

static void on_guard_started(void *context, const struct post_guard *guard)
{
    struct bench *bench = context;
    (void)guard;
    bench->guard_started = true;
}

static void on_guard_released(void *context, const struct post_guard *guard,
                              enum post_reason reason, int status)
{
    struct bench *bench = context;
    print_message("guard of %s released: reason %d status %d\n", guard->duty, (int)reason, status);
    bench->guard_released = true;
    bench->guard_reason = reason;
}

static void on_guard_gone(void *context, const struct post_guard *guard)
{
    (void)context;
    (void)guard;
}

static int on_post(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    (void)item;
    struct bench *bench = argument;
    post_process(bench->post);
    return 0;
}

/* The node would renew every 500 ms. */
static int on_renewal(zloop_t *loop, int id, void *argument)
{
    (void)loop;
    (void)id;
    struct bench *bench = argument;
    if (bench->granting) {
        (void)post_grant(bench->post, bench_duty, bench->assignment, 7, clock_boot_ms() + 5000,
                         NULL);
    }
    return 0;
}

static void start_post(struct bench *bench)
{
    char path[96];
    struct err err = {0};
    (void)snprintf(path, sizeof path, "%s/guard.sock", bench->folder);
    if (post_listen(path, 0600, &bench->listen_fd, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    struct post_config config = {.listen_fd = bench->listen_fd,
                                 .context = bench,
                                 .callbacks = {.hello = on_guard_hello,
                                               .started = on_guard_started,
                                               .released = on_guard_released,
                                               .gone = on_guard_gone}};
    if (post_create(&config, &bench->post, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    zmq_pollitem_t item = {.fd = post_fd(bench->post), .events = ZMQ_POLLIN};
    assert_int_equal(zloop_poller(bench->loop, &item, on_post, bench), 0);
    (void)zloop_timer(bench->loop, 100, 0, on_renewal, bench);
}

/* ---- the loop ---- */

static int on_check(zloop_t *loop, int id, void *argument)
{
    (void)loop;
    (void)id;
    struct bench *bench = argument;
    bench->met = bench->condition(bench);
    return bench->met || clock_boot_ms() > bench->give_up_ms ? -1 : 0;
}

void bench_run_until(struct bench *bench, bool (*condition)(struct bench *bench), const char *what)
{
    bench->condition = condition;
    bench->give_up_ms = clock_boot_ms() + PATIENCE_MS;
    bench->met = false;
    int id = zloop_timer(bench->loop, 10, 0, on_check, bench);
    (void)zloop_start(bench->loop);
    (void)zloop_timer_end(bench->loop, id);
    if (!bench->met) {
        char *seen = json_dumps(bench->seen, JSON_INDENT(1));
        print_message("last seen: %s\n", seen != NULL ? seen : "nothing");
        free(seen);
        fail_msg("never came true: %s", what);
    }
}

/* ---- PM2 ---- */

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

static void make_home(const struct bench *bench)
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
        command[i + 2] = (char *)(uintptr_t)arguments[i];
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

/* ---- set-up ---- */

int bench_set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    *state = bench;
    bench->capability = -1;
    bench->assignment = 31;
    (void)snprintf(bench->folder, sizeof bench->folder, "/tmp/test-pm2-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    (void)snprintf(bench->home, sizeof bench->home, "%s/pm2", bench->folder);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* what outlives its daemon is ours to end */
    zsys_handler_set(NULL);
    bench->loop = zloop_new();
    make_home(bench);
    bench_start_god(bench, geteuid(), false);
    start_post(bench);
    struct supervise_config config = {.node = "n1", .cluster = "test", .environment = "production"};
    (void)snprintf(config.runtime_dir, sizeof config.runtime_dir, "%s", bench->folder);
    (void)snprintf(config.data_dir, sizeof config.data_dir, "%s", bench->folder);
    (void)snprintf(config.lock_dir, sizeof config.lock_dir, "%s", bench->folder);
    (void)snprintf(config.guard_path, sizeof config.guard_path, "%s/bin/understudy-guard",
                   BUILD_DIR);
    (void)snprintf(config.guard_socket, sizeof config.guard_socket, "%s/guard.sock", bench->folder);
    struct err err = {0};
    if (supervise_create(bench->loop, &config, &supervise_callbacks, bench, &bench->supervise,
                         &err) != 0) {
        fail_msg("%s", err.msg);
    }
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static bool god_has_ended(struct bench *bench)
{
    return waitpid(bench->god, NULL, WNOHANG) == bench->god;
}

int bench_tear_down(void **state)
{
    struct bench *bench = *state;
    supervise_destroy(&bench->supervise);
    if (bench->god == 0) {
        bench->god = bench_god(bench); /* one that was brought back */
    }
    if (bench->god > 0) {
        (void)kill(bench->god, SIGTERM); /* it ends its apps first */
        RUN_UNTIL(bench, god_has_ended);
    }
    post_destroy(&bench->post);
    zloop_destroy(&bench->loop);
    (void)close(bench->listen_fd);
    json_decref(bench->seen);
    json_decref(bench->reply);
    (void)nftw(bench->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(bench);
    return 0;
}

/* Of the PM2 that this bench was to start, as its package says. */
static bool is_that_version(const char *version)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/node_modules/pm2/package.json", bench_pm2_dir());
    json_t *package = json_load_file(path, 0, NULL);
    assert_non_null(package);
    bool is_that = strcmp(version, doc_get_text(package, "version", "?")) == 0;
    json_decref(package);
    return is_that;
}

static bool has_seen(struct bench *bench)
{
    const json_t *home = json_array_get(json_object_get(bench->seen, "homes"), 0);
    return bench->ready > 0 && bench->capability > 99 &&
           strcmp(doc_get_text(home, "state", ""), "up") == 0 &&
           is_that_version(doc_get_text(home, "version", ""));
}

void bench_add_manager(struct bench *bench, json_t *section)
{
    if (json_object_get(section, "homes") == NULL) {
        (void)json_object_set_new(section, "homes", json_pack("[s]", bench->home));
    }
    struct mp_writer writer;
    struct err err = {0};
    mp_writer_init(&writer, 65536);
    if (doc_to_msgpack(section, &writer, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    struct manager_document document = {.data = writer.buffer.data, .length = writer.buffer.length};
    if (supervise_add(bench->supervise, "pm2", BUILD_DIR "/libexec/understudy-manager-pm2",
                      &document, bench->shadow, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    mp_writer_deinit(&writer);
    json_decref(section);
}

void bench_start_manager(struct bench *bench, json_t *section)
{
    bench_add_manager(bench, section);
    RUN_UNTIL(bench, has_seen);
}

const char *bench_script(struct bench *bench, const char *name, const char *text)
{
    static char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", bench->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fchmod(fileno(file), 0700), 0);
    (void)fclose(file);
    return path;
}

/* ---- reading ---- */

const json_t *bench_primary(const struct bench *bench, const char *name)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(bench->seen, "primaries"), index, row)
    {
        if (strcmp(doc_get_text(row, "name", ""), name) == 0) {
            return row;
        }
    }
    return NULL;
}

bool bench_primary_is(const struct bench *bench, const char *name, const char *state,
                      const char *reason)
{
    const json_t *row = bench_primary(bench, name);
    return row != NULL && strcmp(doc_get_text(row, "state", ""), state) == 0 &&
           strncmp(doc_get_text(row, "reason", ""), reason, strlen(reason)) == 0;
}

const json_t *bench_finding(const struct bench *bench, const char *kind, const char *object)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(bench->seen, "findings"), index, row)
    {
        if (strcmp(doc_get_text(row, "kind", ""), kind) == 0 &&
            strcmp(doc_get_text(row, "object", ""), object) == 0) {
            return row;
        }
    }
    return NULL;
}

bool bench_finds(const struct bench *bench, const char *kind, const char *object,
                 const char *text_part)
{
    const json_t *row = bench_finding(bench, kind, object);
    return row != NULL && strstr(doc_get_text(row, "text", ""), text_part) != NULL;
}

bool bench_had_event(const struct bench *bench, const char *kind)
{
    for (size_t i = 0; i < bench->event_count; i++) {
        if (strcmp(bench->events[i], kind) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_reply(struct bench *bench)
{
    return bench->reply != NULL || bench->refused;
}

static void send_command(struct bench *bench, struct manager_command *command, const char *verb)
{
    (void)snprintf(command->verb, sizeof command->verb, "%s", verb);
    json_decref(bench->reply);
    bench->reply = NULL;
    bench->refused = false;
    assert_int_equal(supervise_command(bench->supervise, "pm2", command, NULL), 0);
    RUN_UNTIL(bench, has_reply);
}

void bench_command(struct bench *bench, const char *verb)
{
    struct manager_command command = {.id = 5};
    send_command(bench, &command, verb);
}

bool bench_mend(struct bench *bench, const char *name, int attempt)
{
    struct manager_command command = {.id = 6};
    struct mp_writer writer;
    json_t *args = json_pack("{ss si}", "name", name, "attempt", attempt);
    mp_writer_init(&writer, 4096);
    assert_int_equal(doc_to_msgpack(args, &writer, NULL), 0);
    command.args =
        (struct manager_document){.data = writer.buffer.data, .length = writer.buffer.length};
    bench->may_refuse = true;
    send_command(bench, &command, "mend");
    bench->may_refuse = false;
    mp_writer_deinit(&writer);
    json_decref(args);
    return !bench->refused;
}
