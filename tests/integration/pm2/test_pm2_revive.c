/* A PM2 daemon that died, hangs, or lost its list: what was there is back, each once, and nothing
 * else is touched. */
#include "tests/integration/pm2/pm2_bench.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Silent, so that it outlives a dead daemon. */
static const char sleeper[] = "#!/bin/sh\nexec sleep 100000\n";
/* Starts another program again and again, and writes. */
static const char looper[] = "#!/bin/sh\nwhile :; do echo tick; sleep 0.2; done\n";
/* Must be killed. */
static const char stubborn[] = "#!/bin/sh\ntrap '' INT TERM\nwhile :; do sleep 0.2; done\n";
static const char server[] = "setInterval(() => console.log('here'), 500);\n";

static json_t *section(void)
{
    return json_pack("{si s[{ss s[s]}] s[]}", "poll_ms", 1000, "primaries", "name", "sleeper", "on",
                     "n1", "backups");
}

static void start(struct bench *bench, const char *name, const char *file, const char *text)
{
    const char *script = bench_script(bench, file, text);
    PM2(bench, "start", script, "--name", name);
}

/* ---- what is seen ---- */

static const char *home_state(const struct bench *bench)
{
    const json_t *home = json_array_get(json_object_get(bench->seen, "homes"), 0);
    return doc_get_text(home, "state", "");
}

static const json_t *ailing(const struct bench *bench)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(bench->seen, "ailing"), index, row)
    {
        if (strncmp(doc_get_text(row, "name", ""), "daemon:", 7) == 0) {
            return row;
        }
    }
    return NULL;
}

static bool is_ill(struct bench *bench)
{
    return strcmp(doc_get_text(ailing(bench), "state", ""), "ill") == 0;
}

static bool is_up(struct bench *bench)
{
    return strcmp(home_state(bench), "up") == 0;
}

static bool is_back(struct bench *bench)
{
    return bench_had_event(bench, "pm2.revived") && is_up(bench) && ailing(bench) == NULL;
}

static const json_t *finding(const struct bench *bench, const char *kind)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(bench->seen, "findings"), index, row)
    {
        if (strcmp(doc_get_text(row, "kind", ""), kind) == 0) {
            return row;
        }
    }
    return NULL;
}

/* The head of the newest version of the home's list; a new reference. */
static json_t *newest_head(const struct bench *bench)
{
    char pattern[160];
    glob_t found;
    json_t *newest = NULL;
    (void)snprintf(pattern, sizeof pattern, "%s/managers/pm2/lists/*/[0-9]*", bench->folder);
    if (glob(pattern, 0, NULL, &found) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *line = NULL;
        size_t size = 0;
        FILE *file = fopen(found.gl_pathv[i], "r");
        ssize_t length = file != NULL ? getline(&line, &size, file) : -1;
        json_t *head = length > 0 ? json_loads(line, 0, NULL) : NULL;
        free(line);
        if (file != NULL) {
            (void)fclose(file);
        }
        if (doc_get_integer(head, "number", 0) > doc_get_integer(newest, "number", 0)) {
            json_decref(newest);
            newest = json_incref(head);
        }
        json_decref(head);
    }
    globfree(&found);
    return newest;
}

/* "a b c": the names of the newest version. */
static const char *expected_names;

static bool is_kept(struct bench *bench)
{
    char names[256] = "";
    json_t *head = newest_head(bench);
    size_t index;
    json_t *name;
    json_array_foreach(json_object_get(head, "names"), index, name)
    {
        size_t length = strlen(names);
        (void)snprintf(names + length, sizeof names - length, "%s%s", index > 0 ? " " : "",
                       json_string_value(name));
    }
    bool has_daemon = json_object_get(head, "daemon") != NULL;
    json_decref(head);
    return has_daemon && strcmp(names, expected_names) == 0;
}

static void wait_kept(struct bench *bench, const char *names)
{
    expected_names = names;
    bench_run_until(bench, is_kept, names);
}

/* ---- processes ---- */

static bool has_pair(const char *environment, size_t length, const char *pair)
{
    for (size_t at = 0; at < length; at += strlen(environment + at) + 1) {
        if (strcmp(environment + at, pair) == 0) {
            return true;
        }
    }
    return false;
}

static size_t read_proc(const char *pid, const char *file, char *ret, size_t size)
{
    char path[300];
    (void)snprintf(path, sizeof path, "/proc/%s/%s", pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, ret, size - 1) : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    ret[got > 0 ? got : 0] = '\0';
    return got > 0 ? (size_t)got : 0;
}

static bool leads_its_session(const char *pid)
{
    return getsid((pid_t)strtol(pid, NULL, 10)) == (pid_t)strtol(pid, NULL, 10);
}

/* Processes that lead a session of their own and have both pairs in their environment. */
static int count_processes(const char *first, const char *second, pid_t *ret)
{
    static char environment[256 << 10];
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    int count = 0;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9') {
            continue;
        }
        size_t length = read_proc(entry->d_name, "environ", environment, sizeof environment);
        if (has_pair(environment, length, first) &&
            (second == NULL || has_pair(environment, length, second)) &&
            leads_its_session(entry->d_name)) {
            count++;
            *ret = (pid_t)strtol(entry->d_name, NULL, 10);
        }
    }
    (void)closedir(folder);
    return count;
}

static pid_t only_process(const struct bench *bench, const char *name)
{
    char home[128];
    char pair[96];
    pid_t pid = 0;
    (void)snprintf(home, sizeof home, "PM2_HOME=%s", bench->home);
    (void)snprintf(pair, sizeof pair, "name=%s", name);
    int count = count_processes(home, pair, &pid);
    if (count != 1) {
        fail_msg("%s runs %d times", name, count);
    }
    return pid;
}

static int count_gods(const struct bench *bench)
{
    char title[512];
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    int count = 0;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' &&
            read_proc(entry->d_name, "cmdline", title, sizeof title) > 0 &&
            strstr(title, "God Daemon") != NULL && strstr(title, bench->folder) != NULL) {
            count++;
        }
    }
    (void)closedir(folder);
    return count;
}

static const char *order_name(const struct bench *bench)
{
    static char name[128];
    (void)snprintf(name, sizeof name, "daemon:%s", bench->home);
    return name;
}

static int attempts;

static void revive(struct bench *bench)
{
    bench->event_count = 0;
    RUN_UNTIL(bench, is_ill);
    assert_true(bench_mend(bench, order_name(bench), ++attempts));
    RUN_UNTIL(bench, is_back);
}

static const char *status_of(struct bench *bench, const char *name)
{
    static char status[32];
    json_t *row = bench_list_row(bench, name);
    (void)snprintf(status, sizeof status, "%s",
                   doc_get_text(json_object_get(row, "pm2_env"), "status", "not listed"));
    json_decref(row);
    return status;
}

static size_t list_length(const struct bench *bench)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/out", bench->folder);
    json_t *list = json_load_file(path, 0, NULL); /* of the jlist before */
    size_t length = json_array_size(list);
    json_decref(list);
    return length;
}

/* ---- tests ---- */

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
    start(&other->bench, "sleeper", "sleeper.sh", sleeper);
    other->god = bench_god(&other->bench);
    other->process = only_process(&other->bench, "sleeper");
}

static void end_other(struct other *other)
{
    assert_int_equal(bench_god(&other->bench), other->god);
    assert_int_equal(only_process(&other->bench, "sleeper"), other->process);
    PM2(&other->bench, "kill");
}

static void killed_daemon_comes_back_with_each_process_once(void **state)
{
    struct bench *bench = *state;
    struct other other;
    start_other(bench, &other);
    start(bench, "old", "old.sh", sleeper);
    PM2(bench, "save"); /* a dump that is stale by the time it could be used */
    start(bench, "sleeper", "sleeper.sh", sleeper);
    start(bench, "looper", "looper.sh", looper);
    start(bench, "server", "server.js", server);
    PM2(bench, "start", bench_script(bench, "pair.js", server), "--name", "pair", "-i", "2");
    PM2(bench, "start", bench_script(bench, "stubborn.sh", stubborn), "--name", "stubborn",
        "--kill-timeout", "300");
    start(bench, "idle", "idle.sh", sleeper);
    PM2(bench, "stop", "idle");
    bench_start_manager(bench, section());
    wait_kept(bench, "old sleeper looper server pair pair stubborn idle");
    PM2(bench, "delete", "old");
    wait_kept(bench, "sleeper looper server pair pair stubborn idle");
    pid_t before = only_process(bench, "sleeper");
    bench_kill_god(bench);
    revive(bench);
    assert_string_equal(status_of(bench, "sleeper"), "online");
    assert_int_equal(list_length(bench), 7);
    assert_string_equal(status_of(bench, "looper"), "online");
    assert_string_equal(status_of(bench, "server"), "online");
    assert_string_equal(status_of(bench, "pair"), "online");
    assert_string_equal(status_of(bench, "idle"), "stopped");
    assert_int_not_equal(only_process(bench, "sleeper"), before);
    (void)only_process(bench, "looper");
    (void)only_process(bench, "server");
    (void)only_process(bench, "stubborn");
    assert_int_equal(count_gods(&other.bench), 2); /* of both homes */
    end_other(&other);
    wait_kept(bench, "sleeper looper server pair pair stubborn idle");
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
    start(bench, "sleeper", "sleeper.sh", sleeper);
    bench_start_manager(bench, section());
    wait_kept(bench, "sleeper");
    send_malformed(bench);
    RUN_UNTIL(bench, god_ended);
    revive(bench);
    assert_string_equal(status_of(bench, "sleeper"), "online");
    (void)only_process(bench, "sleeper");
}

/* A daemon that is told to end deletes its entries one after another, and leaves its sockets. */
static void what_a_daemon_deletes_as_it_ends_is_wanted(void **state)
{
    struct bench *bench = *state;
    start(bench, "sleeper", "sleeper.sh", sleeper);
    start(bench, "looper", "looper.sh", looper);
    start(bench, "server", "server.js", server);
    bench_start_manager(bench, section());
    wait_kept(bench, "sleeper looper server");
    assert_int_equal(kill(bench->god, SIGTERM), 0);
    RUN_UNTIL(bench, god_ended);
    revive(bench);
    wait_kept(bench, "sleeper looper server");
    assert_string_equal(status_of(bench, "sleeper"), "online");
    assert_int_equal(list_length(bench), 3);
    (void)only_process(bench, "looper");
}

static bool is_waited_for(struct bench *bench)
{
    return bench->ready == 2 && strcmp(doc_get_text(ailing(bench), "state", ""), "between") == 0;
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
    start(bench, "sleeper", "sleeper.sh", sleeper);
    bench_start_manager(bench, section());
    wait_kept(bench, "sleeper");
    bench_kill_god(bench);
    RUN_UNTIL(bench, is_ill);
    age_versions(bench);
    json_decref(bench->seen);
    bench->seen = NULL;
    assert_int_equal(supervise_restart(bench->supervise, "pm2", NULL), 0);
    RUN_UNTIL(bench, is_waited_for);
    assert_false(bench_mend(bench, order_name(bench), ++attempts));
    revive(bench);
    assert_string_equal(status_of(bench, "sleeper"), "online");
    (void)only_process(bench, "sleeper");
}

static bool is_installed(struct bench *bench)
{
    return bench_had_event(bench, "pm2.installed");
}

static bool is_told_missing(struct bench *bench)
{
    return finding(bench, "pm2.missing") != NULL;
}

static bool can_run(struct bench *bench)
{
    return bench->capability > 99 && is_up(bench);
}

static char real_path[4096];

/* A PATH with node and an npm that installs what is there already; no PM2 in it. */
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
    (void)snprintf(text, sizeof text,
                   "#!/bin/sh\n[ \"$1 $2\" = \"install --prefix\" ] || exit 9\n"
                   "for last; do :; done\n[ \"$last\" = pm2@7 ] || exit 8\n"
                   "echo installing\nexec ln -s \"%s/node_modules\" \"$3/node_modules\"\n",
                   bench_pm2_dir());
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
    json_t *allowed = section();
    (void)json_object_set_new(allowed, "install", json_true());
    bench_add_manager(bench, allowed);
    (void)setenv("PATH", real_path, 1);
    RUN_UNTIL(bench, is_installed);
    RUN_UNTIL(bench, is_ill);
    assert_true(bench_mend(bench, order_name(bench), ++attempts));
    RUN_UNTIL(bench, can_run);
    start(bench, "sleeper", "sleeper.sh", sleeper);
    wait_kept(bench, "sleeper");
}

static void missing_pm2_is_only_told_where_nothing_is_allowed(void **state)
{
    struct bench *bench = *state;
    char path[160];
    PM2(bench, "kill");
    assert_int_equal(waitpid(bench->god, NULL, 0), bench->god);
    bench->god = 0;
    make_path(bench);
    bench_add_manager(bench, section());
    (void)setenv("PATH", real_path, 1);
    RUN_UNTIL(bench, is_told_missing);
    (void)snprintf(path, sizeof path, "%s/managers/pm2/npm", bench->folder);
    assert_int_equal(access(path, F_OK), -1);
    assert_null(ailing(bench));
}

static void hung_daemon_is_replaced(void **state)
{
    struct bench *bench = *state;
    start(bench, "sleeper", "sleeper.sh", sleeper);
    bench_start_manager(bench, section());
    wait_kept(bench, "sleeper");
    assert_int_equal(kill(bench->god, SIGSTOP), 0);
    RUN_UNTIL(bench, is_ill);
    revive(bench);
    int status;
    assert_int_equal(waitpid(bench->god, &status, 0), bench->god);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    bench->god = 0;
    assert_string_equal(status_of(bench, "sleeper"), "online");
    (void)only_process(bench, "sleeper");
}

static bool is_absent(struct bench *bench)
{
    return strcmp(home_state(bench), "absent") == 0;
}

static void daemon_that_a_person_ended_stays_away(void **state)
{
    struct bench *bench = *state;
    start(bench, "sleeper", "sleeper.sh", sleeper);
    bench_start_manager(bench, section());
    wait_kept(bench, "sleeper");
    PM2(bench, "kill");
    assert_int_equal(waitpid(bench->god, NULL, 0), bench->god);
    bench->god = 0;
    RUN_UNTIL(bench, is_absent);
    assert_false(bench_mend(bench, order_name(bench), ++attempts));
    assert_null(ailing(bench));
    /* And what is started then is wanted, without what was there. */
    start(bench, "other", "other.sh", sleeper);
    RUN_UNTIL(bench, is_up);
    assert_null(finding(bench, "pm2.emptied"));
}

/* Another node's manager for the same home, as on a host with two of them. */
static void two_revivers_make_one_daemon(void **state)
{
    struct bench *bench = *state;
    struct bench *second = NULL;
    start(bench, "sleeper", "sleeper.sh", sleeper);
    bench_start_manager(bench, section());
    assert_int_equal(bench_set_up((void **)&second), 0);
    char own[sizeof second->home];
    memcpy(own, second->home, sizeof own);
    memcpy(second->home, bench->home, sizeof second->home);
    bench_start_manager(second, section());
    wait_kept(bench, "sleeper");
    wait_kept(second, "sleeper");
    bench_kill_god(bench);
    RUN_UNTIL(bench, is_ill);
    RUN_UNTIL(second, is_ill);
    bench->event_count = 0;
    assert_true(bench_mend(bench, order_name(bench), ++attempts));
    assert_false(bench_mend(second, order_name(bench), attempts));
    RUN_UNTIL(bench, is_back);
    RUN_UNTIL(second, is_up);
    assert_string_equal(status_of(bench, "sleeper"), "online");
    (void)only_process(bench, "sleeper");
    assert_int_equal(count_gods(bench), 1);
    memcpy(second->home, own, sizeof own);
    (void)bench_tear_down((void **)&second);
}

static bool is_told_emptied(struct bench *bench)
{
    return finding(bench, "pm2.emptied") != NULL;
}

static bool is_told_no_more(struct bench *bench)
{
    return finding(bench, "pm2.emptied") == NULL;
}

static void emptied_list_is_told_and_not_wanted(void **state)
{
    struct bench *bench = *state;
    start(bench, "sleeper", "sleeper.sh", sleeper);
    start(bench, "looper", "looper.sh", looper);
    bench_start_manager(bench, section());
    wait_kept(bench, "sleeper looper");
    PM2(bench, "delete", "all");
    RUN_UNTIL(bench, is_told_emptied);
    assert_string_equal(doc_get_text(finding(bench, "pm2.emptied"), "severity", ""), "critical");
    wait_kept(bench, "sleeper looper");
    bench_kill_god(bench);
    revive(bench);
    assert_string_equal(status_of(bench, "sleeper"), "online");
    (void)only_process(bench, "looper");
    RUN_UNTIL(bench, is_told_no_more);
}

/* One after another is a person's wish, even the last. */
static void entries_deleted_one_by_one_are_wanted_no_more(void **state)
{
    struct bench *bench = *state;
    start(bench, "sleeper", "sleeper.sh", sleeper);
    start(bench, "looper", "looper.sh", looper);
    bench_start_manager(bench, section());
    wait_kept(bench, "sleeper looper");
    PM2(bench, "delete", "looper");
    wait_kept(bench, "sleeper");
    PM2(bench, "delete", "sleeper");
    wait_kept(bench, "");
    assert_null(finding(bench, "pm2.emptied"));
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
    const char *script = bench_script(bench, "sleeper.sh", sleeper);
    assert_int_equal(chmod(script, 0755), 0);
    PM2(bench, "start", script, "--name", "sleeper", "--interpreter", "sh");
    bench_start_manager(bench, section());
    wait_kept(bench, "sleeper");
    assert_int_equal(user_of(bench->god), USER);
    bench_kill_god(bench);
    revive(bench);
    assert_int_equal(user_of(bench_god(bench)), USER);
    assert_int_equal(user_of(only_process(bench, "sleeper")), USER);
}

/* Two homes under one manager: the one is brought back, the other does not notice. */
static void one_home_of_two_comes_back(void **state)
{
    struct bench *bench = *state;
    struct other other;
    char name[128];
    start_other(bench, &other);
    start(bench, "looper", "looper.sh", looper);
    json_t *both = section();
    (void)json_object_set_new(both, "homes", json_pack("[ss]", bench->home, other.bench.home));
    bench_start_manager(bench, both);
    wait_kept(bench, "looper"); /* of one of them; the other's follows, or came before */
    pid_t process = only_process(bench, "looper");
    assert_int_equal(kill(other.god, SIGKILL), 0);
    RUN_UNTIL(bench, is_ill);
    (void)snprintf(name, sizeof name, "daemon:%s", other.bench.home);
    assert_string_equal(doc_get_text(ailing(bench), "name", ""), name);
    assert_true(bench_mend(bench, name, ++attempts));
    RUN_UNTIL(bench, is_back);
    assert_int_equal(bench_god(bench), bench->god);
    assert_int_equal(only_process(bench, "looper"), process);
    assert_int_not_equal(bench_god(&other.bench), other.god);
    assert_int_not_equal(only_process(&other.bench, "sleeper"), other.process);
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
        WITH_BENCH(missing_pm2_is_only_told_where_nothing_is_allowed),
        WITH_BENCH(hung_daemon_is_replaced),
        WITH_BENCH(daemon_that_a_person_ended_stays_away),
        WITH_BENCH(two_revivers_make_one_daemon),
        WITH_BENCH(emptied_list_is_told_and_not_wanted),
        WITH_BENCH(entries_deleted_one_by_one_are_wanted_no_more),
        WITH_BENCH(one_home_of_two_comes_back),
        WITH_BENCH(daemon_of_a_user_comes_back_as_the_users),
    };
    return cmocka_run_group_tests_name("pm2_revive", tests, NULL, NULL);
}
