#include "consensus/coverage.h"

#include "node/base/invariant.h"

#include <assert.h>
#include <string.h>

static_assert(NODES_MAX <= 64, "a set of nodes is one word");

/* ---- names ---- */

struct words {
    enum coverage_verdict verdict;
    const char *code;
    const char *text;
};

static const struct words reasons[] = {
#define REASON_ROW(symbol, verdict, code, text) [symbol] = {verdict, code, text},
    COVERAGE_REASON_MAP(REASON_ROW)
#undef REASON_ROW
};

static const char *const verdicts[] = {
#define VERDICT_ROW(symbol, code) [symbol] = (code),
    COVERAGE_VERDICT_MAP(VERDICT_ROW)
#undef VERDICT_ROW
};

static const char *const places[] = {
#define PLACE_ROW(key) key,
    COVERAGE_PLACES(PLACE_ROW)
#undef PLACE_ROW
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

const char *coverage_verdict_name(enum coverage_verdict verdict)
{
    return (size_t)verdict < COUNT(verdicts) ? verdicts[verdict] : "unknown";
}

const char *coverage_reason_name(enum coverage_reason reason)
{
    return (size_t)reason < COUNT(reasons) ? reasons[reason].code : "unknown";
}

const char *coverage_reason_text(enum coverage_reason reason)
{
    return (size_t)reason < COUNT(reasons) ? reasons[reason].text : "unknown";
}

/* ---- fates ---- */

static uint64_t bit(size_t node)
{
    return UINT64_C(1) << node;
}

static bool has_label(const struct placement_node *node, const char *label)
{
    for (size_t i = 0; i < node->label_count && i < NODE_LABELS_MAX; i++) {
        if (strcmp(node->labels[i], label) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_key(const char *label, const char *key)
{
    size_t length = strlen(key);
    return strncmp(label, key, length) == 0 && label[length] == '=';
}

static bool is_place(const char *label)
{
    for (size_t i = 0; i < COUNT(places); i++) {
        if (has_key(label, places[i])) {
            return true;
        }
    }
    return false;
}

static bool is_asked_for(const struct coverage_backup *backup, const char *label)
{
    for (size_t i = 0; i < backup->label_count; i++) {
        if (strcmp(backup->labels[i], label) == 0) {
            return true;
        }
    }
    return false;
}

/* Do all nodes of the set have it? */
static bool all_have(const struct placement_node *nodes, size_t node_count, uint64_t set,
                     const char *label)
{
    for (size_t i = 0; i < node_count; i++) {
        if ((set & bit(i)) != 0 && !has_label(&nodes[i], label)) {
            return false;
        }
    }
    return true;
}

static uint64_t all_of(size_t node_count)
{
    return node_count >= 64 ? UINT64_MAX : bit(node_count) - 1;
}

/* A label that primary and backup have in common: is it a fate? */
static bool tells_a_fate(const struct placement_node *nodes, size_t node_count,
                         const struct coverage_backup *backup, const char *label)
{
    return is_place(label) || (!is_asked_for(backup, label) &&
                               !all_have(nodes, node_count, all_of(node_count), label));
}

void coverage_fates(const struct placement_node *nodes, size_t node_count,
                    const struct coverage_primary *primary, const struct coverage_backup *backup,
                    size_t node, struct coverage_fates *ret)
{
    invariant(node_count <= NODES_MAX && node < node_count);
    invariant(backup->label_count <= PLACEMENT_LABELS_MAX);
    memset(ret, 0, sizeof(*ret));
    if (primary->at == 0) {
        return; /* nobody knows where it is */
    }
    ret->node = primary->at == bit(node);
    const struct placement_node *own = &nodes[node];
    for (size_t i = 0; i < own->label_count && i < NODE_LABELS_MAX; i++) {
        const char *label = own->labels[i];
        if (all_have(nodes, node_count, primary->at, label) &&
            tells_a_fate(nodes, node_count, backup, label)) {
            ret->host = ret->host || has_key(label, "host");
            memcpy(ret->labels[ret->label_count++], label, LABEL_SIZE);
        }
    }
}

size_t coverage_everywhere(const struct placement_node *nodes, size_t node_count,
                           char ret[][LABEL_SIZE])
{
    size_t count = 0;
    for (size_t i = 0; node_count > 0 && i < nodes[0].label_count && i < NODE_LABELS_MAX; i++) {
        const char *label = nodes[0].labels[i];
        if (!is_place(label) && all_have(nodes, node_count, all_of(node_count), label)) {
            memcpy(ret[count++], label, LABEL_SIZE);
        }
    }
    return count;
}

/* ---- one backup ---- */

/* The nodes of `candidates` that are apart from the primary, into *ret; those that are its own are
 * returned. */
static uint64_t sort_out(const struct placement_node *nodes, size_t node_count,
                         const struct coverage_primary *primary,
                         const struct coverage_backup *backup, uint64_t candidates,
                         struct coverage_judgement *ret)
{
    uint64_t own = 0;
    for (size_t i = 0; i < node_count; i++) {
        struct coverage_fates fates;
        if ((candidates & bit(i)) == 0) {
            continue;
        }
        coverage_fates(nodes, node_count, primary, backup, i, &fates);
        own |= fates.node ? bit(i) : 0;
        ret->apart_host |= fates.node || fates.host ? 0 : bit(i);
        ret->apart |= fates.node || fates.label_count > 0 ? 0 : bit(i);
    }
    return own;
}

static enum coverage_reason reason_of(const struct coverage_primary *primary,
                                      const struct coverage_backup *backup, uint64_t candidates,
                                      uint64_t own, const struct coverage_judgement *judgement)
{
    if (backup->barred) {
        return backup->bar;
    }
    if (candidates == 0) {
        return COVERAGE_NO_TAKER;
    }
    if (primary->at == 0) {
        return COVERAGE_UNSEEN;
    }
    if (judgement->apart_host == 0) {
        return own == candidates ? COVERAGE_NODE_ONLY : COVERAGE_HOST_ONLY;
    }
    if (judgement->apart == 0) {
        return COVERAGE_GROUP_ONLY;
    }
    if (judgement->fates.node || judgement->fates.host) {
        return judgement->fates.node ? COVERAGE_NODE_NOW : COVERAGE_HOST_NOW;
    }
    if (judgement->fates.label_count > 0) {
        return COVERAGE_GROUP_NOW;
    }
    if (backup->failing) {
        return COVERAGE_RUN_FAILED;
    }
    return backup->proven ? COVERAGE_APART : COVERAGE_NEVER_RAN;
}

void coverage_judge(const struct placement_node *nodes, size_t node_count,
                    const struct coverage_primary *primary, const struct coverage_backup *backup,
                    struct coverage_judgement *ret)
{
    memset(ret, 0, sizeof(*ret));
    bool held = backup->home < node_count;
    uint64_t candidates = backup->able | (held ? bit(backup->home) : 0);
    ret->where = held ? backup->home : backup->best < node_count ? backup->best : PLACEMENT_NO_NODE;
    uint64_t own = sort_out(nodes, node_count, primary, backup, candidates, ret);
    if (ret->where != PLACEMENT_NO_NODE) {
        coverage_fates(nodes, node_count, primary, backup, ret->where, &ret->fates);
    }
    ret->reason = reason_of(primary, backup, candidates, own, ret);
    ret->verdict = reasons[ret->reason].verdict;
}

/* ---- one primary ---- */

/* Would this backup be of use if the primary's host failed? */
static bool helps(const struct coverage_primary *primary, const struct coverage_judgement *backup)
{
    if (backup->verdict != COVERAGE_SHARED_FATE) {
        return backup->verdict != COVERAGE_UNCOVERED;
    }
    return primary->critical ? backup->apart != 0 : backup->apart_host != 0;
}

void coverage_begin(struct coverage_result *ret)
{
    *ret = (struct coverage_result){
        .verdict = COVERAGE_UNCOVERED, .reason = COVERAGE_NO_BACKUP, .alarm = true};
}

void coverage_add(const struct coverage_primary *primary, const struct coverage_judgement *backup,
                  struct coverage_result *self)
{
    /* Reasons are sorted from best to worst. */
    self->reason = backup->reason < self->reason ? backup->reason : self->reason;
    self->verdict = reasons[self->reason].verdict;
    self->alarm = self->alarm && !helps(primary, backup);
}

void coverage_count(struct coverage_summary *self, const struct coverage_result *result)
{
    self->primaries++;
    self->verdicts[result->verdict]++;
    self->alarms += result->alarm ? 1 : 0;
}

int coverage_permille(const struct coverage_summary *self)
{
    return self->primaries == 0 ? -1
                                : (int)(self->verdicts[COVERAGE_COVERED] * 1000 / self->primaries);
}
