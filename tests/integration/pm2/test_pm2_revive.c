/* A PM2 daemon that died, hangs, or lost its list: what was there is back, each once, and nothing
 * else is touched. */
#include "tests/integration/pm2/revive_scene.h"

#include "node/base/doc.h"

#include <ftw.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A home beside, whose daemon and process must not notice. */
struct other {
    struct bench bench;
    pid_t god;
    pid_t process;
};

static void start_other(struct bench *bench, struct other *other)
{
    other->bench = (struct bench){.loop = bench->loop};
    memcpy(other->bench.folder, bench->folder, sizeof bench->folder);
    (void)snprintf(other->bench.home, sizeof other->bench.home, "%s/pm2b", bench->folder);
    assert_int_equal(mkdir(other->bench.home, 0700), 0);
    scene_start(&other->bench, "sleeper", "sleeper.sh", scene_sleeper);
    other->god = bench_god(&other->bench);
    other->process = scene_only_process(&other->bench, "sleeper");
}

static void end_other(struct other *other)
{
    assert_int_equal(bench_god(&other->bench), other->god);
    assert_int_equal(scene_only_process(&other->bench, "sleeper"), other->process);
    PM2(&other->bench, "kill");
}

static void killed_daemon_comes_back_with_each_process_once(void **state)
{
    struct bench *bench = *state;
    struct other other;
    start_other(bench, &other);
    scene_start(bench, "old", "old.sh", scene_sleeper);
    PM2(bench, "save"); /* a dump that is stale by the time it could be used */
    scene_start(bench, "sleeper", "sleeper.sh", scene_sleeper);
    scene_start(bench, "looper", "looper.sh", scene_looper);
    scene_start(bench, "server", "server.js", scene_server);
    PM2(bench, "start", bench_script(bench, "pair.js", scene_server), "--name", "pair", "-i", "2");
    PM2(bench, "start", bench_script(bench, "stubborn.sh", scene_stubborn), "--name", "stubborn",
        "--kill-timeout", "300");
    scene_start(bench, "idle", "idle.sh", scene_sleeper);
    PM2(bench, "stop", "idle");
    bench_start_manager(bench, scene_section());
    scene_wait_kept(bench, "old sleeper looper server pair pair stubborn idle");
    PM2(bench, "delete", "old");
    scene_wait_kept(bench, "sleeper looper server pair pair stubborn idle");
    pid_t before = scene_only_process(bench, "sleeper");
    bench_kill_god(bench);
    scene_revive(bench);
    assert_string_equal(scene_status_of(bench, "sleeper"), "online");
    assert_int_equal(scene_list_length(bench), 7);
    assert_string_equal(scene_status_of(bench, "looper"), "online");
    assert_string_equal(scene_status_of(bench, "server"), "online");
    assert_string_equal(scene_status_of(bench, "pair"), "online");
    assert_string_equal(scene_status_of(bench, "idle"), "stopped");
    assert_int_not_equal(scene_only_process(bench, "sleeper"), before);
    (void)scene_only_process(bench, "looper");
    (void)scene_only_process(bench, "server");
    (void)scene_only_process(bench, "stubborn");
    assert_int_equal(scene_count_gods(&other.bench), 2); /* of both homes */
    end_other(&other);
    scene_wait_kept(bench, "sleeper looper server pair pair stubborn idle");
}

static void send_malformed(const struct bench *bench)
{
    static const char call[] = "j:{\"type\":\"call\",\"method\":\"ping\",\"args\":[]}";
    char frame[128];
    size_t length = 5 + sizeof call - 1;
    (void)snprintf(frame, sizeof frame, "\x12___%c%s___\x03s:1", (int)sizeof call - 1, call);
    memset(frame + 1, 0, 3);
    memset(frame + length, 0, 3);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/rpc.sock", bench->home);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(write(fd, frame, length + 7), (ssize_t)(length + 7));
    (void)close(fd);
}

static bool god_ended(struct bench *bench)
{
    int status;
    if (waitpid(bench->god, &status, WNOHANG) != bench->god) {
        return false;
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    bench->god = 0;
    return true;
}

/* What a foreign client's malformed call does to a daemon that does not know its own script. */
static void daemon_that_exits_on_its_own_error_comes_back(void **state)
{
    struct bench *bench = *state;
    bench_kill_god(bench);
    bench_start_god(bench, geteuid(), true);
    scene_start(bench, "sleeper", "sleeper.sh", scene_sleeper);
    bench_start_manager(bench, scene_section());
    scene_wait_kept(bench, "sleeper");
    send_malformed(bench);
    RUN_UNTIL(bench, god_ended);
    scene_revive(bench);
    assert_string_equal(scene_status_of(bench, "sleeper"), "online");
    (void)scene_only_process(bench, "sleeper");
}

/* A daemon that is told to end deletes its entries one after another, and leaves its sockets. */
static void what_a_daemon_deletes_as_it_ends_is_wanted(void **state)
{
    struct bench *bench = *state;
    scene_start(bench, "sleeper", "sleeper.sh", scene_sleeper);
    scene_start(bench, "looper", "looper.sh", scene_looper);
    scene_start(bench, "server", "server.js", scene_server);
    bench_start_manager(bench, scene_section());
    scene_wait_kept(bench, "sleeper looper server");
    assert_int_equal(kill(bench->god, SIGTERM), 0);
    RUN_UNTIL(bench, god_ended);
    scene_revive(bench);
    scene_wait_kept(bench, "sleeper looper server");
    assert_string_equal(scene_status_of(bench, "sleeper"), "online");
    assert_int_equal(scene_list_length(bench), 3);
    (void)scene_only_process(bench, "looper");
}

static bool is_waited_for(struct bench *bench)
{
    return bench->ready == 2 &&
           strcmp(doc_get_text(scene_ailing(bench), "state", ""), "between") == 0;
}

/* As if the machine had been started anew since: the newest version is of another boot. */
static void age_versions(const struct bench *bench)
{
    char pattern[160];
    glob_t found;
    (void)snprintf(pattern, sizeof pattern, "%s/managers/pm2/lists/*/[0-9]*", bench->folder);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        static char text[1 << 20];
        FILE *file = fopen(found.gl_pathv[i], "r+");
        assert_non_null(file);
        size_t length = fread(text, 1, sizeof text - 1, file);
        text[length] = '\0';
        char *boot = strstr(text, "\"boot_id\":\"");
        assert_non_null(boot);
        boot[11] = boot[11] == '0' ? '1' : '0';
        assert_int_equal(fseek(file, 0, SEEK_SET), 0);
        assert_int_equal(fwrite(text, 1, length, file), length);
        (void)fclose(file);
    }
    globfree(&found);
}

/* After a reboot the machine's own unit may go first. */
static void daemon_of_before_the_boot_comes_back_in_the_end(void **state)
{
    struct bench *bench = *state;
    scene_start(bench, "sleeper", "sleeper.sh", scene_sleeper);
    bench_start_manager(bench, scene_section());
    scene_wait_kept(bench, "sleeper");
    bench_kill_god(bench);
    RUN_UNTIL(bench, scene_is_ill);
    age_versions(bench);
    json_decref(bench->seen);
    bench->seen = NULL;
    assert_int_equal(supervise_restart(bench->supervise, "pm2", NULL), 0);
    RUN_UNTIL(bench, is_waited_for);
    assert_false(bench_mend(bench, scene_order_name(bench), ++scene_attempts));
    scene_revive(bench);
    assert_string_equal(scene_status_of(bench, "sleeper"), "online");
    (void)scene_only_process(bench, "sleeper");
}

static bool is_installed(struct bench *bench)
{
    return bench_had_event(bench, "pm2.installed");
}

static bool is_told_missing(struct bench *bench)
{
    return scene_finding(bench, "pm2.missing") != NULL;
}

static bool can_run(struct bench *bench)
{
    return bench->capability > 99 && scene_is_up(bench);
}

static char real_path[4096];

/* A PATH with node and npm, and no PM2 in it. */
static void make_path(struct bench *bench)
{
    char text[sizeof real_path + 512];
    char folder[128];
    const char *path = getenv("PATH");
    if (path == NULL || access("/usr/bin/pm2", F_OK) == 0) {
        skip();
        return;
    }
    (void)snprintf(real_path, sizeof real_path, "%s", path);
    (void)snprintf(folder, sizeof folder, "%s/bin", bench->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    (void)snprintf(text, sizeof text, "#!/bin/sh\nPATH='%s' exec node \"$@\"\n", real_path);
    (void)bench_script(bench, "bin/node", text);
    (void)snprintf(text, sizeof text, "#!/bin/sh\nPATH='%s' exec npm \"$@\"\n", real_path);
    (void)bench_script(bench, "bin/npm", text);
    (void)snprintf(text, sizeof text, "%s:/usr/bin:/bin", folder);
    (void)setenv("PATH", text, 1);
}

static void missing_pm2_is_installed_and_started(void **state)
{
    struct bench *bench = *state;
    PM2(bench, "kill");
    assert_int_equal(waitpid(bench->god, NULL, 0), bench->god);
    bench->god = 0;
    make_path(bench);
    json_t *allowed = scene_section();
    (void)json_object_set_new(allowed, "install", json_true());
    bench_add_manager(bench, allowed);
    (void)setenv("PATH", real_path, 1);
    RUN_UNTIL(bench, is_installed);
    RUN_UNTIL(bench, scene_is_ill);
    assert_true(bench_mend(bench, scene_order_name(bench), ++scene_attempts));
    RUN_UNTIL(bench, can_run);
    scene_start(bench, "sleeper", "sleeper.sh", scene_sleeper);
    scene_wait_kept(bench, "sleeper");
}

static void pm2_that_runs_is_not_missing(void **state)
{
    struct bench *bench = *state;
    make_path(bench); /* as where its program is not for everybody */
    bench_add_manager(bench, scene_section());
    (void)setenv("PATH", real_path, 1);
    RUN_UNTIL(bench, can_run);
    assert_false(is_told_missing(bench));
}

static void missing_pm2_is_only_told_where_nothing_is_allowed(void **state)
{
    struct bench *bench = *state;
    char path[160];
    PM2(bench, "kill");
    assert_int_equal(waitpid(bench->god, NULL, 0), bench->god);
    bench->god = 0;
    make_path(bench);
    bench_add_manager(bench, scene_section());
    (void)setenv("PATH", real_path, 1);
    RUN_UNTIL(bench, is_told_missing);
    (void)snprintf(path, sizeof path, "%s/managers/pm2/npm", bench->folder);
    assert_int_equal(access(path, F_OK), -1);
    assert_null(scene_ailing(bench));
}

static void hung_daemon_is_replaced(void **state)
{
    struct bench *bench = *state;
    scene_start(bench, "sleeper", "sleeper.sh", scene_sleeper);
    bench_start_manager(bench, scene_section());
    scene_wait_kept(bench, "sleeper");
    assert_int_equal(kill(bench->god, SIGSTOP), 0);
    RUN_UNTIL(bench, scene_is_ill);
    scene_revive(bench);
    int status;
    assert_int_equal(waitpid(bench->god, &status, 0), bench->god);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    bench->god = 0;
    assert_string_equal(scene_status_of(bench, "sleeper"), "online");
    (void)scene_only_process(bench, "sleeper");
}

static bool is_absent(struct bench *bench)
{
    return strcmp(scene_home_state(bench), "absent") == 0;
}

static void daemon_that_a_person_ended_stays_away(void **state)
{
    struct bench *bench = *state;
    scene_start(bench, "sleeper", "sleeper.sh", scene_sleeper);
    bench_start_manager(bench, scene_section());
    scene_wait_kept(bench, "sleeper");
    PM2(bench, "kill");
    assert_int_equal(waitpid(bench->god, NULL, 0), bench->god);
    bench->god = 0;
    RUN_UNTIL(bench, is_absent);
    assert_false(bench_mend(bench, scene_order_name(bench), ++scene_attempts));
    assert_null(scene_ailing(bench));
    /* And what is started then is wanted, without what was there. */
    scene_start(bench, "other", "other.sh", scene_sleeper);
    RUN_UNTIL(bench, scene_is_up);
    assert_null(scene_finding(bench, "pm2.emptied"));
}

/* Another node's manager for the same home, as on a host with two of them. */
static void two_revivers_make_one_daemon(void **state)
{
    struct bench *bench = *state;
    struct bench *second = NULL;
    scene_start(bench, "sleeper", "sleeper.sh", scene_sleeper);
    bench_start_manager(bench, scene_section());
    assert_int_equal(bench_set_up((void **)&second), 0);
    char own[sizeof second->home];
    memcpy(own, second->home, sizeof own);
    memcpy(second->home, bench->home, sizeof second->home);
    bench_start_manager(second, scene_section());
    scene_wait_kept(bench, "sleeper");
    scene_wait_kept(second, "sleeper");
    bench_kill_god(bench);
    RUN_UNTIL(bench, scene_is_ill);
    RUN_UNTIL(second, scene_is_ill);
    bench->event_count = 0;
    assert_true(bench_mend(bench, scene_order_name(bench), ++scene_attempts));
    assert_false(bench_mend(second, scene_order_name(bench), scene_attempts));
    RUN_UNTIL(bench, scene_is_back);
    RUN_UNTIL(second, scene_is_up);
    assert_string_equal(scene_status_of(bench, "sleeper"), "online");
    (void)scene_only_process(bench, "sleeper");
    assert_int_equal(scene_count_gods(bench), 1);
    memcpy(second->home, own, sizeof own);
    (void)bench_tear_down((void **)&second);
}

#define USER 54321

static int give_away(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return lchown(path, USER, USER);
}

static uid_t user_of(pid_t pid)
{
    char path[64];
    struct stat info = {0};
    (void)snprintf(path, sizeof path, "/proc/%d", (int)pid);
    assert_int_equal(stat(path, &info), 0);
    return info.st_uid;
}

/* As root, never root's daemon in a user's home. */
static void daemon_of_a_user_comes_back_as_the_users(void **state)
{
    struct bench *bench = *state;
    if (geteuid() != 0) {
        skip();
    }
    bench_kill_god(bench);
    assert_int_equal(chmod(bench->folder, 0711), 0);
    assert_int_equal(nftw(bench->home, give_away, 8, FTW_PHYS), 0);
    bench_start_god(bench, USER, false);
    const char *script = bench_script(bench, "sleeper.sh", scene_sleeper);
    assert_int_equal(chmod(script, 0755), 0);
    PM2(bench, "start", script, "--name", "sleeper", "--interpreter", "sh");
    bench_start_manager(bench, scene_section());
    scene_wait_kept(bench, "sleeper");
    assert_int_equal(user_of(bench->god), USER);
    bench_kill_god(bench);
    scene_revive(bench);
    assert_int_equal(user_of(bench_god(bench)), USER);
    assert_int_equal(user_of(scene_only_process(bench, "sleeper")), USER);
}

/* Two homes under one manager: the one is brought back, the other does not notice. */
static void one_home_of_two_comes_back(void **state)
{
    struct bench *bench = *state;
    struct other other;
    char name[128];
    start_other(bench, &other);
    scene_start(bench, "looper", "looper.sh", scene_looper);
    json_t *both = scene_section();
    (void)json_object_set_new(both, "homes", json_pack("[ss]", bench->home, other.bench.home));
    bench_start_manager(bench, both);
    scene_wait_kept(bench, "looper"); /* of one of them; the other's follows, or came before */
    pid_t process = scene_only_process(bench, "looper");
    assert_int_equal(kill(other.god, SIGKILL), 0);
    RUN_UNTIL(bench, scene_is_ill);
    (void)snprintf(name, sizeof name, "daemon:%s", other.bench.home);
    assert_string_equal(doc_get_text(scene_ailing(bench), "name", ""), name);
    assert_true(bench_mend(bench, name, ++scene_attempts));
    RUN_UNTIL(bench, scene_is_back);
    assert_int_equal(bench_god(bench), bench->god);
    assert_int_equal(scene_only_process(bench, "looper"), process);
    assert_int_not_equal(bench_god(&other.bench), other.god);
    assert_int_not_equal(scene_only_process(&other.bench, "sleeper"), other.process);
    PM2(&other.bench, "kill");
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(killed_daemon_comes_back_with_each_process_once),
        WITH_BENCH(daemon_that_exits_on_its_own_error_comes_back),
        WITH_BENCH(what_a_daemon_deletes_as_it_ends_is_wanted),
        WITH_BENCH(daemon_of_before_the_boot_comes_back_in_the_end),
        WITH_BENCH(missing_pm2_is_installed_and_started),
        WITH_BENCH(pm2_that_runs_is_not_missing),
        WITH_BENCH(missing_pm2_is_only_told_where_nothing_is_allowed),
        WITH_BENCH(hung_daemon_is_replaced),
        WITH_BENCH(daemon_that_a_person_ended_stays_away),
        WITH_BENCH(two_revivers_make_one_daemon),
        WITH_BENCH(one_home_of_two_comes_back),
        WITH_BENCH(daemon_of_a_user_comes_back_as_the_users),
    };
    return cmocka_run_group_tests_name("pm2_revive", tests, NULL, NULL);
}
