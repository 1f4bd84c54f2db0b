/* A damaged write-ahead log, read by our scan and by SQLite itself: both must find the same end.
 * The input changes a log that SQLite wrote: a first byte of flags, then pieces of three bytes
 * [offset, xor]. Flag 1: the checksums are made right again afterwards, so that the change is not
 * found by them; flag 2: the last two bytes say where the file ends. Also the witness file, on its
 * own. */
#include "node/base/invariant.h"
#include "node/storage/wal_scan.h"
#include "node/storage/witness.h"
#include "tests/fuzz/storage/scratch.h"

#include <sqlite3.h>
#include <string.h>

#define PAGE 512u
#define HEADER 32u
#define FRAME (24u + PAGE)
#define DATABASE "d"
#define WAL "d-wal"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t database[8192];
static uint8_t wal[32768];
static size_t database_length;
static size_t wal_length;

static sqlite3 *open_database(void)
{
    char path[96];
    sqlite3 *handle = NULL;
    (void)snprintf(path, sizeof path, "%s/" DATABASE, scratch_folder);
    int rc = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    invariant(rc == SQLITE_OK);
    rc = sqlite3_exec(handle, "PRAGMA locking_mode=EXCLUSIVE;", NULL, NULL, NULL);
    invariant(rc == SQLITE_OK);
    /* Closing must leave the log as it is. */
    (void)sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return handle;
}

static void make_sample(void)
{
    scratch_begin();
    sqlite3 *handle = open_database();
    int rc = sqlite3_exec(handle,
                          "PRAGMA page_size=512; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
                          "PRAGMA wal_autocheckpoint=0; CREATE TABLE t(a, b);"
                          "PRAGMA wal_checkpoint(TRUNCATE);"
                          "INSERT INTO t VALUES(1, zeroblob(900));"
                          "INSERT INTO t VALUES(2, zeroblob(100));"
                          "INSERT INTO t VALUES(3, zeroblob(2000));"
                          "UPDATE t SET b = zeroblob(10) WHERE a = 1;",
                          NULL, NULL, NULL);
    invariant(rc == SQLITE_OK);
    (void)sqlite3_close(handle);
    database_length = scratch_read(DATABASE, database, sizeof database);
    wal_length = scratch_read(WAL, wal, sizeof wal);
    invariant(database_length > 0 && wal_length > HEADER + 4 * (size_t)FRAME);
}

static uint32_t get(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

/* https://www.sqlite.org/fileformat2.html section 4.2, written a second time. */
static void sum(const uint8_t *bytes, size_t length, bool big, uint32_t sums[2])
{
    for (size_t i = 0; i < length; i += 8) {
        uint32_t one = get(bytes + i);
        uint32_t two = get(bytes + i + 4);
        sums[0] += (big ? one : __builtin_bswap32(one)) + sums[1];
        sums[1] += (big ? two : __builtin_bswap32(two)) + sums[0];
    }
}

static void mend_sums(uint8_t *log, size_t length)
{
    uint32_t sums[2] = {0, 0};
    bool big = (log[3] & 1) != 0;
    if (length < HEADER) {
        return;
    }
    sum(log, 24, big, sums);
    put(log + 24, sums[0]);
    put(log + 28, sums[1]);
    for (size_t at = HEADER; at + FRAME <= length; at += FRAME) {
        sum(log + at, 8, big, sums);
        sum(log + at + 24, PAGE, big, sums);
        put(log + at + 16, sums[0]);
        put(log + at + 20, sums[1]);
    }
}

static size_t damage(const uint8_t *data, size_t size, uint8_t *log)
{
    size_t length = wal_length;
    memcpy(log, wal, wal_length);
    uint8_t flags = data[0];
    if ((flags & 2) != 0 && size >= 3) {
        size_t end = (size_t)data[size - 2] << 8 | data[size - 1];
        length = end < length ? end : length;
        size -= 2;
    }
    for (size_t i = 1; i + 3 <= size; i += 3) {
        size_t offset = (size_t)data[i] << 8 | data[i + 1];
        if (offset < length) {
            log[offset] ^= data[i + 2];
        }
    }
    if ((flags & 1) != 0) {
        mend_sums(log, length);
    }
    return length;
}

/* Frames up to the last commit that SQLite sees, or -1 when it refuses the file. */
static int sqlite_frames(void)
{
    int frames = -1;
    int moved = 0;
    sqlite3 *handle = open_database();
    if (sqlite3_exec(handle, "SELECT 1 FROM sqlite_schema", NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &moved) !=
            SQLITE_OK) {
        frames = -1;
    }
    (void)sqlite3_close(handle);
    return frames;
}

static void check_witness(const uint8_t *data, size_t size, const struct wal_scan *scan)
{
    struct witness witness;
    scratch_write("witness", data, size);
    bool there = witness_read(scratch_fd, &witness);
    invariant(there);
    witness = (struct witness){scan->salt_1, scan->salt_2, data[0]};
    const char *problem = witness_contradicts(&witness, scan);
    invariant(problem != NULL || scan->empty || scan->committed_frames >= witness.frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t log[sizeof wal];
    struct wal_scan scan;
    uint32_t salts[2];
    if (size == 0) {
        return 0;
    }
    if (database_length == 0) {
        make_sample();
    }
    size_t length = damage(data, size, log);
    scratch_write(DATABASE, database, database_length);
    scratch_write(WAL, log, length);
    int rc = wal_scan(scratch_fd, WAL, &scan, NULL);
    invariant(rc == 0);
    rc = wal_scan_salts(scratch_fd, WAL, &salts[0], &salts[1], NULL);
    invariant(rc == 0 || length < 24);
    invariant(!scan.header_valid || (salts[0] == scan.salt_1 && salts[1] == scan.salt_2));
    check_witness(data, size, &scan);
    int frames = sqlite_frames();
    if (frames >= 0) {
        uint32_t ours = scan.empty || !scan.header_valid ? 0 : scan.committed_frames;
        invariant(ours == (uint32_t)frames);
    }
    return 0;
}
