/* A folder of its own per test, and short ways to say what is stored. */
#ifndef UNDERSTUDY_TESTS_UNIT_STORAGE_STORAGE_FIXTURE_H
#define UNDERSTUDY_TESTS_UNIT_STORAGE_STORAGE_FIXTURE_H

#include "node/storage/storage.h"

#define FOLDER_SIZE 128

/* A fresh folder FOLDER/data is named, not made. */
void fixture_make(char ret_root[FOLDER_SIZE], char ret_folder[FOLDER_SIZE]);
void fixture_copy(const char *from, const char *to);

struct storage *fixture_open(const char *folder);
int fixture_try_open(const char *folder, struct storage **ret, struct err *err);

/* One entry of term `term` whose contents follow from its index. */
int fixture_append(struct consensus_storage *log, uint64_t index, uint64_t term, size_t length,
                   struct err *err);
/* True when `entry` is what fixture_append wrote. */
bool fixture_entry_is(const struct consensus_entry *entry, uint64_t index, uint64_t term,
                      size_t length);
void fixture_free(struct consensus_stored *stored);

#endif
