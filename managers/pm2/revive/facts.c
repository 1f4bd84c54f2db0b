#include "managers/pm2/revive/facts.h"

#include "node/base/doc.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAEMON "/lib/Daemon.js"
#define VALUE_BYTES_MAX 4096

static bool is_wanted(const char *name)
{
    static const char *const names[] = {"PATH", "HOME",   "USER",     "LOGNAME",     "SHELL",
                                        "LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "LANGUAGE",
                                        "TZ",   "TMPDIR", "NODE_PATH"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, "PM2_", 4) == 0;
}

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text);
    size_t tail = strlen(ending);
    return length >= tail && strcmp(text + length - tail, ending) == 0;
}

json_t *facts_from_report(const json_t *report)
{
    const json_t *argv = json_object_get(report, "argv");
    const char *node = json_string_value(json_array_get(argv, 0));
    const char *script = json_string_value(json_array_get(argv, 1));
    if (node == NULL || node[0] != '/' || script == NULL || script[0] != '/') {
        return NULL;
    }
    json_t *env = json_object();
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(report, "env"), name, value)
    {
        if (is_wanted(name) && json_is_string(value) &&
            json_string_length(value) < VALUE_BYTES_MAX) {
            (void)json_object_set(env, name, value);
        }
    }
    return json_pack("{so so sb so}", "node", doc_text(node), "script", doc_text(script),
                     "foreground", !ends_with(script, DAEMON), "env", env);
}

/* ---- finding ---- */

static bool is_program(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* `ret` is a path of MANAGER_PATH_SIZE bytes. */
static bool find_program(const char *name, const char *search, char *ret)
{
    for (const char *at = search; *at != '\0';) {
        const char *end = strchrnul(at, ':');
        int length = snprintf(ret, MANAGER_PATH_SIZE, "%.*s/%s", (int)(end - at), at, name);
        if (at[0] == '/' && length < MANAGER_PATH_SIZE && is_program(ret)) {
            return true;
        }
        at = *end == ':' ? end + 1 : end;
    }
    return false;
}

static bool take_package(const char *folder, struct facts_package *ret)
{
    int daemon = snprintf(ret->daemon, sizeof ret->daemon, "%s" DAEMON, folder);
    int pm2 = snprintf(ret->pm2, sizeof ret->pm2, "%s/bin/pm2", folder);
    return daemon < MANAGER_PATH_SIZE && pm2 < MANAGER_PATH_SIZE && access(ret->daemon, R_OK) == 0;
}

/* Of "…/pm2/lib/Daemon.js" or "…/pm2/bin/pm2" the folder …/pm2. */
static bool take_file(const char *path, struct facts_package *ret)
{
    char folder[PATH_MAX];
    if (realpath(path, folder) == NULL) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(folder, '/');
        if (slash == NULL) {
            return false;
        }
        *slash = '\0';
    }
    return take_package(folder, ret);
}

static bool take_global(const char *node, struct facts_package *ret)
{
    char path[MANAGER_PATH_SIZE];
    const char *slash = strrchr(node, '/');
    int length = snprintf(path, sizeof path, "%.*s/../lib/node_modules/pm2" DAEMON,
                          (int)(slash - node), node);
    return length < (int)sizeof path && take_file(path, ret);
}

int facts_find(const json_t *facts, const char *own, struct facts_package *ret, struct err *err)
{
    char path[MANAGER_PATH_SIZE];
    const char *search = doc_get_text(json_object_get(facts, "env"), "PATH", getenv("PATH"));
    const char *node = doc_get_text(facts, "node", "");
    const char *script = doc_get_text(facts, "script", "");
    search = search != NULL ? search : "/usr/local/bin:/usr/bin:/bin";
    if (node[0] == '/' && strlen(node) < sizeof ret->node && is_program(node)) {
        memcpy(ret->node, node, strlen(node) + 1);
    } else if (!find_program("node", search, ret->node)) {
        return err_set(err, ERR_NOTFOUND, "there is no node in PATH");
    }
    bool found = ends_with(script, DAEMON) && take_file(script, ret);
    found = found || (find_program("pm2", search, path) && take_file(path, ret));
    found = found || take_global(ret->node, ret);
    if (!found &&
        snprintf(path, sizeof path, "%s/node_modules/pm2" DAEMON, own) < (int)sizeof path) {
        found = take_file(path, ret);
    }
    return found ? 0 : err_set(err, ERR_NOTFOUND, "PM2 is not installed");
}
