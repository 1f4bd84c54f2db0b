#include "node/daemon/recoveries.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/ailing.h"
#include "node/daemon/maintenance.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_MS 500
#define PROPOSE_AGAIN_MS 2000
#define MANAGER_PREFIX "manager/"
#define WATCHED_MAX (STATE_RECOVERIES_MAX + 256)
#define TOLD_MAX 128 /* components of this node whose last attempt is remembered */

/* What this leader knows of a component beside its row. */
struct watched {
    char component[COMPONENT_SIZE];
    uint64_t look; /* the last that needed it */
    enum recovery_seen seen;
    int64_t since_ms; /* seen so without a break */
    int64_t proposed_ms;
    bool counting;     /* of managers: `failures` is known */
    uint64_t failures; /* in a row, as its node told last */
};

/* The last attempt that a manager of this node was told of. */
struct told {
    char component[COMPONENT_SIZE];
    uint32_t attempt;
};

struct recoveries {
    uint64_t term; /* of the acting leader that `rows` are of */
    uint64_t look;
    int64_t look_at_ms;
    size_t count;
    struct watched rows[WATCHED_MAX];
    struct ailing *ailing; /* as of the last look */
    size_t told_next;
    struct told told[TOLD_MAX];
};

struct recoveries *recoveries_create(void)
{
    struct recoveries *self = calloc(1, sizeof *self);
    if (self == NULL || (self->ailing = ailing_create()) == NULL) {
        recoveries_destroy(&self);
    }
    return self;
}

void recoveries_destroy(struct recoveries **self_p)
{
    if (self_p != NULL && *self_p != NULL) {
        ailing_destroy(&(*self_p)->ailing);
        free(*self_p);
        *self_p = NULL;
    }
}

/* NULL when there is no room. */
static struct watched *watch(struct recoveries *self, const char *component, int64_t now_ms)
{
    struct watched *row = NULL;
    for (size_t i = 0; row == NULL && i < self->count; i++) {
        row = strcmp(self->rows[i].component, component) == 0 ? &self->rows[i] : NULL;
    }
    if (row == NULL && self->count < WATCHED_MAX) {
        row = &self->rows[self->count++];
        *row = (struct watched){.since_ms = now_ms, .proposed_ms = INT64_MIN};
        (void)snprintf(row->component, sizeof row->component, "%s", component);
    }
    if (row != NULL) {
        row->look = self->look;
    }
    return row;
}

static void forget_unseen(struct recoveries *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (self->rows[i].look == self->look) {
            self->rows[kept++] = self->rows[i];
        }
    }
    self->count = kept;
}

static void propose(struct node *self, struct watched *watched, struct command *command,
                    int64_t now_ms)
{
    watched->proposed_ms = now_ms;
    (void)snprintf(command->who, sizeof command->who, "%s", node_name(self));
    (void)proposals_submit(self->proposals, command, NULL, NULL, NULL, NULL);
}

static bool may_propose(const struct watched *watched, int64_t now_ms)
{
    return watched->proposed_ms == INT64_MIN || now_ms - watched->proposed_ms >= PROPOSE_AGAIN_MS;
}

static void note(struct watched *watched, enum recovery_seen seen, int64_t now_ms)
{
    if (watched->seen != seen) {
        watched->seen = seen;
        watched->since_ms = now_ms;
    }
}

/* ---- duties ---- */

static enum recovery_seen see_duty(const struct node *self, const struct state_duty *duty)
{
    const struct report *report =
        state_duty_held(duty) ? reports_of(self, duty->assignment.node) : NULL;
    for (size_t i = 0; report != NULL && i < report->duty_count; i++) {
        const struct report_duty *row = &report->duties[i];
        if (row->assignment != duty->assignment.number || strcmp(row->id, duty->is.id) != 0) {
            continue;
        }
        if (strcmp(row->phase, manager_duty_phase_name(MANAGER_DUTY_FAILED)) == 0) {
            return RECOVERY_SEEN_ILL;
        }
        return strcmp(row->phase, manager_duty_phase_name(MANAGER_DUTY_RUNNING)) == 0
                   ? RECOVERY_SEEN_WELL
                   : RECOVERY_SEEN_NOTHING;
    }
    return RECOVERY_SEEN_NOTHING;
}

static bool can_take(const struct node *self, const struct state_node *row, const char *manager)
{
    struct gossip_member member;
    struct gossip_health health;
    bool complete = false;
    if (row->removed || row->draining || !gossip_member_find(self->gossip, row->is.name, &member) ||
        member.state != GOSSIP_ALIVE || (member.flags & GOSSIP_FLAG_DRAINING) != 0 ||
        !gossip_member_health(self->gossip, row->is.name, &health, &complete)) {
        return false;
    }
    for (size_t i = 0; i < health.capability_count; i++) {
        if (strcmp(health.capabilities[i].manager, manager) == 0) {
            return health.capabilities[i].percent > 0;
        }
    }
    return false;
}

/* The next strategy: it failed here whatever was tried, so another node may try. */
static void move_on(struct node *self, const struct state_duty *duty)
{
    const struct state_node *next = NULL;
    const struct state_node *first = NULL;
    for (size_t i = 0; i < state_node_count(self->state); i++) {
        const struct state_node *row = state_node_at(self->state, i);
        int order = strcmp(row->is.name, duty->assignment.node);
        if (order == 0 || !can_take(self, row, duty->manager)) {
            continue;
        }
        first = first == NULL ? row : first;
        next = next == NULL && order > 0 ? row : next;
    }
    next = next == NULL ? first : next; /* in turn, by name */
    if (next == NULL) {
        return;
    }
    struct command command = {.type = COMMAND_SETTING_PUT, .reason = REASON_RECOVERY};
    placement_move_key(duty->is.id, command.setting.key);
    (void)snprintf(command.setting.value, sizeof command.setting.value, "%s", next->is.name);
    (void)snprintf(command.who, sizeof command.who, "%s", node_name(self));
    (void)snprintf(command.why, sizeof command.why, "%.40s failed on %.40s whatever was tried",
                   duty->is.id, duty->assignment.node);
    (void)proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL);
}

static void step_duty(struct node *self, const struct state_duty *duty, int64_t now_ms)
{
    struct recoveries *recoveries = self->recoveries;
    const struct state_recovery *row = state_recovery_of(self->state, duty->is.id);
    enum recovery_seen seen = see_duty(self, duty);
    if (row == NULL && seen != RECOVERY_SEEN_ILL) {
        return;
    }
    struct watched *watched = watch(recoveries, duty->is.id, now_ms);
    if (watched == NULL) {
        return;
    }
    note(watched, seen, now_ms);
    if (!may_propose(watched, now_ms) || maintenance_gate(self, duty->manager) != GATE_OPEN) {
        return;
    }
    /* What is wanted no more has nothing to recover from. */
    bool over = !duty->is.wanted && !state_duty_held(duty);
    struct command command;
    if (!recovery_step(&recovery_of_duties, duty->is.id, row, over ? RECOVERY_SEEN_WELL : seen,
                       over ? INT64_MAX : now_ms - watched->since_ms, clock_wall_ms(), &command)) {
        return;
    }
    bool escalated = command.recovery.phase == RECOVERY_ESCALATED;
    propose(self, watched, &command, now_ms);
    if (escalated) {
        move_on(self, duty);
    }
}

/* ---- what managers tell as ailing ---- */

static enum recovery_seen see_ailing(enum ailing_state state)
{
    return state == AILING_ILL                            ? RECOVERY_SEEN_ILL
           : state == AILING_WELL || state == AILING_LEFT ? RECOVERY_SEEN_WELL
                                                          : RECOVERY_SEEN_NOTHING;
}

/* What ails it belongs to the audit; and what is left as it is, is not well. */
static void say_why(const struct ailing_row *told, struct command *command)
{
    char before[REASON_SIZE];
    if (told->state == AILING_LEFT) {
        (void)snprintf(command->why, sizeof command->why, "left as it is: %.100s", told->why);
    } else if (told->why[0] != '\0') {
        memcpy(before, command->why, sizeof before);
        (void)snprintf(command->why, sizeof command->why, "%.80s: %.70s", before, told->why);
    }
}

/* `told` may be NULL: its manager says nothing of it. */
static void step_ailing(struct node *self, const char *component, const struct ailing_row *told,
                        int64_t now_ms)
{
    char manager[NAME_SIZE];
    enum ailing_state state = told != NULL ? told->state : ailing_untold(self, component);
    const struct state_recovery *row = state_recovery_of(self->state, component);
    if ((row == NULL && state != AILING_ILL) || !ailing_manager(component, manager)) {
        return;
    }
    struct watched *watched = watch(self->recoveries, component, now_ms);
    if (watched == NULL) {
        return;
    }
    note(watched, see_ailing(state), now_ms);
    if (!may_propose(watched, now_ms) || maintenance_gate(self, manager) != GATE_OPEN) {
        return;
    }
    struct command command;
    if (recovery_step(&recovery_of_ailing, component, row, watched->seen,
                      state == AILING_LEFT ? INT64_MAX : now_ms - watched->since_ms,
                      clock_wall_ms(), &command)) {
        if (told != NULL) {
            say_why(told, &command);
        }
        propose(self, watched, &command, now_ms);
    }
}

static bool is_ailing(const char *component)
{
    return strncmp(component, AILING_PREFIX, strlen(AILING_PREFIX)) == 0;
}

static void step_all_ailing(struct node *self, int64_t now_ms)
{
    const struct ailing *ailing = self->recoveries->ailing;
    ailing_look(self->recoveries->ailing, self);
    for (size_t i = 0; i < ailing_count(ailing); i++) {
        const struct ailing_row *told = ailing_at(ailing, i);
        step_ailing(self, told->component, told, now_ms);
    }
    for (size_t i = 0; i < state_recovery_count(self->state); i++) {
        const struct state_recovery *row = state_recovery_at(self->state, i);
        if (is_ailing(row->component) && ailing_of(ailing, row->component) == NULL) {
            step_ailing(self, row->component, NULL, now_ms);
        }
    }
}

/* ---- managers ---- */

static enum recovery_seen see_manager(const struct report_manager *manager)
{
    bool down = strcmp(manager->state, supervise_state_name(SUPERVISE_FAILED)) == 0 ||
                strcmp(manager->state, supervise_state_name(SUPERVISE_STARTING)) == 0;
    return down ? RECOVERY_SEEN_NOTHING : RECOVERY_SEEN_WELL; /* its node tries by itself */
}

/* What is counted already. A leader that is new goes by the row: an end that the one before it did
 * not live to count is counted now. */
static uint64_t counted_before(const struct watched *watched, const struct state_recovery *row,
                               uint64_t failures)
{
    uint64_t counted = row != NULL ? row->attempt : 0;
    if (watched->counting) {
        counted = watched->failures;
    }
    return counted < failures ? counted : failures; /* less: it was well in between */
}

static void step_manager(struct node *self, const struct report *report,
                         const struct report_manager *manager, int64_t now_ms)
{
    char component[COMPONENT_SIZE + NAME_SIZE];
    int length =
        snprintf(component, sizeof component, MANAGER_PREFIX "%s/%s", report->node, manager->name);
    struct watched *watched =
        length < COMPONENT_SIZE ? watch(self->recoveries, component, now_ms) : NULL;
    if (watched == NULL) {
        return;
    }
    const struct state_recovery *row = state_recovery_of(self->state, component);
    struct command command;
    note(watched, see_manager(manager), now_ms);
    watched->failures = counted_before(watched, row, manager->failures);
    watched->counting = true;
    if (!may_propose(watched, now_ms)) {
        return;
    }
    if (manager->failures > watched->failures) {
        uint64_t more = manager->failures - watched->failures;
        watched->failures = manager->failures;
        watched->since_ms = now_ms;
        recovery_count(&recovery_of_managers, component, row,
                       more < UINT32_MAX ? (uint32_t)more : UINT32_MAX, clock_wall_ms(), &command);
        propose(self, watched, &command, now_ms);
    } else if (recovery_step(&recovery_of_managers, component, row, watched->seen,
                             now_ms - watched->since_ms, clock_wall_ms(), &command)) {
        propose(self, watched, &command, now_ms);
    }
}

/* ---- rows whose component is gone ---- */

static bool has_component(const struct node *self, const char *component)
{
    if (state_duty_by_id(self->state, component) != NULL) {
        return true;
    }
    if (is_ailing(component)) {
        return ailing_has_place(self, component);
    }
    char node[NAME_SIZE];
    if (strncmp(component, MANAGER_PREFIX, strlen(MANAGER_PREFIX)) != 0) {
        return false;
    }
    const char *name = component + strlen(MANAGER_PREFIX);
    (void)snprintf(node, sizeof node, "%.*s", (int)strcspn(name, "/"), name);
    const struct state_node *row = state_node_by_name(self->state, node);
    return row != NULL && !row->removed;
}

static void forget_gone(struct node *self, int64_t now_ms)
{
    for (size_t i = 0; i < state_recovery_count(self->state); i++) {
        const struct state_recovery *row = state_recovery_at(self->state, i);
        struct watched *watched = has_component(self, row->component)
                                      ? NULL
                                      : watch(self->recoveries, row->component, now_ms);
        struct command command;
        if (watched != NULL && may_propose(watched, now_ms) &&
            recovery_step(&recovery_of_duties, row->component, row, RECOVERY_SEEN_WELL, INT64_MAX,
                          clock_wall_ms(), &command)) {
            (void)snprintf(command.why, sizeof command.why, "it is not there any more");
            propose(self, watched, &command, now_ms);
        }
    }
}

void recoveries_run(struct node *self, int64_t now_ms)
{
    struct recoveries *recoveries = self->recoveries;
    if (!node_may_act(self) || now_ms < recoveries->look_at_ms) {
        return;
    }
    recoveries->look_at_ms = now_ms + PERIOD_MS;
    recoveries->look++;
    if (recoveries->term != self->view.term) {
        recoveries->term = self->view.term;
        recoveries->count = 0;
    }
    for (size_t i = 0; i < state_duty_count(self->state); i++) {
        const struct state_duty *duty = state_duty_at(self->state, i);
        if (!duty->is.once) { /* runs have retries of their own */
            step_duty(self, duty, now_ms);
        }
    }
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct report *report = &self->reports[i];
        for (size_t k = 0; report->node[0] != '\0' && k < report->manager_count; k++) {
            step_manager(self, report, &report->managers[k], now_ms);
        }
    }
    step_all_ailing(self, now_ms);
    forget_gone(self, now_ms);
    forget_unseen(recoveries);
}

/* ---- carrying out ---- */

static void retry_duty(struct node *self, struct local_duty *duty, const struct state_recovery *row)
{
    char manager[NAME_SIZE];
    (void)snprintf(manager, sizeof manager, "%.*s", (int)strcspn(duty->id, "/"), duty->id);
    struct manager_command command = {.id = 0}; /* its reply is nobody's */
    (void)snprintf(command.verb, sizeof command.verb, "duty retry");
    struct mp_writer writer;
    mp_writer_init(&writer, MANAGER_FIELDS_BYTES_MAX);
    json_t *args = json_pack("{s:s, s:I}", "duty", duty->id, "attempt", (json_int_t)row->attempt);
    if (doc_to_msgpack(args, &writer, NULL) == 0) {
        command.args =
            (struct manager_document){.data = writer.buffer.data, .length = writer.buffer.length};
        if (supervise_command(self->supervise, manager, &command, NULL) == 0) {
            duty->tried = row->attempt;
        }
    }
    json_decref(args);
    mp_writer_deinit(&writer);
}

static struct told *told_of(struct recoveries *self, const char *component)
{
    for (size_t i = 0; i < TOLD_MAX; i++) {
        if (strcmp(self->told[i].component, component) == 0) {
            return &self->told[i];
        }
    }
    return NULL;
}

static void mend(struct node *self, const struct state_recovery *row)
{
    struct recoveries *recoveries = self->recoveries;
    struct told *told = told_of(recoveries, row->component);
    if (!recovery_orders(row, told != NULL ? told->attempt : 0) ||
        !ailing_mend(self, row->component, row->attempt)) {
        return;
    }
    if (told == NULL) {
        told = &recoveries->told[recoveries->told_next++ % TOLD_MAX];
        memcpy(told->component, row->component, sizeof told->component);
    }
    told->attempt = row->attempt;
}

static void carry_out(struct node *self, const struct state_recovery *row)
{
    if (is_ailing(row->component)) {
        mend(self, row);
        return;
    }
    char own[2 * NAME_SIZE];
    size_t length = (size_t)snprintf(own, sizeof own, MANAGER_PREFIX "%s/", node_name(self));
    if (strncmp(row->component, own, length) == 0 && row->phase == RECOVERY_ACTING) {
        /* Only a person orders this: the supervision needs no leader to restart what ended. */
        (void)supervise_restart(self->supervise, row->component + length, NULL);
        return;
    }
    for (size_t i = 0; i < self->duty_count; i++) {
        struct local_duty *duty = &self->duties[i];
        if (strcmp(duty->id, row->component) == 0 && !duty->leaving &&
            recovery_orders(row, duty->tried)) {
            retry_duty(self, duty, row);
        }
    }
}

static void tell(struct node *self, const struct state_recovery *row, uint64_t term)
{
    bool escalated = row->phase == RECOVERY_ESCALATED;
    events_add(self->events, escalated ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, term,
               escalated ? "recovery.escalated" : "recovery.attempt",
               json_pack("{s:s, s:I, s:s}", "component", row->component, "attempt",
                         (json_int_t)row->attempt, "phase", recovery_phase_name(row->phase)),
               "%s: attempt %u, %s", row->component, row->attempt, recovery_phase_name(row->phase));
}

static void forget_tried(struct node *self, const char *component)
{
    struct told *told = told_of(self->recoveries, component);
    if (told != NULL) {
        *told = (struct told){0};
    }
    for (size_t i = 0; i < self->duty_count; i++) {
        self->duties[i].tried =
            strcmp(self->duties[i].id, component) == 0 ? 0 : self->duties[i].tried;
    }
}

void recoveries_applied(struct node *self, const struct state_effect *effect)
{
    const struct state_recovery *row = state_recovery_of(self->state, effect->target);
    const struct state_audit *audit = state_audit_at(self->state, 0);
    if (audit == NULL || !leadership_is_news(self, audit->wall_ms)) {
        return;
    }
    if (row == NULL) {
        forget_tried(self, effect->target);
        events_add(self->events, LOG_LEVEL_INFO, effect->term, "recovery.well",
                   json_pack("{s:s}", "component", effect->target), "%s: %s", effect->target,
                   audit->why);
        return;
    }
    tell(self, row, effect->term);
    carry_out(self, row);
}

/* ---- documents and by hand ---- */

json_t *recoveries_document(const struct node *self)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < state_recovery_count(self->state); i++) {
        const struct state_recovery *row = state_recovery_at(self->state, i);
        (void)json_array_append_new(
            ret,
            json_pack("{s:o, s:I, s:s, s:o, s:o, s:o}", "component", doc_text(row->component),
                      "attempt", (json_int_t)row->attempt, "phase", recovery_phase_name(row->phase),
                      "next", doc_time(row->next_wall_ms), "since", doc_time(row->since_wall_ms),
                      "changed", doc_time(row->changed_wall_ms)));
    }
    return ret;
}

uint32_t recoveries_attempts(const struct node *self, const char *node, const char *manager)
{
    char component[3 * NAME_SIZE];
    (void)snprintf(component, sizeof component, MANAGER_PREFIX "%s/%s", node, manager);
    const struct state_recovery *row = state_recovery_of(self->state, component);
    return row == NULL ? 0 : row->attempt;
}

static bool some_node_reports(const struct node *self, const char *component)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct report *report = &self->reports[i];
        for (size_t k = 0; report->node[0] != '\0' && k < report->manager_count; k++) {
            char name[3 * NAME_SIZE];
            (void)snprintf(name, sizeof name, MANAGER_PREFIX "%s/%s", report->node,
                           report->managers[k].name);
            if (strcmp(name, component) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* A follower is told of what happened only: the row tells it, or its own managers do. */
static bool some_node_ails(const struct node *self, const char *component)
{
    struct ailing *seen = is_ailing(component) ? ailing_create() : NULL;
    bool found = false;
    if (seen != NULL) {
        ailing_look(seen, self);
        const struct ailing_row *row = ailing_of(seen, component);
        found = state_recovery_of(self->state, component) != NULL ||
                (row != NULL && row->state == AILING_ILL);
    }
    ailing_destroy(&seen);
    return found;
}

bool recoveries_by_hand(const struct node *self, const char *component, struct command *ret)
{
    const struct state_duty *duty = state_duty_by_id(self->state, component);
    bool ails = some_node_ails(self, component);
    bool known =
        (duty != NULL && state_duty_held(duty)) || some_node_reports(self, component) || ails;
    if (!known || strlen(component) >= COMPONENT_SIZE) {
        return false;
    }
    recovery_by_hand(duty != NULL ? &recovery_of_duties
                     : ails       ? &recovery_of_ailing
                                  : &recovery_of_managers,
                     component, state_recovery_of(self->state, component), clock_wall_ms(), ret);
    return true;
}

bool recoveries_is_critical(const struct node *self, const char *component, bool *ret)
{
    const struct ailing_row *row = ailing_of(self->recoveries->ailing, component);
    *ret = !is_ailing(component) || (row != NULL && row->critical);
    return !is_ailing(component) || row != NULL;
}
