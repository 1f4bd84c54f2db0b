/* Proofs that backups run: the acting leader puts on record, replicated, which duty has run for
 * PROVING_RUN_MS under its assignment: once as soon as it has, and again every PROVING_AGAIN_MS
 * while it runs on. A duty runs as long as its holder says so without a break that the leader sees;
 * a new leader counts anew. Attempts of runs are left out: how they ended is on record. Loop
 * thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_PROVING_H
#define UNDERSTUDY_NODE_DAEMON_PROVING_H

#include <stdint.h>

struct node;
struct proving;

#define PROVING_RUN_MS 10000
#define PROVING_AGAIN_MS (INT64_C(3600) * 1000)

/* NULL when out of memory. */
struct proving *proving_create(void);
void proving_destroy(struct proving **self_p);

/* As acting leader: look at what runs, once in a while. */
void proving_run(struct node *self, int64_t now_ms);

#endif
