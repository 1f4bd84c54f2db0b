#include "node/config/key_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_LINE "understudy-key"
#define FORMAT_VERSION "1"

int key_path(const char *dir, const char *name, const char *suffix, char ret[KEY_PATH_SIZE],
             struct err *err)
{
    int length = snprintf(ret, KEY_PATH_SIZE, "%s/%s%s", dir, name, suffix);
    if (length < 0 || length >= KEY_PATH_SIZE) {
        return err_set(err, ERR_INVALID, "the path of the keys folder is too long");
    }
    return 0;
}

static bool take_word(const char *word, const char *value, bool secret, struct key_own *ret,
                      bool *ret_role)
{
    if (strcmp(word, "name") == 0 && key_valid_name(value)) {
        (void)snprintf(ret->name, sizeof(ret->name), "%s", value);
        return true;
    }
    if (strcmp(word, "public") == 0 && key_valid_z85(value)) {
        (void)snprintf(ret->public_key, sizeof(ret->public_key), "%s", value);
        return true;
    }
    if (strcmp(word, "secret") == 0 && key_valid_z85(value)) {
        if (secret) {
            (void)snprintf(ret->secret_key, sizeof(ret->secret_key), "%s", value);
        }
        return true;
    }
    if (strcmp(word, "role") == 0) {
        for (enum key_role role = KEY_NODE; role <= KEY_VIEWER; role++) {
            if (strcmp(value, key_role_name(role)) == 0) {
                ret->role = role;
                *ret_role = true;
                return true;
            }
        }
    }
    return false;
}

/* One "word: value" line, in place. NULL when it is none. */
static char *split_line(char *line)
{
    char *colon = strstr(line, ": ");
    if (colon == NULL) {
        return NULL;
    }
    *colon = '\0';
    return colon + 2;
}

int key_parse(const char *path, const char *text, size_t length, bool secret, struct key_own *ret,
              struct err *err)
{
    char copy[KEY_FILE_BYTES_MAX + 1];
    *ret = (struct key_own){.name = ""};
    if (length > KEY_FILE_BYTES_MAX) {
        return err_set(err, ERR_INVALID, "%s: too large for a key file", path);
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *rest = copy;
    bool role = false;
    unsigned number = 0;
    int code = 0;
    while (code == 0 && rest != NULL) {
        char *line = strsep(&rest, "\n");
        number++;
        if (number > 1 && (line[0] == '\0' || line[0] == '#')) {
            continue;
        }
        char *value = split_line(line);
        bool first = number == 1;
        bool good = value != NULL && (first ? strcmp(line, FIRST_LINE) == 0
                                            : take_word(line, value, secret, ret, &role));
        if (good && first && strcmp(value, FORMAT_VERSION) != 0) {
            code = err_set(err, ERR_UNSUPPORTED, "%s:1: a key file of a later version", path);
        } else if (!good) {
            code = err_set(err, ERR_INVALID, "%s:%u: %s", path, number,
                           first ? "no key file of Understudy"
                                 : "not understood; expected name, role, public or secret");
        }
    }
    if (code == 0 && (ret->name[0] == '\0' || ret->public_key[0] == '\0' || !role ||
                      (secret && ret->secret_key[0] == '\0'))) {
        code = err_set(err, ERR_INVALID, "%s: name, role, public%s must all be there", path,
                       secret ? " and secret" : "");
    }
    explicit_bzero(copy, sizeof(copy));
    if (code != 0) {
        key_own_wipe(ret);
    }
    return code;
}

static int check_private(const char *path, int fd, struct err *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return err_set_errno(err, ERR_IO, "%s", path);
    }
    if (!S_ISREG(status.st_mode)) {
        return err_set(err, ERR_DENIED, "%s: not a plain file", path);
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return err_set(err, ERR_DENIED,
                       "%s: mode %04o lets others at the secret key; run: chmod 600 %s", path,
                       status.st_mode & 07777U, path);
    }
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        return err_set(err, ERR_DENIED, "%s: belongs to user %u; run: chown %u %s", path,
                       (unsigned)status.st_uid, (unsigned)geteuid(), path);
    }
    return 0;
}

int key_folder_check(const char *dir, struct err *err)
{
    struct stat status;
    if (stat(dir, &status) != 0) {
        return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "keys folder %s", dir);
    }
    if (!S_ISDIR(status.st_mode)) {
        return err_set(err, ERR_INVALID, "%s: not a folder", dir);
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return err_set(err, ERR_DENIED,
                       "%s: mode %04o opens the keys folder to others; run: chmod 700 %s", dir,
                       status.st_mode & 07777U, dir);
    }
    return 0;
}

int key_file_read(const char *path, bool secret, struct key_own *ret, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "%s", path);
    }
    char text[KEY_FILE_BYTES_MAX + 1];
    int code = secret ? check_private(path, fd, err) : 0;
    ssize_t length = 0;
    if (code == 0) {
        length = read(fd, text, sizeof(text));
        if (length < 0) {
            code = err_set_errno(err, ERR_IO, "%s", path);
        }
    }
    (void)close(fd);
    if (code == 0) {
        code = key_parse(path, text, (size_t)length, secret, ret, err);
    }
    explicit_bzero(text, sizeof(text));
    return code;
}

static int write_synced(const char *path, mode_t mode, const char *text, size_t length,
                        struct err *err)
{
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        return err_set_errno(err, ERR_IO, "%s", path);
    }
    /* The process' umask may have taken bits away. */
    bool good =
        fchmod(fd, mode) == 0 && write(fd, text, length) == (ssize_t)length && fsync(fd) == 0;
    int code = good ? 0 : err_set_errno(err, ERR_IO, "%s", path);
    if (close(fd) != 0 && code == 0) {
        code = err_set_errno(err, ERR_IO, "%s", path);
    }
    if (code != 0) {
        (void)unlink(path);
    }
    return code;
}

int key_file_write(const char *dir, const struct key_own *key, bool secret, struct err *err)
{
    char path[KEY_PATH_SIZE];
    char temporary[KEY_PATH_SIZE];
    char text[KEY_FILE_BYTES_MAX];
    int code = key_path(dir, key->name, secret ? KEY_SECRET_SUFFIX : KEY_SUFFIX, path, err);
    if (code == 0) {
        code = key_path(dir, key->name, secret ? ".new_secret" : ".new", temporary, err);
    }
    if (code != 0) {
        return code;
    }
    int length =
        snprintf(text, sizeof(text), "%s: %s\nname: %s\nrole: %s\npublic: %s\n%s%s%s", FIRST_LINE,
                 FORMAT_VERSION, key->name, key_role_name(key->role), key->public_key,
                 secret ? "secret: " : "", secret ? key->secret_key : "", secret ? "\n" : "");
    code = write_synced(temporary, secret ? 0600 : 0644, text, (size_t)length, err);
    explicit_bzero(text, sizeof(text));
    if (code == 0 && rename(temporary, path) != 0) {
        code = err_set_errno(err, ERR_IO, "%s", path);
        (void)unlink(temporary);
    }
    return code;
}
