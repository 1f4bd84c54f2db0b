/* `why not duty`: the causes as `why duty` tells them, and what placement makes of each node. */
#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/handlers_why.h"
#include "node/daemon/node.h"
#include "node/documents/why_document.h"

static json_t *points_of(const struct placement_view *view)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "health", (json_int_t)view->points.health, "load",
                     (json_int_t)view->points.load, "capability",
                     (json_int_t)view->points.capability, "duties", (json_int_t)view->points.duties,
                     "sum", (json_int_t)view->sum);
}

static json_t *node_row(const char *name, const struct placement_view *view)
{
    return json_pack("{s:s, s:b, s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:o}", "node", name, "can",
                     view->refusal == PLACEMENT_CAN, "reason",
                     placement_refusal_name(view->refusal), "text",
                     placement_refusal_text(view->refusal), "holds", view->holds, "avoided",
                     view->avoided, "same_node", (json_int_t)view->same_node, "same_host",
                     (json_int_t)view->same_host, "same_zone", (json_int_t)view->same_zone,
                     "duties", (json_int_t)view->duties, "points", points_of(view));
}

/* null when this node does not act: only the leader knows where the managers want it. */
static json_t *placement_of(struct node *self, const char *duty)
{
    static struct placement_explanation told;
    static char names[NODES_MAX][NAME_SIZE];
    if (!duties_leader_explain(self, clock_boot_ms(), duty, &told, names)) {
        return json_null();
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < told.node_count; i++) {
        (void)json_array_append_new(rows, node_row(names[i], &told.nodes[i]));
    }
    return json_pack("{s:s, s:s, s:o, s:o}", "verdict", placement_verdict_name(told.verdict),
                     "text", placement_verdict_text(told.verdict), "best",
                     told.best == PLACEMENT_NO_NODE ? json_null() : json_string(names[told.best]),
                     "nodes", rows);
}

void handlers_why_not_duty(void *context, struct control_request *request)
{
    struct node *self = context;
    const char *duty = control_arg_text(request, "id");
    json_t *document = NULL;
    struct err err = {0};
    if (why_document(self->state, "why not duty", duty, clock_wall_ms(), &document, &err) != 0) {
        control_fail_err(request, &err);
        return;
    }
    (void)json_object_set_new(document, "placement", placement_of(self, duty));
    control_reply(request, document);
}
