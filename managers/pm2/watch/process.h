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
    uint64_t cpu_ticks;   /* at the sample before */
    int64_t sampled_ms;
};

/* Hold `pid` from now on; the same process stays held as it is. Returns whether a live process is
 * held after. pid 0: hold none. */
bool process_hold(struct process *self, int64_t pid);
void process_drop(struct process *self);

/* False once the held process has ended (a zombie has), or when none is held. */
bool process_lives(const struct process *self);

struct process_usage {
    int64_t memory_bytes; /* resident, of the process alone; -1 unknown */
    double cpu_percent;   /* of one processor since the sample before; -1 unknown */
};

/* Of the held process; now_ms of CLOCK_BOOTTIME. */
void process_sample(struct process *self, int64_t now_ms, struct process_usage *ret);

/* Resident bytes of the process and all its descendants, -1 unknown. At most a few hundred
 * processes are visited. */
int64_t process_tree_memory(int64_t pid);

#endif
