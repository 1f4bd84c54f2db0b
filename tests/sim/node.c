#include "tests/sim/node.h"

#include "node/base/invariant.h"
#include "tests/sim/check.h"
#include "tests/sim/machine.h"
#include "tests/sim/peers.h"
#include "tests/sim/shell.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- calls into the engine; a crash point in the storage leaves them by a jump ---- */

struct call {
    enum {
        CALL_CREATE,
        CALL_TICK,
        CALL_RECEIVE,
        CALL_PROPOSE,
        CALL_CHANGE,
        CALL_HAND_OVER,
        CALL_STAND,
        CALL_PROOF,
        CALL_MANAGERS_ENDED,
        CALL_ELECTION_TIMEOUT,
        CALL_COMPLETIONS,
    } what;
    const struct consensus_config *config;
    const struct message *message;
    const uint8_t *bytes;
    size_t length;
    uint64_t id;
    uint64_t term;
    uint64_t token;
    int64_t ms;
    bool proof;
    enum consensus_change change;
    enum consensus_role role;
    struct err err;
    int code;
};

static void enter(struct node *node, struct call *call)
{
    int64_t now = node_now_ms(node);
    struct consensus *engine = node->engine;
    switch (call->what) {
    case CALL_CREATE:
        call->code = consensus_create(call->config, now, &node->engine, &call->err);
        break;
    case CALL_TICK:
        consensus_tick(engine, now);
        break;
    case CALL_RECEIVE:
        consensus_receive(engine, now, call->message->from, call->message->bytes,
                          call->message->length);
        break;
    case CALL_PROPOSE:
        call->code =
            consensus_propose(engine, now, call->bytes, call->length, call->token, &call->err);
        break;
    case CALL_CHANGE:
        call->code = consensus_change(engine, now, call->change, call->id, call->role, call->token,
                                      &call->err);
        break;
    case CALL_HAND_OVER:
        call->code =
            consensus_hand_over(engine, now, call->id, CONSENSUS_CAUSE_TRANSFER, &call->err);
        break;
    case CALL_STAND:
        call->code =
            consensus_stand(engine, now, call->id, call->term, call->proof, now, &call->err);
        break;
    case CALL_PROOF:
        consensus_proof(engine, now, call->id, call->term);
        break;
    case CALL_MANAGERS_ENDED:
        consensus_managers_ended(engine, now);
        break;
    case CALL_ELECTION_TIMEOUT:
        consensus_set_election_timeout(engine, now, call->ms);
        break;
    case CALL_COMPLETIONS:
        consensus_delayed_completions(engine, now);
        break;
    }
}

/* One event of the engine and what follows from it. False when the node died in it. */
static bool perform(struct node *node, struct call *call)
{
    if (setjmp(node->crash_point) != 0) {
        node->in_engine = false;
        node->engine = NULL; /* cut off in the middle: its memory is lost */
        node->world->verdict->stats.crash_points++;
        node_crash(node, false);
        return false;
    }
    node->in_engine = true;
    enter(node, call);
    node->in_engine = false;
    return node->engine != NULL && shell_after(node);
}

void node_crash_point(struct node *node)
{
    invariant(node->in_engine);
    TRACE(node->world, "n%d crash point", node->index);
    longjmp(node->crash_point, 1);
}

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
    node->incarnation++;
    node->frozen_until_us = 0;
    node->host_frozen = false;
    node->end_unconfirmed = false;
    node->change_pending = false;
    node->timer_at_us = 0;
    memset(&node->view, 0, sizeof node->view);
    node->parent = (struct parent){.incarnation = node->incarnation};
    node->machine = machine_create(node);
    peers_start(node);
}

void node_start(struct node *node)
{
    if (node->stays_down) {
        return;
    }
    come_alive(node);
    if (node->world->options.off.completions_at_once) {
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
    if (perform(node, &call)) {
        links_process_started(node);
    } else if (node->alive) {
        shell_engine_refused(node, call.code, call.err.msg);
    }
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
    return node->alive && node->frozen_until_us == 0;
}

bool node_leads(const struct node *node)
{
    return node_runs(node) && node->view.state == CONSENSUS_LEADER;
}

bool node_acts(const struct node *node)
{
    return node_now_ms(node) < node->managers.deadline_ms;
}

static bool tick(struct node *node)
{
    struct call call = {.what = CALL_TICK};
    return perform(node, &call);
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
    return perform(node, &call);
}

void node_timer(struct node *node)
{
    node->timer_at_us = 0;
    if (!node_runs(node)) {
        return; /* the thaw lets it tick */
    }
    if (!node->world->options.off.completions_at_once || complete_late(node)) {
        (void)tick(node);
    }
}

static void handle_message(struct node *node, const struct message *message)
{
    if (message->kind == MESSAGE_RAFT) {
        struct call call = {.what = CALL_RECEIVE, .message = message};
        (void)perform(node, &call);
        return;
    }
    peers_receive(node, message);
    if (node_runs(node)) {
        (void)shell_after(node);
    }
}

void node_take_message(struct node *node, struct message *message)
{
    if (!node_runs(node)) {
        message->next = NULL;
        *node->inbox_end = message;
        node->inbox_end = &message->next;
        return;
    }
    handle_message(node, message);
    free(message);
}

void node_thaw(struct node *node)
{
    TRACE(node->world, "n%d thaws", node->index);
    node->frozen_until_us = 0;
    shell_host_wakes(node);
    node->host_frozen = false;
    if (node->end_unconfirmed && world_percent(node->world, 50)) {
        shell_confirm_end(node);
    }
    if (node_runs(node) && world_percent(node->world, 50)) {
        (void)tick(node);
    }
    while (node_runs(node) && node->inbox != NULL) {
        struct message *message = node->inbox;
        node->inbox = message->next;
        if (node->inbox == NULL) {
            node->inbox_end = &node->inbox;
        }
        handle_message(node, message);
        free(message);
    }
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
    return perform(node, &call) ? call.code : ERR_CLOSED;
}

int node_change(struct node *node, enum consensus_change what, uint64_t id,
                enum consensus_role role)
{
    struct call call = {
        .what = CALL_CHANGE, .change = what, .id = id, .role = role, .token = ++node->token};
    return perform(node, &call) ? call.code : ERR_CLOSED;
}

int node_hand_over(struct node *node, uint64_t target)
{
    struct call call = {.what = CALL_HAND_OVER, .id = target};
    TRACE(node->world, "n%d is told to hand over in term %" PRIu64, node->index, node->view.term);
    return perform(node, &call) ? call.code : ERR_CLOSED;
}

int node_stand(struct node *node, uint64_t leader, uint64_t term, bool proof)
{
    struct call call = {.what = CALL_STAND, .id = leader, .term = term, .proof = proof};
    TRACE(node->world, "n%d stands against %" PRIu64 " of term %" PRIu64 "%s", node->index, leader,
          term, proof ? " with proof" : "");
    node->world->verdict->stats.stands++;
    return perform(node, &call) ? call.code : ERR_CLOSED;
}

void node_proof(struct node *node, uint64_t leader, uint64_t term)
{
    struct call call = {.what = CALL_PROOF, .id = leader, .term = term};
    (void)perform(node, &call);
}

void node_confirm_end(struct node *node)
{
    struct call call = {.what = CALL_MANAGERS_ENDED};
    (void)perform(node, &call);
}

void node_set_election_timeout(struct node *node, int64_t ms)
{
    struct call call = {.what = CALL_ELECTION_TIMEOUT, .ms = ms};
    (void)perform(node, &call);
}
