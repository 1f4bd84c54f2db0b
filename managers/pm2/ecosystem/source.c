#include "managers/pm2/ecosystem/source.h"

#include "managers/pm2/ecosystem/evaluate.h"
#include "managers/pm2/ecosystem/js_value.h"
#include "node/base/doc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

enum source_kind source_kind_of(const char *name)
{
    /* A part of the name is enough, and the first row that fits counts. */
    static const struct {
        const char *part;
        enum source_kind kind;
    } known[] = {{".json", SOURCE_JSON},    {".yml", SOURCE_YAML},      {".yaml", SOURCE_YAML},
                 {".config.js", SOURCE_JS}, {".config.cjs", SOURCE_JS}, {".config.mjs", SOURCE_JS}};
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (strstr(name, known[i].part) != NULL) {
            return known[i].kind;
        }
    }
    return SOURCE_SCRIPT;
}

/* ---- the file's bytes ---- */

static bool read_all(int file, char *text, size_t size, size_t *ret_length)
{
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(file, text + length, size - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            *ret_length = length;
            return got == 0;
        }
        length += (size_t)got;
    }
    *ret_length = length;
    return true;
}

/* The whole text, or NULL with a finding. The caller frees. */
static char *read_text(const struct source_request *request, struct report *report,
                       size_t *ret_length, struct err *err)
{
    struct stat info;
    char *text = NULL;
    int file = open(request->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0 || fstat(file, &info) != 0) {
        bool absent = errno == ENOENT || errno == ENOTDIR;
        if (absent) {
            (void)err_set(err, ERR_NOTFOUND, "there is no file %s", request->name);
        } else {
            report_add(report, REPORT_ERROR, NULL, "a file that can be read",
                       "it cannot be read: %s", strerror(errno));
        }
    } else if (!S_ISREG(info.st_mode)) {
        report_add(report, REPORT_ERROR, NULL, "a file", "it is a %s",
                   S_ISDIR(info.st_mode) ? "folder" : "device, socket or pipe");
    } else if (info.st_size > SOURCE_BYTES_MAX) {
        report_add(report, REPORT_ERROR, NULL, "a file of at most 1 MB",
                   "it was not looked at: it has %lld bytes", (long long)info.st_size);
    } else if ((text = malloc(SOURCE_BYTES_MAX + 1)) == NULL) {
        (void)err_set(err, ERR_NOMEM, "no memory for %s", request->name);
    } else if (!read_all(file, text, SOURCE_BYTES_MAX, ret_length)) {
        report_add(report, REPORT_ERROR, NULL, "a file that can be read", "it cannot be read: %s",
                   strerror(errno));
        free(text);
        text = NULL;
    }
    if (file >= 0) {
        (void)close(file);
    }
    return text;
}

/* ---- strict JSON ---- */

/* `__proto__` as a key means something else to JavaScript. */
static bool read_json(const char *text, size_t length, struct source *ret, json_error_t *where)
{
    *where = (json_error_t){.text = "__proto__ in it", .line = 0};
    if (memmem(text, length, "__proto__", 9) == NULL) {
        ret->exported = json_loadb(text, length, JSON_DECODE_ANY, where);
    }
    if (ret->exported == NULL) {
        return false;
    }
    ret->way = "json";
    ret->places = places_of(text, length);
    return true;
}

/* ---- through node ---- */

static const char *ways_of(enum source_kind kind)
{
    return kind == SOURCE_JSON   ? "expression,module"
           : kind == SOURCE_YAML ? "yaml"
           : kind == SOURCE_JS   ? "require,import"
                                 : "expression,require,import,module";
}

static const char *way_text(const char *way)
{
    static const char *const known[] = {"expression", "yaml", "require", "import", "module"};
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (strcmp(known[i], way) == 0) {
            return known[i];
        }
    }
    return NULL;
}

static void tell_failure(struct report *report, enum report_severity severity,
                         const json_t *failure, const char *expected, const char *what)
{
    report_add_at(report, severity, (unsigned)doc_get_integer(failure, "line", 0),
                  (unsigned)doc_get_integer(failure, "column", 0), expected, "%s: %s: %s", what,
                  doc_get_text(failure, "name", "Error"), doc_get_text(failure, "message", "?"));
}

/* The failure that says most: of what PM2 itself would have tried. */
static const json_t *telling_failure(const json_t *failed, enum source_kind kind)
{
    const char *wanted =
        kind == SOURCE_JSON ? "expression" : (kind == SOURCE_YAML ? "yaml" : "require");
    size_t index;
    json_t *failure;
    json_array_foreach(failed, index, failure)
    {
        if (strcmp(doc_get_text(failure, "way", ""), wanted) == 0) {
            return failure;
        }
    }
    return json_array_get(failed, 0);
}

static void tell_end(struct report *report, const struct evaluate_result *result, int64_t time_ms)
{
    if (result->end == EVALUATE_TIMED_OUT) {
        report_add(report, REPORT_ERROR, NULL, "a file that comes to its end",
                   "PM2 waits for it for ever; here it was ended after %lld ms",
                   (long long)time_ms);
    } else if (result->end == EVALUATE_FLOODED) {
        report_add(report, REPORT_ERROR, NULL, "a file that exports a list of apps",
                   "it was ended here: it prints or exports too much");
    } else if (WIFEXITED(result->status) && WEXITSTATUS(result->status) == EVALUATE_NOT_STARTED) {
        report_add(report, REPORT_ERROR, NULL, "a folder that can be entered",
                   "not read: node cannot be started in the file's folder%s",
                   result->as_owner ? " with the rights of the file's owner" : "");
    } else if (WIFSIGNALED(result->status) && WTERMSIG(result->status) != SIGKILL) {
        report_add(report, REPORT_ERROR, NULL, "a file that comes to its end",
                   "node ended with signal %d before anything was exported, and so would PM2",
                   WTERMSIG(result->status));
    } else {
        report_add(report, REPORT_ERROR, NULL, "a file that exports a list of apps",
                   "it ended node (exit code %d) before anything was exported, and so would PM2",
                   WIFEXITED(result->status) ? WEXITSTATUS(result->status) : -1);
    }
}

static bool has_apps(const json_t *value)
{
    return json_is_array(value) || js_truthy(json_object_get(value, "apps")) ||
           js_truthy(json_object_get(value, "pm2")) || json_object_get(value, "script") != NULL ||
           json_object_get(value, "static") != NULL;
}

/* `export default`, which PM2 does not look into. */
static void look_into_default(struct source *self, struct report *report)
{
    json_t *inner = json_object_get(self->exported, "default");
    if (!has_apps(self->exported) && has_apps(inner)) {
        report_add(report, REPORT_ERROR, "default", "export const apps = [...]",
                   "PM2 starts nothing: it does not look into `export default`");
        self->unseen = true;
        json_incref(inner);
        json_decref(self->exported);
        self->exported = inner;
    }
}

static void take_answer(struct source *self, struct report *report, const json_t *answer,
                        enum source_kind kind)
{
    const json_t *failed = json_object_get(answer, "failed");
    const char *way = doc_get_text(answer, "way", NULL);
    const json_t *failure = telling_failure(failed, kind);
    if (way == NULL && kind == SOURCE_YAML && json_object_get(failure, "line") == NULL) {
        report_add(report, REPORT_ERROR, NULL, "JSON, or pm2 in PATH",
                   "PM2 reads YAML; here it was not read: %.200s",
                   doc_get_text(failure, "message", "?"));
        return;
    }
    if (way == NULL) {
        tell_failure(report, REPORT_ERROR, failure, "a file that exports a list of apps",
                     "PM2 starts nothing");
        return;
    }
    self->way = way_text(way);
    self->exported = json_incref(json_object_get(answer, "value"));
    bool other = kind == SOURCE_JSON ? strcmp(way, "expression") != 0 : strcmp(way, "import") == 0;
    if (other && failure != NULL) {
        tell_failure(report, REPORT_ERROR, failure,
                     kind == SOURCE_JSON ? "JSON, or a name that ends in .config.cjs"
                                         : "a module that require() can load",
                     "PM2 starts nothing of it");
        self->unseen = true;
    }
    self->frozen = json_incref(json_object_get(answer, "frozen"));
    look_into_default(self, report);
}

static int through_node(const struct source_request *request, enum source_kind kind,
                        const json_error_t *where, struct report *report, struct source *ret,
                        struct err *err)
{
    struct evaluate_result result;
    const struct evaluate_request asked = {.node = request->world->node,
                                           .file = request->file,
                                           .ways = ways_of(kind),
                                           .env_name = request->env_name,
                                           .time_ms = request->time_ms};
    if (request->world->node == NULL) {
        if (kind == SOURCE_JSON) {
            report_add_at(report, REPORT_ERROR, (unsigned)where->line, (unsigned)where->column,
                          "strict JSON", "not read: %s, and there is no node to evaluate it",
                          where->text);
        } else {
            report_add(report, REPORT_ERROR, NULL, "node in PATH, or strict JSON",
                       "not read: there is no node to evaluate it");
        }
        return 0;
    }
    int rc = evaluate(&asked, &result, err);
    if (rc != 0) {
        return rc;
    }
    if (result.as_owner) {
        report_add(report, REPORT_INFO, NULL, NULL,
                   "evaluated with the rights of the file's owner; PM2, started by root, would "
                   "evaluate it as root");
    }
    if (result.answer == NULL) {
        tell_end(report, &result, request->time_ms);
    } else {
        take_answer(ret, report, result.answer, kind);
        json_decref(result.answer);
    }
    return 0;
}

/* ---- both ---- */

static void tell_name(struct report *report, const struct source *self, enum source_kind kind,
                      const json_error_t *where)
{
    if (kind == SOURCE_SCRIPT && self->exported != NULL) {
        report_add(report, REPORT_WARNING, NULL,
                   strcmp(self->way, "json") == 0 || strcmp(self->way, "expression") == 0
                       ? "a name that ends in .json"
                       : "a name that ends in .config.js, .config.cjs or .config.mjs",
                   "PM2 goes by the name, and would start this file itself as an app");
    }
    if (kind == SOURCE_JSON && self->way != NULL && strcmp(self->way, "expression") == 0) {
        report_add_at(report, REPORT_INFO, (unsigned)(where->line > 0 ? where->line : 0),
                      (unsigned)(where->line > 0 && where->column > 0 ? where->column : 0),
                      "strict JSON", "PM2 evaluates it as JavaScript, and so was it read (%.100s)",
                      where->text);
    }
}

int source_load(const struct source_request *request, struct report *report, struct source *ret,
                struct err *err)
{
    size_t length = 0;
    json_error_t where;
    enum source_kind kind = source_kind_of(request->name);
    *ret = (struct source){0};
    *err = (struct err){0};
    char *text = read_text(request, report, &length, err);
    if (text == NULL) {
        return err->code;
    }
    int rc = 0;
    bool script = kind == SOURCE_JS || kind == SOURCE_YAML;
    if (script || !read_json(text, length, ret, &where)) {
        rc = through_node(request, kind, &where, report, ret, err);
    }
    if (rc == 0) {
        tell_name(report, ret, kind, &where);
    }
    free(text);
    return rc;
}

void source_deinit(struct source *self)
{
    json_decref(self->exported);
    json_decref(self->frozen);
    places_destroy(&self->places);
    self->exported = NULL;
}
