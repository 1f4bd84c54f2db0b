/* The storage of the consensus thread with a stop watch: how long its calls take, and when the last
 * one that wrote has ended. For one thread, the consensus thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_TIMED_STORAGE_H
#define UNDERSTUDY_NODE_DAEMON_TIMED_STORAGE_H

#include "consensus/consensus.h"

struct timed_storage {
    struct consensus_storage inner;
    int64_t worst_ms;   /* since timed_storage_take_worst_ms */
    int64_t written_ms; /* CLOCK_BOOTTIME of the last durable write's end; 0: none */
};

/* *ret calls `inner` and keeps time in *self, which must outlive it. */
void timed_storage_wrap(struct timed_storage *self, const struct consensus_storage *inner,
                        struct consensus_storage *ret);

/* A durable write beside the interface took from begun_ms until now. */
void timed_storage_note(struct timed_storage *self, int64_t begun_ms);

/* The longest call since the last time this was asked. */
int64_t timed_storage_take_worst_ms(struct timed_storage *self);

#endif
