/* Who was asked, who has answered, and when to stop waiting. Pure: the time is handed in.
 *
 * A node answers once; what it says after that, or after it was given up, does not count. */
#ifndef UNDERSTUDY_NODE_DAEMON_GATHER_H
#define UNDERSTUDY_NODE_DAEMON_GATHER_H

#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gather_state {
    GATHER_WAITING,
    GATHER_ANSWERED,
    GATHER_SILENT,      /* asked, and no answer came in time: what it did is not known */
    GATHER_UNREACHABLE, /* never asked: it is dead, or nothing could be sent */
};

struct gather_row {
    char node[NAME_SIZE];
    enum gather_state state;
};

/* Zeroed is one that is over. */
struct gather {
    size_t count;
    struct gather_row rows[NODES_MAX];
    int64_t deadline_ms;
};

void gather_begin(struct gather *self, int64_t deadline_ms);

/* Another node; false when there are NODES_MAX, or it is there already. */
bool gather_add(struct gather *self, const char *node, bool reachable);

/* An answer came. Returns the node's row, or SIZE_MAX: it is not waited for. */
size_t gather_answer(struct gather *self, const char *node);

/* What was asked could not be sent after all. */
void gather_not_sent(struct gather *self, const char *node);

/* A node died before it answered: it is not waited for. */
void gather_lost(struct gather *self, size_t row);

/* True when nothing is waited for any more; from the deadline on that is so. */
bool gather_is_over(struct gather *self, int64_t now_ms);

#endif
