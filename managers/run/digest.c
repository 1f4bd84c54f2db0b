#include "managers/run/digest.h"

#include "node/base/doc.h"

#include <stdlib.h>
#include <string.h>

static uint64_t add_bytes(uint64_t sum, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < length; i++) {
        sum = (sum ^ at[i]) * UINT64_C(1099511628211);
    }
    return sum;
}

uint64_t digest_number(uint64_t sum, int64_t value)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)((uint64_t)value >> (8 * i));
    }
    return add_bytes(sum, bytes, sizeof bytes);
}

uint64_t digest_text(uint64_t sum, const char *text)
{
    if (text == NULL) {
        return digest_number(sum, -1);
    }
    size_t length = strlen(text);
    return add_bytes(digest_number(sum, (int64_t)length), text, length);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static uint64_t add_object(uint64_t sum, const json_t *object)
{
    size_t count = json_object_size(object);
    const char **names = calloc(count + 1, sizeof *names);
    if (names == NULL) {
        return sum; /* then the node counts as configured otherwise, and runs nothing */
    }
    size_t filled = 0;
    const char *name;
    json_t *value;
    json_object_foreach(doc_writable(object), name, value)
    {
        names[filled++] = name;
    }
    qsort(names, filled, sizeof *names, by_name);
    sum = digest_number(sum, (int64_t)filled);
    for (size_t i = 0; i < filled; i++) {
        sum = digest_text(sum, names[i]);
        sum = digest_json(sum, json_object_get(object, names[i]));
    }
    free(names);
    return sum;
}

uint64_t digest_json(uint64_t sum, const json_t *value)
{
    if (json_is_object(value)) {
        return add_object(sum, value);
    }
    if (json_is_array(value)) {
        sum = digest_number(sum, (int64_t)json_array_size(value));
        for (size_t i = 0; i < json_array_size(value); i++) {
            sum = digest_json(sum, json_array_get(value, i));
        }
        return sum;
    }
    if (json_is_integer(value)) {
        return digest_number(sum, json_integer_value(value));
    }
    return digest_text(sum, json_string_value(value));
}
