/* Kills at any moment lose nothing acknowledged; a damaged byte anywhere is found, or harmless, and
 * never gives other contents. */
#include "tests/folder.h"
#include "tests/unit/storage/storage_fixture.h"

#include "node/base/clock.h"
#include "node/base/invariant.h"
#include "node/base/rng.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ENTRY_BYTES 40
#define KILLS 10
#define FLIPS 150
#define WAIT_MS 60000

struct fixture {
    char root[FOLDER_SIZE];
    char folder[FOLDER_SIZE];
    char copy[FOLDER_SIZE + 8];
    char live[FOLDER_SIZE + 8];
};

static int set_up(void **state)
{
    struct fixture *self = calloc(1, sizeof *self);
    invariant(self != NULL);
    fixture_make(self->root, self->folder);
    (void)snprintf(self->copy, sizeof self->copy, "%s/copy", self->root);
    (void)snprintf(self->live, sizeof self->live, "%s/live", self->root);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *self = *state;
    folder_remove(self->root);
    free(self);
    return 0;
}

/* ---- kills ---- */

/* Appends for ever from `index` on (with a term and a vote now and then) and writes each
 * acknowledged index into the pipe. */
static void append_for_ever(const char *folder, int pipe_fd, uint64_t index)
{
    struct err err = {0};
    struct consensus_storage log;
    struct storage *storage = fixture_open(folder);
    if (storage == NULL) {
        _exit(1);
    }
    storage_consensus(storage, &log);
    struct consensus_stored stored = {0};
    if (log.load(log.context, &stored, &err) != 0) {
        _exit(1);
    }
    for (;; index++) {
        uint64_t term = index - index % 16;
        bool new_term = term > stored.term;
        stored.vote = new_term ? 0 : stored.vote;
        bool new_vote = index > term && stored.vote == 0;
        if (fixture_append(&log, index, 1, ENTRY_BYTES, &err) != 0 ||
            (new_term && log.set_term(log.context, term, &err) != 0)) {
            _exit(2);
        }
        stored.term = new_term ? term : stored.term;
        if (new_vote && log.set_vote(log.context, stored.term, term + 1, &err) != 0) {
            _exit(2);
        }
        stored.vote = new_vote ? term + 1 : stored.vote;
        if (write(pipe_fd, &index, sizeof index) != (ssize_t)sizeof index) {
            _exit(2);
        }
    }
}

/* Starts a child, kills it after at least `count` acknowledgements and a random while. Returns the
 * last index that it acknowledged. */
static uint64_t run_and_kill(const char *folder, uint64_t first, uint64_t count, struct rng *rng)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        append_for_ever(folder, ends[1], first);
    }
    (void)close(ends[1]);
    uint64_t acknowledged = first - 1;
    uint64_t index;
    while (acknowledged + 1 < first + count && read(ends[0], &index, sizeof index) > 0) {
        acknowledged = index;
    }
    int64_t until_us = clock_boot_us() + rng_between(rng, 0, 2000);
    while (clock_boot_us() < until_us) {
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(ends[0], &index, sizeof index) == (ssize_t)sizeof index) {
        acknowledged = index;
    }
    (void)close(ends[0]);
    return acknowledged;
}

static void a_kill_at_any_moment_loses_nothing_acknowledged(void **state)
{
    struct fixture *self = *state;
    struct rng rng;
    rng_init(&rng, rng_system_seed());
    uint64_t last = 0;
    for (int round = 0; round < KILLS; round++) {
        uint64_t acknowledged =
            run_and_kill(self->folder, last + 1, 1 + rng_below(&rng, 200), &rng);
        struct storage *storage = fixture_open(self->folder);
        assert_non_null(storage);
        struct consensus_storage log;
        storage_consensus(storage, &log);
        struct consensus_stored stored = {0};
        struct err err = {0};
        assert_int_equal(log.load(log.context, &stored, &err), 0);
        last = stored.entry_count;
        assert_true(last == acknowledged || last == acknowledged + 1);
        for (uint64_t index = 1; index <= last; index++) {
            assert_true(fixture_entry_is(&stored.entries[index - 1], index, 1, ENTRY_BYTES));
        }
        uint64_t term = acknowledged - acknowledged % 16;
        assert_true(stored.term >= term);
        if (stored.term == term && acknowledged > term) {
            assert_int_equal(stored.vote, term + 1);
        }
        fixture_free(&stored);
        storage_close(&storage);
    }
}

/* ---- damage ---- */

struct truth {
    uint64_t entry_count;
    uint64_t term;
    uint64_t vote;
    uint64_t snapshot_index;
    uint64_t incarnation;
};

/* Leaves a folder as a killed process leaves it: contents in the database and in its log. */
static void make_used_folder(const char *folder, struct truth *ret)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct err err = {0};
        struct consensus_storage log;
        struct storage *storage = fixture_open(folder);
        if (storage == NULL) {
            _exit(1);
        }
        storage_consensus(storage, &log);
        uint8_t bytes[9000] = {7};
        struct consensus_snapshot_meta meta = {.index = 100, .term = 1, .server_count = 3};
        int rc = storage_incarnation_raise(storage, 9, &err);
        for (uint64_t index = 1; index <= 120 && rc == 0; index++) {
            rc = fixture_append(&log, index, 1, ENTRY_BYTES, &err);
        }
        rc = rc != 0 ? rc : log.snapshot_put(log.context, &meta, bytes, sizeof bytes, 50, &err);
        storage_close(&storage);
        storage = rc == 0 ? fixture_open(folder) : NULL;
        if (storage == NULL) {
            _exit(2);
        }
        storage_consensus(storage, &log);
        rc = log.set_term(log.context, 5, &err);
        for (uint64_t index = 121; index <= 130 && rc == 0; index++) {
            rc = fixture_append(&log, index, 1, ENTRY_BYTES, &err);
        }
        rc = rc != 0 ? rc : log.set_vote(log.context, 5, 77, &err);
        _exit(rc == 0 ? 0 : 3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    *ret = (struct truth){
        .entry_count = 80, .term = 5, .vote = 77, .snapshot_index = 100, .incarnation = 10};
}

enum finding { FOUND, HARMLESS, WRONG };

static bool is_true(const struct consensus_stored *stored, const struct truth *truth)
{
    if (stored->term != truth->term || stored->vote != truth->vote || !stored->has_snapshot ||
        stored->snapshot.index != truth->snapshot_index || stored->snapshot_length != 9000 ||
        stored->snapshot_bytes[0] != 7 || stored->entry_count != truth->entry_count) {
        return false;
    }
    for (size_t i = 0; i < stored->entry_count; i++) {
        if (!fixture_entry_is(&stored->entries[i], stored->first_index + i, 1, ENTRY_BYTES)) {
            return false;
        }
    }
    return true;
}

static enum finding look(const char *folder, const struct truth *truth, struct err *err)
{
    struct storage *storage = NULL;
    if (fixture_try_open(folder, &storage, err) != 0) {
        return FOUND;
    }
    struct consensus_storage log;
    storage_consensus(storage, &log);
    struct consensus_stored stored = {0};
    enum finding finding = FOUND;
    uint64_t incarnation = 0;
    if (log.load(log.context, &stored, err) == 0 &&
        storage_incarnation_next(storage, &incarnation, err) == 0) {
        finding = is_true(&stored, truth) && incarnation == truth->incarnation ? HARMLESS : WRONG;
    }
    fixture_free(&stored);
    storage_close(&storage);
    return finding;
}

static off_t size_of(const char *folder, const char *name)
{
    char path[FOLDER_SIZE + 64];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    struct stat about;
    return stat(path, &about) == 0 ? about.st_size : 0;
}

static void change_byte(const char *folder, const char *name, off_t offset, uint8_t difference)
{
    char path[FOLDER_SIZE + 64];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= difference;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    (void)close(fd);
}

static void flip_many(struct fixture *self, const char *name, off_t bytes, int found_min)
{
    struct truth truth;
    make_used_folder(self->live, &truth);
    struct err err = {0};
    fixture_copy(self->live, self->copy);
    assert_int_equal(look(self->copy, &truth, &err), HARMLESS); /* undamaged, that is */
    off_t size = size_of(self->live, name);
    assert_true(size > 4096);
    struct rng rng;
    rng_init(&rng, 20);
    int found = 0;
    for (int i = 0; i < FLIPS; i++) {
        fixture_copy(self->live, self->copy);
        off_t offset = (off_t)rng_below(&rng, (uint64_t)(size < bytes ? size : bytes));
        uint8_t difference = (uint8_t)(1 + rng_below(&rng, 255));
        change_byte(self->copy, name, offset, difference);
        enum finding finding = look(self->copy, &truth, &err);
        if (finding == WRONG) {
            fail_msg("%s: byte %lld changed by %u went unnoticed", name, (long long)offset,
                     difference);
        }
        found += finding == FOUND ? 1 : 0;
    }
    print_message("%s: %d of %d changes found, the others harmless\n", name, found, FLIPS);
    assert_true(found >= found_min);
}

static void a_damaged_byte_in_the_database_is_found_or_harmless(void **state)
{
    flip_many(*state, "understudy.db", 1 << 20, FLIPS / 10);
}

/* The frames of the present generation: 12 commits of one page or more. */
static void a_damaged_byte_in_the_log_is_found_or_harmless(void **state)
{
    flip_many(*state, "understudy.db-wal", 12 * 4120, FLIPS / 2);
}

/* The counts and pointers at the head of each page: a count that is one less would hide a row whose
 * own checksum is right. */
static void a_damaged_page_head_is_found_or_harmless(void **state)
{
    struct fixture *self = *state;
    struct truth truth;
    make_used_folder(self->live, &truth);
    off_t pages = size_of(self->live, "understudy.db") / 4096;
    assert_true(pages > 5);
    for (off_t page = 0; page < pages; page++) {
        for (off_t byte = 0; byte < 12; byte++) {
            fixture_copy(self->live, self->copy);
            off_t offset = page * 4096 + (page == 0 ? 100 : 0) + byte;
            change_byte(self->copy, "understudy.db", offset, 1);
            struct err err = {0};
            if (look(self->copy, &truth, &err) == WRONG) {
                fail_msg("byte %lld changed went unnoticed", (long long)offset);
            }
        }
    }
}

/* After a power failure the witness may be old. What lies before later commits was synced then. */
static void a_damaged_commit_amid_the_log_is_found_without_the_witness(void **state)
{
    struct fixture *self = *state;
    struct truth truth;
    make_used_folder(self->live, &truth);
    static const off_t offsets[] = {32 + 24 + 7, 32 + 4120 + 24 + 4000, 32 + 2 * 4120 + 17};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        fixture_copy(self->live, self->copy);
        char path[FOLDER_SIZE + 64];
        (void)snprintf(path, sizeof path, "%s/witness", self->copy);
        assert_int_equal(unlink(path), 0);
        change_byte(self->copy, "understudy.db-wal", offsets[i], 0x40);
        struct err err = {0};
        assert_int_equal(look(self->copy, &truth, &err), FOUND);
        assert_non_null(strstr(err.msg, "a commit inside the write-ahead log"));
    }
}

static void a_damaged_last_commit_is_found(void **state)
{
    struct fixture *self = *state;
    struct truth truth;
    make_used_folder(self->live, &truth);
    struct err err = {0};
    /* The last frame whose byte matters: walk back from the end of the file. */
    off_t size = size_of(self->live, "understudy.db-wal");
    int found = 0;
    for (off_t end = size; end > 32 && found == 0; end -= 4120) {
        fixture_copy(self->live, self->copy);
        change_byte(self->copy, "understudy.db-wal", end - 1, 1);
        enum finding finding = look(self->copy, &truth, &err);
        assert_true(finding != WRONG);
        found += finding == FOUND ? 1 : 0;
    }
    assert_int_equal(found, 1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "end of the write-ahead log"));
    assert_non_null(strstr(err.msg, "move it away"));
}

static void lost_files_are_found(void **state)
{
    static const char *const names[] = {"understudy.db", "understudy.db-wal"};
    struct fixture *self = *state;
    struct truth truth;
    make_used_folder(self->live, &truth);
    for (size_t i = 0; i < 2; i++) {
        for (int cut = 0; cut < 2; cut++) {
            fixture_copy(self->live, self->copy);
            char path[FOLDER_SIZE + 64];
            (void)snprintf(path, sizeof path, "%s/%s", self->copy, names[i]);
            assert_int_equal(cut != 0 ? truncate(path, 0) : unlink(path), 0);
            struct err err = {0};
            assert_int_equal(look(self->copy, &truth, &err), FOUND);
            assert_int_equal(err.code, ERR_CORRUPT);
        }
    }
}

/* A commit that was being written when the power went is dropped without complaint. */
static void a_torn_last_write_is_dropped(void **state)
{
    struct fixture *self = *state;
    struct storage *storage = fixture_open(self->live);
    assert_non_null(storage);
    struct consensus_storage log;
    struct err err = {0};
    storage_consensus(storage, &log);
    for (uint64_t index = 1; index <= 5; index++) {
        assert_int_equal(fixture_append(&log, index, 1, ENTRY_BYTES, &err), 0);
    }
    fixture_copy(self->live, self->copy); /* what the disk held, witness included */
    off_t size = size_of(self->copy, "understudy.db-wal");
    assert_int_equal(fixture_append(&log, 6, 1, ENTRY_BYTES, &err), 0);
    off_t whole = size_of(self->live, "understudy.db-wal");
    assert_true(whole > size);
    char from[FOLDER_SIZE + 64];
    char to[FOLDER_SIZE + 64];
    (void)snprintf(from, sizeof from, "%s/understudy.db-wal", self->live);
    (void)snprintf(to, sizeof to, "%s/understudy.db-wal", self->copy);
    uint8_t frame[4120];
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, frame, sizeof frame, size), sizeof frame);
    (void)close(fd);
    fd = open(to, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, frame, 3000, size), 3000); /* the rest was lost */
    assert_int_equal(ftruncate(fd, whole), 0);
    (void)close(fd);
    storage_close(&storage);
    storage = fixture_open(self->copy);
    assert_non_null(storage);
    storage_consensus(storage, &log);
    struct consensus_stored stored = {0};
    assert_int_equal(log.load(log.context, &stored, &err), 0);
    assert_int_equal(stored.entry_count, 5);
    fixture_free(&stored);
    assert_int_equal(fixture_append(&log, 6, 2, ENTRY_BYTES, &err), 0);
    storage_close(&storage);
    storage = fixture_open(self->copy);
    assert_non_null(storage);
    storage_close(&storage);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_kill_at_any_moment_loses_nothing_acknowledged),
        CASE(a_damaged_byte_in_the_database_is_found_or_harmless),
        CASE(a_damaged_byte_in_the_log_is_found_or_harmless),
        CASE(a_damaged_page_head_is_found_or_harmless),
        CASE(a_damaged_commit_amid_the_log_is_found_without_the_witness),
        CASE(a_damaged_last_commit_is_found),
        CASE(lost_files_are_found),
        CASE(a_torn_last_write_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
