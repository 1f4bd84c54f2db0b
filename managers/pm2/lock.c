/* The guard's lock of a duty, looked at from outside. Path and meaning are the guard's contract:
 * LOCK_DIR/ID.lock with every byte of the id that is no letter, digit, ".", "_" or "-" as %XX, and
 * held by flock(2) as long as anything of the duty lives. */
#include "managers/pm2/pm2.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static bool lock_path(const char *lock_dir, const char *duty, char *ret, size_t size)
{
    size_t used = (size_t)snprintf(ret, size, "%s/", lock_dir);
    for (const char *at = duty; *at != '\0' && used < size; at++) {
        bool plain = isalnum((unsigned char)*at) || strchr("._-", *at) != NULL;
        used +=
            (size_t)snprintf(ret + used, size - used, plain ? "%c" : "%%%02X", (unsigned char)*at);
    }
    if (used < size) {
        used += (size_t)snprintf(ret + used, size - used, ".lock");
    }
    return used < size;
}

bool lock_is_free(const char *lock_dir, const char *duty)
{
    char path[MANAGER_PATH_SIZE + DUTY_ID_SIZE * 3];
    if (!lock_path(lock_dir, duty, path, sizeof path)) {
        return false;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT; /* never held; unreadable says nothing */
    }
    bool is_free = flock(fd, LOCK_SH | LOCK_NB) == 0;
    (void)close(fd); /* lets go again */
    return is_free;
}
