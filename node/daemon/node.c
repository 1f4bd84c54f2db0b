#include "node/daemon/node.h"

#include "node/base/clock.h"
#include "node/base/rng.h"
#include "node/daemon/alerts.h"
#include "node/daemon/apply.h"
#include "node/daemon/handlers_snapshot.h"
#include "node/daemon/names.h"
#include "node/daemon/proving.h"
#include "node/daemon/recoveries.h"
#include "node/daemon/service.h"
#include "node/transport/accept_guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- small questions ---- */

const char *node_name(const struct node *self)
{
    return self->config->cluster.node;
}

int64_t node_may_act_until_ms(const struct node *self)
{
    /* The view says that the mirror holds everything before the leader's barrier; the atomics say
     * that the lease holds at this very moment, and of which term. While this loop stood still the
     * right may have been lost and won again, with others' deeds in between: those it must read
     * first. */
    uint64_t term = 0;
    int64_t until_ms = consensus_thread_may_act(self->consensus, &term);
    return until_ms != 0 && self->view.acting && term == self->view.term ? until_ms : 0;
}

bool node_may_act(const struct node *self)
{
    return clock_boot_ms() < node_may_act_until_ms(self);
}

bool node_has_quorum(const struct node *self)
{
    return self->view.leader != 0 && (self->view.state != CONSENSUS_LEADER || self->view.ready);
}

bool node_is_outside(const struct node *self)
{
    for (size_t i = 0; i < self->view.server_count; i++) {
        const struct consensus_server *server = &self->view.servers[i];
        if (server->id == self->id) {
            return server->role == CONSENSUS_SPARE;
        }
    }
    return true;
}

uint64_t node_leader(const struct node *self)
{
    if (self->view.leader != 0 || self->told_leader == 0 || !node_is_outside(self)) {
        return self->view.leader;
    }
    struct gossip_member member;
    bool alive = gossip_member_find(self->gossip, node_name_of(self, self->told_leader), &member) &&
                 member.state == GOSSIP_ALIVE;
    return alive ? self->told_leader : 0;
}

const char *node_name_of(const struct node *self, uint64_t id)
{
    const struct state_node *row = state_node_by_id(self->state, id);
    if (row != NULL) {
        return row->is.name;
    }
    for (size_t i = 0; i < self->keys.count; i++) {
        const struct key_public *key = &self->keys.keys[i];
        if (key->role == KEY_NODE && consensus_id_of_key(key->public_key) == id) {
            return key->name;
        }
    }
    return id == self->id ? node_name(self) : "";
}

uint64_t node_id_of(const struct node *self, const char *name)
{
    const struct state_node *row = state_node_by_name(self->state, name);
    if (row != NULL && !row->removed) {
        return row->is.raft_id;
    }
    const struct key_public *key = key_roster_by_name(&self->keys, name);
    return key != NULL && key->role == KEY_NODE ? consensus_id_of_key(key->public_key) : 0;
}

/* ---- the pump ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t next_deadline_ms(const struct node *self, int64_t now_ms)
{
    int64_t at_ms = now_ms + NODE_TURN_MAX_MS;
    at_ms = earlier(at_ms, gossip_deadline_ms(self->gossip));
    at_ms = earlier(at_ms, evidence_deadline_ms(self->evidence));
    at_ms = earlier(at_ms, leadership_deadline_ms(self, now_ms));
    at_ms = earlier(at_ms, duties_deadline_ms(self));
    at_ms = earlier(at_ms, schedule_deadline_ms(self, now_ms));
    if (self->leaving != LEAVING_NOT) {
        at_ms = earlier(at_ms, now_ms + NODE_HURRY_MS);
    }
    return at_ms;
}

static int on_timer(zloop_t *loop, int timer, void *argument)
{
    (void)loop;
    (void)timer;
    struct node *self = argument;
    int64_t late_ms = clock_boot_ms() - self->timer_at_ms;
    if (late_ms > self->lag_ms) {
        self->lag_ms = late_ms;
    }
    gray_loop_turned(&self->gray_loop, clock_boot_ms(), late_ms);
    self->timer = -1;
    node_pump(self);
    return self->leaving == LEAVING_DONE ? -1 : 0;
}

static void arm_timer(struct node *self, int64_t now_ms)
{
    int64_t at_ms = next_deadline_ms(self, now_ms);
    if (self->timer != -1 && at_ms == self->timer_at_ms) {
        return;
    }
    if (self->timer != -1) {
        (void)zloop_timer_end(self->loop, self->timer);
    }
    int64_t delay_ms = at_ms - now_ms;
    self->timer_at_ms = delay_ms < 1 ? now_ms + 1 : at_ms;
    self->timer = zloop_timer(self->loop, (size_t)(delay_ms < 1 ? 1 : delay_ms), 1, on_timer, self);
}

void node_pump(struct node *self)
{
    if (self->pumping) {
        return;
    }
    self->pumping = true;
    int64_t now_ms = clock_boot_ms();
    leadership_run(self, now_ms);
    failover_run(self, now_ms);
    membership_run(self, now_ms);
    names_run(self, now_ms);
    schedule_run(self, now_ms);
    duties_run(self, now_ms);
    managers_run(self, now_ms);
    recoveries_run(self, now_ms);
    proving_run(self, now_ms);
    alerts_run(self, now_ms);
    reports_run(self, now_ms);
    outside_run(self, now_ms);
    snapshots_expire(self->snapshots, now_ms);
    leaving_run(self, now_ms);
    publish_run(self, now_ms);
    self->pumping = false;
    arm_timer(self, clock_boot_ms());
}

/* ---- health ---- */

/* A thread that hangs in a write cannot tell how long it has taken so far. */
static int64_t storage_latency_us(struct node *self, int64_t now_ms, bool new_window)
{
    struct storage_latency latency;
    storage_latency(self->storage, new_window, &latency);
    int64_t worst_us = latency.writes == 0 ? -1 : (int64_t)latency.worst_us;
    int64_t still_ms = now_ms - consensus_thread_turned_ms(self->consensus);
    return still_ms >= NODE_STILL_MS && still_ms * 1000 > worst_us ? still_ms * 1000 : worst_us;
}

static bool manager_is_well(const struct supervise_row *row)
{
    bool comes_back = row->heartbeat_age_ms < 0 && row->restarts > 0;
    return row->state != SUPERVISE_FAILED && !comes_back && row->silent_ms < NODE_MANAGER_SILENT_MS;
}

static void assess_health(struct node *self, int64_t now_ms)
{
    struct health_sample *sample = &self->sample;
    if (now_ms - self->lag_window_ms > NODE_LAG_WINDOW_MS) {
        self->lag_window_ms = now_ms;
        sample->loop_lag_ms = self->lag_ms;
        self->lag_ms = 0;
    } else {
        sample->loop_lag_ms = self->lag_ms;
    }
    bool new_window = now_ms - self->storage_window_ms > NODE_LAG_WINDOW_MS;
    if (new_window) {
        self->storage_window_ms = now_ms;
    }
    sample->storage_latency_us = storage_latency_us(self, now_ms, new_window);
    struct supervise_row rows[MANAGERS_MAX];
    size_t count = supervise_list(self->supervise, now_ms, rows, MANAGERS_MAX);
    sample->managers_expected = (int)count;
    sample->managers_well = 0;
    for (size_t i = 0; i < count; i++) {
        sample->managers_well += manager_is_well(&rows[i]) ? 1 : 0;
    }
    sample->parent_alive = parent_link_alive(self->parent);
    health_assess(sample, &self->health);
    self->health_known = self->health.known;
    self->policy_at_ms = 0;
    self->gray = gray_of_own(&self->health, &self->gray_loop, now_ms);
    membership_publish_health(self, now_ms);
    failover_follow(self, now_ms); /* the order of candidates goes by health */
}

/* Samples come only while the sampler's disk reads do; the consensus thread turns only while its
 * writes do. So the watchdogs' pings (service manager and parent) say that loop, disk and consensus
 * all move. */
static void ping_watchdogs(struct node *self, int64_t now_ms)
{
    if (now_ms - consensus_thread_turned_ms(self->consensus) >= NODE_STUCK_MS) {
        return;
    }
    service_alive();
    if (now_ms >= self->beat_at_ms) {
        self->beat_at_ms = now_ms + NODE_BEAT_MS - NODE_TURN_MAX_MS;
        parent_link_beat(self->parent);
    }
}

static int on_sample(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    (void)item;
    struct node *self = argument;
    if (sampler_latest(self->sampler, &self->sample)) {
        int64_t now_ms = clock_boot_ms();
        assess_health(self, now_ms);
        ping_watchdogs(self, now_ms);
    }
    node_pump(self);
    return 0;
}

/* ---- signals and the parent ---- */

static void dump_state(struct node *self)
{
    log_write(self->log, LOG_LEVEL_INFO, "node.dump", log_int("term", (int64_t)self->view.term),
              log_text("leader", node_name_of(self, self->view.leader)),
              log_bool("acting", node_may_act(self)),
              log_int("applied", (int64_t)self->view.applied_index),
              log_int("last", (int64_t)self->view.last_index),
              log_int("duties", (int64_t)state_duty_count(self->state)),
              log_int("members", (int64_t)gossip_member_count(self->gossip)),
              log_number("health", self->health.score));
}

static int on_signal(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    (void)item;
    struct node *self = argument;
    struct signalfd_siginfo info;
    while (read(self->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGTERM:
        case SIGINT:
            if (self->leaving != LEAVING_NOT) {
                return -1; /* asked twice: end now */
            }
            leaving_begin(self, "signal");
            break;
        case SIGHUP:
            service_reloading();
            reload_start(self->reload);
            break;
        case SIGUSR1:
            log_reopen(self->log);
            break;
        case SIGUSR2:
            dump_state(self);
            break;
        default:
            break;
        }
    }
    node_pump(self);
    return 0;
}

static int on_reload(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    (void)item;
    struct node *self = argument;
    struct reload_result result;
    if (reload_take(self->reload, &result)) {
        apply_reload(self, &result);
        service_ready();
    }
    node_pump(self);
    return 0;
}

static int on_snapshot(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    (void)item;
    struct node *self = argument;
    handlers_snapshot_ready(self);
    node_pump(self);
    return 0;
}

static int on_parent(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    struct node *self = argument;
    if (!parent_link_alive(self->parent)) {
        (void)zloop_poller_end(loop, item);
        events_add(self->events, LOG_LEVEL_WARN, self->view.term, "parent.dead", NULL,
                   "the watching parent is dead; this node goes on without obituary and restart");
    }
    node_pump(self);
    return 0;
}

static int open_signals(struct node *self, struct err *err)
{
    sigset_t set;
    (void)sigemptyset(&set);
    int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)sigaddset(&set, numbers[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    self->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return self->signal_fd < 0 ? err_set_errno(err, ERR_IO, "signalfd") : 0;
}

static int watch_fd(struct node *self, int fd, zloop_fn *handler, struct err *err)
{
    zmq_pollitem_t item = {.fd = fd, .events = ZMQ_POLLIN};
    if (zloop_poller(self->loop, &item, handler, self) != 0) {
        return err_set(err, ERR_NOMEM, "cannot watch a descriptor");
    }
    return 0;
}

/* ---- life ---- */

static int open_log(struct node *self, struct err *err)
{
    const struct config_log *config = &self->config->log;
    struct log_config log_config = {
        .dir = config->dir,
        .file_name = "understudyd.log",
        .level = (enum log_level)config->level,
        .format = config->format == CONFIG_LOG_JSON ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT,
        .max_bytes = config->max_bytes,
        .keep_days = config->keep_days,
        .node = node_name(self),
    };
    return log_create(&log_config, &self->log, err);
}

static int open_storage(struct node *self, struct err *err)
{
    struct storage_config config = {.folder = self->config->data_dir, .node_name = node_name(self)};
    int rc = storage_open(&config, &self->storage, err);
    if (rc != 0) {
        return rc;
    }
    struct storage_identity identity = {.raft_id = self->id};
    (void)snprintf(identity.public_key, sizeof identity.public_key, "%s", self->own.public_key);
    /* Another environment is another cluster. */
    (void)snprintf(identity.cluster, sizeof identity.cluster, "%s", self->config->cluster.name);
    rc = storage_identity_claim(self->storage, &identity, err);
    return rc != 0 ? rc : storage_incarnation_next(self->storage, &self->incarnation, err);
}

static int create_parts(struct node *self, void *zmq_context, struct err *err)
{
    int (*const steps[])(struct node *, struct err *) = {
        leadership_create, membership_create, failover_create, duties_create,
        managers_create,   schedule_create,   publish_create,
    };
    int rc = peers_create(self, zmq_context, err);
    for (size_t i = 0; rc == 0 && i < sizeof steps / sizeof steps[0]; i++) {
        rc = steps[i](self, err);
    }
    return rc != 0 ? rc : handlers_create(self, err);
}

static int start(struct node *self, void *zmq_context, struct err *err)
{
    int rc = open_log(self, err);
    rc = rc != 0 ? rc : accept_guard_open(err);
    rc = rc != 0 ? rc : open_signals(self, err);
    rc = rc != 0 ? rc : open_storage(self, err);
    if (rc != 0) {
        return rc;
    }
    parent_link_identity(self->parent, self->id, self->incarnation);
    self->events = events_create(node_name(self), self->log);
    self->mirror = state_create();
    self->state = self->mirror;
    self->alerts = alerts_create();
    self->snapshots = snapshots_create(node_name(self), self->incarnation);
    self->recoveries = recoveries_create();
    self->proving = proving_create();
    if (self->events == NULL || self->state == NULL || self->alerts == NULL ||
        self->recoveries == NULL || self->proving == NULL || self->snapshots == NULL) {
        return err_set(err, ERR_NOMEM, "cannot make the node");
    }
    self->reload = reload_create(self->config->file, self->config->cluster.keys);
    if (self->reload == NULL) {
        return err_set(err, ERR_NOMEM, "cannot make the reload");
    }
    const char *inject = self->config->health.inject_file;
    rc = sampler_create(self->config->data_dir, inject[0] == '\0' ? NULL : inject, NULL,
                        &self->sampler, err);
    rc = rc != 0 ? rc : names_create(self, err);
    rc = rc != 0 ? rc : create_parts(self, zmq_context, err);
    rc = rc != 0 ? rc : watch_fd(self, sampler_fd(self->sampler), on_sample, err);
    rc = rc != 0 ? rc : watch_fd(self, reload_fd(self->reload), on_reload, err);
    rc = rc != 0 ? rc : watch_fd(self, snapshots_fd(self->snapshots), on_snapshot, err);
    rc = rc != 0 ? rc : watch_fd(self, self->signal_fd, on_signal, err);
    rc = rc != 0 ? rc : watch_fd(self, parent_link_fd(self->parent), on_parent, err);
    return rc;
}

static void stop(struct node *self)
{
    control_destroy(&self->control);
    http_destroy(&self->http);
    supervise_destroy(&self->supervise);
    fan_destroy(&self->fan);
    commands_destroy(&self->commands);
    post_destroy(&self->post);
    probe_cancel(&self->probe);
    proposals_destroy(&self->proposals);
    effects_destroy(&self->effects); /* what was under way is told to it until here */
    consensus_thread_destroy(&self->consensus);
    transport_destroy(&self->transport);
    zap_destroy(&self->zap);
    gossip_destroy(&self->gossip);
    evidence_destroy(&self->evidence);
    grants_leader_destroy(&self->granting);
    placement_destroy(&self->placing);
    grants_holder_destroy(&self->holding);
    state_destroy(&self->mirror);
    state_destroy(&self->told_state);
    snapshots_destroy(&self->snapshots);
    alerts_destroy(&self->alerts);
    recoveries_destroy(&self->recoveries);
    proving_destroy(&self->proving);
    sampler_destroy(&self->sampler);
    reload_destroy(&self->reload);
    schedule_destroy(&self->schedules);
    resolver_destroy(&self->resolver);
    storage_close(&self->storage);
    events_destroy(&self->events);
    parent_link_destroy(&self->parent);
    for (size_t i = 0; i < sizeof self->observations / sizeof self->observations[0]; i++) {
        free(self->observations[i].bytes);
    }
    if (self->signal_fd >= 0) {
        (void)close(self->signal_fd);
    }
    log_destroy(&self->log);
    if (self->reloaded_config != NULL) {
        key_roster_deinit(&self->keys);
        config_destroy(&self->reloaded_config);
    }
}

/* A port in use or a folder held by another daemon is a matter of configuration: starting again
 * would not help. */
static int exit_code_of(int rc)
{
    switch (rc) {
    case ERR_BUSY:
    case ERR_EXISTS:
    case ERR_INVALID:
    case ERR_DENIED:
    case ERR_NOTFOUND:
        return 78;
    case ERR_NOMEM:
        return 75;
    default:
        return 1;
    }
}

int node_run(const struct node_start *start_with)
{
    struct node *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return 75;
    }
    self->config = start_with->config;
    self->own = *start_with->own;
    self->keys = *start_with->keys;
    self->guard_listen_fd = start_with->guard_listen_fd;
    self->restarted = start_with->restarted;
    self->parent = parent_link_create(start_with->parent_fd);
    self->id = consensus_id_of_key(self->own.public_key);
    self->started_ms = clock_boot_ms();
    self->timer = -1;
    self->signal_fd = -1;
    self->probe.fd = -1;
    zsys_handler_set(NULL);
    zsys_set_logstream(NULL);
    /* One context for all: keys are asked for over inproc, which does not leave its context. */
    void *zmq_context = zsys_init();
    self->loop = zloop_new();
    zloop_set_nonstop(self->loop, true);
    struct err err = {0};
    int rc = zmq_context == NULL || self->loop == NULL || self->parent == NULL
                 ? err_set(&err, ERR_NOMEM, "out of memory")
                 : start(self, zmq_context, &err);
    if (rc == 0) {
        events_add(self->events, LOG_LEVEL_INFO, self->view.term, "node.started", NULL,
                   "%s started, version %s, incarnation %llu", node_name(self), UNDERSTUDY_VERSION,
                   (unsigned long long)self->incarnation);
        node_pump(self);
        service_ready();
        (void)zloop_start(self->loop);
        service_stopping();
    } else {
        (void)fprintf(stderr, "understudyd: %s: %s\n", node_name(self), err.msg);
        self->exit_code = exit_code_of(rc);
    }
    int code = self->exit_code;
    stop(self);
    zloop_destroy(&self->loop);
    zsys_shutdown();
    key_own_wipe(&self->own);
    free(self);
    return code;
}
