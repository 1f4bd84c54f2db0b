#include "gossip/health.h"

#include "node/base/mp.h"

#include <stdlib.h>
#include <string.h>

#define SCORE_STEP_TENTHS 50  /* told at once */
#define SCORE_SMALL_TENTHS 10 /* told with a refresh; also needed for a crossing to count */
#define COMPONENT_STEP_TENTHS 100
#define CAPABILITY_STEP 10
#define LOAD_STEP_HUNDREDTHS 200 /* and half of what it was */
#define LOAD_SMALL_HUNDREDTHS 20
#define LOAD_MAX_HUNDREDTHS 1000000

/* Borders of states and of handover (healthy, emergency, warning). */
static const int score_borders[] = {800, 600, 500};

void gossip_health_init(struct gossip_health *self)
{
    *self =
        (struct gossip_health){.score_tenths = GOSSIP_UNKNOWN, .load_hundredths = GOSSIP_UNKNOWN};
}

/* ---- records ---- */

void gossip_health_record_free(struct health_record **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    free((*self_p)->details);
    free(*self_p);
    *self_p = NULL;
}

uint64_t gossip_health_record_digest(const struct health_record *self)
{
    if (self == NULL) {
        return 0;
    }
    uint64_t digest = self->incarnation * UINT64_C(0x9E3779B97F4A7C15);
    digest = (digest ^ self->sequence) * UINT64_C(0xC2B2AE3D27D4EB4F);
    /* Which details of an older publication are left here is nothing to reconcile: when a node dies
     * before its last ones spread, nobody has them. */
    uint32_t details = self->details_hash == self->details_wanted ? self->details_hash : 0;
    return (digest ^ details) * UINT64_C(0x165667B19E3779F9) | 1;
}

int gossip_health_record_compare(const struct health_record *self, uint64_t incarnation,
                                 uint64_t sequence)
{
    if (self == NULL || incarnation > self->incarnation) {
        return 1;
    }
    if (incarnation < self->incarnation) {
        return -1;
    }
    return sequence > self->sequence ? 1 : (sequence < self->sequence ? -1 : 0);
}

int gossip_health_record_set_details(struct health_record *self, const uint8_t *details,
                                     size_t length)
{
    uint8_t *copy = malloc(length == 0 ? 1 : length);
    if (copy == NULL) {
        return ERR_NOMEM;
    }
    memcpy(copy, details, length);
    free(self->details);
    self->details = copy;
    self->details_length = (uint16_t)length;
    self->details_hash = gossip_health_details_hash(details, length);
    return 0;
}

uint32_t gossip_health_details_hash(const uint8_t *details, size_t length)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ details[i]) * UINT64_C(0x100000001B3);
    }
    uint32_t folded = (uint32_t)(hash ^ (hash >> 32));
    return folded == 0 ? 1 : folded;
}

/* ---- what the shell hands in ---- */

static bool in_range(int value, int max)
{
    return value == GOSSIP_UNKNOWN || (value >= 0 && value <= max);
}

static bool terminated(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static int check_names(const struct gossip_health *health, struct err *err)
{
    for (size_t i = 0; i < health->component_count; i++) {
        const struct gossip_component *component = &health->components[i];
        if (!terminated(component->name, sizeof component->name) ||
            !in_range(component->score_tenths, 1000)) {
            return err_set(err, ERR_INVALID, "health component %zu is malformed", i);
        }
    }
    for (size_t i = 0; i < health->capability_count; i++) {
        const struct gossip_capability *capability = &health->capabilities[i];
        if (!terminated(capability->manager, sizeof capability->manager) ||
            !in_range(capability->percent, 100)) {
            return err_set(err, ERR_INVALID, "capability %zu is malformed", i);
        }
    }
    for (size_t i = 0; i < health->label_count; i++) {
        const struct gossip_label *label = &health->labels[i];
        if (!terminated(label->name, sizeof label->name) ||
            !terminated(label->value, sizeof label->value)) {
            return err_set(err, ERR_INVALID, "label %zu is malformed", i);
        }
    }
    return 0;
}

int gossip_health_check(const struct gossip_health *health, struct err *err)
{
    if (!in_range(health->score_tenths, 1000)) {
        return err_set(err, ERR_INVALID, "health score of %d tenths, allowed are 0 to 1000",
                       health->score_tenths);
    }
    if (!in_range(health->load_hundredths, LOAD_MAX_HUNDREDTHS)) {
        return err_set(err, ERR_INVALID, "load of %d hundredths, allowed are 0 to %d",
                       health->load_hundredths, LOAD_MAX_HUNDREDTHS);
    }
    if (health->component_count > GOSSIP_COMPONENTS_MAX ||
        health->capability_count > GOSSIP_CAPABILITIES_MAX ||
        health->label_count > GOSSIP_LABELS_MAX) {
        return err_set(err, ERR_INVALID, "more components, capabilities or labels than allowed");
    }
    if (!terminated(health->version, sizeof health->version)) {
        return err_set(err, ERR_INVALID, "version is longer than %zu bytes",
                       sizeof health->version - 1);
    }
    return check_names(health, err);
}

/* ---- details on the wire: [version, [name, score, ...], [manager, percent, ...],
 *      [label, value, ...]] ---- */

static void put_details(struct mp_writer *writer, const struct gossip_health *health)
{
    mp_put_array(writer, 4);
    mp_put_text(writer, health->version);
    mp_put_array(writer, health->component_count * 2);
    for (size_t i = 0; i < health->component_count; i++) {
        mp_put_text(writer, health->components[i].name);
        mp_put_i64(writer, health->components[i].score_tenths);
    }
    mp_put_array(writer, health->capability_count * 2);
    for (size_t i = 0; i < health->capability_count; i++) {
        mp_put_text(writer, health->capabilities[i].manager);
        mp_put_i64(writer, health->capabilities[i].percent);
    }
    mp_put_array(writer, health->label_count * 2);
    for (size_t i = 0; i < health->label_count; i++) {
        mp_put_text(writer, health->labels[i].name);
        mp_put_text(writer, health->labels[i].value);
    }
}

int gossip_health_details_encode(const struct gossip_health *health, uint8_t *ret,
                                 size_t *ret_length, struct err *err)
{
    struct mp_writer writer;
    mp_writer_init(&writer, GOSSIP_DETAILS_BYTES_MAX);
    put_details(&writer, health);
    int rc = 0;
    if (mp_writer_ok(&writer)) {
        memcpy(ret, writer.buffer.data, writer.buffer.length);
        *ret_length = writer.buffer.length;
    } else {
        rc = err_set(err, ERR_FULL, "health details exceed %d bytes", GOSSIP_DETAILS_BYTES_MAX);
    }
    mp_writer_deinit(&writer);
    return rc;
}

static bool get_score(const msgpack_object *object, int max, int *ret)
{
    int64_t value;
    if (!mp_i64(object, &value) || value < GOSSIP_UNKNOWN || value > max) {
        return false;
    }
    *ret = (int)value;
    return true;
}

static bool get_components(const msgpack_object *list, struct gossip_health *ret)
{
    size_t count = mp_count(list) / 2;
    if (mp_array(list, 0) == NULL || count > GOSSIP_COMPONENTS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct gossip_component *component = &ret->components[i];
        if (!mp_text(mp_at(list, 2 * i), component->name, sizeof component->name) ||
            !get_score(mp_at(list, 2 * i + 1), 1000, &component->score_tenths)) {
            return false;
        }
    }
    ret->component_count = count;
    return true;
}

static bool get_capabilities(const msgpack_object *list, struct gossip_health *ret)
{
    size_t count = mp_count(list) / 2;
    if (mp_array(list, 0) == NULL || count > GOSSIP_CAPABILITIES_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct gossip_capability *capability = &ret->capabilities[i];
        if (!mp_text(mp_at(list, 2 * i), capability->manager, sizeof capability->manager) ||
            !get_score(mp_at(list, 2 * i + 1), 100, &capability->percent)) {
            return false;
        }
    }
    ret->capability_count = count;
    return true;
}

static bool get_labels(const msgpack_object *list, struct gossip_health *ret)
{
    size_t count = mp_count(list) / 2;
    if (mp_array(list, 0) == NULL || count > GOSSIP_LABELS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct gossip_label *label = &ret->labels[i];
        if (!mp_text(mp_at(list, 2 * i), label->name, sizeof label->name) ||
            !mp_text(mp_at(list, 2 * i + 1), label->value, sizeof label->value)) {
            return false;
        }
    }
    ret->label_count = count;
    return true;
}

int gossip_health_details_decode(const uint8_t *details, size_t length, struct gossip_health *ret,
                                 struct err *err)
{
    static const struct mp_limits limits = {
        .bytes = GOSSIP_DETAILS_BYTES_MAX, .elements = 256, .depth = 3};
    struct mp_doc doc;
    int rc = mp_parse(details, length, &limits, &doc, err);
    if (rc != 0) {
        return rc;
    }
    struct gossip_health health = *ret;
    const msgpack_object *root = mp_array(&doc.root, 4);
    if (root == NULL || !mp_text(mp_at(root, 0), health.version, sizeof health.version) ||
        !get_components(mp_at(root, 1), &health) || !get_capabilities(mp_at(root, 2), &health) ||
        !get_labels(mp_at(root, 3), &health)) {
        rc = err_set(err, ERR_PROTO, "malformed health details");
    } else {
        *ret = health;
    }
    mp_doc_deinit(&doc);
    return rc;
}

/* ---- what is worth telling ---- */

static bool crossed_border(int from, int to)
{
    for (size_t i = 0; i < sizeof score_borders / sizeof score_borders[0]; i++) {
        if ((from < score_borders[i]) != (to < score_borders[i])) {
            return true;
        }
    }
    return false;
}

static enum health_change larger(enum health_change a, enum health_change b)
{
    return a > b ? a : b;
}

/* `step` is told at once, a `small` one with a refresh; to and from unknown at once. */
static enum health_change compare_number(int from, int to, int step, int small)
{
    if ((from == GOSSIP_UNKNOWN) != (to == GOSSIP_UNKNOWN)) {
        return HEALTH_SIGNIFICANT;
    }
    int change = abs(to - from);
    if (change >= step) {
        return HEALTH_SIGNIFICANT;
    }
    return change >= small ? HEALTH_SMALL : HEALTH_SAME;
}

static enum health_change compare_load(int from, int to)
{
    enum health_change change =
        compare_number(from, to, LOAD_STEP_HUNDREDTHS, LOAD_SMALL_HUNDREDTHS);
    bool small_part = from != GOSSIP_UNKNOWN && to != GOSSIP_UNKNOWN && abs(to - from) < from / 2;
    return change == HEALTH_SIGNIFICANT && small_part ? HEALTH_SMALL : change;
}

enum health_change gossip_health_compare_short(const struct gossip_health *published,
                                               const struct gossip_health *latest)
{
    if (published->flags != latest->flags) {
        return HEALTH_SIGNIFICANT;
    }
    enum health_change score = compare_number(published->score_tenths, latest->score_tenths,
                                              SCORE_STEP_TENTHS, SCORE_SMALL_TENTHS);
    if (score == HEALTH_SMALL && crossed_border(published->score_tenths, latest->score_tenths)) {
        score = HEALTH_SIGNIFICANT;
    }
    return larger(score, compare_load(published->load_hundredths, latest->load_hundredths));
}

static enum health_change compare_components(const struct gossip_health *published,
                                             const struct gossip_health *latest)
{
    enum health_change change = HEALTH_SAME;
    for (size_t i = 0; i < latest->component_count; i++) {
        const struct gossip_component *from = &published->components[i];
        const struct gossip_component *to = &latest->components[i];
        if (strcmp(from->name, to->name) != 0) {
            return HEALTH_SIGNIFICANT;
        }
        change = larger(change, compare_number(from->score_tenths, to->score_tenths,
                                               COMPONENT_STEP_TENTHS, SCORE_SMALL_TENTHS));
    }
    return change;
}

static enum health_change compare_capabilities(const struct gossip_health *published,
                                               const struct gossip_health *latest)
{
    enum health_change change = HEALTH_SAME;
    for (size_t i = 0; i < latest->capability_count; i++) {
        const struct gossip_capability *from = &published->capabilities[i];
        const struct gossip_capability *to = &latest->capabilities[i];
        bool ends = from->percent != to->percent && (from->percent == 0 || to->percent == 0);
        if (ends || strcmp(from->manager, to->manager) != 0) {
            return HEALTH_SIGNIFICANT;
        }
        change = larger(change, compare_number(from->percent, to->percent, CAPABILITY_STEP, 1));
    }
    return change;
}

enum health_change gossip_health_compare_details(const struct gossip_health *published,
                                                 const struct gossip_health *latest)
{
    if (strcmp(published->version, latest->version) != 0 ||
        published->component_count != latest->component_count ||
        published->capability_count != latest->capability_count ||
        published->label_count != latest->label_count) {
        return HEALTH_SIGNIFICANT;
    }
    for (size_t i = 0; i < latest->label_count; i++) {
        if (strcmp(published->labels[i].name, latest->labels[i].name) != 0 ||
            strcmp(published->labels[i].value, latest->labels[i].value) != 0) {
            return HEALTH_SIGNIFICANT;
        }
    }
    return larger(compare_components(published, latest), compare_capabilities(published, latest));
}
