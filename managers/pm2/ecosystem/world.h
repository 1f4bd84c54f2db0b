/* What the treatment of an ecosystem file needs to know of the host, so that it is pure itself. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_WORLD_H
#define UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORLD_PATH_SIZE 4096

struct world_user {
    int64_t uid;
    int64_t gid;
    char home[WORLD_PATH_SIZE];
};

struct world {
    void *context;
    /* Paths are absolute. */
    bool (*exists)(void *context, const char *path);
    bool (*is_program)(void *context, const char *path); /* no folder, and executable */
    bool (*is_binary)(void *context, const char *path);  /* by its first bytes */
    /* By name or number, as /etc/passwd and /etc/group have them. */
    bool (*find_user)(void *context, const char *name, struct world_user *ret);
    bool (*find_group)(void *context, const char *name, int64_t *ret_gid);
    const char *path;     /* PATH */
    const char *home;     /* of the user */
    const char *user;     /* the user's name */
    const char *pm2_home; /* absolute */
    const char *node;     /* the program of node itself, absolute; NULL: there is none */
    bool node_runs_typescript;
    bool root;
    int64_t processors;
};

/* This host, for the present user. The texts live as long as the program. `pm2_home` NULL: by
 * PM2_HOME or the home folder. */
void world_of_host(struct world *ret, const char *pm2_home);

/* The zone of this host's local time, "Europe/Berlin"; false: not known. */
bool world_zone(char *ret, size_t size);

/* `path` against `folder`, without "." and ".." in it, as path.resolve of node. False when it is
 * too long. */
bool world_resolve(const char *folder, const char *path, char ret[WORLD_PATH_SIZE]);

/* A program by its name in PATH, or by a path against `folder`. */
bool world_which(const struct world *self, const char *folder, const char *name,
                 char ret[WORLD_PATH_SIZE]);

/* What is behind the last slash, as path.basename: "a/b//" is "b". Bytes [*ret_start, +return). */
size_t world_basename(const char *path, const char **ret_start);

#endif
