/* Schedules and runs on the loop thread: the shell around consensus/schedule.h and runs.h.
 *
 * On the acting leader: takes its managers' wishes for schedules into the replicated state,
 * proposes what becomes of each slot when the wall clock may be trusted, and ends runs by what
 * their nodes report. On every node: keeps what its managers say of ended runs until the state
 * shows it. */
#ifndef UNDERSTUDY_NODE_DAEMON_SCHEDULE_H
#define UNDERSTUDY_NODE_DAEMON_SCHEDULE_H

#include "consensus/placement.h"
#include "consensus/runs.h"
#include "consensus/state.h"
#include "managers/common/protocol.h"

struct node;
struct schedules;

int schedule_create(struct node *self, struct err *err);
void schedule_destroy(struct schedules **self_p);

/* The mirror has changed by this command, or as a whole. */
void schedule_applied(struct node *self, const struct state_effect *effect);
void schedule_restored(struct node *self);

/* Do what is due; when the next is, in boot time. */
void schedule_run(struct node *self, int64_t now_ms);
int64_t schedule_deadline_ms(const struct node *self, int64_t now_ms);

/* One of the schedules that a manager of the acting leader is configured with. */
void schedule_wanted(struct node *self, const char *manager,
                     const struct manager_schedule_wanted *wanted);

/* A manager of this node says how a run's attempt has ended. */
void schedule_run_ended(struct node *self, const char *manager,
                        const struct manager_run_ended *ended);
/* Another node says so of its own: kind TRANSPORT_RUN_REPORT. False: malformed. */
bool schedule_receive(struct node *self, const char *from, const uint8_t *bytes, size_t length);
/* An end of this duty's run is on its way to the leader: that says that it is released, too. */
bool schedule_has_report(const struct node *self, const char *duty);

/* Where the run ret->id may be placed, from its schedule: only, avoid, labels. False: not now (its
 * schedule's manager has not said in this term, or it waits for its time). */
bool schedule_places(const struct node *self, struct placement_duty *ret);

bool schedule_is_run(const char *duty);
/* Digest of the schedule whose run this duty is; 0: it is none, or its schedule is gone. */
uint64_t schedule_digest(const struct node *self, const char *duty);

/* The next `max` slots of a schedule after `after_s`, as this node sees them. */
int schedule_preview(struct node *self, const char *id, int64_t after_s, int64_t *ret, size_t max,
                     size_t *ret_count, struct err *err);

#endif
