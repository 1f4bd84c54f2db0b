#include "managers/pm2/watch/lines.h"

#include <string.h>

static void hand_out(struct lines *self, lines_fn *function, void *context)
{
    size_t length = self->length;
    if (length > 0 && self->text[length - 1] == '\r') {
        length--;
    }
    self->text[length] = '\0';
    self->length = 0;
    if (length > 0) {
        function(context, self->text, length);
    }
}

static void append(struct lines *self, const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        self->text[self->length + i] = data[i];
        if (data[i] == '\0') {
            self->text[self->length + i] = ' ';
        }
    }
    self->length += length;
}

/* At most up to the end of a line; returns how much of the piece was taken. */
static size_t take_piece(struct lines *self, const char *data, size_t length, lines_fn *function,
                         void *context)
{
    const char *end = memchr(data, '\n', length);
    size_t whole = end != NULL ? (size_t)(end - data) : length;
    size_t room = LINES_BYTES_MAX - 1 - self->length;
    if (!self->skipping) {
        append(self, data, whole < room ? whole : room);
        if (whole >= room) {
            hand_out(self, function, context);
            self->skipping = true;
        }
    }
    if (end == NULL) {
        return length;
    }
    if (!self->skipping) {
        hand_out(self, function, context);
    }
    self->skipping = false;
    return whole + 1;
}

void lines_take(struct lines *self, const char *data, size_t length, int64_t now_ms,
                lines_fn *function, void *context)
{
    for (size_t done = 0; done < length;) {
        if (self->length == 0) {
            self->since_ms = now_ms;
        }
        done += take_piece(self, data + done, length - done, function, context);
    }
}

void lines_flush(struct lines *self, int64_t wait_ms, int64_t now_ms, lines_fn *function,
                 void *context)
{
    if (self->length > 0 && now_ms - self->since_ms >= wait_ms) {
        hand_out(self, function, context);
        self->skipping = true;
    }
}

void lines_break(struct lines *self)
{
    self->length = 0;
    self->skipping = true;
}
