#include "node/daemon/recorder.h"

#include "consensus/recording_watch.h"
#include "node/base/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOTS 2

struct recorder {
    char dir[PATH_MAX - 32];
    int64_t bytes_max;
    int64_t written; /* of the present file */
    int file;        /* -1: recording has ended */
    int slot;
    uint64_t life;
    uint64_t part;
    int64_t now_ms; /* of the last event */
    bool due;       /* an event has no result yet */
    struct mp_writer writer;
    struct recording_watch watch;
};

/* ---- files ---- */

static void slot_path(const struct recorder *self, int slot, char ret[PATH_MAX])
{
    (void)snprintf(ret, PATH_MAX, "%s/record-%d.log", self->dir, slot);
}

/* Nanoseconds of the last change, -1 when there is no such file. */
static int64_t slot_age(const struct recorder *self, int slot)
{
    char path[PATH_MAX];
    struct stat stat_of;
    slot_path(self, slot, path);
    if (stat(path, &stat_of) != 0) {
        return -1;
    }
    return (int64_t)stat_of.st_mtim.tv_sec * 1000000000 + stat_of.st_mtim.tv_nsec;
}

static void stop(struct recorder *self)
{
    if (self->file >= 0) {
        (void)close(self->file);
        self->file = -1;
    }
}

static int open_slot(struct recorder *self, int slot, struct err *err)
{
    char path[PATH_MAX];
    slot_path(self, slot, path);
    stop(self);
    self->slot = slot;
    self->written = 0;
    self->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return self->file >= 0 ? 0 : err_set_errno(err, ERR_IO, "cannot open %s", path);
}

/* What the writer holds, whole or not at all as far as a reader is concerned: a torn record ends
 * the file. */
static void put(struct recorder *self, int code)
{
    const uint8_t *bytes = self->writer.buffer.data;
    size_t left = self->writer.buffer.length;
    if (code != 0) {
        stop(self);
    }
    while (self->file >= 0 && left > 0) {
        ssize_t done = write(self->file, bytes, left);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            stop(self); /* a full disk costs the recording, not the node */
            return;
        }
        bytes += done;
        left -= (size_t)done;
        self->written += done;
    }
}

/* The other file goes on, once this one is full. */
static void turn(struct recorder *self)
{
    if (self->file < 0 || self->written < self->bytes_max) {
        return;
    }
    if (open_slot(self, (self->slot + 1) % SLOTS, NULL) == 0) {
        const struct recording_continued continued = {.life = self->life, .part = ++self->part};
        put(self, recording_put_continued(&self->writer, &continued));
    }
}

/* ---- life ---- */

int recorder_create(const char *dir, int64_t bytes_max, struct recorder **ret, struct err *err)
{
    struct recorder *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "cannot make the recorder");
    }
    self->file = -1;
    self->bytes_max = bytes_max;
    self->life = rng_system_seed();
    recording_writer_init(&self->writer);
    int length = snprintf(self->dir, sizeof self->dir, "%s", dir);
    int code = 0;
    if (length < 0 || (size_t)length >= sizeof self->dir) {
        code = err_set(err, ERR_INVALID, "the path of the data folder is too long");
    } else {
        code = open_slot(self, slot_age(self, 0) <= slot_age(self, 1) ? 0 : 1, err);
    }
    if (code != 0) {
        recorder_destroy(&self);
        return code;
    }
    *ret = self;
    return 0;
}

void recorder_destroy(struct recorder **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    stop(*self_p);
    mp_writer_deinit(&(*self_p)->writer);
    free(*self_p);
    *self_p = NULL;
}

/* ---- records ---- */

static void put_stored(void *context, const struct consensus_stored *stored)
{
    struct recorder *self = context;
    put(self, recording_put_stored(&self->writer, stored));
    if (stored->has_snapshot) {
        put(self,
            recording_put_snapshot(&self->writer, stored->snapshot_bytes, stored->snapshot_length));
    }
    for (size_t i = 0; i < stored->entry_count; i++) {
        put(self, recording_put_entry(&self->writer, &stored->entries[i]));
    }
}

void recorder_begin(struct recorder *self, struct consensus_config *config, int64_t now_ms)
{
    if (self == NULL) {
        return;
    }
    const struct recording_start start = {.life = self->life, .now_ms = now_ms, .config = *config};
    put(self, recording_put_start(&self->writer, &start));
    recording_watch_wrap(&self->watch, config);
    self->watch.loaded = put_stored;
    self->watch.loaded_context = self;
    self->now_ms = now_ms;
    self->due = true;
}

void recorder_event(struct recorder *self, const struct recording_event *event)
{
    if (self == NULL || self->file < 0) {
        return;
    }
    put(self, recording_put_event(&self->writer, event));
    self->now_ms = event->now_ms;
    self->due = true;
}

void recorder_code(struct recorder *self, int code)
{
    if (self != NULL) {
        recording_watch_code(&self->watch, code);
    }
}

void recorder_notice(struct recorder *self, const struct consensus_notice *notice)
{
    if (self != NULL) {
        recording_watch_notice(&self->watch, notice);
    }
}

void recorder_result(struct recorder *self, const struct consensus *engine)
{
    if (self == NULL || self->file < 0 || !self->due) {
        return;
    }
    self->due = false;
    const struct recording_result result = recording_watch_take(&self->watch, engine, self->now_ms);
    put(self, recording_put_result(&self->writer, &result));
    turn(self);
}
