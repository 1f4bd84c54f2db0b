#include "node/config/schema.h"

#include "node/config/config.h"

#include <stdio.h>
#include <string.h>

#define DISTANCE_TEXT 63

bool schema_next_segment(const char **cursor, char *buffer, size_t size)
{
    const char *at = *cursor;
    if (*at == '.') {
        at++;
    }
    if (*at == '\0') {
        return false;
    }
    size_t length = *at == '[' ? 2 : strcspn(at, ".[");
    (void)snprintf(buffer, size, "%.*s", (int)length, at);
    *cursor = at + length;
    return true;
}

/* How many segments of the row agree with the path from its start; all of the path's must. Counts
 * NAMEs in *ret_names and says whether the row ends there. */
static bool matches(const struct schema_row *row, const struct schema_path *path,
                    const char **ret_rest, unsigned *ret_names)
{
    const char *cursor = row->path;
    char segment[64];
    *ret_names = 0;
    for (size_t i = 0; i < path->count; i++) {
        if (!schema_next_segment(&cursor, segment, sizeof(segment))) {
            return false;
        }
        bool element = strcmp(path->segments[i], "[]") == 0;
        if (strcmp(segment, "NAME") == 0 && !element) {
            (*ret_names)++;
        } else if (strcmp(segment, path->segments[i]) != 0) {
            return false;
        }
    }
    *ret_rest = cursor;
    return true;
}

const struct schema_row *schema_find(const struct schema_path *path)
{
    const struct schema_row *best = NULL;
    unsigned best_names = 0;
    for (size_t i = 0; i < schema_row_count; i++) {
        const char *rest = NULL;
        unsigned names = 0;
        if (matches(&schema_rows[i], path, &rest, &names) && *rest == '\0' &&
            (best == NULL || names < best_names)) {
            best = &schema_rows[i];
            best_names = names;
        }
    }
    return best;
}

bool schema_is_section(const struct schema_path *path)
{
    for (size_t i = 0; i < schema_row_count; i++) {
        const char *rest = NULL;
        unsigned names = 0;
        if (matches(&schema_rows[i], path, &rest, &names) && *rest == '.') {
            return true;
        }
    }
    return path->count == 0;
}

const char *schema_next_key(const struct schema_path *path, size_t *iterator, char *buffer,
                            size_t size)
{
    while (*iterator < schema_row_count) {
        const struct schema_row *row = &schema_rows[(*iterator)++];
        const char *rest = NULL;
        unsigned names = 0;
        if (matches(row, path, &rest, &names) && (path->count == 0 || *rest == '.') &&
            schema_next_segment(&rest, buffer, size)) {
            return buffer;
        }
    }
    return NULL;
}

unsigned schema_distance(const char *a, const char *b)
{
    unsigned row[DISTANCE_TEXT + 1];
    size_t length_a = strnlen(a, DISTANCE_TEXT);
    size_t length_b = strnlen(b, DISTANCE_TEXT);
    for (unsigned k = 0; k <= length_b; k++) {
        row[k] = k;
    }
    for (unsigned i = 1; i <= length_a; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned k = 1; k <= length_b; k++) {
            unsigned substituted = diagonal + (a[i - 1] != b[k - 1]);
            unsigned shorter = row[k] < row[k - 1] ? row[k] + 1 : row[k - 1] + 1;
            diagonal = row[k];
            row[k] = substituted < shorter ? substituted : shorter;
        }
    }
    return row[length_b];
}

void schema_nearest(const struct schema_path *path, const char *seen, char *ret, size_t size)
{
    char key[64];
    size_t iterator = 0;
    unsigned best = (unsigned)strnlen(seen, DISTANCE_TEXT) / 3 + 2;
    ret[0] = '\0';
    const char *candidate = NULL;
    while ((candidate = schema_next_key(path, &iterator, key, sizeof(key))) != NULL) {
        unsigned distance = schema_distance(seen, candidate);
        if (distance < best && strcmp(candidate, "NAME") != 0) {
            best = distance;
            (void)snprintf(ret, size, "%s", candidate);
        }
    }
}

int schema_choice(const char *choices, const char *word)
{
    size_t length = strlen(word);
    int index = 0;
    for (const char *at = choices; *at != '\0'; index++) {
        size_t span = strcspn(at, " ");
        if (span == length && memcmp(at, word, span) == 0) {
            return index;
        }
        at += span;
        at += *at == ' ';
    }
    return -1;
}

bool schema_manager_here(const char *name)
{
    return schema_choice("pm2 run", name) >= 0;
}

const char *schema_managers(void)
{
    return "pm2 run github netlify git build health";
}

bool schema_manager_known(const char *name)
{
    return schema_choice(schema_managers(), name) >= 0;
}

static void spell_choices(const char *choices, char *ret, size_t size)
{
    size_t used = (size_t)snprintf(ret, size, "one of ");
    for (const char *at = choices; *at != '\0' && used + 1 < size; at++) {
        if (*at == ' ') {
            ret[used++] = ',';
        }
        if (used + 1 < size) {
            ret[used++] = *at;
        }
    }
    ret[used < size ? used : size - 1] = '\0';
}

static void spell_range(const struct schema_row *row, char *ret, size_t size)
{
    char low[32];
    char high[32];
    switch (row->type) {
    case SCHEMA_DURATION:
        (void)snprintf(ret, size, "a duration such as 250ms, 3s, 2m, 6h or 1d, from %s to %s",
                       config_format_duration(row->min, low),
                       config_format_duration(row->max, high));
        return;
    case SCHEMA_SIZE:
        (void)snprintf(ret, size, "a size such as 300KB, 10MB or 1GB, from %s to %s",
                       config_format_size(row->min, low), config_format_size(row->max, high));
        return;
    default:
        (void)snprintf(ret, size, "%s from %lld to %lld",
                       row->type == SCHEMA_INTEGER ? "a whole number" : "a number",
                       (long long)row->min, (long long)row->max);
        return;
    }
}

void schema_expectation(const struct schema_row *row, char *ret, size_t size)
{
    static const char *const texts[] = {
        [SCHEMA_TEXT] = "text",
        [SCHEMA_NAME] =
            "a name of at most 63 letters, digits, '.', '_', '-', letter or digit first",
        [SCHEMA_PATH] = "an absolute path (beginning with /)",
        [SCHEMA_TCP] = "an address such as tcp://10.0.0.1:7400",
        [SCHEMA_ENDPOINT] =
            "a socket such as ipc:///run/x/control.sock, its path at most 107 bytes",
        [SCHEMA_HOST_PORT] = "an address such as 127.0.0.1:3001",
        [SCHEMA_BOOL] = "true or false",
        [SCHEMA_PUBLIC_KEY] = "a public key of 40 characters (Z85), as in NAME.key",
        [SCHEMA_ANY] = "any value",
        [SCHEMA_OBJECTS] = "a list of maps",
    };
    switch (row->type) {
    case SCHEMA_CHOICE:
        spell_choices(row->choices, ret, size);
        return;
    case SCHEMA_DURATION:
    case SCHEMA_SIZE:
    case SCHEMA_INTEGER:
    case SCHEMA_NUMBER:
        spell_range(row, ret, size);
        return;
    default:
        (void)snprintf(ret, size, "%s", texts[row->type]);
        return;
    }
}
