/* The engine of scheduled runs, for the managers that have schedules: the run manager, whose
 * schedules are commands, and the PM2 manager, whose cron backups are scripts.
 *
 * As active manager of the acting leader it says which schedules are configured; on every node it
 * starts what the node is granted (duties "MANAGER/NAME@SLOT"), under the guard, keeps the output
 * within a bound, and tells how each attempt ended until the cluster knows. One thread, the
 * manager's loop (managers/common/runtime.h): every call comes from there. */
#ifndef UNDERSTUDY_MANAGERS_RUN_ENGINE_H
#define UNDERSTUDY_MANAGERS_RUN_ENGINE_H

#include "managers/common/runtime.h"
#include "managers/run/schedules.h"

#define RUN_TICK_MS 100 /* between two calls of run_tick */

struct run;

/* `source` and `runtime` outlive it. ERR_NOMEM. */
int run_create(struct runtime *runtime, const struct schedules_source *source, struct run **ret,
               struct err *err);
/* The runs go on, and what was read of their output is kept: their grants and guards are the
 * node's business, and the next life of this manager takes them up again. */
void run_destroy(struct run **self_p);

/* ---- what the node says ---- */

/* The first time it makes its folder in configure->data_dir and takes up what an earlier life left;
 * nothing below is called before that. ERR_INVALID, ERR_IO, ERR_NOMEM: what was before stays. */
int run_configure(struct run *self, const struct manager_configure *configure, struct err *err);
void run_role(struct run *self, bool active);
/* The duty is an attempt of a run of this manager, whether its schedule is configured or not. */
bool run_owns(const struct run *self, const char *duty);
void run_grant(struct run *self, const struct manager_grant *grant);
void run_revoke(struct run *self, const struct manager_revoke *revoke);
void run_known(struct run *self, const struct manager_run *known);
/* `run logs` and `run outputs`. False: it is another verb, and nothing was answered. */
bool run_command(struct run *self, const struct manager_command *command);

void run_tick(struct run *self);
/* Measure the processes of each run that has a memory limit, and end those that are over it twice
 * in a row. tree_memory: bytes of the tree of a guard; -1: not known. */
void run_sample(struct run *self, int64_t (*tree_memory)(int64_t guard));

/* ---- what goes on ---- */

const struct schedules *run_schedules(const struct run *self);
/* Nodes that row `index` of them rather does not run on; told with the next tick. */
void run_avoid(struct run *self, size_t index, const char (*nodes)[NAME_SIZE], size_t count);
/* Commands can be started on this node. */
bool run_can_run(const struct run *self);
size_t run_under_way(const struct run *self);
/* Something has changed since this was asked last: time to tell. */
bool run_has_news(struct run *self);
/* The attempts that are under way here or not known to have ended, `max` at most: [{duty, schedule,
 * assignment, state, ...}]. Durations only, no times. *ret_left_out counts the others. */
json_t *run_rows(const struct run *self, int64_t now_ms, size_t max, size_t *ret_left_out);

#endif
