/* A sum over what is to run, equal on every node that is configured alike: FNV-1a, 64 bits (Fowler,
 * Noll, Vo), over each part with its length. It finds what differs by mistake, not by malice. */
#ifndef UNDERSTUDY_MANAGERS_RUN_DIGEST_H
#define UNDERSTUDY_MANAGERS_RUN_DIGEST_H

#include <jansson.h>
#include <stdint.h>

#define DIGEST_START UINT64_C(14695981039346656037)

uint64_t digest_number(uint64_t sum, int64_t value);
uint64_t digest_text(uint64_t sum, const char *text); /* NULL differs from "" */
/* Members of an object in the order of their names, whatever order they stand in. */
uint64_t digest_json(uint64_t sum, const json_t *value);

#endif
