/* Patterns of users: POSIX extended regular expressions whose cost is bounded, since they run over
 * text of others on a thread that must not block. Bytes, not characters: the locale is "C". */
#ifndef UNDERSTUDY_NODE_BASE_PATTERN_H
#define UNDERSTUDY_NODE_BASE_PATTERN_H

#include "node/base/err.h"

#include <regex.h>

#define PATTERN_BYTES_MAX 200
#define PATTERN_REPEATS_MAX 64 /* product of the upper bounds of all {m,n} */

/* Compile for "does it match" alone (REG_NOSUB); *ret is ended with regfree. ERR_INVALID says why
 * in words: too long, empty, bad syntax, a back-reference (its search may take exponential time),
 * or repetitions of repetitions (their automaton may take all memory). */
int pattern_compile(const char *text, regex_t *ret, struct err *err);

#endif
