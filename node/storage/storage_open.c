/* Opening and closing: lock, damage checks before and after SQLite has the file, schema. */
#include "node/base/invariant.h"
#include "node/storage/folder_lock.h"
#include "node/storage/storage_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const schema =
    "CREATE TABLE meta(id INTEGER PRIMARY KEY, value BLOB NOT NULL, checksum INTEGER NOT NULL);"
    "CREATE TABLE entries(id INTEGER PRIMARY KEY, term INTEGER NOT NULL, type INTEGER NOT NULL,"
    " bytes BLOB NOT NULL, checksum INTEGER NOT NULL);"
    "CREATE TABLE snapshot(id INTEGER PRIMARY KEY, meta BLOB NOT NULL, bytes BLOB NOT NULL,"
    " checksum INTEGER NOT NULL);";

static const char *const queries[QUERY_COUNT] = {
    [QUERY_META_GET] = "SELECT value, checksum FROM meta WHERE id = ?1",
    [QUERY_META_SET] = "INSERT OR REPLACE INTO meta(id, value, checksum) VALUES(?1, ?2, ?3)",
    [QUERY_ENTRY_PUT] = "INSERT INTO entries(id, term, type, bytes, checksum)"
                        " VALUES(?1, ?2, ?3, ?4, ?5)",
    [QUERY_ENTRIES_ALL] = "SELECT id, term, type, bytes, checksum FROM entries ORDER BY id",
    [QUERY_ENTRIES_FROM_DELETE] = "DELETE FROM entries WHERE id >= ?1",
    [QUERY_ENTRIES_TO_DELETE] = "DELETE FROM entries WHERE id <= ?1",
    [QUERY_SNAPSHOT_GET] = "SELECT meta, bytes, checksum FROM snapshot WHERE id = 1",
    [QUERY_SNAPSHOT_PUT] = "INSERT OR REPLACE INTO snapshot(id, meta, bytes, checksum)"
                           " VALUES(1, ?1, ?2, ?3)",
};

/* So that a folder made just now is still there after a power failure. */
static int sync_parent(int folder_fd)
{
    int fd = openat(folder_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int rc = fsync(fd);
    (void)close(fd);
    return rc;
}

static int open_folder(struct storage *self, const struct storage_config *config, struct err *err)
{
    self->folder = strdup(config->folder);
    if (self->folder == NULL) {
        return err_set(err, ERR_NOMEM, "open data folder");
    }
    if (mkdir(config->folder, 0700) != 0 && errno != EEXIST) {
        return err_set_errno(err, ERR_IO, "make data folder %s", config->folder);
    }
    self->folder_fd = open(config->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->folder_fd < 0) {
        return err_set_errno(err, ERR_IO, "open data folder %s", config->folder);
    }
    if (sync_parent(self->folder_fd) != 0) {
        return err_set_errno(err, ERR_IO, "sync the folder above %s", config->folder);
    }
    self->lock_fd = folder_lock(self->folder_fd, config->folder, config->node_name, err);
    return self->lock_fd >= 0 ? 0 : self->lock_fd;
}

/* Before SQLite touches the files, as it repairs a log by dropping what it cannot read. */
static int check_files(struct storage *self, bool *ret_witnessed, struct err *err)
{
    struct stat about;
    bool missing = fstatat(self->folder_fd, STORAGE_DATABASE, &about, 0) != 0 || about.st_size == 0;
    bool witnessed = witness_read(self->folder_fd, &self->witness);
    if (missing && witnessed) {
        return err_set(err, ERR_CORRUPT, "%s is gone", STORAGE_DATABASE);
    }
    *ret_witnessed = witnessed;
    struct wal_scan scan;
    int rc = wal_scan(self->folder_fd, STORAGE_WAL, &scan, err);
    if (rc != 0) {
        return rc;
    }
    const char *contradiction = witness_contradicts(&self->witness, &scan);
    if (contradiction != NULL) {
        return err_set(err, ERR_CORRUPT, "%s", contradiction);
    }
    return 0;
}

static int store_first_rows(struct storage *self, struct err *err)
{
    uint8_t zero[STORAGE_TERM_BYTES] = {0};
    int rc = storage_meta_set(self, ROW_TERM, zero, STORAGE_TERM_BYTES, err);
    if (rc == 0) {
        rc = storage_meta_set(self, ROW_IDENTITY, NULL, 0, err);
    }
    if (rc == 0) {
        rc = storage_meta_set(self, ROW_INCARNATION, zero, 8, err);
    }
    return rc;
}

static int prepare_queries(struct storage *self, struct err *err)
{
    for (int i = 0; i < QUERY_COUNT; i++) {
        int rc = statement_create(self->database, queries[i], &self->queries[i], err);
        if (rc != 0) {
            return rc == ERR_NOMEM ? rc : err_set(err, ERR_CORRUPT, "the tables are not ours");
        }
    }
    return 0;
}

/* All in one transaction: a kill in the middle leaves an empty file, which is begun anew. */
static int make_schema(struct storage *self, struct err *err)
{
    char marks[128];
    (void)snprintf(marks, sizeof marks, "PRAGMA application_id=%d; PRAGMA user_version=%d;",
                   STORAGE_APPLICATION_ID, STORAGE_SCHEMA_VERSION);
    int rc = database_begin(self->database, err);
    if (rc == 0) {
        rc = database_execute(self->database, schema, err);
    }
    if (rc == 0) {
        rc = prepare_queries(self, err);
    }
    if (rc == 0) {
        rc = store_first_rows(self, err);
    }
    if (rc == 0) {
        rc = database_execute(self->database, marks, err);
    }
    if (rc == 0) {
        rc = database_commit(self->database, err);
    }
    if (rc != 0) {
        database_rollback(self->database);
    }
    return rc;
}

static int check_schema(struct storage *self, bool witnessed, struct err *err)
{
    int64_t version = 0;
    int64_t application = 0;
    int64_t tables = 0;
    int rc = database_integer(self->database, "PRAGMA user_version", &version, err);
    if (rc == 0) {
        rc = database_integer(self->database, "PRAGMA application_id", &application, err);
    }
    if (rc == 0) {
        rc = database_integer(self->database, "SELECT count(*) FROM sqlite_schema", &tables, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (version == 0 && application == 0 && tables == 0 && !witnessed) {
        return make_schema(self, err);
    }
    if (application != STORAGE_APPLICATION_ID || version <= 0) {
        return err_set(err, ERR_CORRUPT, "%s is not a database of ours", STORAGE_DATABASE);
    }
    if (version > STORAGE_SCHEMA_VERSION) {
        return err_set(err, ERR_UNSUPPORTED,
                       "%s/%s has format %lld, this version knows up to %d: install the newer "
                       "version again",
                       self->folder, STORAGE_DATABASE, (long long)version, STORAGE_SCHEMA_VERSION);
    }
    rc = database_check(self->database, err);
    return rc == 0 ? prepare_queries(self, err) : rc;
}

static int load_bounds(struct storage *self, struct err *err)
{
    struct consensus_snapshot_meta meta;
    int rc = storage_snapshot_read(self, &meta, NULL, NULL, err);
    if (rc < 0) {
        return rc;
    }
    self->snapshot_index = rc == 1 ? meta.index : 0;
    int64_t first = 0;
    int64_t last = 0;
    int64_t count = 0;
    rc = database_integer(self->database, "SELECT count(*) FROM entries", &count, err);
    if (rc == 0 && count > 0) {
        rc = database_integer(self->database, "SELECT min(id) FROM entries", &first, err);
    }
    if (rc == 0 && count > 0) {
        rc = database_integer(self->database, "SELECT max(id) FROM entries", &last, err);
    }
    if (rc != 0) {
        return rc;
    }
    self->first_index = count > 0 ? (uint64_t)first : self->snapshot_index + 1;
    self->last_index = count > 0 ? (uint64_t)last : self->snapshot_index;
    if (count > 0 &&
        (first < 1 || last - first + 1 != count || self->first_index > self->snapshot_index + 1 ||
         self->last_index < self->snapshot_index)) {
        return err_set(err, ERR_CORRUPT, "entries %lld to %lld do not fit snapshot %llu",
                       (long long)first, (long long)last, (unsigned long long)self->snapshot_index);
    }
    return 0;
}

static int load_meta(struct storage *self, struct err *err)
{
    uint8_t bytes[STORAGE_TERM_BYTES];
    size_t length = 0;
    int rc = storage_meta_get(self, ROW_TERM, bytes, sizeof bytes, &length, err);
    if (rc == 0 && length != STORAGE_TERM_BYTES) {
        rc = err_set(err, ERR_CORRUPT, "term has %zu bytes", length);
    }
    if (rc != 0) {
        return rc;
    }
    self->term = storage_u64_decode(bytes);
    self->vote = storage_u64_decode(bytes + 8);
    rc = storage_meta_get(self, ROW_INCARNATION, bytes, sizeof bytes, &length, err);
    if (rc == 0 && length != 8) {
        rc = err_set(err, ERR_CORRUPT, "incarnation has %zu bytes", length);
    }
    if (rc == 0) {
        self->incarnation = storage_u64_decode(bytes);
    }
    return rc;
}

/* Opens the database behind the checked files and makes a fresh generation of its log, so that no
 * remains of a torn write stay behind (wal_scan would take them for damage one day). */
static int open_database(struct storage *self, size_t bytes_max, bool witnessed, struct err *err)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", self->folder, STORAGE_DATABASE);
    if (length < 0 || (size_t)length >= sizeof path) {
        return err_set(err, ERR_INVALID, "path of the data folder is too long");
    }
    int rc = database_open(path, bytes_max, &self->database, err);
    if (rc == 0) {
        rc = check_schema(self, witnessed, err);
    }
    if (rc == 0) {
        rc = load_meta(self, err);
    }
    if (rc == 0) {
        rc = load_bounds(self, err);
    }
    if (rc == 0) {
        rc = database_checkpoint(self->database, err);
    }
    if (rc == 0 && fsync(self->folder_fd) != 0) {
        rc = err_set_errno(err, ERR_IO, "sync data folder");
    }
    return rc;
}

static int open_witness(struct storage *self, struct err *err)
{
    self->witness_fd = witness_open(self->folder_fd, err);
    if (self->witness_fd < 0) {
        return self->witness_fd;
    }
    if (self->witness.frames != 0) {
        return 0; /* still true of the log, also when the next commit begins a new generation */
    }
    int rc = witness_write(self->witness_fd, &self->witness, true, err);
    if (rc == 0 && fsync(self->folder_fd) != 0) {
        rc = err_set_errno(err, ERR_IO, "sync data folder");
    }
    return rc;
}

static int open_all(struct storage *self, const struct storage_config *config, struct err *err)
{
    bool witnessed = false;
    int rc = open_folder(self, config, err);
    if (rc != 0) {
        return rc;
    }
    rc = check_files(self, &witnessed, err);
    if (rc == 0) {
        size_t bytes_max = config->bytes_max != 0 ? config->bytes_max : STORAGE_BYTES_MAX;
        rc = open_database(self, bytes_max, witnessed, err);
    }
    if (rc == 0) {
        rc = open_witness(self, err);
    }
    return storage_damage(self, rc, err);
}

int storage_open(const struct storage_config *config, struct storage **ret, struct err *err)
{
    invariant(config->folder != NULL);
    invariant(config->node_name != NULL);
    struct storage *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "open storage");
    }
    self->folder_fd = -1;
    self->lock_fd = -1;
    self->witness_fd = -1;
    self->generation_new = true;
    int rc = open_all(self, config, err);
    if (rc != 0) {
        self->failed = true; /* leave the files as they are */
        storage_close(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

static void close_descriptor(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

void storage_close(struct storage **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct storage *self = *self_p;
    if (self->database != NULL && !self->failed) {
        (void)database_checkpoint(self->database, NULL); /* else the next start does it */
    }
    for (int i = 0; i < QUERY_COUNT; i++) {
        statement_destroy(&self->queries[i]);
    }
    database_close(&self->database);
    close_descriptor(self->witness_fd);
    folder_unlock(self->lock_fd);
    close_descriptor(self->folder_fd);
    free(self->folder);
    free(self);
    *self_p = NULL;
}
