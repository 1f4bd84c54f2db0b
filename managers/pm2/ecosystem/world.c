#include "managers/pm2/ecosystem/world.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAMPLE_BYTES 512
#define LINE_SIZE 4096

static bool host_exists(void *context, const char *path)
{
    (void)context;
    struct stat info;
    return stat(path, &info) == 0;
}

static bool host_is_program(void *context, const char *path)
{
    (void)context;
    struct stat info;
    return stat(path, &info) == 0 && !S_ISDIR(info.st_mode) && access(path, X_OK) == 0;
}

/* Continuation bytes of a UTF-8 character whose first byte is `lead`; -1: no such character. */
static int continuations(unsigned char lead)
{
    return lead > 193 && lead < 224 ? 1 : lead > 223 && lead < 240 ? 2 : -1;
}

static bool is_continuation(unsigned char byte)
{
    return byte > 127 && byte < 192;
}

/* A NUL, or more than a tenth of strange bytes. */
static bool looks_binary(const unsigned char *bytes, size_t length)
{
    size_t strange = 0;
    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = bytes[i];
        if (byte == 0) {
            return true;
        }
        if ((byte >= 7 && byte <= 14) || (byte >= 32 && byte <= 127)) {
            continue;
        }
        int more = continuations(byte);
        bool whole = more > 0 && i + (size_t)more < length;
        for (int j = 1; whole && j <= more; j++) {
            whole = is_continuation(bytes[i + (size_t)j]);
        }
        if (whole) {
            i += (size_t)more;
        } else {
            strange++;
        }
    }
    return length > 0 && strange * 100 / length > 10;
}

static bool host_is_binary(void *context, const char *path)
{
    (void)context;
    unsigned char bytes[SAMPLE_BYTES];
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
        return false;
    }
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t length = file < 0 ? -1 : read(file, bytes, sizeof bytes);
    if (file >= 0) {
        (void)close(file);
    }
    return length > 0 && looks_binary(bytes, (size_t)length);
}

/* Field `index` of a line of /etc/passwd, in place. */
static const char *field_of(char *line, int index)
{
    for (; index > 0 && line != NULL; index--) {
        line = strchr(line, ':');
        line = line == NULL ? NULL : line + 1;
    }
    return line;
}

/* The line whose first or third field is `name`, split at its colons; false when there is none. */
static bool find_line(const char *file, const char *name, char line[LINE_SIZE])
{
    FILE *in = fopen(file, "re");
    bool found = false;
    while (in != NULL && !found && fgets(line, LINE_SIZE, in) != NULL) {
        size_t length = strlen(name);
        line[strcspn(line, "\n")] = '\0';
        const char *number = field_of(line, 2);
        found = line[0] != '#' && number != NULL &&
                ((strncmp(line, name, length) == 0 && line[length] == ':') ||
                 (strncmp(number, name, length) == 0 &&
                  (number[length] == ':' || number[length] == '\0')));
    }
    if (in != NULL) {
        (void)fclose(in);
    }
    return found && name[0] != '\0';
}

static bool host_find_user(void *context, const char *name, struct world_user *ret)
{
    (void)context;
    char line[LINE_SIZE];
    if (!find_line("/etc/passwd", name, line)) {
        return false;
    }
    const char *home = field_of(line, 5);
    ret->uid = strtoll(field_of(line, 2), NULL, 10);
    const char *gid = field_of(line, 3);
    ret->gid = gid == NULL ? 0 : strtoll(gid, NULL, 10);
    (void)snprintf(ret->home, sizeof ret->home, "%.*s", (int)strcspn(home == NULL ? "" : home, ":"),
                   home == NULL ? "" : home);
    return true;
}

static bool host_find_group(void *context, const char *name, int64_t *ret_gid)
{
    (void)context;
    char line[LINE_SIZE];
    bool found = find_line("/etc/group", name, line);
    *ret_gid = found ? strtoll(field_of(line, 2), NULL, 10) : 0;
    return found;
}

static const char *or_else(const char *text, const char *fallback)
{
    return text != NULL && text[0] != '\0' ? text : fallback;
}

void world_of_host(struct world *ret, const char *pm2_home)
{
    static char node[WORLD_PATH_SIZE];
    static char user[256];
    static char user_home[WORLD_PATH_SIZE];
    static char own_home[WORLD_PATH_SIZE];
    char found[WORLD_PATH_SIZE];
    const struct passwd *entry = getpwuid(geteuid());
    (void)snprintf(user, sizeof user, "%s", entry == NULL ? "" : entry->pw_name);
    (void)snprintf(user_home, sizeof user_home, "%s",
                   or_else(getenv("HOME"), entry == NULL ? "/" : entry->pw_dir));
    *ret = (struct world){.exists = host_exists,
                          .is_program = host_is_program,
                          .is_binary = host_is_binary,
                          .find_user = host_find_user,
                          .find_group = host_find_group,
                          .path = or_else(getenv("PATH"), "/usr/local/bin:/usr/bin:/bin"),
                          .home = user_home,
                          .user = user,
                          .root = geteuid() == 0,
                          .processors = sysconf(_SC_NPROCESSORS_ONLN)};
    const char *given = pm2_home != NULL ? pm2_home : getenv("PM2_HOME");
    if (given == NULL || !world_resolve("/", given, own_home)) {
        (void)snprintf(own_home, sizeof own_home, "%.*s/.pm2", WORLD_PATH_SIZE - 6, user_home);
    }
    ret->pm2_home = own_home;
    if (world_which(ret, "/", "node", found) && realpath(found, node) != NULL) {
        ret->node = node;
    }
}
