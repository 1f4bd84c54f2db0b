#include "consensus/raft_io.h"

#include "consensus/raft_io_parts.h"
#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

struct consensus *raft_io_engine(struct raft_io *io)
{
    return io->impl;
}

int raft_io_storage_failed(struct consensus *self, const char *what, const struct err *err)
{
    engine_fatal(self, "%s: %s", what, err->msg);
    return RAFT_IOERR;
}

/* ---- methods ---- */

static int init_method(struct raft_io *io, raft_id id, const char *address)
{
    (void)io;
    (void)id;
    (void)address;
    return 0;
}

static void close_method(struct raft_io *io, raft_io_close_cb cb)
{
    raft_io_engine(io)->closed = cb; /* called when raft_close has returned */
}

static int start_method(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
                        raft_io_recv_cb recv)
{
    (void)msecs;
    raft_io_engine(io)->tick = tick;
    raft_io_engine(io)->receive = recv;
    return 0;
}

/* When term or vote cannot be stored the library is told that they were: its own way out of a
 * failed election frees memory twice. Nothing follows from it, as the engine is over then: no
 * message leaves, and no event and no write comes any more. */
/* A new term is durable together with the vote in it, when one follows, and in any case before
 * anything else is written, before a message leaves, and before the event ends. */
void raft_io_flush_term(struct consensus *self)
{
    struct err err = {0};
    if (!self->term_waits || engine_is_fatal(self)) {
        return;
    }
    self->term_waits = false;
    if (self->config.storage.set_term(self->config.storage.context, self->stored_term, &err) != 0) {
        (void)raft_io_storage_failed(self, "store term", &err);
    }
}

static int set_term_method(struct raft_io *io, raft_term term)
{
    struct consensus *self = raft_io_engine(io);
    if (engine_is_fatal(self)) {
        return 0;
    }
    self->stored_term = term;
    self->stored_vote = 0;
    self->term_waits = true;
    return 0;
}

static int set_vote_method(struct raft_io *io, raft_id server_id)
{
    struct consensus *self = raft_io_engine(io);
    struct err err = {0};
    if (engine_is_fatal(self)) {
        return 0;
    }
    self->term_waits = false;
    if (self->config.storage.set_vote(self->config.storage.context, self->stored_term, server_id,
                                      &err) != 0) {
        (void)raft_io_storage_failed(self, "store vote", &err);
        return 0;
    }
    self->stored_vote = server_id;
    return 0;
}

/* The library leaves padding and barriers as it finds them in the heap: that is neither stored nor
 * sent. */
static void blank_padding(const struct raft_entry *entry)
{
    struct logbook_configuration configuration;
    size_t used = entry->buf.len;
    if (entry->type == RAFT_BARRIER) {
        used = 0;
    } else if (entry->type == RAFT_CHANGE &&
               logbook_change_read(entry->buf.base, entry->buf.len, &configuration, &used, NULL) !=
                   0) {
        used = entry->buf.len;
    }
    if (used < entry->buf.len) {
        memset((uint8_t *)entry->buf.base + used, 0, entry->buf.len - used);
    }
}

static int store_entries(struct consensus *self, const struct raft_entry entries[], unsigned n)
{
    struct err err = {0};
    raft_io_flush(self);
    if (engine_is_fatal(self)) {
        return RAFT_IOERR;
    }
    struct consensus_entry *copies = calloc(n, sizeof *copies);
    if (copies == NULL) {
        (void)err_set(&err, ERR_NOMEM, "no memory for %u entries", n);
        return raft_io_storage_failed(self, "append", &err);
    }
    for (unsigned i = 0; i < n; i++) {
        blank_padding(&entries[i]);
        copies[i] = (struct consensus_entry){.term = entries[i].term,
                                             .type = (enum consensus_entry_type)entries[i].type,
                                             .bytes = entries[i].buf.base,
                                             .length = entries[i].buf.len};
    }
    int rc = self->config.storage.append(self->config.storage.context,
                                         logbook_last_index(&self->log) + 1, copies, n, &err);
    if (rc == 0) {
        rc = logbook_append(&self->log, copies, n, &err);
    }
    free(copies);
    return rc == 0 ? 0 : raft_io_storage_failed(self, "append", &err);
}

/* A leader's own entries go out before they are written here: its disk and its followers' disks
 * work at the same time. It counts itself among those that have them when its own write is done, as
 * the callback waits for that (Ongaro's thesis, 10.2.1). A change of the configuration is looked at
 * before that, and is written at once. */
static bool may_be_sent_first(const struct consensus *self, const struct raft_entry entries[],
                              unsigned n)
{
    bool plain = self->instance->raft.state == RAFT_LEADER;
    for (unsigned i = 0; i < n; i++) {
        plain = plain && (entries[i].type == RAFT_COMMAND || entries[i].type == RAFT_BARRIER);
    }
    return plain;
}

static void flush_entries(struct consensus *self)
{
    struct own_entries own = self->own_entries;
    self->own_entries = (struct own_entries){0};
    if (own.count > 0) {
        (void)store_entries(self, own.entries, own.count); /* fatal when it fails */
    }
}

void raft_io_flush(struct consensus *self)
{
    flush_entries(self);
    raft_io_flush_term(self);
}

static int append_method(struct raft_io *io, struct raft_io_append *req,
                         const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct consensus *self = raft_io_engine(io);
    struct raft_io_completion *completion = raft_io_completion_new(self, COMPLETION_APPEND);
    if (completion == NULL) {
        return RAFT_NOMEM;
    }
    int rv = 0;
    if (may_be_sent_first(self, entries, n)) {
        raft_io_flush(self);
        for (unsigned i = 0; i < n; i++) {
            blank_padding(&entries[i]); /* they go out before they are stored */
        }
        self->own_entries = (struct own_entries){.entries = entries, .count = n};
    } else {
        rv = store_entries(self, entries, n);
    }
    if (rv != 0) {
        free(completion);
        return rv;
    }
    completion->append.request = req;
    completion->append.done = cb;
    raft_io_completion_queue(self, completion);
    return 0;
}

static int truncate_method(struct raft_io *io, raft_index index)
{
    struct consensus *self = raft_io_engine(io);
    struct err err = {0};
    raft_io_flush(self);
    if (engine_is_fatal(self)) {
        return RAFT_IOERR;
    }
    if (self->config.storage.truncate(self->config.storage.context, index, &err) != 0) {
        return raft_io_storage_failed(self, "truncate", &err);
    }
    logbook_truncate(&self->log, index);
    return 0;
}

static int bootstrap_method(struct raft_io *io, const struct raft_configuration *conf)
{
    struct raft_entry entry = {.term = 1, .type = RAFT_CHANGE};
    if (logbook_last_index(&raft_io_engine(io)->log) != 0 || raft_io_engine(io)->stored_vote != 0) {
        return RAFT_CANTBOOTSTRAP;
    }
    /* The term first: a crash between the two leaves term 1 without entries, which still counts as
     * pristine. */
    int rv = set_term_method(io, 1);
    if (rv == 0) {
        rv = raft_configuration_encode(conf, &entry.buf);
    }
    if (rv == 0) {
        rv = store_entries(raft_io_engine(io), &entry, 1);
        raft_free(entry.buf.base);
    }
    return rv;
}

static int recover_method(struct raft_io *io, const struct raft_configuration *conf)
{
    (void)io;
    (void)conf;
    return RAFT_IOERR; /* not offered through the library */
}

static int snapshot_meta(const struct raft_snapshot *snapshot, struct consensus_snapshot_meta *ret)
{
    *ret = (struct consensus_snapshot_meta){.index = snapshot->index,
                                            .term = snapshot->term,
                                            .configuration_index = snapshot->configuration_index,
                                            .server_count = snapshot->configuration.n};
    if (snapshot->configuration.n > NODES_MAX || snapshot->n_bufs != 1) {
        return RAFT_TOOMANY;
    }
    for (unsigned i = 0; i < snapshot->configuration.n; i++) {
        ret->servers[i] = (struct consensus_server){
            .id = snapshot->configuration.servers[i].id,
            .role = wire_role_of_raft(snapshot->configuration.servers[i].role)};
    }
    return 0;
}

static int store_snapshot(struct consensus *self, unsigned trailing,
                          const struct raft_snapshot *snapshot)
{
    struct err err = {0};
    struct consensus_snapshot_meta meta;
    raft_io_flush(self);
    if (engine_is_fatal(self)) {
        return RAFT_IOERR;
    }
    if (snapshot_meta(snapshot, &meta) != 0) {
        (void)err_set(&err, ERR_INVALID, "snapshot with %u servers", snapshot->configuration.n);
        return raft_io_storage_failed(self, "store snapshot", &err);
    }
    int rc = self->config.storage.snapshot_put(self->config.storage.context, &meta,
                                               snapshot->bufs[0].base, snapshot->bufs[0].len,
                                               trailing, &err);
    if (rc == 0) {
        rc = logbook_snapshot(&self->log, &meta, trailing, &err);
    }
    return rc == 0 ? 0 : raft_io_storage_failed(self, "store snapshot", &err);
}

static int snapshot_put_method(struct raft_io *io, unsigned trailing,
                               struct raft_io_snapshot_put *req,
                               const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    struct consensus *self = raft_io_engine(io);
    struct raft_io_completion *completion = raft_io_completion_new(self, COMPLETION_SNAPSHOT_PUT);
    int rv = completion == NULL ? RAFT_NOMEM : store_snapshot(self, trailing, snapshot);
    if (rv != 0) {
        free(completion);
        if (trailing == 0) {
            /* Of a snapshot that it was sent the library forgets these on failure. */
            struct raft_configuration configuration = snapshot->configuration;
            raft_configuration_close(&configuration);
            raft_free(snapshot->bufs[0].base);
        }
        return rv;
    }
    self->counters.snapshots_taken += trailing > 0 ? 1u : 0u;
    self->snapshot_installed |= trailing == 0;
    completion->put.request = req;
    completion->put.done = cb;
    raft_io_completion_queue(self, completion);
    return 0;
}

static int snapshot_get_method(struct raft_io *io, struct raft_io_snapshot_get *req,
                               raft_io_snapshot_get_cb cb)
{
    struct consensus *self = raft_io_engine(io);
    struct raft_io_completion *completion = raft_io_completion_new(self, COMPLETION_SNAPSHOT_GET);
    if (completion == NULL) {
        return RAFT_NOMEM;
    }
    completion->get.request = req;
    completion->get.done = cb;
    raft_io_completion_queue(self, completion);
    return 0;
}

static raft_time time_method(struct raft_io *io)
{
    return (raft_time)raft_io_engine(io)->now_ms;
}

/* Only the election timer asks; engine_timer.c shapes what the library drew. */
static int random_method(struct raft_io *io, int min, int max)
{
    struct consensus *self = raft_io_engine(io);
    self->timer_drawn = true;
    return (int)rng_between(&self->rng, min, max);
}

static int async_work_method(struct raft_io *io, struct raft_io_async_work *req,
                             raft_io_async_work_cb cb)
{
    (void)io;
    (void)req;
    (void)cb;
    return RAFT_INVALID; /* for asynchronous snapshots only; ours are not */
}

void raft_io_bind(struct consensus *self)
{
    struct engine_instance *instance = self->instance;
    invariant(instance != NULL);
    instance->io = (struct raft_io){.version = 2,
                                    .impl = self,
                                    .init = init_method,
                                    .close = close_method,
                                    .load = raft_io_load,
                                    .start = start_method,
                                    .bootstrap = bootstrap_method,
                                    .recover = recover_method,
                                    .set_term = set_term_method,
                                    .set_vote = set_vote_method,
                                    .send = raft_io_send_message,
                                    .append = append_method,
                                    .truncate = truncate_method,
                                    .snapshot_put = snapshot_put_method,
                                    .snapshot_get = snapshot_get_method,
                                    .time = time_method,
                                    .random = random_method,
                                    .async_work = async_work_method};
    instance->fsm = (struct raft_fsm){.version = 1,
                                      .data = self,
                                      .apply = raft_io_machine_apply,
                                      .snapshot = raft_io_machine_snapshot,
                                      .restore = raft_io_machine_restore};
}
