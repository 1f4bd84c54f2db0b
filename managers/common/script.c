#include "managers/common/script.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096

bool script_is_program(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* As execvp(3) would find it, but said here, where a person can read why not. */
static bool find_program(const char *name, const char *search, char ret[PATH_SIZE])
{
    if (strchr(name, '/') != NULL) {
        return snprintf(ret, PATH_SIZE, "%s", name) < PATH_SIZE && script_is_program(ret);
    }
    for (const char *at = search; at != NULL && *at != '\0';) {
        const char *end = strchrnul(at, ':');
        int length = snprintf(ret, PATH_SIZE, "%.*s/%s", (int)(end - at), at, name);
        if (at[0] == '/' && length < PATH_SIZE && script_is_program(ret)) {
            return true;
        }
        at = *end == ':' ? end + 1 : end;
    }
    return false;
}

static const char *interpreter_by_name(const char *script)
{
    static const struct {
        const char *ending;
        const char *interpreter;
    } known[] = {{".js", "node"},    {".mjs", "node"}, {".cjs", "node"}, {".sh", "bash"},
                 {".py", "python3"}, {".rb", "ruby"},  {".pl", "perl"},  {".php", "php"}};
    size_t length = strlen(script);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t ending = strlen(known[i].ending);
        if (length > ending && strcmp(script + length - ending, known[i].ending) == 0) {
            return known[i].interpreter;
        }
    }
    return NULL;
}

static int resolve(const struct script *self, char ret[PATH_SIZE], struct err *err)
{
    int length = self->path[0] == '/' ? snprintf(ret, PATH_SIZE, "%s", self->path)
                                      : snprintf(ret, PATH_SIZE, "%s/%s", self->cwd, self->path);
    if (length < PATH_SIZE && access(ret, R_OK) == 0) {
        return 0;
    }
    /* A bare word may be a program: `sleep`. */
    if (strchr(self->path, '/') == NULL && find_program(self->path, self->search, ret)) {
        return 0;
    }
    return err_set(err, ERR_NOTFOUND, "script %.120s is not in %.80s", self->path, self->cwd);
}

int script_command(const struct script *script, json_t *words, struct err *err)
{
    char path[PATH_SIZE];
    char program[PATH_SIZE];
    int rc = resolve(script, path, err);
    if (rc != 0) {
        return rc;
    }
    const char *interpreter = script->interpreter;
    if (interpreter == NULL || interpreter[0] == '\0') {
        interpreter = interpreter_by_name(path);
    } else if (strcmp(interpreter, "none") == 0) {
        interpreter = NULL;
    }
    if (interpreter == NULL) {
        if (!script_is_program(path)) {
            return err_set(err, ERR_NOTFOUND, "%.160s is no program; set an interpreter", path);
        }
    } else if (find_program(interpreter, script->search, program)) {
        (void)json_array_append_new(words, json_string(program));
    } else {
        return err_set(err, ERR_NOTFOUND, "interpreter %.100s is not in PATH", interpreter);
    }
    (void)json_array_append_new(words, json_string(path));
    size_t index;
    json_t *arg;
    json_array_foreach(script->args, index, arg)
    {
        (void)json_array_append(words, arg);
    }
    return 0;
}
