/* UTF-8 as RFC 3629 has it. Pure. */
#ifndef UNDERSTUDY_NODE_BASE_UTF8_H
#define UNDERSTUDY_NODE_BASE_UTF8_H

#include <stddef.h>

/* Bytes (1 to 4) of the character at text[left]; 0 when it is malformed, cut off or NUL, or `left`
 * is 0. */
size_t utf8_length(const char *text, size_t left);

#endif
