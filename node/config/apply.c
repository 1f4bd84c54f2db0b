#include "node/config/load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *config_origin_name(enum config_origin origin)
{
    static const char *const names[] = {
        [ORIGIN_DEFAULT] = "default",
        [ORIGIN_CLUSTER] = "cluster",
        [ORIGIN_FILE] = "file",
        [ORIGIN_ENVIRONMENT] = "environment",
        [ORIGIN_COMMAND_LINE] = "command_line",
    };
    return names[origin];
}

void load_where(const struct load *self, const struct yaml_node *node, char *ret, size_t size)
{
    if (self->origin == ORIGIN_FILE && node != NULL && node->line > 0) {
        (void)snprintf(ret, size, "%s:%u:%u", self->source, node->line, node->column);
    } else {
        (void)snprintf(ret, size, "%s", self->source);
    }
}

static struct config_error *next_error(struct load *self, enum config_severity severity)
{
    struct config_errors *errors = self->errors;
    if (severity == CONFIG_ERROR) {
        errors->errors++;
    } else {
        errors->warnings++;
    }
    if (errors->count < CONFIG_ERRORS_MAX) {
        return &errors->items[errors->count++];
    }
    /* An error takes the place of a warning, else it is only counted. */
    for (size_t i = CONFIG_ERRORS_MAX; severity == CONFIG_ERROR && i > 0; i--) {
        if (errors->items[i - 1].severity == CONFIG_WARNING) {
            return &errors->items[i - 1];
        }
    }
    return NULL;
}

void load_report(struct load *self, enum config_severity severity, const struct yaml_node *node,
                 const char *key, const char *format, ...)
{
    struct config_error *error = next_error(self, severity);
    if (error == NULL) {
        return;
    }
    *error = (struct config_error){.severity = severity};
    load_where(self, node, error->where, sizeof(error->where));
    if (self->origin == ORIGIN_FILE && node != NULL) {
        error->line = node->line;
        error->column = node->column;
    }
    (void)snprintf(error->key, sizeof(error->key), "%s", key);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
}

/* "FILE:3:4" back into its numbers; names of files may hold colons themselves. */
static void split_place(const char *source, unsigned *ret_line, unsigned *ret_column)
{
    const char *last = strrchr(source, ':');
    const char *before = last;
    while (before != NULL && before > source && *--before != ':') {
    }
    if (last != NULL && before != NULL && *before == ':') {
        *ret_line = (unsigned)strtoul(before + 1, NULL, 10);
        *ret_column = (unsigned)strtoul(last + 1, NULL, 10);
    }
}

void load_report_key(struct load *self, enum config_severity severity, const char *key,
                     const char *format, ...)
{
    struct config_error *error = next_error(self, severity);
    if (error == NULL) {
        return;
    }
    *error = (struct config_error){.severity = severity};
    const json_t *record = json_object_get(self->origins, key);
    const char *source = json_string_value(json_object_get(record, "source"));
    const char *origin = json_string_value(json_object_get(record, "origin"));
    if (source != NULL && origin != NULL && strcmp(origin, "file") == 0) {
        split_place(source, &error->line, &error->column);
    }
    (void)snprintf(error->where, sizeof(error->where), "%s",
                   source != NULL ? source : self->source);
    (void)snprintf(error->key, sizeof(error->key), "%s", key);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
}

enum config_origin load_origin(const struct load *self, const char *key)
{
    const char *name =
        json_string_value(json_object_get(json_object_get(self->origins, key), "origin"));
    for (enum config_origin origin = ORIGIN_CLUSTER; origin <= ORIGIN_COMMAND_LINE; origin++) {
        if (name != NULL && strcmp(name, config_origin_name(origin)) == 0) {
            return origin;
        }
    }
    return ORIGIN_DEFAULT;
}

static void record_origin(struct load *self, const char *key, const struct yaml_node *node)
{
    char source[CONFIG_PATH_SIZE + 32];
    load_where(self, node, source, sizeof(source));
    json_t *record =
        json_pack("{s:s, s:s}", "origin", config_origin_name(self->origin), "source", source);
    if (json_object_set_new(self->origins, key, record) != 0) {
        self->failed_memory = true;
    }
}

/* A replaced list takes the records of its old elements along. */
static void forget_origins(struct load *self, const char *key)
{
    size_t length = strlen(key);
    const char *other = NULL;
    json_t *record = NULL;
    void *next = NULL;
    json_object_foreach_safe(self->origins, next, other, record)
    {
        if (strncmp(other, key, length) == 0 && (other[length] == '[' || other[length] == '.')) {
            (void)json_object_del(self->origins, other);
        }
    }
}

static void put(struct load *self, json_t *container, const char *name, json_t *value)
{
    if (json_object_set_new(container, name, value) != 0) {
        self->failed_memory = true;
    }
}

static json_t *any_value(const struct yaml_node *node)
{
    if (node->kind == YAML_MAP) {
        json_t *object = json_object();
        for (size_t i = 0; i < node->count; i++) {
            (void)json_object_set_new(object, node->keys[i]->text, any_value(node->items[i]));
        }
        return object;
    }
    if (node->kind == YAML_LIST) {
        json_t *array = json_array();
        for (size_t i = 0; i < node->count; i++) {
            (void)json_array_append_new(array, any_value(node->items[i]));
        }
        return array;
    }
    if (yaml_is_null(node)) {
        return json_null();
    }
    /* Numbers and booleans are what JSON holds for such. */
    json_t *typed = node->plain ? json_loads(node->text, JSON_DECODE_ANY, NULL) : NULL;
    if (typed != NULL && (json_is_number(typed) || json_is_boolean(typed))) {
        return typed;
    }
    json_decref(typed);
    return json_string(node->text);
}

static void apply_list(struct load *self, const struct schema_row *row,
                       const struct yaml_node *node, const char *key, json_t *container,
                       const char *name)
{
    json_t *array = json_array();
    if (node->kind == YAML_SCALAR) {
        json_t *only = yaml_is_null(node) ? NULL : load_convert(self, row, node, key);
        if (only != NULL) {
            (void)json_array_append_new(array, only);
        }
    }
    for (size_t i = 0; node->kind == YAML_LIST && i < node->count; i++) {
        json_t *item = load_convert(self, row, node->items[i], key);
        if (item != NULL) {
            (void)json_array_append_new(array, item);
        }
    }
    if (node->kind == YAML_MAP) {
        load_report(self, CONFIG_ERROR, node, key, "%s is a map; expected a list, [a, b]", key);
    }
    put(self, container, name, array);
}

static void apply_node(struct load *self, struct schema_path *path, const char *key,
                       const struct yaml_node *node, json_t *container, const char *name);

/* Some key of the same last word elsewhere, to point at when a key stands in the wrong section. */
static const char *elsewhere(const char *word)
{
    for (size_t i = 0; i < schema_row_count; i++) {
        const char *last = strrchr(schema_rows[i].path, '.');
        if (last != NULL && strcmp(last + 1, word) == 0) {
            return schema_rows[i].path;
        }
    }
    return NULL;
}

static void report_unknown(struct load *self, const struct schema_path *section,
                           const struct yaml_node *node, const char *key, const char *word)
{
    char nearest[64];
    schema_nearest(section, word, nearest, sizeof(nearest));
    const char *other = elsewhere(word);
    if (nearest[0] != '\0') {
        load_report(self, CONFIG_ERROR, node, key, "unknown key \"%.100s\"; did you mean \"%s\"?",
                    key, nearest);
    } else if (other != NULL) {
        load_report(self, CONFIG_ERROR, node, key, "unknown key \"%.100s\"; there is \"%s\"", key,
                    other);
    } else {
        load_report(self, CONFIG_ERROR, node, key,
                    "unknown key \"%.100s\"; understudy.yml(5) lists all keys", key);
    }
}

static void apply_section(struct load *self, struct schema_path *path, const char *key,
                          const struct yaml_node *node, json_t *object)
{
    for (size_t i = 0; node->kind == YAML_MAP && i < node->count; i++) {
        const struct yaml_node *word = node->keys[i];
        char child[CONFIG_KEY_SIZE];
        (void)snprintf(child, sizeof(child), "%s%s%s", key, key[0] == '\0' ? "" : ".", word->text);
        path->segments[path->count++] = word->text;
        bool known =
            strcmp(word->text, "[]") != 0 && (schema_find(path) != NULL || schema_is_section(path));
        if (known) {
            apply_node(self, path, child, node->items[i], object, word->text);
        }
        path->count--;
        if (!known) {
            report_unknown(self, path, word, child, word->text);
        }
    }
}

static void apply_objects(struct load *self, struct schema_path *path, const char *key,
                          const struct yaml_node *node, json_t *container, const char *name)
{
    json_t *array = json_array();
    forget_origins(self, key);
    put(self, container, name, array);
    if (node->kind != YAML_LIST && !yaml_is_null(node)) {
        load_report(self, CONFIG_ERROR, node, key,
                    "%s is no list; expected one map per entry, each with a \"-\" before it", key);
        return;
    }
    path->segments[path->count++] = "[]";
    for (size_t i = 0; i < node->count; i++) {
        const struct yaml_node *item = node->items[i];
        json_t *object = json_object();
        const struct yaml_node *label = yaml_get(item, "name");
        char element[CONFIG_KEY_SIZE];
        if (label != NULL && label->kind == YAML_SCALAR) {
            (void)snprintf(element, sizeof(element), "%s[%s]", key, label->text);
        } else {
            (void)snprintf(element, sizeof(element), "%s[%zu]", key, i);
        }
        (void)json_array_append_new(array, object);
        record_origin(self, element, item);
        if (item->kind == YAML_MAP) {
            apply_section(self, path, element, item, object);
        } else {
            load_report(self, CONFIG_ERROR, item, element, "%s is no map; expected {name: ...}",
                        element);
        }
    }
    path->count--;
}

static void apply_leaf(struct load *self, const struct schema_row *row, struct schema_path *path,
                       const char *key, const struct yaml_node *node, json_t *container,
                       const char *name)
{
    record_origin(self, key, node);
    if (row->type == SCHEMA_OBJECTS) {
        apply_objects(self, path, key, node, container, name);
    } else if ((row->flags & SCHEMA_LIST) != 0) {
        apply_list(self, row, node, key, container, name);
    } else if (row->type == SCHEMA_ANY) {
        put(self, container, name, any_value(node));
    } else {
        json_t *value = load_convert(self, row, node, key);
        if (value != NULL) {
            put(self, container, name, value);
        }
    }
}

static void apply_node(struct load *self, struct schema_path *path, const char *key,
                       const struct yaml_node *node, json_t *container, const char *name)
{
    const struct schema_row *row = schema_find(path);
    bool section = row == NULL || (node->kind == YAML_MAP && schema_is_section(path));
    if (!section) {
        apply_leaf(self, row, path, key, node, container, name);
        return;
    }
    if (node->kind != YAML_MAP && !yaml_is_null(node)) {
        load_report(self, CONFIG_ERROR, node, key, "%s is a section; expected keys below it", key);
        return;
    }
    json_t *object = json_object_get(container, name);
    if (!json_is_object(object)) {
        object = json_object();
        put(self, container, name, object);
    }
    record_origin(self, key, node);
    apply_section(self, path, key, node, object);
}

void load_apply_document(struct load *self, const struct yaml_node *root)
{
    struct schema_path path = {.count = 0};
    if (root == NULL || yaml_is_null(root)) {
        return;
    }
    if (root->kind != YAML_MAP) {
        load_report(self, CONFIG_ERROR, root, "",
                    "expected keys such as \"cluster:\" at the outermost level");
        return;
    }
    apply_section(self, &path, "", root, self->values);
}

/* Rows that hold one scalar take a setting's text as it is; everything else is YAML. */
static struct yaml_node *setting_node(struct load *self, const struct schema_row *row,
                                      const char *key, const char *value)
{
    struct yaml_node *node = NULL;
    if (row != NULL && (row->flags & SCHEMA_LIST) == 0 && row->type != SCHEMA_OBJECTS &&
        row->type != SCHEMA_ANY) {
        node = calloc(1, sizeof(*node));
        if (node != NULL && (node->text = strdup(value)) == NULL) {
            free(node);
            node = NULL;
        }
        self->failed_memory = self->failed_memory || node == NULL;
        return node;
    }
    struct yaml_problem problem;
    int code = yaml_parse(value, strlen(value), &node, &problem);
    if (code == ERR_INVALID) {
        load_report(self, CONFIG_ERROR, NULL, key, "%s: %s", key, problem.message);
    } else if (code == 0 && node == NULL) {
        load_report(self, CONFIG_ERROR, NULL, key, "%s has no value", key);
    }
    return node;
}

static json_t *container_of(struct load *self, const struct schema_path *path)
{
    json_t *container = self->values;
    for (size_t i = 0; i + 1 < path->count; i++) {
        json_t *child = json_object_get(container, path->segments[i]);
        if (!json_is_object(child)) {
            child = json_object();
            put(self, container, path->segments[i], child);
        }
        container = child;
    }
    return container;
}

bool load_apply_setting(struct load *self, const char *key, const char *value)
{
    char words[CONFIG_KEY_SIZE];
    struct schema_path path = {.count = 0};
    json_t *text = json_string(key);
    if (text == NULL) {
        load_report(self, CONFIG_ERROR, NULL, "", "the name of the setting is not UTF-8 text");
        return false;
    }
    json_decref(text);
    (void)snprintf(words, sizeof(words), "%s", key);
    char *rest = words;
    while (rest != NULL && path.count < CONFIG_DEPTH_MAX) {
        path.segments[path.count++] = strsep(&rest, ".");
    }
    const struct schema_row *row = schema_find(&path);
    if (strchr(key, '[') != NULL || (row == NULL && !schema_is_section(&path))) {
        struct schema_path section = {.count = 0};
        while (section.count < path.count) {
            section.segments[section.count] = path.segments[section.count];
            section.count++;
            if (!schema_is_section(&section)) {
                section.count--;
                break;
            }
        }
        size_t unknown = section.count < path.count ? section.count : path.count - 1;
        report_unknown(self, &section, NULL, key, path.segments[unknown]);
        return false;
    }
    struct yaml_node *node = setting_node(self, row, key, value);
    if (node != NULL) {
        apply_node(self, &path, key, node, container_of(self, &path),
                   path.segments[path.count - 1]);
        yaml_free(node);
    }
    return true;
}
