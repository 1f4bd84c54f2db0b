/* What nodes tell each other of themselves beside gossip: each its managers and duties to all (at a
 * change, and slowly again), and its managers' observations: to the leader as they come, to the
 * others after something happened and slowly again, so that any node can answer and a new leader
 * need not wait. Advice, never authority.
 *
 * Messages, msgpack arrays: [1, 1, manager, bytes] an observation; [1, 2, managers, duties] a
 * report. */
#include "node/base/clock.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_VERSION 1
#define REPORT_OBSERVATION 1
#define REPORT_SELF 2
#define REPORT_BYTES_MAX (MANAGER_OBSERVATION_BYTES_MAX + 4096)
#define REPORT_PERIOD_MS 4000
#define REPORT_AFTERMATH_MS 3000 /* after something happened, observations go to all */
#define REPORT_HASTE_MS 50       /* the least time between two */

/* ---- sending ---- */

static void describe_self(struct node *self, int64_t now_ms, struct report *ret)
{
    struct supervise_row rows[MANAGERS_MAX];
    *ret = (struct report){.taken_ms = now_ms};
    (void)snprintf(ret->node, sizeof ret->node, "%s", node_name(self));
    ret->manager_count = supervise_list(self->supervise, now_ms, rows, MANAGERS_MAX);
    for (size_t i = 0; i < ret->manager_count; i++) {
        struct report_manager *manager = &ret->managers[i];
        memcpy(manager->name, rows[i].name, sizeof manager->name);
        (void)snprintf(manager->state, sizeof manager->state, "%s",
                       supervise_state_name(rows[i].state));
        manager->active = rows[i].active;
        manager->shadow = rows[i].shadow;
        manager->restarts = rows[i].restarts;
        manager->score_known = rows[i].score_known;
        manager->score = rows[i].score;
    }
    for (size_t i = 0; i < self->duty_count && ret->duty_count < REPORT_DUTIES_MAX; i++) {
        const struct local_duty *local = &self->duties[i];
        struct report_duty *duty = &ret->duties[ret->duty_count++];
        (void)snprintf(duty->id, sizeof duty->id, "%s", local->id);
        duty->assignment = local->assignment;
        (void)snprintf(duty->phase, sizeof duty->phase, "%s",
                       local->leaving ? "stopping"
                                      : (local->phase_known ? manager_duty_phase_name(local->phase)
                                                            : "starting"));
    }
}

static void encode_report(const struct report *report, struct mp_writer *writer)
{
    mp_put_array(writer, 4);
    mp_put_u64(writer, REPORT_VERSION);
    mp_put_u64(writer, REPORT_SELF);
    mp_put_array(writer, report->manager_count);
    for (size_t i = 0; i < report->manager_count; i++) {
        const struct report_manager *manager = &report->managers[i];
        mp_put_array(writer, 6);
        mp_put_text(writer, manager->name);
        mp_put_text(writer, manager->state);
        mp_put_bool(writer, manager->active);
        mp_put_bool(writer, manager->shadow);
        mp_put_u64(writer, manager->restarts);
        if (manager->score_known) {
            mp_put_double(writer, manager->score);
        } else {
            mp_put_nil(writer);
        }
    }
    mp_put_array(writer, report->duty_count);
    for (size_t i = 0; i < report->duty_count; i++) {
        mp_put_array(writer, 3);
        mp_put_text(writer, report->duties[i].id);
        mp_put_u64(writer, report->duties[i].assignment);
        mp_put_text(writer, report->duties[i].phase);
    }
}

static struct report *report_slot(struct node *self, const char *node)
{
    struct report *free_slot = NULL;
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (strcmp(self->reports[i].node, node) == 0) {
            return &self->reports[i];
        }
        if (self->reports[i].node[0] == '\0' && free_slot == NULL) {
            free_slot = &self->reports[i];
        }
    }
    return free_slot;
}

static bool encode_observation(struct mp_writer *writer, const char *manager, const uint8_t *bytes,
                               size_t length)
{
    mp_put_array(writer, 4);
    mp_put_u64(writer, REPORT_VERSION);
    mp_put_u64(writer, REPORT_OBSERVATION);
    mp_put_text(writer, manager);
    mp_put_bytes(writer, bytes, length);
    return mp_writer_ok(writer);
}

/* The latest observations of this node's managers, to all. */
static void send_own_observations(struct node *self)
{
    for (size_t i = 0; i < sizeof self->observations / sizeof self->observations[0]; i++) {
        const struct observation *seen = &self->observations[i];
        if (seen->bytes != NULL && strcmp(seen->node, node_name(self)) == 0) {
            struct mp_writer writer;
            mp_writer_init(&writer, REPORT_BYTES_MAX);
            if (encode_observation(&writer, seen->manager, seen->bytes, seen->length)) {
                peers_broadcast(self, TRANSPORT_OBSERVATION, writer.buffer.data,
                                writer.buffer.length);
            }
            mp_writer_deinit(&writer);
        }
    }
}

void reports_run(struct node *self, int64_t now_ms)
{
    bool due = now_ms >= self->report_at_ms + REPORT_PERIOD_MS;
    if (!due && (!self->report_changed || now_ms < self->report_at_ms + REPORT_HASTE_MS)) {
        return;
    }
    if (self->report_changed) {
        self->observations_to_all_until_ms = now_ms + REPORT_AFTERMATH_MS;
    }
    self->report_at_ms = now_ms;
    self->report_changed = false;
    self->publish_now = true;
    struct report *own = report_slot(self, node_name(self));
    if (own == NULL) {
        return;
    }
    describe_self(self, now_ms, own);
    struct mp_writer writer;
    mp_writer_init(&writer, REPORT_BYTES_MAX);
    encode_report(own, &writer);
    if (mp_writer_ok(&writer)) {
        peers_broadcast(self, TRANSPORT_OBSERVATION, writer.buffer.data, writer.buffer.length);
    }
    mp_writer_deinit(&writer);
    send_own_observations(self);
}

void reports_send_observation(struct node *self, const char *manager, const uint8_t *bytes,
                              size_t length)
{
    bool to_all = clock_boot_ms() < self->observations_to_all_until_ms;
    bool to_leader = self->view.leader != 0 && self->view.leader != self->id;
    struct mp_writer writer;
    mp_writer_init(&writer, REPORT_BYTES_MAX);
    bool encoded = (to_all || to_leader) && encode_observation(&writer, manager, bytes, length);
    if (encoded && to_all) {
        peers_broadcast(self, TRANSPORT_OBSERVATION, writer.buffer.data, writer.buffer.length);
    } else if (encoded) {
        (void)transport_send_id(self->transport, self->view.leader, TRANSPORT_OBSERVATION,
                                writer.buffer.data, writer.buffer.length, false);
    }
    mp_writer_deinit(&writer);
}

/* ---- receiving ---- */

static bool decode_manager(const msgpack_object *row, struct report_manager *ret)
{
    *ret = (struct report_manager){0};
    ret->score_known = mp_number(mp_at(row, 5), &ret->score);
    return mp_text(mp_at(row, 0), ret->name, sizeof ret->name) &&
           mp_text(mp_at(row, 1), ret->state, sizeof ret->state) &&
           mp_bool(mp_at(row, 2), &ret->active) && mp_bool(mp_at(row, 3), &ret->shadow) &&
           mp_u64(mp_at(row, 4), &ret->restarts);
}

static void take_report(struct node *self, const char *from, const msgpack_object *root)
{
    struct report *report = report_slot(self, from);
    const msgpack_object *managers = mp_at(root, 2);
    const msgpack_object *duties = mp_at(root, 3);
    if (report == NULL) {
        return;
    }
    *report = (struct report){.taken_ms = clock_boot_ms()};
    (void)snprintf(report->node, sizeof report->node, "%s", from);
    for (size_t i = 0; i < mp_count(managers) && report->manager_count < MANAGERS_MAX; i++) {
        if (decode_manager(mp_at(managers, i), &report->managers[report->manager_count])) {
            report->manager_count++;
        }
    }
    for (size_t i = 0; i < mp_count(duties) && report->duty_count < REPORT_DUTIES_MAX; i++) {
        const msgpack_object *row = mp_at(duties, i);
        struct report_duty *duty = &report->duties[report->duty_count];
        if (mp_text(mp_at(row, 0), duty->id, sizeof duty->id) &&
            mp_u64(mp_at(row, 1), &duty->assignment) &&
            mp_text(mp_at(row, 2), duty->phase, sizeof duty->phase)) {
            report->duty_count++;
        }
    }
    self->publish_now = true;
}

bool reports_receive(struct node *self, const char *from, const uint8_t *bytes, size_t length)
{
    static const struct mp_limits limits = {
        .bytes = REPORT_BYTES_MAX, .elements = 4096, .depth = 5};
    struct mp_doc doc;
    if (mp_parse(bytes, length, &limits, &doc, NULL) != 0) {
        return false;
    }
    bool known = false;
    uint64_t version = 0;
    uint64_t kind = 0;
    char manager[NAME_SIZE];
    const uint8_t *document;
    size_t document_length;
    if (mp_array(&doc.root, 4) != NULL && mp_u64(mp_at(&doc.root, 0), &version) &&
        version == REPORT_VERSION && mp_u64(mp_at(&doc.root, 1), &kind)) {
        if (kind == REPORT_SELF) {
            take_report(self, from, &doc.root);
            known = true;
        } else if (kind == REPORT_OBSERVATION &&
                   mp_text(mp_at(&doc.root, 2), manager, sizeof manager) &&
                   mp_bytes(mp_at(&doc.root, 3), &document, &document_length)) {
            managers_observation(self, from, manager, document, document_length);
            known = true;
        }
    }
    mp_doc_deinit(&doc);
    return known;
}

const struct report *reports_of(const struct node *self, const char *node)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (strcmp(self->reports[i].node, node) == 0) {
            return &self->reports[i];
        }
    }
    return NULL;
}
