/* The files of the attempts of this node, in DATA_DIR/runs: a folder for each schedule, and in it,
 * by the slot and attempt of the duty (KEY, "20261122T051500Z#2"):
 *
 *     KEY.run    its record (record.h); made before its guard, gone when its end is known
 *     KEY.pipe   where its program writes to
 *     KEY.end    how its guard says that it ended (ending.h)
 *     KEY.part   its output while it is under way; KEY.out after (output.h)
 *
 * KEY.run or KEY.out is the sign that the attempt was begun: it is never begun again. */
#ifndef UNDERSTUDY_MANAGERS_RUN_FILES_H
#define UNDERSTUDY_MANAGERS_RUN_FILES_H

#include "managers/common/protocol.h"
#include "managers/run/ending.h"
#include "managers/run/record.h"
#include "managers/run/slot.h"

#define FILES_PATH_SIZE (MANAGER_PATH_SIZE + DUTY_ID_SIZE + 16)

struct files {
    char folder[MANAGER_PATH_SIZE]; /* DATA_DIR/runs */
    char prefix[NAME_SIZE + 1];     /* of the duties: "run/" */
};

/* Makes the folder. ERR_INVALID, ERR_IO. */
int files_open(const char *data_dir, const char *prefix, struct files *ret, struct err *err);

/* `ending` is "run", "pipe", ...; `duty` is one that slot_parse takes with that prefix. */
void files_path(const struct files *self, const char *duty, const char *ending,
                char ret[FILES_PATH_SIZE]);

/* Whether this node began the attempt before. */
bool files_begun(const struct files *self, const char *duty);

/* Write the record of an attempt that was not begun yet (ERR_EXISTS), or replace it. ERR_IO. */
int files_begin(const struct files *self, const char *duty, const struct record *record,
                struct err *err);
int files_record(const struct files *self, const char *duty, const struct record *record,
                 struct err *err);
/* False: there is none, or it is not whole. */
bool files_record_of(const struct files *self, const char *duty, struct record *ret);
/* ENDING_UNSEEN when the guard has left no line; else *ret_wall_ms is when it did. */
struct ending files_ending_of(const struct files *self, const char *duty, int64_t *ret_wall_ms);

/* Everything of the attempt but its output. */
void files_forget(const struct files *self, const char *duty);

/* Call `visit` with the duty of each file of `schedule` (NULL: of all) with this ending; it may
 * delete that file. */
typedef void files_visit_fn(void *context, const char *duty, const struct slot_name *slot,
                            int64_t bytes, int64_t changed_wall_ms);
void files_visit(const struct files *self, const char *schedule, const char *ending,
                 files_visit_fn *visit, void *context);

/* Delete the oldest outputs of `schedule` until `keep` are left. */
void files_prune(const struct files *self, const char *schedule, size_t keep);

#endif
