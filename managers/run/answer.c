/* `run outputs` and `run logs`: what is kept here of the output of runs. */
#include "managers/run/run.h"

#include "managers/common/runtime_document.h"
#include "node/base/doc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_BYTES 131072 /* of one answer: three times that, where bytes are no UTF-8, still fit */
#define OUTPUTS_MAX 2000  /* rows of one answer */

/* A command line's arguments are texts. */
static int64_t get_number(const json_t *args, const char *key, int64_t fallback)
{
    const char *text = doc_get_text(args, key, NULL);
    if (text == NULL) {
        return doc_get_integer(args, key, fallback);
    }
    char *end;
    errno = 0;
    int64_t value = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' ? value : fallback;
}

/* ---- run outputs ---- */

struct listing {
    const char *prefix;
    const char *schedule; /* "": all */
    const char *node;
    json_t *rows;
};

static void add_row(struct listing *self, const struct slot_name *slot, int64_t bytes,
                    json_t *changed, bool under_way)
{
    char run_id[DUTY_ID_SIZE];
    slot_run_id(self->prefix, slot, run_id);
    if ((self->schedule[0] != '\0' && strcmp(slot->schedule, self->schedule) != 0) ||
        json_array_size(self->rows) >= OUTPUTS_MAX) {
        json_decref(changed);
        return;
    }
    (void)json_array_append_new(
        self->rows, json_pack("{so sI so sI so sb}", "id", doc_text(run_id), "attempt",
                              (json_int_t)slot->attempt, "node", doc_text(self->node), "bytes",
                              (json_int_t)bytes, "changed", changed, "under_way", under_way));
}

static void list_file(void *context, const char *duty, const struct slot_name *slot, int64_t bytes,
                      int64_t changed_wall_ms)
{
    (void)duty;
    add_row(context, slot, bytes, doc_time(changed_wall_ms), false);
}

static void answer_outputs(struct run *self, const struct manager_command *command,
                           const json_t *args)
{
    const char *schedule = doc_get_text(args, "schedule", "");
    const char *prefix = self->source->prefix;
    if (strncmp(schedule, prefix, strlen(prefix)) == 0) {
        schedule += strlen(prefix);
    }
    if (strchr(schedule, '/') != NULL || schedule[0] == '.') {
        runtime_refuse(self->runtime, command->id, "invalid", "\"%.60s\" is no name of a schedule",
                       schedule);
        return;
    }
    struct listing listing = {
        .prefix = prefix, .schedule = schedule, .node = self->configure.node, .rows = json_array()};
    for (size_t i = 0; i < RUN_ATTEMPTS_MAX; i++) {
        const struct carried *carried = &self->carried[i];
        if (carried->used && carried->output.fd >= 0) {
            add_row(&listing, &carried->name, (int64_t)carried->output.total, json_null(), true);
        }
    }
    files_visit(&self->files, schedule[0] != '\0' ? schedule : NULL, "out", list_file, &listing);
    runtime_answer(self->runtime, command->id, listing.rows);
}

/* ---- run logs ---- */

/* The one that is asked for: attempt 0 is the last. */
struct wanted {
    struct slot_name name;
    uint32_t attempt;
    bool found;
    struct slot_name best;
    char duty[DUTY_ID_SIZE];
};

static void consider(void *context, const char *duty, const struct slot_name *slot, int64_t bytes,
                     int64_t changed_wall_ms)
{
    struct wanted *self = context;
    (void)bytes;
    (void)changed_wall_ms;
    bool fits =
        slot_same_run(slot, &self->name) && (self->attempt == 0 || slot->attempt == self->attempt);
    if (fits && (!self->found || slot->attempt > self->best.attempt)) {
        self->found = true;
        self->best = *slot;
        (void)snprintf(self->duty, sizeof self->duty, "%s", duty);
    }
}

/* How much of `text` may be shown without cutting a character of UTF-8 in two. */
static size_t whole_characters(const char *text, size_t length)
{
    for (size_t back = 1; back <= 3 && back <= length; back++) {
        unsigned char byte = (unsigned char)text[length - back];
        if (byte < 0x80) {
            return length;
        }
        if (byte >= 0xC0) {
            size_t needed = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
            return needed > back ? length - back : length;
        }
    }
    return length;
}

struct page {
    char *text; /* PAGE_BYTES + 1 */
    size_t length;
    uint64_t offset;
    uint64_t whole;
    bool under_way;
};

static bool read_page(const struct run *self, const char *duty, struct page *page)
{
    for (size_t i = 0; i < RUN_ATTEMPTS_MAX; i++) {
        const struct carried *carried = &self->carried[i];
        if (carried->used && carried->output.fd >= 0 && strcmp(carried->duty, duty) == 0) {
            page->under_way = true;
            page->length = run_output_read_text(&carried->output, page->offset, page->text,
                                                PAGE_BYTES, &page->whole);
            return true;
        }
    }
    char path[FILES_PATH_SIZE];
    files_path(&self->files, duty, "out", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return false;
    }
    off_t end = lseek(fd, 0, SEEK_END);
    ssize_t got = pread(fd, page->text, PAGE_BYTES, (off_t)page->offset);
    (void)close(fd);
    page->whole = end > 0 ? (uint64_t)end : 0;
    page->length = got > 0 ? (size_t)got : 0;
    return true;
}

static json_t *describe_page(const struct run *self, const struct wanted *wanted, struct page *page)
{
    char run_id[DUTY_ID_SIZE];
    slot_run_id(self->source->prefix, &wanted->name, run_id);
    uint64_t next = page->offset + page->length;
    if (next < page->whole) {
        page->length = whole_characters(page->text, page->length);
        next = page->offset + page->length;
    }
    /* Bytes without a meaning as text are mended; a NUL would end it. */
    for (size_t i = 0; i < page->length; i++) {
        if (page->text[i] == '\0') {
            page->text[i] = '?';
        }
    }
    page->text[page->length] = '\0';
    json_t *text = page->length > 0 ? doc_text(page->text) : json_string("");
    return json_pack("{so sI so sb sI so sI so}", "id", doc_text(run_id), "attempt",
                     (json_int_t)wanted->best.attempt, "node", doc_text(self->configure.node),
                     "under_way", page->under_way, "offset", (json_int_t)page->offset,
                     "next_offset", doc_count_or_null(next < page->whole ? (int64_t)next : -1),
                     "bytes", (json_int_t)page->whole, "text", text);
}

static void answer_logs(struct run *self, const struct manager_command *command, const json_t *args)
{
    const char *id = doc_get_text(args, "id", "");
    int64_t attempt = get_number(args, "attempt", 0);
    int64_t offset = get_number(args, "offset", 0);
    struct wanted wanted = {0};
    if (!slot_parse(self->source->prefix, id, &wanted.name) || attempt < 0 ||
        attempt > UINT32_MAX || offset < 0) {
        runtime_refuse(self->runtime, command->id, "invalid",
                       "\"%.100s\" is no run; expected an id such as %sreport@20261122T051500Z", id,
                       self->source->prefix);
        return;
    }
    wanted.attempt = wanted.name.attempt_named ? wanted.name.attempt : (uint32_t)attempt;
    for (size_t i = 0; i < RUN_ATTEMPTS_MAX; i++) {
        const struct carried *carried = &self->carried[i];
        if (carried->used && carried->output.fd >= 0) {
            consider(&wanted, carried->duty, &carried->name, 0, 0);
        }
    }
    files_visit(&self->files, wanted.name.schedule, "out", consider, &wanted);
    struct page page = {.offset = (uint64_t)offset, .text = malloc(PAGE_BYTES + 1)};
    if (page.text == NULL) {
        runtime_refuse(self->runtime, command->id, "failed", "out of memory");
    } else if (!wanted.found || !read_page(self, wanted.duty, &page)) {
        runtime_refuse(self->runtime, command->id, "not_found", "no output of %.100s is kept on %s",
                       id, self->configure.node);
    } else {
        runtime_answer(self->runtime, command->id, describe_page(self, &wanted, &page));
    }
    free(page.text);
}

bool run_command(struct run *self, const struct manager_command *command)
{
    static const struct mp_limits limits = {
        .bytes = MANAGER_FIELDS_BYTES_MAX, .elements = 64, .depth = 4};
    bool logs = strcmp(command->verb, "run logs") == 0;
    json_t *args = NULL;
    struct err err = {0};
    if (!logs && strcmp(command->verb, "run outputs") != 0) {
        return false;
    }
    if (command->args.data != NULL &&
        doc_from_msgpack(command->args.data, command->args.length, &limits, &args, &err) != 0) {
        runtime_refuse(self->runtime, command->id, "invalid", "%s", err.msg);
    } else if (logs) {
        answer_logs(self, command, args);
    } else {
        answer_outputs(self, command, args);
    }
    json_decref(args);
    return true;
}
