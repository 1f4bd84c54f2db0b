/* The stored log, remembered: term and kind of each entry, and each server list that is or may come
 * into force. It follows every durable write of storage, so guards and lease need neither the disk
 * nor the library's memory.
 *
 * Also the two entry formats: our command wrapper, and the library's encoding of a configuration
 * (raft_configuration_encode of libraft 0.15: one byte format 1, then little endian u64 count, and
 * for each server u64 id, address as text with NUL, one byte role; padded with zeros to 8 bytes).
 * The library decodes it without a check of bounds, so it is checked here first. */
#ifndef UNDERSTUDY_CONSENSUS_LOGBOOK_H
#define UNDERSTUDY_CONSENSUS_LOGBOOK_H

#include "consensus/consensus.h"

/* Command wrapper: format 1, three zeros, u32 little endian length, bytes, zeros up to 8. */
#define LOGBOOK_COMMAND_HEADER 8
#define LOGBOOK_COMMAND_ENTRY_MAX (LOGBOOK_COMMAND_HEADER + COMMAND_BYTES_MAX)
/* id (8), twenty digits and NUL, role (1) for each server, behind nine bytes; padded. */
#define LOGBOOK_CHANGE_ENTRY_MAX (((9 + NODES_MAX * 30) + 7) & ~7)

struct logbook_configuration {
    uint64_t index; /* of its entry; 0: none */
    size_t server_count;
    struct consensus_server servers[NODES_MAX];
};

struct logbook_slot {
    uint64_t term;
    enum consensus_entry_type type;
};

struct logbook {
    uint64_t snapshot_index; /* 0: none */
    uint64_t snapshot_term;
    uint64_t first_index; /* of slots[0]; entries before it are gone or never were */
    struct logbook_slot *slots;
    size_t count;
    size_t capacity;
    /* Ascending by index: the newest committed one (as far as known), then all later ones. */
    struct logbook_configuration *configurations;
    size_t configuration_count;
    size_t configuration_capacity;
};

void logbook_init(struct logbook *self);
void logbook_deinit(struct logbook *self);

/* Replace everything by what storage loaded. ERR_CORRUPT names what is wrong with it. */
int logbook_load(struct logbook *self, const struct consensus_stored *stored, struct err *err);

/* Entries that storage appended behind the last index. */
int logbook_append(struct logbook *self, const struct consensus_entry *entries, size_t count,
                   struct err *err);
void logbook_truncate(struct logbook *self, uint64_t first_index);
int logbook_snapshot(struct logbook *self, const struct consensus_snapshot_meta *meta,
                     uint64_t trailing, struct err *err);
/* Everything up to `index` is committed: older server lists can never come back. */
void logbook_committed(struct logbook *self, uint64_t index);

uint64_t logbook_last_index(const struct logbook *self);
uint64_t logbook_last_term(const struct logbook *self);
/* 0 when the entry is not there (nor the snapshot's last one). */
uint64_t logbook_term_of(const struct logbook *self, uint64_t index);
/* Does an entry at or behind `index` change the configuration? */
bool logbook_changes_from(const struct logbook *self, uint64_t index);
/* The newest server list, or NULL. */
const struct logbook_configuration *logbook_newest_configuration(const struct logbook *self);

size_t logbook_voter_count(const struct logbook_configuration *configuration);
bool logbook_is_voter(const struct logbook_configuration *configuration, uint64_t id);

/* Entry of a command of `length` bytes: its size, and the bytes into `ret` of that size. */
size_t logbook_command_size(size_t length);
void logbook_command_write(uint8_t *ret, const uint8_t *bytes, size_t length);
/* The command inside an entry (borrowed), or ERR_CORRUPT. */
int logbook_command_read(const uint8_t *entry, size_t entry_length, const uint8_t **ret,
                         size_t *ret_length, struct err *err);

/* The server list of a configuration entry; ret_used: bytes before the padding (may be NULL). */
int logbook_change_read(const uint8_t *entry, size_t entry_length,
                        struct logbook_configuration *ret, size_t *ret_used, struct err *err);

#endif
