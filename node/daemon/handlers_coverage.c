#include "node/daemon/handlers_coverage.h"

#include "node/base/doc.h"
#include "node/daemon/coverage_scene.h"
#include "node/daemon/node.h"

#include <string.h>

#define ROWS_MAX 128 /* of one manager's primaries, and of its backups; the rest is counted */

static void put(json_t *object, const char *key, json_t *value_take)
{
    (void)json_object_set_new(object, key, value_take);
}

static json_t *node_or_null(const struct coverage_scene *scene, size_t node)
{
    return node < scene->node_count ? doc_text(scene->nodes[node].name) : json_null();
}

static json_t *nodes_of(const struct coverage_scene *scene, uint64_t set)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < scene->node_count; i++) {
        if ((set >> i & 1) != 0) {
            (void)json_array_append_new(ret, doc_text(scene->nodes[i].name));
        }
    }
    return ret;
}

static json_t *shared(const struct coverage_fates *fates)
{
    json_t *ret = json_array();
    if (fates->node) {
        (void)json_array_append_new(ret, json_string("node"));
    }
    for (size_t i = 0; i < fates->label_count; i++) {
        (void)json_array_append_new(ret, doc_text(fates->labels[i]));
    }
    return ret;
}

static json_t *describe_run(const struct coverage_scene *scene, const struct state_run *run)
{
    return json_pack("{s:o, s:s, s:o, s:I, s:I, s:I}", "time", doc_time(run->ended_wall_ms), "by",
                     proven_by_name(PROVEN_BY_RUN), "node",
                     doc_text(node_name_of(scene->self, run->raft_id)), "ran_ms",
                     (json_int_t)(run->ended_wall_ms - run->started_wall_ms), "assignment",
                     (json_int_t)run->assignment, "term", (json_int_t)run->term);
}

/* The last run of a backup in mode cron that went well. */
static json_t *proof_of_runs(const struct coverage_scene *scene, const char *schedule)
{
    const struct state *state = scene->self->state;
    const struct state_schedule *row = state_schedule_by_id(state, schedule);
    size_t count = row != NULL && row->last_ran_wall_ms > 0 ? state_ended_count(state) : 0;
    for (size_t i = 0; i < count; i++) {
        const struct state_run *run = state_ended_at(state, i);
        if (run->outcome == RUN_RAN && strcmp(run->key.schedule, schedule) == 0) {
            return describe_run(scene, run);
        }
    }
    return json_null();
}

/* The last time that it was seen to run; null: never, as far as the record goes back. */
static json_t *proof_of(const struct coverage_scene *scene, const char *duty, bool cron)
{
    if (cron) {
        return proof_of_runs(scene, duty);
    }
    const struct state_proven *row = state_proven_of(scene->self->state, duty);
    return row == NULL
               ? json_null()
               : json_pack("{s:o, s:s, s:o, s:I, s:I, s:I}", "time", doc_time(row->last_wall_ms),
                           "by", proven_by_name(row->by), "node", doc_text(row->node), "ran_ms",
                           (json_int_t)row->ran_ms, "assignment", (json_int_t)row->assignment,
                           "term", (json_int_t)row->term);
}

static json_t *describe_backup(const struct coverage_scene *scene, const json_t *declared,
                               const struct coverage_backup *backup,
                               const struct coverage_judgement *judgement)
{
    const char *id = doc_get_text(declared, "duty", "");
    bool cron = doc_get_bool(declared, "cron", false);
    const struct state_duty *duty = state_duty_by_id(scene->self->state, id);
    json_t *ret = json_object();
    put(ret, "duty", doc_text(id));
    put(ret, "tier", doc_text(doc_get_text(declared, "tier", NULL)));
    put(ret, "verdict", json_string(coverage_verdict_name(judgement->verdict)));
    put(ret, "reason", json_string(coverage_reason_name(judgement->reason)));
    put(ret, "text", json_string(coverage_reason_text(judgement->reason)));
    put(ret, "state", json_string(duty == NULL ? "idle" : document_duty_state(scene->self, duty)));
    put(ret, "node", node_or_null(scene, backup->home));
    put(ret, "would",
        node_or_null(scene, backup->home == PLACEMENT_NO_NODE ? backup->best : PLACEMENT_NO_NODE));
    put(ret, "shares", shared(&judgement->fates));
    put(ret, "can", nodes_of(scene, backup->able));
    put(ret, "apart", nodes_of(scene, judgement->apart));
    put(ret, "proven", proof_of(scene, id, cron));
    return ret;
}

/* The backups of one primary, each judged; their judgements go on in *ret. */
static json_t *judge_backups(struct coverage_scene *scene, const json_t *row,
                             const struct coverage_primary *primary, struct coverage_result *ret)
{
    const char *name = doc_get_text(row, "name", "");
    json_t *rows = json_array();
    size_t index;
    json_t *declared;
    coverage_begin(ret);
    json_array_foreach(json_object_get(scene->declared, "backups_declared"), index, declared)
    {
        struct coverage_backup backup;
        struct coverage_judgement judgement;
        if (index >= ROWS_MAX || strcmp(doc_get_text(declared, "stands_in_for", ""), name) != 0) {
            continue;
        }
        coverage_scene_backup(scene, declared, row, &backup);
        coverage_judge(scene->nodes, scene->node_count, primary, &backup, &judgement);
        coverage_add(primary, &judgement, ret);
        (void)json_array_append_new(rows, describe_backup(scene, declared, &backup, &judgement));
    }
    return rows;
}

static json_t *describe_primary(struct coverage_scene *scene, const json_t *row,
                                struct coverage_summary *summary)
{
    struct coverage_primary primary;
    struct coverage_result result;
    const char *state;
    coverage_scene_primary(scene, row, &primary, &state);
    json_t *backups = judge_backups(scene, row, &primary, &result);
    coverage_count(summary, &result);
    json_t *ret = json_object();
    put(ret, "manager", doc_text(scene->manager));
    put(ret, "name", doc_text(doc_get_text(row, "name", "")));
    put(ret, "critical", json_boolean(primary.critical));
    put(ret, "guarded", json_boolean(doc_get_bool(row, "guarded", false)));
    put(ret, "state", json_string(state));
    put(ret, "nodes", nodes_of(scene, primary.at));
    put(ret, "verdict", json_string(coverage_verdict_name(result.verdict)));
    put(ret, "reason", json_string(coverage_reason_name(result.reason)));
    put(ret, "text", json_string(coverage_reason_text(result.reason)));
    put(ret, "alarm", json_boolean(result.alarm));
    put(ret, "backups", backups);
    return ret;
}

/* The primaries of the manager that the scene is turned to; how many rows were left out. */
static size_t add_primaries(struct coverage_scene *scene, json_t *rows,
                            struct coverage_summary *summary)
{
    const json_t *primaries = json_object_get(scene->declared, "primaries_declared");
    size_t backups = json_array_size(json_object_get(scene->declared, "backups_declared"));
    size_t left_out = backups > ROWS_MAX ? backups - ROWS_MAX : 0;
    size_t index;
    json_t *row;
    json_array_foreach(primaries, index, row)
    {
        if (index < ROWS_MAX) {
            (void)json_array_append_new(rows, describe_primary(scene, row, summary));
        } else {
            left_out++;
        }
    }
    return left_out;
}

static json_t *describe_summary(const struct coverage_scene *scene,
                                const struct coverage_summary *summary, size_t left_out)
{
    char labels[NODE_LABELS_MAX][LABEL_SIZE];
    int permille = coverage_permille(summary);
    json_t *ret = json_object();
    json_t *everywhere = json_array();
    size_t count = coverage_everywhere(scene->nodes, scene->node_count, labels);
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(everywhere, doc_text(labels[i]));
    }
    put(ret, "primaries", json_integer((json_int_t)summary->primaries));
    for (size_t i = 0; i <= COVERAGE_UNCOVERED; i++) {
        put(ret, coverage_verdict_name((enum coverage_verdict)i),
            json_integer((json_int_t)summary->verdicts[i]));
    }
    put(ret, "percent", permille < 0 ? json_null() : doc_rounded(permille / 10.0, 1));
    put(ret, "alarms", json_integer((json_int_t)summary->alarms));
    put(ret, "everywhere", everywhere);
    put(ret, "left_out", json_integer((json_int_t)left_out));
    return ret;
}

void handlers_coverage(void *context, struct control_request *request)
{
    const struct node *self = context;
    if (node_is_outside(self)) { /* it passes the question on, when it can */
        control_fail(request, "no_leader", EXIT_NO_QUORUM, "ask a node that votes or stands by",
                     "%s gets no log, and does not know which nodes take duties", node_name(self));
        return;
    }
    struct coverage_scene *scene = coverage_scene_create(self);
    if (scene == NULL) {
        const struct err err = {.code = ERR_NOMEM, .msg = "no memory to look at coverage"};
        control_fail_err(request, &err);
        return;
    }
    char managers[MANAGERS_MAX][NAME_SIZE];
    struct coverage_summary summary = {0};
    json_t *primaries = json_array();
    size_t count = coverage_scene_managers(scene, managers);
    size_t left_out = 0;
    for (size_t i = 0; i < count; i++) {
        if (coverage_scene_turn(scene, managers[i])) {
            left_out += add_primaries(scene, primaries, &summary);
        }
    }
    json_t *data = json_pack("{s:o, s:o}", "summary", describe_summary(scene, &summary, left_out),
                             "primaries", primaries);
    coverage_scene_destroy(&scene);
    control_reply_exit(request, data, summary.alarms > 0 ? EXIT_FAILED : EXIT_DONE);
}
