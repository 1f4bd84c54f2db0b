#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/alerts.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <string.h>

#define ALERTS_PERIOD_MS 1000

void alerts_run(struct node *self, int64_t now_ms)
{
    static struct alert_sights seen;
    static struct command commands[ALERTS_STEP_MAX];
    if (!node_may_act(self) || now_ms < self->alerts_at_ms) {
        return;
    }
    self->alerts_at_ms = now_ms + ALERTS_PERIOD_MS;
    alerts_begin(self->alerts, self->view.term);
    alerts_look(self, now_ms, &seen);
    size_t count = alerts_step(self->alerts, self->state, &seen, alerts_rule_of, now_ms, commands,
                               ALERTS_STEP_MAX);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(commands[i].who, sizeof commands[i].who, "%s", node_name(self));
        (void)proposals_submit(self->proposals, &commands[i], NULL, NULL, NULL, NULL);
    }
}

static enum log_level level_of(enum alert_severity severity)
{
    switch (severity) {
    case ALERT_CRITICAL:
        return LOG_LEVEL_ERROR;
    case ALERT_WARNING:
        return LOG_LEVEL_WARN;
    case ALERT_INFO:
        break;
    }
    return LOG_LEVEL_INFO;
}

void alerts_applied(struct node *self, const struct state_effect *effect)
{
    const struct state_alert *row = state_alert_by_key(self->state, effect->target);
    if (row == NULL || row->changed_index != effect->index ||
        !leadership_is_news(self, row->changed_wall_ms)) {
        return;
    }
    const char *kind = "alert.acked";
    if (effect->type == COMMAND_ALERT_RESOLVE) {
        kind = "alert.resolved";
    } else if (effect->type == COMMAND_ALERT_RAISE) {
        kind = "alert.raised";
    }
    events_add(
        self->events,
        effect->type == COMMAND_ALERT_RAISE ? level_of(row->severity) : LOG_LEVEL_INFO,
        effect->term, kind,
        json_pack("{s:s, s:s}", "alert", row->key, "severity", alert_severity_name(row->severity)),
        "%s: %s", row->key, row->text);
}

/* ---- documents ---- */

static json_t *describe(const struct state_alert *row)
{
    size_t length = strcspn(row->key, "/");
    char kind[DUTY_ID_SIZE];
    (void)snprintf(kind, sizeof kind, "%.*s", (int)length, row->key);
    return json_pack("{s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:I, s:o}", "key",
                     doc_text(row->key), "kind", doc_text(kind), "object",
                     doc_text(row->key[length] == '/' ? row->key + length + 1 : ""), "severity",
                     alert_severity_name(row->severity), "state", alert_state_name(row->state),
                     "text", doc_text(row->text), "raised", doc_time(row->raised_wall_ms),
                     "changed", doc_time(row->changed_wall_ms), "times", (json_int_t)row->raised,
                     "acked_by", doc_text(row->who));
}

json_t *alerts_document(const struct node *self, bool all)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < state_alert_count(self->state); i++) {
        const struct state_alert *row = state_alert_at(self->state, i);
        if (all || row->state != ALERT_RESOLVED) {
            (void)json_array_append_new(ret, describe(row));
        }
    }
    return ret;
}

json_t *alerts_summary(const struct node *self)
{
    json_int_t firing = 0;
    json_int_t acked = 0;
    json_int_t critical = 0;
    for (size_t i = 0; i < state_alert_count(self->state); i++) {
        const struct state_alert *row = state_alert_at(self->state, i);
        firing += row->state == ALERT_FIRING;
        acked += row->state == ALERT_ACKED;
        critical += row->state == ALERT_FIRING && row->severity == ALERT_CRITICAL;
    }
    return json_pack("{s:I, s:I, s:I}", "firing", firing, "acked", acked, "critical", critical);
}
