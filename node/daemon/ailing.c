#include "node/daemon/ailing.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/node.h"
#include "node/daemon/observed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLD_MS 15000 /* a manager says what it sees again within this time */

struct ailing {
    size_t count;
    struct ailing_row rows[AILING_MAX];
};

struct ailing *ailing_create(void)
{
    return calloc(1, sizeof(struct ailing));
}

void ailing_destroy(struct ailing **self_p)
{
    if (self_p != NULL) {
        free(*self_p);
        *self_p = NULL;
    }
}

/* ---- names ---- */

/* False: not even node and manager have room, so that nobody could tell whose it is. */
static bool make_component(const char *node, const char *manager, const char *name,
                           char ret[COMPONENT_SIZE])
{
    char whole[COMPONENT_SIZE + 2 * NAME_SIZE];
    int length = snprintf(whole, sizeof whole, AILING_PREFIX "%s/%s/%s", node, manager, name);
    size_t head = strlen(AILING_PREFIX) + strlen(node) + strlen(manager) + 2;
    (void)snprintf(ret, COMPONENT_SIZE, "%.*s", COMPONENT_SIZE - 1, whole);
    if (length < COMPONENT_SIZE) {
        return true;
    }
    uint32_t hash = 2166136261U;
    for (const char *at = name; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * 16777619U;
    }
    (void)snprintf(ret + COMPONENT_SIZE - 10, 10, "~%08x", hash);
    return head < COMPONENT_SIZE - 10;
}

/* The words of "ailing/NODE/MANAGER/..."; `ret_manager` may be NULL. */
static bool split(const char *component, char ret_node[NAME_SIZE], char ret_manager[NAME_SIZE])
{
    size_t prefix = strlen(AILING_PREFIX);
    if (strncmp(component, AILING_PREFIX, prefix) != 0) {
        return false;
    }
    const char *node = component + prefix;
    size_t node_length = strcspn(node, "/");
    const char *manager = node[node_length] == '/' ? node + node_length + 1 : "";
    size_t manager_length = strcspn(manager, "/");
    if (node_length == 0 || node_length >= NAME_SIZE || manager_length == 0 ||
        manager_length >= NAME_SIZE || manager[manager_length] != '/') {
        return false;
    }
    (void)snprintf(ret_node, NAME_SIZE, "%.*s", (int)node_length, node);
    (void)snprintf(ret_manager, NAME_SIZE, "%.*s", (int)manager_length, manager);
    return true;
}

bool ailing_manager(const char *component, char ret[NAME_SIZE])
{
    char node[NAME_SIZE];
    return split(component, node, ret);
}

/* ---- what is told ---- */

static bool is_alive(const struct node *self, const char *name)
{
    struct gossip_member member;
    return strcmp(name, node_name(self)) == 0 ||
           (gossip_member_find(self->gossip, name, &member) && member.state == GOSSIP_ALIVE);
}

static bool is_of_now(const struct node *self, const struct observation *seen)
{
    return seen->bytes != NULL && clock_boot_ms() - seen->taken_ms < TOLD_MS &&
           is_alive(self, seen->node);
}

static enum ailing_state read_state(const char *text)
{
    return strcmp(text, "ill") == 0    ? AILING_ILL
           : strcmp(text, "left") == 0 ? AILING_LEFT
                                       : AILING_BETWEEN;
}

static void take_row(struct ailing *self, const struct observation *seen, const json_t *told)
{
    const char *name = doc_get_text(told, "name", "");
    if (self->count == AILING_MAX || name[0] == '\0' || strlen(name) >= NAME_SIZE) {
        return;
    }
    struct ailing_row *row = &self->rows[self->count];
    *row = (struct ailing_row){.state = read_state(doc_get_text(told, "state", "")),
                               .critical = doc_get_bool(told, "critical", false)};
    if (!make_component(seen->node, seen->manager, name, row->component) ||
        ailing_of(self, row->component) != NULL) {
        return;
    }
    memcpy(row->manager, seen->manager, sizeof row->manager);
    (void)snprintf(row->name, sizeof row->name, "%s", name);
    (void)snprintf(row->why, sizeof row->why, "%.*s", NAME_SIZE - 1, doc_get_text(told, "why", ""));
    self->count++;
}

static void take(struct ailing *self, const struct node *node, const struct observation *seen)
{
    static const char key[] = "ailing";
    if (!is_of_now(node, seen) || memmem(seen->bytes, seen->length, key, strlen(key)) == NULL) {
        return; /* most tell of nothing, and need not be read */
    }
    json_t *document = observed_document(node, seen->node, seen->manager, NULL);
    size_t index;
    json_t *told;
    json_array_foreach(json_object_get(document, key), index, told)
    {
        take_row(self, seen, told);
    }
    json_decref(document);
}

void ailing_look(struct ailing *self, const struct node *node)
{
    self->count = 0;
    for (size_t i = 0; i < sizeof node->observations / sizeof node->observations[0]; i++) {
        take(self, node, &node->observations[i]);
    }
}

size_t ailing_count(const struct ailing *self)
{
    return self->count;
}

const struct ailing_row *ailing_at(const struct ailing *self, size_t position)
{
    return &self->rows[position];
}

const struct ailing_row *ailing_of(const struct ailing *self, const char *component)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->rows[i].component, component) == 0) {
            return &self->rows[i];
        }
    }
    return NULL;
}

enum ailing_state ailing_untold(const struct node *node, const char *component)
{
    char place[NAME_SIZE];
    char manager[NAME_SIZE];
    if (!split(component, place, manager)) {
        return AILING_UNKNOWN;
    }
    for (size_t i = 0; i < sizeof node->observations / sizeof node->observations[0]; i++) {
        const struct observation *seen = &node->observations[i];
        if (strcmp(seen->node, place) == 0 && strcmp(seen->manager, manager) == 0) {
            return is_of_now(node, seen) ? AILING_WELL : AILING_UNKNOWN;
        }
    }
    return AILING_UNKNOWN;
}

bool ailing_has_place(const struct node *node, const char *component)
{
    char place[NAME_SIZE];
    char manager[NAME_SIZE];
    if (!split(component, place, manager)) {
        return false;
    }
    const struct state_node *row = state_node_by_name(node->state, place);
    if (row == NULL || row->removed) {
        return false;
    }
    const struct report *report = reports_of(node, place);
    bool has = report == NULL;
    for (size_t i = 0; report != NULL && i < report->manager_count; i++) {
        has = has || strcmp(report->managers[i].name, manager) == 0;
    }
    return has;
}

/* ---- carrying out ---- */

static bool send_mend(struct node *self, const struct ailing_row *row, uint32_t attempt)
{
    struct manager_command command = {.id = 0}; /* its reply is nobody's */
    (void)snprintf(command.verb, sizeof command.verb, "mend");
    struct mp_writer writer;
    mp_writer_init(&writer, MANAGER_FIELDS_BYTES_MAX);
    json_t *args =
        json_pack("{s:o, s:I}", "name", doc_text(row->name), "attempt", (json_int_t)attempt);
    bool sent = false;
    if (doc_to_msgpack(args, &writer, NULL) == 0) {
        command.args =
            (struct manager_document){.data = writer.buffer.data, .length = writer.buffer.length};
        sent = supervise_command(self->supervise, row->manager, &command, NULL) == 0;
    }
    json_decref(args);
    mp_writer_deinit(&writer);
    return sent;
}

bool ailing_mend(struct node *self, const char *component, uint32_t attempt)
{
    struct ailing *seen = ailing_create();
    if (seen == NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof self->observations / sizeof self->observations[0]; i++) {
        if (strcmp(self->observations[i].node, node_name(self)) == 0) {
            take(seen, self, &self->observations[i]);
        }
    }
    const struct ailing_row *row = ailing_of(seen, component);
    bool sent = row != NULL && row->state == AILING_ILL && send_mend(self, row, attempt);
    ailing_destroy(&seen);
    return sent;
}
