/* Defaults: those of the table, and those that follow from other values. */
#include "node/config/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct profile {
    int64_t heartbeat_ms;
    int64_t election_timeout_ms;
    int64_t lease_ms;
    int64_t gossip_interval_ms;
};

/* In the order of enum config_profile. */
static const struct profile profiles[] = {
    [CONFIG_LOCAL] = {20, 95, 70, 200},
    [CONFIG_LAN] = {75, 450, 350, 1000},
    [CONFIG_WAN] = {300, 2000, 1600, 2000},
};

json_t *load_get(const json_t *values, const char *key)
{
    char words[CONFIG_KEY_SIZE];
    (void)snprintf(words, sizeof(words), "%s", key);
    char *rest = words;
    json_t *at = NULL;
    const json_t *from = values;
    while (rest != NULL && from != NULL) {
        at = json_object_get(from, strsep(&rest, "."));
        from = at;
    }
    return at;
}

void load_element_name(const json_t *element, size_t index, char *ret, size_t size)
{
    const char *name = json_string_value(json_object_get(element, "name"));
    if (name != NULL) {
        (void)snprintf(ret, size, "[%s]", name);
    } else {
        (void)snprintf(ret, size, "[%zu]", index);
    }
}

struct visitor {
    const struct schema_row *row;
    load_visit_fn *visit;
    void *context;
    struct load *fill; /* set: put the row's default where it is missing */
};

static void visit_below(const struct visitor *self, json_t *container, const char *cursor,
                        const char *key);

static void visit_name(const struct visitor *self, json_t *container, const char *name,
                       const char *rest, const char *key)
{
    char child[CONFIG_KEY_SIZE];
    (void)snprintf(child, sizeof(child), "%s%s%s", key, key[0] == '\0' ? "" : ".", name);
    json_t *value = json_object_get(container, name);
    if (*rest != '\0') {
        visit_below(self, value, rest, child);
        return;
    }
    if (value == NULL && self->fill != NULL && self->row->fallback != NULL) {
        struct load *load = self->fill;
        bool list = (self->row->flags & SCHEMA_LIST) != 0;
        if (self->row->type == SCHEMA_OBJECTS) {
            value = json_array();
        } else {
            char text[128];
            (void)snprintf(text, sizeof(text), "%s", self->row->fallback);
            struct yaml_node node = {.kind = YAML_SCALAR, .text = text};
            value = load_convert(load, self->row, &node, child);
            value = list ? json_pack("[o]", value) : value;
        }
        load->failed_memory |= json_object_set_new(container, name, value) != 0;
    }
    /* when_unreachable is a word or a section: as a section it has rows of its own. */
    bool leaf = !json_is_object(value) || self->row->type == SCHEMA_ANY;
    if (value != NULL && leaf && self->visit != NULL) {
        self->visit(self->context, self->row, child, container, name, value);
    }
}

/* Whether a missing section may be made to hold a default: never a manager that nobody named. */
static bool may_create(const struct visitor *self, const char *key, const char *name)
{
    return self->fill != NULL && self->row->fallback != NULL && strcmp(key, "managers") != 0 &&
           strcmp(name, "managers") != 0;
}

static void visit_below(const struct visitor *self, json_t *container, const char *cursor,
                        const char *key)
{
    char segment[64];
    if (!schema_next_segment(&cursor, segment, sizeof(segment))) {
        return;
    }
    if (strcmp(segment, "[]") == 0) {
        for (size_t i = 0; i < json_array_size(container); i++) {
            char element[CONFIG_KEY_SIZE];
            char name[NAME_SIZE + 8];
            json_t *item = json_array_get(container, i);
            load_element_name(item, i, name, sizeof(name));
            (void)snprintf(element, sizeof(element), "%s%s", key, name);
            visit_below(self, item, cursor, element);
        }
        return;
    }
    if (!json_is_object(container)) {
        return;
    }
    if (strcmp(segment, "NAME") == 0) {
        const char *name = NULL;
        json_t *value = NULL;
        void *next = NULL;
        json_object_foreach_safe(container, next, name, value)
        {
            visit_name(self, container, name, cursor, key);
        }
        return;
    }
    if (*cursor != '\0' && json_object_get(container, segment) == NULL &&
        may_create(self, key, segment)) {
        self->fill->failed_memory |= json_object_set_new(container, segment, json_object()) != 0;
    }
    visit_name(self, container, segment, cursor, key);
}

void load_visit(json_t *values, const struct schema_row *row, load_visit_fn *visit, void *context)
{
    struct visitor visitor = {.row = row, .visit = visit, .context = context};
    visit_below(&visitor, values, row->path, "");
}

void load_fill_defaults(struct load *self)
{
    self->origin = ORIGIN_DEFAULT;
    self->source = "default";
    for (size_t i = 0; i < schema_row_count; i++) {
        struct visitor visitor = {.row = &schema_rows[i], .fill = self};
        if (schema_rows[i].fallback != NULL && (schema_rows[i].flags & SCHEMA_LATENT) == 0) {
            visit_below(&visitor, self->values, schema_rows[i].path, "");
        }
    }
}

/* Set container[name] unless a layer has set it; `key` is how it is shown. Takes `value`. */
static void derive_in(struct load *self, json_t *container, const char *key, const char *name,
                      json_t *value, const char *why)
{
    if (json_object_get(container, name) != NULL) {
        json_decref(value);
        return;
    }
    json_t *record =
        json_pack("{s:s, s:s}", "origin", config_origin_name(self->origin), "source", why);
    bool failed = json_object_set_new(container, name, value) != 0;
    failed = json_object_set_new(self->origins, key, record) != 0 || failed;
    self->failed_memory = self->failed_memory || failed;
}

/* The same for "section.name". */
static void derive(struct load *self, const char *section, const char *name, json_t *value,
                   const char *why)
{
    char key[CONFIG_KEY_SIZE];
    json_t *container = json_object_get(self->values, section);
    if (container == NULL) {
        container = json_object();
        bool failed = json_object_set_new(self->values, section, container) != 0;
        self->failed_memory = self->failed_memory || failed;
    }
    (void)snprintf(key, sizeof(key), "%s.%s", section, name);
    derive_in(self, container, key, name, value, why);
}

static void derive_profile(struct load *self)
{
    const char *name = json_string_value(load_get(self->values, "cluster.profile"));
    int index = name == NULL ? CONFIG_LAN : schema_choice("local lan wan", name);
    const struct profile *profile = &profiles[index >= 0 ? index : CONFIG_LAN];
    char why[64];
    (void)snprintf(why, sizeof(why), "profile %s", name == NULL ? "lan" : name);
    derive(self, "cluster", "heartbeat", json_integer(profile->heartbeat_ms), why);
    derive(self, "cluster", "election_timeout", json_integer(profile->election_timeout_ms), why);
    derive(self, "cluster", "lease", json_integer(profile->lease_ms), why);
    derive(self, "cluster", "gossip_interval", json_integer(profile->gossip_interval_ms), why);
}

static void host_name(char *ret, size_t size)
{
    if (gethostname(ret, size) != 0) {
        ret[0] = '\0';
    }
    ret[size - 1] = '\0';
    ret[strcspn(ret, ".")] = '\0';
    if (ret[0] == '\0') {
        (void)snprintf(ret, size, "localhost");
    }
}

static void derive_addresses(struct load *self)
{
    char host[NAME_SIZE];
    host_name(host, sizeof(host));
    derive(self, "cluster", "node", json_string(host), "host name");
    const char *node = json_string_value(load_get(self->values, "cluster.node"));
    const json_t *peers = load_get(self->values, "cluster.peers");
    const char *own = node == NULL ? NULL : json_string_value(json_object_get(peers, node));
    if (own != NULL) {
        derive(self, "cluster", "advertise", json_string(own), "cluster.peers");
    } else {
        const char *listen = json_string_value(load_get(self->values, "cluster.listen"));
        const char *port = listen == NULL ? ":7400" : strrchr(listen, ':');
        bool any = listen == NULL || strncmp(listen, "tcp://0.0.0.0:", 14) == 0 ||
                   strncmp(listen, "tcp://*:", 8) == 0 || strncmp(listen, "tcp://[::]:", 11) == 0;
        char address[ADDRESS_SIZE];
        (void)snprintf(address, sizeof(address), "tcp://%s%s", host, port);
        derive(self, "cluster", "advertise", json_string(any ? address : listen), "cluster.listen");
    }
    const char *folder = json_string_value(load_get(self->values, "runtime_dir"));
    char socket[CONFIG_PATH_SIZE + 32];
    (void)snprintf(socket, sizeof(socket), "ipc://%s/control.sock", folder == NULL ? "" : folder);
    derive(self, "control", "listen", json_string(socket), "runtime_dir");
}

struct manager_default {
    const char *name;
    int64_t poll_ms;
    int64_t failures;
};

static void derive_manager(struct load *self, json_t *manager, const char *name)
{
    static const struct manager_default defaults[] = {
        {"pm2", 5000, 3}, {"netlify", 120000, 2}, {"", 60000, 3}};
    const struct manager_default *chosen = defaults;
    while (chosen->name[0] != '\0' && strcmp(chosen->name, name) != 0) {
        chosen++;
    }
    const char *environment = json_string_value(load_get(self->values, "cluster.environment"));
    bool production = environment != NULL && strcmp(environment, "production") == 0;
    char key[CONFIG_KEY_SIZE];
    (void)snprintf(key, sizeof(key), "managers.%s.mode", name);
    if (self->healing_off) {
        self->origin = ORIGIN_ENVIRONMENT;
        derive_in(self, manager, key, "mode", json_string("shadow"), "environment AUTO_HEALING");
        self->origin = ORIGIN_DEFAULT;
    }
    derive_in(self, manager, key, "mode", json_string(production ? "armed" : "shadow"),
              "cluster.environment");
    (void)snprintf(key, sizeof(key), "managers.%s.poll", name);
    derive_in(self, manager, key, "poll", json_integer(chosen->poll_ms), "default");
    (void)snprintf(key, sizeof(key), "managers.%s.failures", name);
    derive_in(self, manager, key, "failures", json_integer(chosen->failures), "default");
}

void load_fill_derived(struct load *self)
{
    self->origin = ORIGIN_DEFAULT;
    self->source = "default";
    derive_profile(self);
    derive_addresses(self);
    const char *name = NULL;
    json_t *manager = NULL;
    json_object_foreach(json_object_get(self->values, "managers"), name, manager)
    {
        derive_manager(self, manager, name);
    }
}
