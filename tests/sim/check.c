#include "tests/sim/check.h"

#include "node/base/invariant.h"
#include "tests/sim/ledger.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/outside.h"
#include "tests/sim/peers.h"
#include "tests/sim/placing.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TERMS_MAX 20000
#define REST_MOVES_MAX 2 /* hand-overs after the time in which all must have recovered */
#define CONFIGURATIONS_MAX 256

struct committed {
    uint64_t index;
    uint64_t term;
    uint64_t hash;
    uint64_t known_term; /* in which it was known to be committed */
    uint64_t state_hash; /* 0: no snapshot was taken here */
};

/* A committed configuration, as it stands in snapshots. */
struct configuration {
    uint64_t index;
    uint64_t hash;
};

struct check {
    struct configuration configurations[CONFIGURATIONS_MAX];
    uint64_t leader_of[TERMS_MAX];
    struct committed *commands; /* the one sequence */
    size_t count;
    size_t capacity;
    int64_t recovered_us; /* L1 holds since; 0: not yet */
    uint64_t rest_term;   /* the term when recovery is due: it stays */
    uint64_t rest_moves;  /* hand-overs with a cause since then */
};

struct check *check_create(void)
{
    struct check *self = calloc(1, sizeof *self);
    invariant(self != NULL);
    return self;
}

void check_destroy(struct check **self_p)
{
    if (*self_p != NULL) {
        free((*self_p)->commands);
        free(*self_p);
        *self_p = NULL;
    }
}

void check_failed(struct world *world, const char *check, const char *format, ...)
{
    struct verdict *verdict = world->verdict;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(verdict->text, sizeof verdict->text, format, arguments);
    va_end(arguments);
    (void)snprintf(verdict->check, sizeof verdict->check, "%s", check);
    verdict->at_ms = world->now_us / 1000;
    verdict->kind = VERDICT_VIOLATION;
    TRACE(world, "%s violated: %s", verdict->check, verdict->text);
    (void)fflush(stdout);
    _exit(1);
}

/* ---- who acts, who runs ---- */

static void check_acting(struct world *world)
{
    const struct node *other = NULL;
    for (int i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        if (!node_acts(node)) {
            continue;
        }
        if (other != NULL) {
            check_failed(world, "I3",
                         "n%d (term %" PRIu64 ", %" PRId64 " ms left) and n%d (term %" PRIu64
                         ", %" PRId64 " ms left) both act",
                         other->index, other->managers.term,
                         other->managers.deadline_ms - node_now_ms(other), i, node->managers.term,
                         node->managers.deadline_ms - node_now_ms(node));
        }
        other = node;
    }
}

static void check_duties(struct world *world)
{
    for (int duty = 0; duty < (int)world->options.duties; duty++) {
        const struct node *other = NULL;
        for (int i = 0; i < world->node_count; i++) {
            struct node *node = &world->nodes[i];
            if (!peers_runs(node, duty)) {
                continue;
            }
            if (other != NULL) {
                check_failed(
                    world, "I4",
                    "duty %d runs on n%d (%" PRId64 " ms left) and n%d (%" PRId64 " ms left)", duty,
                    other->index, peers_left_ms(other, duty), i, peers_left_ms(node, duty));
            }
            other = node;
        }
    }
}

static const struct node *runner_of(struct world *world, int duty)
{
    for (int i = 0; i < world->node_count; i++) {
        if (peers_runs(&world->nodes[i], duty)) {
            return &world->nodes[i];
        }
    }
    return NULL;
}

static void check_groups(struct world *world)
{
    for (int duty = 0; duty + 1 < (int)world->options.duties; duty += 2) {
        const struct node *first = runner_of(world, duty);
        const struct node *second = first == NULL ? NULL : runner_of(world, duty + 1);
        if (second != NULL) {
            check_failed(world, "I4",
                         "duty %d runs on n%d (%" PRId64 " ms left) beside duty %d on n%d (%" PRId64
                         " ms left)",
                         duty, first->index, peers_left_ms(first, duty), duty + 1, second->index,
                         peers_left_ms(second, duty + 1));
        }
    }
}

static uint64_t newest_term(const struct world *world)
{
    uint64_t term = 0;
    for (int i = 0; i < world->node_count; i++) {
        const struct consensus_view *view = &world->nodes[i].view;
        term = world->nodes[i].alive && view->term > term ? view->term : term;
    }
    return term;
}

static void watch_recovery(struct world *world)
{
    struct check *self = world->check;
    if (world->faults) {
        return;
    }
    int64_t healed_ms = world->options.duration - world->options.calm;
    if (self->rest_term == 0 && world->now_us >= (healed_ms + world->options.recovery) * 1000) {
        self->rest_term = newest_term(world);
    }
    if (self->recovered_us != 0) {
        return;
    }
    char why[200];
    if (check_recovered(world, why, sizeof why)) {
        self->recovered_us = world->now_us;
    }
}

void check_step(struct world *world)
{
    check_acting(world);
    check_duties(world);
    if (world->options.groups != 0) {
        check_groups(world);
    }
    if (world->timetable != NULL) {
        ledger_step(world);
    }
    watch_recovery(world);
}

void check_time_passes(struct world *world, int64_t until_us)
{
    int64_t passed = until_us - world->now_us;
    for (int i = 0; i < world->node_count && passed > 0; i++) {
        if (node_acts(&world->nodes[i])) {
            world->verdict->stats.acting_us += (uint64_t)passed;
        }
        for (int duty = 0; duty < (int)world->options.duties; duty++) {
            if (peers_runs(&world->nodes[i], duty)) {
                world->verdict->stats.duty_us += (uint64_t)passed;
            }
        }
    }
}

/* ---- consensus ---- */

void check_leader(struct node *node, uint64_t term)
{
    struct check *self = node->world->check;
    if (term == 0 || term >= TERMS_MAX) {
        check_failed(node->world, "OK", "n%d leads in term %" PRIu64, node->index, term);
    }
    uint64_t *leader = &self->leader_of[term];
    if (*leader == 0) {
        *leader = node->id;
    }
    if (*leader != node->id) {
        check_failed(node->world, "I1", "%" PRIu64 " and %" PRIu64 " lead in term %" PRIu64,
                     *leader, node->id, term);
    }
}

void check_ready(struct node *node, uint64_t term, size_t applied)
{
    const struct check *self = node->world->check;
    if (node->world->options.off.own_term_barrier) {
        return; /* "ready" says less then; what follows from it must show the loss */
    }
    for (size_t i = applied; i < self->count; i++) {
        if (self->commands[i].term < term) {
            check_failed(node->world, "I2",
                         "n%d is ready in term %" PRIu64 " without entry %" PRIu64
                         " of term %" PRIu64,
                         node->index, term, self->commands[i].index, self->commands[i].term);
        }
    }
}

void check_applied(struct node *node, size_t position, uint64_t index, uint64_t term, uint64_t hash)
{
    struct check *self = node->world->check;
    if (position < self->count) {
        const struct committed *known = &self->commands[position];
        if (known->index != index || known->term != term || known->hash != hash) {
            check_failed(node->world, "I2",
                         "n%d applies entry %" PRIu64 " of term %" PRIu64
                         " as command %zu, another applied entry %" PRIu64 " of term %" PRIu64,
                         node->index, index, term, position, known->index, known->term);
        }
        return;
    }
    invariant(position == self->count);
    if (self->count == self->capacity) {
        self->capacity = self->capacity == 0 ? 1024 : self->capacity * 2;
        self->commands = realloc(self->commands, self->capacity * sizeof *self->commands);
        invariant(self->commands != NULL);
    }
    self->commands[self->count++] = (struct committed){
        .index = index, .term = term, .hash = hash, .known_term = storage_term(node->storage)};
}

void check_restored(struct node *node, size_t position, uint64_t index)
{
    const struct check *self = node->world->check;
    bool known = position <= self->count;
    bool all = known && (position == self->count || self->commands[position].index > index);
    bool none_above = known && (position == 0 || self->commands[position - 1].index <= index);
    if (!known || !all || !none_above) {
        check_failed(node->world, "I2",
                     "n%d restores %zu commands at index %" PRIu64 ", %zu are committed",
                     node->index, position, index, self->count);
    }
}

void check_state(struct node *node, size_t position, uint64_t hash)
{
    struct check *self = node->world->check;
    if (position == 0 || position > self->count) {
        return;
    }
    uint64_t *known = &self->commands[position - 1].state_hash;
    if (*known == 0) {
        *known = hash;
    }
    if (*known != hash) {
        check_failed(node->world, "I2", "n%d has another state after %zu commands", node->index,
                     position);
    }
}

size_t check_committed(const struct world *world)
{
    return world->check->count;
}

void check_view(struct node *node, uint64_t commit_index, uint64_t applied_index)
{
    const struct consensus_view *view = &node->view;
    if (view->commit_index < commit_index || view->applied_index < applied_index ||
        view->applied_index > view->commit_index) {
        check_failed(
            node->world, "I2",
            "n%d was at commit %" PRIu64 ", applied %" PRIu64 " and is at %" PRIu64 ", %" PRIu64,
            node->index, commit_index, applied_index, view->commit_index, view->applied_index);
    }
}

void check_digests(struct world *world)
{
    for (int i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        if (node_runs(node)) {
            check_state(node, machine_position(node->machine), machine_digest(node->machine));
        }
    }
}

void check_granted(struct node *node, uint64_t assignment, const struct state *state,
                   const char *duty)
{
    const struct state_duty *row = state_duty_by_id(state, duty);
    bool known = row != NULL && row->assignment.number == assignment;
    if (known && row->assignment.incarnation != node->incarnation &&
        !node->world->options.grants_off.incarnation) {
        check_failed(node->world, "I6",
                     "n%d/%" PRIu64 " runs %s by a grant for incarnation %" PRIu64, node->index,
                     node->incarnation, duty, row->assignment.incarnation);
    }
}

/* By what the nodes really are, not by what they know of each other. */
static bool has_cause(struct node *node, uint64_t target, enum consensus_cause cause)
{
    const struct node *other = world_node_of_id(node->world, target);
    if (cause != CONSENSUS_CAUSE_HEALTH) {
        return true; /* drain: the roster says so, and all have the same */
    }
    if (other == NULL || !other->alive) {
        return false;
    }
    const struct wellness *mine = &node->health;
    const struct wellness *its = &other->health;
    bool better =
        mine->score_tenths != GOSSIP_UNKNOWN && its->score_tenths != GOSSIP_UNKNOWN &&
        its->score_tenths >= mine->score_tenths + (int)(policy_config_default.margin * 10);
    return (its->able && !mine->able) ||
           (better && mine->score_tenths < (int)(policy_config_default.handover_below * 10));
}

void check_handed_over(struct node *node, uint64_t target, enum consensus_cause cause)
{
    struct check *self = node->world->check;
    if (self->rest_term == 0) {
        return;
    }
    self->rest_moves++;
    if (!has_cause(node, target, cause)) {
        check_failed(node->world, "L3", "n%d hands over to %" PRIu64 " (%s) without a cause",
                     node->index, target, consensus_cause_name(cause));
    }
    if (self->rest_moves > REST_MOVES_MAX) {
        check_failed(node->world, "L3", "n%d hands over once more, though all has been quiet",
                     node->index);
    }
}

/* ---- storage ---- */

void check_term_written(struct node *node, uint64_t old, uint64_t term)
{
    if (term < old) {
        check_failed(node->world, "I6", "n%d goes back from term %" PRIu64 " to %" PRIu64,
                     node->index, old, term);
    }
}

void check_vote_written(struct node *node, uint64_t term, uint64_t old, uint64_t vote)
{
    bool guarded = !node->world->options.off.vote_guard; /* else two leaders must show it */
    if (guarded && old != 0 && old != vote) {
        check_failed(node->world, "I6",
                     "n%d votes for %" PRIu64 " and %" PRIu64 " in term %" PRIu64, node->index, old,
                     vote, term);
    }
}

void check_append(struct node *node, uint64_t expected, uint64_t index)
{
    if (index != expected) {
        check_failed(node->world, "OK", "n%d appends at %" PRIu64 " instead of %" PRIu64,
                     node->index, index, expected);
    }
}

static uint64_t hash_roles(const struct consensus_snapshot_meta *meta)
{
    uint64_t hash = meta->server_count + 1;
    for (size_t i = 0; i < meta->server_count; i++) {
        hash = hash * 0x100000001b3ULL + meta->servers[i].id * 4 + (uint64_t)meta->servers[i].role;
    }
    return hash;
}

void check_snapshot(struct node *node, const struct consensus_snapshot_meta *meta)
{
    TRACE(node->world, "n%d stores a snapshot at %" PRIu64 ", configuration of entry %" PRIu64,
          node->index, meta->index, meta->configuration_index);
    struct configuration *known =
        &node->world->check->configurations[meta->configuration_index % CONFIGURATIONS_MAX];
    uint64_t hash = hash_roles(meta);
    bool other =
        known->index == meta->configuration_index && known->hash != 0 && known->hash != hash;
    if (meta->configuration_index > meta->index || other) {
        check_failed(node->world, "I6",
                     "n%d takes a snapshot at %" PRIu64 " with a configuration that is not "
                     "committed as that of entry %" PRIu64,
                     node->index, meta->index, meta->configuration_index);
    }
    *known = (struct configuration){.index = meta->configuration_index, .hash = hash};
}

void check_truncated(struct node *node, uint64_t index, uint64_t term)
{
    const struct check *self = node->world->check;
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (self->commands[middle].index < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    /* Who has not heard of the term in which it was committed took no part in that, and may follow
     * an older leader for a moment longer: its vote is of no use to anybody without the entry. */
    if (low < self->count && self->commands[low].index == index &&
        self->commands[low].term == term &&
        storage_term(node->storage) >= self->commands[low].known_term) {
        check_failed(node->world, "I2",
                     "n%d drops entry %" PRIu64 " of term %" PRIu64 ", which is committed",
                     node->index, index, term);
    }
}

/* ---- after the faults ---- */

/* The only acting node, or NULL with the reason. */
static struct node *acting_leader(struct world *world, char *ret_why, size_t size)
{
    struct node *leader = NULL;
    for (int i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        if (node->alive && node->view.acting && node_acts(node)) {
            leader = node;
        }
    }
    if (leader == NULL) {
        (void)snprintf(ret_why, size, "nobody acts");
    }
    return leader;
}

/* Spares get nothing from a leader, so they need not know it. */
static bool is_served(const struct node *leader, uint64_t id)
{
    for (size_t i = 0; i < leader->view.server_count; i++) {
        if (leader->view.servers[i].id == id) {
            return leader->view.servers[i].role != CONSENSUS_SPARE;
        }
    }
    return false;
}

bool check_recovered(struct world *world, char *ret_why, size_t size)
{
    struct node *leader = acting_leader(world, ret_why, size);
    if (leader == NULL) {
        return false;
    }
    for (int i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        if (node->stays_down || !is_served(leader, node->id)) {
            continue;
        }
        if (!node->alive || node->view.leader != leader->id ||
            node->view.term != leader->view.term) {
            (void)snprintf(ret_why, size, "n%d%s does not follow n%d in term %" PRIu64, node->index,
                           node->alive ? "" : " (dead)", leader->index, leader->view.term);
            return false;
        }
    }
    return peers_settled(world, leader, ret_why, size);
}

/* What each node holds, for whoever looks for the reason of a failure. */
static void trace_nodes(const struct world *world)
{
    for (int i = 0; i < world->node_count; i++) {
        const struct node *node = &world->nodes[i];
        char voters[100] = "";
        size_t used = 0;
        for (size_t k = 0; k < node->view.server_count && used < sizeof voters - 8; k++) {
            used += (size_t)snprintf(voters + used, sizeof voters - used, " %" PRIu64 ":%d",
                                     node->view.servers[k].id, (int)node->view.servers[k].role);
        }
        TRACE(world,
              "n%d (%" PRIu64 ")%s term %" PRIu64 " vote %" PRIu64 " log to %" PRIu64
              " of term %" PRIu64 " commit %" PRIu64 " roles of %" PRIu64 ":%s",
              i, node->id, node->alive ? "" : " dead", storage_term(node->storage),
              storage_vote(node->storage), storage_last_index(node->storage),
              storage_term_at(node->storage, storage_last_index(node->storage)),
              node->view.commit_index, node->view.configuration_index, voters);
    }
}

/* Schedules, runs and intents, as the leader holds them. */
static void check_work(struct world *world)
{
    char why[200];
    struct node *leader = acting_leader(world, why, sizeof why);
    if (leader != NULL && world->timetable != NULL) {
        ledger_check_end(world, leader);
    }
    if (leader != NULL && world->outside != NULL) {
        outside_check_end(world, leader);
    }
}

#define MOVE_TAKES_MS 3000

static bool is_recovered(struct world *world, void *context)
{
    (void)context;
    char why[200];
    return check_recovered(world, why, sizeof why);
}

void check_end(struct world *world)
{
    struct check *self = world->check;
    char why[200] = "";
    if (placing_moves(world)) { /* in this very moment, for a better place */
        (void)world_run_until(world, world->now_us + INT64_C(1000) * MOVE_TAKES_MS, is_recovered,
                              NULL);
    }
    if (!check_recovered(world, why, sizeof why)) {
        trace_nodes(world);
        check_failed(world, "L1", "%" PRId64 " ms after the last fault %s", world->options.calm,
                     why);
    }
    int64_t healed_us = (world->options.duration - world->options.calm) * 1000;
    int64_t took_ms = (self->recovered_us - healed_us) / 1000;
    if (took_ms > world->options.recovery) {
        check_failed(world, "L1", "recovery took %" PRId64 " ms", took_ms);
    }
    world->verdict->stats.recovered_ms = (uint64_t)took_ms;
    if (newest_term(world) > self->rest_term + self->rest_moves) {
        check_failed(world, "L3", "term %" PRIu64 " has become term %" PRIu64 " without a cause",
                     self->rest_term, newest_term(world));
    }
    (void)peers_wait_for_gossip(world); /* the check says who differs */
    peers_check_gossip(world);
    check_digests(world);
    check_work(world);
}
