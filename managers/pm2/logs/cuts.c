#include "managers/pm2/logs/cuts.h"

#include "node/base/invariant.h"
#include "node/base/rng.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct row {
    bool used;
    dev_t device;
    ino_t inode;
    int64_t asked_ms;
    char *tail; /* of CUTS_TAIL_BYTES; NULL: nothing was cut */
    struct cuts_file file;
};

struct cuts {
    pthread_mutex_t mutex;
    struct rng rng;
    struct row rows[CUTS_FILES_MAX];
};

struct cuts *cuts_create(uint64_t seed)
{
    struct cuts *self = calloc(1, sizeof *self);
    if (self == NULL || pthread_mutex_init(&self->mutex, NULL) != 0) {
        free(self);
        return NULL;
    }
    rng_init(&self->rng, seed);
    return self;
}

static void forget(struct row *row)
{
    free(row->tail);
    *row = (struct row){0};
}

void cuts_destroy(struct cuts **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct cuts *self = *self_p;
    *self_p = NULL;
    for (size_t i = 0; i < CUTS_FILES_MAX; i++) {
        forget(&self->rows[i]);
    }
    (void)pthread_mutex_destroy(&self->mutex);
    free(self);
}

void cuts_lock(struct cuts *self)
{
    (void)pthread_mutex_lock(&self->mutex);
}

bool cuts_try_lock(struct cuts *self)
{
    return pthread_mutex_trylock(&self->mutex) == 0;
}

void cuts_unlock(struct cuts *self)
{
    (void)pthread_mutex_unlock(&self->mutex);
}

static size_t index_of(const struct cuts *self, const struct stat *file)
{
    size_t index = 0;
    while (index < CUTS_FILES_MAX &&
           (!self->rows[index].used || self->rows[index].inode != file->st_ino ||
            self->rows[index].device != file->st_dev)) {
        index++;
    }
    return index;
}

static struct row *find(struct cuts *self, const struct stat *file)
{
    size_t index = index_of(self, file);
    return index < CUTS_FILES_MAX ? &self->rows[index] : NULL;
}

static struct row *add(struct cuts *self, const struct stat *file)
{
    for (size_t i = 0; i < CUTS_FILES_MAX; i++) {
        struct row *row = &self->rows[i];
        if (!row->used) {
            *row = (struct row){.used = true, .device = file->st_dev, .inode = file->st_ino};
            row->file.life = (uint32_t)rng_next(&self->rng) | 1;
            return row;
        }
    }
    return NULL;
}

const struct cuts_file *cuts_follow(struct cuts *self, const struct stat *file, int64_t now_ms)
{
    invariant(self != NULL);
    struct row *row = find(self, file);
    row = row == NULL ? add(self, file) : row;
    if (row == NULL) {
        return NULL;
    }
    row->asked_ms = now_ms;
    row->file.tail = row->tail;
    return &row->file;
}

const struct cuts_file *cuts_renew(struct cuts *self, const struct stat *file, int64_t now_ms)
{
    struct row *row = find(self, file);
    if (row != NULL) {
        forget(row);
    }
    return cuts_follow(self, file, now_ms);
}

bool cuts_followed(const struct cuts *self, const struct stat *file)
{
    return index_of(self, file) < CUTS_FILES_MAX;
}

/* What was cut before and these bytes are one piece of the log, or only these are kept. */
static void keep_tail(struct row *row, const struct cuts_cut *cut)
{
    struct cuts_file *file = &row->file;
    int64_t end = file->bytes + cut->to;
    int64_t begin = end - (int64_t)cut->length;
    size_t kept = begin == file->tail_end ? (size_t)(file->tail_end - file->tail_begin) : 0;
    size_t room = CUTS_TAIL_BYTES - cut->length;
    size_t stays = kept < room ? kept : room;
    memmove(row->tail, row->tail + kept - stays, stays);
    memcpy(row->tail + stays, cut->last, cut->length);
    file->tail_end = end;
    file->tail_begin = end - (int64_t)(stays + cut->length);
}

void cuts_note(struct cuts *self, const struct stat *file, const struct cuts_cut *cut)
{
    struct row *row = find(self, file);
    if (row == NULL) {
        return;
    }
    invariant(cut->length <= CUTS_TAIL_BYTES);
    row->tail = row->tail == NULL ? malloc(CUTS_TAIL_BYTES) : row->tail;
    if (row->tail != NULL) {
        keep_tail(row, cut);
    }
    row->file.bytes += cut->collapse;
    row->file.filling = cut->filling;
}

void cuts_expire(struct cuts *self, int64_t now_ms)
{
    if (!cuts_try_lock(self)) {
        return;
    }
    for (size_t i = 0; i < CUTS_FILES_MAX; i++) {
        if (self->rows[i].used && now_ms - self->rows[i].asked_ms > CUTS_KEEP_MS) {
            forget(&self->rows[i]);
        }
    }
    cuts_unlock(self);
}
