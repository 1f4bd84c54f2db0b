/* Other programs that rotate PM2's logs: where one is at work, ours stands back. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LOGS_ROTATORS_H
#define UNDERSTUDY_MANAGERS_PM2_LOGS_ROTATORS_H

#include <stdbool.h>
#include <stddef.h>

#define ROTATORS_PATTERNS_MAX 1024
#define ROTATORS_CONFIG_BYTES_MAX (256 << 10) /* of one file */

/* True for the name of a process or module of PM2 that rotates logs. */
bool rotators_is_module(const char *name);

/* Whether such a module is installed in the PM2 home. Reads its folder. */
bool rotators_in_home(const char *home);

/* ---- logrotate(8) ---- */

struct rotators; /* what its configuration names */

typedef void rotators_path_fn(void *context, const char *pattern);

/* Calls back for each file pattern that a configuration of logrotate names. Pure. */
void logrotate_scan(const char *text, size_t length, rotators_path_fn *found, void *context);

/* All files of `folder` ("/etc/logrotate.d") and the file `single`; what cannot be read names
 * nothing. NULL when out of memory. */
struct rotators *rotators_load(const char *folder, const char *single);
void rotators_destroy(struct rotators **self_p);

/* The configuration that rotates the file at `path`, NULL: none does. Borrowed. */
const char *rotators_of(const struct rotators *self, const char *path);

#endif
