#include "tests/sim/node.h"

#include "node/base/invariant.h"
#include "tests/sim/calls.h"
#include "tests/sim/check.h"
#include "tests/sim/machine.h"
#include "tests/sim/peers.h"
#include "tests/sim/shell.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

static void transport_send(void *context, uint64_t to, const uint8_t *bytes, size_t length,
                           bool bulk)
{
    struct node *node = context;
    (void)bulk;
    network_send(node->world, node->id, to, MESSAGE_RAFT, bytes, length);
}

static size_t founders(struct world *world, struct consensus_server *ret)
{
    int64_t count = world->options.voters == 0 ? world->node_count : world->options.voters;
    for (int64_t i = 0; i < count; i++) {
        ret[i] = (struct consensus_server){.id = (uint64_t)i + 1, .role = CONSENSUS_VOTER};
    }
    return (size_t)count;
}

static struct consensus_config engine_config(struct node *node,
                                             const struct consensus_server *servers, size_t count)
{
    const struct options *options = &node->world->options;
    bool founder = node->id <= count;
    return (struct consensus_config){
        .id = node->id,
        .rng_seed = rng_next(&node->world->rng),
        .heartbeat_ms = options->heartbeat,
        .election_timeout_ms = options->election,
        .lease_ttl_ms = options->lease,
        .snapshot_threshold = (uint32_t)options->snapshot,
        .snapshot_trailing = (uint32_t)options->trailing,
        .founders = founder ? servers : NULL,
        .founder_count = founder ? count : 0,
        .storage = storage_interface(node->storage),
        .transport = {.context = node, .send = transport_send},
        .machine = machine_interface(node->machine),
        .off = options->off,
    };
}

static void come_alive(struct node *node)
{
    node->alive = true;
    node->host_down = false;
    node->life++;
    node->incarnation = storage_start(node->storage, node->id);
    node->frozen_until_us = 0;
    node->host_frozen = false;
    node->may_act_until_ms = 0;
    node->end_unconfirmed = false;
    node->change_pending = false;
    node->timer_at_us = 0;
    memset(&node->view, 0, sizeof node->view);
    node->parent = (struct parent){.incarnation = node->incarnation};
    node->machine = machine_create(node);
    peers_start(node);
}

bool node_created(struct node *node, int code, const char *text)
{
    if (node->engine == NULL) {
        shell_engine_refused(node, code, text);
        return false;
    }
    bool goes_on = shell_after(node);
    if (goes_on) {
        links_process_started(node);
    }
    return goes_on;
}

void node_start(struct node *node)
{
    if (node->stays_down) {
        return;
    }
    if (disk_failure(node, true) != DISK_WELL) {
        shell_disk_refused(node); /* without a durable incarnation it does not begin */
        return;
    }
    come_alive(node);
    if (node->world->options.off.completions_at_once || node->world->options.unsynced != 0) {
        storage_be_late(node->storage);
    }
    TRACE(node->world,
          "n%d starts as %" PRIu64 ", incarnation %" PRIu64 ", term %" PRIu64
          ", last entry %" PRIu64,
          node->index, node->id, node->incarnation, storage_term(node->storage),
          storage_last_index(node->storage));
    struct consensus_server servers[SIM_NODES_MAX];
    size_t count = founders(node->world, servers);
    struct consensus_config config = engine_config(node, servers, count);
    struct call call = {.what = CALL_CREATE, .config = &config};
    (void)calls_perform(node, &call);
}

static void forget_inbox(struct node *node)
{
    while (node->inbox != NULL) {
        struct message *message = node->inbox;
        node->inbox = message->next;
        free(message);
    }
    node->inbox_end = &node->inbox;
}

/* The process and all that lives in it. */
static void drop_process(struct node *node)
{
    calls_drop(node);
    if (node->engine != NULL) {
        shell_count(node);
        consensus_destroy(&node->engine);
    }
    peers_end(node);
    machine_destroy(&node->machine);
    forget_inbox(node);
    storage_process_ended(node->storage);
    node->alive = false;
    node->life++;
    node->frozen_until_us = 0;
    memset(&node->view, 0, sizeof node->view);
}

void node_crash(struct node *node, bool host)
{
    if (!node->alive) {
        return;
    }
    TRACE(node->world, "n%d %s crashes in term %" PRIu64, node->index, host ? "host" : "process",
          storage_term(node->storage));
    storage_arm(node->storage, STORAGE_NO_FAULT, 0);
    if (!host) {
        shell_host_wakes(node); /* nobody can be killed on a frozen host */
    }
    node->host_frozen = false;
    drop_process(node);
    links_process_ended(node, host);
    if (host) {
        shell_host_ended(node);
    } else {
        shell_process_ended(node);
    }
}

void node_freeze(struct node *node, int64_t ms, bool host)
{
    if (!node_runs(node)) {
        return;
    }
    TRACE(node->world, "n%d %s freezes for %" PRId64 " ms", node->index, host ? "host" : "process",
          ms);
    node->frozen_until_us = node->world->now_us + ms * 1000;
    node->host_frozen = host;
    world_schedule(node->world, node->frozen_until_us, EVENT_THAW, node->index,
                   node->frozen_until_us);
}

void node_end(struct node *node)
{
    if (node->alive) {
        drop_process(node);
    }
}

void node_renew_identity(struct node *node)
{
    struct world *world = node->world;
    invariant(!node->alive && world->next_id < SIM_IDS_MAX);
    world->node_of_id[node->id] = SIM_NONE;
    node->id = world->next_id++;
    world->node_of_id[node->id] = node->index;
    storage_destroy(&node->storage);
    node->storage = storage_create(node);
    invariant(node->storage != NULL);
}

/* ---- events ---- */

bool node_runs(const struct node *node)
{
    return node->alive && node->frozen_until_us == 0 && !calls_starting(node);
}

bool node_leads(const struct node *node)
{
    return node_runs(node) && node->view.state == CONSENSUS_LEADER;
}

bool node_may_act(const struct node *node)
{
    return node_now_ms(node) < node->may_act_until_ms;
}

bool node_acts(const struct node *node)
{
    return node->managers.deadline_ms != 0 && node_now_ms(node) < node->managers.deadline_ms;
}

static bool tick(struct node *node)
{
    struct call call = {.what = CALL_TICK};
    return calls_perform(node, &call);
}

/* With the rule completions_at_once off, writes become durable now and then, and only then their
 * completions may come. False when the node died of it. */
static bool complete_late(struct node *node)
{
    struct world *world = node->world;
    if (world->now_us < node->completions_at_us) {
        return true;
    }
    node->completions_at_us = world->now_us + world_between(world, 0, 400000);
    storage_flush(node->storage);
    struct call call = {.what = CALL_COMPLETIONS};
    return calls_perform(node, &call);
}

void node_timer(struct node *node)
{
    node->timer_at_us = 0;
    if (!node_runs(node)) {
        return; /* the thaw lets it tick */
    }
    if (calls_busy(node)) {
        (void)shell_after(node);
        return;
    }
    if (!node->world->options.off.completions_at_once || complete_late(node)) {
        (void)tick(node);
    }
}

/* Takes the message. */
static void handle_message(struct node *node, struct message *message)
{
    if (message->kind == MESSAGE_RAFT) {
        rumour_contact(node, message->from);
    }
    if (message->kind == MESSAGE_RAFT && calls_busy(node)) {
        calls_queue(node, message);
        return;
    }
    if (message->kind == MESSAGE_RAFT) {
        struct call call = {.what = CALL_RECEIVE, .message = message};
        (void)calls_perform(node, &call);
    } else {
        peers_receive(node, message);
        if (node_runs(node)) {
            (void)shell_after(node);
        }
    }
    free(message);
}

void node_take_message(struct node *node, struct message *message)
{
    if (calls_starting(node)) {
        free(message); /* nobody listens yet */
        return;
    }
    if (!node_runs(node)) {
        message->next = NULL;
        *node->inbox_end = message;
        node->inbox_end = &message->next;
        return;
    }
    handle_message(node, message);
}

static void handle_inbox(struct node *node)
{
    while (node_runs(node) && node->inbox != NULL) {
        struct message *message = node->inbox;
        node->inbox = message->next;
        if (node->inbox == NULL) {
            node->inbox_end = &node->inbox;
        }
        handle_message(node, message);
    }
}

void node_thaw(struct node *node)
{
    uint64_t life = node->life;
    TRACE(node->world, "n%d thaws", node->index);
    node->frozen_until_us = 0;
    shell_host_wakes(node);
    node->host_frozen = false;
    calls_thaw(node);
    if (node->life != life) {
        return;
    }
    if (node->end_unconfirmed && world_percent(node->world, 50)) {
        shell_confirm_end(node);
    }
    if (node_runs(node) && world_percent(node->world, 50)) {
        (void)tick(node);
    }
    handle_inbox(node);
    if (node_runs(node)) {
        (void)tick(node);
    }
}

void node_link(struct node *node, int other, bool up)
{
    node->linked[other] = up;
    if (node_runs(node)) {
        peers_link(node, other, up);
        (void)shell_after(node);
    }
}

void node_probed(struct node *node, int other, bool refused)
{
    if (node_runs(node)) {
        peers_probed(node, other, refused);
        (void)shell_after(node);
    }
}

/* ---- requests ---- */

int node_propose(struct node *node, const uint8_t *bytes, size_t length, uint64_t token)
{
    struct call call = {.what = CALL_PROPOSE, .bytes = bytes, .length = length, .token = token};
    node->world->verdict->stats.commands++;
    bool done = calls_perform(node, &call);
    return done || call.code != 0 ? call.code : ERR_CLOSED;
}

int node_change(struct node *node, enum consensus_change what, uint64_t id,
                enum consensus_role role)
{
    struct call call = {
        .what = CALL_CHANGE, .change = what, .id = id, .role = role, .token = ++node->token};
    bool done = calls_perform(node, &call);
    return done || call.code != 0 ? call.code : ERR_CLOSED;
}

int node_hand_over(struct node *node, uint64_t target, enum consensus_cause cause)
{
    struct call call = {.what = CALL_HAND_OVER, .id = target, .cause = cause};
    TRACE(node->world, "n%d is told to hand over in term %" PRIu64, node->index, node->view.term);
    bool done = calls_perform(node, &call);
    return done || call.code != 0 ? call.code : ERR_CLOSED;
}

int node_stand(struct node *node, uint64_t leader, uint64_t term, bool proof)
{
    struct call call = {.what = CALL_STAND, .id = leader, .term = term, .proof = proof};
    TRACE(node->world, "n%d stands against %" PRIu64 " of term %" PRIu64 "%s", node->index, leader,
          term, proof ? " with proof" : "");
    node->world->verdict->stats.stands++;
    bool done = calls_perform(node, &call);
    return done || call.code != 0 ? call.code : ERR_CLOSED;
}

void node_proof(struct node *node, uint64_t leader, uint64_t term)
{
    struct call call = {.what = CALL_PROOF, .id = leader, .term = term};
    (void)calls_perform(node, &call);
}

void node_confirm_end(struct node *node)
{
    struct call call = {.what = CALL_MANAGERS_ENDED};
    (void)calls_perform(node, &call);
}

void node_set_election_timeout(struct node *node, int64_t ms)
{
    struct call call = {.what = CALL_ELECTION_TIMEOUT, .ms = ms};
    (void)calls_perform(node, &call);
}
