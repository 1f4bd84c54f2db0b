/* The node's half of MANAGER_SCHEDULE_WANTED: puts the list of one manager's schedules together
 * from messages that come in any order, several times, or not at all, and says when it is whole.
 *
 * Only a whole list tells which schedules are configured no more. A message of another edition
 * or term begins a new list; one of an earlier term is refused. Pure; one per manager. */
#ifndef UNDERSTUDY_MANAGERS_COMMON_SCHEDULE_LIST_H
#define UNDERSTUDY_MANAGERS_COMMON_SCHEDULE_LIST_H

#include "managers/common/protocol_run.h"

struct schedule_list {
    uint64_t term;
    uint64_t edition;
    uint32_t total;
    uint32_t count; /* positions that are known */
    bool begun;
    char ids[MANAGER_SCHEDULES_MAX][MANAGER_SCHEDULE_ID_SIZE]; /* by position; "": not known yet */
};

/* Zeroed is the empty start. Returns whether the message belongs to the newest list (and its
 * schedule is to be looked at). */
bool schedule_list_take(struct schedule_list *self, const struct manager_schedule_wanted *wanted);

/* All positions of the list are known. */
bool schedule_list_whole(const struct schedule_list *self);

/* The list is whole and does not name it. */
bool schedule_list_lacks(const struct schedule_list *self, const char *id);

#endif
