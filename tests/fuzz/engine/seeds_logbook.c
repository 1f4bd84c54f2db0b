#include "consensus/logbook.h"
#include "consensus/wire_raft.h"
#include "tests/fuzz/seed.h"

#include <raft.h>
#include <string.h>

int main(int argc, char **argv)
{
    static const struct consensus_server servers[] = {
        {1, CONSENSUS_VOTER}, {1234567, CONSENSUS_SPARE}, {UINT64_MAX, CONSENSUS_STANDBY}};
    static const uint8_t command[] = "some command";
    struct raft_configuration configuration;
    struct raft_buffer change;
    uint8_t entry[64];
    uint8_t log[512] = {0, 1, 0, 0};
    if (argc != 2 || wire_raft_configuration(servers, 3, &configuration, NULL) != 0 ||
        raft_configuration_encode(&configuration, &change) != 0 || change.len > 255) {
        return 1;
    }
    size_t length = logbook_command_size(sizeof command);
    logbook_command_write(entry, command, sizeof command);
    seed_write(argv[1], "command", 0, entry, length);
    seed_write(argv[1], "change", 1, change.base, change.len);
    /* A log of a change, a command, and a barrier of a later term. */
    size_t at = 4;
    log[at++] = CONSENSUS_ENTRY_CHANGE;
    log[at++] = (uint8_t)change.len;
    memcpy(log + at, change.base, change.len);
    at += change.len;
    log[at++] = CONSENSUS_ENTRY_COMMAND;
    log[at++] = (uint8_t)length;
    memcpy(log + at, entry, length);
    at += length;
    log[at++] = 1 << 4 | CONSENSUS_ENTRY_BARRIER;
    log[at++] = 8;
    seed_write(argv[1], "log", 2, log, at + 8);
    log[0] = 5;
    log[1] = 6;
    log[2] = 1 << 4 | 1;
    log[3] = 1;
    seed_write(argv[1], "log-with-snapshot", 2, log, at + 8);
    raft_free(change.base);
    raft_configuration_close(&configuration);
    return 0;
}
