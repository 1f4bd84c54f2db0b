/* The table of every key, and how a path is found in it. */
#ifndef UNDERSTUDY_NODE_CONFIG_SCHEMA_H
#define UNDERSTUDY_NODE_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_type {
    SCHEMA_TEXT,
    SCHEMA_NAME,      /* letters, digits, . _ - */
    SCHEMA_PATH,      /* absolute path */
    SCHEMA_TCP,       /* tcp://HOST:PORT */
    SCHEMA_ENDPOINT,  /* ipc://PATH */
    SCHEMA_HOST_PORT, /* HOST:PORT */
    SCHEMA_BOOL,
    SCHEMA_INTEGER,
    SCHEMA_NUMBER,
    SCHEMA_DURATION,
    SCHEMA_SIZE,
    SCHEMA_CHOICE,
    SCHEMA_PUBLIC_KEY, /* Z85 */
    SCHEMA_ANY,        /* a plugin's own options */
    SCHEMA_OBJECTS,    /* a list of maps, described by rows of their own */
};

enum {
    SCHEMA_RESTART = 1,
    SCHEMA_LIST = 2,
    SCHEMA_REQUIRED = 4,
    SCHEMA_INT32 = 8,
    SCHEMA_LATENT = 16, /* the default is not put among the values: their reader knows it */
};

struct schema_row {
    const char *path; /* words joined by dots; NAME is any key, [] any element */
    enum schema_type type;
    unsigned flags;
    const char *fallback; /* default as written in a file; NULL: none, or worked out later */
    int64_t min;          /* of numbers, durations (ms), sizes (bytes); length of texts */
    int64_t max;
    const char *choices; /* "a b c" of SCHEMA_CHOICE, in the order of the enum in config.h */
    size_t offset;       /* into struct config */
    size_t size;         /* 0: not a field of struct config */
    const char *meaning;
};

extern const struct schema_row schema_rows[];
extern const size_t schema_row_count;

#define SCHEMA_SEGMENTS_MAX 17

/* A path as segments, outermost first; an element of a list is "[]". */
struct schema_path {
    const char *segments[SCHEMA_SEGMENTS_MAX];
    size_t count;
};

/* The row of exactly this path, or NULL. Rows with fewer NAMEs come first. */
const struct schema_row *schema_find(const struct schema_path *path);

/* Whether rows lie below this path (it is a section, or an element of a list of maps). */
bool schema_is_section(const struct schema_path *path);

/* The next key allowed in the section `path`, NULL at the end; *iterator starts at 0. The same key
 * may come twice. A section that takes any name gives "NAME". The text is valid until the next
 * call with the same `buffer`. */
const char *schema_next_key(const struct schema_path *path, size_t *iterator, char *buffer,
                            size_t size);

/* The segment at `*cursor` of a row's path into `buffer`; false at the end. */
bool schema_next_segment(const char **cursor, char *buffer, size_t size);

/* The allowed key nearest to `seen` by edit distance, or "". */
void schema_nearest(const struct schema_path *path, const char *seen, char *ret, size_t size);

/* Edit distance of two short texts, at most 63 bytes of each. */
unsigned schema_distance(const char *a, const char *b);

/* Index of `word` in a list of words parted by spaces, or -1. */
int schema_choice(const char *choices, const char *word);

/* Managers that this version has a program for, and those that later ones have. */
bool schema_manager_here(const char *name);
bool schema_manager_known(const char *name);
const char *schema_managers(void);

/* "a duration" and so on, with bounds or choices, for messages. */
void schema_expectation(const struct schema_row *row, char *ret, size_t size);

#endif
