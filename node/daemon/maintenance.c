#include "node/daemon/maintenance.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/node.h"
#include "node/daemon/observed.h"

#include <stdio.h>
#include <string.h>

#define DEFERRED_MAX 256 /* rows told; the rest follows when these are done */

enum gate maintenance_gate(const struct node *self, const char *manager)
{
    return gate_of(self->state, manager, clock_wall_ms());
}

void maintenance_run(struct node *self)
{
    bool trusted = self->wall.looked && self->wall.verdict == WALL_TRUSTED;
    if (!node_may_act(self) || !maintenance_is_over(self->state, clock_wall_ms(), trusted)) {
        return;
    }
    struct command command;
    maintenance_end("maintenance off: its time is over", &command);
    (void)snprintf(command.who, sizeof command.who, "%s", node_name(self));
    (void)proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL);
}

void maintenance_applied(struct node *self, const struct state_effect *effect)
{
    struct maintenance maintenance;
    char until[CLOCK_RFC3339_SIZE];
    const struct state_audit *audit = state_audit_at(self->state, 0);
    if (effect->type != COMMAND_SETTING_PUT || strcmp(effect->target, MAINTENANCE_SETTING) != 0 ||
        audit == NULL || !leadership_is_news(self, audit->wall_ms)) {
        return;
    }
    if (!maintenance_of(self->state, &maintenance)) {
        events_add(self->events, LOG_LEVEL_INFO, effect->term, "maintenance.off", NULL,
                   "maintenance is over");
        return;
    }
    events_add(self->events, LOG_LEVEL_INFO, effect->term, "maintenance.on",
               json_pack("{s:o, s:o, s:o}", "until", doc_time(maintenance.until_wall_ms), "who",
                         doc_text(maintenance.who), "why", doc_text(maintenance.why)),
               "maintenance until %s", clock_rfc3339(maintenance.until_wall_ms, until));
}

/* ---- what it defers ---- */

static void defer(json_t *rows, const char *duty, const char *node, const char *what,
                  const char *why)
{
    if (json_array_size(rows) < DEFERRED_MAX) {
        (void)json_array_append_new(rows, json_pack("{s:o, s:o, s:s, s:o}", "duty", doc_text(duty),
                                                    "node", doc_text(node), "what", what, "why",
                                                    doc_text(why)));
    }
}

static void defer_duty(const struct node *self, const struct state_duty *duty, json_t *rows)
{
    char key[SETTING_KEY_SIZE];
    placement_move_key(duty->is.id, key);
    const char *node = duty->assignment.node;
    const struct state_node *row = state_node_by_name(self->state, node);
    struct gossip_member member;
    if (!duty->is.wanted) {
        return;
    }
    if (!state_duty_held(duty)) {
        defer(rows, duty->is.id, NULL, "start", "wanted, and placed nowhere");
    } else if (!gossip_member_find(self->gossip, node, &member) || member.state == GOSSIP_DEAD ||
               member.state == GOSSIP_LEFT) {
        defer(rows, duty->is.id, node, "move", "its node is dead");
    } else if (row != NULL && row->draining) {
        defer(rows, duty->is.id, node, "move", "its node drains");
    } else if (state_setting(self->state, key) != NULL) {
        defer(rows, duty->is.id, node, "move", "another place is set for it");
    }
}

/* What the leader's managers would do: their observations say what they hold back. */
static void defer_decisions(const struct node *self, json_t *rows)
{
    const char *leader = node_name_of(self, node_leader(self));
    const struct report *report = reports_of(self, leader);
    for (size_t i = 0; report != NULL && i < report->manager_count; i++) {
        json_t *document = observed_document(self, leader, report->managers[i].name, NULL);
        size_t index;
        json_t *held;
        json_array_foreach(json_object_get(document, "held"), index, held)
        {
            defer(rows, doc_get_text(held, "duty", NULL), NULL,
                  doc_get_bool(held, "wanted", true) ? "start" : "stop",
                  doc_get_text(held, "reason", NULL));
        }
        json_decref(document);
    }
}

json_t *maintenance_document(const struct node *self)
{
    struct maintenance maintenance;
    if (!maintenance_of(self->state, &maintenance)) {
        return json_null();
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < state_duty_count(self->state); i++) {
        defer_duty(self, state_duty_at(self->state, i), rows);
    }
    defer_decisions(self, rows);
    int64_t left_ms = maintenance.until_wall_ms - clock_wall_ms();
    return json_pack("{s:o, s:I, s:o, s:o, s:o}", "until", doc_time(maintenance.until_wall_ms),
                     "left_s", (json_int_t)(left_ms > 0 ? left_ms / 1000 : 0), "who",
                     doc_text(maintenance.who), "why", doc_text(maintenance.why), "deferred", rows);
}
