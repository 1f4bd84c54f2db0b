/* Processes that outlived their PM2 daemon. The daemon leaves a file pids/NAME-ID.pid for each, and
 * gives each its name and id in the environment; both must agree, as files and numbers get old. */
#include "managers/pm2/pm2.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENVIRON_BYTES_MAX (256 << 10)
#define FILES_MAX 4096

static size_t read_file(const char *path, char *ret, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    size_t length = 0;
    while (length < size - 1) {
        ssize_t got = read(fd, ret + length, size - 1 - length);
        if (got <= 0) {
            break;
        }
        length += (size_t)got;
    }
    (void)close(fd);
    ret[length] = '\0';
    return length;
}

static bool has_variable(const char *environment, size_t length, const char *name,
                         const char *value)
{
    size_t name_length = strlen(name);
    for (size_t at = 0; at < length; at += strlen(environment + at) + 1) {
        const char *variable = environment + at;
        if (strncmp(variable, name, name_length) == 0 && variable[name_length] == '=' &&
            (value == NULL || strcmp(variable + name_length + 1, value) == 0)) {
            return true;
        }
    }
    return false;
}

static bool bears_name(int64_t pid, const char *name)
{
    static char environment[ENVIRON_BYTES_MAX]; /* one thread */
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%lld/environ", (long long)pid);
    size_t length = read_file(path, environment, sizeof environment);
    return has_variable(environment, length, "pm_id", NULL) &&
           has_variable(environment, length, "name", name);
}

int64_t orphan_find(const char *home, const char *name)
{
    char folder[MANAGER_PATH_SIZE + 8];
    (void)snprintf(folder, sizeof folder, "%s/pids", home);
    DIR *files = opendir(folder);
    int64_t found = 0;
    size_t length = strlen(name);
    const struct dirent *entry;
    for (int i = 0; files != NULL && found == 0 && i < FILES_MAX; i++) {
        entry = readdir(files);
        if (entry == NULL) {
            break;
        }
        char path[sizeof folder + sizeof entry->d_name + 1];
        char text[32];
        if (strncmp(entry->d_name, name, length) != 0 || entry->d_name[length] != '-') {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        int64_t pid = read_file(path, text, sizeof text) > 0 ? strtoll(text, NULL, 10) : 0;
        if (pid > 1 && bears_name(pid, name)) {
            found = pid;
        }
    }
    if (files != NULL) {
        (void)closedir(files);
    }
    return found;
}
