/* What /proc tells of processes that are not ours. One thread: texts are valid until the next call
 * of the same function. */
#ifndef UNDERSTUDY_MANAGERS_PM2_PROC_H
#define UNDERSTUDY_MANAGERS_PM2_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Every process there is; until the function returns false. */
void proc_each(bool (*function)(void *context, int64_t pid), void *context);

/* The environment that the process was started with, pairs ended by NUL and a last NUL; empty when
 * it cannot be read. */
const char *proc_environment(int64_t pid, size_t *ret_length);
/* Its arguments, or the title that it has given itself, in the same form. */
const char *proc_arguments(int64_t pid, size_t *ret_length);
/* NULL when there is none of that name. Borrowed from `environment`. Pure. */
const char *proc_variable(const char *environment, size_t length, const char *name);

int64_t proc_parent(int64_t pid); /* 0 unknown */
/* The effective user; false when it is gone. */
bool proc_user(int64_t pid, uid_t *ret);

/* It is a PM2 daemon of this home, by its title and PM2_HOME. */
bool proc_is_daemon(int64_t pid, const char *home);
/* A PM2 daemon of this home, by its title and PM2_HOME, whether it listens or not; and a pm2
 * command line of its user. 0: none. */
int64_t proc_find_daemon(const char *home, uid_t owner);
int64_t proc_find_command_line(const char *home, uid_t owner);

#endif
