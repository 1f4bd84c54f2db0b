#include "managers/pm2/revive/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENVIRONMENT_BYTES_MAX (512 << 10)
#define ARGUMENTS_BYTES_MAX (64 << 10)

void proc_each(bool (*function)(void *context, int64_t pid), void *context)
{
    DIR *folder = opendir("/proc");
    const struct dirent *entry = NULL;
    bool go_on = folder != NULL;
    while (go_on && (entry = readdir(folder)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0])) {
            go_on = function(context, strtoll(entry->d_name, NULL, 10));
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

static size_t read_file(int64_t pid, const char *name, char *ret, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    while (fd >= 0 && length < size - 1) {
        ssize_t got = read(fd, ret + length, size - 1 - length);
        if (got <= 0) {
            break;
        }
        length += (size_t)got;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    ret[length] = '\0';
    return length;
}

const char *proc_environment(int64_t pid, size_t *ret_length)
{
    static char text[ENVIRONMENT_BYTES_MAX];
    *ret_length = read_file(pid, "environ", text, sizeof text);
    return text;
}

const char *proc_arguments(int64_t pid, size_t *ret_length)
{
    static char text[ARGUMENTS_BYTES_MAX];
    *ret_length = read_file(pid, "cmdline", text, sizeof text);
    return text;
}

const char *proc_variable(const char *environment, size_t length, const char *name)
{
    size_t name_length = strlen(name);
    for (size_t at = 0; at < length; at += strlen(environment + at) + 1) {
        const char *pair = environment + at;
        if (strncmp(pair, name, name_length) == 0 && pair[name_length] == '=') {
            return pair + name_length + 1;
        }
    }
    return NULL;
}

int64_t proc_parent(int64_t pid)
{
    char text[1024];
    (void)read_file(pid, "stat", text, sizeof text);
    const char *after = strrchr(text, ')'); /* the name before it may hold anything */
    long long parent = 0;
    if (after != NULL && strlen(after) > 4) {
        parent = strtoll(after + 3, NULL, 10); /* ") S PARENT" */
    }
    return parent;
}

bool proc_user(int64_t pid, uid_t *ret)
{
    char path[64];
    struct stat info;
    (void)snprintf(path, sizeof path, "/proc/%" PRId64, pid);
    if (stat(path, &info) != 0) {
        return false;
    }
    *ret = info.st_uid;
    return true;
}

struct search {
    const char *home;
    uid_t owner;
    bool command_line; /* else a daemon */
    int64_t found;
};

bool proc_is_daemon(int64_t pid, const char *home)
{
    size_t length;
    const char *title = proc_arguments(pid, &length);
    /* The end of a long title is lost, so the home is taken from the environment. */
    if (strncmp(title, "PM2 v", 5) != 0 || strstr(title, ": God Daemon") == NULL) {
        return false;
    }
    const char *environment = proc_environment(pid, &length);
    const char *theirs = proc_variable(environment, length, "PM2_HOME");
    return theirs != NULL && strcmp(theirs, home) == 0;
}

/* "node /usr/lib/node_modules/pm2/bin/pm2 start x" */
static bool is_pm2(int64_t pid)
{
    size_t length;
    const char *text = proc_arguments(pid, &length);
    size_t at = 0;
    for (int i = 0; i < 4 && at < length; i++, at += strlen(text + at) + 1) {
        const char *slash = strrchr(text + at, '/');
        const char *base = slash != NULL ? slash + 1 : text + at;
        if (i > 0 && strcmp(base, "pm2") == 0) {
            return true;
        }
    }
    return false;
}

/* Without PM2_HOME it is at work in its user's .pm2. */
static bool is_command_line(int64_t pid, const char *home)
{
    size_t length;
    char usual[4096];
    if (!is_pm2(pid)) {
        return false;
    }
    const char *environment = proc_environment(pid, &length);
    const char *theirs = proc_variable(environment, length, "PM2_HOME");
    const char *user = proc_variable(environment, length, "HOME");
    (void)snprintf(usual, sizeof usual, "%s/.pm2", user != NULL ? user : "");
    return strcmp(theirs != NULL ? theirs : usual, home) == 0;
}

static bool on_process(void *context, int64_t pid)
{
    struct search *search = context;
    uid_t user;
    if (proc_user(pid, &user) && user == search->owner &&
        (search->command_line ? is_command_line(pid, search->home)
                              : proc_is_daemon(pid, search->home))) {
        search->found = pid;
    }
    return search->found == 0;
}

int64_t proc_find_daemon(const char *home, uid_t owner)
{
    struct search search = {.home = home, .owner = owner};
    proc_each(on_process, &search);
    return search.found;
}

int64_t proc_find_command_line(const char *home, uid_t owner)
{
    struct search search = {.home = home, .owner = owner, .command_line = true};
    proc_each(on_process, &search);
    return search.found;
}
