#include "consensus/gate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *gate_name(enum gate gate)
{
    switch (gate) {
    case GATE_OPEN:
        return "open";
    case GATE_STOPPED:
        return "stopped";
    case GATE_MAINTENANCE:
        return "maintenance";
    case GATE_PAUSED:
        return "paused";
    case GATE_SHADOW:
        return "shadow";
    }
    return "unknown";
}

enum gate gate_of(const struct state *state, const char *manager, int64_t wall_ms)
{
    const struct state_manager *row = state_manager_by_name(state, manager);
    if (state_setting(state, STOPPED_SETTING) != NULL) {
        return GATE_STOPPED;
    }
    if (maintenance_of(state, NULL)) {
        return GATE_MAINTENANCE;
    }
    if (state_manager_paused(state, manager, wall_ms)) {
        return GATE_PAUSED;
    }
    return row != NULL && row->mode == MANAGER_MODE_SHADOW ? GATE_SHADOW : GATE_OPEN;
}

/* ---- maintenance ---- */

/* "UNTIL WHO WHY..." */
bool maintenance_of(const struct state *state, struct maintenance *ret)
{
    const char *value = state_setting(state, MAINTENANCE_SETTING);
    if (value == NULL || ret == NULL) {
        return value != NULL;
    }
    *ret = (struct maintenance){0};
    char *rest = NULL;
    long long until_ms = strtoll(value, &rest, 10);
    if (rest == value || until_ms < 0 || *rest != ' ') {
        return true;
    }
    ret->until_wall_ms = until_ms;
    const char *who = rest + 1;
    size_t length = strcspn(who, " ");
    (void)snprintf(ret->who, sizeof(ret->who), "%.*s", (int)(length < NAME_SIZE ? length : 0), who);
    if (who[length] == ' ') {
        (void)snprintf(ret->why, sizeof(ret->why), "%.*s", REASON_SIZE - 1, who + length + 1);
    }
    return true;
}

void maintenance_begin(const struct maintenance *maintenance, struct command *ret)
{
    *ret = (struct command){.type = COMMAND_SETTING_PUT, .reason = REASON_MAINTENANCE};
    (void)snprintf(ret->setting.key, sizeof(ret->setting.key), "%s", MAINTENANCE_SETTING);
    (void)snprintf(ret->setting.value, sizeof(ret->setting.value), "%" PRId64 " %s %s",
                   maintenance->until_wall_ms, maintenance->who, maintenance->why);
    (void)snprintf(ret->why, sizeof(ret->why), "maintenance on%s%.120s",
                   maintenance->why[0] == '\0' ? "" : ": ", maintenance->why);
}

void maintenance_end(const char *why, struct command *ret)
{
    *ret = (struct command){.type = COMMAND_SETTING_PUT, .reason = REASON_MAINTENANCE};
    (void)snprintf(ret->setting.key, sizeof(ret->setting.key), "%s", MAINTENANCE_SETTING);
    ret->setting.remove = true;
    (void)snprintf(ret->why, sizeof(ret->why), "%s", why);
}

bool maintenance_is_over(const struct state *state, int64_t wall_ms, bool wall_trusted)
{
    struct maintenance maintenance;
    return wall_trusted && maintenance_of(state, &maintenance) &&
           wall_ms >= maintenance.until_wall_ms;
}
