/* The verb `ticks verify`: asks the node for its ledger, page by page, and checks it here. */
#include "node/cli/cli.h"

#include "node/base/doc.h"
#include "node/cli/saved.h"
#include "node/cli/ticks.h"
#include "node/documents/ledger_document.h"

#include <stdlib.h>
#include <string.h>

#define PAGES_MAX 10000

static int fail(struct understudy_error *error, int exit, const char *code, const char *message)
{
    *error = (struct understudy_error){.exit = exit};
    (void)snprintf(error->code, sizeof error->code, "%s", code);
    (void)snprintf(error->message, sizeof error->message, "%s", message);
    return exit;
}

/* One page into *ret, an envelope; an exit code. */
static int ask_page(const struct cli_options *options, struct understudy *client, const char *after,
                    json_t **ret, struct understudy_error *error)
{
    json_t *args = after == NULL ? json_object() : json_pack("{s:s}", "after", after);
    char *text = json_dumps(args, JSON_COMPACT);
    char *document = NULL;
    int exit = understudy_call(client, "ticks ledger", text, options->timeout_ms, &document, error);
    *ret = document == NULL ? NULL : json_loads(document, 0, NULL);
    free(document);
    free(text);
    json_decref(args);
    return exit;
}

static int64_t since_of(const json_t *args, const json_t *page)
{
    const char *text = doc_get_text(args, "since", NULL);
    return text == NULL ? 0 : doc_get_integer(page, "now_s", 0) - verb_duration_ms(text) / 1000;
}

/* The same page of a saved snapshot. */
static int read_page(const struct saved *saved, const struct verb *verb, const char *after,
                     json_t **ret)
{
    *ret = saved_envelope(saved, verb,
                          ledger_document(saved->state, after, saved->about.saved_wall_ms / 1000));
    return UNDERSTUDY_DONE;
}

/* Where pages come from: a node, or a saved snapshot when that is not NULL. */
struct source {
    const struct cli_options *options;
    const struct verb *verb;
    struct understudy *client;
    const struct saved *saved;
};

/* All pages into *summary; *envelope is the last one's. An exit code. */
static int check_all(const struct source *source, const json_t *args, json_t *summary,
                     json_t **envelope, struct understudy_error *error)
{
    char *after = NULL;
    int exit = UNDERSTUDY_DONE;
    /* A node without quorum still tells all that it has. */
    for (int i = 0; (exit == UNDERSTUDY_DONE || exit == UNDERSTUDY_NO_QUORUM) && i < PAGES_MAX;
         i++) {
        json_decref(*envelope);
        *envelope = NULL;
        exit = source->saved != NULL
                   ? read_page(source->saved, source->verb, after, envelope)
                   : ask_page(source->options, source->client, after, envelope, error);
        const json_t *page = json_object_get(*envelope, "data");
        struct err err = {0};
        if (*envelope != NULL && ticks_check_page(page, since_of(args, page), summary, &err) != 0) {
            exit = fail(error, UNDERSTUDY_FAILED, "not_verified", err.msg);
        }
        free(after);
        const char *more = doc_get_text(page, "more", NULL);
        after = more == NULL ? NULL : strdup(more);
        if (after == NULL) {
            break;
        }
    }
    free(after);
    return exit;
}

static void print(const struct cli_options *options, const struct verb *verb, json_t *envelope,
                  json_t *summary)
{
    (void)json_object_set_new(envelope, "schema", json_string("understudy.ticks.verify/1"));
    (void)json_object_set(envelope, "data", summary);
    cli_print(options, verb, envelope);
}

static int verify(const struct source *source, const json_t *args, struct understudy_error *error)
{
    json_t *summary = json_object();
    json_t *envelope = NULL;
    int exit = check_all(source, args, summary, &envelope, error);
    bool told = envelope != NULL && (exit == UNDERSTUDY_DONE || exit == UNDERSTUDY_NO_QUORUM);
    if (told) {
        print(source->options, source->verb, envelope, summary);
    }
    if (told && ticks_violations(summary) > 0) {
        char text[96];
        (void)snprintf(text, sizeof text, "%lld violations", (long long)ticks_violations(summary));
        exit = fail(error, UNDERSTUDY_VIOLATION, "violation", text);
    }
    json_decref(envelope);
    json_decref(summary);
    return exit;
}

int ticks_verify(const struct cli_options *options, const struct verb *verb, const json_t *args,
                 struct understudy_error *error)
{
    const char *file = doc_get_text(args, "snapshot", NULL);
    struct saved saved = {0};
    struct source source = {.options = options, .verb = verb};
    int exit;
    if (file != NULL) {
        source.saved = &saved;
        exit = saved_open(file, &saved, error);
    } else {
        exit = cli_connect(options, &source.client, error);
    }
    exit = exit != UNDERSTUDY_DONE ? exit : verify(&source, args, error);
    understudy_destroy(&source.client);
    saved_close(&saved);
    return exit;
}
