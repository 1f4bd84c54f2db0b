/* Where somebody who follows a log has stopped, as a text that he keeps and gives back. It comes
 * from outside: nothing in it is believed (follow.h). Pure.
 *
 * 96 lower hexadecimal digits: version, flags, path, inode, birth, life, position, cut, length and
 * sum of the anchor, each number with its most significant byte first. */
#ifndef UNDERSTUDY_MANAGERS_PM2_CURSOR_H
#define UNDERSTUDY_MANAGERS_PM2_CURSOR_H

#include "node/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CURSOR_SIZE 97         /* bytes of the text with its NUL */
#define CURSOR_ANCHOR_MAX 1024 /* bytes before the place, that it is known again by */

struct cursor {
    uint32_t path;    /* sum of the file's path, cursor_path_sum */
    uint64_t inode;   /* 0: there was no file; what comes is new from its beginning */
    int64_t born_ns;  /* of the inode, wall clock; 0: its file system does not tell */
    uint32_t life;    /* of the knowledge of its cuts (logs/cuts.h); 0: there was none */
    int64_t position; /* offset + cut; 0 to CURSOR_POSITION_MAX */
    int64_t cut;      /* what was known to be cut; the same bounds */
    size_t anchor_length;
    uint64_t anchor; /* cursor_sum of the bytes before the place */
    bool skipping;   /* within a line that was too long: the rest of it is left out */
};
#define CURSOR_POSITION_MAX ((INT64_C(1) << 48) - 1)

uint64_t cursor_sum(const void *bytes, size_t length);
uint32_t cursor_path_sum(const char *path);

void cursor_encode(const struct cursor *cursor, char ret[CURSOR_SIZE]);

/* ERR_PROTO. *ret is written only on success; an anchor is never longer than what is before the
 * place. */
int cursor_decode(const char *text, struct cursor *ret, struct err *err);

#endif
