/* A YAML document as a small tree with places: what libfyaml's parser reads, and nothing more.
 *
 * Refused, each with its place: duplicate keys, keys that are not plain text, tags, a second
 * document, text that is not UTF-8, and what is past the bounds below. Anchors and aliases work;
 * an alias is a copy, and copies count towards the bound. */
#ifndef UNDERSTUDY_NODE_CONFIG_YAML_H
#define UNDERSTUDY_NODE_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#define YAML_CHILDREN_MAX 1024 /* of one map or list */
#define YAML_TEXT_MAX 65536    /* bytes of one scalar */

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    bool plain; /* scalar without quotes: may be a number, boolean or null */
    char *text; /* of a scalar, without NUL inside; else NULL */
    unsigned line;
    unsigned column;          /* from 1 */
    struct yaml_node **keys;  /* of a map: scalars with their places */
    struct yaml_node **items; /* of a list, or a map's values */
    size_t count;
    size_t capacity;
};

struct yaml_problem {
    unsigned line;
    unsigned column; /* from 1; line 0: no place */
    char message[240];
};

/* 0 with *ret (NULL for an empty document; yaml_free ends it), ERR_INVALID with *problem, or
 * ERR_NOMEM. */
int yaml_parse(const char *text, size_t length, struct yaml_node **ret,
               struct yaml_problem *problem);
void yaml_free(struct yaml_node *self);

/* The value of a key, or NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* An empty plain scalar, ~ or null. */
bool yaml_is_null(const struct yaml_node *self);

/* Reads a whole file of at most `bytes_max` bytes into *ret (NUL-terminated, the caller frees).
 * 0, ERR_IO with errno, ERR_FULL, ERR_NOMEM. */
int yaml_read_file(const char *path, size_t bytes_max, char **ret, size_t *ret_length);

#endif
