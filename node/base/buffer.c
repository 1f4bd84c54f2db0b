#include "node/base/buffer.h"

#include "node/base/err.h"

#include <stdlib.h>
#include <string.h>

void buffer_init(struct buffer *self, size_t bound)
{
    *self = (struct buffer){.bound = bound};
}

void buffer_deinit(struct buffer *self)
{
    free(self->data);
    *self = (struct buffer){0};
}

void buffer_clear(struct buffer *self)
{
    self->length = 0;
    self->failed = false;
}

static int grow(struct buffer *self, size_t needed)
{
    size_t capacity = self->capacity == 0 ? 256 : self->capacity;
    while (capacity < needed) {
        capacity *= 2;
    }
    uint8_t *data = realloc(self->data, capacity);
    if (data == NULL) {
        return ERR_NOMEM;
    }
    self->data = data;
    self->capacity = capacity;
    return 0;
}

int buffer_append(struct buffer *self, const void *bytes, size_t length)
{
    if (self->failed || length > self->bound || self->length > self->bound - length) {
        self->failed = true;
        return ERR_FULL;
    }
    size_t needed = self->length + length;
    if (needed > self->capacity && grow(self, needed) != 0) {
        self->failed = true;
        return ERR_NOMEM;
    }
    if (length > 0) {
        memcpy(self->data + self->length, bytes, length);
    }
    self->length = needed;
    return 0;
}

uint8_t *buffer_take(struct buffer *self, size_t *ret_length)
{
    uint8_t *data = self->failed ? NULL : self->data;
    *ret_length = data == NULL ? 0 : self->length;
    if (data == NULL) {
        free(self->data);
    }
    self->data = NULL;
    self->length = 0;
    self->capacity = 0;
    self->failed = false;
    return data;
}
