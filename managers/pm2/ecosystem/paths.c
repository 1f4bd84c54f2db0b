#include "managers/pm2/ecosystem/world.h"

#include <stdio.h>
#include <string.h>

/* Add the parts of `path` to what is in `ret`, which is "" or "/a/b". */
static bool append_parts(const char *path, char ret[WORLD_PATH_SIZE])
{
    size_t length = strlen(ret);
    while (*path != '\0') {
        size_t part = strcspn(path, "/");
        if (part == 2 && memcmp(path, "..", 2) == 0) {
            char *slash = strrchr(ret, '/');
            length = slash == NULL ? 0 : (size_t)(slash - ret);
        } else if (part > 0 && !(part == 1 && path[0] == '.')) {
            if (length + part + 2 > WORLD_PATH_SIZE) {
                return false;
            }
            ret[length] = '/';
            memcpy(ret + length + 1, path, part);
            length += part + 1;
        }
        ret[length] = '\0';
        path += part + (path[part] == '/' ? 1 : 0);
    }
    return true;
}

bool world_resolve(const char *folder, const char *path, char ret[WORLD_PATH_SIZE])
{
    char made[WORLD_PATH_SIZE] = "";
    if ((path[0] != '/' && !append_parts(folder, made)) || !append_parts(path, made)) {
        return false;
    }
    (void)snprintf(ret, WORLD_PATH_SIZE, "%s", made[0] == '\0' ? "/" : made);
    return true;
}

bool world_which(const struct world *self, const char *folder, const char *name,
                 char ret[WORLD_PATH_SIZE])
{
    char one[WORLD_PATH_SIZE];
    if (name[0] == '\0') {
        return false;
    }
    if (strchr(name, '/') != NULL) {
        return world_resolve(folder, name, ret) && self->is_program(self->context, ret);
    }
    for (const char *at = self->path; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ":");
        if (length > 0 &&
            snprintf(one, sizeof one, "%.*s/%s", (int)length, at, name) < (int)sizeof one &&
            world_resolve(folder, one, ret) && self->is_program(self->context, ret)) {
            return true;
        }
        at += length + (at[length] == ':' ? 1 : 0);
    }
    return false;
}

size_t world_basename(const char *path, const char **ret_start)
{
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    size_t start = end;
    while (start > 0 && path[start - 1] != '/') {
        start--;
    }
    *ret_start = path + start;
    return end - start;
}
