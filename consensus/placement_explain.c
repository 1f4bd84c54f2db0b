#include "consensus/placement_internal.h"

#include "node/base/invariant.h"

#include <stdio.h>
#include <string.h>

/* ---- names ---- */

const char *placement_reason_name(enum placement_reason reason)
{
    switch (reason) {
    case PLACEMENT_UNASSIGNED:
        return "unassigned";
    case PLACEMENT_NODE_RESTARTED:
        return "node_restarted";
    case PLACEMENT_NODE_GONE:
        return "node_gone";
    case PLACEMENT_NODE_DEAD:
        return "node_dead";
    case PLACEMENT_NODE_DRAINING:
        return "node_draining";
    case PLACEMENT_NODE_INCAPABLE:
        return "node_incapable";
    case PLACEMENT_NODE_EXCLUDED:
        return "node_excluded";
    case PLACEMENT_REBALANCE:
        return "rebalance";
    case PLACEMENT_PRESSURE:
        return "pressure";
    case PLACEMENT_OPERATOR:
        return "operator";
    }
    return "unknown";
}

struct words {
    const char *code;
    const char *text;
};

static const struct words refusals[] = {
#define REFUSAL_ROW(symbol, code, text) [symbol] = {code, text},
    PLACEMENT_REFUSAL_MAP(REFUSAL_ROW)
#undef REFUSAL_ROW
};

static const struct words verdicts[] = {
#define VERDICT_ROW(symbol, code, text) [symbol] = {code, text},
    PLACEMENT_VERDICT_MAP(VERDICT_ROW)
#undef VERDICT_ROW
};

static const struct words *words_of(const struct words *table, size_t count, size_t value)
{
    static const struct words unknown = {"unknown", "unknown"};
    return value < count ? &table[value] : &unknown;
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

const char *placement_refusal_name(enum placement_refusal refusal)
{
    return words_of(refusals, COUNT(refusals), (size_t)refusal)->code;
}

const char *placement_refusal_text(enum placement_refusal refusal)
{
    return words_of(refusals, COUNT(refusals), (size_t)refusal)->text;
}

const char *placement_verdict_name(enum placement_verdict verdict)
{
    return words_of(verdicts, COUNT(verdicts), (size_t)verdict)->code;
}

const char *placement_verdict_text(enum placement_verdict verdict)
{
    return words_of(verdicts, COUNT(verdicts), (size_t)verdict)->text;
}

/* ---- why a node may not have it ---- */

static bool is_listed(const struct placement_node *node, const struct placement_duty *duty)
{
    invariant(duty->only_count <= PLACEMENT_ONLY_MAX);
    for (size_t i = 0; i < duty->only_count; i++) {
        if (duty->only[i] == node->raft_id) {
            return true;
        }
    }
    return duty->only_count == 0;
}

static bool has_labels(const struct placement_node *node, const struct placement_duty *duty)
{
    invariant(duty->label_count <= PLACEMENT_LABELS_MAX);
    for (size_t i = 0; i < duty->label_count; i++) {
        if (!scene_has_label(node, duty->labels[i])) {
            return false;
        }
    }
    return true;
}

enum placement_refusal placement_refuses(const struct placement_node *node,
                                         const struct placement_duty *duty)
{
    if (!node->alive) {
        return PLACEMENT_NOT_ALIVE;
    }
    if (node->draining) {
        return PLACEMENT_DRAINS;
    }
    if (node->witness) {
        return PLACEMENT_TAKES_NONE;
    }
    int8_t percent = scene_percent(node, duty->manager);
    if (percent <= 0) {
        return percent < 0 ? PLACEMENT_UNTOLD : PLACEMENT_INCAPABLE;
    }
    if (!is_listed(node, duty)) {
        return PLACEMENT_NOT_LISTED;
    }
    return has_labels(node, duty) ? PLACEMENT_CAN : PLACEMENT_NO_LABEL;
}

/* ---- one duty ---- */

static void view_nodes(const struct scene *scene, const struct scene_duty *duty,
                       struct placement_explanation *ret)
{
    ret->node_count = scene->node_count;
    bool low = duty->is->priority < PLACEMENT_PRIORITY_NORMAL;
    for (size_t i = 0; i < scene->node_count; i++) {
        struct placement_view *view = &ret->nodes[i];
        scene_view(scene, duty, i, view);
        view->holds = duty->home == i;
        view->refusal = placement_refuses(&scene->nodes[i], duty->is);
        if (view->refusal == PLACEMENT_CAN && scene->used[i] >= scene->room[i]) {
            view->refusal = PLACEMENT_FULL;
        } else if (view->refusal == PLACEMENT_CAN && low && (scene->pressed & scene_bit(i)) != 0) {
            view->refusal = PLACEMENT_PRESSED;
        }
    }
}

/* What comes before the question of a place; PLACEMENT_STAYS: nothing does. */
static enum placement_verdict judge_wish(const struct scene_duty *duty)
{
    const struct placement_duty *is = duty->is;
    if (!is->wanted) {
        return PLACEMENT_UNWANTED;
    }
    if (is->once && is->spent && !is->assigned) {
        return PLACEMENT_SPENT;
    }
    if (is->barred) {
        return PLACEMENT_BARRED;
    }
    if (is->rests) {
        return PLACEMENT_RESTS;
    }
    return is->leaving && is->assigned ? PLACEMENT_LEAVES : PLACEMENT_STAYS;
}

static enum placement_verdict judge_place(struct placement *self, int64_t now_ms,
                                          struct scene_duty *duty)
{
    const struct scene *scene = &self->scene;
    enum placement_reason reason;
    if (!scene_needs_place(scene, duty, &reason)) {
        size_t node;
        int64_t gain;
        return placement_gain(self, now_ms, duty, &node, &gain) ? PLACEMENT_BETTER
                                                                : PLACEMENT_STAYS;
    }
    if (placement_is_away(self, now_ms, duty)) {
        return PLACEMENT_SENT_AWAY;
    }
    if (duty->able == 0) {
        return PLACEMENT_NOBODY;
    }
    if (scene_open(scene, duty) == 0) {
        return PLACEMENT_WAITS;
    }
    return duty->home == PLACEMENT_NO_NODE ? PLACEMENT_PLACED : PLACEMENT_FORCED;
}

void placement_explain(struct placement *self, int64_t now_ms, const struct placement_world *world,
                       size_t duty, struct placement_explanation *ret)
{
    invariant(duty < world->duty_count);
    memset(ret, 0, sizeof(*ret));
    struct scene *scene = &self->scene;
    scene_fill(scene, world, placement_look_at_loads(self, now_ms, world), &self->config.off);
    struct scene_duty *subject = &scene->duties[duty];
    ret->home = subject->home;
    ret->verdict = judge_wish(subject);
    if (ret->verdict == PLACEMENT_STAYS) {
        ret->verdict = judge_place(self, now_ms, subject);
    }
    if (subject->counted) {
        scene_take(scene, subject, subject->home);
    }
    view_nodes(scene, subject, ret);
    ret->best = scene_best(scene, subject, scene_open(scene, subject));
}

/* ---- copies ---- */

bool placement_copy_id(const char *id, size_t number, char ret[DUTY_ID_SIZE])
{
    int length = number <= 1 ? snprintf(ret, DUTY_ID_SIZE, "%s", id)
                             : snprintf(ret, DUTY_ID_SIZE, "%s~%zu", id, number);
    return length >= 0 && length < DUTY_ID_SIZE;
}

void placement_copy_group(const char *id, char ret[DUTY_ID_SIZE])
{
    (void)snprintf(ret, DUTY_ID_SIZE, "%s", id);
    char *mark = strrchr(ret, '~');
    if (mark != NULL && mark != ret && mark[1] != '\0' && mark[1] != '0' &&
        strspn(mark + 1, "0123456789") == strlen(mark + 1)) {
        *mark = '\0';
    }
}
