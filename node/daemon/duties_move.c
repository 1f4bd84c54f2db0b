/* `duty move`: a person's wish where a duty runs. Its holder sees it and lets go; then placement
 * gives the duty to the node that it names. */
#include "node/base/clock.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <string.h>

/* A wish that cannot be fulfilled would only make its holder let go of the duty. Room and load are
 * advice, which a person may overrule. */
static bool may_overrule(enum placement_refusal refusal)
{
    return refusal == PLACEMENT_CAN || refusal == PLACEMENT_FULL || refusal == PLACEMENT_PRESSED;
}

static int check_target(struct node *self, const char *id, const char *node, struct err *err)
{
    static struct placement_explanation explanation;
    char names[NODES_MAX][NAME_SIZE];
    if (!duties_leader_explain(self, clock_boot_ms(), id, &explanation, names)) {
        return 0;
    }
    for (size_t i = 0; i < explanation.node_count; i++) {
        const struct placement_view *view = &explanation.nodes[i];
        if (strcmp(names[i], node) == 0 && !view->holds && !may_overrule(view->refusal)) {
            return err_set(err, ERR_UNSAFE,
                           "%s cannot take %s: %s; see `understudy why not duty %s`", node, id,
                           placement_refusal_text(view->refusal), id);
        }
    }
    return 0;
}

int duties_move(struct node *self, const char *id, const char *node, const struct control_who *who,
                proposal_done *done, void *context, struct err *err)
{
    const struct state_duty *duty = state_duty_by_id(self->state, id);
    const struct state_node *target = state_node_by_name(self->state, node);
    if (duty == NULL) {
        return err_set(err, ERR_NOTFOUND, "no duty %s; see `understudy duty list`", id);
    }
    if (target == NULL || target->removed) {
        return err_set(err, ERR_NOTFOUND, "no node %s; see `understudy members`", node);
    }
    struct gossip_member member;
    if (target->draining || !gossip_member_find(self->gossip, node, &member) ||
        member.state != GOSSIP_ALIVE) {
        return err_set(err, ERR_UNSAFE, "%s is not alive, or drains", node);
    }
    int rc = check_target(self, id, node, err);
    if (rc != 0) {
        return rc;
    }
    struct command command = {.type = COMMAND_SETTING_PUT, .reason = REASON_OPERATOR};
    placement_move_key(id, command.setting.key);
    (void)snprintf(command.setting.value, sizeof command.setting.value, "%s", node);
    (void)snprintf(command.who, sizeof command.who, "%s", who->name);
    (void)snprintf(command.why, sizeof command.why, "duty move %.60s %.60s", id, node);
    return proposals_submit(self->proposals, &command, done, context, NULL, err);
}
