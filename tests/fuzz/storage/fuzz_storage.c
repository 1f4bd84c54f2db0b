/* A data folder with foreign rows. The input is a list of pieces [what, id, length, bytes]; `what`
 * chooses the table, and whether the row's checksum is right. Then the folder is opened as a node
 * does it: a refusal with a text, or everything in it is sound. */
#include "node/base/invariant.h"
#include "node/storage/checksum.h"
#include "node/storage/storage.h"
#include "node/storage/storage_internal.h"
#include "tests/fuzz/storage/scratch.h"

#include <sqlite3.h>
#include <string.h>

#define SAMPLE_BYTES_MAX (256u << 10)
#define OPS_MAX 16

enum what { META, ENTRY, SNAPSHOT, ENTRY_GONE, FILE_BYTES, WITNESS, META_TEXT, WHAT_COUNT };

struct op {
    enum what what;
    bool mended; /* with a right checksum */
    uint8_t id;
    const uint8_t *bytes;
    size_t length;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t sample[SAMPLE_BYTES_MAX];
static uint8_t witness[256];
static size_t sample_length;
static size_t witness_length;

static int open_storage(struct storage **ret, struct err *err)
{
    struct storage_config config = {.folder = scratch_folder, .node_name = "n1"};
    return storage_open(&config, ret, err);
}

static void make_sample(void)
{
    static const struct storage_identity identity = {"key", 7, "demo"};
    struct storage *storage = NULL;
    struct consensus_storage log;
    uint64_t incarnation;
    scratch_begin();
    int rc = open_storage(&storage, NULL);
    invariant(rc == 0);
    storage_consensus(storage, &log);
    rc = storage_identity_claim(storage, &identity, NULL);
    invariant(rc == 0 && storage_incarnation_next(storage, &incarnation, NULL) == 0);
    rc = log.set_term(log.context, 5, NULL);
    invariant(rc == 0);
    for (uint64_t index = 1; index <= 6; index++) {
        struct consensus_entry entry = {.term = 1 + index / 3,
                                        .type = CONSENSUS_ENTRY_COMMAND,
                                        .bytes = (const uint8_t *)"command",
                                        .length = 8};
        rc = log.append(log.context, index, &entry, 1, NULL);
        invariant(rc == 0);
    }
    struct consensus_snapshot_meta meta = {.index = 3, .term = 2, .server_count = 1};
    meta.servers[0].id = 7;
    rc = log.snapshot_put(log.context, &meta, (const uint8_t *)"state", 6, 2, NULL);
    invariant(rc == 0);
    storage_close(&storage);
    sample_length = scratch_read(STORAGE_DATABASE, sample, sizeof sample);
    witness_length = scratch_read("witness", witness, sizeof witness);
    invariant(sample_length > 0 && witness_length > 0);
}

/* ---- pieces ---- */

static size_t take_ops(const uint8_t *data, size_t size, struct op *ret)
{
    size_t count = 0;
    while (size >= 3 && count < OPS_MAX) {
        size_t length = data[2] < size - 3 ? data[2] : size - 3;
        ret[count++] = (struct op){.what = (enum what)((data[0] & 0x7f) % WHAT_COUNT),
                                   .mended = (data[0] & 0x80) != 0,
                                   .id = data[1],
                                   .bytes = data + 3,
                                   .length = length};
        data += length + 3;
        size -= length + 3;
    }
    return count;
}

static void run(sqlite3 *handle, const char *sql, const struct op *op, const int64_t numbers[3],
                uint64_t checksum)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK) {
        (void)sqlite3_bind_int64(statement, 1, numbers[0]);
        (void)sqlite3_bind_blob(statement, 2, op->length > 0 ? op->bytes : (const void *)"",
                                (int)op->length, SQLITE_STATIC);
        (void)sqlite3_bind_int64(statement, 3, (int64_t)checksum);
        (void)sqlite3_bind_int64(statement, 4, numbers[1]);
        (void)sqlite3_bind_int64(statement, 5, numbers[2]);
        (void)sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement);
}

static uint64_t meta_sum(const struct op *op)
{
    return checksum_bytes(checksum_u64(CHECKSUM_START, op->id % 4), op->bytes, op->length);
}

static uint64_t entry_sum(const struct op *op, const int64_t numbers[3])
{
    uint64_t sum = CHECKSUM_START;
    for (int i = 0; i < 3; i++) {
        sum = checksum_u64(sum, (uint64_t)numbers[i]);
    }
    return checksum_bytes(sum, op->bytes, op->length);
}

static void apply_row(sqlite3 *handle, const struct op *op)
{
    uint64_t term = op->length > 0 ? op->bytes[0] : 0;
    const int64_t meta[3] = {op->id % 4, 0, 0};
    const int64_t entry[3] = {op->id == 255 ? INT64_MAX : op->id, (int64_t)term,
                              op->length > 1 ? op->bytes[1] : 1};
    switch (op->what) {
    case META:
        run(handle, "INSERT OR REPLACE INTO meta VALUES(?1, ?2, ?3)", op, meta,
            op->mended ? meta_sum(op) : 0);
        break;
    case META_TEXT: /* of another type than the schema says */
        run(handle, "INSERT OR REPLACE INTO meta VALUES(?1, 'text', CAST(?2 AS TEXT))", op, meta,
            0);
        break;
    case ENTRY:
        run(handle, "INSERT OR REPLACE INTO entries VALUES(?1, ?4, ?5, ?2, ?3)", op, entry,
            op->mended ? entry_sum(op, entry) : 0);
        break;
    case SNAPSHOT:
        run(handle, "INSERT OR REPLACE INTO snapshot VALUES(1, ?2, x'00', ?3)", op, meta,
            op->mended ? storage_snapshot_sum(op->bytes, op->length, (const uint8_t *)"", 1) : 0);
        break;
    case ENTRY_GONE:
        run(handle, "DELETE FROM entries WHERE id = ?1", op, entry, 0);
        break;
    default:
        break;
    }
}

static void apply_rows(const struct op *ops, size_t count)
{
    char path[96];
    sqlite3 *handle = NULL;
    (void)snprintf(path, sizeof path, "%s/" STORAGE_DATABASE, scratch_folder);
    int rc = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE, NULL);
    invariant(rc == SQLITE_OK);
    (void)sqlite3_exec(handle, "PRAGMA locking_mode=EXCLUSIVE; BEGIN", NULL, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        apply_row(handle, &ops[i]);
    }
    (void)sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL);
    (void)sqlite3_close(handle); /* moves the log into the file */
}

/* Bytes of the file itself: [page, offset in it, ...]. */
static void apply_bytes(const struct op *op)
{
    if (op->what == WITNESS) {
        scratch_write("witness", op->bytes, op->length);
    } else if (op->what == FILE_BYTES && op->length > 2) {
        int fd = openat(scratch_fd, STORAGE_DATABASE, O_WRONLY | O_CLOEXEC);
        off_t offset = (op->id % 16) * 4096 + (op->bytes[0] << 8 | op->bytes[1]) % 4096;
        (void)!pwrite(fd, op->bytes + 2, op->length - 2, offset);
        (void)close(fd);
    }
}

/* ---- what was opened ---- */

static void free_stored(struct consensus_stored *stored)
{
    for (size_t i = 0; i < stored->entry_count; i++) {
        free((void *)(uintptr_t)stored->entries[i].bytes);
    }
    free(stored->entries);
    free(stored->snapshot_bytes);
}

static void check_opened(struct storage *storage)
{
    struct consensus_storage log;
    struct consensus_stored stored = {0};
    struct storage_identity identity = {0};
    struct err err = {0};
    uint64_t incarnation = 0;
    storage_consensus(storage, &log);
    if (log.load(log.context, &stored, &err) == 0) {
        invariant(!stored.has_snapshot || stored.snapshot.server_count <= NODES_MAX);
        invariant(stored.entry_count == 0 || stored.first_index >= 1);
        invariant(!stored.has_snapshot || stored.entry_count == 0 ||
                  stored.first_index <= stored.snapshot.index + 1);
        free_stored(&stored);
    } else {
        invariant(err.msg[0] != '\0');
    }
    if (storage_identity(storage, &identity, &err) == 0) {
        invariant(memchr(identity.cluster, '\0', sizeof identity.cluster) != NULL);
        invariant(memchr(identity.public_key, '\0', sizeof identity.public_key) != NULL);
    }
    if (storage_incarnation_next(storage, &incarnation, &err) == 0) {
        invariant(incarnation > 0 && incarnation <= INT64_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct op ops[OPS_MAX];
    struct storage *storage = NULL;
    struct err err = {0};
    if (sample_length == 0) {
        make_sample();
    }
    scratch_empty();
    scratch_write(STORAGE_DATABASE, sample, sample_length);
    scratch_write("witness", witness, witness_length);
    size_t count = take_ops(data, size, ops);
    apply_rows(ops, count);
    for (size_t i = 0; i < count; i++) {
        apply_bytes(&ops[i]);
    }
    if (open_storage(&storage, &err) == 0) {
        check_opened(storage);
        storage_close(&storage);
    } else {
        invariant(err.code != 0 && err.msg[0] != '\0' && storage == NULL);
    }
    return 0;
}
