#include "consensus/roles.h"

#include <stdio.h>
#include <string.h>

#define VOTERS_KEPT 3 /* nobody is demoted below this */

const struct roles_config roles_config_default = {
    .voters = 5,
    .standbys = STANDBYS_MAX,
    .alive_stable_ms = 2000,
    .dead_stable_ms = 30000,
};

/* A server with its roster row (NULL: the roster does not know it). */
struct seat {
    uint64_t id;
    enum consensus_role role;
    const struct roles_node *node;
    bool leader;
    bool online; /* now */
    bool steady; /* alive for long enough to be promoted */
    bool lost;   /* dead for long enough to be replaced */
};

struct table {
    const struct roles_config *config;
    const struct roles_input *input;
    struct roles_decision *ret;
    size_t count;
    struct seat seats[NODES_MAX];
    size_t voters;
    size_t online_voters;
    size_t standbys;
    size_t desired; /* voters that the roster allows */
};

static bool wants_vote(const struct roles_node *node)
{
    return !node->removed && (node->wanted == NODE_ROLE_AUTO || node->wanted == NODE_ROLE_VOTER ||
                              node->wanted == NODE_ROLE_WITNESS);
}

static size_t node_count(const struct roles_input *input)
{
    return input->node_count < NODES_MAX ? input->node_count : NODES_MAX;
}

static const struct roles_node *find_node(const struct roles_input *input, uint64_t id)
{
    for (size_t i = 0; i < node_count(input); i++) {
        if (input->nodes[i].id == id) {
            return &input->nodes[i];
        }
    }
    return NULL;
}

static const struct seat *find_seat(const struct table *table, uint64_t id)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->seats[i].id == id) {
            return &table->seats[i];
        }
    }
    return NULL;
}

static void fill_seat(const struct table *table, const struct consensus_server *server,
                      struct seat *ret)
{
    const struct roles_node *node = find_node(table->input, server->id);
    *ret = (struct seat){.id = server->id, .role = server->role, .node = node};
    ret->leader = server->id == table->input->leader;
    ret->online = ret->leader || (node != NULL && node->alive);
    ret->steady = ret->leader || (node != NULL && node->alive &&
                                  node->liveness_ms >= table->config->alive_stable_ms);
    ret->lost = !ret->leader && node != NULL && !node->alive &&
                node->liveness_ms >= table->config->dead_stable_ms;
}

/* The largest odd number that nodes and configuration allow: liveness has no part in it, so that a
 * node that comes and goes changes nothing here. */
static size_t desired_voters(const struct table *table)
{
    size_t able = 0;
    for (size_t i = 0; i < node_count(table->input); i++) {
        able += wants_vote(&table->input->nodes[i]) ? 1 : 0;
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct seat *seat = &table->seats[i];
        able += seat->node == NULL && seat->role == CONSENSUS_VOTER ? 1 : 0;
    }
    size_t most = table->config->voters < able ? table->config->voters : able;
    if (most == 0) {
        return 1;
    }
    return most % 2 == 1 ? most : most - 1;
}

static void fill_table(struct table *table)
{
    const struct roles_input *input = table->input;
    for (size_t i = 0; i < input->server_count && i < NODES_MAX; i++) {
        struct seat *seat = &table->seats[table->count++];
        fill_seat(table, &input->servers[i], seat);
        if (seat->role == CONSENSUS_VOTER) {
            table->voters++;
            table->online_voters += seat->online ? 1 : 0;
        }
        table->standbys += seat->role == CONSENSUS_STANDBY ? 1 : 0;
    }
    table->desired = desired_voters(table);
}

/* ---- answers ---- */

static bool change(struct table *table, enum consensus_change what, uint64_t id,
                   enum consensus_role role, const char *text)
{
    table->ret->action = ROLES_CHANGE;
    table->ret->what = what;
    table->ret->id = id;
    table->ret->role = role;
    (void)snprintf(table->ret->text, sizeof(table->ret->text), "%s", text);
    return true;
}

static bool assign(struct table *table, const struct seat *seat, enum consensus_role role,
                   const char *text)
{
    return change(table, CONSENSUS_ASSIGN, seat->id, role, text);
}

/* Somebody else could lead and stay: he is not on his way out himself, or leadership would come
 * back. */
static bool has_successor(const struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct seat *seat = &table->seats[i];
        if (seat->role == CONSENSUS_VOTER && !seat->leader && seat->online && seat->node != NULL &&
            wants_vote(seat->node) && !seat->node->draining &&
            seat->node->wanted != NODE_ROLE_WITNESS) {
            return true;
        }
    }
    return false;
}

/* The leader itself has to go from its seat: somebody else must lead first. */
static bool hand_over(struct table *table, const char *text)
{
    if (!has_successor(table)) {
        (void)snprintf(table->ret->text, sizeof(table->ret->text),
                       "%s, but no other voter could lead and stay", text);
        return false;
    }
    table->ret->action = ROLES_HAND_OVER;
    table->ret->id = table->input->leader;
    (void)snprintf(table->ret->text, sizeof(table->ret->text), "%s", text);
    return true;
}

/* ---- rules about numbers ---- */

static bool is_majority(size_t online, size_t voters)
{
    return online >= voters / 2 + 1;
}

/* Would the voters online without this one be a majority of the configuration without it? */
static bool quorum_without(const struct table *table, const struct seat *seat)
{
    size_t online = table->online_voters - (seat->online ? 1 : 0);
    return table->voters > 1 && is_majority(online, table->voters - 1);
}

static bool may_demote(const struct table *table, const struct seat *seat)
{
    return !seat->leader && table->voters > VOTERS_KEPT && quorum_without(table, seat);
}

static bool may_promote(const struct table *table)
{
    /* With a quorum online, one more voter online is a quorum of the larger configuration too. */
    return table->voters <= table->config->voters;
}

/* ---- choices ---- */

static bool is_candidate(const struct seat *seat)
{
    return seat->role != CONSENSUS_VOTER && seat->node != NULL && wants_vote(seat->node) &&
           seat->steady && !seat->node->draining;
}

/* By score, unknown last; then by id. */
static bool is_healthier(const struct roles_node *a, const struct roles_node *b)
{
    if (a->score_known != b->score_known) {
        return a->score_known;
    }
    if (a->score_known && (a->score > b->score || a->score < b->score)) {
        return a->score > b->score;
    }
    return a->id < b->id;
}

static bool is_better_candidate(const struct seat *a, const struct seat *b)
{
    bool a_asked = a->node->wanted != NODE_ROLE_AUTO;
    bool b_asked = b->node->wanted != NODE_ROLE_AUTO;
    if (a_asked != b_asked) {
        return a_asked;
    }
    if (a->role != b->role) {
        return a->role == CONSENSUS_STANDBY; /* it has the log already */
    }
    return is_healthier(a->node, b->node);
}

static const struct seat *best_candidate(const struct table *table, size_t *ret_count)
{
    const struct seat *found = NULL;
    *ret_count = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct seat *seat = &table->seats[i];
        if (is_candidate(seat)) {
            (*ret_count)++;
            found = found == NULL || is_better_candidate(seat, found) ? seat : found;
        }
    }
    return found;
}

static bool promote(struct table *table, size_t candidates_min, const char *text)
{
    size_t count;
    const struct seat *seat = best_candidate(table, &count);
    if (seat == NULL || count < candidates_min || !may_promote(table)) {
        return false;
    }
    return assign(table, seat, CONSENSUS_VOTER, text);
}

/* ---- one rule after the other; true: decided ---- */

static bool remove_one(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct seat *seat = &table->seats[i];
        if (seat->node == NULL || !seat->node->removed || seat->leader) {
            continue;
        }
        if (seat->role != CONSENSUS_VOTER) {
            return change(table, CONSENSUS_REMOVE, seat->id, seat->role, "removed from the roster");
        }
        if (table->voters <= table->desired &&
            promote(table, 1, "in place of a voter that was removed")) {
            return true;
        }
        if (quorum_without(table, seat)) {
            return change(table, CONSENSUS_REMOVE, seat->id, seat->role, "removed from the roster");
        }
    }
    return false;
}

static bool add_one(struct table *table)
{
    const struct roles_input *input = table->input;
    if (table->count >= NODES_MAX) {
        return false;
    }
    for (size_t i = 0; i < node_count(input); i++) {
        const struct roles_node *node = &input->nodes[i];
        if (!node->removed && node->id != 0 && find_seat(table, node->id) == NULL) {
            return change(table, CONSENSUS_ADD, node->id, CONSENSUS_SPARE, "new in the roster");
        }
    }
    return false;
}

/* A voter that the roster wants in another role. */
static bool heed_wishes(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct seat *seat = &table->seats[i];
        if (seat->role != CONSENSUS_VOTER || seat->node == NULL || seat->node->removed ||
            wants_vote(seat->node) || seat->leader) {
            continue;
        }
        if (table->voters <= table->desired &&
            promote(table, 1, "in place of a voter that is wanted in another role")) {
            return true;
        }
        if (may_demote(table, seat)) {
            bool spare = seat->node->wanted == NODE_ROLE_SPARE;
            return assign(table, seat, spare ? CONSENSUS_SPARE : CONSENSUS_STANDBY,
                          "the roster wants it in this role");
        }
    }
    return false;
}

/* After the others, so that they are out of the way. */
static bool move_leader(struct table *table)
{
    const struct seat *seat = find_seat(table, table->input->leader);
    if (seat->node == NULL || wants_vote(seat->node)) {
        return false;
    }
    return hand_over(table, seat->node->removed ? "the leader was removed from the roster"
                                                : "the roster wants the leader in another role");
}

static bool any_voter_lost(const struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->seats[i].role == CONSENSUS_VOTER && table->seats[i].lost) {
            return true;
        }
    }
    return false;
}

static bool grow(struct table *table)
{
    if (table->voters < table->desired) {
        /* An even number tolerates no more than the odd one below it: go there only in passing. */
        return promote(table, table->voters % 2 == 1 ? 2 : 1, "more voters are wanted");
    }
    return table->voters == table->desired && any_voter_lost(table) &&
           promote(table, 1, "in place of a dead voter");
}

/* Who leaves first: the dead, then the one that is worst off. */
static bool leaves_before(const struct seat *a, const struct seat *b)
{
    if (a->lost != b->lost) {
        return a->lost;
    }
    return is_healthier(b->node, a->node);
}

static bool may_leave(const struct table *table, const struct seat *seat, bool all_steady)
{
    if (seat->role != CONSENSUS_VOTER || seat->node == NULL || !may_demote(table, seat)) {
        return false;
    }
    return seat->lost || (all_steady && seat->node->wanted == NODE_ROLE_AUTO);
}

static bool shrink(struct table *table)
{
    if (table->voters <= table->desired) {
        return false;
    }
    bool all_steady = true;
    for (size_t i = 0; i < table->count; i++) {
        all_steady =
            all_steady && (table->seats[i].role != CONSENSUS_VOTER || table->seats[i].steady);
    }
    const struct seat *found = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct seat *seat = &table->seats[i];
        if (may_leave(table, seat, all_steady) && (found == NULL || leaves_before(seat, found))) {
            found = seat;
        }
    }
    if (found == NULL) {
        return false;
    }
    if (found->lost) {
        return assign(table, found, CONSENSUS_SPARE, "dead, and replaced");
    }
    return assign(table, found, CONSENSUS_STANDBY, "one voter more than wanted");
}

static const struct seat *best_spare(const struct table *table)
{
    const struct seat *found = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct seat *seat = &table->seats[i];
        if (seat->role == CONSENSUS_SPARE && seat->node != NULL && !seat->node->removed &&
            seat->node->wanted != NODE_ROLE_SPARE && seat->steady && !seat->node->draining &&
            (found == NULL || is_healthier(seat->node, found->node))) {
            found = seat;
        }
    }
    return found;
}

/* The standby to give up: one that shall be a spare, a dead one whose place is needed, or the worst
 * of too many. */
static const struct seat *standby_to_leave(const struct table *table, bool place_needed)
{
    const struct seat *found = NULL;
    bool too_many = table->standbys > table->config->standbys;
    for (size_t i = 0; i < table->count; i++) {
        const struct seat *seat = &table->seats[i];
        if (seat->role != CONSENSUS_STANDBY || seat->node == NULL) {
            continue;
        }
        if (seat->node->wanted == NODE_ROLE_SPARE) {
            return seat;
        }
        if ((too_many || (place_needed && seat->lost)) &&
            (found == NULL || leaves_before(seat, found))) {
            found = seat;
        }
    }
    return found;
}

static bool keep_standbys(struct table *table)
{
    const struct seat *spare = best_spare(table);
    bool full = table->standbys >= table->config->standbys;
    const struct seat *leaving = standby_to_leave(table, full && spare != NULL);
    if (leaving != NULL) {
        return assign(table, leaving, CONSENSUS_SPARE, "its place as a standby is over");
    }
    if (full || spare == NULL) {
        return false;
    }
    return assign(table, spare, CONSENSUS_STANDBY, "a standby is wanted");
}

void roles_decide(const struct roles_config *config, const struct roles_input *input,
                  struct roles_decision *ret)
{
    memset(ret, 0, sizeof(*ret));
    struct table table = {.config = config, .input = input, .ret = ret};
    fill_table(&table);
    if (input->changing || find_seat(&table, input->leader) == NULL ||
        !is_majority(table.online_voters, table.voters)) {
        return; /* without a quorum nothing could be committed */
    }
    (void)(remove_one(&table) || add_one(&table) || heed_wishes(&table) || move_leader(&table) ||
           grow(&table) || shrink(&table) || keep_standbys(&table));
}
