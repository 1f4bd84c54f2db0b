#include "node/config/yaml.h"

#include "node/base/err.h"
#include "node/base/utf8.h"
#include "node/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <libfyaml.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANCHORS_MAX 64

struct anchor {
    char *name;
    struct yaml_node *node; /* in the tree; complete once its end was seen */
};

struct builder {
    struct fy_parser *parser;
    struct yaml_problem *problem;
    struct yaml_node *root;
    struct yaml_node *stack[CONFIG_DEPTH_MAX];
    struct yaml_node *pending_key; /* of the innermost map */
    struct anchor anchors[ANCHORS_MAX];
    size_t anchor_count;
    size_t depth;
    size_t nodes;
    bool document_seen;
};

static int refuse(struct builder *self, unsigned line, unsigned column, const char *message)
{
    self->problem->line = line;
    self->problem->column = column;
    (void)snprintf(self->problem->message, sizeof(self->problem->message), "%s", message);
    return ERR_INVALID;
}

void yaml_free(struct yaml_node *self)
{
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->count; i++) {
        yaml_free(self->items[i]);
        if (self->keys != NULL) {
            yaml_free(self->keys[i]);
        }
    }
    free(self->items);
    free(self->keys);
    free(self->text);
    free(self);
}

static struct yaml_node *new_node(struct builder *self, enum yaml_kind kind, unsigned line,
                                  unsigned column)
{
    struct yaml_node *node = calloc(1, sizeof(*node));
    if (node != NULL) {
        node->kind = kind;
        node->line = line;
        node->column = column;
        self->nodes++;
    }
    return node;
}

/* Takes key and item on 0. */
static int add_child(struct yaml_node *parent, struct yaml_node *key, struct yaml_node *item)
{
    if (parent->count == parent->capacity) {
        size_t capacity = parent->capacity == 0 ? 8 : parent->capacity * 2;
        struct yaml_node **items = realloc(parent->items, capacity * sizeof(struct yaml_node *));
        if (items == NULL) {
            return ERR_NOMEM;
        }
        parent->items = items;
        if (parent->kind == YAML_MAP) {
            struct yaml_node **keys = realloc(parent->keys, capacity * sizeof(struct yaml_node *));
            if (keys == NULL) {
                return ERR_NOMEM;
            }
            parent->keys = keys;
        }
        parent->capacity = capacity;
    }
    if (parent->kind == YAML_MAP) {
        parent->keys[parent->count] = key;
    }
    parent->items[parent->count++] = item;
    return 0;
}

static struct yaml_node *copy_node(struct builder *self, const struct yaml_node *from,
                                   unsigned line, unsigned column)
{
    if (self->nodes >= CONFIG_VALUES_MAX) {
        return NULL;
    }
    struct yaml_node *node = new_node(self, from->kind, line, column);
    if (node == NULL) {
        return NULL;
    }
    node->plain = from->plain;
    if (from->text != NULL && (node->text = strdup(from->text)) == NULL) {
        goto fail;
    }
    for (size_t i = 0; i < from->count; i++) {
        struct yaml_node *key = NULL;
        struct yaml_node *item = copy_node(self, from->items[i], line, column);
        if (item != NULL && from->kind == YAML_MAP) {
            key = copy_node(self, from->keys[i], line, column);
        }
        if (item == NULL || (from->kind == YAML_MAP && key == NULL) ||
            add_child(node, key, item) != 0) {
            yaml_free(item);
            yaml_free(key);
            goto fail;
        }
    }
    return node;

fail:
    yaml_free(node);
    return NULL;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    for (size_t i = 0; map != NULL && map->kind == YAML_MAP && i < map->count; i++) {
        if (strcmp(map->keys[i]->text, key) == 0) {
            return map->items[i];
        }
    }
    return NULL;
}

bool yaml_is_null(const struct yaml_node *self)
{
    return self->kind == YAML_SCALAR && self->plain &&
           (self->text[0] == '\0' || strcmp(self->text, "~") == 0 ||
            strcmp(self->text, "null") == 0);
}

/* Takes the key. */
static int take_key(struct builder *self, struct yaml_node *map, struct yaml_node *key)
{
    for (size_t i = 0; i < map->count; i++) {
        if (strcmp(map->keys[i]->text, key->text) == 0) {
            char message[200];
            (void)snprintf(message, sizeof(message),
                           "the key \"%.60s\" was given already at line %u; keep one of them",
                           key->text, map->keys[i]->line);
            int code = refuse(self, key->line, key->column, message);
            yaml_free(key);
            return code;
        }
    }
    self->pending_key = key;
    return 0;
}

/* Takes the node and puts it where the document is now. */
static int place(struct builder *self, struct yaml_node *node)
{
    if (self->depth == 0) {
        self->root = node;
        return 0;
    }
    struct yaml_node *parent = self->stack[self->depth - 1];
    if (parent->kind == YAML_MAP && self->pending_key == NULL) {
        if (node->kind == YAML_SCALAR) {
            return take_key(self, parent, node);
        }
        int refused = refuse(self, node->line, node->column, "a key must be plain text");
        yaml_free(node);
        return refused;
    }
    if (parent->count >= YAML_CHILDREN_MAX) {
        int refused = refuse(self, node->line, node->column, "too many entries (at most 1024)");
        yaml_free(node);
        return refused;
    }
    int code = add_child(parent, self->pending_key, node);
    if (code != 0) {
        yaml_free(node);
        return code;
    }
    self->pending_key = NULL;
    return 0;
}

static int remember_anchor(struct builder *self, struct fy_event *event, struct yaml_node *node)
{
    struct fy_token *token = fy_event_get_anchor_token(event);
    if (token == NULL) {
        return 0;
    }
    size_t length = 0;
    const char *text = fy_token_get_text(token, &length);
    if (text == NULL || self->anchor_count == ANCHORS_MAX) {
        return refuse(self, node->line, node->column, "too many anchors (at most 64)");
    }
    char *name = strndup(text, length);
    if (name == NULL) {
        return ERR_NOMEM;
    }
    self->anchors[self->anchor_count++] = (struct anchor){.name = name, .node = node};
    return 0;
}

static int on_scalar(struct builder *self, struct fy_event *event, unsigned line, unsigned column)
{
    size_t length = 0;
    const char *text = fy_token_get_text(event->scalar.value, &length);
    if (text == NULL) {
        text = "";
        length = 0;
    }
    if (length > YAML_TEXT_MAX || memchr(text, '\0', length) != NULL) {
        return refuse(self, line, column, "text longer than 64 KiB, or with a NUL in it");
    }
    struct yaml_node *node = new_node(self, YAML_SCALAR, line, column);
    if (node == NULL || (node->text = strndup(text, length)) == NULL) {
        yaml_free(node);
        return ERR_NOMEM;
    }
    enum fy_scalar_style style = fy_token_scalar_style(event->scalar.value);
    node->plain = event->scalar.value == NULL || style == FYSS_PLAIN;
    if ((style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) && column > 1) {
        node->column--; /* libfyaml marks what is between the quotes */
    }
    int code = remember_anchor(self, event, node);
    if (code != 0) {
        yaml_free(node);
        return code;
    }
    return place(self, node);
}

static int on_start(struct builder *self, struct fy_event *event, enum yaml_kind kind,
                    unsigned line, unsigned column)
{
    if (self->depth == CONFIG_DEPTH_MAX) {
        return refuse(self, line, column, "nested too deeply (at most 16 levels)");
    }
    struct yaml_node *node = new_node(self, kind, line, column);
    if (node == NULL) {
        return ERR_NOMEM;
    }
    int code = remember_anchor(self, event, node);
    if (code != 0) {
        yaml_free(node);
        return code;
    }
    code = place(self, node);
    if (code != 0) {
        return code;
    }
    self->stack[self->depth++] = node;
    return 0;
}

static bool is_open(const struct builder *self, const struct yaml_node *node)
{
    for (size_t i = 0; i < self->depth; i++) {
        if (self->stack[i] == node) {
            return true;
        }
    }
    return false;
}

static int on_alias(struct builder *self, struct fy_event *event, unsigned line, unsigned column)
{
    size_t length = 0;
    const char *text = fy_token_get_text(event->alias.anchor, &length);
    for (size_t i = self->anchor_count; text != NULL && i > 0; i--) {
        const struct anchor *anchor = &self->anchors[i - 1];
        if (strlen(anchor->name) != length || memcmp(anchor->name, text, length) != 0) {
            continue;
        }
        if (is_open(self, anchor->node)) {
            return refuse(self, line, column, "an alias within its own anchor");
        }
        struct yaml_node *copy = copy_node(self, anchor->node, line, column);
        if (copy == NULL) {
            return refuse(self, line, column, "too many values when aliases are expanded");
        }
        return place(self, copy);
    }
    return refuse(self, line, column, "an alias without an anchor before it");
}

static int on_event(struct builder *self, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    unsigned line = mark != NULL && mark->line >= 0 ? (unsigned)mark->line + 1 : 1;
    unsigned column = mark != NULL && mark->column >= 0 ? (unsigned)mark->column + 1 : 1;
    if (mark == NULL && self->pending_key != NULL) {
        line = self->pending_key->line; /* "key:" with nothing behind it */
        column = self->pending_key->column;
    }
    if (self->nodes >= CONFIG_VALUES_MAX) {
        return refuse(self, line, column, "too many values in one file");
    }
    if (fy_event_get_tag_token(event) != NULL) {
        return refuse(self, line, column, "tags (!...) are not understood here; leave it out");
    }
    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (self->document_seen) {
            return refuse(self, line, column, "a second document; one file holds one");
        }
        self->document_seen = true;
        return 0;
    case FYET_SCALAR:
        return on_scalar(self, event, line, column);
    case FYET_ALIAS: /* the mark is behind the "*" */
        return on_alias(self, event, line, column > 1 ? column - 1 : column);
    case FYET_MAPPING_START:
        return on_start(self, event, YAML_MAP, line, column);
    case FYET_SEQUENCE_START:
        return on_start(self, event, YAML_LIST, line, column);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        if (self->depth > 0) {
            self->depth--;
        }
        return 0;
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_END:
        break;
    }
    return 0;
}

/* libfyaml puts its own findings into the diagnostic object; the first one is what we tell. */
static void tell_syntax(struct builder *self, struct fy_diag *diag)
{
    void *iterator = NULL;
    const struct fy_diag_error *found = fy_diag_errors_iterate(diag, &iterator);
    if (found == NULL) {
        (void)refuse(self, 1, 1, "not YAML");
        return;
    }
    char message[200];
    (void)snprintf(message, sizeof(message), "not YAML: %.150s", found->msg);
    message[strcspn(message, "\n")] = '\0';
    unsigned line = found->line > 0 ? (unsigned)found->line : 1;
    unsigned column = found->column > 0 ? (unsigned)found->column : 1;
    (void)refuse(self, line, column, message);
}

static int read_events(struct builder *self, struct fy_diag *diag)
{
    bool ended = false;
    while (!ended) {
        struct fy_event *event = fy_parser_parse(self->parser);
        if (event == NULL) {
            tell_syntax(self, diag);
            return ERR_INVALID;
        }
        ended = event->type == FYET_STREAM_END;
        int code = on_event(self, event);
        fy_parser_event_free(self->parser, event);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

static bool valid_utf8(const char *text, size_t length, size_t *ret_at)
{
    for (size_t i = 0; i < length;) {
        size_t step = utf8_length(text + i, length - i);
        if (step == 0) {
            *ret_at = i;
            return false;
        }
        i += step;
    }
    return true;
}

static int check_bytes(struct builder *self, const char *text, size_t length)
{
    size_t at = 0;
    if (length > CONFIG_BYTES_MAX) {
        return refuse(self, 0, 0, "larger than 1 MiB");
    }
    if (valid_utf8(text, length, &at)) {
        return 0;
    }
    unsigned line = 1;
    unsigned column = 1;
    for (size_t i = 0; i < at; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    return refuse(self, line, column, "not UTF-8 text");
}

int yaml_parse(const char *text, size_t length, struct yaml_node **ret,
               struct yaml_problem *problem)
{
    struct builder self = {.problem = problem};
    *ret = NULL;
    *problem = (struct yaml_problem){0};
    int code = check_bytes(&self, text, length);
    if (code != 0 || length == 0) {
        return code;
    }
    struct fy_diag_cfg diag_config;
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    struct fy_diag *diag = fy_diag_create(&diag_config);
    if (diag == NULL) {
        return ERR_NOMEM;
    }
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg config = {.flags = FYPCF_QUIET | FYPCF_DEFAULT_VERSION_1_2, .diag = diag};
    code = ERR_NOMEM;
    self.parser = fy_parser_create(&config);
    if (self.parser != NULL && fy_parser_set_string(self.parser, text, length) == 0) {
        code = read_events(&self, diag);
    }
    if (self.parser != NULL) {
        fy_parser_destroy(self.parser);
    }
    fy_diag_destroy(diag);
    for (size_t i = 0; i < self.anchor_count; i++) {
        free(self.anchors[i].name);
    }
    yaml_free(self.pending_key);
    if (code != 0) {
        yaml_free(self.root);
        return code;
    }
    *ret = self.root;
    return 0;
}

int yaml_read_file(const char *path, size_t bytes_max, char **ret, size_t *ret_length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return ERR_IO;
    }
    char *text = malloc(bytes_max + 2);
    if (text == NULL) {
        (void)close(fd);
        return ERR_NOMEM;
    }
    size_t length = 0;
    int code = 0;
    while (length <= bytes_max) {
        ssize_t got = read(fd, text + length, bytes_max + 1 - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            code = got < 0 ? ERR_IO : 0;
            break;
        }
        length += (size_t)got;
    }
    int saved = errno;
    (void)close(fd);
    if (code == 0 && length > bytes_max) {
        code = ERR_FULL;
    }
    if (code != 0) {
        free(text);
        errno = saved;
        return code;
    }
    text[length] = '\0';
    *ret = text;
    *ret_length = length;
    return 0;
}
