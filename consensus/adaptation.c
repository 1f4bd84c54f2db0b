#include "consensus/adaptation.h"

#include "node/base/invariant.h"

#define TOLD_SLOTS 2

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- windows ---- */

static void turn_to(struct adaptation_window *self, int64_t now_ms)
{
    int64_t passed = (now_ms - self->began_ms) / ADAPTATION_SLOT_MS;
    if (passed <= 0) {
        return;
    }
    self->began_ms += passed * ADAPTATION_SLOT_MS;
    for (int64_t i = ADAPTATION_SLOTS - 1; i >= 0; i--) {
        self->slots[i] = i >= passed ? self->slots[i - passed] : 0;
    }
}

static void note(struct adaptation_window *self, int64_t now_ms, int64_t value)
{
    turn_to(self, now_ms);
    self->slots[0] = most(self->slots[0], value);
}

static int64_t worst(struct adaptation_window *self, int64_t now_ms, int slots)
{
    turn_to(self, now_ms);
    int64_t found = 0;
    for (int i = 0; i < slots; i++) {
        found = most(found, self->slots[i]);
    }
    return found;
}

/* ---- what was seen ---- */

void adaptation_init(struct adaptation *self, int64_t election_timeout_ms, int64_t heartbeat_ms)
{
    invariant(election_timeout_ms > 0);
    invariant(heartbeat_ms > 0);
    *self = (struct adaptation){.configured_ms = election_timeout_ms, .heartbeat_ms = heartbeat_ms};
}

/* Only what lengthens the timeout is kept. */
static void want(struct adaptation *self, int64_t now_ms, int64_t timeout_ms, int64_t bound_ms)
{
    int64_t bounded = least(timeout_ms, most(bound_ms, self->configured_ms));
    if (bounded > self->configured_ms) {
        note(&self->wanted, now_ms, bounded);
    }
}

static int64_t bounded_stall(int64_t stall_ms)
{
    return least(most(stall_ms, 0), ADAPTATION_MAX_MS);
}

void adaptation_told(struct adaptation *self, int64_t now_ms, int64_t stall_ms)
{
    want(self, now_ms, 2 * bounded_stall(stall_ms) + self->heartbeat_ms, ADAPTATION_MAX_MS);
}

void adaptation_stall(struct adaptation *self, int64_t now_ms, int64_t stall_ms)
{
    note(&self->stalls, now_ms, bounded_stall(stall_ms));
    adaptation_told(self, now_ms, stall_ms);
}

void adaptation_gap(struct adaptation *self, int64_t now_ms, int64_t gap_ms)
{
    int64_t gap = least(most(gap_ms, 0), ADAPTATION_GAP_MAX_MS);
    want(self, now_ms, gap + gap / 4 + self->heartbeat_ms, ADAPTATION_GAP_MAX_MS);
}

/* ---- what follows ---- */

int64_t adaptation_own_stall_ms(struct adaptation *self, int64_t now_ms)
{
    return worst(&self->stalls, now_ms, TOLD_SLOTS);
}

int64_t adaptation_timeout_ms(struct adaptation *self, int64_t now_ms)
{
    return most(self->configured_ms, worst(&self->wanted, now_ms, ADAPTATION_SLOTS));
}
