#include "tests/unit/state/why_world.h"

#define T0 INT64_C(1790000040)
#define UNDER_WAY_MAX 12

/* ---- commands with a cause ---- */

static uint64_t pick(struct world *self, uint64_t count)
{
    return rng_below(&self->rng, count);
}

/* Give it a cause and apply it: it must be applied, and not be so already. */
static struct cause act(struct world *self, struct command command, enum command_reason reason,
                        struct state_effect *ret)
{
    struct cause cause = {.reason = reason};
    (void)snprintf(cause.text, sizeof cause.text, "cause <%u>", ++self->causes);
    command.reason = reason;
    copy_text(command.why, sizeof command.why, cause.text);
    struct state_effect effect = apply_in_term(self->state, command, self->term);
    if (effect.outcome != STATE_APPLIED) {
        fail_msg("%s %s: %s", command_type_name(command.type), effect.target, effect.reason);
    }
    cause.index = effect.index;
    if (ret != NULL) {
        *ret = effect;
    }
    return cause;
}

static void node_of(uint64_t number, char ret[NAME_SIZE])
{
    (void)snprintf(ret, NAME_SIZE, "n%u", (unsigned)number);
}

/* A node that may take something; false: all are draining. */
static bool pick_node(struct world *self, uint64_t *ret)
{
    uint64_t first = pick(self, WORLD_NODES);
    for (uint64_t i = 0; i < WORLD_NODES; i++) {
        uint64_t at = (first + i) % WORLD_NODES;
        if (!self->draining[at]) {
            *ret = at + 1;
            return true;
        }
    }
    return false;
}

/* ---- duties ---- */

static void want(struct world *self, struct known_duty *duty)
{
    static const enum command_reason wanted[] = {REASON_PRIMARY_DOWN, REASON_PRIMARY_UNREACHABLE};
    static const enum command_reason unwanted[] = {REASON_PRIMARY_WELL, REASON_DUTY_UNWANTED};
    bool wish = !duty->there || !duty->wanted;
    duty->newest = act(self, duty_put(duty->id, true, wish),
                       wish ? wanted[pick(self, 2)] : unwanted[pick(self, 2)], NULL);
    duty->there = true;
    duty->wanted = wish;
}

static void place(struct world *self, struct known_duty *duty)
{
    static const enum command_reason reasons[] = {
        REASON_DUTY_UNASSIGNED, REASON_NODE_DEAD, REASON_NODE_DRAINING, REASON_NODE_INCAPABLE,
        REASON_NODE_RESTARTED,  REASON_OPERATOR,  REASON_REBALANCE,     REASON_PRESSURE,
    };
    uint64_t node;
    char name[NAME_SIZE];
    if (!duty->there || !duty->wanted || !pick_node(self, &node)) {
        return;
    }
    node_of(node, name);
    if (duty->held && strcmp(name, duty->node) == 0) {
        return;
    }
    struct state_effect effect;
    /* The node's incarnation rises, as it may have had the duty before. */
    struct command command =
        duty_assign(duty->id, duty->number, name, node, state_index(self->state) + 1);
    duty->assigned = act(self, command, reasons[pick(self, 8)], &effect);
    duty->newest = duty->assigned;
    duty->number = effect.number;
    duty->held = true;
    copy_text(duty->node, sizeof duty->node, name);
}

static void give_back(struct world *self, struct known_duty *duty)
{
    static const struct {
        enum release_proof proof;
        enum command_reason reason;
    } kinds[] = {{RELEASE_BY_HOLDER, REASON_DUTY_UNWANTED},
                 {RELEASE_BY_HOLDER, REASON_SHUTDOWN},
                 {RELEASE_BY_OBITUARY, REASON_OBITUARY},
                 {RELEASE_BY_EXPIRY, REASON_GRANT_EXPIRED}};
    uint64_t kind = pick(self, 4);
    if (duty->held) {
        duty->newest = act(self, duty_release(duty->id, duty->number, kinds[kind].proof),
                           kinds[kind].reason, NULL);
        duty->held = false;
    }
}

static void step_duty(struct world *self)
{
    struct known_duty *duty = &self->duties[pick(self, WORLD_DUTIES)];
    switch (pick(self, 4)) {
    case 0:
        want(self, duty);
        return;
    case 1:
        give_back(self, duty);
        return;
    default:
        place(self, duty);
        return;
    }
}

/* ---- leaders ---- */

static enum leader_proof proof_of(enum consensus_cause cause)
{
    switch (cause) {
    case CONSENSUS_CAUSE_OBITUARY:
        return LEADER_PROOF_OBITUARY;
    case CONSENSUS_CAUSE_HEALTH:
    case CONSENSUS_CAUSE_DRAIN:
    case CONSENSUS_CAUSE_TRANSFER:
    case CONSENSUS_CAUSE_GRAY:
        return LEADER_PROOF_RELEASE;
    default:
        return LEADER_PROOF_NONE;
    }
}

static void step_leader(struct world *self)
{
    struct known_leader former = self->leader;
    struct known_leader *leader = &self->leader;
    *leader = (struct known_leader){.there = true, .term = ++self->term};
    leader->cause = (enum consensus_cause)pick(self, CONSENSUS_CAUSE_GRAY + 1);
    if (former.there) {
        copy_text(leader->previous, sizeof leader->previous, former.node);
    }
    size_t previous = former.there ? (size_t)(former.node[1] - '1') : 0;
    if (former.there && leader->cause == CONSENSUS_CAUSE_DRAIN && !self->draining[previous]) {
        leader->drain =
            act(self, node_named(COMMAND_NODE_DRAIN, former.node), REASON_OPERATOR, NULL);
        leader->drained = true;
        self->draining[previous] = true;
    }
    node_of(1 + (previous + 1 + pick(self, WORLD_NODES - 1)) % WORLD_NODES, leader->node);
    struct command command = leader_record(leader->term, leader->node);
    command.leader.cause = leader->cause;
    command.leader.proof = proof_of(leader->cause);
    memcpy(command.leader.previous, leader->previous, sizeof command.leader.previous);
    leader->index = act(self, command, REASON_LEADER_CHANGED, NULL).index;
}

static void step_node(struct world *self)
{
    char name[NAME_SIZE];
    size_t at = (size_t)pick(self, WORLD_NODES);
    if (self->draining[at]) {
        node_of(at + 1, name);
        (void)act(self, node_named(COMMAND_NODE_UNDRAIN, name), REASON_OPERATOR, NULL);
        self->draining[at] = false;
        self->leader.drained = false; /* other things were decided about that node since */
    }
}

/* ---- what holds work still ---- */

static void step_gate(struct world *self)
{
    enum gate gate = (enum gate)(1 + pick(self, GATE_SHADOW));
    bool close = !self->closed[gate];
    struct command command;
    switch (gate) {
    case GATE_STOPPED:
        command = setting_put(STOPPED_SETTING, close ? "yes" : NULL);
        break;
    case GATE_MAINTENANCE: {
        const struct maintenance maintenance = {.until_wall_ms = 1, .who = "anna", .why = "disks"};
        if (close) {
            maintenance_begin(&maintenance, &command);
        } else {
            maintenance_end("over", &command);
        }
        break;
    }
    case GATE_PAUSED:
        command = manager_change(close ? COMMAND_MANAGER_PAUSE : COMMAND_MANAGER_RESUME, "pm2");
        break;
    default:
        command = manager_change(COMMAND_MANAGER_MODE, "pm2");
        command.manager.mode = close ? MANAGER_MODE_SHADOW : MANAGER_MODE_ARMED;
        break;
    }
    command.wall_ms = command_of(COMMAND_SETTING_PUT).wall_ms; /* maintenance leaves it to others */
    copy_text(command.who, sizeof command.who, "anna");
    struct cause cause = act(self, command, REASON_OPERATOR, NULL);
    self->closed[gate] = close;
    self->closed_by[gate] = cause;
}

/* ---- schedules and slots ---- */

static void define(struct world *self, struct known_schedule *schedule)
{
    struct command command = schedule_put(schedule->id, schedule->revision, schedule->decided_s);
    command.schedule.is.priority = (int64_t)self->causes; /* unlike all before */
    struct state_effect effect;
    (void)act(self, command, REASON_CONFIGURATION, &effect);
    schedule->there = true;
    schedule->revision = effect.number;
}

static void drop(struct world *self, struct known_schedule *schedule)
{
    (void)act(self, schedule_remove(schedule->id), REASON_CONFIGURATION, NULL);
    schedule->there = false;
    schedule->revision = 0;
}

static size_t under_way(const struct world *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->run_count; i++) {
        count += self->runs[i].outcome == RUN_UNDER_WAY ? 1 : 0;
    }
    return count;
}

static struct known_run *note_run(struct world *self, const struct known_schedule *schedule)
{
    assert_true(self->run_count < WORLD_RUNS_MAX);
    struct known_run *run = &self->runs[self->run_count++];
    *run = (struct known_run){.count = 1, .exit_status = -1, .term = self->term};
    copy_text(run->key.schedule, sizeof run->key.schedule, schedule->id);
    run->revision = schedule->revision;
    return run;
}

/* One slot that runs, or some in a row that do not. */
static void decide_one(struct world *self, struct command *command,
                       const struct known_schedule *schedule, int64_t *slot_s)
{
    static const struct {
        enum run_outcome verdict;
        enum run_reason reason;
    } kinds[] = {
        {RUN_UNDER_WAY, RUN_DUE},        {RUN_UNDER_WAY, RUN_LATE},
        {RUN_SKIPPED, RUN_OVERLAP},      {RUN_SKIPPED, RUN_PAUSED},
        {RUN_SKIPPED, RUN_MAINTENANCE},  {RUN_SKIPPED, RUN_SHED},
        {RUN_SKIPPED, RUN_SHADOW},       {RUN_MISSED, RUN_SUPERSEDED},
        {RUN_MISSED, RUN_OUT_OF_WINDOW}, {RUN_MISSED, RUN_MISFIRE_SKIP},
    };
    uint64_t room = under_way(self) < UNDER_WAY_MAX ? 0 : 2;
    uint64_t kind = room + pick(self, sizeof kinds / sizeof kinds[0] - room);
    struct known_run *run = note_run(self, schedule);
    run->outcome = kinds[kind].verdict;
    run->reason = kinds[kind].reason;
    run->attempt = run->outcome == RUN_UNDER_WAY ? 1 : 0;
    run->count = run->outcome == RUN_UNDER_WAY ? 1 : 1 + (uint32_t)pick(self, 4);
    run->key.slot_s = *slot_s + 60;
    run->last_s = *slot_s + 60 * (int64_t)run->count;
    *slot_s = run->last_s;
    add_slots(command, run->key.slot_s, run->last_s, run->count, run->outcome, run->reason);
}

static void decide(struct world *self, struct known_schedule *schedule)
{
    size_t first = self->run_count;
    int64_t slot_s = schedule->decided_s;
    struct command command = slots_decide(schedule->id, schedule->revision, slot_s, slot_s);
    for (uint64_t left = 1 + pick(self, 3); left > 0; left--) {
        decide_one(self, &command, schedule, &slot_s);
    }
    command.slots.decided_s = slot_s;
    struct cause cause = act(self, command, REASON_SCHEDULE, NULL);
    schedule->decided_s = slot_s;
    for (size_t i = first; i < self->run_count; i++) {
        self->runs[i].index = cause.index;
    }
}

static void start_by_hand(struct world *self, const struct known_schedule *schedule)
{
    if (under_way(self) >= UNDER_WAY_MAX) {
        return;
    }
    struct known_run *run = note_run(self, schedule);
    struct state_effect effect;
    run->by = act(self, run_start(schedule->id), REASON_OPERATOR, &effect);
    run->key.number = effect.number;
    run->reason = RUN_MANUAL;
    run->attempt = 1;
    run->index = effect.index;
}

static void step_schedule(struct world *self)
{
    struct known_schedule *schedule = &self->schedules[pick(self, WORLD_SCHEDULES)];
    uint64_t what = pick(self, 12);
    if (!schedule->there || what == 0) {
        define(self, schedule);
    } else if (what == 1) {
        drop(self, schedule);
    } else if (what < 4) {
        start_by_hand(self, schedule);
    } else {
        decide(self, schedule);
    }
}

/* ---- runs ---- */

static struct known_run *pick_run(struct world *self)
{
    uint64_t skip = pick(self, UNDER_WAY_MAX);
    struct known_run *found = NULL;
    for (size_t i = self->run_count; i > 0; i--) {
        if (self->runs[i - 1].outcome == RUN_UNDER_WAY) {
            found = &self->runs[i - 1];
            if (skip-- == 0) {
                break;
            }
        }
    }
    return found;
}

static void assign_attempt(struct world *self, struct known_run *run)
{
    char id[DUTY_ID_SIZE];
    uint64_t node;
    if (run->assignment != 0 || run->cancelled || !pick_node(self, &node)) {
        return;
    }
    struct state_effect effect;
    node_of(node, run->node);
    run_duty_id(&run->key, run->attempt, id);
    (void)act(self, duty_assign(id, 0, run->node, node, 1), REASON_DUTY_UNASSIGNED, &effect);
    run->assignment = effect.number;
}

static void release_attempt(struct world *self, struct known_run *run)
{
    char id[DUTY_ID_SIZE];
    if (run->assignment != 0 && !run->released) {
        run_duty_id(&run->key, run->attempt, id);
        (void)act(self, duty_release(id, run->assignment, RELEASE_BY_HOLDER), REASON_RUN, NULL);
        run->released = true;
    }
}

static void cancel(struct world *self, struct known_run *run)
{
    static const enum run_reason reasons[] = {RUN_CANCELLED, RUN_REPLACED, RUN_REMOVED};
    if (!run->cancelled) {
        struct command command = run_cancel(run->key);
        run->cancel = reasons[pick(self, 3)];
        command.run_cancel.reason = run->cancel;
        run->cancelled_by = act(self, command, REASON_OPERATOR, NULL);
        run->cancelled = true;
    }
}

struct ending {
    enum run_outcome outcome;
    enum run_reason reason;
    int exit_status;
    bool began; /* it was assigned, and its node tells when it started */
    bool again; /* another attempt may follow */
};

static const struct ending endings[] = {
    {RUN_RAN, RUN_EXIT, 0, true, false},
    {RUN_FAILED, RUN_EXIT, 3, true, true},
    {RUN_FAILED, RUN_SIGNAL, 256 + 11, true, true},
    {RUN_FAILED, RUN_TOO_SHORT, 0, true, true},
    {RUN_FAILED, RUN_FINISH_DEADLINE, 256 + 9, true, true},
    {RUN_FAILED, RUN_PROGRESS_DEADLINE, 256 + 15, true, true},
    {RUN_FAILED, RUN_CANCELLED, 256 + 15, true, false},
    {RUN_FAILED, RUN_REPLACED, 256 + 15, true, false},
    {RUN_FAILED, RUN_SHUTDOWN, 256 + 15, true, true},
    {RUN_FAILED, RUN_NOT_STARTED, -1, false, true},
    {RUN_UNKNOWN, RUN_HOLDER_GONE, -1, true, true},
    {RUN_MISSED, RUN_START_DEADLINE, -1, false, false},
    {RUN_SKIPPED, RUN_REMOVED, -1, false, false},
};

static void end(struct world *self, struct known_run *run)
{
    const struct ending *how = &endings[pick(self, sizeof endings / sizeof endings[0])];
    bool again = how->again && !run->cancelled && pick(self, 2) == 0;
    if (how->began && run->assignment == 0) {
        return;
    }
    struct command command = run_end(run->key, run->attempt, run->assignment, how->outcome);
    command.run_end.reason = how->reason;
    command.run_end.exit_status = how->exit_status;
    command.run_end.started_wall_ms = how->began ? 1700000001000 : 0;
    command.run_end.again_wall_ms = again ? 1700000009000 : 0;
    (void)act(self, command, REASON_RUN, NULL);
    run->started = how->began ? run->attempt : 0;
    run->exit_status = how->exit_status;
    run->assignment = 0;
    run->released = false;
    if (again) {
        run->attempt++;
    } else {
        run->outcome = how->outcome;
        run->reason = how->reason;
    }
}

static void step_run(struct world *self)
{
    struct known_run *run = pick_run(self);
    if (run == NULL) {
        return;
    }
    switch (pick(self, 8)) {
    case 0:
        cancel(self, run);
        return;
    case 1:
        release_attempt(self, run);
        return;
    case 2:
    case 3:
    case 4:
        assign_attempt(self, run);
        return;
    default:
        end(self, run);
        return;
    }
}

/* ---- alerts ---- */

static void step_alert(struct world *self)
{
    static const enum command_reason raising[] = {REASON_NODE_DEAD, REASON_HEALTH, REASON_RECOVERY,
                                                  REASON_SECURITY};
    struct known_alert *alert = &self->alerts[pick(self, WORLD_ALERTS)];
    uint64_t what = pick(self, 3);
    if (alert->there && what == 0 && alert->state == ALERT_FIRING) {
        alert->newest =
            act(self, alert_named(COMMAND_ALERT_ACK, alert->key), REASON_OPERATOR, NULL);
        alert->state = ALERT_ACKED;
    } else if (alert->there && what == 1 && alert->state != ALERT_RESOLVED) {
        alert->newest =
            act(self, alert_named(COMMAND_ALERT_RESOLVE, alert->key), REASON_HEALTH, NULL);
        alert->state = ALERT_RESOLVED;
    } else if (what == 2) {
        (void)snprintf(alert->text, sizeof alert->text, "trouble <%u>", self->causes);
        alert->severity = (enum alert_severity)pick(self, ALERT_CRITICAL + 1);
        alert->newest = act(self, alert_raise(alert->key, alert->severity, alert->text),
                            raising[pick(self, 4)], NULL);
        bool fires = !alert->there || alert->state == ALERT_RESOLVED;
        alert->raised += fires ? 1 : 0;
        alert->state = fires ? ALERT_FIRING : alert->state;
        alert->there = true;
    }
}

/* ---- worlds ---- */

void world_init(struct world *self, uint64_t seed)
{
    static const char *const alerts[WORLD_ALERTS] = {"member.dead/n2", "primary.down/pm2/worker",
                                                     "health.low/n1", "run.failed/run/s0"};
    memset(self, 0, sizeof *self);
    rng_init(&self->rng, seed);
    self->state = state_create();
    assert_non_null(self->state);
    self->term = 1;
    for (uint64_t i = 1; i <= WORLD_NODES; i++) {
        char name[NAME_SIZE];
        node_of(i, name);
        (void)act(self, node_put(name, i), REASON_FOUNDING, NULL);
    }
    for (unsigned i = 0; i < WORLD_DUTIES; i++) {
        (void)snprintf(self->duties[i].id, DUTY_ID_SIZE, "pm2/d%u", i);
    }
    for (unsigned i = 0; i < WORLD_SCHEDULES; i++) {
        (void)snprintf(self->schedules[i].id, SCHEDULE_ID_SIZE, "run/s%u", i);
        self->schedules[i].decided_s = T0;
    }
    for (unsigned i = 0; i < WORLD_ALERTS; i++) {
        copy_text(self->alerts[i].key, DUTY_ID_SIZE, alerts[i]);
    }
}

void world_deinit(struct world *self)
{
    state_destroy(&self->state);
}

void world_step(struct world *self)
{
    static void (*const steps[])(struct world * self) = {
        step_duty,     step_duty, step_leader, step_node, step_gate,
        step_schedule, step_run,  step_run,    step_run,  step_alert,
    };
    steps[pick(self, sizeof steps / sizeof steps[0])](self);
}

void world_flood(struct world *self)
{
    for (int i = 0; i < STATE_AUDIT_MAX; i++) {
        struct command note = command_of(COMMAND_AUDIT_NOTE);
        copy_text(note.note.target, sizeof note.note.target, "other");
        (void)act(self, note, REASON_OPERATOR, NULL);
    }
}
