/* Processes that outlived their PM2 daemon. The daemon leaves a file pids/NAME-ID.pid for each, and
 * gives each its name and id in the environment; both must agree, as files and numbers get old. */
#include "managers/pm2/pm2.h"
#include "managers/pm2/revive/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static bool bears_name(int64_t pid, const char *name)
{
    size_t length;
    const char *environment = proc_environment(pid, &length);
    const char *theirs = proc_variable(environment, length, "name");
    return theirs != NULL && strcmp(theirs, name) == 0 &&
           proc_variable(environment, length, "pm_id") != NULL;
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

/* ---- all of them ---- */

struct origin {
    char name[NAME_SIZE];
    char unique_id[40];
};

/* PM2 puts the entry's own keys into the environment of what it starts; the path of its file of the
 * pid tells the home. A process of ours has a guard that ends it. */
static bool is_from(const struct home *home, int64_t pid, struct origin *ret)
{
    size_t length;
    const char *environment = proc_environment(pid, &length);
    const char *name = proc_variable(environment, length, "name");
    const char *unique_id = proc_variable(environment, length, "unique_id");
    const char *pid_path = proc_variable(environment, length, "pm_pid_path");
    size_t home_length = strlen(god_home(home->god));
    if (name == NULL || unique_id == NULL || pid_path == NULL || strlen(name) >= NAME_SIZE ||
        strlen(unique_id) >= sizeof ret->unique_id ||
        strncmp(pid_path, god_home(home->god), home_length) != 0 ||
        strncmp(pid_path + home_length, "/pids/", 6) != 0 ||
        proc_variable(environment, length, ENTRY_DUTY_VARIABLE) != NULL) {
        return false;
    }
    memcpy(ret->name, name, strlen(name) + 1);
    memcpy(ret->unique_id, unique_id, strlen(unique_id) + 1);
    return true;
}

/* A process that an app of today has sent into the background is that app's business. */
static bool is_listed(const struct home *home, const char *unique_id)
{
    bool up = god_state(home->god) == GOD_UP && home->fresh;
    for (size_t i = 0; up && i < home->entries.count; i++) {
        if (strcmp(home->entries.rows[i].unique_id, unique_id) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_daemon(const struct home *home, const struct tree_row *row)
{
    return row != NULL && (row->pid == god_pid(home->god) || row->pm2);
}

size_t orphan_find_all(const struct home *home, const struct tree *tree, struct orphan *ret,
                       size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < tree->count && count < max; i++) {
        const struct tree_row *row = &tree->rows[i];
        struct origin origin;
        struct origin parent;
        /* What PM2 starts leads a session of its own, and is a child of its daemon. */
        if (row->session != row->pid || row->state == 'Z' ||
            is_daemon(home, tree_find(tree, row->parent)) || !is_from(home, row->pid, &origin) ||
            is_listed(home, origin.unique_id) ||
            (row->parent > 1 && is_from(home, row->parent, &parent))) {
            continue;
        }
        ret[count] = (struct orphan){.pid = row->pid};
        memcpy(ret[count++].name, origin.name, sizeof origin.name);
    }
    return count;
}

size_t orphan_find_daemons(const struct home *home, const struct tree *tree, int64_t *ret,
                           size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < tree->count && count < max; i++) {
        const struct tree_row *row = &tree->rows[i];
        const struct tree_row *parent = tree_find(tree, row->parent);
        bool forked = parent != NULL && parent->pm2; /* an app that has not begun yet */
        if (row->pm2 && !forked && row->state != 'Z' && row->pid != god_pid(home->god) &&
            proc_is_daemon(row->pid, god_home(home->god))) {
            ret[count++] = row->pid;
        }
    }
    return count;
}
