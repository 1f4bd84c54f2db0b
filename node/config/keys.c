#include "node/config/keys.h"

#include "node/config/key_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

const char *key_role_name(enum key_role role)
{
    static const char *const names[] = {
        [KEY_NODE] = "node", [KEY_OPERATOR] = "operator", [KEY_VIEWER] = "viewer"};
    return role >= KEY_NODE && role <= KEY_VIEWER ? names[role] : "unknown";
}

/* ZeroMQ RFC 32 (Z85), the alphabet. */
bool key_valid_z85(const char *text)
{
    static const char alphabet[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    return strspn(text, alphabet) == PUBLIC_KEY_SIZE - 1 && text[PUBLIC_KEY_SIZE - 1] == '\0';
}

bool key_valid_name(const char *name)
{
    size_t length = strnlen(name, NAME_SIZE);
    if (length == 0 || length == NAME_SIZE || !isalnum((unsigned char)name[0])) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && strchr("._-", name[i]) == NULL) {
            return false;
        }
    }
    return true;
}

void key_own_wipe(struct key_own *self)
{
    if (self != NULL) {
        explicit_bzero(self, sizeof(*self));
    }
}

int keys_generate(const char *name, enum key_role role, struct key_own *ret, struct err *err)
{
    if (!key_valid_name(name)) {
        return err_set(err, ERR_INVALID,
                       "\"%.60s\" cannot name a key: at most 63 letters, digits, '.', '_' or '-', "
                       "beginning with a letter or digit",
                       name);
    }
    *ret = (struct key_own){.role = role};
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    do { /* a command line would take a public key that begins with '-' for an option */
        if (zmq_curve_keypair(ret->public_key, ret->secret_key) != 0) {
            key_own_wipe(ret);
            return err_set_errno(err, ERR_UNSUPPORTED, "libzmq makes no CURVE keys");
        }
    } while (ret->public_key[0] == '-');
    return 0;
}

/* --- making keys --------------------------------------------------------------------------- */

static bool is_reserved(const char *name)
{
    return strcmp(name, KEYS_OPERATOR) == 0 || strcmp(name, KEYS_VIEWER) == 0;
}

static bool exists(const char *dir, const char *name)
{
    static const char *const suffixes[] = {KEY_SUFFIX, KEY_SECRET_SUFFIX};
    for (size_t i = 0; i < 2; i++) {
        char path[KEY_PATH_SIZE];
        if (key_path(dir, name, suffixes[i], path, NULL) == 0 && access(path, F_OK) == 0) {
            return true;
        }
    }
    return false;
}

static int check_plan(const struct keys_plan *plan, struct err *err)
{
    if (plan->name_count > KEYS_MAX - 2) {
        return err_set(err, ERR_FULL, "more than %d names", KEYS_MAX - 2);
    }
    for (size_t i = 0; i < plan->name_count; i++) {
        const char *name = plan->names[i];
        if (!key_valid_name(name) || is_reserved(name)) {
            return err_set(err, ERR_INVALID,
                           "\"%.60s\" cannot name a node: at most 63 letters, digits, '.', '_' or "
                           "'-', beginning with a letter or digit; operator and viewer are taken",
                           name);
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(plan->names[k], name) == 0) {
                return err_set(err, ERR_INVALID, "\"%s\" is named twice", name);
            }
        }
        if (!plan->overwrite && exists(plan->dir, name)) {
            return err_set(err, ERR_EXISTS,
                           "%s has keys of %s already; leave the name out, or ask for overwriting",
                           plan->dir, name);
        }
    }
    return 0;
}

static int make_folder(const char *dir, struct err *err)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        return err_set_errno(err, ERR_IO, "make the keys folder %s", dir);
    }
    return key_folder_check(dir, err);
}

static int make_key(const char *dir, const char *name, enum key_role role, struct err *err)
{
    struct key_own key;
    int code = keys_generate(name, role, &key, err);
    if (code == 0) {
        /* The secret first: a public key without its secret would be of no use. */
        code = key_file_write(dir, &key, true, err);
    }
    if (code == 0) {
        code = key_file_write(dir, &key, false, err);
    }
    key_own_wipe(&key);
    return code;
}

static int sync_folder(const char *dir, struct err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = fd >= 0 && fsync(fd) == 0 ? 0 : err_set_errno(err, ERR_IO, "%s", dir);
    if (fd >= 0) {
        (void)close(fd);
    }
    return code;
}

int keys_init(const struct keys_plan *plan, struct err *err)
{
    int code = check_plan(plan, err);
    if (code == 0) {
        code = make_folder(plan->dir, err);
    }
    for (size_t i = 0; code == 0 && i < plan->name_count; i++) {
        code = make_key(plan->dir, plan->names[i], KEY_NODE, err);
    }
    if (code == 0 && !exists(plan->dir, KEYS_OPERATOR)) {
        code = make_key(plan->dir, KEYS_OPERATOR, KEY_OPERATOR, err);
    }
    if (code == 0 && !exists(plan->dir, KEYS_VIEWER)) {
        code = make_key(plan->dir, KEYS_VIEWER, KEY_VIEWER, err);
    }
    return code == 0 ? sync_folder(plan->dir, err) : code;
}

/* --- reading a folder ---------------------------------------------------------------------- */

/* The name before `suffix`, or false. */
static bool name_of_file(const char *file, const char *suffix, char ret[NAME_SIZE])
{
    size_t length = strlen(file);
    size_t tail = strlen(suffix);
    if (length <= tail || length - tail >= NAME_SIZE || strcmp(file + length - tail, suffix) != 0) {
        return false;
    }
    (void)snprintf(ret, NAME_SIZE, "%.*s", (int)(length - tail), file);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((const char *)a, (const char *)b);
}

struct names {
    char (*list)[NAME_SIZE];
    size_t count;
};

/* Names of the folder's files with `suffix`, sorted; the caller frees. */
static int list_names(const char *dir, const char *suffix, struct names *ret, struct err *err)
{
    *ret = (struct names){.list = calloc(KEYS_MAX, NAME_SIZE)};
    if (ret->list == NULL) {
        return err_set(err, ERR_NOMEM, "%s: out of memory", dir);
    }
    DIR *folder = opendir(dir);
    if (folder == NULL) {
        free(ret->list);
        ret->list = NULL;
        return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "keys folder %s", dir);
    }
    int code = 0;
    struct dirent *entry = NULL;
    while (code == 0 && (entry = readdir(folder)) != NULL) {
        char name[NAME_SIZE];
        if (!name_of_file(entry->d_name, suffix, name)) {
            continue;
        }
        if (ret->count == KEYS_MAX) {
            code = err_set(err, ERR_FULL, "%s: more than %d keys", dir, KEYS_MAX);
        } else {
            memcpy(ret->list[ret->count++], name, NAME_SIZE);
        }
    }
    (void)closedir(folder);
    if (code != 0) {
        free(ret->list);
        ret->list = NULL;
        return code;
    }
    qsort(ret->list, ret->count, NAME_SIZE, by_name);
    return 0;
}

static int find_only_secret(const char *dir, char ret[NAME_SIZE], struct err *err)
{
    struct names names = {.count = 0};
    int code = list_names(dir, KEY_SECRET_SUFFIX, &names, err);
    if (code != 0) {
        return code;
    }
    if (names.count == 1) {
        memcpy(ret, names.list[0], NAME_SIZE);
    } else if (names.count == 0) {
        code = err_set(err, ERR_NOTFOUND, "%s holds no secret key (NAME.key_secret)", dir);
    } else {
        code = err_set(err, ERR_INVALID, "%s holds %zu secret keys; say whose is meant", dir,
                       names.count);
    }
    free(names.list);
    return code;
}

int keys_load_own(const char *dir, const char *name, struct key_own *ret, struct err *err)
{
    char found[NAME_SIZE];
    char path[KEY_PATH_SIZE];
    int code = key_folder_check(dir, err);
    if (code == 0 && name == NULL) {
        code = find_only_secret(dir, found, err);
        name = found;
    }
    if (code == 0) {
        code = key_path(dir, name, KEY_SECRET_SUFFIX, path, err);
    }
    if (code == 0) {
        code = key_file_read(path, true, ret, err);
    }
    if (code == 0 && strcmp(ret->name, name) != 0) {
        code = err_set(err, ERR_INVALID, "%s: holds the key of %s", path, ret->name);
        key_own_wipe(ret);
    }
    char derived[PUBLIC_KEY_SIZE];
    if (code == 0 && (zmq_curve_public(derived, ret->secret_key) != 0 ||
                      strcmp(derived, ret->public_key) != 0)) {
        key_own_wipe(ret);
        code = err_set(err, ERR_INVALID, "%s: public and secret key do not belong together", path);
    }
    return code;
}

static int add_key(struct key_roster *self, const struct key_own *key, const char *path,
                   struct err *err)
{
    if (key_roster_by_key(self, key->public_key) != NULL) {
        return err_set(err, ERR_INVALID, "%s: the same public key as %s", path,
                       key_roster_by_key(self, key->public_key)->name);
    }
    struct key_public *slot = &self->keys[self->count++];
    memcpy(slot->name, key->name, sizeof(slot->name));
    memcpy(slot->public_key, key->public_key, sizeof(slot->public_key));
    slot->role = key->role;
    return 0;
}

static int load_names(const char *dir, const struct names *names, struct key_roster *ret,
                      struct err *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < names->count; i++) {
        char path[KEY_PATH_SIZE];
        struct key_own key;
        code = key_path(dir, names->list[i], KEY_SUFFIX, path, err);
        if (code == 0) {
            code = key_file_read(path, false, &key, err);
        }
        if (code == 0 && strcmp(key.name, names->list[i]) != 0) {
            code = err_set(err, ERR_INVALID, "%s: holds the key of %s", path, key.name);
        }
        if (code == 0) {
            code = add_key(ret, &key, path, err);
        }
    }
    return code;
}

int keys_load_roster(const char *dir, struct key_roster *ret, struct err *err)
{
    struct names names = {.count = 0};
    int code = list_names(dir, KEY_SUFFIX, &names, err);
    if (code != 0) {
        return code;
    }
    if (names.count == 0) {
        free(names.list);
        return err_set(err, ERR_NOTFOUND, "%s holds no public key (NAME.key)", dir);
    }
    struct key_roster roster = {.keys = calloc(names.count + 1, sizeof(struct key_public))};
    code = roster.keys == NULL ? err_set(err, ERR_NOMEM, "%s: out of memory", dir)
                               : load_names(dir, &names, &roster, err);
    free(names.list);
    if (code != 0) {
        key_roster_deinit(&roster);
        return code;
    }
    *ret = roster;
    return 0;
}

void key_roster_deinit(struct key_roster *self)
{
    free(self->keys);
    *self = (struct key_roster){.count = 0};
}

const struct key_public *key_roster_by_name(const struct key_roster *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->keys[i].name, name) == 0) {
            return &self->keys[i];
        }
    }
    return NULL;
}

const struct key_public *key_roster_by_key(const struct key_roster *self, const char *public_key)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->keys[i].public_key, public_key) == 0) {
            return &self->keys[i];
        }
    }
    return NULL;
}

int keys_list(const char *dir, struct key_listing **ret, size_t *ret_count, struct err *err)
{
    struct key_roster roster = {.count = 0};
    int code = keys_load_roster(dir, &roster, err);
    if (code != 0) {
        return code;
    }
    struct key_listing *list = calloc(roster.count + 1, sizeof(*list));
    if (list == NULL) {
        key_roster_deinit(&roster);
        return err_set(err, ERR_NOMEM, "%s: out of memory", dir);
    }
    for (size_t i = 0; i < roster.count; i++) {
        char path[KEY_PATH_SIZE];
        list[i].key = roster.keys[i];
        list[i].has_secret =
            key_path(dir, roster.keys[i].name, KEY_SECRET_SUFFIX, path, NULL) == 0 &&
            access(path, F_OK) == 0;
    }
    *ret = list;
    *ret_count = roster.count;
    key_roster_deinit(&roster);
    return 0;
}

int keys_export(const char *dir, const char *name, const char *target, struct err *err)
{
    struct key_own own;
    struct key_roster roster = {.count = 0};
    int code = keys_load_own(dir, name, &own, err);
    if (code != 0) {
        return code;
    }
    code = keys_load_roster(dir, &roster, err);
    if (code != 0) {
        key_own_wipe(&own);
        return code;
    }
    code = make_folder(target, err);
    if (code == 0) {
        code = key_file_write(target, &own, true, err);
    }
    key_own_wipe(&own);
    for (size_t i = 0; code == 0 && i < roster.count; i++) {
        struct key_own key = {.role = roster.keys[i].role};
        memcpy(key.name, roster.keys[i].name, sizeof(key.name));
        memcpy(key.public_key, roster.keys[i].public_key, sizeof(key.public_key));
        code = key_file_write(target, &key, false, err);
    }
    key_roster_deinit(&roster);
    return code == 0 ? sync_folder(target, err) : code;
}
