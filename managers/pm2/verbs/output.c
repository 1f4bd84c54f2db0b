#include "managers/pm2/verbs/output.h"

#include "managers/pm2/verbs/look.h"
#include "managers/pm2/verbs/rows.h"
#include "managers/pm2/verbs/tail.h"
#include "managers/pm2/verbs/verbs.h"
#include "node/base/doc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct log_file {
    char path[MANAGER_PATH_SIZE];
    uid_t owner;
    json_t *row; /* what is told of it */
};

/* A command whose files are being read. */
struct output {
    struct output *next;
    struct pm2 *pm2;
    uint64_t id;
    int timer;
    size_t lines;
    size_t bytes; /* of text so far */
    json_t *rows;
    size_t at;
    size_t count;
    size_t left_out; /* files */
    struct log_file files[OUTPUT_FILES_MAX];
};

static void unlink_output(const struct output *self)
{
    struct output **at = &self->pm2->outputs;
    while (*at != NULL && *at != self) {
        at = &(*at)->next;
    }
    if (*at == self) {
        *at = self->next;
    }
}

/* Not in the list any more. */
static void destroy(struct output *self)
{
    for (size_t i = 0; i < self->count; i++) {
        json_decref(self->files[i].row);
    }
    json_decref(self->rows);
    free(self);
}

/* ---- which files ---- */

static bool is_known(const struct output *self, const char *path)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->files[i].path, path) == 0) {
            return true; /* instances may share one */
        }
    }
    return false;
}

static void add_file(struct output *self, const char *home, uid_t owner, const json_t *row,
                     const char *stream, const char *key)
{
    const json_t *env = json_object_get(row, "pm2_env");
    const char *path = doc_get_text(env, key, "");
    if (path[0] != '/' || strcmp(path, "/dev/null") == 0 || strlen(path) >= MANAGER_PATH_SIZE ||
        is_known(self, path)) {
        return;
    }
    if (self->count == OUTPUT_FILES_MAX) {
        self->left_out++;
        return;
    }
    struct log_file *file = &self->files[self->count++];
    json_t *id = json_object_get(row, "pm_id");
    (void)snprintf(file->path, sizeof file->path, "%s", path);
    file->owner = owner;
    file->row = json_pack("{ss so sO* so ss so}", "kind", "file", "home", doc_text(home), "id", id,
                          "name", doc_text(doc_get_text(row, "name", NULL)), "stream", stream,
                          "path", doc_text(path));
}

static void add_files(struct output *self, const struct look_home *home, const json_t *args)
{
    bool only_err = doc_get_bool(args, "err", false);
    bool only_out = doc_get_bool(args, "out", false);
    size_t index;
    json_t *row;
    json_array_foreach(home->list, index, row)
    {
        const char *name = doc_get_text(row, "name", NULL);
        if (name == NULL || strcmp(name, doc_get_text(args, "name", "")) != 0) {
            continue;
        }
        if (!only_err || only_out) {
            add_file(self, home->home, home->owner, row, "out", "pm_out_log_path");
        }
        if (!only_out || only_err) {
            add_file(self, home->home, home->owner, row, "err", "pm_err_log_path");
        }
    }
}

/* ---- reading ---- */

static void add_line(struct output *self, const struct log_file *file, const char *text)
{
    json_t *row = json_pack(
        "{ss sO* sO* sO* sO* so}", "kind", "line", "home", json_object_get(file->row, "home"), "id",
        json_object_get(file->row, "id"), "name", json_object_get(file->row, "name"), "stream",
        json_object_get(file->row, "stream"), "text", json_string(text));
    self->bytes += strlen(text);
    (void)json_array_append_new(self->rows, row);
}

static bool is_full(const struct output *self)
{
    return self->bytes >= OUTPUT_BYTES_MAX || json_array_size(self->rows) >= OUTPUT_ROWS_MAX;
}

/* The row of the file comes before its lines, and says when there are none. */
static void read_file(struct output *self, struct log_file *file)
{
    struct err err = {0};
    json_t *lines = json_array();
    int64_t bytes = -1;
    int rc = is_full(self) ? err_set(&err, ERR_FULL, "is left out, as the answer is full")
                           : tail_take(file->path, file->owner, self->lines, lines, &bytes, &err);
    (void)json_object_set_new(file->row, "bytes", doc_count_or_null(bytes));
    (void)json_object_set_new(file->row, "text", doc_text(rc == 0 ? "" : err.msg));
    (void)json_array_append(self->rows, file->row);
    for (size_t i = 0; i < json_array_size(lines) && !is_full(self); i++) {
        add_line(self, file, json_string_value(json_array_get(lines, i)));
    }
    json_decref(lines);
}

static void on_turn(void *context)
{
    struct output *self = context;
    if (self->at < self->count) {
        read_file(self, &self->files[self->at++]);
        return;
    }
    runtime_timer_cancel(self->pm2->runtime, self->timer);
    if (self->left_out > 0) {
        char text[REASON_SIZE];
        (void)snprintf(text, sizeof text, "%zu further files are left out", self->left_out);
        (void)json_array_append_new(self->rows,
                                    json_pack("{ss so}", "kind", "file", "text", doc_text(text)));
    }
    runtime_answer(self->pm2->runtime, self->id, json_incref(self->rows));
    unlink_output(self);
    destroy(self);
}

static size_t count_of(const struct pm2 *pm2)
{
    size_t count = 0;
    for (const struct output *at = pm2->outputs; at != NULL; at = at->next) {
        count++;
    }
    return count;
}

static void begin(struct pm2 *self, struct look *look)
{
    struct output *output = count_of(self) < VERBS_MAX ? calloc(1, sizeof *output) : NULL;
    if (output == NULL) {
        runtime_refuse(self->runtime, look->id, "busy", "too many commands are under way");
        return;
    }
    int64_t lines = doc_get_integer(look->args, "lines", OUTPUT_LINES_DEFAULT);
    *output = (struct output){.next = self->outputs,
                              .pm2 = self,
                              .id = look->id,
                              .rows = json_array(),
                              .lines = lines < OUTPUT_LINES_MAX ? (size_t)lines : OUTPUT_LINES_MAX};
    self->outputs = output;
    for (size_t i = 0; i < look->count; i++) {
        add_files(output, &look->homes[i], look->args);
    }
    output->timer = runtime_timer(self->runtime, 1, true, on_turn, output);
    if (output->timer < 0) {
        runtime_refuse(self->runtime, look->id, "failed", "out of memory");
        unlink_output(output);
        destroy(output);
    }
}

bool output_take(struct pm2 *self, const struct manager_command *command)
{
    if (strcmp(command->verb, "pm2 logs") != 0) {
        return false;
    }
    look_begin(self, command->id, answer_args(command), begin);
    return true;
}

void output_end(struct pm2 *self)
{
    struct output *next = NULL;
    for (struct output *at = self->outputs; at != NULL; at = next) {
        next = at->next;
        runtime_timer_cancel(self->runtime, at->timer);
        destroy(at);
    }
    self->outputs = NULL;
}
