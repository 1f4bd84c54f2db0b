#include "managers/pm2/verbs/cursor.h"

#include <string.h>

#define VERSION 1
#define FLAG_SKIPPING 1

static const char digits[] = "0123456789abcdef";

/* FNV-1a, as in managers/run/digest.h. */
uint64_t cursor_sum(const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    uint64_t sum = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < length; i++) {
        sum = (sum ^ at[i]) * UINT64_C(1099511628211);
    }
    return sum;
}

uint32_t cursor_path_sum(const char *path)
{
    uint64_t sum = cursor_sum(path, strlen(path));
    return (uint32_t)(sum ^ (sum >> 32));
}

static char *put(char *at, uint64_t value, unsigned bytes)
{
    for (unsigned digit = 2 * bytes; digit > 0; digit--) {
        *at++ = digits[(value >> (4 * (digit - 1))) & 15];
    }
    return at;
}

void cursor_encode(const struct cursor *cursor, char ret[CURSOR_SIZE])
{
    char *at = put(ret, VERSION, 1);
    at = put(at, cursor->skipping ? FLAG_SKIPPING : 0, 1);
    at = put(at, cursor->path, 4);
    at = put(at, cursor->inode, 8);
    at = put(at, (uint64_t)cursor->born_ns, 8);
    at = put(at, cursor->life, 4);
    at = put(at, (uint64_t)cursor->position, 6);
    at = put(at, (uint64_t)cursor->cut, 6);
    at = put(at, cursor->anchor_length, 2);
    at = put(at, cursor->anchor, 8);
    *at = '\0';
}

/* The text has the right length and digits alone. */
static uint64_t get(const char **at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 2 * bytes; i++) {
        value = value << 4 | (uint64_t)(strchr(digits, *(*at)++) - digits);
    }
    return value;
}

int cursor_decode(const char *text, struct cursor *ret, struct err *err)
{
    if (strlen(text) != CURSOR_SIZE - 1 || strspn(text, digits) != CURSOR_SIZE - 1) {
        return err_set(err, ERR_PROTO, "is no cursor");
    }
    const char *at = text;
    uint64_t version = get(&at, 1);
    uint64_t flags = get(&at, 1);
    struct cursor cursor = {.skipping = flags == FLAG_SKIPPING};
    cursor.path = (uint32_t)get(&at, 4);
    cursor.inode = get(&at, 8);
    cursor.born_ns = (int64_t)get(&at, 8);
    cursor.life = (uint32_t)get(&at, 4);
    cursor.position = (int64_t)get(&at, 6);
    cursor.cut = (int64_t)get(&at, 6);
    cursor.anchor_length = get(&at, 2);
    cursor.anchor = get(&at, 8);
    int64_t offset = cursor.position - cursor.cut;
    if (version != VERSION || flags > FLAG_SKIPPING || cursor.anchor_length > CURSOR_ANCHOR_MAX ||
        (int64_t)cursor.anchor_length > (offset > 0 ? offset : 0)) {
        return err_set(err, ERR_PROTO, "is a cursor of another kind");
    }
    *ret = cursor;
    return 0;
}
