/* What a node's storage has promised: everything that a call which returned well has written, kept
 * apart from the storage itself and compared with what it hands out after each start (I6).
 *
 * The call in which the process ended may have done all of its work or none. */
#ifndef UNDERSTUDY_TESTS_SIM_PROMISE_H
#define UNDERSTUDY_TESTS_SIM_PROMISE_H

#include "consensus/consensus.h"

#include <stdbool.h>
#include <stdint.h>

struct promise;
struct node;

struct promise *promise_create(void); /* never NULL */
void promise_destroy(struct promise **self_p);

/* A write begins; it counts from promise_keep() on, and until then it may or may not. */
void promise_term(struct promise *self, uint64_t term);
void promise_vote(struct promise *self, uint64_t term, uint64_t vote);
void promise_append(struct promise *self, uint64_t first_index,
                    const struct consensus_entry *entries, size_t count);
void promise_truncate(struct promise *self, uint64_t first_index);
void promise_snapshot(struct promise *self, const struct consensus_snapshot_meta *meta,
                      const uint8_t *bytes, size_t length, uint64_t trailing);
void promise_keep(struct promise *self);

/* The process of `node` begins with this identity and incarnation. */
void promise_check_start(struct promise *self, struct node *node, uint64_t id,
                         uint64_t incarnation);
/* The storage of `node` hands this out: it is what was promised, or the run fails. */
void promise_check_loaded(struct promise *self, struct node *node,
                          const struct consensus_stored *stored);

#endif
