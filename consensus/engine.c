#include "consensus/engine.h"

#include "consensus/guard.h"
#include "consensus/raft_internals.h"
#include "node/base/invariant.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SNAPSHOT_ENTRIES_DEFAULT 512
#define ENTRY_OVERHEAD 16 /* array, term, type and length around an entry's bytes */
#define CATCH_UP_ROUNDS_MAX 100
#define CATCH_UP_ROUND_MAX_MS 20000
#define INSTALL_SNAPSHOT_MIN_MS 2000 /* a lost one is sent again; a repeated one does no harm */

void engine_fatal(struct consensus *self, const char *format, ...)
{
    if (engine_is_fatal(self)) {
        return; /* the first reason counts */
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(self->fatal, sizeof self->fatal, format, arguments);
    va_end(arguments);
    if (self->fatal[0] == '\0') {
        self->fatal[0] = '?';
    }
}

bool engine_is_fatal(const struct consensus *self)
{
    return self->fatal[0] != '\0';
}

const char *consensus_fatal(const struct consensus *self)
{
    return engine_is_fatal(self) ? self->fatal : NULL;
}

bool engine_is_voter(const struct consensus *self)
{
    const struct logbook_configuration *newest = logbook_newest_configuration(&self->log);
    return newest != NULL && logbook_is_voter(newest, self->config.id);
}

void engine_raise_term(struct consensus *self)
{
    struct raft_io *io = &self->instance->io;
    uint64_t term = self->stored_term + 1;
    if (io->set_term(io, term) == 0 && io->set_vote(io, self->config.id) == 0) {
        raft_internals_set_term(&self->instance->raft, term, self->config.id);
    }
}

/* ---- configuration ---- */

static int check_interfaces(const struct consensus_config *config, struct err *err)
{
    const struct consensus_storage *storage = &config->storage;
    const struct consensus_machine *machine = &config->machine;
    if (storage->load == NULL || storage->set_term == NULL || storage->set_vote == NULL ||
        storage->append == NULL || storage->truncate == NULL || storage->snapshot_put == NULL ||
        storage->snapshot_get == NULL || config->transport.send == NULL || machine->apply == NULL ||
        machine->snapshot == NULL || machine->restore == NULL) {
        return err_set(err, ERR_INVALID, "an interface of consensus has an empty slot");
    }
    return 0;
}

static int check_times(const struct consensus_config *config, struct err *err)
{
    if (config->heartbeat_ms <= 0 || config->lease_ttl_ms <= 0 ||
        config->election_timeout_ms <= 0 || config->election_timeout_ms > WIRE_DURATION_MAX ||
        config->lease_ttl_ms > WIRE_DURATION_MAX || config->heartbeat_ms > WIRE_DURATION_MAX) {
        return err_set(err, ERR_INVALID, "heartbeat, lease and election timeout must be 1 to %d ms",
                       WIRE_DURATION_MAX);
    }
    if (!lease_may_echo(config->election_timeout_ms, config->lease_ttl_ms, config->heartbeat_ms,
                        false)) {
        return err_set(err, ERR_INVALID,
                       "1.05 x lease (%" PRId64 " ms) + heartbeat (%" PRId64
                       " ms) exceed the election timeout (%" PRId64 " ms)",
                       config->lease_ttl_ms, config->heartbeat_ms, config->election_timeout_ms);
    }
    return 0;
}

static int check_founders(const struct consensus_config *config, struct err *err)
{
    if (config->founder_count > NODES_MAX) {
        return err_set(err, ERR_INVALID, "%zu founders, at most %d", config->founder_count,
                       NODES_MAX);
    }
    for (size_t i = 0; i < config->founder_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (config->founders[i].id == config->founders[j].id) {
                return err_set(err, ERR_INVALID, "founder %" PRIu64 " is listed twice",
                               config->founders[i].id);
            }
        }
        if (config->founders[i].id == 0) {
            return err_set(err, ERR_INVALID, "founder %zu has id 0", i);
        }
    }
    return 0;
}

static int check_config(const struct consensus_config *config, struct err *err)
{
    if (config->id == 0) {
        return err_set(err, ERR_INVALID, "id 0 means nobody");
    }
    uint64_t threshold = config->snapshot_threshold;
    uint64_t entries =
        (threshold > 0 ? threshold : SNAPSHOT_ENTRIES_DEFAULT) +
        (config->snapshot_trailing > 0 ? config->snapshot_trailing : SNAPSHOT_ENTRIES_DEFAULT);
    if (entries * (LOGBOOK_COMMAND_ENTRY_MAX + ENTRY_OVERHEAD) > WIRE_APPEND_BYTES_MAX) {
        return err_set(err, ERR_INVALID,
                       "snapshot threshold and trailing of %" PRIu64
                       " entries do not fit in one message of %d bytes",
                       entries, WIRE_APPEND_BYTES_MAX);
    }
    int rc = check_interfaces(config, err);
    if (rc == 0) {
        rc = check_times(config, err);
    }
    return rc == 0 ? check_founders(config, err) : rc;
}

static void copy_config(struct consensus *self, const struct consensus_config *config)
{
    self->config = *config;
    if (config->founder_count > 0) {
        memcpy(self->founders, config->founders, config->founder_count * sizeof self->founders[0]);
    }
    self->config.founders = self->founders;
    if (self->config.snapshot_threshold == 0) {
        self->config.snapshot_threshold = SNAPSHOT_ENTRIES_DEFAULT;
    }
    if (self->config.snapshot_trailing == 0) {
        self->config.snapshot_trailing = SNAPSHOT_ENTRIES_DEFAULT;
    }
    self->election_timeout_ms = config->election_timeout_ms;
    self->asked_timeout_ms = config->election_timeout_ms;
    adaptation_init(&self->adaptation, config->election_timeout_ms, config->heartbeat_ms);
}

/* ---- the library's instance ---- */

static void set_up_raft(struct consensus *self)
{
    struct raft *raft = &self->instance->raft;
    int64_t install = 4 * self->config.election_timeout_ms;
    raft_set_election_timeout(raft, (unsigned)self->election_timeout_ms);
    raft_set_heartbeat_timeout(raft, (unsigned)self->config.heartbeat_ms);
    raft_set_install_snapshot_timeout(
        raft, (unsigned)(install > INSTALL_SNAPSHOT_MIN_MS ? install : INSTALL_SNAPSHOT_MIN_MS));
    raft_set_snapshot_threshold(raft, self->config.snapshot_threshold);
    raft_set_snapshot_trailing(raft, self->config.snapshot_trailing);
    raft_set_pre_vote(raft, !self->config.off.pre_vote);
    raft_set_max_catch_up_rounds(raft, CATCH_UP_ROUNDS_MAX);
    raft_set_max_catch_up_round_duration(raft, CATCH_UP_ROUND_MAX_MS);
}

/* Has never voted nor echoed, and knows no cluster. */
static bool storage_is_pristine(const struct consensus *self)
{
    return logbook_last_index(&self->log) == 0 && self->stored_vote == 0 && self->stored_term <= 1;
}

static bool is_founder(const struct consensus *self)
{
    for (size_t i = 0; i < self->config.founder_count; i++) {
        if (self->founders[i].id == self->config.id) {
            return true;
        }
    }
    return false;
}

static int bootstrap(struct consensus *self, struct err *err)
{
    struct raft_configuration founding;
    int rc = wire_raft_configuration(self->founders, self->config.founder_count, &founding, err);
    if (rc != 0) {
        return rc;
    }
    int rv = raft_bootstrap(&self->instance->raft, &founding);
    raft_configuration_close(&founding);
    if (rv != 0) {
        return err_set(err, ERR_IO, "bootstrap: %s",
                       engine_is_fatal(self) ? self->fatal : raft_strerror(rv));
    }
    return raft_io_read_storage(self, err);
}

/* A sole voter elects itself inside raft_start, in the term that it finds. */
static int raise_term_of_sole_voter(struct consensus *self, struct err *err)
{
    if (self->config.off.sole_voter ||
        !guard_sole_voter(logbook_newest_configuration(&self->log), self->config.id)) {
        return 0;
    }
    struct raft_io *io = &self->instance->io;
    if (io->set_term(io, self->stored_term + 1) != 0 || io->set_vote(io, self->config.id) != 0) {
        return err_set(err, ERR_IO, "%s", self->fatal);
    }
    return 0;
}

static int start_raft(struct consensus *self, struct err *err)
{
    int rc = raise_term_of_sole_voter(self, err);
    if (rc != 0) {
        return rc;
    }
    set_up_raft(self);
    int rv = raft_start(&self->instance->raft);
    if (rv != 0 || engine_is_fatal(self)) {
        return err_set(err, ERR_IO, "start of libraft: %s",
                       engine_is_fatal(self) ? self->fatal : raft_errmsg(&self->instance->raft));
    }
    return 0;
}

static void close_instance(struct consensus *self)
{
    if (self->instance == NULL) {
        return;
    }
    self->muted = true;
    raft_io_complete_all(self);
    raft_close(&self->instance->raft, NULL);
    if (self->closed != NULL) {
        self->closed(&self->instance->io);
    }
    raft_io_complete_all(self);
    free(self->instance);
    self->instance = NULL;
    self->closed = NULL;
    self->tick = NULL;
    self->receive = NULL;
    self->muted = false;
}

static int open_instance(struct consensus *self, bool first, struct err *err)
{
    self->instance = calloc(1, sizeof *self->instance);
    if (self->instance == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for libraft");
    }
    raft_io_bind(self);
    int rv = raft_init(&self->instance->raft, &self->instance->io, &self->instance->fsm,
                       self->config.id, self->address);
    if (rv != 0) {
        free(self->instance);
        self->instance = NULL;
        return err_set(err, ERR_NOMEM, "libraft: %s", raft_strerror(rv));
    }
    int rc = raft_io_read_storage(self, err);
    if (rc == 0 && first && storage_is_pristine(self)) {
        self->pristine = true;
        rc = is_founder(self) ? bootstrap(self, err) : 0;
    }
    if (rc == 0) {
        rc = start_raft(self, err);
    }
    if (rc != 0) {
        close_instance(self);
    }
    return rc;
}

void engine_reload(struct consensus *self)
{
    struct err err = {0};
    uint64_t applied = raft_internals_applied_index(&self->instance->raft);
    if (applied > self->machine_index) {
        self->machine_index = applied; /* barriers and changes count: no replay before them */
    }
    close_instance(self);
    self->counters.reloads++;
    if (engine_is_fatal(self)) {
        return;
    }
    if (open_instance(self, false, &err) != 0) {
        engine_fatal(self, "reload: %s", err.msg);
        return;
    }
    struct consensus_notice notice = {.type = CONSENSUS_NOTICE_RELOADED, .term = self->stored_term};
    engine_notify(self, &notice);
}

/* ---- life ---- */

int consensus_create(const struct consensus_config *config, int64_t now_ms, struct consensus **ret,
                     struct err *err)
{
    int rc = check_config(config, err);
    if (rc != 0) {
        return rc;
    }
    struct consensus *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for consensus");
    }
    copy_config(self, config);
    wire_raft_address(config->id, self->address);
    rng_init(&self->rng, config->rng_seed);
    self->now_ms = now_ms;
    logbook_init(&self->log);
    mp_writer_init(&self->writer, WIRE_SNAPSHOT_BYTES_MAX);
    rc = open_instance(self, true, err);
    if (rc != 0) {
        consensus_destroy(&self);
        return rc;
    }
    /* A voter that restarted has forgotten whom it heard; one that has never echoed owes nothing.
     */
    if (!self->pristine) {
        self->silence.start_until_ms = now_ms + self->election_timeout_ms;
    }
    self->ticked_ms = now_ms;
    engine_settle(self);
    *ret = self;
    return 0;
}

void consensus_destroy(struct consensus **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct consensus *self = *self_p;
    close_instance(self);
    engine_drop_proposals(self, ERR_CLOSED);
    raft_io_stored_deinit(&self->loaded);
    logbook_deinit(&self->log);
    mp_writer_deinit(&self->writer);
    free(self->notices);
    free(self);
    *self_p = NULL;
}

/* ---- time ---- */

/* A sole voter that follows (the others were demoted) would lead on in the present term. */
static bool sole_voter_stands_now(const struct consensus *self)
{
    const struct raft *raft = &self->instance->raft;
    return raft->state == RAFT_FOLLOWER && !self->config.off.sole_voter &&
           guard_sole_voter(logbook_newest_configuration(&self->log), self->config.id) &&
           engine_timer_expiry(self) <= self->now_ms;
}

/* The library looks at its clock only when ticked. A leader needs that when its next heartbeat
 * is due (though no oftener than three times a heartbeat, as one that sends a snapshot gets none);
 * others for their election timer, which engine_timer_expiry() tells, and seldom for the rest. */
static int64_t next_tick(const struct consensus *self)
{
    const struct raft *raft = &self->instance->raft;
    if (raft->state != RAFT_LEADER) {
        return self->ticked_ms + self->config.heartbeat_ms * 3;
    }
    int64_t heartbeat = self->config.heartbeat_ms;
    int64_t earliest = self->ticked_ms + (heartbeat / 3 > 0 ? heartbeat / 3 : 1);
    int64_t latest = self->ticked_ms + heartbeat;
    int64_t sent = raft_internals_oldest_send(raft);
    int64_t due = sent > latest ? latest : sent + heartbeat;
    due = due > latest ? latest : due;
    return due < earliest ? earliest : due;
}

void consensus_tick(struct consensus *self, int64_t now_ms)
{
    if (engine_is_fatal(self)) {
        return;
    }
    engine_now(self, now_ms);
    if (self->now_ms >= next_tick(self) || self->now_ms >= engine_timer_expiry(self)) {
        self->ticked_ms = self->now_ms;
        if (sole_voter_stands_now(self)) {
            engine_raise_term(self);
        }
        self->tick(&self->instance->io);
    }
    engine_settle(self);
}

int64_t consensus_deadline_ms(const struct consensus *self)
{
    if (engine_is_fatal(self)) {
        return self->ticked_ms + self->config.heartbeat_ms;
    }
    int64_t deadline = next_tick(self);
    int64_t expiry = engine_timer_expiry(self);
    deadline = expiry < deadline ? expiry : deadline;
    int64_t wait = self->leadership.wait_until_ms;
    if (wait > self->now_ms && wait < deadline) {
        deadline = wait;
    }
    if (self->tell_at_ms != 0 && self->tell_at_ms < deadline) {
        deadline = self->tell_at_ms;
    }
    return deadline;
}

void consensus_delayed_completions(struct consensus *self, int64_t now_ms)
{
    if (engine_is_fatal(self)) {
        return;
    }
    engine_now(self, now_ms);
    raft_io_complete_due(self, self->now_ms);
    engine_settle(self);
}

uint64_t consensus_id_of_key(const char *public_key)
{
    uint64_t id = raft_digest(public_key, 0);
    return id == 0 ? 1 : id;
}
