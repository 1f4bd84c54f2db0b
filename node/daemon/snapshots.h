/* Copies of the replicated state for `snapshot save`, handed out a page at a time.
 *
 * A copy is taken of one instant. The loop only copies the rows in memory; a thread of its own
 * encodes them. At most SNAPSHOTS_MAX are held, each of at most SNAPSHOT_BYTES_MAX, and each until
 * its last page was handed out or nobody asked for SNAPSHOTS_HOLD_MS. Loop thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_SNAPSHOTS_H
#define UNDERSTUDY_NODE_DAEMON_SNAPSHOTS_H

#include "consensus/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SNAPSHOTS_MAX 2
#define SNAPSHOTS_HOLD_MS 15000
#define SNAPSHOT_HANDLE_SIZE 96
#define SNAPSHOT_PAGE_BYTES (64u << 10) /* encoding one as text must not hold the loop up */

struct snapshots;

struct snapshot_copy {
    char handle[SNAPSHOT_HANDLE_SIZE]; /* names it, on this node in this life alone */
    const uint8_t *bytes;              /* state_snapshot(); NULL: being encoded */
    size_t length;
    uint64_t term; /* as given */
    uint64_t index;
    int64_t taken_wall_ms;
    bool stale;
    void *waiting; /* the asker's: what waits for the bytes; NULL: nothing */
};

/* What the caller knows of the state. */
struct snapshot_origin {
    uint64_t term;
    int64_t wall_ms;
    bool stale;
};

/* name, incarnation   make handles unlike those of other nodes and other lives
 * NULL when out of memory or descriptors. */
struct snapshots *snapshots_create(const char *name, uint64_t incarnation);
void snapshots_destroy(struct snapshots **self_p); /* waits for an encoding that is under way */

/* Take a copy of `state` and begin to encode it. 0; ERR_BUSY: SNAPSHOTS_MAX are held; ERR_NOMEM.
 * The copy stays until snapshots_end, or until snapshots_expire ends it. */
int snapshots_begin(struct snapshots *self, const struct state *state,
                    const struct snapshot_origin *origin, int64_t now_ms,
                    struct snapshot_copy **ret, struct err *err);

/* Readable when an encoding has ended: then call snapshots_take until it gives NULL. */
int snapshots_fd(const struct snapshots *self);
/* A copy whose encoding has ended; its bytes are NULL when that failed (out of memory): end it. */
struct snapshot_copy *snapshots_take(struct snapshots *self);

/* The encoded copy of that handle, asked for at now_ms; NULL: none (any more). */
struct snapshot_copy *snapshots_find(struct snapshots *self, const char *handle, int64_t now_ms);
void snapshots_end(struct snapshots *self, struct snapshot_copy *copy);
/* End those that nobody asked for. */
void snapshots_expire(struct snapshots *self, int64_t now_ms);
size_t snapshots_held(const struct snapshots *self);

#endif
