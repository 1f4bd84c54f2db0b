#include "node/daemon/wall.h"

#include <stdlib.h>

static struct wall_peer *slot_of(struct wall *self, uint64_t id)
{
    struct wall_peer *oldest = &self->peers[0];
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (self->peers[i].id == id) {
            return &self->peers[i];
        }
        bool older = self->peers[i].id == 0 || self->peers[i].told_ms < oldest->told_ms;
        if (oldest->id != 0 && older) {
            oldest = &self->peers[i];
        }
    }
    return oldest;
}

void wall_told(struct wall *self, int64_t now_ms, uint64_t id, int64_t wall_ms)
{
    *slot_of(self, id) =
        (struct wall_peer){.id = id, .offset_ms = wall_ms - now_ms, .told_ms = now_ms};
}

static int compare(const void *a, const void *b)
{
    const int64_t *left = a;
    const int64_t *right = b;
    return (*left > *right) - (*left < *right);
}

static int64_t distance(int64_t a, int64_t b)
{
    return a > b ? a - b : b - a;
}

/* The offsets of this node and of those that told theirs lately, sorted; returns how many. */
static size_t collect(const struct wall *self, int64_t now_ms, int64_t ret[NODES_MAX + 1])
{
    size_t count = 0;
    ret[count++] = self->offset_ms;
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct wall_peer *peer = &self->peers[i];
        if (peer->id != 0 && now_ms - peer->told_ms <= WALL_FRESH_MS) {
            ret[count++] = peer->offset_ms;
        }
    }
    qsort(ret, count, sizeof ret[0], compare);
    return count;
}

/* As far as the own clock tells of itself. */
static enum wall_verdict alone(const struct wall *self, int64_t now_ms)
{
    bool settled = self->jumped_ms == 0 || now_ms - self->jumped_ms >= WALL_SETTLE_MS;
    return settled ? WALL_TRUSTED : WALL_JUMPED;
}

static enum wall_verdict judge(struct wall *self, int64_t now_ms, size_t others)
{
    int64_t offsets[NODES_MAX + 1];
    size_t count = collect(self, now_ms, offsets);
    if (count == 1) {
        return others == 0 ? alone(self, now_ms)
                           : (self->verdict == WALL_TRUSTED && self->jumped_ms == 0 ? WALL_TRUSTED
                                                                                    : WALL_UNKNOWN);
    }
    if (count == 2) {
        if (distance(offsets[0], offsets[1]) <= WALL_APART_MS) {
            return WALL_TRUSTED;
        }
        return self->verdict == WALL_TRUSTED && self->jumped_ms == 0 ? WALL_TRUSTED : WALL_APART;
    }
    /* Of an even number either of the middle ones may stand for all. */
    bool near = distance(self->offset_ms, offsets[(count - 1) / 2]) <= WALL_APART_MS ||
                distance(self->offset_ms, offsets[count / 2]) <= WALL_APART_MS;
    return near ? WALL_TRUSTED : WALL_APART;
}

enum wall_verdict wall_look(struct wall *self, int64_t now_ms, int64_t wall_ms, size_t others)
{
    int64_t offset_ms = wall_ms - now_ms;
    if (!self->looked) {
        self->looked = true;
        self->verdict = others == 0 ? WALL_TRUSTED : WALL_UNKNOWN;
    } else if (distance(offset_ms, self->offset_ms) > WALL_JUMP_MS) {
        self->jumped_ms = now_ms;
    }
    self->offset_ms = offset_ms;
    self->verdict = judge(self, now_ms, others);
    if (self->verdict == WALL_TRUSTED) {
        self->jumped_ms = 0;
    }
    return self->verdict;
}

const char *wall_verdict_name(enum wall_verdict verdict)
{
    switch (verdict) {
    case WALL_TRUSTED:
        return "trusted";
    case WALL_UNKNOWN:
        return "unknown";
    case WALL_JUMPED:
        return "jumped";
    case WALL_APART:
        return "apart";
    }
    return "unknown";
}
