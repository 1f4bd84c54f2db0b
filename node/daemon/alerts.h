/* Alerts, the record: what is in trouble, raised and resolved by the acting leader, kept in the
 * replicated state (state_work.h).
 *
 * A key "KIND/OBJECT" names a trouble: the same trouble has the same key, so it is raised once,
 * whoever leads. The leader looks at its rules once a second. What a rule sees must hold for the
 * rule's raise_after_ms before it is raised, and be gone for resolve_after_ms before it is
 * resolved; a new leader begins these times anew, and so neither repeats an alert nor loses one.
 * What a rule cannot know at the moment (a node that did not report yet) is neither raised nor
 * resolved. Acknowledged alerts still hold; they are resolved like others. */
#ifndef UNDERSTUDY_NODE_DAEMON_ALERTS_H
#define UNDERSTUDY_NODE_DAEMON_ALERTS_H

#include "consensus/state.h"
#include "consensus/state_work.h"

#include <jansson.h>

struct node;

#define ALERTS_SEEN_MAX STATE_ALERTS_MAX /* troubles seen at once; the rest is counted */
#define ALERTS_STEP_MAX 32               /* commands of one step; the rest waits for the next */
#define ALERTS_REPEAT_MS 2000            /* until a proposal without effect is made again */

struct alert_rule {
    const char *kind; /* "member.dead": the key's part before the first "/" */
    enum alert_severity severity;
    int64_t raise_after_ms;
    int64_t resolve_after_ms;
};

/* What a rule sees now. */
struct alert_sight {
    const struct alert_rule *rule;
    bool unknown; /* it cannot tell now whether it is so */
    enum alert_severity severity;
    char key[DUTY_ID_SIZE];
    char text[REASON_SIZE];
};

struct alert_sights {
    size_t count;
    size_t left_out;
    struct alert_sight rows[ALERTS_SEEN_MAX];
};

/* ---- alerts.c: pure ---- */

struct alerts; /* the times of one leader */

/* NULL when out of memory. */
struct alerts *alerts_create(void);
void alerts_destroy(struct alerts **self_p);
/* This node begins to act in `term`: in another term than before all times begin anew. */
void alerts_begin(struct alerts *self, uint64_t term);
/* Commands to propose now, `max` at most; type, payload, reason and why are filled in. `rule_of`:
 * the rule that looks after a key, NULL when none of this node does. */
size_t alerts_step(struct alerts *self, const struct state *state, const struct alert_sights *seen,
                   const struct alert_rule *(*rule_of)(const char *key), int64_t now_ms,
                   struct command *ret, size_t max);

/* ---- alerts_rules.c: what the acting leader sees ---- */

/* Add what is seen of that rule; text by format. */
struct alert_sight *alerts_see(struct alert_sights *self, const struct alert_rule *rule,
                               const char *object, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void alerts_look(struct node *self, int64_t now_ms, struct alert_sights *ret);
const struct alert_rule *alerts_rule_of(const char *key);

/* ---- alerts_run.c ---- */

void alerts_run(struct node *self, int64_t now_ms);
/* An alert command was applied: tell the event. */
void alerts_applied(struct node *self, const struct state_effect *effect);
/* Rows for `alert list`; resolved ones only with `all`. */
json_t *alerts_document(const struct node *self, bool all);
/* {firing, acked, critical} for `status`. */
json_t *alerts_summary(const struct node *self);

#endif
