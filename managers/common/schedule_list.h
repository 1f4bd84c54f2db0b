/* The node's half of MANAGER_SCHEDULE_WANTED: follows the list of one manager's schedules through
 * messages that come in any order, several times, or not at all, and says when it is whole.
 *
 * Only a whole list tells which schedules are configured no more: those that were not said under
 * its term and edition, which whoever keeps the schedules writes down for each. A message of
 * another edition or term begins a new list; one of an earlier term is refused. Pure; one per
 * manager, 2 KiB whatever is in it. */
#ifndef UNDERSTUDY_MANAGERS_COMMON_SCHEDULE_LIST_H
#define UNDERSTUDY_MANAGERS_COMMON_SCHEDULE_LIST_H

#include "managers/common/protocol_run.h"

struct schedule_list {
    uint64_t term;
    uint64_t edition;
    uint32_t total;
    uint32_t count; /* positions that are known */
    bool begun;
    uint8_t known[(MANAGER_SCHEDULES_MAX + 7) / 8]; /* a bit each */
};

/* Zeroed is the empty start. Returns whether the message belongs to the newest list (and its
 * schedule is to be looked at). */
bool schedule_list_take(struct schedule_list *self, const struct manager_schedule_wanted *wanted);

/* All positions of the list are known. */
bool schedule_list_whole(const struct schedule_list *self);

/* The list is whole, and a schedule that was last said under that term and edition is not in it.
 * Term 0: it was never said. */
bool schedule_list_lacks(const struct schedule_list *self, uint64_t term, uint64_t edition);

#endif
