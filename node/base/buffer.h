/* A growing byte buffer with a bound. */
#ifndef UNDERSTUDY_NODE_BASE_BUFFER_H
#define UNDERSTUDY_NODE_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;
    size_t length;
    size_t capacity;
    size_t bound; /* bytes; a write past it fails and sets `failed` */
    bool failed;  /* sticky: out of memory or past the bound */
};

void buffer_init(struct buffer *self, size_t bound);
void buffer_deinit(struct buffer *self);

/* Forget the contents, keep the memory. */
void buffer_clear(struct buffer *self);

/* 0, or a negative code with `failed` set. */
int buffer_append(struct buffer *self, const void *bytes, size_t length);

/* Hand the bytes to the caller, who frees them with free(); the buffer is empty after. NULL when
 * empty or failed. */
uint8_t *buffer_take(struct buffer *self, size_t *ret_length);

#endif
