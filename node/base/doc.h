/* Documents: the JSON that people and programs read, built with jansson, and carried over the
 * control endpoint as MessagePack.
 *
 * Separate library (base_doc), so that what needs no documents links no jansson. */
#ifndef UNDERSTUDY_NODE_BASE_DOC_H
#define UNDERSTUDY_NODE_BASE_DOC_H

#include "node/base/err.h"
#include "node/base/mp.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Write `document` as one MessagePack object. Whole numbers become integers, others doubles.
 *
 * document   borrowed; nested at most MP_DEPTH_MAX deep
 * writer     initialised; its bound limits the size
 *
 * Returns 0; ERR_INVALID when nested too deep, ERR_FULL when the writer's bound is reached. */
int doc_to_msgpack(const json_t *document, struct mp_writer *writer, struct err *err);

/* Read one document out of foreign bytes.
 *
 * bytes[length]   exactly one MessagePack object
 * limits          of size, elements and depth; checked before anything is allocated
 * ret             a new reference, the caller's; written only on success
 *
 * A double that is not finite becomes null, as JSON knows none. Returns 0; ERR_PROTO for binaries,
 * text that is not UTF-8, integers above INT64_MAX, map keys that are no text or come twice;
 * ERR_NOMEM. */
int doc_from_msgpack(const uint8_t *bytes, size_t length, const struct mp_limits *limits,
                     json_t **ret, struct err *err);

/* The same from an object that mp_parse built (and so checked) already. */
int doc_from_object(const msgpack_object *object, json_t **ret, struct err *err);

/* Values for documents; each returns a new reference, NULL only when out of memory. What is not
 * known is null, never 0 or "". */
json_t *doc_time(int64_t wall_ms);               /* RFC 3339 UTC with milliseconds; < 0 is null */
json_t *doc_text(const char *text);              /* NULL and "" are null; not UTF-8 is mended */
json_t *doc_real(double value);                  /* not finite is null */
json_t *doc_rounded(double value, int decimals); /* 0..6 decimals; not finite is null */
json_t *doc_count_or_null(int64_t value);        /* negative is null */

/* The same document for jansson's iterators, which take it writable and do not change it. */
static inline json_t *doc_writable(const json_t *document)
{
    union {
        const json_t *in;
        json_t *out;
    } cast = {.in = document};
    return cast.out;
}

/* Typed reads of a member; the fallback when `object` is no object or the member is missing or of
 * another type. Text is borrowed from the document. */
const char *doc_get_text(const json_t *object, const char *key, const char *fallback);
int64_t doc_get_integer(const json_t *object, const char *key, int64_t fallback);
bool doc_get_bool(const json_t *object, const char *key, bool fallback);

/* One line of JSON, members in the order they were set; free() it. NULL when out of memory. */
char *doc_dump(const json_t *document);

#endif
