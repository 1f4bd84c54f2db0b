/* Bytes as text for documents, which hold no bytes: base64 (RFC 4648, section 4), with padding. */
#ifndef UNDERSTUDY_NODE_SNAPSHOT_PAGE_TEXT_H
#define UNDERSTUDY_NODE_SNAPSHOT_PAGE_TEXT_H

#include "node/base/buffer.h"
#include "node/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes of the text for `length` bytes, with its NUL. */
#define PAGE_TEXT_SIZE(length) (((length) + 2) / 3 * 4 + 1)

/* `ret` has room for PAGE_TEXT_SIZE(length). */
void page_text_encode(const uint8_t *bytes, size_t length, char *ret);

/* Append the bytes that the text stands for. 0; ERR_PROTO: it is no such text, nothing was
 * appended; ERR_FULL: over the buffer's bound, or out of memory. */
int page_text_decode(const char *text, size_t length, struct buffer *ret, struct err *err);

#endif
