#include "managers/pm2/watch/tree.h"

#include "managers/pm2/watch/process.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

void tree_deinit(struct tree *self)
{
    free(self->rows);
    *self = (struct tree){0};
}

static bool grow(struct tree *self)
{
    if (self->count < self->capacity) {
        return true;
    }
    size_t capacity = self->capacity == 0 ? 512 : 2 * self->capacity;
    struct tree_row *rows =
        capacity <= TREE_PROCESSES_MAX ? realloc(self->rows, capacity * sizeof *rows) : NULL;
    if (rows == NULL) {
        return false;
    }
    self->rows = rows;
    self->capacity = capacity;
    return true;
}

static void add_process(struct tree *self, int64_t pid, int64_t page_bytes)
{
    struct process_stat stat;
    /* One that has ended since its name was read is left out. */
    if (process_stat(pid, &stat) && grow(self)) {
        self->rows[self->count++] = (struct tree_row){.pid = pid,
                                                      .parent = stat.parent,
                                                      .session = stat.session,
                                                      .pm2 = stat.pm2,
                                                      .state = stat.state,
                                                      .start_ticks = stat.start_ticks,
                                                      .cpu_ticks = stat.cpu_ticks,
                                                      .memory_bytes = stat.pages * page_bytes};
    }
}

static int compare(const void *a, const void *b)
{
    int64_t left = ((const struct tree_row *)a)->pid;
    int64_t right = ((const struct tree_row *)b)->pid;
    return (left > right) - (left < right);
}

static int compare_key(const void *key, const void *row)
{
    int64_t left = *(const int64_t *)key;
    int64_t right = ((const struct tree_row *)row)->pid;
    return (left > right) - (left < right);
}

const struct tree_row *tree_find(const struct tree *self, int64_t pid)
{
    return self->count == 0
               ? NULL
               : bsearch(&pid, self->rows, self->count, sizeof *self->rows, compare_key);
}

static void link_children(struct tree *self)
{
    for (size_t i = 0; i < self->count; i++) {
        const struct tree_row *parent = tree_find(self, self->rows[i].parent);
        if (parent != NULL && parent != &self->rows[i]) {
            size_t at = (size_t)(parent - self->rows);
            self->rows[i].sibling = self->rows[at].child;
            self->rows[at].child = i + 1;
        }
    }
}

bool tree_take(struct tree *self)
{
    self->count = 0;
    DIR *folder = opendir("/proc");
    if (folder == NULL) {
        return false;
    }
    int64_t page_bytes = sysconf(_SC_PAGESIZE);
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') {
            add_process(self, strtoll(entry->d_name, NULL, 10), page_bytes);
        }
    }
    (void)closedir(folder);
    if (self->count > 0) {
        qsort(self->rows, self->count, sizeof *self->rows, compare);
    }
    link_children(self);
    return self->count > 0;
}

/* Depth first, without a stack: down to a child, else on to a sibling, else up. The rows are of one
 * pass and not of one instant, so a number that was used again might close a ring: no more steps
 * than that are taken. */
void tree_add(const struct tree *self, int64_t pid, struct tree_usage *ret)
{
    const struct tree_row *root = tree_find(self, pid);
    const struct tree_row *row = root;
    for (size_t steps = 0; row != NULL && steps <= 2 * self->count; steps++) {
        ret->memory_bytes += row->memory_bytes;
        ret->cpu_ticks += row->cpu_ticks;
        ret->processes++;
        if (row->child != 0) {
            row = &self->rows[row->child - 1];
            continue;
        }
        while (row != NULL && row != root && row->sibling == 0) {
            row = tree_find(self, row->parent);
        }
        row = row == NULL || row == root ? NULL : &self->rows[row->sibling - 1];
    }
}
