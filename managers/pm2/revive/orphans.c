#include "managers/pm2/revive/orphans.h"

#include "managers/pm2/lists/saved.h"
#include "managers/pm2/revive/proc.h"
#include "managers/pm2/watch/entry.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH_MAX 64

bool orphans_is_of(const char *environment, size_t length, const char *home, const json_t *row)
{
    const char *unique_id = saved_unique_id(row);
    const char *theirs = proc_variable(environment, length, "unique_id");
    const char *name = proc_variable(environment, length, "name");
    const char *pm_id = proc_variable(environment, length, "pm_id");
    if (proc_variable(environment, length, ENTRY_DUTY_VARIABLE) != NULL || pm_id == NULL) {
        return false;
    }
    if (unique_id[0] != '\0' && theirs != NULL) {
        return strcmp(unique_id, theirs) == 0;
    }
    char id[24];
    const char *their_home = proc_variable(environment, length, "PM2_HOME");
    (void)snprintf(id, sizeof id, "%" PRId64, saved_id(row));
    return saved_id(row) >= 0 && strcmp(pm_id, id) == 0 && name != NULL &&
           strcmp(name, saved_name(row)) == 0 && their_home != NULL &&
           strcmp(their_home, home) == 0;
}

struct seen {
    int64_t pid;
    int64_t parent;
    bool marked;  /* by its environment */
    bool guarded; /* runs under our guard */
    bool below;   /* below the daemon that is up */
};

struct scan {
    const char *home;
    const json_t *row;
    struct seen *rows;
    size_t count;
    size_t room;
};

static bool on_process(void *context, int64_t pid)
{
    struct scan *scan = context;
    if (scan->count == scan->room) {
        size_t room = scan->room * 2 + 256;
        struct seen *rows = realloc(scan->rows, room * sizeof *rows);
        if (rows == NULL) {
            return false;
        }
        scan->rows = rows;
        scan->room = room;
    }
    size_t length = 0;
    const char *environment = proc_environment(pid, &length);
    scan->rows[scan->count++] = (struct seen){
        .pid = pid,
        .parent = proc_parent(pid),
        .marked = orphans_is_of(environment, length, scan->home, scan->row),
        .guarded = proc_variable(environment, length, ENTRY_DUTY_VARIABLE) != NULL,
    };
    return true;
}

static struct seen *find_seen(struct scan *scan, int64_t pid)
{
    for (size_t i = 0; i < scan->count; i++) {
        if (scan->rows[i].pid == pid) {
            return &scan->rows[i];
        }
    }
    return NULL;
}

/* Walks up from a process: to a marked one, or to the daemon. */
static bool is_below_marked(struct scan *scan, const struct seen *seen, int64_t god_pid)
{
    bool marked = false;
    for (int depth = 0; seen != NULL && depth < DEPTH_MAX; depth++) {
        if (seen->guarded || (god_pid > 0 && seen->pid == god_pid)) {
            return false;
        }
        marked = marked || seen->marked;
        seen = seen->parent > 1 ? find_seen(scan, seen->parent) : NULL;
    }
    return marked;
}

/* The number may have changed hands since the scan. */
static bool is_still_it(const struct scan *scan, const struct seen *seen)
{
    size_t length = 0;
    const char *environment = proc_environment(seen->pid, &length);
    return seen->marked ? orphans_is_of(environment, length, scan->home, scan->row)
                        : proc_parent(seen->pid) == seen->parent;
}

void orphans_find(const char *home, const json_t *row, int64_t god_pid, struct orphans *ret)
{
    struct scan scan = {.home = home, .row = row};
    ret->count = 0;
    proc_each(on_process, &scan);
    for (size_t i = 0; i < scan.count && ret->count < ORPHANS_MAX; i++) {
        const struct seen *seen = &scan.rows[i];
        if (seen->pid <= 1 || seen->pid == getpid() || !is_below_marked(&scan, seen, god_pid)) {
            continue;
        }
        struct process *process = &ret->processes[ret->count];
        *process = (struct process){.pidfd = -1};
        if (process_hold(process, seen->pid) && is_still_it(&scan, seen) &&
            process_lives(process)) {
            ret->count++;
        } else {
            process_drop(process);
        }
    }
    free(scan.rows);
}

void orphans_signal(const struct orphans *self, int number)
{
    for (size_t i = 0; i < self->count; i++) {
        (void)syscall(SYS_pidfd_send_signal, self->processes[i].pidfd, number, NULL, 0);
    }
}

bool orphans_live(const struct orphans *self)
{
    for (size_t i = 0; i < self->count; i++) {
        if (process_lives(&self->processes[i])) {
            return true;
        }
    }
    return false;
}

void orphans_drop(struct orphans *self)
{
    for (size_t i = 0; i < self->count; i++) {
        process_drop(&self->processes[i]);
    }
    self->count = 0;
}
