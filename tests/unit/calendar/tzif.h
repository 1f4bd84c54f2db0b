/* Writes zone files (TZif, RFC 9636) of our own making: for tests, and for seeds of fuzzers. */
#ifndef UNDERSTUDY_TESTS_UNIT_CALENDAR_TZIF_H
#define UNDERSTUDY_TESTS_UNIT_CALENDAR_TZIF_H

#include <stddef.h>
#include <stdint.h>

#define TZIF_TYPES_MAX 256

struct tzif {
    char version; /* '1' to '4'; 0: '2' */
    size_t change_count;
    const int64_t *times;
    const uint8_t *types; /* that begin then */
    size_t type_count;
    const int32_t *offsets; /* of the types */
    size_t leap_count;
    const char *footer; /* without its newlines; NULL: the file ends before it */
};

/* Bytes written; 0: `size` is too small. The block of version 1 in front says other things than the
 * rest, so that who does not skip it is found out. */
size_t tzif_encode(const struct tzif *file, uint8_t *ret, size_t size);

#endif
