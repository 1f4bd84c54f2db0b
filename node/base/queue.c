#include "node/base/queue.h"

#include "node/base/err.h"
#include "node/base/invariant.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct slot {
    enum queue_class item_class;
    void *item;
};

struct queue {
    pthread_mutex_t mutex;
    int event_fd;
    size_t capacity;
    size_t first;
    size_t length;
    uint64_t dropped;
    queue_item_free *item_free;
    struct slot slots[];
};

struct queue *queue_create(size_t capacity, queue_item_free *item_free)
{
    invariant(capacity > 0);
    struct queue *self = calloc(1, sizeof *self + capacity * sizeof self->slots[0]);
    if (self == NULL) {
        return NULL;
    }
    self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->event_fd < 0) {
        free(self);
        return NULL;
    }
    (void)pthread_mutex_init(&self->mutex, NULL);
    self->capacity = capacity;
    self->item_free = item_free;
    return self;
}

void queue_destroy(struct queue **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct queue *self = *self_p;
    for (void *item = queue_pop(self); item != NULL; item = queue_pop(self)) {
        self->item_free(item);
    }
    (void)close(self->event_fd);
    (void)pthread_mutex_destroy(&self->mutex);
    free(self);
    *self_p = NULL;
}

static struct slot *slot_at(struct queue *self, size_t offset)
{
    return &self->slots[(self->first + offset) % self->capacity];
}

/* Removes the oldest observation and returns it; NULL when only commands wait. */
static void *evict_observation(struct queue *self)
{
    for (size_t i = 0; i < self->length; i++) {
        struct slot *slot = slot_at(self, i);
        if (slot->item_class != QUEUE_OBSERVATION) {
            continue;
        }
        void *item = slot->item;
        for (size_t k = i; k + 1 < self->length; k++) {
            *slot_at(self, k) = *slot_at(self, k + 1);
        }
        self->length--;
        self->dropped++;
        return item;
    }
    return NULL;
}

int queue_push(struct queue *self, enum queue_class item_class, void *item)
{
    invariant(item != NULL);
    void *evicted = NULL;
    (void)pthread_mutex_lock(&self->mutex);
    if (self->length == self->capacity) {
        evicted = evict_observation(self);
    }
    bool fits = self->length < self->capacity;
    bool was_empty = self->length == 0;
    if (fits) {
        *slot_at(self, self->length) = (struct slot){.item_class = item_class, .item = item};
        self->length++;
    }
    (void)pthread_mutex_unlock(&self->mutex);
    if (evicted != NULL) {
        self->item_free(evicted);
    }
    if (!fits) {
        return ERR_FULL;
    }
    if (was_empty) {
        uint64_t one = 1;
        (void)!write(self->event_fd, &one, sizeof one); /* can only fail when already readable */
    }
    return 0;
}

void *queue_pop(struct queue *self)
{
    void *item = NULL;
    (void)pthread_mutex_lock(&self->mutex);
    if (self->length > 0) {
        item = slot_at(self, 0)->item;
        self->first = (self->first + 1) % self->capacity;
        self->length--;
    }
    if (self->length == 0) {
        /* Cleared under the lock: a push that follows signals again. */
        uint64_t count;
        (void)!read(self->event_fd, &count, sizeof count);
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return item;
}

int queue_fd(const struct queue *self)
{
    return self->event_fd;
}

uint64_t queue_dropped(struct queue *self)
{
    (void)pthread_mutex_lock(&self->mutex);
    uint64_t dropped = self->dropped;
    (void)pthread_mutex_unlock(&self->mutex);
    return dropped;
}

size_t queue_length(struct queue *self)
{
    (void)pthread_mutex_lock(&self->mutex);
    size_t length = self->length;
    (void)pthread_mutex_unlock(&self->mutex);
    return length;
}
