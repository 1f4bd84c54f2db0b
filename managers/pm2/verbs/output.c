#include "managers/pm2/verbs/output.h"

#include "managers/pm2/verbs/follow.h"
#include "managers/pm2/verbs/followed.h"
#include "managers/pm2/verbs/look.h"
#include "managers/pm2/verbs/rows.h"
#include "managers/pm2/verbs/tail.h"
#include "managers/pm2/verbs/verbs.h"
#include "node/base/clock.h"
#include "node/base/doc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct log_file {
    char path[MANAGER_PATH_SIZE];
    uid_t owner;
    json_t *row; /* what is told of it */
    bool has_cursor;
    struct cursor cursor;
};

/* A command whose files are being read. */
struct output {
    struct output *next;
    struct pm2 *pm2;
    uint64_t id;
    int timer;
    size_t lines;
    size_t bytes; /* of text so far; of one that follows, of all rows */
    json_t *rows;
    size_t at;
    size_t count;
    size_t left_out; /* files */
    bool follow;
    bool lost_cursor; /* one of them is none of ours */
    int64_t since_ms; /* wall clock */
    size_t first;     /* the file that is read first: when one answer cannot hold all, each has its
                         turn */
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

static void add_file(struct output *self, const json_t *row)
{
    const char *path = doc_get_text(row, "path", "");
    if (is_known(self, path)) {
        return;
    }
    if (self->count == OUTPUT_FILES_MAX) {
        self->left_out++;
        return;
    }
    struct log_file *file = &self->files[self->count++];
    (void)snprintf(file->path, sizeof file->path, "%s", path);
    file->owner = (uid_t)doc_get_integer(row, "owner", -1);
    file->row = json_copy(doc_writable(row));
    (void)json_object_del(file->row, "owner");
}

static void add_files(struct output *self, const json_t *files, const json_t *args)
{
    bool only_err = doc_get_bool(args, "err", false);
    bool only_out = doc_get_bool(args, "out", false);
    size_t index;
    json_t *row;
    json_array_foreach(doc_writable(files), index, row)
    {
        bool err = strcmp(doc_get_text(row, "stream", ""), "err") == 0;
        if (only_err == only_out || err == only_err) {
            add_file(self, row);
        }
    }
}

/* ---- cursors ---- */

static void take_cursor(struct output *self, const struct cursor *cursor)
{
    for (size_t i = 0; i < self->count; i++) {
        struct log_file *file = &self->files[i];
        if (!file->has_cursor && cursor_path_sum(file->path) == cursor->path) {
            file->has_cursor = true;
            file->cursor = *cursor;
            return;
        }
    }
}

static void take_cursors(struct output *self, const json_t *args)
{
    const json_t *texts = json_object_get(args, "cursor");
    size_t index;
    json_t *text;
    json_array_foreach(doc_writable(texts), index, text)
    {
        struct cursor cursor;
        const char *bytes = json_string_value(text);
        if (bytes != NULL && cursor_decode(bytes, &cursor, NULL) == 0) {
            take_cursor(self, &cursor);
        } else {
            self->lost_cursor = true;
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

/* ---- following ---- */

static void tell_followed(struct output *self, const struct log_file *file,
                          const struct follow_news *news, const char *text, bool has_cursor)
{
    char cursor[CURSOR_SIZE] = "";
    json_t *row = file->row;
    if (has_cursor) {
        cursor_encode(&news->cursor, cursor);
    }
    (void)json_object_set_new(row, "bytes", doc_count_or_null(news->bytes));
    (void)json_object_set_new(row, "text", doc_text(text));
    (void)json_object_set_new(row, "note", doc_text(news->note));
    (void)json_object_set_new(row, "more", json_boolean(news->more));
    (void)json_object_set_new(row, "cursor", doc_text(cursor));
    (void)json_array_append(self->rows, row);
}

/* Bytes of a row beside its text. */
static size_t row_bytes(const struct log_file *file)
{
    return 128 + strlen(doc_get_text(file->row, "home", "")) +
           strlen(doc_get_text(file->row, "name", ""));
}

static int take_news(const struct output *self, const struct log_file *file,
                     struct follow_news *news, struct err *err)
{
    size_t most = OUTPUT_FOLLOW_ROWS_BYTES / row_bytes(file);
    size_t lines = self->lines < most ? self->lines : most;
    const struct follow follow = {.path = file->path,
                                  .owner = file->owner,
                                  .cuts = self->pm2->cuts,
                                  .now_ms = clock_boot_ms(),
                                  .lines_max = most > 0 ? most : 1};
    if (file->has_cursor) {
        return follow_go_on(&follow, &file->cursor, news, err);
    }
    int rc = follow_begin(&follow, lines, self->since_ms, news, err);
    if (rc == 0 && self->lost_cursor) {
        (void)snprintf(news->note, sizeof news->note,
                       "where it was read to is not known here: these are its last lines");
    }
    return rc;
}

static void follow_file(struct output *self, const struct log_file *file)
{
    struct follow_news news = {.cursor = file->cursor, .lines = json_array(), .bytes = -1};
    struct err err = {0};
    if (self->bytes >= OUTPUT_FOLLOW_BYTES_MAX) {
        news.more = true; /* its turn comes with the next answer */
        tell_followed(self, file, &news, "", file->has_cursor);
        json_decref(news.lines);
        return;
    }
    int rc = take_news(self, file, &news, &err);
    bool has_cursor = rc == 0 || rc == ERR_NOTFOUND || file->has_cursor;
    news.more = news.more || rc == ERR_BUSY;
    tell_followed(self, file, &news, rc == 0 || rc == ERR_BUSY ? "" : err.msg, has_cursor);
    for (size_t i = 0; i < json_array_size(news.lines); i++) {
        add_line(self, file, json_string_value(json_array_get(news.lines, i)));
        self->bytes += row_bytes(file);
    }
    json_decref(news.lines);
}

/* ---- all ---- */

static void read_next(struct output *self)
{
    struct log_file *file = &self->files[(self->first + self->at++) % self->count];
    if (self->follow) {
        follow_file(self, file);
    } else {
        read_file(self, file);
    }
}

static void on_turn(void *context)
{
    struct output *self = context;
    if (self->at < self->count) {
        read_next(self);
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

static void prepare_to_follow(struct output *self, const json_t *args)
{
    static size_t turn;
    int64_t since_ms = doc_get_integer(args, "since", -1);
    self->follow = true;
    self->since_ms = since_ms < 0 ? INT64_MAX : clock_machine_wall_ms() - since_ms;
    self->first = json_object_get(args, "cursor") != NULL ? turn++ % OUTPUT_FILES_MAX : 0;
    take_cursors(self, args);
}

static void begin(struct pm2 *self, uint64_t id, const json_t *files, const json_t *args)
{
    struct output *output = count_of(self) < VERBS_MAX ? calloc(1, sizeof *output) : NULL;
    if (output == NULL) {
        runtime_refuse(self->runtime, id, "busy", "too many commands are under way");
        return;
    }
    int64_t lines = doc_get_integer(args, "lines", OUTPUT_LINES_DEFAULT);
    *output = (struct output){.next = self->outputs,
                              .pm2 = self,
                              .id = id,
                              .rows = json_array(),
                              .lines = lines < OUTPUT_LINES_MAX ? (size_t)lines : OUTPUT_LINES_MAX};
    self->outputs = output;
    add_files(output, files, args);
    if (doc_get_bool(args, "follow", false)) {
        prepare_to_follow(output, args);
    }
    output->timer = runtime_timer(self->runtime, 1, true, on_turn, output);
    if (output->timer < 0) {
        runtime_refuse(self->runtime, id, "failed", "out of memory");
        unlink_output(output);
        destroy(output);
    }
}

static void on_looked(struct pm2 *self, struct look *look)
{
    const char *name = doc_get_text(look->args, "name", "");
    json_t *files = json_array();
    for (size_t i = 0; i < look->count; i++) {
        const struct look_home *home = &look->homes[i];
        followed_add(files, home->home, home->owner, home->list, name);
    }
    if (doc_get_bool(look->args, "follow", false)) {
        followed_set(self, name, files, clock_boot_ms());
    }
    begin(self, look->id, files, look->args);
    json_decref(files);
}

bool output_take(struct pm2 *self, const struct manager_command *command)
{
    if (strcmp(command->verb, "pm2 logs") != 0) {
        return false;
    }
    json_t *args = answer_args(command);
    const json_t *files =
        doc_get_bool(args, "follow", false)
            ? followed_files(self, doc_get_text(args, "name", ""), clock_boot_ms())
            : NULL;
    if (files == NULL) {
        look_begin(self, command->id, args, on_looked);
    } else {
        begin(self, command->id, files, args);
        json_decref(args);
    }
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
