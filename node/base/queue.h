/* A bounded queue between threads: mutex and eventfd, so that a poll loop can wait on it and the
 * thread sanitizer can see it. Many writers, one reader; items leave in the order they came.
 *
 * Two kinds of item: a command is never dropped (a full queue refuses it), an observation may be
 * (a full queue drops its oldest observation and counts it). */
#ifndef UNDERSTUDY_NODE_BASE_QUEUE_H
#define UNDERSTUDY_NODE_BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

enum queue_class { QUEUE_COMMAND, QUEUE_OBSERVATION };

typedef void queue_item_free(void *item);

/* capacity > 0 items; `item_free` ends items that are dropped or left at destroy. NULL when out of
 * memory or descriptors. */
struct queue *queue_create(size_t capacity, queue_item_free *item_free);
void queue_destroy(struct queue **self_p);

/* Takes `item` on 0. ERR_FULL: the item stays the caller's. Any thread. */
int queue_push(struct queue *self, enum queue_class item_class, void *item);

/* The oldest item, now the caller's, or NULL. Reader's thread. Never waits. */
void *queue_pop(struct queue *self);

/* Readable while items wait: poll it, then pop until NULL. */
int queue_fd(const struct queue *self);

/* Observations dropped so far; any thread. */
uint64_t queue_dropped(struct queue *self);
size_t queue_length(struct queue *self);

#endif
