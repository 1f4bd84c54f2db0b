/* Is a process still listening there? One TCP connection attempt that never waits.
 *
 * ECONNREFUSED from the leader's address is the hard evidence that safety.md speaks of. The address
 * must be numeric (transport_peer_endpoint remembers the last one), so that nothing is resolved on
 * the loop. */
#ifndef UNDERSTUDY_NODE_TRANSPORT_PROBE_H
#define UNDERSTUDY_NODE_TRANSPORT_PROBE_H

#include "node/base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum probe_outcome {
    PROBE_REFUSED = 1, /* nobody listens: the process is gone, or a firewall rejects */
    PROBE_ACCEPTED,    /* somebody listens (a frozen process too: its kernel accepts) */
    PROBE_OTHER,       /* unreachable, timed out, no descriptor: says nothing */
};

struct probe {
    int fd; /* wait until it is writable (POLLOUT, errors included); -1: decided already */
    int64_t deadline_ms;
    enum probe_outcome outcome; /* 0 while undecided */
    int os_errno;               /* of PROBE_OTHER */
};

/* Begin. "tcp://127.0.0.1:7400" or "tcp://[::1]:7400"; ERR_INVALID for a name or a malformed
 * address. On loopback the answer is often there at once: then self->outcome is set and no
 * descriptor is open. Call probe_finish in any case where fd >= 0. */
int probe_start(struct probe *self, const char *address, int64_t now_ms, int64_t timeout_ms,
                struct err *err);

/* Look at the answer: true when decided (outcome set, descriptor closed), by the deadline at the
 * latest (PROBE_OTHER, ETIMEDOUT). An accepted connection is closed at once with a reset. */
bool probe_finish(struct probe *self, int64_t now_ms);

/* Give up; harmless after the end. */
void probe_cancel(struct probe *self);

const char *probe_outcome_name(enum probe_outcome outcome); /* "refused", never NULL */

#endif
