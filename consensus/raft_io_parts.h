/* What the files of raft_io share with one another only. */
#ifndef UNDERSTUDY_CONSENSUS_RAFT_IO_PARTS_H
#define UNDERSTUDY_CONSENSUS_RAFT_IO_PARTS_H

#include "consensus/engine.h"

enum completion_kind {
    COMPLETION_SEND,
    COMPLETION_APPEND,
    COMPLETION_SNAPSHOT_PUT,
    COMPLETION_SNAPSHOT_GET,
};

struct raft_io_completion {
    struct raft_io_completion *next;
    enum completion_kind kind;
    int64_t due_ms;
    struct raft_io_context context;
    union {
        struct {
            struct raft_io_send *request;
            raft_io_send_cb done;
        } send;
        struct {
            struct raft_io_append *request;
            raft_io_append_cb done;
        } append;
        struct {
            struct raft_io_snapshot_put *request;
            raft_io_snapshot_put_cb done;
        } put;
        struct {
            struct raft_io_snapshot_get *request;
            raft_io_snapshot_get_cb done;
        } get;
    };
};

struct consensus *raft_io_engine(struct raft_io *io);

/* A durable write failed: nothing more may be promised. Always RAFT_IOERR. */
int raft_io_storage_failed(struct consensus *self, const char *what, const struct err *err);

/* raft_io_completion.c. Room for the completion is taken before the write, so that none is lost
 * after it; NULL (and fatal) when there is none. */
struct raft_io_completion *raft_io_completion_new(struct consensus *self,
                                                  enum completion_kind kind);
void raft_io_completion_queue(struct consensus *self, struct raft_io_completion *completion);

/* raft_io_load.c. A raft_malloc'd copy with its one buffer. */
int raft_io_snapshot_of(const struct consensus_stored *stored, struct raft_snapshot *ret,
                        struct err *err);
int raft_io_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
                 struct raft_snapshot **snapshot, raft_index *start_index,
                 struct raft_entry *entries[], size_t *n_entries);

/* raft_io_send.c */
int raft_io_send_message(struct raft_io *io, struct raft_io_send *req,
                         const struct raft_message *message, raft_io_send_cb cb);

/* raft_io_machine.c */
int raft_io_machine_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result);
int raft_io_machine_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs);
int raft_io_machine_restore(struct raft_fsm *fsm, struct raft_buffer *buf);

#endif
