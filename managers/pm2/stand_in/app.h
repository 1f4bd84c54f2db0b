/* The app definition that starts a backup under PM2: our guard, and under it the script. */
#ifndef UNDERSTUDY_MANAGERS_PM2_APP_H
#define UNDERSTUDY_MANAGERS_PM2_APP_H

#include "managers/pm2/settings.h"

struct app_place {
    const char *home; /* PM2_HOME */
    const char *node;
    const char *guard_path;
    const char *guard_socket;
    const char *lock_dir;
    const char *path;      /* PATH for the process and for finding interpreters */
    const char *home_dir;  /* HOME */
    const char *user_name; /* shown by PM2 */
};

#define APP_STOP_EXIT_CODE 86 /* the guard's, after a lost grant: PM2 must not restart it then */
/* PM2 kills the guard so long after its own signal: after the guard has killed its tree. */
#define APP_KILL_MARGIN_MS 2000

/* A new object for `prepare`, checked. Looks at the file system for the script and the interpreter.
 * ERR_NOTFOUND: no such script or interpreter; ERR_INVALID. */
int app_build(const struct settings_backup *backup, const struct app_place *place, json_t **ret,
              struct err *err);

#endif
