/* Merging two files, and writing the result. */
#include "node/config/config.h"
#include "node/config/emit.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Text that means the same without quotes in YAML and in JSON. */
static bool is_bare(const struct yaml_node *node)
{
    const char *text = node->text;
    if (!node->plain) {
        return false;
    }
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        return true;
    }
    text += *text == '-';
    if (!isdigit((unsigned char)*text) || (*text == '0' && isdigit((unsigned char)text[1]))) {
        return false;
    }
    size_t digits = strspn(text, "0123456789");
    if (text[digits] == '.') {
        size_t fraction = strspn(text + digits + 1, "0123456789");
        digits += fraction > 0 ? fraction + 1 : 0;
    }
    return text[digits] == '\0';
}

static void emit_text(FILE *out, const char *text)
{
    json_t *string = json_string(text);
    char *quoted = string == NULL ? NULL : json_dumps(string, JSON_ENCODE_ANY);
    (void)fputs(quoted == NULL ? "\"\"" : quoted, out);
    free(quoted);
    json_decref(string);
}

static void emit_flow(FILE *out, const struct yaml_node *node)
{
    if (node->kind == YAML_SCALAR) {
        if (yaml_is_null(node)) {
            (void)fputs("null", out);
        } else if (is_bare(node)) {
            (void)fputs(node->text, out);
        } else {
            emit_text(out, node->text);
        }
        return;
    }
    bool map = node->kind == YAML_MAP;
    (void)fputc(map ? '{' : '[', out);
    for (size_t i = 0; i < node->count; i++) {
        (void)fputs(i == 0 ? "" : ", ", out);
        if (map) {
            emit_text(out, node->keys[i]->text);
            (void)fputs(": ", out);
        }
        emit_flow(out, node->items[i]);
    }
    (void)fputc(map ? '}' : ']', out);
}

static void emit_key(FILE *out, const char *key)
{
    size_t safe = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-0123456789");
    bool word = isalpha((unsigned char)key[0]) && key[safe] == '\0' && strcmp(key, "true") != 0 &&
                strcmp(key, "false") != 0 && strcmp(key, "null") != 0;
    if (word) {
        (void)fputs(key, out);
    } else {
        emit_text(out, key);
    }
}

static void emit_block(FILE *out, const struct yaml_node *map, int depth)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_node *item = map->items[i];
        (void)fprintf(out, "%*s", depth * 2, "");
        emit_key(out, map->keys[i]->text);
        (void)fputc(':', out);
        if (item->kind == YAML_MAP && item->count > 0) {
            (void)fputc('\n', out);
            emit_block(out, item, depth + 1);
        } else if (item->kind == YAML_LIST && item->count > 0 && item->items[0]->kind == YAML_MAP) {
            (void)fputc('\n', out);
            for (size_t k = 0; k < item->count; k++) {
                (void)fprintf(out, "%*s- ", depth * 2 + 2, "");
                emit_flow(out, item->items[k]);
                (void)fputc('\n', out);
            }
        } else {
            (void)fputc(' ', out);
            emit_flow(out, item);
            (void)fputc('\n', out);
        }
    }
}

char *emit_yaml(const struct yaml_node *root)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        return NULL;
    }
    if (root != NULL && root->kind == YAML_MAP && root->count > 0) {
        emit_block(out, root, 0);
    } else {
        (void)fputs("{}\n", out);
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* --- merging ------------------------------------------------------------------------------- */

static struct yaml_node *find(struct yaml_node *map, const char *key, size_t *ret_index)
{
    for (size_t i = 0; i < map->count; i++) {
        if (strcmp(map->keys[i]->text, key) == 0) {
            *ret_index = i;
            return map->items[i];
        }
    }
    return NULL;
}

static int append(struct yaml_node *map, struct yaml_node *key, struct yaml_node *item)
{
    struct yaml_node **items = realloc(map->items, (map->count + 1) * sizeof(struct yaml_node *));
    if (items == NULL) {
        return ERR_NOMEM;
    }
    map->items = items;
    struct yaml_node **keys = realloc(map->keys, (map->count + 1) * sizeof(struct yaml_node *));
    if (keys == NULL) {
        return ERR_NOMEM;
    }
    map->keys = keys;
    map->keys[map->count] = key;
    map->items[map->count++] = item;
    map->capacity = map->count;
    return 0;
}

/* Moves what it takes out of `overlay`, which stays a valid, smaller tree. */
static int merge_maps(struct yaml_node *base, struct yaml_node *overlay)
{
    while (overlay->count > 0) {
        struct yaml_node *key = overlay->keys[0];
        struct yaml_node *item = overlay->items[0];
        size_t index = 0;
        struct yaml_node *old = find(base, key->text, &index);
        int code = 0;
        if (old != NULL && old->kind == YAML_MAP && item->kind == YAML_MAP) {
            code = merge_maps(old, item);
            if (code != 0) {
                return code;
            }
            yaml_free(item);
            yaml_free(key);
        } else if (old != NULL) {
            yaml_free(old);
            base->items[index] = item;
            yaml_free(key);
        } else if ((code = append(base, key, item)) != 0) {
            return code;
        }
        overlay->count--;
        memmove(overlay->keys, overlay->keys + 1, overlay->count * sizeof(struct yaml_node *));
        memmove(overlay->items, overlay->items + 1, overlay->count * sizeof(struct yaml_node *));
    }
    return 0;
}

static int read_map(const char *path, struct yaml_node **ret, struct err *err)
{
    char *text = NULL;
    size_t length = 0;
    int code = yaml_read_file(path, CONFIG_BYTES_MAX, &text, &length);
    if (code == ERR_IO) {
        return err_set_errno(err, ERR_IO, "%s", path);
    }
    if (code != 0) {
        return err_set(err, ERR_INVALID, "%s: larger than 1 MiB", path);
    }
    struct yaml_problem problem;
    code = yaml_parse(text, length, ret, &problem);
    free(text);
    if (code == ERR_INVALID) {
        return err_set(err, code, "%s:%u:%u: %s", path, problem.line, problem.column,
                       problem.message);
    }
    if (code == 0 && *ret != NULL && (*ret)->kind != YAML_MAP) {
        code = yaml_is_null(*ret) ? 0
                                  : err_set(err, ERR_INVALID, "%s:%u:%u: expected keys", path,
                                            (*ret)->line, (*ret)->column);
        yaml_free(*ret);
        *ret = NULL;
    }
    return code == ERR_NOMEM ? err_set(err, code, "%s: out of memory", path) : code;
}

static int write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, text, length);
        if (written < 0 && errno != EINTR) {
            return ERR_IO;
        }
        if (written > 0) {
            text += written;
            length -= (size_t)written;
        }
    }
    return 0;
}

static int write_file(const char *path, const char *text, struct err *err)
{
    char temporary[CONFIG_PATH_SIZE + 16];
    (void)snprintf(temporary, sizeof(temporary), "%.*s.%ld", CONFIG_PATH_SIZE, path,
                   (long)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return err_set_errno(err, ERR_IO, "%s", temporary);
    }
    int code = write_all(fd, text, strlen(text));
    if (fsync(fd) != 0 || code != 0 || close(fd) != 0 || rename(temporary, path) != 0) {
        code = err_set_errno(err, ERR_IO, "%s", path);
        (void)unlink(temporary);
    }
    return code;
}

int config_merge_files(const char *base, const char *overlay, const char *out, char **ret_text,
                       struct err *err)
{
    struct yaml_node *below = NULL;
    struct yaml_node *above = NULL;
    char *text = NULL;
    int code = read_map(base, &below, err);
    if (code == 0) {
        code = read_map(overlay, &above, err);
    }
    if (code == 0 && below != NULL && above != NULL) {
        code = merge_maps(below, above);
    }
    if (code == 0) {
        text = emit_yaml(below != NULL ? below : above);
        code = text == NULL ? ERR_NOMEM : 0;
    }
    if (code == ERR_NOMEM) {
        (void)err_set(err, code, "merge %s and %s: out of memory", base, overlay);
    }
    if (code == 0 && out != NULL) {
        code = write_file(out, text, err);
    } else if (code == 0 && ret_text != NULL) {
        *ret_text = text;
        text = NULL;
    }
    free(text);
    yaml_free(below);
    yaml_free(above);
    return code;
}
