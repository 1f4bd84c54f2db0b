/* All processes of this machine at one instant, read in one pass over /proc, and what one of them
 * uses together with all its descendants. */
#ifndef UNDERSTUDY_MANAGERS_PM2_TREE_H
#define UNDERSTUDY_MANAGERS_PM2_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_PROCESSES_MAX 32768 /* the rest is not seen */

struct tree_row {
    int64_t pid;
    int64_t parent;
    int64_t session;
    bool pm2;   /* its name is that of a PM2 daemon */
    char state; /* 'R', 'T', 'Z', as proc(5) has them */
    uint64_t start_ticks;
    uint64_t cpu_ticks;   /* its own, and of its children that were awaited */
    int64_t memory_bytes; /* resident */
    size_t child;         /* index + 1 of the first one; 0: none */
    size_t sibling;
};

/* All zero: nothing was read. */
struct tree {
    struct tree_row *rows; /* by pid */
    size_t count;
    size_t capacity;
};

/* Read anew. False: /proc cannot be read, or no memory; the tree is empty then. */
bool tree_take(struct tree *self);
void tree_deinit(struct tree *self);

const struct tree_row *tree_find(const struct tree *self, int64_t pid);

struct tree_usage {
    int64_t memory_bytes;
    uint64_t cpu_ticks;
    unsigned processes;
};
/* Added to *ret; nothing when there is no such process. */
void tree_add(const struct tree *self, int64_t pid, struct tree_usage *ret);

#endif
