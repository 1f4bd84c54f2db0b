#include "node/cli/saved.h"

#include "node/base/doc.h"
#include "node/cli/whole_file.h"

#include <stdlib.h>

int saved_fail(const char *file, const struct err *err, struct understudy_error *error)
{
    static const struct {
        int err;
        int exit;
        const char *code;
        const char *hint;
    } rows[] = {
        {ERR_NOTFOUND, UNDERSTUDY_NOT_FOUND, "not_found",
         "`understudy snapshot save FILE` makes one"},
        {ERR_DENIED, UNDERSTUDY_DENIED, "not_authorised", "only the file's owner may read it"},
        {ERR_INVALID, UNDERSTUDY_FAILED, "no_snapshot",
         "`understudy snapshot save FILE` makes one"},
        {ERR_UNSUPPORTED, UNDERSTUDY_PRECONDITION, "newer_version",
         "use the program of the version that saved it, or a newer one"},
        {ERR_CORRUPT, UNDERSTUDY_FAILED, "damaged",
         "copy it again, or save another: understudy snapshot save FILE"},
        {ERR_EXISTS, UNDERSTUDY_PRECONDITION, "exists",
         "--force replaces it, when it is a regular file"},
    };
    *error = (struct understudy_error){.exit = UNDERSTUDY_FAILED};
    (void)snprintf(error->code, sizeof error->code, "failed");
    (void)snprintf(error->message, sizeof error->message, "%.240s: %s", file, err->msg);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].err == err->code) {
            error->exit = rows[i].exit;
            (void)snprintf(error->code, sizeof error->code, "%s", rows[i].code);
            (void)snprintf(error->hint, sizeof error->hint, "%s", rows[i].hint);
        }
    }
    return error->exit;
}

static int read_state(const uint8_t *bytes, size_t length, struct saved *ret, struct err *err)
{
    const uint8_t *state = NULL;
    size_t state_length = 0;
    int rc = snapshot_file_decode(bytes, length, &ret->about, &state, &state_length, err);
    if (rc != 0) {
        return rc;
    }
    ret->state = state_create();
    if (ret->state == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    return state_restore(ret->state, ret->about.index, state, state_length, err);
}

int saved_open(const char *file, struct saved *ret, struct understudy_error *error)
{
    uint8_t *bytes = NULL;
    struct err err = {0};
    *ret = (struct saved){.file = file};
    int rc = whole_file_read(file, SNAPSHOT_FILE_BYTES_MAX, &bytes, &ret->bytes, &err);
    rc = rc != 0 ? rc : read_state(bytes, ret->bytes, ret, &err);
    free(bytes);
    return rc == 0 ? UNDERSTUDY_DONE : saved_fail(file, &err, error);
}

void saved_close(struct saved *self)
{
    state_destroy(&self->state);
}

json_t *saved_envelope(const struct saved *self, const struct verb *verb, json_t *data_take)
{
    char words[VERB_WORDS_SIZE];
    char schema[VERB_WORDS_SIZE + 16];
    const struct snapshot_about *about = &self->about;
    verb_schema(verb, words);
    (void)snprintf(schema, sizeof schema, "understudy.%s/1", words);
    return json_pack("{s:s, s:o, s:o, s:o, s:I, s:b, s:{s:o, s:I}, s:o}", "schema", schema, "time",
                     doc_time(about->saved_wall_ms), "node", doc_text(about->node), "cluster",
                     doc_text(about->cluster), "term", (json_int_t)about->term, "stale", 1,
                     "snapshot", "file", doc_text(self->file), "index", (json_int_t)about->index,
                     "data", data_take);
}
