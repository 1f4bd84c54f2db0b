#include "node/daemon/gather.h"

#include <stdio.h>
#include <string.h>

void gather_begin(struct gather *self, int64_t deadline_ms)
{
    *self = (struct gather){.deadline_ms = deadline_ms};
}

static size_t find(const struct gather *self, const char *node)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->rows[i].node, node) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

bool gather_add(struct gather *self, const char *node, bool reachable)
{
    if (self->count == NODES_MAX || find(self, node) != SIZE_MAX) {
        return false;
    }
    struct gather_row *row = &self->rows[self->count++];
    row->state = reachable ? GATHER_WAITING : GATHER_UNREACHABLE;
    (void)snprintf(row->node, sizeof row->node, "%s", node);
    return true;
}

size_t gather_answer(struct gather *self, const char *node)
{
    size_t at = find(self, node);
    if (at == SIZE_MAX || self->rows[at].state != GATHER_WAITING) {
        return SIZE_MAX;
    }
    self->rows[at].state = GATHER_ANSWERED;
    return at;
}

void gather_not_sent(struct gather *self, const char *node)
{
    size_t at = find(self, node);
    if (at != SIZE_MAX && self->rows[at].state == GATHER_WAITING) {
        self->rows[at].state = GATHER_UNREACHABLE;
    }
}

void gather_lost(struct gather *self, size_t row)
{
    if (row < self->count && self->rows[row].state == GATHER_WAITING) {
        self->rows[row].state = GATHER_SILENT;
    }
}

bool gather_is_over(struct gather *self, int64_t now_ms)
{
    bool over = true;
    for (size_t i = 0; i < self->count; i++) {
        if (self->rows[i].state == GATHER_WAITING && now_ms >= self->deadline_ms) {
            self->rows[i].state = GATHER_SILENT;
        }
        over = over && self->rows[i].state != GATHER_WAITING;
    }
    return over;
}
