#include "node/config/config.h"

#include "node/config/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- from the tree into the struct --------------------------------------------------------- */

static void extract_field(void *context, const struct schema_row *row, const char *key,
                          json_t *container, const char *name, json_t *value)
{
    (void)key;
    (void)container;
    (void)name;
    char *field = (char *)context + row->offset;
    switch (row->type) {
    case SCHEMA_BOOL:
        *(bool *)(void *)field = json_is_true(value);
        return;
    case SCHEMA_NUMBER:
        *(double *)(void *)field = json_number_value(value);
        return;
    case SCHEMA_CHOICE:
        *(unsigned *)(void *)field =
            (unsigned)schema_choice(row->choices, json_string_value(value));
        return;
    case SCHEMA_INTEGER:
    case SCHEMA_DURATION:
    case SCHEMA_SIZE:
        if ((row->flags & SCHEMA_INT32) != 0) {
            *(unsigned *)(void *)field = (unsigned)json_integer_value(value);
        } else {
            *(int64_t *)(void *)field = json_integer_value(value);
        }
        return;
    default:
        (void)snprintf(field, row->size, "%s", json_string_value(value));
        return;
    }
}

static void extract_cluster(struct config_cluster *self, const json_t *values)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(load_get(values, "cluster.peers"), name, value)
    {
        if (self->peer_count == VOTERS_MAX) {
            break;
        }
        struct config_peer *peer = &self->peers[self->peer_count++];
        (void)snprintf(peer->name, sizeof(peer->name), "%s", name);
        (void)snprintf(peer->address, sizeof(peer->address), "%s", json_string_value(value));
        self->founding = self->founding || strcmp(name, self->node) == 0;
    }
    if (self->peer_count == 0) {
        struct config_peer *own = &self->peers[self->peer_count++];
        (void)snprintf(own->name, sizeof(own->name), "%s", self->node);
        (void)snprintf(own->address, sizeof(own->address), "%s", self->advertise);
        self->founding = true;
    }
    json_object_foreach(load_get(values, "cluster.public_keys"), name, value)
    {
        if (self->public_key_count == NODES_MAX) {
            break;
        }
        struct config_public_key *key = &self->public_keys[self->public_key_count++];
        (void)snprintf(key->name, sizeof(key->name), "%s", name);
        (void)snprintf(key->public_key, sizeof(key->public_key), "%s", json_string_value(value));
    }
}

static void extract_lists(struct config *self, const json_t *values)
{
    const json_t *listen = load_get(values, "dashboard.listen");
    for (size_t i = 0; i < json_array_size(listen) && i < CONFIG_LISTEN_MAX; i++) {
        (void)snprintf(self->dashboard.listen[self->dashboard.listen_count++], ADDRESS_SIZE, "%s",
                       json_string_value(json_array_get(listen, i)));
    }
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(json_object_get(values, "labels"), name, value)
    {
        if (self->label_count == CONFIG_LABELS_MAX) {
            break;
        }
        struct config_label *label = &self->labels[self->label_count++];
        (void)snprintf(label->name, sizeof(label->name), "%s", name);
        (void)snprintf(label->value, sizeof(label->value), "%s", json_string_value(value));
    }
}

static void extract_managers(struct config *self, const json_t *values)
{
    const char *name = NULL;
    json_t *section = NULL;
    json_object_foreach(json_object_get(values, "managers"), name, section)
    {
        if (self->manager_count == MANAGERS_MAX) {
            break;
        }
        struct config_manager *manager = &self->managers[self->manager_count++];
        const char *program = json_string_value(json_object_get(section, "program"));
        const char *mode = json_string_value(json_object_get(section, "mode"));
        (void)snprintf(manager->name, sizeof(manager->name), "%s", name);
        (void)snprintf(manager->program, sizeof(manager->program), "%s",
                       program == NULL ? "" : program);
        manager->available = program != NULL || schema_manager_here(name);
        manager->enabled = json_is_true(json_object_get(section, "enabled"));
        manager->mode = mode != NULL && strcmp(mode, "armed") == 0 ? CONFIG_ARMED : CONFIG_SHADOW;
        manager->poll_ms = json_integer_value(json_object_get(section, "poll"));
        manager->failures = json_integer_value(json_object_get(section, "failures"));
    }
}

static void extract(struct config *self)
{
    for (size_t i = 0; i < schema_row_count; i++) {
        if (schema_rows[i].size > 0) {
            load_visit(self->details->values, &schema_rows[i], extract_field, self);
        }
    }
    extract_cluster(&self->cluster, self->details->values);
    extract_lists(self, self->details->values);
    extract_managers(self, self->details->values);
}

/* --- loading ------------------------------------------------------------------------------- */

static void apply_settings(struct load *load, const struct config_setting *settings, size_t count,
                           enum config_origin origin)
{
    for (size_t i = 0; i < count; i++) {
        char source[160];
        (void)snprintf(source, sizeof(source), "%s %s",
                       origin == ORIGIN_CLUSTER ? "cluster-wide setting" : "option",
                       settings[i].name != NULL ? settings[i].name : settings[i].key);
        load->origin = origin;
        load->source = source;
        (void)load_apply_setting(load, settings[i].key, settings[i].value);
    }
    load->source = "";
}

static int apply_text(struct load *load, const char *text, size_t length)
{
    struct yaml_node *root = NULL;
    struct yaml_problem problem;
    int code = yaml_parse(text, length, &root, &problem);
    if (code == ERR_INVALID) {
        struct yaml_node place = {.line = problem.line, .column = problem.column};
        load_report(load, CONFIG_ERROR, &place, "", "%s", problem.message);
        return ERR_INVALID;
    }
    if (code == 0) {
        load_apply_document(load, root);
        yaml_free(root);
    }
    return code;
}

static int apply_file(struct load *load, const struct config_sources *sources)
{
    load->origin = ORIGIN_FILE;
    load->source = sources->file != NULL ? sources->file : "configuration";
    if (sources->text != NULL) {
        return apply_text(load, sources->text, sources->text_length);
    }
    if (sources->file == NULL) {
        return 0;
    }
    char *text = NULL;
    size_t length = 0;
    int code = yaml_read_file(sources->file, CONFIG_BYTES_MAX, &text, &length);
    if (code == ERR_IO) {
        load_report(load, CONFIG_ERROR, NULL, "", "cannot be read: %s; check its path and mode",
                    strerror(errno));
    } else if (code == ERR_FULL) {
        load_report(load, CONFIG_ERROR, NULL, "", "larger than 1 MiB; this is no configuration");
        code = ERR_INVALID;
    } else if (code == 0) {
        code = apply_text(load, text, length);
        free(text);
    }
    return code;
}

/* Weakest first; a stronger layer replaces what it names. */
static int apply_layers(struct load *load, const struct config_sources *sources)
{
    apply_settings(load, sources->cluster_wide, sources->cluster_wide_count, ORIGIN_CLUSTER);
    int code = apply_file(load, sources);
    if (code != 0) {
        return code; /* what follows would be judged without it */
    }
    if (sources->environment != NULL) {
        load_apply_environment(load, sources->environment);
    }
    apply_settings(load, sources->command_line, sources->command_line_count, ORIGIN_COMMAND_LINE);
    load_fill_defaults(load);
    load_fill_derived(load);
    load_check(load);
    if (load->failed_memory) {
        return ERR_NOMEM;
    }
    return load->errors->errors > 0 ? ERR_INVALID : 0;
}

int config_load(const struct config_sources *sources, struct config **ret,
                struct config_errors *errors)
{
    *errors = (struct config_errors){.count = 0};
    struct config *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return ERR_NOMEM;
    }
    self->details = calloc(1, sizeof(*self->details));
    struct load load = {.values = json_object(), .origins = json_object(), .errors = errors};
    int code = ERR_NOMEM;
    if (self->details == NULL || load.values == NULL || load.origins == NULL) {
        goto fail;
    }
    code = apply_layers(&load, sources);
    if (code != 0) {
        goto fail;
    }
    *self->details = (struct config_details){.values = load.values, .origins = load.origins};
    if (sources->file != NULL) {
        (void)snprintf(self->file, sizeof(self->file), "%s", sources->file);
    }
    extract(self);
    *ret = self;
    return 0;

fail:
    json_decref(load.values);
    json_decref(load.origins);
    free(self->details);
    free(self);
    return code;
}

void config_destroy(struct config **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct config *self = *self_p;
    json_decref(self->details->values);
    json_decref(self->details->origins);
    free(self->details);
    free(self);
    *self_p = NULL;
}

int config_check(const struct config_sources *sources, struct config_errors *errors)
{
    struct config *config = NULL;
    int code = config_load(sources, &config, errors);
    config_destroy(&config);
    return code;
}

char *config_errors_text(const struct config_errors *errors)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < errors->count; i++) {
        const struct config_error *error = &errors->items[i];
        (void)fprintf(out, "%s: %s%s\n", error->where,
                      error->severity == CONFIG_WARNING ? "warning: " : "", error->message);
    }
    size_t all = errors->errors + errors->warnings;
    if (all > errors->count) {
        (void)fprintf(out, "and %zu more\n", all - errors->count);
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

const struct config_manager *config_manager_find(const struct config *self, const char *name)
{
    for (size_t i = 0; i < self->manager_count; i++) {
        if (strcmp(self->managers[i].name, name) == 0) {
            return &self->managers[i];
        }
    }
    return NULL;
}
