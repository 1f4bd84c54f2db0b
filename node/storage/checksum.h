/* FNV-1a, 64 bits (Fowler, Noll, Vo): a single changed byte always changes the sum, as every step
 * is a bijection. Against decay and torn writes, not against people. */
#ifndef UNDERSTUDY_NODE_STORAGE_CHECKSUM_H
#define UNDERSTUDY_NODE_STORAGE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#define CHECKSUM_START 0xcbf29ce484222325u

uint64_t checksum_bytes(uint64_t sum, const void *bytes, size_t length);
/* The eight bytes of `value`, lowest first, on every machine. */
uint64_t checksum_u64(uint64_t sum, uint64_t value);

#endif
