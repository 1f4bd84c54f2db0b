/* The active manager of the acting leader says which schedules are configured: the whole list at
 * once after a change, then again and again, a few messages with each tick. */
#include "managers/run/run.h"

void tell_begin(struct run *self)
{
    self->tell_next = 0;
    self->tell_ms = 0;
}

void tell_step(struct run *self, int64_t now_ms)
{
    /* An empty list is one message, too. */
    size_t total = self->schedules->count > 0 ? self->schedules->count : 1;
    if (!runtime_may_act(self->runtime)) {
        tell_begin(self);
        return;
    }
    if (self->tell_next >= total && now_ms - self->tell_ms >= RUN_TELL_MS) {
        self->tell_next = 0;
    }
    if (self->tell_next == 0) {
        self->tell_ms = now_ms;
    }
    for (int i = 0; i < RUN_TELL_PER_TICK && self->tell_next < total; i++) {
        struct manager_schedule_wanted wanted;
        schedules_wanted(self->schedules, self->tell_next++, &wanted);
        (void)runtime_schedule_wanted(self->runtime, &wanted);
    }
}
