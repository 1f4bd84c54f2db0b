/* What the acting leader decides about the slots of all schedules.
 *
 * Slots are decided from the replicated state alone: each schedule's row says up to which instant
 * every slot is decided; from there to now the leader walks the calendar and proposes what becomes
 * of each slot (COMMAND_SLOTS_DECIDE, compare and set). A new leader goes on where the last one
 * ended, so no slot is left out and none comes twice, whoever led and however often it is said.
 *
 * The rule, for the slots after decided_s up to now, oldest first. It asks for nothing but the row,
 * the runs under way and the present instant, so it is the same whoever applies it, and wherever
 * the walk is cut into commands:
 * - A slot is on time as long as its age is at most start_deadline_s (at least SCHEDULE_GRACE_S);
 *   older ones are late. Of the late ones the misfire policy keeps: `skip` none; `run_once` the
 *   newest, unless a slot on time follows it (which runs instead); `run_all` the newest misfire_cap
 *   that are no older than misfire_window_s. The others are missed.
 * - What is on time or kept is skipped when its manager is paused or only watches, or in
 *   maintenance.
 * - While a run of the schedule is under way, overlap `forbid` skips the slot; with `replace` the
 *   run starts and the one under way is cancelled (runs.h), and of several slots on time only the
 *   newest runs. Slots that run_all keeps wait instead, until the run before them has ended, unless
 *   overlap is `allow`.
 * - Without room it waits: on time until its start deadline (then it is shed), kept until a newer
 *   slot takes its place. Room goes to the higher priority, then to the older slot.
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
#define SCHEDULE_STEP_SLOTS_MAX 2000  /* walked for one schedule; a step ends at so many in all */
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

/* Call after each applied command about a schedule or one of its runs with the schedule's id, and
 * with NULL after a restore or when this node begins to act: what is known of it (of all) is read
 * again from the state, and what was proposed for all is forgotten. 0, ERR_NOMEM. */
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

/* Commands to propose now, `max` at most and one for a schedule; type, payload, reason and why are
 * filled, origin and the like are the caller's. Returns how many. For a schedule that has one under
 * way there is none until its row has moved, or for SCHEDULE_REPEAT_MS. Call it when
 * scheduler_next_wall_ms() has come, and when runs have ended or room has grown. */
size_t scheduler_step(struct scheduler *self, const struct state *state,
                      const struct scheduler_now *now, struct command *ret, size_t max);

/* Wall time at which there is something to decide, or to be proposed again; INT64_MAX: there is
 * none. Lies in the past while slots wait, be it for room or for the next step. */
int64_t scheduler_next_wall_ms(const struct scheduler *self);

/* Schedules whose slots this node cannot decide, as it cannot read their expression or zone. */
size_t scheduler_blind_count(const struct scheduler *self);

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
