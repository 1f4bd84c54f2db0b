#include "node/daemon/snapshots.h"

#include "node/base/limits.h"
#include "node/base/thread.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum phase {
    PHASE_FREE,
    PHASE_ENCODING, /* the thread has `state`, `bytes` and `length` */
    PHASE_READY,
};

struct held {
    struct snapshot_copy is; /* first: what is handed out */
    enum phase phase;
    int64_t asked_ms;
    pthread_t thread;
    int done_fd;         /* the thread's end of snapshots_fd */
    struct state *state; /* while it is encoded */
    uint8_t *bytes;
    size_t length;
    atomic_bool done;
};

struct snapshots {
    char name[NAME_SIZE];
    uint64_t incarnation;
    uint64_t count; /* of copies so far */
    int done_fd;
    struct held held[SNAPSHOTS_MAX];
};

struct snapshots *snapshots_create(const char *name, uint64_t incarnation)
{
    struct snapshots *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->done_fd < 0) {
        free(self);
        return NULL;
    }
    (void)snprintf(self->name, sizeof self->name, "%s", name);
    self->incarnation = incarnation;
    return self;
}

static void forget(struct held *held)
{
    free(held->bytes);
    *held = (struct held){.phase = PHASE_FREE};
}

void snapshots_destroy(struct snapshots **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct snapshots *self = *self_p;
    for (size_t i = 0; i < SNAPSHOTS_MAX; i++) {
        if (self->held[i].phase == PHASE_ENCODING) {
            (void)pthread_join(self->held[i].thread, NULL);
        }
        forget(&self->held[i]);
    }
    (void)close(self->done_fd);
    free(self);
    *self_p = NULL;
}

/* ---- encoding ---- */

static void *encode(void *argument)
{
    struct held *held = argument;
    if (state_snapshot(held->state, &held->bytes, &held->length) != 0) {
        held->bytes = NULL;
    }
    state_destroy(&held->state);
    uint64_t one = 1;
    atomic_store(&held->done, true);
    (void)!write(held->done_fd, &one, sizeof one);
    return NULL;
}

static struct held *free_place(struct snapshots *self)
{
    for (size_t i = 0; i < SNAPSHOTS_MAX; i++) {
        if (self->held[i].phase == PHASE_FREE) {
            return &self->held[i];
        }
    }
    return NULL;
}

int snapshots_begin(struct snapshots *self, const struct state *state,
                    const struct snapshot_origin *origin, int64_t now_ms,
                    struct snapshot_copy **ret, struct err *err)
{
    snapshots_expire(self, now_ms);
    struct held *held = free_place(self);
    if (held == NULL) {
        return err_set(err, ERR_BUSY, "%d snapshots are being saved already", SNAPSHOTS_MAX);
    }
    *held = (struct held){.asked_ms = now_ms,
                          .done_fd = self->done_fd,
                          .state = state_copy(state),
                          .is = {.term = origin->term,
                                 .index = state_index(state),
                                 .taken_wall_ms = origin->wall_ms,
                                 .stale = origin->stale}};
    if (held->state == NULL || thread_start(&held->thread, encode, held) != 0) {
        state_destroy(&held->state);
        return err_set(err, ERR_NOMEM, "no memory for a copy of the state");
    }
    held->phase = PHASE_ENCODING;
    char handle[SNAPSHOT_HANDLE_SIZE]; /* as both are within *self */
    (void)snprintf(handle, sizeof handle, "%s.%" PRIu64 ".%" PRIu64, self->name, self->incarnation,
                   ++self->count);
    memcpy(held->is.handle, handle, sizeof held->is.handle);
    *ret = &held->is;
    return 0;
}

int snapshots_fd(const struct snapshots *self)
{
    return self->done_fd;
}

struct snapshot_copy *snapshots_take(struct snapshots *self)
{
    uint64_t count;
    (void)!read(self->done_fd, &count, sizeof count);
    for (size_t i = 0; i < SNAPSHOTS_MAX; i++) {
        struct held *held = &self->held[i];
        if (held->phase == PHASE_ENCODING && atomic_load(&held->done)) {
            (void)pthread_join(held->thread, NULL);
            held->phase = PHASE_READY;
            held->is.bytes = held->bytes;
            held->is.length = held->length;
            return &held->is;
        }
    }
    return NULL;
}

/* ---- handing out ---- */

struct snapshot_copy *snapshots_find(struct snapshots *self, const char *handle, int64_t now_ms)
{
    for (size_t i = 0; i < SNAPSHOTS_MAX; i++) {
        struct held *held = &self->held[i];
        if (held->phase == PHASE_READY && strcmp(held->is.handle, handle) == 0) {
            held->asked_ms = now_ms;
            return &held->is;
        }
    }
    return NULL;
}

void snapshots_end(struct snapshots *self, struct snapshot_copy *copy)
{
    for (size_t i = 0; i < SNAPSHOTS_MAX; i++) {
        if (&self->held[i].is == copy && self->held[i].phase == PHASE_READY) {
            forget(&self->held[i]);
        }
    }
}

void snapshots_expire(struct snapshots *self, int64_t now_ms)
{
    for (size_t i = 0; i < SNAPSHOTS_MAX; i++) {
        struct held *held = &self->held[i];
        if (held->phase == PHASE_READY && held->is.waiting == NULL &&
            now_ms - held->asked_ms >= SNAPSHOTS_HOLD_MS) {
            forget(held);
        }
    }
}

size_t snapshots_held(const struct snapshots *self)
{
    size_t count = 0;
    for (size_t i = 0; i < SNAPSHOTS_MAX; i++) {
        count += self->held[i].phase != PHASE_FREE ? 1 : 0;
    }
    return count;
}
