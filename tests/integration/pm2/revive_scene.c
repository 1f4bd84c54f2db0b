#include "tests/integration/pm2/revive_scene.h"

#include "node/base/doc.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Silent, so that it outlives a dead daemon. */
const char scene_sleeper[] = "#!/bin/sh\nexec sleep 100000\n";
/* Starts another program again and again, and writes. */
const char scene_looper[] = "#!/bin/sh\nwhile :; do echo tick; sleep 0.2; done\n";
/* Must be killed. */
const char scene_stubborn[] = "#!/bin/sh\ntrap '' INT TERM\nwhile :; do sleep 0.2; done\n";
const char scene_server[] = "setInterval(() => console.log('here'), 500);\n";

json_t *scene_section(void)
{
    return json_pack("{si s[{ss s[s]}] s[]}", "poll_ms", 1000, "primaries", "name", "sleeper", "on",
                     "n1", "backups");
}

void scene_start(struct bench *bench, const char *name, const char *file, const char *text)
{
    const char *script = bench_script(bench, file, text);
    PM2(bench, "start", script, "--name", name);
}

/* ---- what is seen ---- */

const char *scene_home_state(const struct bench *bench)
{
    const json_t *home = json_array_get(json_object_get(bench->seen, "homes"), 0);
    return doc_get_text(home, "state", "");
}

const json_t *scene_ailing(const struct bench *bench)
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

bool scene_is_ill(struct bench *bench)
{
    return strcmp(doc_get_text(scene_ailing(bench), "state", ""), "ill") == 0;
}

bool scene_is_up(struct bench *bench)
{
    return strcmp(scene_home_state(bench), "up") == 0;
}

bool scene_is_back(struct bench *bench)
{
    return bench_had_event(bench, "pm2.revived") && scene_is_up(bench) &&
           scene_ailing(bench) == NULL;
}

const json_t *scene_finding(const struct bench *bench, const char *kind)
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
json_t *scene_newest_head(const struct bench *bench)
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
    json_t *head = scene_newest_head(bench);
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

void scene_wait_kept(struct bench *bench, const char *names)
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

pid_t scene_only_process(const struct bench *bench, const char *name)
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

static bool is_god(const struct bench *bench, const char *pid)
{
    char title[512];
    return read_proc(pid, "cmdline", title, sizeof title) > 0 &&
           strstr(title, "God Daemon") != NULL && strstr(title, bench->folder) != NULL;
}

/* A child of a daemon bears its title until it executes what it was forked for. */
static bool is_child_of_god(const struct bench *bench, const char *pid)
{
    char text[512];
    char parent[24];
    if (read_proc(pid, "stat", text, sizeof text) == 0 || strrchr(text, ')') == NULL) {
        return true; /* gone meanwhile */
    }
    (void)snprintf(parent, sizeof parent, "%ld", strtol(strrchr(text, ')') + 3, NULL, 10));
    return is_god(bench, parent);
}

int scene_count_gods(const struct bench *bench)
{
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    int count = 0;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' && is_god(bench, entry->d_name) &&
            !is_child_of_god(bench, entry->d_name)) {
            count++;
        }
    }
    (void)closedir(folder);
    return count;
}

const char *scene_order_name(const struct bench *bench)
{
    static char name[128];
    (void)snprintf(name, sizeof name, "daemon:%s", bench->home);
    return name;
}

int scene_attempts;

void scene_revive(struct bench *bench)
{
    bench->event_count = 0;
    RUN_UNTIL(bench, scene_is_ill);
    assert_true(bench_mend(bench, scene_order_name(bench), ++scene_attempts));
    RUN_UNTIL(bench, scene_is_back);
}

const char *scene_status_of(struct bench *bench, const char *name)
{
    static char status[32];
    json_t *row = bench_list_row(bench, name);
    (void)snprintf(status, sizeof status, "%s",
                   doc_get_text(json_object_get(row, "pm2_env"), "status", "not listed"));
    json_decref(row);
    return status;
}

size_t scene_list_length(const struct bench *bench)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/out", bench->folder);
    json_t *list = json_load_file(path, 0, NULL); /* of the jlist before */
    size_t length = json_array_size(list);
    json_decref(list);
    return length;
}

size_t scene_find_versions(const struct bench *bench, glob_t *ret)
{
    char pattern[160];
    (void)snprintf(pattern, sizeof pattern, "%s/managers/pm2/lists/*/[0-9]*", bench->folder);
    return glob(pattern, 0, NULL, ret) == 0 ? ret->gl_pathc : 0;
}
