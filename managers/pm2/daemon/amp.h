/* AMP version 1, the framing of PM2's two sockets.
 *
 * frame := meta(1 byte: version << 4 | argc) arg*argc; arg := length(4 bytes, big endian) payload.
 * A payload begins with "s:" (text), "j:" (JSON) or neither (bytes).
 *
 * The parser takes bytes as they come, split or merged, and keeps at most `bound` bytes of one
 * frame: a larger one is read to its end and told as oversized, because a bus that is not drained
 * makes PM2 grow without limit. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_AMP_H
#define UNDERSTUDY_MANAGERS_PM2_AMP_H

#include "node/base/buffer.h"
#include "node/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AMP_ARGS_MAX 15
/* Longer than anything PM2 could mean: the stream is out of step, and only a new connection helps.
 */
#define AMP_ARG_BYTES_MAX (256u << 20)

enum amp_type { AMP_BYTES, AMP_TEXT, AMP_JSON };

struct amp_arg {
    enum amp_type type;
    const char *data; /* without the two bytes of the type; not terminated */
    size_t length;
};

struct amp_parser {
    struct buffer bytes; /* payloads of the frame, one after the other */
    size_t offsets[AMP_ARGS_MAX];
    size_t lengths[AMP_ARGS_MAX];
    unsigned argc;    /* 0: the next byte is a meta byte */
    unsigned arg;     /* the one that is being read */
    unsigned header;  /* bytes of its length that were read */
    uint32_t length;  /* of its payload */
    uint32_t payload; /* bytes of it that were read */
    bool oversized;
    bool complete;
};

void amp_parser_init(struct amp_parser *self, size_t bound);
void amp_parser_deinit(struct amp_parser *self);

/* Take bytes up to the end of a frame. *ret_used says how many; *ret_complete that a frame ended
 * there: read it with amp_parser_arg before the next call. ERR_PROTO: not AMP; give the connection
 * up. */
int amp_parser_feed(struct amp_parser *self, const uint8_t *bytes, size_t length, size_t *ret_used,
                    bool *ret_complete, struct err *err);

/* Of the complete frame. An oversized one has no arguments. */
unsigned amp_parser_argc(const struct amp_parser *self);
bool amp_parser_arg(const struct amp_parser *self, unsigned index, struct amp_arg *ret);

/* Append a request frame: exactly two arguments, JSON and text, both not empty (PM2's parser stalls
 * on empty ones). `json` is one complete JSON value. ERR_INVALID, ERR_FULL. */
int amp_put_request(struct buffer *out, const char *json, const char *id, struct err *err);

#endif
