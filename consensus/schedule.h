/* What the acting leader decides about the slots of all schedules.
 *
 * Slots are decided from the replicated state alone: each schedule's row says up to which instant
 * every slot is decided; from there to now the leader walks the calendar and proposes what becomes
 * of each slot (COMMAND_SLOTS_DECIDE, compare and set). A new leader goes on where the last one
 * ended, so no slot is left out and none comes twice, whoever led and however often it is said.
 *
 * A slot is on time when it is found at most start_deadline_s (at least SCHEDULE_GRACE_S) after its
 * instant; what is older goes by the schedule's misfire policy. On time it runs, unless its manager
 * is paused or only watches, maintenance is on, a run is under way that it must not overlap, or
 * there is no room.
 *
 * Pure: the wall clock is handed in, and whether it is to be trusted; with a clock that is not,
 * nothing is decided (the slots are found later). Costs what is due: calendars are parsed once per
 * definition, and the next instants wait in a heap. */
#ifndef UNDERSTUDY_CONSENSUS_SCHEDULE_H
#define UNDERSTUDY_CONSENSUS_SCHEDULE_H

#include "consensus/calendar.h"
#include "consensus/state.h"
#include "consensus/state_work.h"

#define SCHEDULE_GRACE_S 1
#define SCHEDULE_STEP_COMMANDS_MAX 64 /* of one step; the rest waits for the next */
#define SCHEDULE_REPEAT_MS 1000       /* until a proposal without effect is made again */

struct scheduler;

struct scheduler_config {
    /* The zone of that name, kept by the caller as long as the scheduler lives; NULL: there is
     * none here, and the schedule's slots are not decided by this node. */
    const struct zone *(*zone)(void *context, const char *name);
    void *context;
    struct schedule_switches {
        bool decided_is_replicated; /* a new leader goes on where the last one ended */
    } off;
};

/* NULL when out of memory. */
struct scheduler *scheduler_create(const struct scheduler_config *config);
void scheduler_destroy(struct scheduler **self_p);

/* Call after each applied command whose target is a schedule, and with NULL after a restore or when
 * this node begins to act: what is known of it (of all) is read again from the state.
 * 0, ERR_NOMEM. */
int scheduler_sync(struct scheduler *self, const struct state *state, const char *schedule);

/* How things stand for deciding. */
struct scheduler_now {
    int64_t now_ms;  /* of the node's clock, for repeats */
    int64_t wall_ms; /* trusted, or the step does nothing */
    bool wall_trusted;
    bool acting;
    bool maintenance;
    size_t room; /* runs that may begin now; by priority, then by slot */
    /* May the manager act? RUN_DUE: yes; RUN_PAUSED, RUN_SHADOW: its slots are skipped so. */
    enum run_reason (*gate)(void *context, const char *manager);
    void *context;
};

/* Commands to propose now, `max` at most; type, payload, reason and why are filled, origin and the
 * like are the caller's. Returns how many. */
size_t scheduler_step(struct scheduler *self, const struct state *state,
                      const struct scheduler_now *now, struct command *ret, size_t max);

/* Wall time of the next slot that is not decided yet; INT64_MAX: there is none. May lie in the
 * past, when slots wait. */
int64_t scheduler_next_wall_ms(const struct scheduler *self);

/* The next `max` slots after `after_s` as the scheduler sees them (`schedule next`). ERR_NOTFOUND:
 * no such schedule; ERR_INVALID: its expression or zone is not readable here. */
int scheduler_preview(struct scheduler *self, const struct state *state, const char *schedule,
                      int64_t after_s, int64_t *ret, size_t max, size_t *ret_count,
                      struct err *err);

/* Check a definition as a whole: expression, zone, bounds, texts that end. ERR_INVALID names the
 * field and a way out. */
int schedule_check(const struct scheduler_config *config, const struct schedule_definition *is,
                   struct err *err);

#endif
