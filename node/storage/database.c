#include "node/storage/database.h"

#include "node/base/invariant.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>

#define PAGE_BYTES 4096
#define CACHE_KIB 256
/* The log's file keeps this size between generations: writing over blocks that exist is faster than
 * growing, and a snapshot's burst does not stay for ever. */
#define WAL_BYTES_KEPT (4 << 20)

struct database {
    sqlite3 *handle;
    uint32_t wal_frames;
};

struct statement {
    struct database *database;
    sqlite3_stmt *handle;
};

static int code_of(int sqlite_code)
{
    switch (sqlite_code & 0xff) {
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return ERR_CORRUPT;
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    default:
        return ERR_IO;
    }
}

static int fail(const struct database *self, const char *what, struct err *err)
{
    int code = sqlite3_extended_errcode(self->handle);
    int os_errno = sqlite3_system_errno(self->handle);
    int rc = err_set(err, code_of(code), "%s: %s (SQLite %d, errno %d)", what,
                     sqlite3_errmsg(self->handle), code, os_errno);
    if (err != NULL) {
        err->os_errno = os_errno;
    }
    invariant(rc < 0);
    return rc;
}

static int note_frames(void *context, sqlite3 *handle, const char *schema, int frames)
{
    (void)handle;
    (void)schema;
    struct database *self = context;
    self->wal_frames = (uint32_t)frames;
    return SQLITE_OK;
}

static int configure(struct database *self, size_t bytes_max, struct err *err)
{
    (void)sqlite3_extended_result_codes(self->handle, 1);
    (void)sqlite3_db_config(self->handle, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
    (void)sqlite3_db_config(self->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* The log stays where it is, as the witness speaks of it, and as evidence of damage. */
    (void)sqlite3_db_config(self->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    char sql[512];
    /* Exclusive before the first access: then the log's index lives in memory, and there is no
     * shared-memory file. */
    (void)sqlite3_snprintf(
        (int)sizeof sql, sql,
        "PRAGMA page_size=%d; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
        "PRAGMA synchronous=FULL; PRAGMA cache_size=-%d; PRAGMA temp_store=MEMORY;"
        "PRAGMA journal_size_limit=%d; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;"
        "PRAGMA max_page_count=%lld;",
        PAGE_BYTES, CACHE_KIB, WAL_BYTES_KEPT, (long long)(bytes_max / PAGE_BYTES));
    int rc = database_execute(self, sql, err);
    if (rc != 0) {
        return rc;
    }
    (void)sqlite3_wal_hook(self->handle, note_frames, self); /* and no automatic checkpoint */
    struct statement *mode = NULL;
    rc = statement_create(self, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &mode, err);
    if (rc == 0) {
        rc = statement_step(mode, err);
        if (rc == 1) {
            rc = statement_u64(mode, 0) == 1
                     ? 0
                     : err_set(err, ERR_IO, "this file system does not support a write-ahead log");
        }
    }
    statement_destroy(&mode);
    return rc;
}

int database_open(const char *path, size_t bytes_max, struct database **ret, struct err *err)
{
    struct database *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "open %s", path);
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE;
    if (sqlite3_open_v2(path, &self->handle, flags, NULL) != SQLITE_OK) {
        int rc =
            self->handle != NULL ? fail(self, path, err) : err_set(err, ERR_NOMEM, "open %s", path);
        database_close(&self);
        return rc;
    }
    int rc = configure(self, bytes_max, err);
    if (rc != 0) {
        database_close(&self);
        (void)err_wrap(err, "open %s", path);
        return rc;
    }
    *ret = self;
    return 0;
}

void database_close(struct database **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    int rc = sqlite3_close((*self_p)->handle);
    invariant(rc == SQLITE_OK); /* a statement is left over */
    free(*self_p);
    *self_p = NULL;
}

int database_execute(struct database *self, const char *sql, struct err *err)
{
    return sqlite3_exec(self->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                          : fail(self, sql, err);
}

int database_integer(struct database *self, const char *sql, int64_t *ret, struct err *err)
{
    struct statement *query = NULL;
    int rc = statement_create(self, sql, &query, err);
    if (rc != 0) {
        return rc;
    }
    rc = statement_step(query, err);
    if (rc == 1) {
        *ret = sqlite3_column_int64(query->handle, 0);
        rc = 0;
    } else if (rc == 0) {
        rc = err_set(err, ERR_CORRUPT, "%s: no row", sql);
    }
    statement_destroy(&query);
    return rc;
}

int database_check(struct database *self, struct err *err)
{
    struct statement *query = NULL;
    int rc = statement_create(self, "PRAGMA quick_check(1)", &query, err);
    if (rc != 0) {
        return rc;
    }
    rc = statement_step(query, err);
    if (rc == 1) {
        const unsigned char *text = sqlite3_column_text(query->handle, 0);
        rc = text != NULL && sqlite3_stricmp((const char *)text, "ok") == 0
                 ? 0
                 : err_set(err, ERR_CORRUPT, "%s",
                           text != NULL ? (const char *)text : "check failed");
    } else if (rc == 0) {
        rc = err_set(err, ERR_CORRUPT, "check gave no answer");
    }
    statement_destroy(&query);
    return rc;
}

uint32_t database_wal_frames(const struct database *self)
{
    return self->wal_frames;
}

int database_checkpoint(struct database *self, struct err *err)
{
    int left = 0;
    int moved = 0;
    if (sqlite3_wal_checkpoint_v2(self->handle, NULL, SQLITE_CHECKPOINT_RESTART, &left, &moved) !=
        SQLITE_OK) {
        return fail(self, "checkpoint", err);
    }
    return 0;
}

int database_begin(struct database *self, struct err *err)
{
    return database_execute(self, "BEGIN IMMEDIATE", err);
}

int database_commit(struct database *self, struct err *err)
{
    return database_execute(self, "COMMIT", err);
}

void database_rollback(struct database *self)
{
    if (sqlite3_get_autocommit(self->handle) == 0) {
        (void)database_execute(self, "ROLLBACK", NULL); /* the first failure is what counts */
    }
}

int statement_create(struct database *database, const char *sql, struct statement **ret,
                     struct err *err)
{
    struct statement *self = calloc(1, sizeof *self);
    if (self == NULL) {
        (void)err_set(err, ERR_NOMEM, "prepare statement");
        return ERR_NOMEM;
    }
    self->database = database;
    if (sqlite3_prepare_v3(database->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &self->handle,
                           NULL) != SQLITE_OK) {
        int rc = fail(database, sql, err);
        free(self);
        return rc;
    }
    *ret = self;
    return 0;
}

void statement_destroy(struct statement **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    (void)sqlite3_finalize((*self_p)->handle); /* repeats the last step's error */
    free(*self_p);
    *self_p = NULL;
}

/* SQLite's integers are signed: the value goes through with its bits unchanged. */
void statement_bind_u64(struct statement *self, int parameter, uint64_t value)
{
    int rc = sqlite3_bind_int64(self->handle, parameter, (sqlite3_int64)value);
    invariant(rc == SQLITE_OK);
}

void statement_bind_bytes(struct statement *self, int parameter, const void *bytes, size_t length)
{
    invariant(length <= INT_MAX);
    int rc = sqlite3_bind_blob64(self->handle, parameter, length > 0 ? bytes : "", length,
                                 SQLITE_STATIC);
    invariant(rc == SQLITE_OK);
}

int statement_step(struct statement *self, struct err *err)
{
    int rc = sqlite3_step(self->handle);
    if (rc == SQLITE_ROW) {
        return 1;
    }
    return rc == SQLITE_DONE ? 0 : fail(self->database, sqlite3_sql(self->handle), err);
}

int statement_run(struct statement *self, struct err *err)
{
    int rc = statement_step(self, err);
    statement_reset(self);
    return rc > 0 ? 0 : rc;
}

void statement_reset(struct statement *self)
{
    (void)sqlite3_reset(self->handle); /* repeats the last step's error */
    (void)sqlite3_clear_bindings(self->handle);
}

uint64_t statement_u64(struct statement *self, int column)
{
    return (uint64_t)sqlite3_column_int64(self->handle, column);
}

const uint8_t *statement_bytes(struct statement *self, int column, size_t *ret_length)
{
    const uint8_t *bytes = sqlite3_column_blob(self->handle, column);
    *ret_length = (size_t)sqlite3_column_bytes(self->handle, column);
    return bytes;
}
