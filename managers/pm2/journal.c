#include "managers/pm2/pm2.h"

#include "node/base/clock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_BYTES_MAX (1 << 20) /* then one older file is kept beside */

void journal_write(const struct pm2 *self, const char *did, const char *duty, const char *why)
{
    char path[MANAGER_PATH_SIZE + 16];
    char older[MANAGER_PATH_SIZE + 16];
    char line[1024];
    char when[CLOCK_RFC3339_SIZE];
    (void)snprintf(path, sizeof path, "%s/journal", self->configure.data_dir);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        runtime_log(MANAGER_WARN, "cannot write %s", path);
        return;
    }
    int length = snprintf(line, sizeof line, "%s %s %s %s\n", clock_rfc3339(clock_wall_ms(), when),
                          did, duty, why);
    if (length > 0 && (size_t)length < sizeof line) {
        (void)!write(fd, line, (size_t)length);
    }
    struct stat info;
    bool full = fstat(fd, &info) == 0 && info.st_size > JOURNAL_BYTES_MAX;
    (void)close(fd);
    if (full) {
        (void)snprintf(older, sizeof older, "%s/journal.1", self->configure.data_dir);
        (void)rename(path, older);
    }
}
