#include "tests/unit/calendar/tzif.h"

#include <stdbool.h>
#include <string.h>

#define RESERVED_BYTES 15
#define NAMES_BYTES 4 /* "XYZ" and its end */

struct output {
    uint8_t *at;
    uint8_t *end;
    bool full;
};

static void put(struct output *output, uint64_t value, size_t bytes)
{
    if ((size_t)(output->end - output->at) < bytes) {
        output->full = true;
        return;
    }
    for (size_t i = 0; i < bytes; i++) {
        output->at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    }
    output->at += bytes;
}

static void put_text(struct output *output, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        put(output, (uint8_t)text[i], 1);
    }
}

static void put_header(struct output *output, const struct tzif *file)
{
    put_text(output, "TZif", 4);
    put(output, (uint8_t)(file->version == '\0' ? '2' : file->version), 1);
    for (int i = 0; i < RESERVED_BYTES; i++) {
        put(output, 0, 1);
    }
    put(output, file->type_count, 4); /* isutcnt */
    put(output, file->type_count, 4); /* isstdcnt */
    put(output, file->leap_count, 4);
    put(output, file->change_count, 4);
    put(output, file->type_count, 4);
    put(output, NAMES_BYTES, 4);
}

static void put_body(struct output *output, const struct tzif *file, size_t time_bytes)
{
    for (size_t i = 0; i < file->change_count; i++) {
        put(output, (uint64_t)file->times[i], time_bytes);
    }
    for (size_t i = 0; i < file->change_count; i++) {
        put(output, file->types[i], 1);
    }
    for (size_t i = 0; i < file->type_count; i++) {
        put(output, (uint32_t)file->offsets[i], 4);
        put(output, i % 2, 1); /* isdst */
        put(output, 0, 1);     /* where its name begins */
    }
    put_text(output, "XYZ", NAMES_BYTES);
    for (size_t i = 0; i < file->leap_count; i++) {
        put(output, 78796800 + i * 31536000, time_bytes);
        put(output, i + 1, 4);
    }
    for (size_t i = 0; i < 2 * file->type_count; i++) {
        put(output, 0, 1);
    }
}

size_t tzif_encode(const struct tzif *file, uint8_t *ret, size_t size)
{
    static const int64_t other_times[] = {-77, 5000, 1000000000};
    static const uint8_t other_types[] = {1, 0, 1};
    static const int32_t other_offsets[] = {12345, -54321};
    const struct tzif other = {.version = file->version,
                               .change_count = 3,
                               .times = other_times,
                               .types = other_types,
                               .type_count = 2,
                               .offsets = other_offsets};
    struct output output = {.at = ret, .end = ret + size};
    put_header(&output, &other);
    put_body(&output, &other, 4);
    put_header(&output, file);
    put_body(&output, file, 8);
    if (file->footer != NULL) {
        put(&output, '\n', 1);
        put_text(&output, file->footer, strlen(file->footer));
        put(&output, '\n', 1);
    }
    return output.full ? 0 : (size_t)(output.at - ret);
}
