#include "consensus/raft_io.h"

#include "consensus/engine.h"
#include "consensus/guard.h"
#include "consensus/raft_internals.h"
#include "node/base/invariant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELAYED_COMPLETION_MAX_MS 400

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

static struct consensus *engine_of(struct raft_io *io)
{
    return io->impl;
}

/* A durable write failed: nothing more may be promised. */
static int storage_failed(struct consensus *self, const char *what, const struct err *err)
{
    engine_fatal(self, "%s: %s", what, err->msg);
    return RAFT_IOERR;
}

/* ---- completions ---- */

static void list_push(struct raft_io_list *list, struct raft_io_completion *completion)
{
    if (list->tail == NULL) {
        list->head = completion;
    } else {
        list->tail->next = completion;
    }
    list->tail = completion;
}

static struct raft_io_completion *list_pop(struct raft_io_list *list)
{
    struct raft_io_completion *first = list->head;
    if (first != NULL) {
        list->head = first->next;
        if (list->head == NULL) {
            list->tail = NULL;
        }
    }
    return first;
}

/* Room for the completion is taken before the write, so that none is lost after it. */
static struct raft_io_completion *completion_new(struct consensus *self, enum completion_kind kind)
{
    struct raft_io_completion *completion = calloc(1, sizeof *completion);
    if (completion == NULL) {
        engine_fatal(self, "no memory for a completion");
        return NULL;
    }
    completion->kind = kind;
    completion->context = self->context;
    return completion;
}

static void completion_queue(struct consensus *self, struct raft_io_completion *completion)
{
    if (!self->config.off.completions_at_once || completion->kind == COMPLETION_SEND) {
        list_push(&self->completions.now, completion);
        return;
    }
    int64_t due = self->now_ms + rng_between(&self->rng, 0, DELAYED_COMPLETION_MAX_MS);
    const struct raft_io_completion *last = self->completions.later.tail;
    completion->due_ms = last != NULL && last->due_ms > due ? last->due_ms : due;
    list_push(&self->completions.later, completion);
}

static int snapshot_of(const struct consensus_stored *stored, struct raft_snapshot *ret,
                       struct err *err);

static void complete_get(struct consensus *self, const struct raft_io_completion *completion)
{
    struct err err = {0};
    struct consensus_stored stored = {0};
    struct raft_snapshot *snapshot = raft_malloc(sizeof *snapshot);
    int rc = snapshot == NULL
                 ? err_set(&err, ERR_NOMEM, "no memory for a snapshot")
                 : self->config.storage.snapshot_get(self->config.storage.context, &stored, &err);
    if (rc == 0) {
        rc = snapshot_of(&stored, snapshot, &err);
    }
    raft_io_stored_deinit(&stored);
    if (rc != 0) {
        raft_free(snapshot);
        (void)storage_failed(self, "read snapshot", &err);
        completion->get.done(completion->get.request, NULL, RAFT_IOERR);
        return;
    }
    completion->get.done(completion->get.request, snapshot, 0);
}

static void complete_one(struct consensus *self, struct raft_io_completion *completion)
{
    struct raft_io_context before = self->context;
    self->context = completion->context;
    switch (completion->kind) {
    case COMPLETION_SEND:
        completion->send.done(completion->send.request, 0);
        break;
    case COMPLETION_APPEND:
        completion->append.done(completion->append.request, 0);
        break;
    case COMPLETION_SNAPSHOT_PUT:
        completion->put.done(completion->put.request, 0);
        break;
    case COMPLETION_SNAPSHOT_GET:
        complete_get(self, completion);
        break;
    }
    self->context = before;
    free(completion);
}

void raft_io_complete(struct consensus *self)
{
    struct raft_io_completion *completion;
    while ((completion = list_pop(&self->completions.now)) != NULL) {
        complete_one(self, completion);
    }
}

void raft_io_complete_due(struct consensus *self, int64_t now_ms)
{
    while (self->completions.later.head != NULL && self->completions.later.head->due_ms <= now_ms) {
        complete_one(self, list_pop(&self->completions.later));
        raft_io_complete(self);
    }
}

void raft_io_complete_all(struct consensus *self)
{
    raft_io_complete_due(self, INT64_MAX);
    raft_io_complete(self);
}

/* ---- loading ---- */

void raft_io_stored_deinit(struct consensus_stored *stored)
{
    for (size_t i = 0; i < stored->entry_count; i++) {
        union {
            const uint8_t *borrowed;
            void *owned; /* handed over by load: ours to free */
        } bytes = {.borrowed = stored->entries[i].bytes};
        free(bytes.owned);
    }
    free(stored->entries);
    free(stored->snapshot_bytes);
    *stored = (struct consensus_stored){0};
}

int raft_io_read_storage(struct consensus *self, struct err *err)
{
    raft_io_stored_deinit(&self->loaded);
    int rc = self->config.storage.load(self->config.storage.context, &self->loaded, err);
    if (rc == 0 && (self->loaded.term > WIRE_NUMBER_MAX)) {
        rc = err_set(err, ERR_CORRUPT, "stored term %" PRIu64, self->loaded.term);
    }
    if (rc == 0) {
        rc = logbook_load(&self->log, &self->loaded, err);
    }
    if (rc == 0 && logbook_last_term(&self->log) > self->loaded.term) {
        rc = err_set(err, ERR_CORRUPT, "stored term %" PRIu64 " is below the last entry's %" PRIu64,
                     self->loaded.term, logbook_last_term(&self->log));
    }
    if (rc != 0) {
        raft_io_stored_deinit(&self->loaded);
        return err_wrap(err, "load the consensus log");
    }
    self->stored_term = self->loaded.term;
    self->stored_vote = self->loaded.vote;
    return 0;
}

/* A raft_malloc'd copy with its one buffer. */
static int snapshot_of(const struct consensus_stored *stored, struct raft_snapshot *ret,
                       struct err *err)
{
    *ret = (struct raft_snapshot){.index = stored->snapshot.index,
                                  .term = stored->snapshot.term,
                                  .configuration_index = stored->snapshot.configuration_index};
    if (!stored->has_snapshot || stored->snapshot.server_count > NODES_MAX) {
        return err_set(err, ERR_CORRUPT, "storage gave no sound snapshot");
    }
    int rc = wire_raft_configuration(stored->snapshot.servers, stored->snapshot.server_count,
                                     &ret->configuration, err);
    if (rc != 0) {
        return rc;
    }
    size_t length = stored->snapshot_length;
    ret->bufs = raft_malloc(sizeof *ret->bufs);
    void *bytes = raft_malloc(length > 0 ? length : 1);
    if (ret->bufs == NULL || bytes == NULL) {
        raft_free(ret->bufs);
        raft_free(bytes);
        raft_configuration_close(&ret->configuration);
        return err_set(err, ERR_NOMEM, "no memory for a snapshot of %zu bytes", length);
    }
    if (length > 0) {
        memcpy(bytes, stored->snapshot_bytes, length);
    }
    ret->n_bufs = 1;
    ret->bufs[0] = (struct raft_buffer){.base = bytes, .len = length};
    return 0;
}

/* One batch for all payloads, as the library wants entries from disk. */
static int entries_of(const struct consensus_stored *stored, struct raft_entry **ret,
                      struct err *err)
{
    size_t size = 1;
    for (size_t i = 0; i < stored->entry_count; i++) {
        size += (stored->entries[i].length + 7) & ~(size_t)7;
    }
    struct raft_entry *entries = raft_malloc(stored->entry_count * sizeof *entries);
    uint8_t *batch = raft_malloc(size);
    if (entries == NULL || batch == NULL) {
        raft_free(entries);
        raft_free(batch);
        return err_set(err, ERR_NOMEM, "no memory for %zu entries", stored->entry_count);
    }
    size_t offset = 0;
    for (size_t i = 0; i < stored->entry_count; i++) {
        const struct consensus_entry *from = &stored->entries[i];
        entries[i] = (struct raft_entry){.term = from->term,
                                         .type = (unsigned short)from->type,
                                         .buf = {.base = batch + offset, .len = from->length},
                                         .batch = batch};
        if (from->length > 0) {
            memcpy(batch + offset, from->bytes, from->length);
        }
        offset += (from->length + 7) & ~(size_t)7;
    }
    *ret = entries;
    return 0;
}

static int load_method(struct raft_io *io, raft_term *term, raft_id *voted_for,
                       struct raft_snapshot **snapshot, raft_index *start_index,
                       struct raft_entry *entries[], size_t *n_entries)
{
    struct consensus *self = engine_of(io);
    struct err err = {0};
    int rc = 0;
    *snapshot = NULL;
    *entries = NULL;
    *term = self->stored_term;
    *voted_for = self->stored_vote;
    *start_index = self->loaded.first_index;
    *n_entries = self->loaded.entry_count;
    if (self->loaded.has_snapshot) {
        struct raft_snapshot *copy = raft_malloc(sizeof *copy);
        rc = copy == NULL ? err_set(&err, ERR_NOMEM, "no memory for a snapshot")
                          : snapshot_of(&self->loaded, copy, &err);
        if (rc != 0) {
            raft_free(copy);
            return storage_failed(self, "load", &err);
        }
        *snapshot = copy;
    }
    if (self->loaded.entry_count > 0) {
        rc = entries_of(&self->loaded, entries, &err);
        if (rc != 0) {
            *n_entries = 0;
            return storage_failed(self, "load", &err);
        }
    }
    raft_io_stored_deinit(&self->loaded);
    return 0;
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
    engine_of(io)->closed = cb; /* called when raft_close has returned */
}

static int start_method(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
                        raft_io_recv_cb recv)
{
    (void)msecs;
    engine_of(io)->tick = tick;
    engine_of(io)->receive = recv;
    return 0;
}

/* When term or vote cannot be stored the library is told that they were: its own way out of a
 * failed election frees memory twice. Nothing follows from it, as the engine is over then: no
 * message leaves, and no event and no write comes any more. */
static int set_term_method(struct raft_io *io, raft_term term)
{
    struct consensus *self = engine_of(io);
    struct err err = {0};
    if (engine_is_fatal(self)) {
        return 0;
    }
    if (self->config.storage.set_term(self->config.storage.context, term, &err) != 0) {
        (void)storage_failed(self, "store term", &err);
        return 0;
    }
    self->stored_term = term;
    self->stored_vote = 0;
    return 0;
}

static int set_vote_method(struct raft_io *io, raft_id server_id)
{
    struct consensus *self = engine_of(io);
    struct err err = {0};
    if (engine_is_fatal(self)) {
        return 0;
    }
    if (self->config.storage.set_vote(self->config.storage.context, server_id, &err) != 0) {
        (void)storage_failed(self, "store vote", &err);
        return 0;
    }
    self->stored_vote = server_id;
    return 0;
}

/* The library leaves padding and barriers as it finds them in the heap. */
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
    if (engine_is_fatal(self)) {
        return RAFT_IOERR;
    }
    struct consensus_entry *copies = calloc(n, sizeof *copies);
    if (copies == NULL) {
        (void)err_set(&err, ERR_NOMEM, "no memory for %u entries", n);
        return storage_failed(self, "append", &err);
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
    return rc == 0 ? 0 : storage_failed(self, "append", &err);
}

static int append_method(struct raft_io *io, struct raft_io_append *req,
                         const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct consensus *self = engine_of(io);
    struct raft_io_completion *completion = completion_new(self, COMPLETION_APPEND);
    if (completion == NULL) {
        return RAFT_NOMEM;
    }
    int rv = store_entries(self, entries, n);
    if (rv != 0) {
        free(completion);
        return rv;
    }
    completion->append.request = req;
    completion->append.done = cb;
    completion_queue(self, completion);
    return 0;
}

static int truncate_method(struct raft_io *io, raft_index index)
{
    struct consensus *self = engine_of(io);
    struct err err = {0};
    if (self->config.storage.truncate(self->config.storage.context, index, &err) != 0) {
        return storage_failed(self, "truncate", &err);
    }
    logbook_truncate(&self->log, index);
    return 0;
}

static int bootstrap_method(struct raft_io *io, const struct raft_configuration *conf)
{
    struct raft_entry entry = {.term = 1, .type = RAFT_CHANGE};
    if (logbook_last_index(&engine_of(io)->log) != 0 || engine_of(io)->stored_vote != 0) {
        return RAFT_CANTBOOTSTRAP;
    }
    /* The term first: a crash between the two leaves term 1 without entries, which still counts as
     * pristine. */
    int rv = set_term_method(io, 1);
    if (rv == 0) {
        rv = raft_configuration_encode(conf, &entry.buf);
    }
    if (rv == 0) {
        rv = store_entries(engine_of(io), &entry, 1);
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
    if (engine_is_fatal(self)) {
        return RAFT_IOERR;
    }
    if (snapshot_meta(snapshot, &meta) != 0) {
        (void)err_set(&err, ERR_INVALID, "snapshot with %u servers", snapshot->configuration.n);
        return storage_failed(self, "store snapshot", &err);
    }
    int rc = self->config.storage.snapshot_put(self->config.storage.context, &meta,
                                               snapshot->bufs[0].base, snapshot->bufs[0].len,
                                               trailing, &err);
    if (rc == 0) {
        rc = logbook_snapshot(&self->log, &meta, trailing, &err);
    }
    return rc == 0 ? 0 : storage_failed(self, "store snapshot", &err);
}

static int snapshot_put_method(struct raft_io *io, unsigned trailing,
                               struct raft_io_snapshot_put *req,
                               const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    struct consensus *self = engine_of(io);
    struct raft_io_completion *completion = completion_new(self, COMPLETION_SNAPSHOT_PUT);
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
    completion_queue(self, completion);
    return 0;
}

static int snapshot_get_method(struct raft_io *io, struct raft_io_snapshot_get *req,
                               raft_io_snapshot_get_cb cb)
{
    struct consensus *self = engine_of(io);
    struct raft_io_completion *completion = completion_new(self, COMPLETION_SNAPSHOT_GET);
    if (completion == NULL) {
        return RAFT_NOMEM;
    }
    completion->get.request = req;
    completion->get.done = cb;
    completion_queue(self, completion);
    return 0;
}

static void tell_no_echo(struct consensus *self)
{
    struct heard *heard = &self->heard;
    if (heard->told_no_echo) {
        return;
    }
    heard->told_no_echo = true;
    struct consensus_notice notice = {
        .type = CONSENSUS_NOTICE_NO_ECHO, .term = heard->term, .leader = heard->leader};
    (void)snprintf(notice.text, sizeof notice.text,
                   "own silence of %" PRId64 " ms is shorter than 1.05 times the leader's lease of "
                   "%" PRId64 " ms and its heartbeat of %" PRId64 " ms",
                   self->config.election_timeout_ms, heard->lease_ttl_ms, heard->heartbeat_ms);
    engine_notify(self, &notice);
}

/* Echo only to the leader of this very term, and only what it sent in it. */
static void add_echo(struct consensus *self, const struct raft_message *message,
                     struct wire_extra *extra)
{
    const struct raft_append_entries_result *result = &message->append_entries_result;
    const struct heard *heard = &self->heard;
    bool same_term = self->config.off.echo_term || heard->term == result->term;
    if (result->rejected != 0 || !same_term || heard->leader != message->server_id ||
        heard->sent_ms == 0) {
        return;
    }
    if (!lease_may_echo(self->config.election_timeout_ms, heard->lease_ttl_ms, heard->heartbeat_ms,
                        self->config.off.stretch)) {
        extra->no_echo = WIRE_NO_ECHO_SILENCE_TOO_SHORT;
        tell_no_echo(self);
        return;
    }
    extra->echo_ms = heard->sent_ms;
    int64_t until = self->now_ms + self->election_timeout_ms;
    if (until > self->silence.echo_until_ms) {
        self->silence.echo_until_ms = until;
    }
}

/* RG3 and RG6: what the library says, made true. */
static void mend_result(struct consensus *self, struct raft_message *message)
{
    if (message->type == RAFT_IO_APPEND_ENTRIES_RESULT &&
        message->append_entries_result.rejected == 0 && self->context.bounded &&
        !self->config.off.acknowledgement_bound) {
        uint64_t last = message->append_entries_result.last_log_index;
        message->append_entries_result.last_log_index =
            guard_acknowledgement(last, self->context.bound);
        self->counters.acknowledgements_bounded += last > self->context.bound ? 1u : 0u;
    }
    if (message->type == RAFT_IO_REQUEST_VOTE_RESULT && !self->config.off.honest_refusal) {
        uint64_t term = message->request_vote_result.term;
        message->request_vote_result.term =
            guard_refusal_term(self->stored_term, &message->request_vote_result);
        self->counters.refusals_mended += message->request_vote_result.term != term ? 1u : 0u;
    }
}

static void send_now(struct consensus *self, const struct raft_message *message)
{
    struct raft_message mended = *message;
    struct wire_extra extra = {.sent_ms = self->now_ms,
                               .lease_ttl_ms = self->config.lease_ttl_ms,
                               .heartbeat_ms = self->config.heartbeat_ms,
                               .acting = consensus_may_act_until_ms(self, self->now_ms) > 0,
                               .cause = self->hand_over.cause};
    mend_result(self, &mended);
    if (mended.type == RAFT_IO_APPEND_ENTRIES_RESULT) {
        add_echo(self, &mended, &extra);
    }
    if (wire_raft_encode(&self->writer, &mended, &extra, NULL) != 0) {
        return; /* too long: lost, as any message may be */
    }
    size_t length = self->writer.buffer.length;
    bool bulk = mended.type == RAFT_IO_INSTALL_SNAPSHOT || length > WIRE_BULK_BYTES;
    self->counters.sent++;
    self->config.transport.send(self->config.transport.context, mended.server_id,
                                self->writer.buffer.data, length, bulk);
}

/* Always 0: for an error on the reply path the library frees entries twice. */
static int send_method(struct raft_io *io, struct raft_io_send *req,
                       const struct raft_message *message, raft_io_send_cb cb)
{
    struct consensus *self = engine_of(io);
    if (!self->muted && !engine_is_fatal(self) && message->server_id != 0) {
        send_now(self, message);
    }
    if (cb == NULL) {
        return 0; /* TimeoutNow: the request may be gone at any time */
    }
    struct raft_io_completion *completion = completion_new(self, COMPLETION_SEND);
    if (completion != NULL) {
        completion->send.request = req;
        completion->send.done = cb;
        completion_queue(self, completion);
    }
    return 0;
}

static raft_time time_method(struct raft_io *io)
{
    return (raft_time)engine_of(io)->now_ms;
}

/* Only the election timer asks; engine_timer.c shapes what the library drew. */
static int random_method(struct raft_io *io, int min, int max)
{
    struct consensus *self = engine_of(io);
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

/* ---- the state machine ---- */

static int apply_method(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct consensus *self = fsm->data;
    struct err err = {0};
    const uint8_t *bytes;
    size_t length;
    *result = NULL;
    /* The library counts an entry as applied after this call only. */
    uint64_t index = raft_internals_applied_index(&self->instance->raft) + 1;
    if (index <= self->machine_index) {
        return 0; /* a reload replays what the machine holds already */
    }
    if (logbook_command_read(buf->base, buf->len, &bytes, &length, &err) != 0) {
        engine_fatal(self, "apply entry %" PRIu64 ": %s", index, err.msg);
        return RAFT_CORRUPT;
    }
    self->machine_index = index;
    self->config.machine.apply(self->config.machine.context, index,
                               logbook_term_of(&self->log, index), bytes, length);
    return 0;
}

static int snapshot_bytes(struct consensus *self, struct raft_buffer **ret)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    int rc = self->config.machine.snapshot(self->config.machine.context, &bytes, &length);
    struct raft_buffer *buffer = raft_malloc(sizeof *buffer);
    void *copy = raft_malloc(length > 0 ? length : 1);
    if (rc != 0 || buffer == NULL || copy == NULL) {
        engine_fatal(self, "state machine gave no snapshot: %s", err_text(rc));
        raft_free(buffer);
        raft_free(copy);
        free(bytes);
        return RAFT_NOMEM;
    }
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    free(bytes);
    *buffer = (struct raft_buffer){.base = copy, .len = length};
    *ret = buffer;
    return 0;
}

static int snapshot_method(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct consensus *self = fsm->data;
    const struct raft *raft = &self->instance->raft;
    uint64_t applied = raft_internals_applied_index(raft);
    bool early = guard_snapshot_early(raft_internals_uncommitted_index(raft),
                                      raft_internals_configuration_index(raft), applied);
    /* After a reload the machine may be ahead of what the library knows as applied. */
    if ((early && !self->config.off.quiet_snapshot) || self->machine_index > applied) {
        self->counters.snapshots_delayed++;
        return RAFT_BUSY;
    }
    int rv = snapshot_bytes(self, bufs);
    *n_bufs = rv == 0 ? 1 : 0;
    return rv;
}

static int restore_method(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct consensus *self = fsm->data;
    uint64_t index = self->log.snapshot_index;
    if (index > self->machine_index) {
        int rc =
            self->config.machine.restore(self->config.machine.context, index, buf->base, buf->len);
        if (rc != 0) {
            engine_fatal(self, "state machine refused the snapshot at %" PRIu64 ": %s", index,
                         err_text(rc));
            return RAFT_CORRUPT; /* the buffer stays the library's */
        }
        self->machine_index = index;
    }
    raft_free(buf->base);
    return 0;
}

void raft_io_bind(struct consensus *self)
{
    struct engine_instance *instance = self->instance;
    invariant(instance != NULL);
    instance->io = (struct raft_io){.version = 2,
                                    .impl = self,
                                    .init = init_method,
                                    .close = close_method,
                                    .load = load_method,
                                    .start = start_method,
                                    .bootstrap = bootstrap_method,
                                    .recover = recover_method,
                                    .set_term = set_term_method,
                                    .set_vote = set_vote_method,
                                    .send = send_method,
                                    .append = append_method,
                                    .truncate = truncate_method,
                                    .snapshot_put = snapshot_put_method,
                                    .snapshot_get = snapshot_get_method,
                                    .time = time_method,
                                    .random = random_method,
                                    .async_work = async_work_method};
    instance->fsm = (struct raft_fsm){.version = 1,
                                      .data = self,
                                      .apply = apply_method,
                                      .snapshot = snapshot_method,
                                      .restore = restore_method};
}
