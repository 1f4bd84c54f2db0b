/* The contract of storage.h, call by call, and across restarts. */
#include "tests/folder.h"
#include "tests/unit/storage/storage_fixture.h"

#include "node/base/invariant.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char root[FOLDER_SIZE];
    char folder[FOLDER_SIZE];
    struct storage *storage;
    struct consensus_storage log;
    struct consensus_stored stored;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *self = calloc(1, sizeof *self);
    invariant(self != NULL);
    fixture_make(self->root, self->folder);
    self->storage = fixture_open(self->folder);
    assert_non_null(self->storage);
    storage_consensus(self->storage, &self->log);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *self = *state;
    fixture_free(&self->stored);
    storage_close(&self->storage);
    folder_remove(self->root);
    free(self);
    return 0;
}

static void reopen(struct fixture *self)
{
    storage_close(&self->storage);
    self->storage = fixture_open(self->folder);
    assert_non_null(self->storage);
    storage_consensus(self->storage, &self->log);
}

static void load(struct fixture *self)
{
    fixture_free(&self->stored);
    if (self->log.load(self->log.context, &self->stored, &self->err) != 0) {
        fail_msg("load: %s", self->err.msg);
    }
}

static void append(struct fixture *self, uint64_t first, uint64_t last, uint64_t term)
{
    for (uint64_t index = first; index <= last; index++) {
        if (fixture_append(&self->log, index, term, (size_t)(index % 100), &self->err) != 0) {
            fail_msg("append %llu: %s", (unsigned long long)index, self->err.msg);
        }
    }
}

static int put_snapshot(struct fixture *self, uint64_t index, size_t length, uint64_t trailing)
{
    uint8_t *bytes = malloc(length + 1);
    invariant(bytes != NULL);
    memset(bytes, (int)(index & 0xff), length);
    struct consensus_snapshot_meta meta = {
        .index = index,
        .term = 3,
        .configuration_index = 1,
        .server_count = 2,
        .servers = {{.id = UINT64_MAX, .role = CONSENSUS_VOTER},
                    {.id = 22, .role = CONSENSUS_SPARE}},
    };
    int rc = self->log.snapshot_put(self->log.context, &meta, bytes, length, trailing, &self->err);
    free(bytes);
    return rc;
}

static void a_fresh_folder_is_pristine(void **state)
{
    struct fixture *self = *state;
    load(self);
    assert_int_equal(self->stored.term, 0);
    assert_int_equal(self->stored.vote, 0);
    assert_false(self->stored.has_snapshot);
    assert_int_equal(self->stored.first_index, 1);
    assert_int_equal(self->stored.entry_count, 0);
    assert_int_equal(self->log.snapshot_get(self->log.context, &self->stored, &self->err),
                     ERR_NOTFOUND);
}

static void term_and_vote_survive(void **state)
{
    struct fixture *self = *state;
    uint64_t voted = 0xfedcba9876543210u;
    assert_int_equal(self->log.set_term(self->log.context, 7, &self->err), 0);
    assert_int_equal(self->log.set_vote(self->log.context, 7, voted, &self->err), 0);
    reopen(self);
    load(self);
    assert_int_equal(self->stored.term, 7);
    assert_true(self->stored.vote == voted);
    assert_int_equal(self->log.set_term(self->log.context, 8, &self->err), 0);
    reopen(self);
    load(self);
    assert_int_equal(self->stored.term, 8);
    assert_int_equal(self->stored.vote, 0);
}

static void a_vote_and_a_term_are_never_taken_back(void **state)
{
    struct fixture *self = *state;
    assert_int_equal(self->log.set_term(self->log.context, 7, &self->err), 0);
    assert_int_equal(self->log.set_vote(self->log.context, 7, 1, &self->err), 0);
    assert_int_equal(self->log.set_vote(self->log.context, 7, 1, &self->err), 0);
    assert_int_equal(self->log.set_vote(self->log.context, 7, 2, &self->err), ERR_INVALID);
    assert_int_equal(self->log.set_vote(self->log.context, 7, 0, &self->err), ERR_INVALID);
    assert_int_equal(self->log.set_term(self->log.context, 7, &self->err), ERR_INVALID);
    assert_int_equal(self->log.set_term(self->log.context, 6, &self->err), ERR_INVALID);
    assert_int_equal(self->log.set_vote(self->log.context, 6, 1, &self->err), ERR_INVALID);
    assert_int_equal(self->log.set_vote(self->log.context, 9, 3, &self->err), 0);
    assert_int_equal(self->log.set_term(self->log.context, 9, &self->err), ERR_INVALID);
    load(self);
    assert_int_equal(self->stored.term, 9);
    assert_int_equal(self->stored.vote, 3);
}

static void entries_survive_with_their_contents(void **state)
{
    struct fixture *self = *state;
    append(self, 1, 250, 2);
    reopen(self);
    load(self);
    assert_int_equal(self->stored.first_index, 1);
    assert_int_equal(self->stored.entry_count, 250);
    for (uint64_t index = 1; index <= 250; index++) {
        assert_true(fixture_entry_is(&self->stored.entries[index - 1], index, 2, index % 100));
    }
    append(self, 251, 251, 3);
    reopen(self);
    load(self);
    assert_int_equal(self->stored.entry_count, 251);
}

static void several_entries_are_one_step(void **state)
{
    struct fixture *self = *state;
    uint8_t bytes[] = {1, 2, 3};
    struct consensus_entry entries[3] = {
        {.term = 1, .type = CONSENSUS_ENTRY_COMMAND, .bytes = bytes, .length = 3},
        {.term = 1, .type = CONSENSUS_ENTRY_BARRIER, .bytes = NULL, .length = 0},
        {.term = 2, .type = CONSENSUS_ENTRY_CHANGE, .bytes = bytes, .length = 1},
    };
    struct storage_latency before;
    struct storage_latency after;
    storage_latency(self->storage, true, &before);
    assert_int_equal(self->log.append(self->log.context, 1, entries, 3, &self->err), 0);
    storage_latency(self->storage, false, &after);
    assert_int_equal(after.writes, before.writes + 1);
    assert_true(after.worst_us > 0 && after.worst_us == after.last_us);
    reopen(self);
    load(self);
    assert_int_equal(self->stored.entry_count, 3);
    assert_int_equal(self->stored.entries[1].type, CONSENSUS_ENTRY_BARRIER);
    assert_int_equal(self->stored.entries[1].length, 0);
    assert_int_equal(self->stored.entries[2].type, CONSENSUS_ENTRY_CHANGE);
    assert_int_equal(self->stored.entries[2].term, 2);
}

/* What a leader does that has nothing to write: measured like a write, and no entry. */
static void a_proof_is_a_write_that_changes_nothing(void **state)
{
    struct fixture *self = *state;
    const struct consensus_entry entry = {
        .term = 1, .type = CONSENSUS_ENTRY_COMMAND, .bytes = (const uint8_t *)"x", .length = 1};
    struct storage_latency before;
    struct storage_latency after;
    assert_int_equal(storage_prove(self->storage, &self->err), 0); /* on an empty log too */
    assert_int_equal(self->log.append(self->log.context, 1, &entry, 1, &self->err), 0);
    storage_latency(self->storage, true, &before);
    assert_int_equal(storage_prove(self->storage, &self->err), 0);
    storage_latency(self->storage, false, &after);
    assert_int_equal(after.writes, before.writes + 1);
    assert_int_equal(after.wal_bytes, before.wal_bytes);
    reopen(self);
    load(self);
    assert_int_equal(self->stored.entry_count, 1);
}

static void an_append_with_a_gap_is_refused(void **state)
{
    struct fixture *self = *state;
    append(self, 1, 3, 1);
    assert_int_equal(fixture_append(&self->log, 5, 1, 4, &self->err), ERR_INVALID);
    assert_int_equal(fixture_append(&self->log, 3, 1, 4, &self->err), ERR_INVALID);
    append(self, 4, 4, 1);
    load(self);
    assert_int_equal(self->stored.entry_count, 4);
}

static void truncation_drops_the_end_only(void **state)
{
    struct fixture *self = *state;
    append(self, 1, 10, 1);
    assert_int_equal(self->log.truncate(self->log.context, 50, &self->err), 0);
    assert_int_equal(self->log.truncate(self->log.context, 6, &self->err), 0);
    append(self, 6, 7, 2);
    reopen(self);
    load(self);
    assert_int_equal(self->stored.entry_count, 7);
    assert_true(fixture_entry_is(&self->stored.entries[4], 5, 1, 5));
    assert_true(fixture_entry_is(&self->stored.entries[5], 6, 2, 6));
    assert_int_equal(self->log.truncate(self->log.context, 1, &self->err), 0);
    reopen(self);
    load(self);
    assert_int_equal(self->stored.entry_count, 0);
    assert_int_equal(self->stored.first_index, 1);
    append(self, 1, 1, 3);
}

static void a_snapshot_keeps_trailing_entries(void **state)
{
    struct fixture *self = *state;
    append(self, 1, 20, 3);
    assert_int_equal(put_snapshot(self, 15, 100000, 5), 0);
    reopen(self);
    load(self);
    assert_true(self->stored.has_snapshot);
    assert_int_equal(self->stored.snapshot.index, 15);
    assert_int_equal(self->stored.snapshot.term, 3);
    assert_int_equal(self->stored.snapshot.configuration_index, 1);
    assert_int_equal(self->stored.snapshot.server_count, 2);
    assert_true(self->stored.snapshot.servers[0].id == UINT64_MAX);
    assert_int_equal(self->stored.snapshot.servers[1].role, CONSENSUS_SPARE);
    assert_int_equal(self->stored.snapshot_length, 100000);
    assert_int_equal(self->stored.snapshot_bytes[99999], 15);
    assert_int_equal(self->stored.first_index, 11);
    assert_int_equal(self->stored.entry_count, 10);
    append(self, 21, 21, 3);
    assert_int_equal(put_snapshot(self, 14, 10, 5), ERR_INVALID);
    assert_int_equal(self->log.truncate(self->log.context, 15, &self->err), ERR_INVALID);
    assert_int_equal(self->log.truncate(self->log.context, 16, &self->err), 0);
    append(self, 16, 16, 4);
}

static void an_installed_snapshot_empties_the_log(void **state)
{
    struct fixture *self = *state;
    append(self, 1, 20, 3);
    assert_int_equal(put_snapshot(self, 100, 0, 0), 0);
    reopen(self);
    load(self);
    assert_int_equal(self->stored.first_index, 101);
    assert_int_equal(self->stored.entry_count, 0);
    assert_int_equal(self->stored.snapshot_length, 0);
    assert_int_equal(fixture_append(&self->log, 21, 3, 1, &self->err), ERR_INVALID);
    append(self, 101, 103, 4);
    assert_int_equal(put_snapshot(self, 103, 7, 512), 0);
    reopen(self);
    load(self);
    assert_int_equal(self->stored.first_index, 101);
    assert_int_equal(self->stored.entry_count, 3);
    struct consensus_stored again = {0};
    assert_int_equal(self->log.snapshot_get(self->log.context, &again, &self->err), 0);
    assert_int_equal(again.snapshot.index, 103);
    assert_int_equal(again.snapshot_length, 7);
    fixture_free(&again);
}

static void the_log_file_is_bounded(void **state)
{
    struct fixture *self = *state;
    for (uint64_t round = 0; round < 6; round++) {
        append(self, round * 300 + 1, round * 300 + 300, 1);
        assert_int_equal(put_snapshot(self, round * 300 + 300, 1 << 20, 100), 0);
    }
    assert_int_equal(put_snapshot(self, 1800, 8 << 20, 100), 0);
    append(self, 1801, 1802, 1);
    char path[FOLDER_SIZE + 32];
    (void)snprintf(path, sizeof path, "%s/understudy.db-wal", self->folder);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_true(about.st_size < 5 << 20);
}

static void a_second_daemon_is_told_who_holds_the_folder(void **state)
{
    struct fixture *self = *state;
    struct storage *second = NULL;
    struct storage_config config = {.folder = self->folder, .node_name = "other"};
    assert_int_equal(storage_open(&config, &second, &self->err), ERR_BUSY);
    char pid[32];
    (void)snprintf(pid, sizeof pid, "(%ld n1)", (long)getpid());
    assert_non_null(strstr(self->err.msg, pid));
    assert_non_null(strstr(self->err.msg, self->folder));
    reopen(self);
}

static void identity_is_claimed_once(void **state)
{
    struct fixture *self = *state;
    struct storage_identity mine = {.public_key = "0123456789012345678901234567890123456789",
                                    .raft_id = UINT64_MAX - 1,
                                    .cluster = "demo"};
    struct storage_identity got;
    assert_int_equal(storage_identity(self->storage, &got, &self->err), ERR_NOTFOUND);
    assert_int_equal(storage_identity_claim(self->storage, &mine, &self->err), 0);
    reopen(self);
    struct storage_identity rotated = mine;
    rotated.public_key[0] = 'x';
    assert_int_equal(storage_identity_claim(self->storage, &rotated, &self->err), 0);
    assert_int_equal(storage_identity(self->storage, &got, &self->err), 0);
    assert_string_equal(got.public_key, mine.public_key);
    assert_true(got.raft_id == mine.raft_id);
    struct storage_identity other = mine;
    other.raft_id = 5;
    assert_int_equal(storage_identity_claim(self->storage, &other, &self->err), ERR_INVALID);
    other = mine;
    (void)snprintf(other.cluster, sizeof other.cluster, "else");
    assert_int_equal(storage_identity_claim(self->storage, &other, &self->err), ERR_INVALID);
    assert_non_null(strstr(self->err.msg, "demo"));
    assert_non_null(strstr(self->err.msg, "else"));
}

static void incarnations_only_grow(void **state)
{
    struct fixture *self = *state;
    uint64_t incarnation = 0;
    assert_int_equal(storage_incarnation_next(self->storage, &incarnation, &self->err), 0);
    assert_int_equal(incarnation, 1);
    reopen(self);
    assert_int_equal(storage_incarnation_next(self->storage, &incarnation, &self->err), 0);
    assert_int_equal(incarnation, 2);
    assert_int_equal(storage_incarnation_raise(self->storage, 40, &self->err), 0);
    assert_int_equal(storage_incarnation_raise(self->storage, 7, &self->err), 0);
    reopen(self);
    assert_int_equal(storage_incarnation_next(self->storage, &incarnation, &self->err), 0);
    assert_int_equal(incarnation, 41);
}

/* Appends until the size limit stops it; everything acknowledged before must stay. */
static void a_full_database_refuses_and_keeps_what_it_promised(void **state)
{
    struct fixture *self = *state;
    storage_close(&self->storage);
    struct storage_config config = {
        .folder = self->folder, .node_name = "n1", .bytes_max = 64 << 10};
    assert_int_equal(storage_open(&config, &self->storage, &self->err), 0);
    storage_consensus(self->storage, &self->log);
    uint64_t index = 0;
    int rc = 0;
    while (rc == 0 && index < 1000) {
        rc = fixture_append(&self->log, index + 1, 1, 1000, &self->err);
        index += rc == 0 ? 1 : 0;
    }
    assert_int_equal(rc, ERR_FULL);
    assert_true(index > 10);
    assert_true(fixture_append(&self->log, index + 1, 1, 1, &self->err) < 0);
    reopen(self);
    load(self);
    assert_int_equal(self->stored.entry_count, index);
    assert_true(fixture_entry_is(&self->stored.entries[index - 1], index, 1, 1000));
}

/* The disk's end, by RLIMIT_FSIZE, in a child of its own. */
static void a_full_disk_is_reported(void **state)
{
    struct fixture *self = *state;
    storage_close(&self->storage);
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {.rlim_cur = 256 << 10, .rlim_max = 256 << 10};
        self->storage = fixture_open(self->folder);
        if (self->storage == NULL || setrlimit(RLIMIT_FSIZE, &limit) != 0) {
            _exit(100);
        }
        storage_consensus(self->storage, &self->log);
        int index = 0;
        while (index < 200 &&
               fixture_append(&self->log, (uint64_t)index + 1, 1, 500, &self->err) == 0) {
            index++;
        }
        _exit(self->err.code == ERR_IO || self->err.code == ERR_FULL ? index : 101);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_in_range(WEXITSTATUS(status), 5, 99);
    reopen(self);
    load(self);
    assert_int_equal(self->stored.entry_count, WEXITSTATUS(status));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_fresh_folder_is_pristine),
        CASE(term_and_vote_survive),
        CASE(a_vote_and_a_term_are_never_taken_back),
        CASE(entries_survive_with_their_contents),
        CASE(several_entries_are_one_step),
        CASE(a_proof_is_a_write_that_changes_nothing),
        CASE(an_append_with_a_gap_is_refused),
        CASE(truncation_drops_the_end_only),
        CASE(a_snapshot_keeps_trailing_entries),
        CASE(an_installed_snapshot_empties_the_log),
        CASE(the_log_file_is_bounded),
        CASE(a_second_daemon_is_told_who_holds_the_folder),
        CASE(identity_is_claimed_once),
        CASE(incarnations_only_grow),
        CASE(a_full_database_refuses_and_keeps_what_it_promised),
        CASE(a_full_disk_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
