/* Reading and writing single key files. Internal to node/config. */
#ifndef UNDERSTUDY_NODE_CONFIG_KEY_FILES_H
#define UNDERSTUDY_NODE_CONFIG_KEY_FILES_H

#include "node/config/keys.h"

#define KEY_SUFFIX ".key"
#define KEY_SECRET_SUFFIX ".key_secret"
#define KEY_PATH_SIZE 512
#define KEY_FILE_BYTES_MAX 1024

/* "DIR/NAME.key" and so on. */
int key_path(const char *dir, const char *name, const char *suffix, char ret[KEY_PATH_SIZE],
             struct err *err);

/* Reads one file. With `secret` the file must be private (ERR_DENIED) and hold a secret; without
 * it `ret->secret_key` stays empty, whatever the file says. */
int key_file_read(const char *path, bool secret, struct key_own *ret, struct err *err);

/* Writes DIR/NAME.key (0644), or DIR/NAME.key_secret (0600) with `secret`; synced, by rename. */
int key_file_write(const char *dir, const struct key_own *key, bool secret, struct err *err);

/* Refuses a folder that group or others can write, or that they can read when `secret`. */
int key_folder_check(const char *dir, struct err *err);

/* Parses the text of a key file; pure. `path` only serves messages. */
int key_parse(const char *path, const char *text, size_t length, bool secret, struct key_own *ret,
              struct err *err);

#endif
