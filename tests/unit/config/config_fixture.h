#ifndef UNDERSTUDY_TESTS_UNIT_CONFIG_FIXTURE_H
#define UNDERSTUDY_TESTS_UNIT_CONFIG_FIXTURE_H

#include "node/config/config.h"

/* As users write it: the example of the documentation. */
extern const char example[];

/* Load a text named "x.yml"; fails the test when it does not load. */
struct config *load_text(const char *text);

/* The text must not load; the error at `index` must stand at line:column and contain `part`. */
void refuse_text(const char *text, unsigned line, unsigned column, const char *part);

/* Loads with an environment; *ret_errors is filled. NULL when it does not load. */
struct config *load_with(const char *text, char *const *environment,
                         struct config_errors *ret_errors);

/* Origin and source that `config show` tells of a key; fails when the key is not shown. */
void assert_origin(const struct config *config, const char *key, const char *origin,
                   const char *source);

/* A folder of one test, which folder_remove() ends. */
void make_folder(char *ret, size_t size);

void write_text(const char *dir, const char *name, const char *text);

#endif
