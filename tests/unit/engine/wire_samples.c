#include "tests/unit/engine/wire_samples.h"

#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

static const struct consensus_server servers[4] = {{1, CONSENSUS_VOTER},
                                                   {0xffffffffffffffff, CONSENSUS_VOTER},
                                                   {300, CONSENSUS_STANDBY},
                                                   {70000, CONSENSUS_SPARE}};

static struct raft_entry command(uint64_t term, size_t length)
{
    uint8_t bytes[COMMAND_BYTES_MAX];
    memset(bytes, 0xab, sizeof bytes);
    struct raft_entry entry = {.term = term, .type = RAFT_COMMAND};
    entry.buf.len = logbook_command_size(length);
    entry.buf.base = raft_malloc(entry.buf.len);
    invariant(entry.buf.base != NULL);
    logbook_command_write(entry.buf.base, bytes, length);
    return entry;
}

static struct raft_entry change(uint64_t term)
{
    struct raft_entry entry = {.term = term, .type = RAFT_CHANGE};
    struct raft_configuration configuration;
    invariant(wire_raft_configuration(servers, 4, &configuration, NULL) == 0);
    invariant(raft_configuration_encode(&configuration, &entry.buf) == 0);
    raft_configuration_close(&configuration);
    return entry;
}

static struct raft_entry barrier(uint64_t term)
{
    struct raft_entry entry = {.term = term, .type = RAFT_BARRIER};
    entry.buf.base = raft_calloc(1, 8);
    entry.buf.len = 8;
    invariant(entry.buf.base != NULL);
    return entry;
}

static void fill_append(struct raft_append_entries *append, bool with_entries)
{
    *append = (struct raft_append_entries){
        .term = 9, .prev_log_index = 100, .prev_log_term = 7, .leader_commit = 99};
    if (!with_entries) {
        return;
    }
    append->n_entries = 4;
    append->entries = raft_calloc(4, sizeof *append->entries);
    invariant(append->entries != NULL);
    append->entries[0] = command(7, 5);
    append->entries[1] = change(8);
    append->entries[2] = barrier(9);
    append->entries[3] = command(9, COMMAND_BYTES_MAX);
}

static void fill_snapshot(struct raft_install_snapshot *snapshot)
{
    *snapshot = (struct raft_install_snapshot){
        .term = 9, .last_index = 500, .last_term = 8, .conf_index = 400};
    invariant(wire_raft_configuration(servers, 4, &snapshot->conf, NULL) == 0);
    snapshot->data.len = 1000;
    snapshot->data.base = raft_calloc(1, 1000);
    invariant(snapshot->data.base != NULL);
}

void wire_sample_message(size_t i, struct raft_message *ret, struct wire_extra *ret_extra)
{
    *ret = (struct raft_message){.server_id = WIRE_SAMPLE_SENDER};
    *ret_extra = (struct wire_extra){0};
    switch (i) {
    case 0:
    case 1:
        ret->type = RAFT_IO_APPEND_ENTRIES;
        fill_append(&ret->append_entries, i == 1);
        *ret_extra = (struct wire_extra){
            .sent_ms = 123456789, .lease_ttl_ms = 350, .heartbeat_ms = 75, .acting = i == 1};
        break;
    case 2:
    case 3:
        ret->type = RAFT_IO_APPEND_ENTRIES_RESULT;
        ret->append_entries_result = (struct raft_append_entries_result){
            .term = 9, .rejected = i == 2 ? 0 : 77, .last_log_index = 104};
        ret_extra->echo_ms = i == 2 ? 123456789 : 0;
        ret_extra->no_echo = i == 2 ? WIRE_ECHOES : WIRE_NO_ECHO_SILENCE_TOO_SHORT;
        break;
    case 4:
        ret->type = RAFT_IO_REQUEST_VOTE;
        ret->request_vote = (struct raft_request_vote){.term = 10,
                                                       .candidate_id = WIRE_SAMPLE_SENDER,
                                                       .last_log_index = 104,
                                                       .last_log_term = 9,
                                                       .disrupt_leader = true};
        break;
    case 5:
        ret->type = RAFT_IO_REQUEST_VOTE_RESULT;
        ret->request_vote_result = (struct raft_request_vote_result){
            .term = 10, .vote_granted = true, .pre_vote = raft_tribool_true};
        break;
    case 6:
        ret->type = RAFT_IO_INSTALL_SNAPSHOT;
        fill_snapshot(&ret->install_snapshot);
        break;
    default:
        ret->type = RAFT_IO_TIMEOUT_NOW;
        ret->timeout_now =
            (struct raft_timeout_now){.term = 9, .last_log_index = 104, .last_log_term = 9};
        ret_extra->cause = CONSENSUS_CAUSE_DRAIN;
        break;
    }
}

void wire_sample_deinit(struct raft_message *message)
{
    if (message->type == RAFT_IO_APPEND_ENTRIES) {
        for (unsigned i = 0; i < message->append_entries.n_entries; i++) {
            raft_free(message->append_entries.entries[i].buf.base);
        }
        raft_free(message->append_entries.entries);
    } else if (message->type == RAFT_IO_INSTALL_SNAPSHOT) {
        raft_configuration_close(&message->install_snapshot.conf);
        raft_free(message->install_snapshot.data.base);
    }
}

void wire_sample(size_t i, struct mp_writer *writer)
{
    struct raft_message message;
    struct wire_extra extra;
    wire_sample_message(i, &message, &extra);
    int rc = wire_raft_encode(writer, &message, &extra, NULL);
    invariant(rc == 0);
    wire_sample_deinit(&message);
}
