/* Any bytes as a file of `snapshot save`. Behind checksums no mutation would get far, so the first
 * byte chooses: the whole file, a header alone under sums of our making, a page's text, or the body
 * of a state; of a state that is accepted every question is asked that the command line asks. */
#include "consensus/state_internal.h"
#include "node/base/invariant.h"
#include "node/documents/ledger_document.h"
#include "node/documents/why_document.h"
#include "node/snapshot/page_text.h"
#include "node/snapshot/snapshot_file.h"
#include "node/storage/checksum.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define WALL_MS INT64_C(1795305600000)

/* ---- questions ---- */

static void ask(const struct state *state, const char *verb, const char *id)
{
    json_t *document = NULL;
    struct err err = {0};
    int rc = why_document(state, verb, id, WALL_MS, &document, &err);
    invariant((rc == 0) == (document != NULL));
    invariant(rc == 0 || err.msg[0] != '\0');
    json_decref(document);
}

static void ask_runs(const struct state *state)
{
    char id[RUN_ID_SIZE];
    for (size_t i = 0; i < state_run_count(state); i++) {
        run_id(&state_run_at(state, i)->key, id);
        ask(state, "why run", id);
    }
    for (size_t i = 0; i < state_ended_count(state); i++) {
        run_id(&state_ended_at(state, i)->key, id);
        ask(state, "why run", id);
    }
}

static void ask_all(const struct state *state)
{
    ask(state, "why leader", NULL);
    for (size_t i = 0; i < state_duty_count(state); i++) {
        ask(state, "why duty", state_duty_at(state, i)->is.id);
    }
    for (size_t i = 0; i < state_alert_count(state); i++) {
        ask(state, "why alert", state_alert_at(state, i)->key);
    }
    ask_runs(state);
    json_decref(audit_document(state, NULL, STATE_AUDIT_MAX));
    json_decref(ledger_document(state, NULL, WALL_MS / 1000));
}

/* ---- the four kinds ---- */

static void try_state(const uint8_t *bytes, size_t length)
{
    struct state *state = state_create();
    invariant(state != NULL);
    if (state_restore(state, 1, bytes, length, NULL) == 0) {
        ask_all(state);
    }
    state_destroy(&state);
}

static void try_body(const uint8_t *bytes, size_t length)
{
    struct state *state = state_create();
    invariant(state != NULL);
    if (state_decode_body(bytes, length, state, NULL) == 0) {
        ask_all(state);
    }
    state_destroy(&state);
}

/* What is accepted is written alike. */
static void try_file(const uint8_t *bytes, size_t length)
{
    struct snapshot_about first;
    struct snapshot_about second;
    const uint8_t *state = NULL;
    size_t state_length = 0;
    struct err err = {0};
    if (snapshot_file_decode(bytes, length, &first, &state, &state_length, &err) != 0) {
        invariant(err.msg[0] != '\0');
        return;
    }
    invariant(state_length <= length);
    invariant(state >= bytes && state + state_length == bytes + length);
    uint8_t *again = NULL;
    size_t again_length = 0;
    invariant(snapshot_file_encode(&first, state, state_length, &again, &again_length, NULL) == 0);
    invariant(snapshot_file_decode(again, again_length, &second, &state, &state_length, NULL) == 0);
    invariant(strcmp(first.cluster, second.cluster) == 0 && strcmp(first.node, second.node) == 0);
    invariant(first.cluster_id == second.cluster_id && first.term == second.term &&
              first.index == second.index && first.saved_wall_ms == second.saved_wall_ms &&
              first.stale == second.stale && first.checksum == second.checksum);
    try_state(state, state_length);
    free(again);
}

static void put_number(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * i) & 0xff);
    }
}

/* A file without a state behind the header. */
static void try_header(const uint8_t *bytes, size_t length)
{
    static const char start[] = "understudy-state";
    if (length > SNAPSHOT_FILE_HEADER_MAX) {
        return;
    }
    uint8_t file[24 + SNAPSHOT_FILE_HEADER_MAX + 8];
    memcpy(file, start, 16);
    put_number(file + 16, SNAPSHOT_FILE_VERSION, 4);
    put_number(file + 20, length, 4);
    if (length > 0) {
        memcpy(file + 24, bytes, length);
    }
    put_number(file + 24 + length, checksum_bytes(CHECKSUM_START, file, 24 + length), 8);
    try_file(file, 24 + length + 8);
}

static void try_text(const uint8_t *bytes, size_t length)
{
    struct buffer decoded;
    buffer_init(&decoded, length);
    if (page_text_decode((const char *)bytes, length, &decoded, NULL) == 0) {
        char *text = malloc(PAGE_TEXT_SIZE(decoded.length));
        invariant(text != NULL);
        page_text_encode(decoded.data, decoded.length, text);
        invariant(strlen(text) == length && memcmp(text, bytes, length) == 0);
        free(text);
    }
    buffer_deinit(&decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static void (*const kinds[])(const uint8_t *bytes, size_t length) = {try_file, try_header,
                                                                         try_text, try_body};
    if (length > 0 && bytes[0] < sizeof kinds / sizeof kinds[0]) {
        kinds[bytes[0]](bytes + 1, length - 1);
    }
    return 0;
}
