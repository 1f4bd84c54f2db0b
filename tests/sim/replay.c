#include "tests/sim/replay.h"

#include "consensus/recording_watch.h"
#include "consensus/state.h"
#include "node/base/invariant.h"
#include "tests/unit/engine/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REPLAY_AGREES, REPLAY_DIFFERS, REPLAY_DAMAGED };

struct replay {
    bool verbose;
    struct consensus_switches off;
    bool started; /* a start was read */
    struct recording_start start;
    size_t entries_due; /* of the start, still to be read */
    struct disk disk;
    struct state *state;
    struct consensus *engine;
    struct recording_watch watch;
    struct consensus_view view; /* after the last result */
    uint64_t silenced;
    uint64_t part;
    int64_t begun_ms;
    int64_t now_ms; /* of the last event */
    enum recording_call call;
    uint64_t events;
    uint64_t results;
    uint64_t sent;
    uint64_t applied;
};

/* ---- the engine's surroundings ---- */

static void count_send(void *context, uint64_t to, const uint8_t *bytes, size_t length, bool bulk)
{
    struct replay *self = context;
    (void)to;
    (void)bytes;
    (void)length;
    (void)bulk;
    self->sent++;
}

static void apply(void *context, uint64_t index, uint64_t term, const uint8_t *bytes, size_t length)
{
    struct replay *self = context;
    struct state_effect effect;
    (void)state_apply(self->state, index, term, bytes, length, &effect);
    self->applied++;
}

static int snapshot(void *context, uint8_t **ret, size_t *ret_length)
{
    struct replay *self = context;
    return state_snapshot(self->state, ret, ret_length);
}

static int restore(void *context, uint64_t index, const uint8_t *bytes, size_t length)
{
    struct replay *self = context;
    struct err err = {0};
    return state_restore(self->state, index, bytes, length, &err);
}

/* ---- what people read ---- */

static void tell(const struct replay *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void tell(const struct replay *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)printf("%10.3f  ", (double)(self->now_ms - self->begun_ms) / 1000.0);
    (void)vprintf(format, arguments);
    (void)printf("\n");
    va_end(arguments);
}

static void tell_notice(const struct replay *self, const struct consensus_notice *notice)
{
    switch (notice->type) {
    case CONSENSUS_NOTICE_PROPOSAL:
    case CONSENSUS_NOTICE_CHANGE:
        if (notice->status != 0 || self->verbose) {
            tell(self, "%s %" PRIu64 ": %s",
                 notice->type == CONSENSUS_NOTICE_CHANGE ? "change" : "proposal", notice->token,
                 notice->status == 0 ? "applied" : err_name(notice->status));
        }
        break;
    case CONSENSUS_NOTICE_ELECTED:
        tell(self, "elected in term %" PRIu64 " (%s)", notice->term,
             consensus_cause_name(notice->cause));
        break;
    case CONSENSUS_NOTICE_READY:
        tell(self, "ready in term %" PRIu64, notice->term);
        break;
    case CONSENSUS_NOTICE_STEPPED_DOWN:
        tell(self, "stepped down in term %" PRIu64, notice->term);
        break;
    case CONSENSUS_NOTICE_NEW_LEADER:
        tell(self, "follows %016" PRIx64 " in term %" PRIu64, notice->leader, notice->term);
        break;
    case CONSENSUS_NOTICE_RELOADED:
        tell(self, "made a fresh instance from disk");
        break;
    case CONSENSUS_NOTICE_NO_ECHO:
        tell(self, "does not echo: %s", notice->text);
        break;
    case CONSENSUS_NOTICE_MEMORY_LOST:
        tell(self, "%016" PRIx64 " lacks what it acknowledged", notice->leader);
        break;
    }
}

static void tell_changes(struct replay *self)
{
    struct consensus_view view;
    struct consensus_counters counters;
    memset(&view, 0, sizeof view);
    consensus_view(self->engine, self->now_ms, &view);
    consensus_counters(self->engine, &counters);
    if (view.acting != self->view.acting) {
        tell(self, view.acting ? "acts in term %" PRIu64 : "acts no more, term %" PRIu64,
             view.term);
    }
    if (view.handing_over && !self->view.handing_over) {
        tell(self, "hands over");
    }
    if (view.state == CONSENSUS_CANDIDATE &&
        (self->view.state != CONSENSUS_CANDIDATE || view.term != self->view.term)) {
        tell(self, "stands for election, term %" PRIu64, view.term);
    }
    if (view.configuration_index != self->view.configuration_index) {
        tell(self, "configuration of entry %" PRIu64 ": %zu servers", view.configuration_index,
             view.server_count);
    }
    if (view.snapshot_index != self->view.snapshot_index) {
        tell(self, "snapshot at %" PRIu64, view.snapshot_index);
    }
    if (view.commit_index != self->view.commit_index) {
        tell(self, "committed to %" PRIu64, view.commit_index);
    }
    if (counters.votes_silenced != self->silenced) {
        tell(self, "silent: dropped %" PRIu64 " requests for its vote",
             counters.votes_silenced - self->silenced);
    }
    self->silenced = counters.votes_silenced;
    self->view = view;
}

/* ---- records ---- */

static int damaged(const struct replay *self, const char *why)
{
    (void)printf("damaged after %" PRIu64 " calls: %s\n", self->events, why);
    return REPLAY_DAMAGED;
}

static int make_engine(struct replay *self)
{
    struct consensus_config config = self->start.config;
    struct err err = {0};
    config.founders = self->start.founders;
    config.off = self->off;
    config.storage = disk_storage(&self->disk);
    config.transport = (struct consensus_transport){.context = self, .send = count_send};
    config.machine = (struct consensus_machine){
        .context = self, .apply = apply, .snapshot = snapshot, .restore = restore};
    recording_watch_wrap(&self->watch, &config);
    if (consensus_create(&config, self->start.now_ms, &self->engine, &err) != 0) {
        (void)printf("the engine does not start: %s\n", err.msg);
        return REPLAY_DIFFERS;
    }
    return REPLAY_AGREES;
}

static int take_start(struct replay *self, const struct recording_start *start)
{
    if (self->started) {
        return damaged(self, "it starts twice");
    }
    self->started = true;
    self->start = *start;
    self->begun_ms = start->now_ms;
    self->now_ms = start->now_ms;
    self->entries_due = SIZE_MAX; /* told by the next record */
    (void)printf("node %016" PRIx64 ", heartbeat %" PRId64 " ms, election timeout %" PRId64
                 " ms, lease %" PRId64 " ms\n",
                 start->config.id, start->config.heartbeat_ms, start->config.election_timeout_ms,
                 start->config.lease_ttl_ms);
    return REPLAY_AGREES;
}

static int take_stored(struct replay *self, const struct consensus_stored *stored)
{
    if (self->entries_due != SIZE_MAX || stored->first_index == 0) {
        return damaged(self, "what was stored comes at the wrong place");
    }
    self->entries_due = stored->entry_count;
    self->disk.term = stored->term;
    self->disk.vote = stored->vote;
    self->disk.first_index = stored->first_index;
    self->disk.has_snapshot = stored->has_snapshot;
    self->disk.meta = stored->snapshot;
    (void)printf("stored: term %" PRIu64 ", entries %" PRIu64 " to %" PRIu64
                 ", snapshot at %" PRIu64 "\n",
                 stored->term, stored->first_index, stored->first_index + stored->entry_count - 1,
                 stored->snapshot.index);
    return REPLAY_AGREES;
}

static int take_snapshot(struct replay *self, const struct recording_record *record)
{
    if (!self->disk.has_snapshot || self->disk.snapshot != NULL) {
        return damaged(self, "a snapshot comes at the wrong place");
    }
    self->disk.snapshot = malloc(record->snapshot_length + 1);
    invariant(self->disk.snapshot != NULL);
    memcpy(self->disk.snapshot, record->snapshot_bytes, record->snapshot_length);
    self->disk.snapshot_length = record->snapshot_length;
    return REPLAY_AGREES;
}

static int take_entry(struct replay *self, const struct consensus_entry *entry)
{
    if (self->entries_due == 0 || self->entries_due == SIZE_MAX) {
        return damaged(self, "an entry comes at the wrong place");
    }
    struct consensus_storage storage = disk_storage(&self->disk);
    struct err err = {0};
    int code = storage.append(storage.context, disk_last_index(&self->disk) + 1, entry, 1, &err);
    self->entries_due--;
    return code == 0 ? REPLAY_AGREES : damaged(self, err.msg);
}

/* What was stored is complete: the engine starts before the first call or result. */
static int begin(struct replay *self)
{
    if (self->engine != NULL) {
        return REPLAY_AGREES;
    }
    bool lacks_snapshot = self->disk.has_snapshot && self->disk.snapshot == NULL;
    if (!self->started || self->entries_due != 0 || lacks_snapshot) {
        return damaged(self, "the start is not complete");
    }
    return make_engine(self);
}

static int take_event(struct replay *self, const struct recording_event *event)
{
    int code = begin(self);
    if (code != REPLAY_AGREES) {
        return code;
    }
    struct err err = {0};
    self->now_ms = event->now_ms;
    self->call = event->call;
    self->events++;
    if (self->verbose) {
        tell(self, "> %s", recording_call_name(event->call));
    }
    int result = recording_perform(self->engine, event, &err);
    recording_watch_code(&self->watch, result);
    if (result != 0) {
        tell(self, "%s refused: %s", recording_call_name(event->call), err.msg);
    }
    return REPLAY_AGREES;
}

static int take_result(struct replay *self, const struct recording_result *recorded)
{
    int code = begin(self);
    if (code != REPLAY_AGREES) {
        return code;
    }
    struct consensus_notice notice;
    while (consensus_fatal(self->engine) == NULL && consensus_notice_next(self->engine, &notice)) {
        recording_watch_notice(&self->watch, &notice);
        tell_notice(self, &notice);
    }
    struct recording_result own = recording_watch_take(&self->watch, self->engine, self->now_ms);
    tell_changes(self);
    self->results++;
    if (own.outputs == recorded->outputs && own.view == recorded->view) {
        return REPLAY_AGREES;
    }
    (void)printf("DIFFERS at call %" PRIu64 " (%s, %" PRId64 " ms on the node's clock): %s%s%s\n",
                 self->events, self->events == 0 ? "start" : recording_call_name(self->call),
                 self->now_ms,
                 own.outputs == recorded->outputs ? "" : "what it sent, stored, applied or told",
                 own.outputs != recorded->outputs && own.view != recorded->view ? "; " : "",
                 own.view == recorded->view ? "" : "its view");
    return REPLAY_DIFFERS;
}

static int take_continued(struct replay *self, const struct recording_continued *continued)
{
    if (!self->started || continued->life != self->start.life ||
        continued->part != self->part + 1) {
        (void)printf("goes on where another file of the same life (part %" PRIu64
                     ") was full: not checked\n",
                     continued->part - 1);
        return REPLAY_DAMAGED;
    }
    self->part = continued->part;
    return REPLAY_AGREES;
}

static int take(struct replay *self, const struct recording_record *record)
{
    switch (record->kind) {
    case RECORDING_START:
        return take_start(self, &record->start);
    case RECORDING_STORED:
        return take_stored(self, &record->stored);
    case RECORDING_SNAPSHOT:
        return take_snapshot(self, record);
    case RECORDING_ENTRY:
        return take_entry(self, &record->entry);
    case RECORDING_EVENT:
        return take_event(self, &record->event);
    case RECORDING_RESULT:
        return take_result(self, &record->result);
    case RECORDING_CONTINUED:
        return take_continued(self, &record->continued);
    }
    return damaged(self, "an unknown record");
}

/* ---- files ---- */

static int replay_bytes(struct replay *self, const uint8_t *bytes, size_t length)
{
    static struct recording_record record;
    for (size_t at = 0; at < length;) {
        struct err err = {0};
        size_t used = 0;
        int code = recording_read(bytes + at, length - at, &record, &used, &err);
        if (code == ERR_CLOSED) {
            (void)printf("the last record is torn (%zu bytes)\n", length - at);
            return REPLAY_AGREES;
        }
        if (code != 0) {
            return damaged(self, err.msg);
        }
        int step = take(self, &record);
        if (step != REPLAY_AGREES) {
            return step;
        }
        at += used;
    }
    return REPLAY_AGREES;
}

static int replay_file(struct replay *self, const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat_of;
    if (file < 0 || fstat(file, &stat_of) != 0 || !S_ISREG(stat_of.st_mode)) {
        (void)fprintf(stderr, "cannot read %s: %s\n", path, strerror(errno));
        if (file >= 0) {
            (void)close(file);
        }
        return REPLAY_DAMAGED;
    }
    size_t length = (size_t)stat_of.st_size;
    void *bytes = length == 0 ? NULL : mmap(NULL, length, PROT_READ, MAP_PRIVATE, file, 0);
    (void)close(file);
    if (bytes == NULL || bytes == MAP_FAILED) {
        (void)fprintf(stderr, "%s is empty\n", path);
        return REPLAY_DAMAGED;
    }
    int code = replay_bytes(self, bytes, length);
    (void)munmap(bytes, length);
    return code;
}

int replay_run(const char *const *paths, size_t count, const struct consensus_switches *off,
               bool verbose)
{
    struct replay *self = calloc(1, sizeof *self);
    invariant(self != NULL);
    self->verbose = verbose;
    self->off = *off;
    self->state = state_create();
    invariant(self->state != NULL);
    disk_init(&self->disk);
    int code = REPLAY_AGREES;
    for (size_t i = 0; i < count && code == REPLAY_AGREES; i++) {
        code = replay_file(self, paths[i]);
    }
    if (code == REPLAY_AGREES && self->results == 0) {
        code = damaged(self, "there is no decision in it");
    }
    (void)printf("%s: %" PRIu64 " calls, %" PRIu64 " results compared, %" PRIu64
                 " messages sent, %" PRIu64 " commands applied\n",
                 code == REPLAY_AGREES ? "agrees" : "ended", self->events, self->results,
                 self->sent, self->applied);
    consensus_destroy(&self->engine);
    state_destroy(&self->state);
    disk_deinit(&self->disk);
    free(self);
    return code;
}
