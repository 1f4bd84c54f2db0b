#include "node/daemon/handlers_record.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/alerts.h"
#include "node/daemon/handlers_change.h"
#include "node/daemon/maintenance.h"
#include "node/daemon/recoveries.h"

#include <stdio.h>
#include <string.h>

/* ---- maintenance ---- */

#define MAINTENANCE_MS_DEFAULT (INT64_C(30) * 60 * 1000)

void handlers_maintenance_on(void *context, struct control_request *request)
{
    struct node *self = context;
    const char *why = control_arg_text(request, "why");
    int64_t for_ms = control_arg_duration_ms(request, "for", MAINTENANCE_MS_DEFAULT);
    if (for_ms <= 0 || for_ms > MAINTENANCE_MS_MAX) {
        control_fail(request, "invalid", EXIT_USAGE, "understudy maintenance on --for 30m",
                     "a maintenance lasts for more than nothing and at most 7d");
        return;
    }
    struct maintenance maintenance = {.until_wall_ms = clock_wall_ms() + for_ms};
    (void)snprintf(maintenance.who, sizeof maintenance.who, "%s",
                   control_request_who(request)->name);
    (void)snprintf(maintenance.why, sizeof maintenance.why, "%s", why == NULL ? "" : why);
    struct command command;
    maintenance_begin(&maintenance, &command);
    handlers_propose(self, request, &command);
}

static json_t *unchanged(const char *target)
{
    return json_pack("{s:s, s:b, s:n}", "target", target, "changed", 0, "index");
}

void handlers_maintenance_off(void *context, struct control_request *request)
{
    struct node *self = context;
    struct command command;
    if (!maintenance_of(self->state, NULL)) {
        control_reply(request, unchanged(MAINTENANCE_SETTING));
        return;
    }
    maintenance_end("maintenance off", &command);
    handlers_propose(self, request, &command);
}

/* ---- modes ---- */

static bool some_node_has(const struct node *self, const char *manager)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct report *report = &self->reports[i];
        for (size_t k = 0; report->node[0] != '\0' && k < report->manager_count; k++) {
            if (strcmp(report->managers[k].name, manager) == 0) {
                return true;
            }
        }
    }
    return false;
}

void handlers_manager_mode(void *context, struct control_request *request)
{
    struct node *self = context;
    const char *name = control_arg_text(request, "name");
    bool shadow = strcmp(control_arg_text(request, "mode"), "shadow") == 0;
    if (!some_node_has(self, name)) {
        control_fail(request, "not_found", EXIT_NOT_FOUND, "see `understudy manager list`",
                     "no node has a manager %s", name);
        return;
    }
    struct command command = {.type = COMMAND_MANAGER_MODE};
    (void)snprintf(command.manager.manager, sizeof command.manager.manager, "%s", name);
    command.manager.mode = shadow ? MANAGER_MODE_SHADOW : MANAGER_MODE_ARMED;
    (void)snprintf(command.why, sizeof command.why, "manager mode %.60s %s", name,
                   command_manager_mode_name(command.manager.mode));
    handlers_propose(self, request, &command);
}

/* ---- alerts ---- */

void handlers_alert_list(void *context, struct control_request *request)
{
    control_reply(request, alerts_document(context, control_arg_flag(request, "all")));
}

static void change_alert(struct node *self, struct control_request *request, enum command_type type)
{
    const char *key = control_arg_text(request, "key");
    if (strlen(key) >= DUTY_ID_SIZE || state_alert_by_key(self->state, key) == NULL) {
        control_fail(request, "not_found", EXIT_NOT_FOUND, "see `understudy alert list --all`",
                     "no alert %.120s", key);
        return;
    }
    struct command command = {.type = type};
    (void)snprintf(command.alert_key.key, sizeof command.alert_key.key, "%s", key);
    handlers_propose(self, request, &command);
}

void handlers_alert_ack(void *context, struct control_request *request)
{
    change_alert(context, request, COMMAND_ALERT_ACK);
}

void handlers_alert_resolve(void *context, struct control_request *request)
{
    change_alert(context, request, COMMAND_ALERT_RESOLVE);
}

/* ---- recoveries ---- */

void handlers_recovery(void *context, struct control_request *request)
{
    struct node *self = context;
    const char *component = control_arg_text(request, "component");
    struct command command;
    if (component == NULL) {
        control_reply(request, recoveries_document(self));
    } else if (recoveries_by_hand(self, component, &command)) {
        handlers_propose(self, request, &command);
    } else {
        control_fail(
            request, "not_found", EXIT_NOT_FOUND,
            "a duty that a node holds (`duty list`), manager/NODE/NAME, or what `recovery` lists",
            "no component %.120s", component);
    }
}
