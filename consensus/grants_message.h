/* Messages about duties between holder and leader, and the obituary of a dead node: codecs.
 *
 * Each is a msgpack array that starts with its version and may grow at its end. Assignments are
 * named by their number, which is unique in the cluster's life. */
#ifndef UNDERSTUDY_CONSENSUS_GRANTS_MESSAGE_H
#define UNDERSTUDY_CONSENSUS_GRANTS_MESSAGE_H

#include "node/base/err.h"
#include "node/base/limits.h"
#include "node/base/mp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRANTS_VERSION 1
#define GRANTS_PER_MESSAGE_MAX DUTIES_MAX
#define GRANTS_RELEASES_MAX 64 /* of one message; more go in further ones */
#define GRANT_TTL_MS_MAX 600000
#define GRANTS_MESSAGE_BYTES_MAX (32 << 10)

/* Holder to leader: may I go on with these? */
struct grants_renew {
    uint64_t raft_id;     /* of the holder */
    uint64_t incarnation; /* of the holder */
    int64_t time_ms;      /* holder's clock when it asks; the grant counts from here */
    size_t count;
    uint64_t assignments[GRANTS_PER_MESSAGE_MAX];
};

/* Leader to holder: you may run these until time_ms + grant_ttl_ms on your clock. */
struct grants_grant {
    uint64_t incarnation; /* of the holder, as asked */
    int64_t time_ms;      /* as asked */
    int64_t grant_ttl_ms; /* 1 to GRANT_TTL_MS_MAX */
    uint64_t term;        /* of the leader */
    size_t count;
    uint64_t assignments[GRANTS_PER_MESSAGE_MAX];
};

struct grants_release_item {
    char duty[DUTY_ID_SIZE];
    uint64_t assignment;
};

/* Holder (or, after its death, its parent) to leader: these run no more and never will again. */
struct grants_release {
    uint64_t raft_id;
    uint64_t incarnation; /* of the node that held them */
    size_t count;
    struct grants_release_item items[GRANTS_RELEASES_MAX];
};

/* A parent to the voters: this node process has ended, and its managers with it. */
struct obituary {
    uint64_t raft_id;
    uint64_t incarnation; /* of the dead process */
    uint64_t term;        /* that it led; 0: it led none */
    bool owed_wait;       /* it owed a wait in that term, or that is unknown: evidence, no proof */
    /* Its guarded processes have ended as well: every assignment to this incarnation or an older
     * one is released. False while they still run out their grants or are being stopped. */
    bool duties_ended;
};

/* Encoders append to `writer`: 0, ERR_INVALID (a count or value out of bounds), ERR_FULL.
 * Decoders: 0, ERR_PROTO, ERR_UNSUPPORTED, ERR_NOMEM; *ret is undefined on error. */
int grants_renew_encode(const struct grants_renew *message, struct mp_writer *writer);
int grants_renew_decode(const uint8_t *bytes, size_t length, struct grants_renew *ret,
                        struct err *err);
int grants_grant_encode(const struct grants_grant *message, struct mp_writer *writer);
int grants_grant_decode(const uint8_t *bytes, size_t length, struct grants_grant *ret,
                        struct err *err);
int grants_release_encode(const struct grants_release *message, struct mp_writer *writer);
int grants_release_decode(const uint8_t *bytes, size_t length, struct grants_release *ret,
                          struct err *err);
int obituary_encode(const struct obituary *message, struct mp_writer *writer);
int obituary_decode(const uint8_t *bytes, size_t length, struct obituary *ret, struct err *err);

#endif
