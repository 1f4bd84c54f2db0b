/* The folder of a home's kept lists: DATA_DIR/lists/HOME/NUMBER. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LISTS_FILES_H
#define UNDERSTUDY_MANAGERS_PM2_LISTS_FILES_H

#include "managers/common/runtime.h"
#include "managers/pm2/lists/version.h"

#define LISTS_PATH_SIZE (MANAGER_PATH_SIZE + 64)

/* Make the folders, 0700. `ret` gets the path of the home's. */
int lists_files_open(const char *data_dir, const char *home, char ret[LISTS_PATH_SIZE],
                     struct err *err);

/* Numbers of the versions that are there, newest first; at most `most`. */
size_t lists_files_numbers(const char *folder, int64_t *ret, size_t most);
/* Only the head with `head_only`. ERR_NOTFOUND, ERR_CORRUPT, ERR_IO. */
int lists_files_load(const char *folder, int64_t number, bool head_only, struct version *ret,
                     struct err *err);

/* A write under way in a child. Zeroed: none. */
struct lists_write {
    pid_t pid; /* 0: none */
    int pidfd;
};

/* Write `text` as version `number` and remove the one `remove` (0: none), in a child. */
int lists_files_write(const char *folder, int64_t number, const char *text, int64_t remove,
                      struct lists_write *ret, struct err *err);
/* The child has ended, or is waited for; its exit tells whether the file is safe. */
bool lists_files_written(struct lists_write *write);

#endif
