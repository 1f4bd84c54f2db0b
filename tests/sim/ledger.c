#include "tests/sim/ledger.h"

#include "node/base/invariant.h"
#include "tests/sim/check.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/placing.h"
#include "tests/sim/running.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_TRUST_S 2    /* a clock that is trusted may be so wrong */
#define ATTEMPTS_TOLD 64   /* of a run, that are told apart */
#define LAG_MS 4000        /* to decide what is due, when nothing hinders */
#define LAG_OF_RUN_MS 3500 /* for a run from its decision to its end */

struct entry {
    struct plan plan;
    bool present;
    uint64_t revision;
    int64_t decided_s;
    uint32_t under_way; /* runs of slots */
};

struct record {
    struct run_key key;
    struct plan plan; /* of its schedule then */
    int64_t last_s;
    uint32_t count;
    uint32_t attempt;
    enum run_outcome outcome;
    int64_t attempt_ms; /* true time of its present attempt's beginning */
    uint64_t begun;     /* attempts that took effect */
    uint64_t well;      /* and ended well */
    bool twice;         /* what ended well may have been tried again, for nobody knew it */
};

struct ledger {
    struct entry entries[SIM_SCHEDULES_MAX];
    size_t count;
    size_t capacity;
    struct record *records; /* in the order of their decision */
};

struct ledger *ledger_create(void)
{
    struct ledger *self = calloc(1, sizeof *self);
    invariant(self != NULL);
    return self;
}

void ledger_destroy(struct ledger **self_p)
{
    if (*self_p != NULL) {
        free((*self_p)->records);
        free(*self_p);
        *self_p = NULL;
    }
}

/* ---- rows ---- */

static struct record *add(struct ledger *self, const struct run_key *key, const struct plan *plan)
{
    if (self->count == self->capacity) {
        self->capacity = self->capacity == 0 ? 256 : self->capacity * 2;
        self->records = realloc(self->records, self->capacity * sizeof *self->records);
        invariant(self->records != NULL);
    }
    struct record *record = &self->records[self->count++];
    *record = (struct record){.key = *key, .plan = *plan, .last_s = key->slot_s, .count = 1};
    return record;
}

static struct record *find(const struct ledger *self, const struct run_key *key)
{
    for (size_t i = self->count; i > 0; i--) {
        struct record *record = &self->records[i - 1];
        if (record->key.slot_s == key->slot_s && record->key.number == key->number &&
            strcmp(record->key.schedule, key->schedule) == 0) {
            return record;
        }
    }
    return NULL;
}

/* The row that holds this slot of the schedule, ranges included. */
static const struct record *find_slot(const struct ledger *self, const char *schedule,
                                      int64_t slot_s)
{
    for (size_t i = self->count; i > 0; i--) {
        const struct record *record = &self->records[i - 1];
        if (record->key.number == 0 && record->key.slot_s <= slot_s && slot_s <= record->last_s &&
            strcmp(record->key.schedule, schedule) == 0) {
            return record;
        }
    }
    return NULL;
}

/* ---- definitions ---- */

static struct entry *entry_of(struct ledger *self, const char *id)
{
    int number = timetable_number(id);
    invariant(number >= 0);
    return &self->entries[number];
}

static void take_put(struct node *node, const struct command *command, uint64_t index)
{
    const struct command_schedule *put = &command->schedule;
    struct entry *entry = entry_of(node->world->ledger, put->id);
    if (entry->present && put->decided_s != entry->decided_s) {
        check_failed(node->world, "I7", "%s is defined anew from %" PRId64 ", decided to %" PRId64,
                     put->id, put->decided_s, entry->decided_s);
    }
    bool known = timetable_plan_of(node->world->timetable, &put->is, &entry->plan);
    if (!known) {
        check_failed(node->world, "I7", "%s has a definition that nobody wanted", put->id);
    }
    entry->present = true;
    entry->revision = index;
    entry->decided_s = put->decided_s;
}

/* ---- slots ---- */

static int64_t limit_s(const struct plan *plan)
{
    return plan->is.start_deadline_s > 1 ? plan->is.start_deadline_s : 1;
}

/* The verdict fits the age of the slot when it was proposed. */
static void check_verdict(struct node *node, const struct command *command,
                          const struct entry *entry, const struct command_slot *item)
{
    const char *id = command->slots.schedule;
    int64_t wall_s = command->wall_ms / 1000;
    bool late = wall_s - item->last_s > limit_s(&entry->plan);
    if (item->first_s > world_wall_ms(node->world) / 1000 + CLOCK_TRUST_S) {
        check_failed(node->world, "I7", "%s: slot %" PRId64 " is decided before its time", id,
                     item->first_s);
    }
    if (item->verdict == RUN_MISSED && !late) {
        check_failed(node->world, "I7", "%s: slot %" PRId64 " is missed (%s), though on time", id,
                     item->last_s, run_reason_name(item->reason));
    }
    if (item->verdict != RUN_UNDER_WAY) {
        return;
    }
    bool wrong = late != (item->reason == RUN_LATE);
    if (wrong || (late && entry->plan.is.misfire == SCHEDULE_MISFIRE_SKIP)) {
        check_failed(node->world, "I7", "%s: slot %" PRId64 " runs (%s), %" PRId64 " s late", id,
                     item->first_s, run_reason_name(item->reason), wall_s - item->first_s);
    }
    if (entry->plan.is.overlap == SCHEDULE_OVERLAP_FORBID && entry->under_way > 0) {
        check_failed(node->world, "I7", "%s: slot %" PRId64 " runs beside another", id,
                     item->first_s);
    }
}

static void take_item(struct node *node, const struct command *command, struct entry *entry,
                      const struct command_slot *item)
{
    struct ledger *self = node->world->ledger;
    struct run_key key = {.slot_s = item->first_s};
    (void)snprintf(key.schedule, sizeof key.schedule, "%s", command->slots.schedule);
    check_verdict(node, command, entry, item);
    if (find_slot(self, key.schedule, item->first_s) != NULL ||
        find_slot(self, key.schedule, item->last_s) != NULL) {
        check_failed(node->world, "I7", "%s: slot %" PRId64 " is decided a second time",
                     key.schedule, item->first_s);
    }
    struct record *record = add(self, &key, &entry->plan);
    record->last_s = item->last_s;
    record->count = item->count;
    record->outcome = item->verdict;
    record->attempt_ms = node->world->now_us / 1000;
    node->world->verdict->stats.slots += item->count;
    if (item->verdict == RUN_UNDER_WAY) {
        record->attempt = 1;
        entry->under_way++;
        node->world->verdict->stats.runs++;
    }
}

/* The items are all slots in (after_s, decided_s], in order. */
static void take_slots(struct node *node, const struct command *command)
{
    const struct command_slots *slots = &command->slots;
    struct entry *entry = entry_of(node->world->ledger, slots->schedule);
    const struct timetable *timetable = node->world->timetable;
    if (!entry->present || entry->revision != slots->revision ||
        entry->decided_s != slots->after_s) {
        check_failed(node->world, "I7",
                     "%s: slots after %" PRId64 " are decided, known to %" PRId64, slots->schedule,
                     slots->after_s, entry->decided_s);
    }
    int64_t at_s = slots->after_s;
    for (size_t i = 0; i < slots->count; i++) {
        const struct command_slot *item = &slots->items[i];
        int64_t first_s = timetable_next(timetable, &entry->plan, at_s, slots->decided_s);
        int64_t last_s = first_s;
        for (uint32_t k = 1; k < item->count && last_s != INT64_MAX; k++) {
            last_s = timetable_next(timetable, &entry->plan, last_s, slots->decided_s);
        }
        if (first_s != item->first_s || last_s != item->last_s) {
            check_failed(node->world, "I7",
                         "%s (%s): %u slots %" PRId64 " to %" PRId64
                         " are decided, they are %" PRId64 " to %" PRId64,
                         slots->schedule, entry->plan.is.expression, (unsigned)item->count,
                         item->first_s, item->last_s, first_s, last_s);
        }
        take_item(node, command, entry, item);
        at_s = last_s;
    }
    int64_t left_s = timetable_next(timetable, &entry->plan, at_s, slots->decided_s);
    if (left_s != INT64_MAX) {
        check_failed(node->world, "I7", "%s (%s): slot %" PRId64 " is left out", slots->schedule,
                     entry->plan.is.expression, left_s);
    }
    entry->decided_s = slots->decided_s;
}

/* ---- runs ---- */

static void take_start(struct node *node, const struct command *command, uint64_t index)
{
    struct ledger *self = node->world->ledger;
    struct entry *entry = entry_of(self, command->run_start.schedule);
    struct run_key key = {.number = index};
    (void)snprintf(key.schedule, sizeof key.schedule, "%s", command->run_start.schedule);
    struct record *record = add(self, &key, &entry->plan);
    record->attempt = 1;
    record->attempt_ms = node->world->now_us / 1000;
}

static uint64_t bit_of(uint32_t attempt)
{
    return attempt < ATTEMPTS_TOLD ? (uint64_t)1 << attempt : 0;
}

/* What the run ended as agrees with what its attempts did. */
static void check_outcome(struct node *node, const struct record *record)
{
    char id[RUN_ID_SIZE];
    run_id(&record->key, id);
    bool never = record->outcome == RUN_SKIPPED || record->outcome == RUN_MISSED;
    if (never && record->begun != 0) {
        check_failed(node->world, "I8", "%s is %s, but it was begun", id,
                     run_outcome_name(record->outcome));
    }
    if (record->outcome != RUN_RAN) {
        return;
    }
    uint64_t last = bit_of(record->attempt);
    if ((record->well & last) == 0 || (!record->twice && record->well != last)) {
        check_failed(node->world, "I8", "%s ran with attempt %u, well were %" PRIx64, id,
                     (unsigned)record->attempt, record->well);
    }
}

static void take_end(struct node *node, const struct command *command)
{
    const struct command_run_end *end = &command->run_end;
    struct record *record = find(node->world->ledger, &end->run);
    if (record == NULL || record->outcome != RUN_UNDER_WAY || record->attempt != end->attempt) {
        check_failed(node->world, "I8", "attempt %u of a run of %s ends that is not under way",
                     (unsigned)end->attempt, end->run.schedule);
    }
    struct entry *entry = entry_of(node->world->ledger, end->run.schedule);
    record->attempt_ms = node->world->now_us / 1000;
    if (end->again_wall_ms != 0) {
        record->attempt++;
        record->twice =
            record->twice || end->outcome == RUN_UNKNOWN || end->reason == RUN_TOO_SHORT;
        node->world->verdict->stats.retries++;
        return;
    }
    record->outcome = end->outcome;
    if (record->key.number == 0) {
        invariant(entry->under_way > 0);
        entry->under_way--;
    }
    node->world->verdict->stats.unknown_runs += end->outcome == RUN_UNKNOWN ? 1 : 0;
    check_outcome(node, record);
}

void ledger_applied(struct node *node, const struct command *command,
                    const struct state_effect *effect)
{
    if (effect->outcome != STATE_APPLIED) {
        return;
    }
    switch (command->type) {
    case COMMAND_SCHEDULE_PUT:
        take_put(node, command, effect->index);
        break;
    case COMMAND_SCHEDULE_REMOVE:
        entry_of(node->world->ledger, command->schedule_id.id)->present = false;
        break;
    case COMMAND_SLOTS_DECIDE:
        take_slots(node, command);
        break;
    case COMMAND_RUN_START:
        take_start(node, command, effect->index);
        break;
    case COMMAND_RUN_END:
        take_end(node, command);
        break;
    default:
        break;
    }
}

static struct record *find_attempt(struct node *node, const char *duty, uint32_t *ret_attempt)
{
    struct run_key key;
    bool named = run_parse(duty, &key, ret_attempt);
    invariant(named);
    return find(node->world->ledger, &key);
}

void ledger_effect(struct node *node, const char *duty)
{
    uint32_t attempt = 0;
    struct record *record = find_attempt(node, duty, &attempt);
    if (record == NULL || record->outcome != RUN_UNDER_WAY || record->attempt != attempt) {
        check_failed(node->world, "I8", "n%d begins %s, which is not under way", node->index, duty);
    }
    if ((record->begun & bit_of(attempt)) != 0) {
        check_failed(node->world, "I8", "n%d begins %s, which was begun before", node->index, duty);
    }
    record->begun |= bit_of(attempt);
    node->world->verdict->stats.effects++;
}

void ledger_well(struct node *node, const char *duty)
{
    uint32_t attempt = 0;
    struct record *record = find_attempt(node, duty, &attempt);
    invariant(record != NULL);
    record->well |= bit_of(attempt);
}

/* ---- after every event ---- */

static bool same_run(const char *a, const char *b)
{
    size_t length = strcspn(a, "#");
    return length == strcspn(b, "#") && strncmp(a, b, length) == 0;
}

static void check_pair(struct world *world, const struct node *a, const struct node *b)
{
    for (size_t i = 0; b->attempt_count > 0 && i < SIM_ATTEMPTS_MAX; i++) {
        if (!running_runs(a, &a->attempts[i])) {
            continue;
        }
        for (size_t k = a == b ? i + 1 : 0; k < SIM_ATTEMPTS_MAX; k++) {
            if (running_runs(b, &b->attempts[k]) &&
                same_run(a->attempts[i].duty, b->attempts[k].duty)) {
                check_failed(world, "I8", "%s runs on n%d and %s on n%d", a->attempts[i].duty,
                             a->index, b->attempts[k].duty, b->index);
            }
        }
    }
}

void ledger_step(struct world *world)
{
    for (int i = 0; i < world->node_count; i++) {
        const struct node *node = &world->nodes[i];
        for (int k = i; k < world->node_count && node->attempt_count > 0; k++) {
            check_pair(world, node, &world->nodes[k]);
        }
    }
}

/* ---- after the faults ---- */

/* The rows of the state are those of the ledger. */
static void check_rows(struct world *world, const struct state *state)
{
    const struct ledger *self = world->ledger;
    for (size_t i = 0; i < self->count; i++) {
        const struct record *record = &self->records[i];
        const struct state_run *run = state_run_by_key(state, &record->key);
        if (run == NULL || run->outcome != record->outcome || run->last_s != record->last_s ||
            run->count != record->count || run->attempt != record->attempt) {
            char id[RUN_ID_SIZE];
            run_id(&record->key, id);
            check_failed(world, "I7", "%s is %s in the state, it was %s", id,
                         run == NULL ? "not" : run_outcome_name(run->outcome),
                         run_outcome_name(record->outcome));
        }
    }
    size_t rows = state_run_count(state) + state_ended_count(state);
    if (rows != self->count) {
        check_failed(world, "I7", "there are %zu rows in the state, %zu were decided", rows,
                     self->count);
    }
}

/* Slots that run_all keeps go one after the other. */
static int64_t lag_ms(const struct plan *plan, int64_t rate)
{
    bool in_turn =
        plan->is.misfire == SCHEDULE_MISFIRE_RUN_ALL && plan->is.overlap != SCHEDULE_OVERLAP_ALLOW;
    int64_t runs = in_turn ? (int64_t)plan->is.misfire_cap + 1 : 0;
    int64_t retries = plan->is.retries + 1;
    return LAG_MS + runs * retries * (LAG_OF_RUN_MS + plan->is.backoff_max_s * 1250 / rate);
}

static void check_decided(struct world *world, const struct state *state)
{
    int64_t rate = world->options.wall_rate;
    for (int i = 0; i < SIM_SCHEDULES_MAX; i++) {
        char id[SCHEDULE_ID_SIZE];
        timetable_name(i, id);
        const struct state_schedule *row = state_schedule_by_id(state, id);
        const struct wish *wish = &world->wishes[i];
        bool as_wanted = row == NULL ? !wish->present
                                     : wish->present && (uint32_t)row->is.digest == wish->edition;
        if (i < world->options.schedules && !as_wanted) {
            check_failed(world, "L4", "%s is not defined as it shall be", id);
        }
        struct plan plan;
        if (row == NULL || !timetable_plan_of(world->timetable, &row->is, &plan)) {
            continue;
        }
        int64_t until_s = (world_wall_ms(world) - lag_ms(&plan, rate) * rate) / 1000;
        int64_t slot_s = timetable_next(world->timetable, &plan, row->decided_s, until_s);
        if (slot_s != INT64_MAX) {
            check_failed(world, "L4",
                         "%s (%s) is decided to %" PRId64 ", slot %" PRId64 " came %" PRId64
                         " ms ago",
                         id, plan.is.expression, row->decided_s, slot_s,
                         (world_wall_ms(world) - slot_s * 1000) / rate);
        }
    }
}

/* From the decision or the last retry. */
static int64_t age_allowed_ms(const struct plan *plan, int64_t rate)
{
    int64_t backoff_ms = plan->is.backoff_max_s * 1250 / rate;
    return LAG_MS + LAG_OF_RUN_MS + backoff_ms + limit_s(plan) * 1000 / rate;
}

static bool attempt_is_held(const struct state *state, const struct record *record)
{
    char id[DUTY_ID_SIZE];
    run_duty_id(&record->key, record->attempt, id);
    const struct state_duty *row = state_duty_by_id(state, id);
    return row != NULL && state_duty_held(row);
}

void ledger_check_end(struct world *world, struct node *leader)
{
    const struct ledger *self = world->ledger;
    const struct state *state = machine_state(leader->machine);
    bool nowhere = world->options.manage != 0 && placing_impossible(leader);
    check_rows(world, state);
    check_decided(world, state);
    for (size_t i = 0; i < self->count; i++) {
        const struct record *record = &self->records[i];
        int64_t age_ms = world->now_us / 1000 - record->attempt_ms;
        bool waits_for_a_node = nowhere && !attempt_is_held(state, record);
        if (record->outcome == RUN_UNDER_WAY && !waits_for_a_node &&
            age_ms > age_allowed_ms(&record->plan, world->options.wall_rate)) {
            char id[RUN_ID_SIZE];
            run_id(&record->key, id);
            check_failed(world, "L4", "attempt %u of %s is under way since %" PRId64 " ms",
                         (unsigned)record->attempt, id, age_ms);
        }
    }
}
