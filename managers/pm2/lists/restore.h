/* Preparing kept entries again: those that a home's list lacks, in their order, one at a time, each
 * on a settled list, never twice. Entries that are there are left alone, running or not; an entry
 * that was kept as stopped is registered as stopped. Guarded primaries are left to their grants.
 *
 * A process of the entry that outlived its daemon (revive/orphans.h) is ended right before, so that
 * nothing runs twice and the gap is short. An entry that could not run (its program or folder is
 * gone) is not prepared, and what runs of it is left alone: PM2 would show a ghost.
 *
 * This is an effect: who calls has made certain that it is a person's or the acting leader's word.
 * A pause, or shadow, hinders and ends one that is not a person's. */
#ifndef UNDERSTUDY_MANAGERS_PM2_RESTORE_H
#define UNDERSTUDY_MANAGERS_PM2_RESTORE_H

#include "managers/pm2/pm2.h"

/* Called once. `report`: {prepared: [names], present: N, failed: [{name, why}]}, borrowed; `why` is
 * empty when all went well, else the first reason. */
typedef void restore_done_fn(void *context, const json_t *report, const char *why);

/* Begin. `rows` (saved.h, see lists_rows) is borrowed; `name`: only entries of that name, NULL:
 * all. `by_hand`: a person's word.
 * ERR_BUSY: another one is under way in this home; ERR_CLOSED: its daemon is not up;
 * ERR_DENIED: paused or in shadow; ERR_NOTFOUND: no such name; ERR_NOMEM. */
int restore_begin(struct home *home, const json_t *rows, const char *name, bool by_hand,
                  restore_done_fn *done, void *context, struct err *err);
bool restore_is_busy(const struct home *home);

/* A list came (it is in home->entries too). */
void restore_take_list(struct home *home, const json_t *list);
/* With each tick. */
void restore_step(struct home *home, int64_t now_ms);
/* The home is being closed: ends without calling `done`. */
void restore_drop(struct home *home);

#endif
