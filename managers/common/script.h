/* How a script is started: by which program. Looks at the file system, so it is asked where and
 * when the script is to run, and what is missing is said in words that a person can read. */
#ifndef UNDERSTUDY_MANAGERS_COMMON_SCRIPT_H
#define UNDERSTUDY_MANAGERS_COMMON_SCRIPT_H

#include "node/base/err.h"

#include <jansson.h>
#include <stdbool.h>

struct script {
    const char *path; /* absolute, or relative to cwd; a bare word may be a program of PATH */
    const char *interpreter; /* NULL or "": by the script's name; "none": the script is a program */
    const json_t *args;      /* NULL or an array of texts */
    const char *cwd;
    const char *search; /* PATH */
};

/* Append the words of the command, interpreter first, to the array `words`. ERR_NOTFOUND: there is
 * no such script or interpreter, or the script is no program. */
int script_command(const struct script *script, json_t *words, struct err *err);

/* A file that may be executed. */
bool script_is_program(const char *path);

#endif
