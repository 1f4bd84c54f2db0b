/* Where the bytes of a run's output go in a file of bounded size: its beginning is kept, and its
 * end, in a ring; what lies between is counted and cut. Pure.
 *
 *     [head_bytes] [ring of tail_bytes]
 *
 * Everything follows from how many bytes came in all, so the file can be read at any time, and gone
 * on with by a process that did not begin it. */
#ifndef UNDERSTUDY_MANAGERS_RUN_LAYOUT_H
#define UNDERSTUDY_MANAGERS_RUN_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define LAYOUT_PIECES_MAX 4
#define LAYOUT_CUT_SIZE 64

struct layout {
    uint64_t head_bytes;
    uint64_t tail_bytes; /* > 0 */
};

/* A quarter for the beginning, the rest for the end, where the reason of a failure is.
 * bytes >= 4. */
struct layout layout_of(uint64_t bytes);

/* A stretch of the file; of a write also where its bytes are taken from. */
struct layout_piece {
    uint64_t at;   /* in the file */
    uint64_t from; /* in the bytes that came */
    uint64_t length;
};

/* Where the next `length` bytes go when `total` came before. Bytes that later ones of the same call
 * would write over are left out. Returns how many pieces. */
size_t layout_write(const struct layout *self, uint64_t total, uint64_t length,
                    struct layout_piece ret[LAYOUT_PIECES_MAX]);

/* The output as a person reads it, when `total` bytes came: the head, a line that says how much was
 * cut (when anything was), the tail. */
struct layout_view {
    struct layout_piece pieces[LAYOUT_PIECES_MAX]; /* `from` counts in the view */
    size_t count;
    uint64_t cut_at; /* in the view: where the line is; its length may be 0 */
    uint64_t cut_length;
    uint64_t cut_bytes; /* left out */
    char cut[LAYOUT_CUT_SIZE];
    uint64_t length; /* of the whole view */
};

void layout_view(const struct layout *self, uint64_t total, struct layout_view *ret);

#endif
