#include "tests/sim/shell.h"

#include "consensus/grants_message.h"
#include "node/base/invariant.h"
#include "tests/sim/calls.h"
#include "tests/sim/check.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/running.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- managers ---- */

static void order_managers_to_stop(struct node *node)
{
    struct managers *managers = &node->managers;
    if (managers->deadline_ms == 0 || managers->stopping) {
        return;
    }
    managers->stopping = true;
    int64_t lag_us = world_between(node->world, node->world->options.manager_lag_least * 1000,
                                   node->world->options.manager_lag * 1000);
    world_schedule(node->world, node->world->now_us + lag_us, EVENT_MANAGERS_STOPPED, node->index,
                   (int64_t)++managers->generation);
}

static void lead_managers(struct node *node)
{
    int64_t now = node_now_ms(node);
    int64_t until = node->may_act_until_ms;
    struct managers *managers = &node->managers;
    if (until > now) {
        if (managers->term != node->view.term) {
            node->world->verdict->stats.acted_terms++;
            TRACE(node->world, "n%d acts in term %" PRIu64 " (%s)", node->index, node->view.term,
                  consensus_cause_name(node->view.cause));
        }
        managers->term = node->view.term;
        managers->deadline_ms = until;
        managers->stopping = false;
        managers->generation++;
        return;
    }
    order_managers_to_stop(node);
}

void node_managers_stopped(struct node *node, uint64_t generation)
{
    struct managers *managers = &node->managers;
    if (managers->generation != generation) {
        return;
    }
    if (node->host_frozen) { /* frozen with their host: they stop when it wakes */
        world_schedule(node->world, node->frozen_until_us, EVENT_MANAGERS_STOPPED, node->index,
                       (int64_t)generation);
        return;
    }
    managers->deadline_ms = 0;
    managers->stopping = false;
    if (node_runs(node) && node->end_unconfirmed) {
        shell_confirm_end(node);
    }
}

void shell_confirm_end(struct node *node)
{
    if (node->end_unconfirmed && node->managers.deadline_ms == 0) {
        node->end_unconfirmed = false;
        node_confirm_end(node);
    }
}

/* ---- notices ---- */

static void take_notice(struct node *node, const struct consensus_notice *notice)
{
    struct stats *stats = &node->world->verdict->stats;
    switch (notice->type) {
    case CONSENSUS_NOTICE_PROPOSAL:
        peers_outcome(node, notice->token, notice->status != ERR_STALE);
        break;
    case CONSENSUS_NOTICE_CHANGE:
        node->change_pending = false;
        break;
    case CONSENSUS_NOTICE_ELECTED:
        TRACE(node->world, "n%d elected in term %" PRIu64 " (%s)", node->index, notice->term,
              consensus_cause_name(notice->cause));
        check_leader(node, notice->term);
        stats->elections[(unsigned)notice->cause % 16]++;
        break;
    case CONSENSUS_NOTICE_READY:
        TRACE(node->world, "n%d ready in term %" PRIu64, node->index, notice->term);
        check_ready(node, notice->term, machine_position(node->machine));
        break;
    case CONSENSUS_NOTICE_STEPPED_DOWN:
        TRACE(node->world, "n%d steps down in term %" PRIu64, node->index, notice->term);
        node->end_unconfirmed = true;
        break;
    case CONSENSUS_NOTICE_NEW_LEADER:
        TRACE(node->world, "n%d follows %" PRIu64 " in term %" PRIu64, node->index, notice->leader,
              notice->term);
        break;
    case CONSENSUS_NOTICE_RELOADED:
        TRACE(node->world, "n%d made a fresh instance", node->index);
        break;
    case CONSENSUS_NOTICE_NO_ECHO:
        break;
    case CONSENSUS_NOTICE_MEMORY_LOST: /* no disk of the simulator loses what it acknowledged */
        check_failed(node->world, "I6", "n%d holds the log of %" PRIu64 " for lost", node->index,
                     notice->leader);
        break;
    }
}

/* ---- after each event ---- */

/* The engine asks for the end of its process. */
static bool ends_for_good_reason(struct node *node)
{
    const char *reason = consensus_fatal(node->engine);
    if (reason == NULL) {
        return false;
    }
    if (!storage_failed(node->storage)) {
        check_failed(node->world, "OK", "n%d must end: %s", node->index, reason);
    }
    node->world->verdict->stats.storage_errors++;
    node_crash(node, false);
    return true;
}

static void tell_parent(struct node *node)
{
    if (node->view.state == CONSENSUS_LEADER) {
        node->parent.led_term = node->view.term;
        node->parent.owes_wait = node->view.owes_wait;
    }
}

static void set_timer(struct node *node)
{
    int64_t now = node_now_ms(node);
    int64_t at = now + node->world->options.heartbeat / 3;
    int64_t engine = calls_busy(node) ? INT64_MAX : node->engine_deadline_ms;
    int64_t peers = peers_deadline_ms(node);
    at = engine < at ? engine : at;
    at = peers < at ? peers : at;
    at = at <= now ? now + 1 : at;
    int64_t at_us = node_true_us(node, at);
    if (node->timer_at_us == 0 || at_us < node->timer_at_us) {
        node->timer_at_us = at_us;
        world_schedule(node->world, at_us, EVENT_TIMER, node->index, 0);
    }
}

/* What the consensus thread hands out after an event. */
static void take_outputs(struct node *node)
{
    struct consensus_notice notice;
    while (consensus_notice_next(node->engine, &notice)) {
        take_notice(node, &notice);
    }
    int64_t now = node_now_ms(node);
    bool handing_over = node->view.handing_over;
    uint64_t commit_index = node->view.commit_index;
    uint64_t applied_index = node->view.applied_index;
    consensus_view(node->engine, now, &node->view);
    node->may_act_until_ms = consensus_may_act_until_ms(node->engine, now);
    node->engine_deadline_ms = consensus_deadline_ms(node->engine);
    check_view(node, commit_index, applied_index);
    if (node->view.state == CONSENSUS_LEADER) {
        check_leader(node, node->view.term);
    }
    if (node->view.handing_over && !handing_over) {
        node->end_unconfirmed = true;
    }
    tell_parent(node);
}

bool shell_after(struct node *node)
{
    uint64_t life = node->life;
    if (calls_starting(node)) {
        return true;
    }
    if (!calls_busy(node)) {
        if (ends_for_good_reason(node)) {
            return false;
        }
        take_outputs(node);
    }
    lead_managers(node);
    check_step(node->world);
    shell_confirm_end(node);
    if (node->alive && node->life == life) {
        peers_after(node);
    }
    if (!node->alive || node->life != life) {
        return false;
    }
    set_timer(node);
    return true;
}

void shell_disk_refused(struct node *node)
{
    struct world *world = node->world;
    TRACE(world, "n%d cannot start: its disk fails", node->index);
    world->verdict->stats.storage_errors++;
    world_schedule(world, world->now_us + world_between(world, 100000, 2600000), EVENT_RESTART,
                   node->index, 0);
}

void shell_engine_refused(struct node *node, int code, const char *text)
{
    if (!storage_failed(node->storage)) {
        check_failed(node->world, "OK", "n%d cannot start: %s (%d)", node->index, text, code);
    }
    node->world->verdict->stats.storage_errors++;
    node_crash(node, false);
}

/* ---- ends ---- */

static void write_obituary(struct node *node, int64_t at_us, bool duties_ended)
{
    struct obituary obituary = {
        .raft_id = node->id,
        .incarnation = node->parent.incarnation,
        .term = node->parent.led_term,
        .owed_wait = node->parent.owes_wait,
        .duties_ended = duties_ended,
    };
    struct mp_writer writer;
    mp_writer_init(&writer, 256);
    int code = obituary_encode(&obituary, &writer);
    invariant(code == 0);
    size_t length = writer.buffer.length;
    struct message *message = malloc(sizeof *message + length);
    invariant(message != NULL);
    *message = (struct message){.kind = MESSAGE_OBITUARY, .from = node->id, .length = length};
    memcpy(message->bytes, writer.buffer.data, length);
    mp_writer_deinit(&writer);
    world_schedule_message(node->world, at_us, EVENT_OBITUARY, node->index, message);
}

void node_send_obituary(struct node *node, const struct message *obituary)
{
    struct world *world = node->world;
    TRACE(world, "n%d has an obituary", node->index);
    world->verdict->stats.obituaries++;
    for (int i = 0; i < world->node_count; i++) {
        if (i != node->index) {
            network_send(world, obituary->from, world->nodes[i].id, MESSAGE_OBITUARY,
                         obituary->bytes, obituary->length);
        }
    }
}

/* Managers die with the node's process, though not in the same instant. */
static int64_t end_managers(struct node *node)
{
    struct managers *managers = &node->managers;
    int64_t now = node->world->now_us;
    if (managers->deadline_ms == 0) {
        return now;
    }
    int64_t at_us = now + world_between(node->world, 0, 20000);
    managers->stopping = true;
    world_schedule(node->world, at_us, EVENT_MANAGERS_STOPPED, node->index,
                   (int64_t)++managers->generation);
    return at_us;
}

static void stop_guards(struct node *node)
{
    memset(node->guards, 0, sizeof node->guards);
    running_stop_all(node);
}

void shell_process_ended(struct node *node)
{
    struct world *world = node->world;
    world->verdict->stats.crashes++;
    int64_t at_us = end_managers(node);
    if (world_percent(world, world->options.obituary)) {
        bool duties_ended = world_percent(world, 60);
        if (duties_ended) {
            stop_guards(node);
        }
        write_obituary(node, at_us, duties_ended);
    }
    bool soon = world_percent(world, 50);
    int64_t pause = soon ? world_between(world, 5, 65) : world_between(world, 100, 2600);
    world_schedule(world, at_us + pause * 1000, EVENT_RESTART, node->index, 0);
}

void shell_host_ended(struct node *node)
{
    struct world *world = node->world;
    world->verdict->stats.host_crashes++;
    node->managers = (struct managers){.generation = node->managers.generation + 1};
    stop_guards(node);
    node->host_down = true;
    int64_t pause = world_between(world, 1500, 4100);
    node->boot_true_us = world->now_us;
    node->boot_local_us = world_between(world, 1000, 4000) * 1000;
    world_schedule(world, world->now_us + pause * 1000, EVENT_RESTART, node->index, 0);
}

void shell_host_wakes(struct node *node)
{
    if (!node->host_frozen) {
        return;
    }
    running_host_wakes(node);
    /* Guards whose deadline passed in the freeze stop their process now; that it ran for an
     * instant beside another is what no guard can prevent. */
    for (int duty = 0; duty < SIM_DUTIES_MAX; duty++) {
        struct guard *guard = &node->guards[duty];
        if (guard->deadline_ms == 0 || guard->deadline_ms > node_now_ms(node)) {
            continue;
        }
        guard->deadline_ms = 0;
        for (int i = 0; i < node->world->node_count; i++) {
            if (i != node->index && peers_runs(&node->world->nodes[i], duty)) {
                node->world->verdict->stats.wake_overlaps++;
            }
        }
    }
}

void shell_count(struct node *node)
{
    struct consensus_counters counters;
    consensus_counters(node->engine, &counters);
    struct stats *stats = &node->world->verdict->stats;
    stats->silenced += counters.votes_silenced;
    stats->reloads += counters.reloads;
}
