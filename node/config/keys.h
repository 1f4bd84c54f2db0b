/* CURVE keys of nodes, operators and viewers, in folders of small text files.
 *
 * NAME.key (0644) holds name, role and public key; NAME.key_secret (0600) the secret key as well.
 * Both are lines of "word: value" that start with "understudy-key: 1":
 *
 *     understudy-key: 1
 *     name: n1
 *     role: node
 *     public: <40 characters of Z85>
 *     secret: <40 characters of Z85>      (only in NAME.key_secret)
 *
 * keys_init makes all keys of a cluster in one folder (0700), which belongs in one safe place. What
 * one holder keeps is a folder with its own NAME.key_secret and everybody's NAME.key: copy them, or
 * let keys_export do it.
 *
 * Secrets are never logged and their memory is wiped before it is freed. Functions block on files:
 * call them off the loop thread, or at start. */
#ifndef UNDERSTUDY_NODE_CONFIG_KEYS_H
#define UNDERSTUDY_NODE_CONFIG_KEYS_H

#include "node/base/err.h"
#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>

#define KEYS_MAX 256 /* keys of one folder */
#define KEYS_OPERATOR "operator"
#define KEYS_VIEWER "viewer"

enum key_role { KEY_NODE, KEY_OPERATOR, KEY_VIEWER };

struct key_public {
    char name[NAME_SIZE];
    enum key_role role;
    char public_key[PUBLIC_KEY_SIZE]; /* Z85 */
};

/* One's own pair. Not to be copied about: hand `secret_key` to the socket and destroy it. */
struct key_own {
    char name[NAME_SIZE];
    enum key_role role;
    char public_key[PUBLIC_KEY_SIZE];
    char secret_key[PUBLIC_KEY_SIZE]; /* Z85 */
};

struct key_roster {
    struct key_public *keys; /* sorted by name */
    size_t count;
};

struct keys_plan {
    const char *dir;          /* is made, 0700, when missing */
    const char *const *names; /* nodes: 1 to NAME_SIZE - 1 of a-z A-Z 0-9 . _ -, not reserved */
    size_t name_count;        /* 0 is allowed when only roles are wanted */
    bool overwrite;           /* make new keys also for names that have some */
};

/* Make keys for the plan's nodes in DIR, and the operator's and the viewer's when DIR has none.
 * Running it again with further names adds nodes. ERR_EXISTS (naming the first one) when a name has
 * keys already and overwrite is false: then nothing was changed. ERR_INVALID for a bad name,
 * ERR_IO, ERR_NOMEM, ERR_FULL. */
int keys_init(const struct keys_plan *plan, struct err *err);

/* Make `target` (0700) the folder of `name`: its secret and every public key of `dir`. What is
 * there is replaced. ERR_NOTFOUND, ERR_IO. */
int keys_export(const char *dir, const char *name, const char *target, struct err *err);

/* One key pair, for instance for `join`. 0 or ERR_UNSUPPORTED when libzmq lacks CURVE. */
int keys_generate(const char *name, enum key_role role, struct key_own *ret, struct err *err);

/* The own secret key of `name` (NULL: the only secret in the folder). ERR_DENIED when the file or
 * the folder can be read or written by group or others; the text says which command mends it.
 * ERR_NOTFOUND, ERR_INVALID (malformed, with the line), ERR_IO. */
int keys_load_own(const char *dir, const char *name, struct key_own *ret, struct err *err);

/* Wipe the pair. NULL is fine. */
void key_own_wipe(struct key_own *self);

/* All public keys of the folder, the own one too. A name or a public key that occurs twice is
 * refused. ERR_NOTFOUND when there is none. */
int keys_load_roster(const char *dir, struct key_roster *ret, struct err *err);
void key_roster_deinit(struct key_roster *self);

/* By name or by public key; NULL when absent. Valid until key_roster_deinit. */
const struct key_public *key_roster_by_name(const struct key_roster *self, const char *name);
const struct key_public *key_roster_by_key(const struct key_roster *self, const char *public_key);

struct key_listing {
    struct key_public key;
    bool has_secret; /* a secret file lies beside it */
};

/* `keys list`: every public key in `dir`, sorted by name. The caller frees *ret. */
int keys_list(const char *dir, struct key_listing **ret, size_t *ret_count, struct err *err);

const char *key_role_name(enum key_role role);

/* Whether `text` is 40 characters of Z85. */
bool key_valid_z85(const char *text);

/* Whether `name` may name a node, cluster or manager: 1 to NAME_SIZE - 1 of a-z A-Z 0-9 . _ -,
 * beginning with a letter or digit. */
bool key_valid_name(const char *name);

#endif
