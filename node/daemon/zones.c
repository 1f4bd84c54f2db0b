#include "node/daemon/zones.h"

#include "node/base/thread.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FOLDER "/usr/share/zoneinfo"
#define PATH_SIZE 512

enum row_state { ROW_WAITS, ROW_READ, ROW_FAILED };

struct row {
    char name[ZONE_NAME_SIZE];
    enum row_state state;
    struct zone *zone;
    struct err err;
};

struct zones {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    pthread_t thread;
    bool started;
    bool stop;
    int done_fd;
    size_t count;
    struct row *rows[ZONES_MAX];
};

bool zones_valid_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789/_+-";
    size_t length = strlen(name);
    return length > 0 && length < ZONE_NAME_SIZE && strspn(name, allowed) == length &&
           name[0] != '/' && name[length - 1] != '/' && strstr(name, "//") == NULL;
}

/* ---- the thread ---- */

/* The bytes of a whole file, ZONE_BYTES_MAX at most: malloc'd. */
static int read_file(const char *name, uint8_t **ret, size_t *ret_length, struct err *err)
{
    const char *folder = getenv("TZDIR");
    char path[PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/%s",
                          folder != NULL && folder[0] == '/' ? folder : FOLDER, name);
    if (length >= (int)sizeof path) {
        return err_set(err, ERR_INVALID, "zone %s: its path is too long", name);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set(err, ERR_NOTFOUND,
                       "no time zone %s in %s; a name is wanted like Europe/Berlin or UTC", name,
                       folder != NULL && folder[0] == '/' ? folder : FOLDER);
    }
    uint8_t *bytes = malloc(ZONE_BYTES_MAX + 1);
    size_t have = 0;
    ssize_t got = bytes == NULL ? -1 : 1;
    while (got > 0 && have <= ZONE_BYTES_MAX) {
        got = read(fd, bytes + have, ZONE_BYTES_MAX + 1 - have);
        have += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd);
    if (bytes == NULL || got < 0 || have > ZONE_BYTES_MAX) {
        free(bytes);
        return err_set(err, bytes == NULL ? ERR_NOMEM : ERR_IO, "%s: cannot be read as a zone",
                       path);
    }
    *ret = bytes;
    *ret_length = have;
    return 0;
}

static struct zone *read_zone(const char *name, struct err *err)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    struct zone *zone = NULL;
    if (read_file(name, &bytes, &length, err) == 0) {
        (void)zone_decode(bytes, length, name, &zone, err);
        free(bytes);
    }
    return zone;
}

static struct row *next_waiting(struct zones *self)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->rows[i]->state == ROW_WAITS) {
            return self->rows[i];
        }
    }
    return NULL;
}

static void *run(void *argument)
{
    struct zones *self = argument;
    (void)pthread_mutex_lock(&self->mutex);
    while (!self->stop) {
        struct row *row = next_waiting(self);
        if (row == NULL) {
            (void)pthread_cond_wait(&self->work, &self->mutex);
            continue;
        }
        char name[ZONE_NAME_SIZE];
        memcpy(name, row->name, sizeof name);
        (void)pthread_mutex_unlock(&self->mutex);
        struct err err = {0};
        struct zone *zone = read_zone(name, &err);
        (void)pthread_mutex_lock(&self->mutex);
        row->zone = zone;
        row->err = err;
        row->state = zone != NULL ? ROW_READ : ROW_FAILED;
        uint64_t one = 1;
        (void)!write(self->done_fd, &one, sizeof one);
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return NULL;
}

static bool start(struct zones *self)
{
    self->started = thread_start(&self->thread, run, self) == 0;
    return self->started;
}

/* ---- the loop's side ---- */

struct zones *zones_create(void)
{
    struct zones *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&self->mutex, NULL);
    (void)pthread_cond_init(&self->work, NULL);
    self->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->done_fd < 0 || !start(self)) {
        zones_destroy(&self);
    }
    return self;
}

void zones_destroy(struct zones **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct zones *self = *self_p;
    if (self->started) {
        (void)pthread_mutex_lock(&self->mutex);
        self->stop = true;
        (void)pthread_cond_signal(&self->work);
        (void)pthread_mutex_unlock(&self->mutex);
        (void)pthread_join(self->thread, NULL);
    }
    for (size_t i = 0; i < self->count; i++) {
        zone_destroy(&self->rows[i]->zone);
        free(self->rows[i]);
    }
    if (self->done_fd >= 0) {
        (void)close(self->done_fd);
    }
    (void)pthread_cond_destroy(&self->work);
    (void)pthread_mutex_destroy(&self->mutex);
    free(self);
    *self_p = NULL;
}

static struct row *find(const struct zones *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->rows[i]->name, name) == 0) {
            return self->rows[i];
        }
    }
    return NULL;
}

static int ask(struct zones *self, const char *name, struct err *err)
{
    if (!zones_valid_name(name)) {
        return err_set(err, ERR_INVALID, "%s is no time zone's name; one is like Europe/Berlin",
                       name);
    }
    if (self->count == ZONES_MAX) {
        return err_set(err, ERR_FULL, "more than %d time zones", ZONES_MAX);
    }
    struct row *row = calloc(1, sizeof *row);
    if (row == NULL) {
        return err_set(err, ERR_NOMEM, "zone %s", name);
    }
    (void)snprintf(row->name, sizeof row->name, "%s", name);
    self->rows[self->count++] = row;
    (void)pthread_cond_signal(&self->work);
    return 0;
}

const struct zone *zones_get(struct zones *self, const char *name, struct err *err)
{
    const struct zone *zone = NULL;
    (void)pthread_mutex_lock(&self->mutex);
    struct row *row = find(self, name);
    if (row == NULL) {
        (void)ask(self, name, err);
    } else if (row->state == ROW_READ) {
        zone = row->zone;
    } else if (row->state == ROW_FAILED && err != NULL) {
        *err = row->err;
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return zone;
}

int zones_fd(const struct zones *self)
{
    return self->done_fd;
}

void zones_clear(struct zones *self)
{
    uint64_t count;
    (void)!read(self->done_fd, &count, sizeof count);
}
