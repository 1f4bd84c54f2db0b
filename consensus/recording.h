/* A recording: what went into a node's engine and what came out, so that the same engine can be
 * led through it again. Pure: bytes in and out, no file.
 *
 * A file is a sequence of records. Each is framed by its length and a checksum, so that a torn end
 * and a damaged byte are told apart from a decision that differs. Inside is one MessagePack array,
 * its first element the version, its second the kind; later versions may append elements.
 *
 *   START     the engine's configuration and the time; STORED, SNAPSHOT and ENTRY follow: what the
 *             storage held
 *   EVENT     one call of the engine, written before the call is made
 *   RESULT    what the calls since the last one did: digests of everything that the engine sent,
 *             stored, applied and told, and of its view
 *   CONTINUED the file goes on where another one of the same life was full
 *
 * Nothing in it is secret that is not in the node's database: peers' messages, commands, times. */
#ifndef UNDERSTUDY_CONSENSUS_RECORDING_H
#define UNDERSTUDY_CONSENSUS_RECORDING_H

#include "consensus/consensus.h"
#include "node/base/mp.h"

#define RECORDING_VERSION 1
#define RECORDING_FRAME_BYTES 8
#define RECORDING_RECORD_BYTES_MAX (SNAPSHOT_BYTES_MAX + 4096)

enum recording_kind {
    RECORDING_START = 1,
    RECORDING_STORED,
    RECORDING_SNAPSHOT,
    RECORDING_ENTRY,
    RECORDING_EVENT,
    RECORDING_RESULT,
    RECORDING_CONTINUED,
};

/* Calls of consensus.h. */
enum recording_call {
    RECORDING_TICK = 1,
    RECORDING_RECEIVE,          /* peer, bytes */
    RECORDING_PROPOSE,          /* token, bytes */
    RECORDING_CHANGE,           /* token, change, peer, role */
    RECORDING_HAND_OVER,        /* peer, cause */
    RECORDING_MANAGERS_ENDED,   /* nothing */
    RECORDING_STAND,            /* peer, term, proof, time_ms */
    RECORDING_PROOF,            /* peer, term */
    RECORDING_ELECTION_TIMEOUT, /* time_ms */
    RECORDING_STALL,            /* time_ms */
};
const char *recording_call_name(enum recording_call call); /* never NULL */

struct recording_event {
    enum recording_call call;
    int64_t now_ms;
    uint64_t peer;
    uint64_t term;
    uint64_t token;
    int64_t time_ms;
    bool proof;
    enum consensus_change change;
    enum consensus_role role;
    enum consensus_cause cause;
    const uint8_t *bytes; /* borrowed */
    size_t length;
};

/* How the engine was made. Interfaces and switches of the configuration are not part of it. */
struct recording_start {
    uint64_t life; /* of the process: the same in files that go on */
    int64_t now_ms;
    struct consensus_config config; /* founders point into `founders` */
    struct consensus_server founders[NODES_MAX];
};

struct recording_result {
    uint64_t outputs;
    uint64_t view;
};

struct recording_continued {
    uint64_t life;
    uint64_t part; /* the start's file is part 0 */
};

/* One record, decoded. Bytes point into what was read. */
struct recording_record {
    enum recording_kind kind;
    struct recording_start start;
    struct consensus_stored stored; /* without snapshot_bytes and entries, which follow */
    struct recording_event event;
    struct recording_result result;
    struct recording_continued continued;
    struct consensus_entry entry;  /* ENTRY */
    const uint8_t *snapshot_bytes; /* SNAPSHOT */
    size_t snapshot_length;
};

/* ---- writing: each clears the writer and puts one framed record; 0 or ERR_FULL ---- */

void recording_writer_init(struct mp_writer *self);
int recording_put_start(struct mp_writer *writer, const struct recording_start *start);
int recording_put_stored(struct mp_writer *writer, const struct consensus_stored *stored);
int recording_put_snapshot(struct mp_writer *writer, const uint8_t *bytes, size_t length);
int recording_put_entry(struct mp_writer *writer, const struct consensus_entry *entry);
int recording_put_event(struct mp_writer *writer, const struct recording_event *event);
int recording_put_result(struct mp_writer *writer, const struct recording_result *result);
int recording_put_continued(struct mp_writer *writer, const struct recording_continued *continued);

/* The frame of `length` bytes that stand behind it, into its place in front of them. */
void recording_frame(uint8_t *bytes, size_t length);

/* ---- reading ---- */

/* The next record of `bytes`, with its frame; *ret_used is what it takes. ERR_CLOSED: the bytes end
 * within it. ERR_CORRUPT: damaged. ERR_UNSUPPORTED: of a version that this one does not know. */
int recording_read(const uint8_t *bytes, size_t length, struct recording_record *ret,
                   size_t *ret_used, struct err *err);

#endif
