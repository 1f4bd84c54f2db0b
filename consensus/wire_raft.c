#include "consensus/wire_raft.h"

#include "node/base/invariant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FIELDS_APPEND 12
#define FIELDS_APPENDED 7
#define FIELDS_VOTE 7
#define FIELDS_VOTED 5
#define FIELDS_SNAPSHOT 8
#define FIELDS_TIMEOUT_NOW 6

void wire_raft_address(uint64_t id, char ret[WIRE_ADDRESS_SIZE])
{
    (void)snprintf(ret, WIRE_ADDRESS_SIZE, "%" PRIu64, id); /* 20 digits always fit */
}

int wire_role_to_raft(enum consensus_role role)
{
    switch (role) {
    case CONSENSUS_VOTER:
        return RAFT_VOTER;
    case CONSENSUS_STANDBY:
        return RAFT_STANDBY;
    case CONSENSUS_SPARE:
        break;
    }
    return RAFT_SPARE;
}

enum consensus_role wire_role_of_raft(int raft_role)
{
    switch (raft_role) {
    case RAFT_VOTER:
        return CONSENSUS_VOTER;
    case RAFT_STANDBY:
        return CONSENSUS_STANDBY;
    default:
        return CONSENSUS_SPARE;
    }
}

int wire_raft_configuration(const struct consensus_server *servers, size_t count,
                            struct raft_configuration *ret, struct err *err)
{
    raft_configuration_init(ret);
    for (size_t i = 0; i < count; i++) {
        char address[WIRE_ADDRESS_SIZE];
        wire_raft_address(servers[i].id, address);
        int rv =
            raft_configuration_add(ret, servers[i].id, address, wire_role_to_raft(servers[i].role));
        if (rv != 0) {
            raft_configuration_close(ret);
            raft_configuration_init(ret);
            return err_set(err, rv == RAFT_NOMEM ? ERR_NOMEM : ERR_INVALID,
                           "server %" PRIu64 " of a configuration: %s", servers[i].id,
                           raft_strerror(rv));
        }
    }
    return 0;
}

/* ---- encoding ---- */

static void put_append(struct mp_writer *writer, const struct raft_append_entries *append,
                       const struct wire_extra *extra)
{
    mp_put_u64(writer, append->term);
    mp_put_u64(writer, append->prev_log_index);
    mp_put_u64(writer, append->prev_log_term);
    mp_put_u64(writer, append->leader_commit);
    mp_put_i64(writer, extra->sent_ms);
    mp_put_i64(writer, extra->lease_ttl_ms);
    mp_put_i64(writer, extra->heartbeat_ms);
    mp_put_array(writer, append->n_entries);
    for (unsigned i = 0; i < append->n_entries; i++) {
        const struct raft_entry *entry = &append->entries[i];
        mp_put_array(writer, 3);
        mp_put_u64(writer, entry->term);
        mp_put_u64(writer, entry->type);
        mp_put_bytes(writer, entry->buf.base, entry->buf.len);
    }
    mp_put_bool(writer, extra->acting);
    mp_put_i64(writer, extra->stall_ms);
}

static void put_snapshot(struct mp_writer *writer, const struct raft_install_snapshot *snapshot)
{
    mp_put_u64(writer, snapshot->term);
    mp_put_u64(writer, snapshot->last_index);
    mp_put_u64(writer, snapshot->last_term);
    mp_put_u64(writer, snapshot->conf_index);
    mp_put_array(writer, snapshot->conf.n);
    for (unsigned i = 0; i < snapshot->conf.n; i++) {
        mp_put_array(writer, 2);
        mp_put_u64(writer, snapshot->conf.servers[i].id);
        mp_put_u64(writer, (uint64_t)wire_role_of_raft(snapshot->conf.servers[i].role));
    }
    mp_put_bytes(writer, snapshot->data.base, snapshot->data.len);
}

static void put_head(struct mp_writer *writer, size_t fields, unsigned short type)
{
    mp_put_array(writer, fields);
    mp_put_u64(writer, WIRE_VERSION);
    mp_put_u64(writer, type);
}

static void put_body(struct mp_writer *writer, const struct raft_message *message,
                     const struct wire_extra *extra)
{
    switch (message->type) {
    case RAFT_IO_APPEND_ENTRIES:
        put_head(writer, FIELDS_APPEND, message->type);
        put_append(writer, &message->append_entries, extra);
        break;
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        put_head(writer, FIELDS_APPENDED, message->type);
        mp_put_u64(writer, message->append_entries_result.term);
        mp_put_u64(writer, message->append_entries_result.rejected);
        mp_put_u64(writer, message->append_entries_result.last_log_index);
        mp_put_i64(writer, extra->echo_ms);
        mp_put_u64(writer, (uint64_t)extra->no_echo);
        break;
    case RAFT_IO_REQUEST_VOTE:
        put_head(writer, FIELDS_VOTE, message->type);
        mp_put_u64(writer, message->request_vote.term);
        mp_put_u64(writer, message->request_vote.last_log_index);
        mp_put_u64(writer, message->request_vote.last_log_term);
        mp_put_bool(writer, message->request_vote.disrupt_leader);
        mp_put_bool(writer, message->request_vote.pre_vote);
        break;
    case RAFT_IO_REQUEST_VOTE_RESULT:
        put_head(writer, FIELDS_VOTED, message->type);
        mp_put_u64(writer, message->request_vote_result.term);
        mp_put_bool(writer, message->request_vote_result.vote_granted);
        mp_put_bool(writer, message->request_vote_result.pre_vote == raft_tribool_true);
        break;
    case RAFT_IO_INSTALL_SNAPSHOT:
        put_head(writer, FIELDS_SNAPSHOT, message->type);
        put_snapshot(writer, &message->install_snapshot);
        break;
    default:
        put_head(writer, FIELDS_TIMEOUT_NOW, message->type);
        mp_put_u64(writer, message->timeout_now.term);
        mp_put_u64(writer, message->timeout_now.last_log_index);
        mp_put_u64(writer, message->timeout_now.last_log_term);
        mp_put_u64(writer, (uint64_t)extra->cause);
        break;
    }
}

int wire_raft_encode(struct mp_writer *writer, const struct raft_message *message,
                     const struct wire_extra *extra, struct err *err)
{
    invariant(message->type >= RAFT_IO_APPEND_ENTRIES);
    invariant(message->type <= RAFT_IO_TIMEOUT_NOW);
    mp_writer_clear(writer);
    put_body(writer, message, extra);
    size_t bound =
        message->type == RAFT_IO_INSTALL_SNAPSHOT ? WIRE_SNAPSHOT_BYTES_MAX : WIRE_APPEND_BYTES_MAX;
    if (!mp_writer_ok(writer) || writer->buffer.length > bound) {
        return err_set(err, ERR_FULL, "message of type %u is longer than %zu bytes",
                       (unsigned)message->type, bound);
    }
    return 0;
}

/* ---- decoding ---- */

struct reader {
    const msgpack_object *array;
    size_t next;
    bool failed;
};

static uint64_t read_number(struct reader *reader, uint64_t max)
{
    uint64_t value = 0;
    if (!mp_u64(mp_at(reader->array, reader->next++), &value) || value > max) {
        reader->failed = true;
        return 0;
    }
    return value;
}

static uint64_t read_term(struct reader *reader)
{
    uint64_t term = read_number(reader, WIRE_NUMBER_MAX);
    reader->failed |= term == 0;
    return term;
}

static bool read_bool(struct reader *reader)
{
    bool value = false;
    reader->failed |= !mp_bool(mp_at(reader->array, reader->next++), &value);
    return value;
}

/* An empty log has neither; a log with a last entry has both. */
static void check_last(struct reader *reader, uint64_t index, uint64_t term)
{
    reader->failed |= (index == 0) != (term == 0);
}

static bool entry_is_sound(const struct raft_entry *entry)
{
    const uint8_t *payload;
    size_t length;
    struct logbook_configuration configuration;
    switch (entry->type) {
    case RAFT_COMMAND:
        return logbook_command_read(entry->buf.base, entry->buf.len, &payload, &length, NULL) == 0;
    case RAFT_BARRIER:
        return entry->buf.len <= LOGBOOK_COMMAND_HEADER;
    case RAFT_CHANGE:
        return logbook_change_read(entry->buf.base, entry->buf.len, &configuration, NULL, NULL) ==
               0;
    default:
        return false;
    }
}

/* Into *ret, its payload still in the message; the size that it takes in the batch, or 0. */
static size_t read_entry(const msgpack_object *object, struct raft_entry *ret)
{
    uint64_t term;
    uint64_t type;
    const uint8_t *bytes;
    size_t length;
    if (mp_array(object, 3) == NULL || !mp_u64(mp_at(object, 0), &term) ||
        !mp_u64(mp_at(object, 1), &type) || !mp_bytes(mp_at(object, 2), &bytes, &length) ||
        term == 0 || term > WIRE_NUMBER_MAX || type > RAFT_CHANGE) {
        return 0;
    }
    /* The library's buffers are not const; nobody writes before the copy into the batch. */
    union {
        const uint8_t *from;
        void *to;
    } base = {.from = bytes};
    *ret = (struct raft_entry){.term = term, .type = (unsigned short)type};
    ret->buf.base = base.to;
    ret->buf.len = length;
    return entry_is_sound(ret) ? ((length + 7) & ~(size_t)7) + 8 : 0;
}

/* The library wants one batch for all payloads, and takes both arrays. */
static int copy_to_batch(struct raft_append_entries *append, size_t size, struct err *err)
{
    uint8_t *batch = raft_malloc(size);
    if (batch == NULL) {
        raft_free(append->entries);
        append->entries = NULL;
        append->n_entries = 0;
        return err_set(err, ERR_NOMEM, "no memory for entries of %zu bytes", size);
    }
    size_t offset = 0;
    for (unsigned i = 0; i < append->n_entries; i++) {
        struct raft_entry *entry = &append->entries[i];
        if (entry->buf.len > 0) {
            memcpy(batch + offset, entry->buf.base, entry->buf.len);
        }
        entry->buf.base = batch + offset;
        entry->batch = batch;
        offset += (entry->buf.len + 7) & ~(size_t)7;
    }
    invariant(offset <= size);
    return 0;
}

static int read_entries(const msgpack_object *list, struct raft_append_entries *append,
                        struct err *err)
{
    size_t count = mp_count(list);
    if (mp_array(list, 0) == NULL || count > WIRE_ENTRIES_MAX) {
        return err_set(err, ERR_PROTO, "list of entries is missing or longer than %d",
                       WIRE_ENTRIES_MAX);
    }
    if (count == 0) {
        return 0;
    }
    append->entries = raft_malloc(count * sizeof *append->entries);
    if (append->entries == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for %zu entries", count);
    }
    size_t size = 0;
    uint64_t term = append->prev_log_term;
    for (size_t i = 0; i < count; i++) {
        size_t one = read_entry(mp_at(list, i), &append->entries[i]);
        bool first_of_log = i == 0 && append->prev_log_index == 0;
        if (one == 0 || append->entries[i].term < term || append->entries[i].term > append->term ||
            (first_of_log && append->entries[i].type != RAFT_CHANGE)) {
            raft_free(append->entries);
            append->entries = NULL;
            return err_set(err, ERR_PROTO, "entry %zu of %zu is malformed", i, count);
        }
        term = append->entries[i].term;
        size += one;
    }
    append->n_entries = (unsigned)count;
    return copy_to_batch(append, size, err);
}

static int read_append(struct reader *reader, struct wire_message *ret, struct err *err)
{
    struct raft_append_entries *append = &ret->raft.append_entries;
    append->term = read_term(reader);
    append->prev_log_index = read_number(reader, WIRE_NUMBER_MAX);
    append->prev_log_term = read_number(reader, WIRE_NUMBER_MAX);
    append->leader_commit = read_number(reader, WIRE_NUMBER_MAX);
    ret->extra.sent_ms = (int64_t)read_number(reader, WIRE_NUMBER_MAX);
    ret->extra.lease_ttl_ms = (int64_t)read_number(reader, WIRE_DURATION_MAX);
    ret->extra.heartbeat_ms = (int64_t)read_number(reader, WIRE_DURATION_MAX);
    /* Advice only; a node of an earlier version says less. */
    (void)mp_bool(mp_at(reader->array, reader->next + 1), &ret->extra.acting);
    uint64_t stall = 0;
    (void)mp_u64(mp_at(reader->array, reader->next + 2), &stall);
    ret->extra.stall_ms = stall < WIRE_DURATION_MAX ? (int64_t)stall : WIRE_DURATION_MAX;
    check_last(reader, append->prev_log_index, append->prev_log_term);
    reader->failed |= append->prev_log_term > append->term;
    if (reader->failed) {
        return err_set(err, ERR_PROTO, "malformed append");
    }
    return read_entries(mp_at(reader->array, reader->next), append, err);
}

static int read_servers(const msgpack_object *list, struct raft_configuration *ret, struct err *err)
{
    struct consensus_server servers[NODES_MAX];
    size_t count = mp_count(list);
    if (mp_array(list, 1) == NULL || count > NODES_MAX) {
        return err_set(err, ERR_PROTO, "list of servers is missing or longer than %d", NODES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const msgpack_object *one = mp_at(list, i);
        uint64_t role;
        if (!mp_u64(mp_at(one, 0), &servers[i].id) || servers[i].id == 0 ||
            !mp_u64(mp_at(one, 1), &role) || role > CONSENSUS_SPARE) {
            return err_set(err, ERR_PROTO, "server %zu of %zu is malformed", i, count);
        }
        servers[i].role = (enum consensus_role)role;
    }
    return wire_raft_configuration(servers, count, ret, err);
}

static int read_snapshot(struct reader *reader, struct wire_message *ret, struct err *err)
{
    struct raft_install_snapshot *snapshot = &ret->raft.install_snapshot;
    snapshot->term = read_term(reader);
    snapshot->last_index = read_number(reader, WIRE_NUMBER_MAX);
    snapshot->last_term = read_term(reader);
    snapshot->conf_index = read_number(reader, WIRE_NUMBER_MAX);
    const uint8_t *bytes = NULL;
    size_t length = 0;
    if (reader->failed || snapshot->last_index == 0 || snapshot->last_term > snapshot->term ||
        snapshot->conf_index == 0 || snapshot->conf_index > snapshot->last_index ||
        !mp_bytes(mp_at(reader->array, reader->next + 1), &bytes, &length)) {
        return err_set(err, ERR_PROTO, "malformed snapshot message");
    }
    int rc = read_servers(mp_at(reader->array, reader->next), &snapshot->conf, err);
    if (rc != 0) {
        return rc;
    }
    snapshot->data.base = raft_malloc(length > 0 ? length : 1);
    if (snapshot->data.base == NULL) {
        raft_configuration_close(&snapshot->conf);
        return err_set(err, ERR_NOMEM, "no memory for a snapshot of %zu bytes", length);
    }
    if (length > 0) {
        memcpy(snapshot->data.base, bytes, length);
    }
    snapshot->data.len = length;
    return 0;
}

static void read_small(struct reader *reader, struct wire_message *ret)
{
    struct raft_message *message = &ret->raft;
    switch (message->type) {
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        message->append_entries_result.term = read_term(reader);
        message->append_entries_result.rejected = read_number(reader, WIRE_NUMBER_MAX);
        message->append_entries_result.last_log_index = read_number(reader, WIRE_NUMBER_MAX);
        ret->extra.echo_ms = (int64_t)read_number(reader, WIRE_NUMBER_MAX);
        /* A reason that a newer node knows is a reason all the same. */
        ret->extra.no_echo =
            read_number(reader, UINT64_MAX) == 0 ? WIRE_ECHOES : WIRE_NO_ECHO_SILENCE_TOO_SHORT;
        break;
    case RAFT_IO_REQUEST_VOTE:
        message->request_vote.term = read_term(reader);
        message->request_vote.candidate_id = message->server_id;
        message->request_vote.last_log_index = read_number(reader, WIRE_NUMBER_MAX);
        message->request_vote.last_log_term = read_number(reader, WIRE_NUMBER_MAX);
        message->request_vote.disrupt_leader = read_bool(reader);
        message->request_vote.pre_vote = read_bool(reader);
        check_last(reader, message->request_vote.last_log_index,
                   message->request_vote.last_log_term);
        break;
    case RAFT_IO_REQUEST_VOTE_RESULT:
        message->request_vote_result.term = read_term(reader);
        message->request_vote_result.vote_granted = read_bool(reader);
        message->request_vote_result.pre_vote = TO_RAFT_TRIBOOL(read_bool(reader));
        break;
    default:
        message->timeout_now.term = read_term(reader);
        message->timeout_now.last_log_index = read_number(reader, WIRE_NUMBER_MAX);
        message->timeout_now.last_log_term = read_number(reader, WIRE_NUMBER_MAX);
        uint64_t cause = read_number(reader, UINT64_MAX);
        ret->extra.cause =
            cause <= CONSENSUS_CAUSE_GRAY ? (enum consensus_cause)cause : CONSENSUS_CAUSE_TRANSFER;
        break;
    }
}

static int read_body(struct reader *reader, struct wire_message *ret, struct err *err)
{
    switch (ret->raft.type) {
    case RAFT_IO_APPEND_ENTRIES:
        return read_append(reader, ret, err);
    case RAFT_IO_INSTALL_SNAPSHOT:
        return read_snapshot(reader, ret, err);
    default:
        read_small(reader, ret);
        return reader->failed ? err_set(err, ERR_PROTO, "malformed message of type %u",
                                        (unsigned)ret->raft.type)
                              : 0;
    }
}

static int read_message(const msgpack_object *root, uint64_t from, struct wire_message *ret,
                        struct err *err)
{
    struct reader reader = {.array = mp_array(root, FIELDS_VOTED)};
    uint64_t version = read_number(&reader, UINT32_MAX);
    uint64_t type = read_number(&reader, UINT32_MAX);
    if (reader.failed || version != WIRE_VERSION || type < RAFT_IO_APPEND_ENTRIES ||
        type > RAFT_IO_TIMEOUT_NOW) {
        return err_set(err, ERR_PROTO, "consensus message of version %" PRIu64 ", type %" PRIu64,
                       version, type);
    }
    ret->raft.type = (unsigned short)type;
    ret->raft.server_id = from;
    wire_raft_address(from, ret->address);
    ret->raft.server_address = ret->address;
    return read_body(&reader, ret, err);
}

int wire_raft_decode(const uint8_t *bytes, size_t length, uint64_t from, struct wire_message *ret,
                     struct err *err)
{
    static const struct mp_limits limits = {
        .bytes = SNAPSHOT_BYTES_MAX, .elements = 64 + 4 * (size_t)WIRE_ENTRIES_MAX, .depth = 4};
    *ret = (struct wire_message){0};
    struct mp_doc doc;
    int rc = mp_parse(bytes, length, &limits, &doc, err);
    if (rc != 0) {
        return rc;
    }
    rc = read_message(&doc.root, from, ret, err);
    mp_doc_deinit(&doc);
    if (rc != 0) {
        *ret = (struct wire_message){0};
    }
    return rc;
}

void wire_raft_message_deinit(struct wire_message *self)
{
    if (self->raft.type == RAFT_IO_APPEND_ENTRIES) {
        struct raft_append_entries *append = &self->raft.append_entries;
        if (append->n_entries > 0) {
            raft_free(append->entries[0].batch);
        }
        raft_free(append->entries);
    } else if (self->raft.type == RAFT_IO_INSTALL_SNAPSHOT) {
        raft_configuration_close(&self->raft.install_snapshot.conf);
        raft_free(self->raft.install_snapshot.data.base);
    }
    *self = (struct wire_message){0};
}
