/* `snapshot save`: asks the node for its state, page by page, and writes it down. */
#include "node/cli/saved.h"

#include "node/base/buffer.h"
#include "node/base/doc.h"
#include "node/cli/whole_file.h"
#include "node/snapshot/page_text.h"

#include <stdlib.h>
#include <string.h>

#define PAGES_MAX 1000
#define TRIES 3 /* the node that held the copy may be gone; then another is taken */

/* What was gathered so far. */
struct gathering {
    struct buffer state;
    struct snapshot_about about;
    json_t *envelope; /* of the last page */
    bool stale;       /* a page came without quorum */
};

static int fail(struct understudy_error *error, const char *code, const char *message)
{
    *error = (struct understudy_error){.exit = UNDERSTUDY_FAILED};
    (void)snprintf(error->code, sizeof error->code, "%s", code);
    (void)snprintf(error->message, sizeof error->message, "%s", message);
    return error->exit;
}

/* ---- pages ---- */

static int ask_page(const struct cli_options *options, struct understudy *client,
                    struct gathering *self, struct understudy_error *error)
{
    const json_t *last = json_object_get(self->envelope, "data");
    json_t *args = last == NULL
                       ? json_object()
                       : json_pack("{s:s, s:I}", "handle", doc_get_text(last, "handle", ""),
                                   "offset", (json_int_t)self->state.length);
    char *text = json_dumps(args, JSON_COMPACT);
    char *document = NULL;
    int exit =
        understudy_call(client, "snapshot page", text, options->timeout_ms, &document, error);
    json_decref(self->envelope);
    self->envelope = document == NULL ? NULL : json_loads(document, 0, NULL);
    self->stale = self->stale || exit == UNDERSTUDY_NO_QUORUM;
    free(document);
    free(text);
    json_decref(args);
    /* A node without quorum still tells what it has. */
    return exit == UNDERSTUDY_NO_QUORUM && self->envelope != NULL ? UNDERSTUDY_DONE : exit;
}

static bool take_about(struct gathering *self, const json_t *page)
{
    struct snapshot_about *about = &self->about;
    int64_t cluster_id = doc_get_integer(page, "cluster_id", -1);
    int64_t term = doc_get_integer(page, "term", -1);
    int64_t index = doc_get_integer(page, "index", -1);
    const char *cluster = doc_get_text(self->envelope, "cluster", "");
    const char *node = doc_get_text(page, "node", "");
    const char *program = doc_get_text(page, "program", "");
    *about = (struct snapshot_about){.cluster_id = (uint32_t)cluster_id,
                                     .term = (uint64_t)term,
                                     .index = (uint64_t)index,
                                     .saved_wall_ms = doc_get_integer(page, "saved_wall_ms", -1),
                                     .stale = doc_get_bool(page, "stale", true)};
    (void)snprintf(about->cluster, sizeof about->cluster, "%s", cluster);
    (void)snprintf(about->node, sizeof about->node, "%s", node);
    (void)snprintf(about->program, sizeof about->program, "%s", program);
    return cluster_id >= 0 && cluster_id <= UINT32_MAX && term >= 0 && index >= 0 &&
           about->saved_wall_ms >= 0 && strcmp(about->cluster, cluster) == 0 &&
           strcmp(about->node, node) == 0 && strcmp(about->program, program) == 0;
}

/* The page behind those that are there; *ret_more: others follow. */
static bool take_page(struct gathering *self, bool *ret_more)
{
    const json_t *page = json_object_get(self->envelope, "data");
    const json_t *next = json_object_get(page, "next_offset");
    const char *text = doc_get_text(page, "text", NULL);
    size_t before = self->state.length;
    if (text == NULL || doc_get_integer(page, "offset", -1) != (int64_t)before ||
        (before == 0 && !take_about(self, page)) ||
        page_text_decode(text, strlen(text), &self->state, NULL) != 0 ||
        self->state.length == before) {
        return false;
    }
    int64_t have = (int64_t)self->state.length;
    *ret_more = json_is_integer(next);
    return *ret_more ? json_integer_value(next) == have
                     : doc_get_integer(page, "length", -1) == have;
}

static int gather_once(const struct cli_options *options, struct understudy *client,
                       struct gathering *self, struct understudy_error *error)
{
    bool more = true;
    json_decref(self->envelope);
    self->envelope = NULL;
    self->stale = false;
    buffer_clear(&self->state);
    for (int i = 0; more && i < PAGES_MAX; i++) {
        int exit = ask_page(options, client, self, error);
        if (exit != UNDERSTUDY_DONE) {
            return exit;
        }
        if (!take_page(self, &more)) {
            return fail(error, "malformed", "the node's pages have not the expected shape");
        }
    }
    return more ? fail(error, "malformed", "the node's pages have no end") : UNDERSTUDY_DONE;
}

static int gather(const struct cli_options *options, struct gathering *self,
                  struct understudy_error *error)
{
    struct understudy *client = NULL;
    int exit = cli_connect(options, &client, error);
    if (exit != UNDERSTUDY_DONE) {
        return exit;
    }
    exit = UNDERSTUDY_NOT_FOUND; /* it does not hold the copy (any more) */
    for (int i = 0; exit == UNDERSTUDY_NOT_FOUND && i < TRIES; i++) {
        exit = gather_once(options, client, self, error);
    }
    understudy_destroy(&client);
    return exit;
}

/* ---- the file ---- */

/* What is written can be read: a file that nobody can use is found now, not when it is needed. */
static int check(const struct gathering *self, struct err *err)
{
    struct state *state = state_create();
    if (state == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    int rc = state_restore(state, self->about.index, self->state.data, self->state.length, err);
    state_destroy(&state);
    return rc;
}

static int write_file(const char *file, const struct gathering *self, bool replace,
                      size_t *ret_bytes, struct err *err)
{
    uint8_t *bytes = NULL;
    int rc = check(self, err);
    rc = rc != 0 ? rc
                 : snapshot_file_encode(&self->about, self->state.data, self->state.length, &bytes,
                                        ret_bytes, err);
    rc = rc != 0 ? rc : whole_file_write(file, bytes, *ret_bytes, replace, err);
    free(bytes);
    return rc;
}

/* The hints of saved_fail are about reading, but for a file that is there already. */
static int fail_file(const char *file, const struct err *err, struct understudy_error *error)
{
    (void)saved_fail(file, err, error);
    if (err->code != ERR_EXISTS) {
        error->hint[0] = '\0';
    }
    return error->exit;
}

static void tell(const struct cli_options *options, const struct verb *verb, const char *file,
                 size_t bytes, struct gathering *self)
{
    const struct snapshot_about *about = &self->about;
    json_t *data = json_pack("{s:o, s:I, s:o, s:o, s:I, s:I, s:b}", "file", doc_text(file), "bytes",
                             (json_int_t)bytes, "node", doc_text(about->node), "saved",
                             doc_time(about->saved_wall_ms), "term", (json_int_t)about->term,
                             "index", (json_int_t)about->index, "stale", (int)about->stale);
    (void)json_object_set_new(self->envelope, "schema", json_string("understudy.snapshot.save/1"));
    (void)json_object_set_new(self->envelope, "stale", json_boolean(self->stale || about->stale));
    (void)json_object_set_new(self->envelope, "data", data);
    cli_print(options, verb, self->envelope);
}

static int save(const struct cli_options *options, const struct verb *verb, const json_t *args,
                struct gathering *self, struct understudy_error *error)
{
    size_t bytes = 0;
    struct err err = {0};
    const char *file = doc_get_text(args, "file", "");
    bool replace = doc_get_bool(args, "force", false);
    if (whole_file_may_write(file, replace, &err) != 0) {
        return fail_file(file, &err, error);
    }
    int exit = gather(options, self, error);
    if (exit != UNDERSTUDY_DONE) {
        return exit;
    }
    if (write_file(file, self, replace, &bytes, &err) != 0) {
        return fail_file(file, &err, error);
    }
    tell(options, verb, file, bytes, self);
    if (!self->stale && !self->about.stale) {
        return UNDERSTUDY_DONE;
    }
    (void)fail(error, "no_quorum", "the node has no quorum: what was saved may be out of date");
    return error->exit = UNDERSTUDY_NO_QUORUM;
}

int snapshot_save(const struct cli_options *options, const struct verb *verb, const json_t *args,
                  struct understudy_error *error)
{
    struct gathering self = {0};
    buffer_init(&self.state, SNAPSHOT_BYTES_MAX);
    int exit = save(options, verb, args, &self, error);
    json_decref(self.envelope);
    buffer_deinit(&self.state);
    return exit;
}
