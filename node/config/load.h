/* What the steps of one load share. Internal to node/config. */
#ifndef UNDERSTUDY_NODE_CONFIG_LOAD_H
#define UNDERSTUDY_NODE_CONFIG_LOAD_H

#include "node/config/config.h"
#include "node/config/schema.h"
#include "node/config/yaml.h"

#include <jansson.h>
#include <stdbool.h>

enum config_origin {
    ORIGIN_DEFAULT,
    ORIGIN_CLUSTER,
    ORIGIN_FILE,
    ORIGIN_ENVIRONMENT,
    ORIGIN_COMMAND_LINE,
};

struct config_details {
    json_t *values;  /* the tree: durations in ms, sizes in bytes */
    json_t *origins; /* key as shown -> {"origin": "file", "source": "FILE:3:4"} */
};

struct load {
    json_t *values;
    json_t *origins;
    struct config_errors *errors;
    enum config_origin origin; /* of the layer that is being applied */
    const char *source;        /* the file's name, "environment NAME", "option --node" */
    bool bare_is_ms;           /* durations of older variables */
    bool healing_off;          /* AUTO_HEALING=false */
    bool failed_memory;
};

const char *config_origin_name(enum config_origin origin);

/* "FILE:3:4" for files, else the source; `node` may be NULL. */
void load_where(const struct load *self, const struct yaml_node *node, char *ret, size_t size);

/* Record a finding at `node` of the present layer. */
void load_report(struct load *self, enum config_severity severity, const struct yaml_node *node,
                 const char *key, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Record a finding about a key that was set by some layer: its place is looked up. */
void load_report_key(struct load *self, enum config_severity severity, const char *key,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Apply a whole document (a file). */
void load_apply_document(struct load *self, const struct yaml_node *root);

/* Apply one setting of a dotted key. False when the key is unknown (reported). */
bool load_apply_setting(struct load *self, const char *key, const char *value);

/* The layers of the environment: older names first, then UNDERSTUDY_... */
void load_apply_environment(struct load *self, char *const *environment);

/* One value of a row, or NULL after a report. */
json_t *load_convert(struct load *self, const struct schema_row *row, const struct yaml_node *node,
                     const char *key);

/* Every default of the schema, then the derived ones. */
void load_fill_defaults(struct load *self);
void load_fill_derived(struct load *self);

/* The safety relations and everything that involves more than one key. */
void load_check(struct load *self);

/* The value at a dotted path of names without lists, or NULL. */
json_t *load_get(const json_t *values, const char *key);

/* The origin recorded for a key as shown. */
enum config_origin load_origin(const struct load *self, const char *key);

/* "[worker]" by the element's name, or "[3]". */
void load_element_name(const json_t *element, size_t index, char *ret, size_t size);

/* A visitor of all values of a row that are there; `container` holds `value` under `name`. */
typedef void load_visit_fn(void *context, const struct schema_row *row, const char *key,
                           json_t *container, const char *name, json_t *value);
void load_visit(json_t *values, const struct schema_row *row, load_visit_fn *visit, void *context);

/* Addresses. `ret_port` may be NULL. */
bool address_host_port(const char *text, unsigned *ret_port);
bool address_tcp(const char *text);

#endif
