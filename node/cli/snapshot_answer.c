/* What is answered from a saved snapshot: `snapshot inspect`, and verbs with `--snapshot FILE`. */
#include "node/cli/saved.h"

#include "consensus/state_work.h"
#include "node/base/doc.h"
#include "node/documents/why_document.h"

#include <inttypes.h>
#include <string.h>

/* ---- inspect ---- */

static json_t *counts_of(const struct state *state)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "nodes",
        (json_int_t)state_node_count(state), "duties", (json_int_t)state_duty_count(state),
        "settings", (json_int_t)state_setting_count(state), "managers",
        (json_int_t)state_manager_count(state), "leaders", (json_int_t)state_history_count(state),
        "audit", (json_int_t)state_audit_count(state), "schedules",
        (json_int_t)state_schedule_count(state), "runs_under_way",
        (json_int_t)state_run_count(state), "runs_ended", (json_int_t)state_ended_count(state),
        "intents", (json_int_t)state_intent_count(state), "recoveries",
        (json_int_t)state_recovery_count(state), "alerts", (json_int_t)state_alert_count(state),
        "proofs", (json_int_t)state_proven_count(state));
}

static json_t *describe(const struct saved *saved)
{
    char checksum[17];
    const struct snapshot_about *about = &saved->about;
    (void)snprintf(checksum, sizeof checksum, "%016" PRIx64, about->checksum);
    return json_pack("{s:o, s:I, s:i, s:o, s:I, s:o, s:o, s:o, s:I, s:I, s:b, s:s, s:o}", "file",
                     doc_text(saved->file), "bytes", (json_int_t)saved->bytes, "format",
                     SNAPSHOT_FILE_VERSION, "cluster", doc_text(about->cluster), "cluster_id",
                     (json_int_t)about->cluster_id, "node", doc_text(about->node), "program",
                     doc_text(about->program), "saved", doc_time(about->saved_wall_ms), "term",
                     (json_int_t)about->term, "index", (json_int_t)about->index, "stale",
                     (int)about->stale, "checksum", checksum, "counts", counts_of(saved->state));
}

static int print(const struct cli_options *options, const struct verb *verb,
                 const struct saved *saved, json_t *data_take)
{
    json_t *envelope = saved_envelope(saved, verb, data_take);
    cli_print(options, verb, envelope);
    json_decref(envelope);
    return UNDERSTUDY_DONE;
}

int snapshot_inspect(const struct cli_options *options, const struct verb *verb, const json_t *args,
                     struct understudy_error *error)
{
    struct saved saved;
    int exit = saved_open(doc_get_text(args, "file", ""), &saved, error);
    if (exit == UNDERSTUDY_DONE) {
        exit = print(options, verb, &saved, describe(&saved));
    }
    saved_close(&saved);
    return exit;
}

/* ---- answers ---- */

static int fail(const struct err *err, struct understudy_error *error)
{
    bool unknown = err->code == ERR_NOTFOUND;
    bool wrong = err->code == ERR_INVALID;
    *error = (struct understudy_error){.exit = unknown ? UNDERSTUDY_NOT_FOUND
                                               : wrong ? UNDERSTUDY_USAGE
                                                       : UNDERSTUDY_FAILED};
    (void)snprintf(error->code, sizeof error->code, "%s",
                   unknown ? "not_found" : (wrong ? "invalid" : "failed"));
    (void)snprintf(error->message, sizeof error->message, "%s", err->msg);
    return error->exit;
}

static int answer(const struct cli_options *options, const struct verb *verb, const json_t *args,
                  const struct saved *saved, struct understudy_error *error)
{
    json_t *data = NULL;
    struct err err = {0};
    if (strcmp(verb->words, "audit show") == 0) {
        data = audit_document(saved->state, doc_get_text(args, "target", NULL),
                              doc_get_integer(args, "limit", AUDIT_ROWS_DEFAULT));
    } else if (why_document(saved->state, verb->words, doc_get_text(args, "id", NULL),
                            saved->about.saved_wall_ms, &data, &err) != 0) {
        return fail(&err, error);
    } else if (strcmp(verb->words, "why not duty") == 0) {
        /* As of a node that does not act: only the leader knows where the managers want it. */
        (void)json_object_set_new(data, "placement", json_null());
    }
    return print(options, verb, saved, data);
}

int snapshot_answer(const struct cli_options *options, const struct verb *verb, const json_t *args,
                    struct understudy_error *error)
{
    struct saved saved;
    int exit = saved_open(doc_get_text(args, verb->file_option, ""), &saved, error);
    if (exit == UNDERSTUDY_DONE) {
        exit = answer(options, verb, args, &saved, error);
    }
    saved_close(&saved);
    return exit;
}
