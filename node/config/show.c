/* What a loaded configuration tells: its keys with their origins, a manager's document, changes. */
#include "node/config/config.h"
#include "node/config/emit.h"
#include "node/config/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As people write it: durations and sizes with their units. A new reference. */
static json_t *spelled(const struct schema_row *row, json_t *value)
{
    char text[32];
    if (row->type == SCHEMA_DURATION && json_is_integer(value)) {
        return json_string(config_format_duration(json_integer_value(value), text));
    }
    if (row->type == SCHEMA_SIZE && json_is_integer(value)) {
        return json_string(config_format_size(json_integer_value(value), text));
    }
    if (json_is_real(value)) { /* 80, not 80.0 */
        double number = json_real_value(value);
        if (number == (double)(json_int_t)number) {
            return json_integer((json_int_t)number);
        }
    }
    return json_incref(value);
}

struct showing {
    const struct config *config;
    json_t *list;
};

static void show_value(void *context, const struct schema_row *row, const char *key,
                       json_t *container, const char *name, json_t *value)
{
    (void)container;
    (void)name;
    struct showing *self = context;
    if (row->type == SCHEMA_OBJECTS && json_array_size(value) > 0) {
        return; /* its elements are shown */
    }
    const json_t *record = json_object_get(self->config->details->origins, key);
    const char *origin = json_string_value(json_object_get(record, "origin"));
    const char *source = json_string_value(json_object_get(record, "source"));
    (void)json_array_append_new(
        self->list, json_pack("{s:s, s:o, s:s, s:s?, s:b}", "key", key, "value",
                              spelled(row, value), "origin", origin == NULL ? "default" : origin,
                              "source", source, "restart", (row->flags & SCHEMA_RESTART) != 0));
}

json_t *config_show_json(const struct config *self)
{
    struct showing showing = {.config = self, .list = json_array()};
    for (size_t i = 0; showing.list != NULL && i < schema_row_count; i++) {
        load_visit(self->details->values, &schema_rows[i], show_value, &showing);
    }
    return showing.list;
}

static void spell_in_place(void *context, const struct schema_row *row, const char *key,
                           json_t *container, const char *name, json_t *value)
{
    (void)context;
    (void)key;
    if (row->type == SCHEMA_DURATION || row->type == SCHEMA_SIZE || row->type == SCHEMA_NUMBER) {
        (void)json_object_set_new(container, name, spelled(row, value));
    }
}

static char *show_origins(const struct config *self)
{
    char *text = NULL;
    size_t length = 0;
    json_t *list = config_show_json(self);
    FILE *out = open_memstream(&text, &length);
    size_t i = 0;
    json_t *item = NULL;
    json_array_foreach(list, i, item)
    {
        char *value = json_dumps(json_object_get(item, "value"), JSON_ENCODE_ANY | JSON_COMPACT);
        const char *source = json_string_value(json_object_get(item, "source"));
        if (out != NULL && value != NULL) {
            (void)fprintf(
                out, "%s: %s  # %s%s%s%s\n", json_string_value(json_object_get(item, "key")), value,
                json_string_value(json_object_get(item, "origin")), source == NULL ? "" : " (",
                source == NULL ? "" : source, source == NULL ? "" : ")");
        }
        free(value);
    }
    json_decref(list);
    if (out == NULL || fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

char *config_show_text(const struct config *self, bool with_origin)
{
    if (with_origin) {
        return show_origins(self);
    }
    json_t *values = json_deep_copy(self->details->values);
    for (size_t i = 0; i < schema_row_count; i++) {
        load_visit(values, &schema_rows[i], spell_in_place, NULL);
    }
    char *text = json_dumps(values, JSON_COMPACT);
    json_decref(values);
    char *result = NULL;
    struct yaml_node *root = NULL;
    struct yaml_problem problem;
    if (text != NULL && yaml_parse(text, strlen(text), &root, &problem) == 0) {
        result = emit_yaml(root);
        yaml_free(root);
    }
    free(text);
    return result;
}

/* Renames in the manager's document; a visitor over a fresh copy, so that a name that was just
 * set is not met again. */
static void unit_in_name(void *context, const struct schema_row *row, const char *key,
                         json_t *container, const char *name, json_t *value)
{
    (void)context;
    (void)key;
    char renamed[80];
    if (row->type == SCHEMA_DURATION || row->type == SCHEMA_SIZE) {
        (void)snprintf(renamed, sizeof(renamed), "%s_%s", name,
                       row->type == SCHEMA_DURATION ? "ms" : "bytes");
        (void)json_object_set(container, renamed, value);
        (void)json_object_del(container, name);
    } else if (row->type == SCHEMA_CHOICE && json_is_string(value) &&
               strcmp(name, "when_unreachable") == 0) {
        (void)json_object_set_new(container, name, json_pack("{s:b}", "wait", 1));
    }
}

json_t *config_manager_document(const struct config *self, const char *name)
{
    json_t *managers = json_object();
    json_t *section = json_object_get(json_object_get(self->details->values, "managers"), name);
    json_t *own = section != NULL ? json_deep_copy(section) : json_object();
    json_t *values = json_object();
    if (managers == NULL || own == NULL || values == NULL ||
        json_object_set(managers, name, own) != 0 ||
        json_object_set(values, "managers", managers) != 0) {
        json_decref(own);
        own = NULL;
        goto done;
    }
    if (section == NULL) {
        /* The defaults of a manager that nobody spoke of. */
        const char *environment = self->cluster.environment;
        struct config_errors errors = {.count = 0};
        struct load load = {.values = values, .origins = json_object(), .errors = &errors};
        (void)json_object_set_new(values, "cluster",
                                  json_pack("{s:s}", "environment", environment));
        load_fill_defaults(&load);
        load_fill_derived(&load);
        json_decref(load.origins);
    }
    for (size_t i = 0; i < schema_row_count; i++) {
        load_visit(values, &schema_rows[i], unit_in_name, NULL);
    }

done:
    json_decref(values);
    json_decref(managers);
    return own;
}

/* --- changes ------------------------------------------------------------------------------- */

struct flat {
    json_t *values;   /* key -> value */
    json_t *restarts; /* key -> true */
};

static void flatten_value(void *context, const struct schema_row *row, const char *key,
                          json_t *container, const char *name, json_t *value)
{
    (void)container;
    (void)name;
    struct flat *self = context;
    if (row->type != SCHEMA_OBJECTS) {
        (void)json_object_set(self->values, key, value);
        if ((row->flags & SCHEMA_RESTART) != 0) {
            (void)json_object_set_new(self->restarts, key, json_true());
        }
    }
}

static void flatten(const struct config *config, struct flat *self)
{
    for (size_t i = 0; i < schema_row_count; i++) {
        load_visit(config->details->values, &schema_rows[i], flatten_value, self);
    }
}

static size_t list_changes(const struct flat *from, const struct flat *to, bool gone_only,
                           struct config_change *changes)
{
    size_t count = 0;
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(from->values, key, value)
    {
        const json_t *other = json_object_get(to->values, key);
        if (gone_only ? other == NULL : other == NULL || !json_equal(value, other)) {
            struct config_change *change = &changes[count++];
            (void)snprintf(change->key, sizeof(change->key), "%s", key);
            change->restart = json_object_get(from->restarts, key) != NULL;
        }
    }
    return count;
}

int config_reload_diff(const struct config *before, const struct config *after,
                       struct config_change **ret, size_t *ret_count)
{
    struct flat old = {json_object(), json_object()};
    struct flat new = {json_object(), json_object()};
    int code = ERR_NOMEM;
    if (old.values != NULL && old.restarts != NULL && new.values != NULL &&new.restarts != NULL) {
        flatten(before, &old);
        flatten(after, &new);
        size_t room = json_object_size(old.values) + json_object_size(new.values);
        struct config_change *changes = calloc(room + 1, sizeof(*changes));
        if (changes != NULL) {
            size_t count = list_changes(&new, &old, false, changes);
            count += list_changes(&old, &new, true, changes + count);
            if (count == 0) {
                free(changes);
                changes = NULL;
            }
            *ret = changes;
            *ret_count = count;
            code = 0;
        }
    }
    json_decref(old.values);
    json_decref(old.restarts);
    json_decref(new.values);
    json_decref(new.restarts);
    return code;
}

/* --- the schema ---------------------------------------------------------------------------- */

bool config_key_at(size_t index, struct config_key *ret)
{
    static const char *const types[] = {
        [SCHEMA_TEXT] = "text",
        [SCHEMA_NAME] = "name",
        [SCHEMA_PATH] = "path",
        [SCHEMA_TCP] = "tcp://HOST:PORT",
        [SCHEMA_ENDPOINT] = "ipc://PATH",
        [SCHEMA_HOST_PORT] = "HOST:PORT",
        [SCHEMA_BOOL] = "true or false",
        [SCHEMA_INTEGER] = "whole number",
        [SCHEMA_NUMBER] = "number",
        [SCHEMA_DURATION] = "duration",
        [SCHEMA_SIZE] = "size",
        [SCHEMA_CHOICE] = NULL,
        [SCHEMA_PUBLIC_KEY] = "public key",
        [SCHEMA_ANY] = "any",
        [SCHEMA_OBJECTS] = "list of maps",
    };
    if (index >= schema_row_count) {
        return false;
    }
    const struct schema_row *row = &schema_rows[index];
    *ret = (struct config_key){
        .key = row->path,
        .type = row->type == SCHEMA_CHOICE ? row->choices : types[row->type],
        .default_value = row->fallback,
        .meaning = row->meaning,
        .restart = (row->flags & SCHEMA_RESTART) != 0,
    };
    return true;
}
