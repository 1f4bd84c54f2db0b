/* The formats of stored log entries. The first byte chooses: a command's entry, a configuration's
 * entry (which must be what the library itself would write, as it decodes without a check), or a
 * whole log as storage hands it over: pieces of [type and term, length, bytes]. */
#include "consensus/logbook.h"
#include "consensus/wire_raft.h"
#include "node/base/invariant.h"

#include <raft.h>
#include <string.h>

#define ENTRIES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_command(const uint8_t *data, size_t size)
{
    const uint8_t *command;
    const uint8_t *again;
    size_t length;
    size_t again_length;
    uint8_t entry[LOGBOOK_COMMAND_ENTRY_MAX];
    if (logbook_command_read(data, size, &command, &length, NULL) != 0) {
        return;
    }
    invariant(command >= data && command + length <= data + size);
    logbook_command_write(entry, command, length);
    int rc = logbook_command_read(entry, logbook_command_size(length), &again, &again_length, NULL);
    invariant(rc == 0 && again_length == length && memcmp(again, command, length) == 0);
}

static void check_change(const uint8_t *data, size_t size)
{
    struct logbook_configuration change;
    struct raft_configuration theirs;
    struct raft_buffer buffer;
    size_t used;
    if (logbook_change_read(data, size, &change, &used, NULL) != 0) {
        return;
    }
    invariant(used <= size && size - used < 8);
    int rc = wire_raft_configuration(change.servers, change.server_count, &theirs, NULL);
    invariant(rc == 0);
    rc = raft_configuration_encode(&theirs, &buffer);
    invariant(rc == 0);
    /* The library keeps servers in the order of their ids; other orders decode as well. */
    invariant(buffer.len == size);
    raft_free(buffer.base);
    raft_configuration_close(&theirs);
}

/* What was loaded must be consistent, and stay so when it is cut and grows again. */
static void check_log(struct logbook *log)
{
    uint64_t last = logbook_last_index(log);
    invariant(last + 1 >= log->first_index);
    for (uint64_t index = log->first_index; index <= last; index++) {
        invariant(logbook_term_of(log, index) > 0);
    }
    const struct logbook_configuration *newest = logbook_newest_configuration(log);
    invariant(newest == NULL || newest->server_count <= NODES_MAX);
    logbook_committed(log, log->first_index + log->count / 3);
    logbook_truncate(log, log->first_index + log->count * 2 / 3 + 1);
    invariant(logbook_last_index(log) <= last);
}

static size_t take_entries(const uint8_t *data, size_t size, struct consensus_entry *ret)
{
    size_t count = 0;
    uint64_t term = 1;
    while (size >= 2 && count < ENTRIES_MAX) {
        size_t length = data[1] < size - 2 ? data[1] : size - 2;
        term = (data[0] & 0x80) != 0 ? data[0] >> 4 : term + (data[0] >> 4);
        ret[count++] = (struct consensus_entry){.term = term,
                                                .type = (enum consensus_entry_type)(data[0] & 3),
                                                .bytes = data + 2,
                                                .length = length};
        data += length + 2;
        size -= length + 2;
    }
    return count;
}

static void check_stored(const uint8_t *data, size_t size)
{
    struct consensus_entry entries[ENTRIES_MAX];
    struct logbook log;
    if (size < 4) {
        return;
    }
    struct consensus_stored stored = {.term = 100, .first_index = data[1]};
    stored.has_snapshot = data[0] != 0;
    stored.snapshot = (struct consensus_snapshot_meta){.index = data[0],
                                                       .term = data[2] & 15,
                                                       .configuration_index = data[2] >> 4,
                                                       .server_count = data[3] & 63};
    for (size_t i = 0; i < stored.snapshot.server_count && i < NODES_MAX; i++) {
        stored.snapshot.servers[i] =
            (struct consensus_server){i * data[3], (enum consensus_role)(i % 3)};
    }
    stored.entries = entries;
    stored.entry_count = take_entries(data + 4, size - 4, entries);
    logbook_init(&log);
    if (logbook_load(&log, &stored, NULL) == 0) {
        check_log(&log);
        (void)logbook_append(&log, entries, stored.entry_count, NULL);
        (void)logbook_snapshot(&log, &stored.snapshot, data[1], NULL);
    }
    logbook_deinit(&log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if (data[0] % 3 == 0) {
        check_command(data + 1, size - 1);
    } else if (data[0] % 3 == 1) {
        check_change(data + 1, size - 1);
    } else {
        check_stored(data + 1, size - 1);
    }
    return 0;
}
