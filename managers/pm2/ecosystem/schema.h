/* The keys of an app that PM2 7 knows, with what it accepts for each. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_SCHEMA_H
#define UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#define SCHEMA_ALIASES_MAX 5
#define SCHEMA_ENV_PREFIX "env_" /* a section for --env NAME */

/* Bits of the accepted types, and which of them PM2 tries first. */
enum schema_type {
    SCHEMA_STRING = 1,
    SCHEMA_NUMBER = 2,
    SCHEMA_BOOLEAN = 4,
    SCHEMA_ARRAY = 8,
    SCHEMA_OBJECT = 16,
    SCHEMA_SPLIT = 32, /* a text becomes a list of words */
};

enum schema_form { SCHEMA_ANY, SCHEMA_SIZE, SCHEMA_TIME, SCHEMA_MODE };

struct schema_row {
    const char *key; /* as PM2 stores it */
    unsigned types;
    enum schema_form form;
    double minimum; /* used when has_minimum */
    bool has_minimum;
    const char *fallback; /* "true", "100" or a text; NULL: none */
    /* Other spellings, in the order in which PM2 looks at them; its own name among them when a
     * falsy value (0, false, "") survives. */
    const char *aliases[SCHEMA_ALIASES_MAX];
};

/* All rows, in PM2's order. */
const struct schema_row *schema_rows(size_t *ret_count);
/* By PM2's own name; NULL when there is none. */
const struct schema_row *schema_find(const char *key);
/* By PM2's own name or an alias; NULL when PM2 does not know the key. */
const struct schema_row *schema_known(const char *key);
/* A key that is nothing of the schema, but is read on the way (cmd, command). */
bool schema_taken_early(const char *key);
bool schema_is_section(const char *key); /* env_NAME */
/* What a person would write there: "a number", "a text or a list". */
const char *schema_expected(const struct schema_row *row, char *ret, size_t size);
/* The known key nearest to an unknown one; NULL when none is near. */
const char *schema_nearest(const char *key);

#endif
