/* A storage in memory that behaves as the real one promises (node/storage: one SQLite transaction
 * with a full sync for each call): what a call did is there after any crash, and a call did all of
 * its work or none. It outlives the process that uses it.
 *
 * A call takes the time that the disk (disk.h) takes, half of it before its effect, half after. A
 * crash can be armed for the n-th call from now; it comes before the call's effect, after it, or as
 * an error without effect. The contract of consensus.h is checked on the way, and what is handed
 * out at each load is compared with what was promised (promise.h).
 *
 * Two ways to break the promise are there to show that the comparison sees it: a crash within a
 * write, as in a store without transactions, and writes that return before they are durable. */
#ifndef UNDERSTUDY_TESTS_SIM_STORAGE_H
#define UNDERSTUDY_TESTS_SIM_STORAGE_H

#include "consensus/consensus.h"

#include <stdbool.h>
#include <stdint.h>

struct storage;
struct node;

enum storage_fault {
    STORAGE_NO_FAULT,
    STORAGE_CRASH_BEFORE,
    STORAGE_CRASH_AFTER,
    STORAGE_CRASH_WITHIN, /* part of the write is there */
    STORAGE_ERROR,
};

/* NULL when out of memory. `node` is who crashes. */
struct storage *storage_create(struct node *node);
void storage_destroy(struct storage **self_p);

/* The interface for consensus_config.storage. */
struct consensus_storage storage_interface(struct storage *self);

/* The process begins as raft id `id`, which the storage keeps from its first start on: the new
 * incarnation. */
uint64_t storage_start(struct storage *self, uint64_t id);

/* Break the promise of durability for entries and snapshots: a crash loses what was written after
 * the last flush. For runs in which completions come late, each after a flush. */
void storage_be_late(struct storage *self);
void storage_flush(struct storage *self);
void storage_process_ended(struct storage *self);

/* The `calls`-th call from now (at least 1) fails as `fault` says; once. */
void storage_arm(struct storage *self, enum storage_fault fault, int calls);

/* A call failed since the last storage_arm(): the engine has reason to end. */
bool storage_failed(const struct storage *self);

uint64_t storage_term(const struct storage *self);
uint64_t storage_vote(const struct storage *self);
uint64_t storage_last_index(const struct storage *self);
/* Term of the entry at `index`; 0 when it is not stored. */
uint64_t storage_term_at(const struct storage *self, uint64_t index);

#endif
