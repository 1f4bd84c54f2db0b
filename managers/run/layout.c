#include "managers/run/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct layout layout_of(uint64_t bytes)
{
    return (struct layout){.head_bytes = bytes / 4, .tail_bytes = bytes - bytes / 4};
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void add(struct layout_piece *pieces, size_t *count, uint64_t at, uint64_t from,
                uint64_t length)
{
    if (length > 0) {
        pieces[(*count)++] = (struct layout_piece){.at = at, .from = from, .length = length};
    }
}

size_t layout_write(const struct layout *self, uint64_t total, uint64_t length,
                    struct layout_piece ret[LAYOUT_PIECES_MAX])
{
    size_t count = 0;
    uint64_t done = 0;
    if (total < self->head_bytes) {
        done = least(length, self->head_bytes - total);
        add(ret, &count, total, 0, done);
    }
    uint64_t rest = length - done;
    if (rest > self->tail_bytes) {
        done += rest - self->tail_bytes;
        rest = self->tail_bytes;
    }
    if (rest > 0) {
        uint64_t place = (total + done - self->head_bytes) % self->tail_bytes;
        uint64_t first = least(rest, self->tail_bytes - place);
        add(ret, &count, self->head_bytes + place, done, first);
        add(ret, &count, self->head_bytes, done + first, rest - first);
    }
    return count;
}

void layout_view(const struct layout *self, uint64_t total, struct layout_view *ret)
{
    *ret = (struct layout_view){0};
    uint64_t head = least(total, self->head_bytes);
    uint64_t tail = total - head;
    add(ret->pieces, &ret->count, 0, 0, head);
    ret->cut_at = head;
    if (tail > self->tail_bytes) {
        ret->cut_bytes = tail - self->tail_bytes;
        (void)snprintf(ret->cut, sizeof ret->cut, "\n... %" PRIu64 " bytes were cut here ...\n",
                       ret->cut_bytes);
        ret->cut_length = strlen(ret->cut);
        uint64_t place = tail % self->tail_bytes; /* the oldest byte of the ring */
        uint64_t from = head + ret->cut_length;
        add(ret->pieces, &ret->count, self->head_bytes + place, from, self->tail_bytes - place);
        add(ret->pieces, &ret->count, self->head_bytes, from + self->tail_bytes - place, place);
        tail = self->tail_bytes;
    } else {
        add(ret->pieces, &ret->count, self->head_bytes, head, tail);
    }
    ret->length = head + ret->cut_length + tail;
}
