/* Lines from the chunks of a log, which end anywhere. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LINES_H
#define UNDERSTUDY_MANAGERS_PM2_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINES_BYTES_MAX \
    1024 /* of one line, with its NUL; the rest of a longer one is not looked at */

/* Of one stream of one process. All zero: nothing was read. */
struct lines {
    char text[LINES_BYTES_MAX];
    size_t length;
    bool skipping;    /* to the end of a line that was handed out already, or that lost a part */
    int64_t since_ms; /* when the line began to come */
};

/* `line` is terminated, without its end, and holds no other NUL; borrowed for the call. */
typedef void lines_fn(void *context, const char *line, size_t length);

/* Calls for every line that ends in the chunk, or grows too long in it. */
void lines_take(struct lines *self, const char *data, size_t length, int64_t now_ms,
                lines_fn *function, void *context);

/* Calls for a line that has not ended for wait_ms: a prompt, or the last words of a process. */
void lines_flush(struct lines *self, int64_t wait_ms, int64_t now_ms, lines_fn *function,
                 void *context);

/* Bytes of the stream were not read: the line that was under way is lost. */
void lines_break(struct lines *self);

#endif
