#include "node/daemon/apply.h"

#include "node/base/doc.h"
#include "node/daemon/node.h"
#include "node/daemon/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_TOLD_SIZE 400

static void refuse(struct node *self, const char *why)
{
    events_add(self->events, LOG_LEVEL_ERROR, self->view.term, "config.refused", NULL,
               "the configuration was not reloaded, nothing changed: %s", why);
}

/* A manager that appears or goes needs a restart as well; its settings do not. */
static bool same_managers(const struct config *before, const struct config *after)
{
    if (before->manager_count != after->manager_count) {
        return false;
    }
    for (size_t i = 0; i < before->manager_count; i++) {
        const struct config_manager *old = &before->managers[i];
        const struct config_manager *new = config_manager_find(after, old->name);
        if (new == NULL || new->enabled != old->enabled ||
            strcmp(new->program, old->program) != 0) {
            return false;
        }
    }
    return true;
}

/* The changed keys that need a restart, as text; true when there are any. */
static bool needs_restart(const struct config *before, const struct config *after,
                          char ret[KEYS_TOLD_SIZE])
{
    struct config_change *changes = NULL;
    size_t count = 0;
    size_t used = 0;
    ret[0] = '\0';
    if (config_reload_diff(before, after, &changes, &count) != 0) {
        (void)snprintf(ret, KEYS_TOLD_SIZE, "out of memory");
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (changes[i].restart && used < KEYS_TOLD_SIZE) {
            int more = snprintf(ret + used, KEYS_TOLD_SIZE - used, "%s%s", used > 0 ? ", " : "",
                                changes[i].key);
            used += more < 0 ? 0 : (size_t)more;
        }
    }
    free(changes);
    if (used == 0 && !same_managers(before, after)) {
        used = (size_t)snprintf(ret, KEYS_TOLD_SIZE, "managers (added, removed or enabled)");
    }
    return used > 0;
}

static void configure_managers(struct node *self)
{
    for (size_t i = 0; i < self->config->manager_count; i++) {
        const struct config_manager *manager = &self->config->managers[i];
        json_t *section = config_manager_document(self->config, manager->name);
        struct mp_writer writer;
        mp_writer_init(&writer, MANAGER_DOCUMENT_BYTES_MAX);
        if (section != NULL && doc_to_msgpack(section, &writer, NULL) == 0) {
            struct manager_document document = {.data = writer.buffer.data,
                                                .length = writer.buffer.length};
            (void)supervise_configure(self->supervise, manager->name, &document,
                                      managers_shadow(self, manager->name), NULL);
        }
        mp_writer_deinit(&writer);
        json_decref(section);
    }
}

static void take_into_use(struct node *self, struct reload_result *result)
{
    if (self->reloaded_config != NULL) {
        config_destroy(&self->reloaded_config);
        key_roster_deinit(&self->keys);
    }
    self->reloaded_config = result->config;
    self->config = result->config;
    self->keys = result->keys;
    log_set_level(self->log, (enum log_level)self->config->log.level);
    self->policy.config.handover_below = self->config->leadership.handover_below;
    self->policy.config.margin = self->config->leadership.margin;
    self->policy.config.hold_ms = self->config->leadership.hold_ms;
    self->policy.config.min_tenure_ms = self->config->leadership.min_tenure_ms;
    configure_managers(self);
    peers_sync(self);
    self->publish_now = true;
    events_add(self->events, LOG_LEVEL_INFO, self->view.term, "config.reloaded", NULL,
               "configuration and keys were read again%s%s",
               result->text != NULL && result->text[0] != '\0' ? ": " : "",
               result->text == NULL ? "" : result->text);
}

void apply_reload(struct node *self, struct reload_result *result)
{
    char restart[KEYS_TOLD_SIZE];
    if (result->rc != 0) {
        refuse(self, result->text == NULL ? err_text(result->rc) : result->text);
    } else if (needs_restart(self->config, result->config, restart)) {
        char why[KEYS_TOLD_SIZE + 64];
        (void)snprintf(why, sizeof why, "changes that need a restart of the node: %s", restart);
        refuse(self, why);
    } else {
        take_into_use(self, result);
        free(result->text);
        return;
    }
    config_destroy(&result->config);
    key_roster_deinit(&result->keys);
    free(result->text);
}
