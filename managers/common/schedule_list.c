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
    if (wanted->total > 0 && self->ids[wanted->position][0] == '\0') {
        memcpy(self->ids[wanted->position], wanted->id, sizeof wanted->id);
        self->count++;
    }
    return true;
}

bool schedule_list_whole(const struct schedule_list *self)
{
    return self->begun && self->count == self->total;
}

bool schedule_list_lacks(const struct schedule_list *self, const char *id)
{
    if (!schedule_list_whole(self)) {
        return false;
    }
    for (uint32_t i = 0; i < self->total; i++) {
        if (strcmp(self->ids[i], id) == 0) {
            return false;
        }
    }
    return true;
}
