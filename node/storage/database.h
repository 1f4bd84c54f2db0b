/* The one door to SQLite (database.c alone includes its header): a file opened by one owner with
 * write-ahead log and full sync, prepared statements, results as codes of ours.
 *
 * ERR_FULL: no space left (disk, or the size limit); ERR_CORRUPT: SQLite found the file damaged;
 * ERR_IO: anything else. One thread at a time. */
#ifndef UNDERSTUDY_NODE_STORAGE_DATABASE_H
#define UNDERSTUDY_NODE_STORAGE_DATABASE_H

#include "node/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct database;

/* The file is held exclusively from here on. `bytes_max` bounds its size. */
int database_open(const char *path, size_t bytes_max, struct database **ret, struct err *err);
/* Leaves the write-ahead log as it is; every statement must have been destroyed. */
void database_close(struct database **self_p);

/* One or more statements without results. */
int database_execute(struct database *self, const char *sql, struct err *err);
/* The single integer that `sql` yields. */
int database_integer(struct database *self, const char *sql, int64_t *ret, struct err *err);
/* Structure of the whole file: ERR_CORRUPT with SQLite's first finding. */
int database_check(struct database *self, struct err *err);

/* Frames in the write-ahead log after the last commit; set back by a new generation of the log. */
uint32_t database_wal_frames(const struct database *self);
/* Move the log into the file; the next commit begins a new generation. */
int database_checkpoint(struct database *self, struct err *err);

int database_begin(struct database *self, struct err *err);
int database_commit(struct database *self, struct err *err);
/* After any failed step; harmless outside a transaction. */
void database_rollback(struct database *self);

struct statement;

int statement_create(struct database *database, const char *sql, struct statement **ret,
                     struct err *err);
void statement_destroy(struct statement **self_p);
/* Parameters count from 1, columns from 0. Bytes are borrowed until the next statement_reset. */
void statement_bind_u64(struct statement *self, int parameter, uint64_t value);
void statement_bind_bytes(struct statement *self, int parameter, const void *bytes, size_t length);
/* 1: a row is there, 0: done, else a code. */
int statement_step(struct statement *self, struct err *err);
/* Run to the end and reset. */
int statement_run(struct statement *self, struct err *err);
void statement_reset(struct statement *self);
uint64_t statement_u64(struct statement *self, int column);
/* Borrowed until the next step or reset; NULL when empty. */
const uint8_t *statement_bytes(struct statement *self, int column, size_t *ret_length);

#endif
