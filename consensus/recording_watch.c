#include "consensus/recording_watch.h"

#include "node/base/invariant.h"

#include <string.h>

/* ---- digests ---- */

static void mix_bytes(uint64_t *digest, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < length; i++) {
        *digest = (*digest ^ at[i]) * 0x100000001b3ULL;
    }
}

static void mix(uint64_t *digest, uint64_t value)
{
    *digest = (*digest ^ value) * 0x9e3779b97f4a7c15ULL;
    *digest ^= *digest >> 29;
}

static void mix_block(uint64_t *digest, const void *bytes, size_t length)
{
    mix(digest, length);
    mix_bytes(digest, bytes, length);
}

static void mix_servers(uint64_t *digest, const struct consensus_server *servers, size_t count)
{
    mix(digest, count);
    for (size_t i = 0; i < count; i++) {
        mix(digest, servers[i].id);
        mix(digest, (uint64_t)servers[i].role);
    }
}

enum output {
    OUT_TERM = 1,
    OUT_VOTE,
    OUT_APPEND,
    OUT_TRUNCATE,
    OUT_PUT,
    OUT_GET,
    OUT_SEND,
    OUT_APPLY,
    OUT_SNAPSHOT,
    OUT_RESTORE,
    OUT_CODE,
    OUT_NOTICE,
    OUT_LOAD
};

static uint64_t *begin(struct recording_watch *self, enum output what)
{
    mix(&self->outputs, (uint64_t)what);
    return &self->outputs;
}

static int done(struct recording_watch *self, int code)
{
    mix(&self->outputs, code == 0 ? 0 : 1);
    return code;
}

/* ---- storage ---- */

static int watch_load(void *context, struct consensus_stored *ret, struct err *err)
{
    struct recording_watch *self = context;
    int code = self->storage.load(self->storage.context, ret, err);
    if (code == 0 && self->loaded != NULL) {
        self->loaded(self->loaded_context, ret);
        self->loaded = NULL;
    }
    (void)begin(self, OUT_LOAD);
    return done(self, code);
}

static int watch_set_term(void *context, uint64_t term, struct err *err)
{
    struct recording_watch *self = context;
    mix(begin(self, OUT_TERM), term);
    return done(self, self->storage.set_term(self->storage.context, term, err));
}

static int watch_set_vote(void *context, uint64_t term, uint64_t id, struct err *err)
{
    struct recording_watch *self = context;
    mix(begin(self, OUT_VOTE), term);
    mix(&self->outputs, id);
    return done(self, self->storage.set_vote(self->storage.context, term, id, err));
}

static int watch_append(void *context, uint64_t first_index, const struct consensus_entry *entries,
                        size_t count, struct err *err)
{
    struct recording_watch *self = context;
    mix(begin(self, OUT_APPEND), first_index);
    for (size_t i = 0; i < count; i++) {
        mix(&self->outputs, entries[i].term);
        mix(&self->outputs, (uint64_t)entries[i].type);
        mix_block(&self->outputs, entries[i].bytes, entries[i].length);
    }
    return done(self,
                self->storage.append(self->storage.context, first_index, entries, count, err));
}

static int watch_truncate(void *context, uint64_t first_index, struct err *err)
{
    struct recording_watch *self = context;
    mix(begin(self, OUT_TRUNCATE), first_index);
    return done(self, self->storage.truncate(self->storage.context, first_index, err));
}

static int watch_snapshot_put(void *context, const struct consensus_snapshot_meta *meta,
                              const uint8_t *bytes, size_t length, uint64_t trailing,
                              struct err *err)
{
    struct recording_watch *self = context;
    mix(begin(self, OUT_PUT), meta->index);
    mix(&self->outputs, meta->term);
    mix(&self->outputs, meta->configuration_index);
    mix_servers(&self->outputs, meta->servers, meta->server_count);
    mix_block(&self->outputs, bytes, length);
    mix(&self->outputs, trailing);
    return done(self, self->storage.snapshot_put(self->storage.context, meta, bytes, length,
                                                 trailing, err));
}

static int watch_snapshot_get(void *context, struct consensus_stored *ret, struct err *err)
{
    struct recording_watch *self = context;
    (void)begin(self, OUT_GET);
    return done(self, self->storage.snapshot_get(self->storage.context, ret, err));
}

/* ---- transport and machine ---- */

static void watch_send(void *context, uint64_t to, const uint8_t *bytes, size_t length, bool bulk)
{
    struct recording_watch *self = context;
    mix(begin(self, OUT_SEND), to);
    mix_block(&self->outputs, bytes, length);
    mix(&self->outputs, bulk ? 1 : 0);
    self->transport.send(self->transport.context, to, bytes, length, bulk);
}

static void watch_apply(void *context, uint64_t index, uint64_t term, const uint8_t *bytes,
                        size_t length)
{
    struct recording_watch *self = context;
    mix(begin(self, OUT_APPLY), index);
    mix(&self->outputs, term);
    mix_block(&self->outputs, bytes, length);
    self->machine.apply(self->machine.context, index, term, bytes, length);
}

static int watch_snapshot(void *context, uint8_t **ret, size_t *ret_length)
{
    struct recording_watch *self = context;
    (void)begin(self, OUT_SNAPSHOT);
    return done(self, self->machine.snapshot(self->machine.context, ret, ret_length));
}

static int watch_restore(void *context, uint64_t index, const uint8_t *bytes, size_t length)
{
    struct recording_watch *self = context;
    mix(begin(self, OUT_RESTORE), index);
    mix_block(&self->outputs, bytes, length);
    return done(self, self->machine.restore(self->machine.context, index, bytes, length));
}

void recording_watch_wrap(struct recording_watch *self, struct consensus_config *config)
{
    self->storage = config->storage;
    self->transport = config->transport;
    self->machine = config->machine;
    config->storage = (struct consensus_storage){.context = self,
                                                 .load = watch_load,
                                                 .set_term = watch_set_term,
                                                 .set_vote = watch_set_vote,
                                                 .append = watch_append,
                                                 .truncate = watch_truncate,
                                                 .snapshot_put = watch_snapshot_put,
                                                 .snapshot_get = watch_snapshot_get};
    config->transport = (struct consensus_transport){.context = self, .send = watch_send};
    config->machine = (struct consensus_machine){.context = self,
                                                 .apply = watch_apply,
                                                 .snapshot = watch_snapshot,
                                                 .restore = watch_restore};
}

/* ---- what else comes out ---- */

void recording_watch_code(struct recording_watch *self, int code)
{
    mix(begin(self, OUT_CODE), (uint64_t)(int64_t)code);
}

void recording_watch_notice(struct recording_watch *self, const struct consensus_notice *notice)
{
    mix(begin(self, OUT_NOTICE), (uint64_t)notice->type);
    mix(&self->outputs, notice->token);
    mix(&self->outputs, (uint64_t)(int64_t)notice->status);
    mix(&self->outputs, notice->term);
    mix(&self->outputs, notice->leader);
    mix(&self->outputs, (uint64_t)notice->cause);
}

static uint64_t digest_view(const struct consensus_view *view)
{
    const uint64_t fields[] = {
        (uint64_t)view->state,
        view->term,
        view->leader,
        (uint64_t)view->ready | (uint64_t)view->acting << 1 | (uint64_t)view->handing_over << 2 |
            (uint64_t)view->owes_wait << 3 | (uint64_t)view->proof << 4 |
            (uint64_t)view->configuration_changing << 5,
        (uint64_t)view->lease_end_ms,
        (uint64_t)view->wait_until_ms,
        (uint64_t)view->silent_until_ms,
        view->commit_index,
        view->applied_index,
        view->last_index,
        view->snapshot_index,
        (uint64_t)view->cause,
        view->configuration_index,
    };
    uint64_t digest = 1;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        mix(&digest, fields[i]);
    }
    mix_servers(&digest, view->servers, view->server_count);
    return digest;
}

struct recording_result recording_watch_take(struct recording_watch *self,
                                             const struct consensus *engine, int64_t now_ms)
{
    struct consensus_view view;
    memset(&view, 0, sizeof view);
    consensus_view(engine, now_ms, &view);
    mix(&self->outputs, consensus_fatal(engine) == NULL ? 0 : 1);
    struct recording_result result = {.outputs = self->outputs, .view = digest_view(&view)};
    self->outputs = 0;
    return result;
}

int recording_perform(struct consensus *engine, const struct recording_event *event,
                      struct err *err)
{
    int64_t now_ms = event->now_ms;
    switch (event->call) {
    case RECORDING_TICK:
        consensus_tick(engine, now_ms);
        return 0;
    case RECORDING_RECEIVE:
        consensus_receive(engine, now_ms, event->peer, event->bytes, event->length);
        return 0;
    case RECORDING_PROPOSE:
        return consensus_propose(engine, now_ms, event->bytes, event->length, event->token, err);
    case RECORDING_CHANGE:
        return consensus_change(engine, now_ms, event->change, event->peer, event->role,
                                event->token, err);
    case RECORDING_HAND_OVER:
        return consensus_hand_over(engine, now_ms, event->peer, event->cause, err);
    case RECORDING_MANAGERS_ENDED:
        consensus_managers_ended(engine, now_ms);
        return 0;
    case RECORDING_STAND:
        return consensus_stand(engine, now_ms, event->peer, event->term, event->proof,
                               event->time_ms, err);
    case RECORDING_PROOF:
        consensus_proof(engine, now_ms, event->peer, event->term);
        return 0;
    case RECORDING_ELECTION_TIMEOUT:
        consensus_set_election_timeout(engine, now_ms, event->time_ms);
        return 0;
    case RECORDING_STALL:
        consensus_note_stall(engine, now_ms, event->time_ms);
        return 0;
    }
    return ERR_INVALID;
}
