#include "consensus/schedule_parts.h"

#include "node/base/invariant.h"

#include <assert.h>

static_assert(SCHEDULE_STEP_SLOTS_MAX > SCHEDULE_MISFIRE_CAP_MAX,
              "a walk must reach behind what run_all may keep, or catching up would stand still");

/* The case, with what the rule asks of it once. */
struct bench {
    const struct schedule_case *is;
    const struct schedule_definition *definition;
    int64_t now_s;
    int64_t limit_s;
    enum run_reason closed; /* why nothing may run now; RUN_DUE: it may */
    size_t late;            /* slots, from the first on */
    size_t kept;            /* the first slot that may run */
    size_t judged;          /* slots of which enough is known */
    size_t busy;            /* runs under way, those of this command included */
    size_t room;
};

struct verdict {
    enum run_outcome outcome;
    enum run_reason reason;
    enum schedule_wait wait;
};

static enum run_reason closed_reason(const struct schedule_case *is)
{
    char manager[SCHEDULE_ID_SIZE];
    size_t length = 0;
    while (is->row->id[length] != '/' && is->row->id[length] != '\0') {
        manager[length] = is->row->id[length];
        length++;
    }
    manager[length] = '\0';
    enum run_reason reason =
        is->now->gate == NULL ? RUN_DUE : is->now->gate(is->now->context, manager);
    if (reason == RUN_DUE && is->now->maintenance) {
        return RUN_MAINTENANCE;
    }
    return reason;
}

static size_t count_late(const struct bench *self)
{
    size_t low = 0;
    size_t high = self->is->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (self->now_s - self->is->slots[middle] > self->limit_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* How many of the newest late slots the policy keeps; those on time are counted already. */
static size_t count_kept(const struct bench *self)
{
    switch (self->definition->misfire) {
    case SCHEDULE_MISFIRE_RUN_ONCE:
        return self->late < self->is->count ? 0 : 1;
    case SCHEDULE_MISFIRE_RUN_ALL:
        return self->definition->misfire_cap < SCHEDULE_MISFIRE_CAP_MAX
                   ? self->definition->misfire_cap
                   : SCHEDULE_MISFIRE_CAP_MAX;
    case SCHEDULE_MISFIRE_SKIP:
        break;
    }
    return 0;
}

static bool too_old(const struct bench *self, size_t slot)
{
    return self->definition->misfire == SCHEDULE_MISFIRE_RUN_ALL &&
           self->now_s - self->is->slots[slot] > self->definition->misfire_window_s;
}

static void look(struct bench *self)
{
    size_t keep = count_kept(self);
    self->kept = self->late > keep ? self->late - keep : 0;
    while (self->kept < self->late && too_old(self, self->kept)) {
        self->kept++;
    }
    self->judged = self->is->count;
    if (!self->is->complete && self->late == self->is->count) {
        /* More slots follow, perhaps all on time: only what has `keep` late ones behind it is known
         * to be none of the newest. */
        self->kept = self->late;
        self->judged = self->late - keep;
    }
}

static enum run_reason missed_reason(enum schedule_misfire misfire)
{
    switch (misfire) {
    case SCHEDULE_MISFIRE_RUN_ONCE:
        return RUN_SUPERSEDED;
    case SCHEDULE_MISFIRE_RUN_ALL:
        return RUN_OUT_OF_WINDOW;
    case SCHEDULE_MISFIRE_SKIP:
        break;
    }
    return RUN_MISFIRE_SKIP;
}

static struct verdict skip(enum run_reason reason)
{
    return (struct verdict){RUN_SKIPPED, reason, SCHEDULE_NO_WAIT};
}

static struct verdict wait_for(enum schedule_wait wait)
{
    return (struct verdict){RUN_UNDER_WAY, RUN_DUE, wait};
}

static struct verdict judge(const struct bench *self, size_t slot)
{
    const struct schedule_case *is = self->is;
    enum schedule_overlap overlap = self->definition->overlap;
    bool late = slot < self->late;
    bool in_turn = late && self->definition->misfire == SCHEDULE_MISFIRE_RUN_ALL;
    bool newest = slot + 1 == is->count && is->complete;
    if (slot < self->kept) {
        return (struct verdict){RUN_MISSED, missed_reason(self->definition->misfire),
                                SCHEDULE_NO_WAIT};
    }
    if (self->closed != RUN_DUE) {
        return skip(self->closed);
    }
    if (self->busy > 0 && in_turn && overlap != SCHEDULE_OVERLAP_ALLOW) {
        return wait_for(SCHEDULE_WAITS_FOR_TURN);
    }
    if (overlap == SCHEDULE_OVERLAP_REPLACE && !in_turn && !newest) {
        return skip(RUN_REPLACED);
    }
    if (self->busy > 0 && overlap == SCHEDULE_OVERLAP_FORBID) {
        return skip(RUN_OVERLAP);
    }
    if (self->room == 0) {
        bool last_moment = !late && self->now_s - is->slots[slot] >= self->limit_s;
        return last_moment ? skip(RUN_SHED) : wait_for(SCHEDULE_WAITS_FOR_ROOM);
    }
    return (struct verdict){RUN_UNDER_WAY, late ? RUN_LATE : RUN_DUE, SCHEDULE_NO_WAIT};
}

/* False: the command is full. */
static bool append(struct command_slots *ret, int64_t slot_s, const struct verdict *verdict)
{
    struct command_slot *last = ret->count == 0 ? NULL : &ret->items[ret->count - 1];
    if (last != NULL && verdict->outcome != RUN_UNDER_WAY && last->verdict == verdict->outcome &&
        last->reason == verdict->reason) {
        last->last_s = slot_s;
        last->count++;
        return true;
    }
    if (ret->count == SLOTS_PER_COMMAND_MAX) {
        return false;
    }
    ret->items[ret->count++] = (struct command_slot){
        slot_s, slot_s, 1, verdict->outcome, verdict->reason,
    };
    return true;
}

void schedule_decide(const struct schedule_case *is, struct command_slots *ret,
                     struct schedule_answer *ret_answer)
{
    invariant(is->count > 0);
    struct bench bench = {.is = is,
                          .definition = &is->row->is,
                          .now_s = schedule_seconds(is->now->wall_ms),
                          .limit_s = schedule_limit_s(&is->row->is),
                          .closed = closed_reason(is),
                          .busy = is->row->under_way,
                          .room = is->room};
    bench.late = count_late(&bench);
    look(&bench);
    *ret_answer = (struct schedule_answer){.wait = SCHEDULE_NO_WAIT};
    ret->revision = is->row->revision;
    ret->after_s = is->row->decided_s;
    ret->decided_s = is->row->decided_s;
    ret->count = 0;
    for (size_t i = 0; i < bench.judged; i++) {
        struct verdict verdict = judge(&bench, i);
        if (verdict.wait != SCHEDULE_NO_WAIT) {
            ret_answer->wait = verdict.wait;
            return;
        }
        if (!append(ret, is->slots[i], &verdict)) {
            return;
        }
        bool runs = verdict.outcome == RUN_UNDER_WAY;
        bench.busy += runs ? 1 : 0;
        bench.room -= runs ? 1 : 0;
        ret_answer->runs += runs ? 1 : 0;
        ret_answer->decided = i + 1;
        ret->decided_s = is->slots[i];
    }
}
