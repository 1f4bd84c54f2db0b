/* MessagePack with limits, on top of msgpack-c.
 *
 * Reading: mp_parse first walks the bytes without allocating and refuses what is too deep, too
 * long, truncated, or claims more elements than the bytes could hold; only then the library
 * builds the object tree. Getters check the type and never trust a peer.
 *
 * Writing: msgpack-c's packer into a bounded buffer; a failed write is remembered in
 * `buffer.failed`, so an encoder checks once at its end (mp_writer_ok). */
#ifndef UNDERSTUDY_NODE_BASE_MP_H
#define UNDERSTUDY_NODE_BASE_MP_H

#include "node/base/buffer.h"
#include "node/base/err.h"

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MP_DEPTH_MAX 16 /* below the library's own stack of 32 */

struct mp_limits {
    size_t bytes;    /* of the whole message */
    size_t elements; /* objects of every kind together, containers included */
    size_t depth;    /* nesting of arrays and maps, at most MP_DEPTH_MAX */
};

struct mp_doc {
    msgpack_zone *zone; /* owns the tree; strings and binaries point into the parsed bytes */
    msgpack_object root;
};

/* Walk only: 0 when `bytes` hold exactly one object within the limits. */
int mp_check(const uint8_t *bytes, size_t length, const struct mp_limits *limits, struct err *err);

/* Parse into *ret; end it with mp_doc_deinit. `bytes` must outlive the document. */
int mp_parse(const uint8_t *bytes, size_t length, const struct mp_limits *limits,
             struct mp_doc *ret, struct err *err);
void mp_doc_deinit(struct mp_doc *self);

/* Array of at least `count_min` elements (newer versions may append fields), or NULL. */
const msgpack_object *mp_array(const msgpack_object *object, size_t count_min);
size_t mp_count(const msgpack_object *object); /* elements of an array or map, else 0 */
const msgpack_object *mp_at(const msgpack_object *array, size_t index); /* NULL when absent */
/* Value of a string key in a map, or NULL. */
const msgpack_object *mp_get(const msgpack_object *map, const char *key);

/* Typed reads: true and *ret set when the object is there and of that type. Integers refuse
 * negative and out-of-range values; a number accepts integers and floats. */
bool mp_u64(const msgpack_object *object, uint64_t *ret);
bool mp_i64(const msgpack_object *object, int64_t *ret);
bool mp_u32(const msgpack_object *object, uint32_t *ret);
bool mp_bool(const msgpack_object *object, bool *ret);
bool mp_number(const msgpack_object *object, double *ret);
bool mp_bytes(const msgpack_object *object, const uint8_t **ret, size_t *ret_length);
/* Copies a string of at most size - 1 bytes without embedded NUL into `ret`, terminated. */
bool mp_text(const msgpack_object *object, char *ret, size_t size);
bool mp_is(const msgpack_object *object, const char *text);

struct mp_writer {
    struct buffer buffer;
    msgpack_packer packer;
};

void mp_writer_init(struct mp_writer *self, size_t bytes_max);
void mp_writer_deinit(struct mp_writer *self);
void mp_writer_clear(struct mp_writer *self);
bool mp_writer_ok(const struct mp_writer *self);

void mp_put_array(struct mp_writer *self, size_t count);
void mp_put_map(struct mp_writer *self, size_t count);
void mp_put_u64(struct mp_writer *self, uint64_t value);
void mp_put_i64(struct mp_writer *self, int64_t value);
void mp_put_bool(struct mp_writer *self, bool value);
void mp_put_double(struct mp_writer *self, double value);
void mp_put_nil(struct mp_writer *self);
void mp_put_text(struct mp_writer *self, const char *text); /* NULL writes nil */
void mp_put_bytes(struct mp_writer *self, const void *bytes, size_t length);
/* Bytes that are msgpack already (a nested document). */
void mp_put_raw(struct mp_writer *self, const void *bytes, size_t length);

#endif
