#include "consensus/logbook.h"

#include "node/base/invariant.h"

#include <raft.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_FORMAT 1
#define CHANGE_FORMAT 1

void logbook_init(struct logbook *self)
{
    *self = (struct logbook){.first_index = 1};
}

void logbook_deinit(struct logbook *self)
{
    free(self->slots);
    free(self->configurations);
    *self = (struct logbook){.first_index = 1};
}

static int reserve_slots(struct logbook *self, size_t more, struct err *err)
{
    size_t wanted = self->count + more;
    if (wanted <= self->capacity) {
        return 0;
    }
    size_t capacity = wanted * 2 < 64 ? 64 : wanted * 2;
    struct logbook_slot *slots = realloc(self->slots, capacity * sizeof *slots);
    if (slots == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for %zu log entries", capacity);
    }
    self->slots = slots;
    self->capacity = capacity;
    return 0;
}

static int push_configuration(struct logbook *self,
                              const struct logbook_configuration *configuration, struct err *err)
{
    if (self->configuration_count == self->configuration_capacity) {
        size_t capacity = self->configuration_capacity == 0 ? 4 : self->configuration_capacity * 2;
        struct logbook_configuration *grown =
            realloc(self->configurations, capacity * sizeof *grown);
        if (grown == NULL) {
            return err_set(err, ERR_NOMEM, "no memory for %zu configurations", capacity);
        }
        self->configurations = grown;
        self->configuration_capacity = capacity;
    }
    self->configurations[self->configuration_count++] = *configuration;
    return 0;
}

static int push_snapshot_configuration(struct logbook *self,
                                       const struct consensus_snapshot_meta *meta, struct err *err)
{
    struct logbook_configuration configuration = {.index = meta->configuration_index,
                                                  .server_count = meta->server_count};
    memcpy(configuration.servers, meta->servers, sizeof configuration.servers);
    return push_configuration(self, &configuration, err);
}

static int push_entry(struct logbook *self, const struct consensus_entry *entry, struct err *err)
{
    uint64_t index = logbook_last_index(self) + 1;
    if (entry->type == CONSENSUS_ENTRY_CHANGE && index > self->snapshot_index) {
        struct logbook_configuration configuration;
        int rc = logbook_change_read(entry->bytes, entry->length, &configuration, NULL, err);
        if (rc != 0) {
            return rc;
        }
        configuration.index = index;
        rc = push_configuration(self, &configuration, err);
        if (rc != 0) {
            return rc;
        }
    }
    invariant(self->count < self->capacity);
    self->slots[self->count++] = (struct logbook_slot){.term = entry->term, .type = entry->type};
    return 0;
}

static int check_snapshot(const struct consensus_stored *stored, struct err *err)
{
    const struct consensus_snapshot_meta *meta = &stored->snapshot;
    if (meta->index == 0 || meta->term == 0 || meta->configuration_index > meta->index ||
        meta->server_count == 0 || meta->server_count > NODES_MAX) {
        return err_set(err, ERR_CORRUPT, "stored snapshot at index %llu has impossible metadata",
                       (unsigned long long)meta->index);
    }
    uint64_t last = stored->first_index + stored->entry_count - 1;
    if (stored->first_index > meta->index + 1 || last < meta->index) {
        return err_set(err, ERR_CORRUPT,
                       "stored entries %llu to %llu do not meet the snapshot at %llu",
                       (unsigned long long)stored->first_index, (unsigned long long)last,
                       (unsigned long long)meta->index);
    }
    return 0;
}

static int check_entries(const struct consensus_stored *stored, struct err *err)
{
    uint64_t term = 0;
    for (size_t i = 0; i < stored->entry_count; i++) {
        const struct consensus_entry *entry = &stored->entries[i];
        uint64_t index = stored->first_index + i;
        if (entry->term == 0 || entry->term < term || entry->type < CONSENSUS_ENTRY_COMMAND ||
            entry->type > CONSENSUS_ENTRY_CHANGE) {
            return err_set(err, ERR_CORRUPT, "stored entry %llu has term %llu and type %d",
                           (unsigned long long)index, (unsigned long long)entry->term,
                           (int)entry->type);
        }
        term = entry->term;
    }
    return 0;
}

static int check_stored(const struct consensus_stored *stored, struct err *err)
{
    if (stored->first_index == 0) {
        return err_set(err, ERR_CORRUPT, "stored log begins at index 0, expected 1 or more");
    }
    if (stored->has_snapshot) {
        int rc = check_snapshot(stored, err);
        if (rc != 0) {
            return rc;
        }
    } else if (stored->first_index != 1 ||
               (stored->entry_count > 0 && stored->entries[0].type != CONSENSUS_ENTRY_CHANGE)) {
        return err_set(err, ERR_CORRUPT,
                       "stored log without snapshot begins at %llu, not with a configuration at 1",
                       (unsigned long long)stored->first_index);
    }
    return check_entries(stored, err);
}

int logbook_load(struct logbook *self, const struct consensus_stored *stored, struct err *err)
{
    int rc = check_stored(stored, err);
    if (rc != 0) {
        return rc;
    }
    self->count = 0;
    self->configuration_count = 0;
    self->snapshot_index = stored->has_snapshot ? stored->snapshot.index : 0;
    self->snapshot_term = stored->has_snapshot ? stored->snapshot.term : 0;
    self->first_index = stored->first_index;
    if (stored->has_snapshot) {
        rc = push_snapshot_configuration(self, &stored->snapshot, err);
        if (rc != 0) {
            return rc;
        }
    }
    return logbook_append(self, stored->entries, stored->entry_count, err);
}

int logbook_append(struct logbook *self, const struct consensus_entry *entries, size_t count,
                   struct err *err)
{
    int rc = reserve_slots(self, count, err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = push_entry(self, &entries[i], err);
    }
    return rc;
}

void logbook_truncate(struct logbook *self, uint64_t first_index)
{
    if (first_index <= logbook_last_index(self)) {
        self->count =
            first_index > self->first_index ? (size_t)(first_index - self->first_index) : 0;
    }
    while (self->configuration_count > 0 &&
           self->configurations[self->configuration_count - 1].index >= first_index) {
        self->configuration_count--;
    }
}

int logbook_snapshot(struct logbook *self, const struct consensus_snapshot_meta *meta,
                     uint64_t trailing, struct err *err)
{
    self->snapshot_index = meta->index;
    self->snapshot_term = meta->term;
    if (trailing == 0) {
        self->count = 0;
        self->first_index = meta->index + 1;
        self->configuration_count = 0;
        return push_snapshot_configuration(self, meta, err);
    }
    if (meta->index <= trailing || meta->index - trailing < self->first_index) {
        return 0;
    }
    uint64_t gone = meta->index - trailing - self->first_index + 1;
    size_t drop = gone < self->count ? (size_t)gone : self->count;
    if (drop > 0) {
        memmove(self->slots, self->slots + drop, (self->count - drop) * sizeof *self->slots);
    }
    self->count -= drop;
    self->first_index += drop;
    return 0;
}

void logbook_committed(struct logbook *self, uint64_t index)
{
    size_t older = 0;
    while (older + 1 < self->configuration_count &&
           self->configurations[older + 1].index <= index) {
        older++;
    }
    if (older > 0) {
        self->configuration_count -= older;
        memmove(self->configurations, self->configurations + older,
                self->configuration_count * sizeof *self->configurations);
    }
}

uint64_t logbook_last_index(const struct logbook *self)
{
    return self->first_index + self->count - 1;
}

uint64_t logbook_last_term(const struct logbook *self)
{
    return logbook_term_of(self, logbook_last_index(self));
}

uint64_t logbook_term_of(const struct logbook *self, uint64_t index)
{
    if (index >= self->first_index && index - self->first_index < self->count) {
        return self->slots[index - self->first_index].term;
    }
    return index != 0 && index == self->snapshot_index ? self->snapshot_term : 0;
}

bool logbook_changes_from(const struct logbook *self, uint64_t index)
{
    size_t i = index > self->first_index ? (size_t)(index - self->first_index) : 0;
    for (; i < self->count; i++) {
        if (self->slots[i].type == CONSENSUS_ENTRY_CHANGE) {
            return true;
        }
    }
    return false;
}

const struct logbook_configuration *logbook_newest_configuration(const struct logbook *self)
{
    return self->configuration_count == 0 ? NULL
                                          : &self->configurations[self->configuration_count - 1];
}

size_t logbook_voter_count(const struct logbook_configuration *configuration)
{
    size_t count = 0;
    for (size_t i = 0; i < configuration->server_count; i++) {
        count += configuration->servers[i].role == CONSENSUS_VOTER ? 1u : 0u;
    }
    return count;
}

bool logbook_is_voter(const struct logbook_configuration *configuration, uint64_t id)
{
    for (size_t i = 0; i < configuration->server_count; i++) {
        if (configuration->servers[i].id == id) {
            return configuration->servers[i].role == CONSENSUS_VOTER;
        }
    }
    return false;
}

size_t logbook_command_size(size_t length)
{
    return (LOGBOOK_COMMAND_HEADER + length + 7) & ~(size_t)7;
}

void logbook_command_write(uint8_t *ret, const uint8_t *bytes, size_t length)
{
    invariant(length <= COMMAND_BYTES_MAX);
    memset(ret, 0, logbook_command_size(length));
    ret[0] = COMMAND_FORMAT;
    for (size_t i = 0; i < 4; i++) {
        ret[4 + i] = (uint8_t)(length >> (8 * i));
    }
    if (length > 0) {
        memcpy(ret + LOGBOOK_COMMAND_HEADER, bytes, length);
    }
}

int logbook_command_read(const uint8_t *entry, size_t entry_length, const uint8_t **ret,
                         size_t *ret_length, struct err *err)
{
    if (entry_length < LOGBOOK_COMMAND_HEADER || entry[0] != COMMAND_FORMAT) {
        return err_set(err, ERR_CORRUPT, "command entry of %zu bytes has no header of format %d",
                       entry_length, COMMAND_FORMAT);
    }
    size_t length = 0;
    for (size_t i = 0; i < 4; i++) {
        length |= (size_t)entry[4 + i] << (8 * i);
    }
    if (length > COMMAND_BYTES_MAX || logbook_command_size(length) != entry_length) {
        return err_set(err, ERR_CORRUPT, "command entry of %zu bytes claims a command of %zu",
                       entry_length, length);
    }
    *ret = entry + LOGBOOK_COMMAND_HEADER;
    *ret_length = length;
    return 0;
}

struct cursor {
    const uint8_t *bytes;
    size_t length;
    size_t position;
};

static bool take_u64(struct cursor *cursor, uint64_t *ret)
{
    if (cursor->length - cursor->position < 8) {
        return false;
    }
    *ret = 0;
    for (size_t i = 0; i < 8; i++) {
        *ret |= (uint64_t)cursor->bytes[cursor->position++] << (8 * i);
    }
    return true;
}

/* Our addresses are the decimal id; anything else did not come from us. */
static bool take_address_of(struct cursor *cursor, uint64_t id)
{
    const uint8_t *text = cursor->bytes + cursor->position;
    const uint8_t *end = memchr(text, 0, cursor->length - cursor->position);
    if (end == NULL || end == text || end - text > 20 || text[0] == '0') {
        return false;
    }
    uint64_t value = 0;
    for (const uint8_t *p = text; p < end; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value)) {
            return false;
        }
    }
    cursor->position += (size_t)(end - text) + 1;
    return value == id;
}

static bool take_role(struct cursor *cursor, enum consensus_role *ret)
{
    if (cursor->position >= cursor->length) {
        return false;
    }
    switch (cursor->bytes[cursor->position++]) {
    case RAFT_VOTER:
        *ret = CONSENSUS_VOTER;
        return true;
    case RAFT_STANDBY:
        *ret = CONSENSUS_STANDBY;
        return true;
    case RAFT_SPARE:
        *ret = CONSENSUS_SPARE;
        return true;
    default:
        return false;
    }
}

static bool take_server(struct cursor *cursor, struct logbook_configuration *configuration)
{
    struct consensus_server server;
    if (!take_u64(cursor, &server.id) || server.id == 0 || !take_address_of(cursor, server.id) ||
        !take_role(cursor, &server.role)) {
        return false;
    }
    for (size_t i = 0; i < configuration->server_count; i++) {
        if (configuration->servers[i].id == server.id) {
            return false;
        }
    }
    configuration->servers[configuration->server_count++] = server;
    return true;
}

int logbook_change_read(const uint8_t *entry, size_t entry_length,
                        struct logbook_configuration *ret, size_t *ret_used, struct err *err)
{
    *ret = (struct logbook_configuration){0};
    struct cursor cursor = {.bytes = entry, .length = entry_length, .position = 1};
    uint64_t count = 0;
    if (entry_length < 9 || entry_length > LOGBOOK_CHANGE_ENTRY_MAX || entry[0] != CHANGE_FORMAT ||
        !take_u64(&cursor, &count) || count == 0 || count > NODES_MAX) {
        return err_set(err, ERR_CORRUPT,
                       "configuration entry of %zu bytes has no list of 1 to %d servers",
                       entry_length, NODES_MAX);
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!take_server(&cursor, ret)) {
            return err_set(err, ERR_CORRUPT, "server %llu of a configuration entry is malformed",
                           (unsigned long long)i);
        }
    }
    if (entry_length != ((cursor.position + 7) & ~(size_t)7)) {
        return err_set(err, ERR_CORRUPT, "configuration entry of %zu bytes, expected %zu",
                       entry_length, (cursor.position + 7) & ~(size_t)7);
    }
    if (ret_used != NULL) {
        *ret_used = cursor.position;
    }
    return 0;
}
