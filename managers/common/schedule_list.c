#include "managers/common/schedule_list.h"

#include <string.h>

static void begin(struct schedule_list *self, const struct manager_schedule_wanted *wanted)
{
    memset(self, 0, sizeof *self);
    self->begun = true;
    self->term = wanted->term;
    self->edition = wanted->edition;
    self->total = wanted->total;
}

static bool is_known(const struct schedule_list *self, uint32_t position)
{
    return ((unsigned)self->known[position / 8] >> position % 8 & 1U) != 0;
}

bool schedule_list_take(struct schedule_list *self, const struct manager_schedule_wanted *wanted)
{
    if (self->begun && wanted->term < self->term) {
        return false;
    }
    if (wanted->total > MANAGER_SCHEDULES_MAX ||
        (wanted->total > 0 && (wanted->position >= wanted->total || wanted->id[0] == '\0'))) {
        return false;
    }
    if (!self->begun || wanted->term != self->term || wanted->edition != self->edition ||
        wanted->total != self->total) {
        begin(self, wanted);
    }
    if (wanted->total > 0 && !is_known(self, wanted->position)) {
        self->known[wanted->position / 8] |= (uint8_t)(1u << wanted->position % 8);
        self->count++;
    }
    return true;
}

bool schedule_list_whole(const struct schedule_list *self)
{
    return self->begun && self->count == self->total;
}

bool schedule_list_lacks(const struct schedule_list *self, uint64_t term, uint64_t edition)
{
    return schedule_list_whole(self) && (term != self->term || edition != self->edition);
}
