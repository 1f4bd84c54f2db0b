/* The truth about a process: its pidfd and /proc, not what PM2 believes. */
#ifndef UNDERSTUDY_MANAGERS_PM2_PROCESS_H
#define UNDERSTUDY_MANAGERS_PM2_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* One process, held against reuse of its number. Zeroed with pidfd -1 is "none". */
struct process {
    int64_t pid;
    int pidfd;            /* -1: none */
    uint64_t start_ticks; /* of /proc/PID/stat: tells two processes of one number apart */
    int64_t parent;       /* when it was held first */
    bool awaited;         /* for whoever waits for the end of the pidfd; false for a new one */
};

/* Hold `pid` from now on; the same process stays held as it is. Returns whether a live process is
 * held after. pid 0: hold none. */
bool process_hold(struct process *self, int64_t pid);
void process_drop(struct process *self);

/* False once the held process has ended (a zombie has), or when none is held. */
bool process_lives(const struct process *self);

/* What /proc/PID/stat tells (proc(5)). */
struct process_stat {
    bool pm2; /* its name is that of a PM2 daemon */
    char state;
    int64_t parent;
    int64_t session;
    uint64_t cpu_ticks; /* of it, and of its children that were awaited */
    uint64_t start_ticks;
    int64_t pages; /* resident */
};
bool process_stat(int64_t pid, struct process_stat *ret);

/* There is a process of this number that has not ended; whose it is, is not said. */
bool process_exists(int64_t pid);

/* Resident bytes of the process alone, -1 unknown. */
int64_t process_memory(int64_t pid);

/* Resident bytes of the process and all its descendants, -1 unknown. At most a few hundred
 * processes are visited. */
int64_t process_tree_memory(int64_t pid);

#endif
