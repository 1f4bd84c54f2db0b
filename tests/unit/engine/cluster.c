#include "tests/unit/engine/cluster.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int64_t cluster_clock(const struct cluster *self, size_t i)
{
    const struct cluster_node *node = &self->nodes[i];
    return self->now_ms + self->now_ms * node->drift / 1000 + node->offset_ms;
}

static void push_number(uint64_t **list, size_t *count, size_t *capacity, uint64_t value)
{
    if (*count == *capacity) {
        *capacity = *capacity == 0 ? 64 : *capacity * 2;
        *list = realloc(*list, *capacity * sizeof **list);
        assert_non_null(*list);
    }
    (*list)[(*count)++] = value;
}

/* ---- what the engine calls ---- */

static void put_on_link(struct cluster *cluster, size_t from, size_t to, const uint8_t *bytes,
                        size_t length)
{
    if (cluster->message_count == cluster->message_capacity) {
        cluster->message_capacity = cluster->message_capacity * 2 + 64;
        cluster->messages =
            realloc(cluster->messages, cluster->message_capacity * sizeof *cluster->messages);
        assert_non_null(cluster->messages);
    }
    uint8_t *copy = malloc(length);
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    cluster->messages[cluster->message_count++] =
        (struct cluster_message){.at_ms = cluster->now_ms + cluster->latency_ms +
                                          rng_between(&cluster->rng, 0, cluster->jitter_ms),
                                 .from = from,
                                 .to = to,
                                 .bytes = copy,
                                 .length = length};
}

static bool chance(struct cluster *cluster, unsigned percent)
{
    return percent > 0 && rng_below(&cluster->rng, 100) < percent;
}

static void node_send(void *context, uint64_t to, const uint8_t *bytes, size_t length, bool bulk)
{
    (void)bulk;
    struct cluster_node *node = context;
    struct cluster *cluster = node->cluster;
    size_t from = (size_t)(node->id - 1);
    if (to == 0 || to > cluster->node_count || cluster->cut[from][to - 1] ||
        (cluster->filter != NULL && cluster->filter(cluster, from, to - 1, bytes, length)) ||
        chance(cluster, cluster->loss)) {
        return;
    }
    put_on_link(cluster, from, (size_t)(to - 1), bytes, length);
    if (chance(cluster, cluster->duplicate)) {
        put_on_link(cluster, from, (size_t)(to - 1), bytes, length);
    }
}

static void check_sequence(struct cluster *cluster, const struct cluster_node *node)
{
    size_t last = node->applied_count - 1;
    if (last == cluster->sequence_count) {
        push_number(&cluster->sequence, &cluster->sequence_count, &cluster->sequence_capacity,
                    node->applied[last]);
    }
    assert_int_equal(node->applied[last], cluster->sequence[last]);
}

static void node_apply(void *context, uint64_t index, uint64_t term, const uint8_t *bytes,
                       size_t length)
{
    struct cluster_node *node = context;
    uint64_t value = 0;
    assert_true(index > 0);
    assert_true(term > 0);
    assert_true(length >= sizeof value);
    memcpy(&value, bytes, sizeof value);
    /* The rest is as long as the command says, so that padding would be seen. */
    assert_int_equal(length, sizeof value + value % 7);
    push_number(&node->applied, &node->applied_count, &node->applied_capacity, value);
    check_sequence(node->cluster, node);
}

static int node_snapshot(void *context, uint8_t **ret, size_t *ret_length)
{
    struct cluster_node *node = context;
    *ret_length = node->applied_count * sizeof *node->applied;
    *ret = malloc(*ret_length + 1);
    assert_non_null(*ret);
    if (*ret_length > 0) {
        memcpy(*ret, node->applied, *ret_length);
    }
    return 0;
}

static int node_restore(void *context, uint64_t index, const uint8_t *bytes, size_t length)
{
    struct cluster_node *node = context;
    assert_true(index > 0);
    assert_int_equal(length % sizeof *node->applied, 0);
    node->applied_count = 0;
    for (size_t i = 0; i < length / sizeof *node->applied; i++) {
        uint64_t value;
        memcpy(&value, bytes + i * sizeof value, sizeof value);
        push_number(&node->applied, &node->applied_count, &node->applied_capacity, value);
        check_sequence(node->cluster, node);
    }
    return 0;
}

/* ---- life ---- */

void cluster_init(struct cluster *self, size_t founder_count)
{
    *self = (struct cluster){.now_ms = 1000,
                             .node_count = CLUSTER_NODES_MAX,
                             .founder_count = founder_count,
                             .latency_ms = 1,
                             .seed = 1};
    rng_init(&self->rng, 1);
    for (size_t i = 0; i < CLUSTER_NODES_MAX; i++) {
        self->nodes[i].id = i + 1;
        self->nodes[i].cluster = self;
        self->nodes[i].offset_ms = 10000 * (int64_t)i;
        disk_init(&self->nodes[i].disk);
    }
}

void cluster_deinit(struct cluster *self)
{
    for (size_t i = 0; i < CLUSTER_NODES_MAX; i++) {
        consensus_destroy(&self->nodes[i].engine);
        disk_deinit(&self->nodes[i].disk);
        free(self->nodes[i].applied);
    }
    for (size_t i = 0; i < self->message_count; i++) {
        free(self->messages[i].bytes);
    }
    free(self->messages);
    free(self->sequence);
}

static void take_notices(struct cluster_node *node)
{
    struct consensus_notice notice;
    while (consensus_notice_next(node->engine, &notice)) {
        node->notices[notice.type]++;
        node->last[notice.type] = notice;
    }
}

static void check_leader(struct cluster *self, const struct cluster_node *node)
{
    if (node->view.state != CONSENSUS_LEADER) {
        return;
    }
    assert_true(node->view.term < CLUSTER_TERMS_MAX);
    uint64_t *known = &self->leader_of_term[node->view.term];
    if (*known == 0) {
        *known = node->id;
    }
    assert_int_equal(*known, node->id);
}

void cluster_look(struct cluster *self, size_t i)
{
    struct cluster_node *node = &self->nodes[i];
    consensus_view(node->engine, cluster_clock(self, i), &node->view);
    take_notices(node);
    check_leader(self, node);
}

void cluster_start(struct cluster *self, size_t i)
{
    struct cluster_node *node = &self->nodes[i];
    struct consensus_server founders[CLUSTER_NODES_MAX];
    for (size_t k = 0; k < self->founder_count; k++) {
        founders[k] = (struct consensus_server){.id = k + 1, .role = CONSENSUS_VOTER};
    }
    struct consensus_config config = {
        .id = node->id,
        .rng_seed = self->seed * 100 + node->id,
        .heartbeat_ms = CLUSTER_HEARTBEAT_MS,
        .election_timeout_ms =
            node->election_timeout_ms > 0 ? node->election_timeout_ms : CLUSTER_ELECTION_MS,
        .lease_ttl_ms = node->lease_ttl_ms > 0 ? node->lease_ttl_ms : CLUSTER_LEASE_MS,
        .snapshot_threshold = self->snapshot_threshold,
        .snapshot_trailing = self->snapshot_trailing,
        .founders = founders,
        .founder_count = i < self->founder_count ? self->founder_count : 0,
        .storage = disk_storage(&node->disk),
        .transport = {.context = node, .send = node_send},
        .machine = {.context = node,
                    .apply = node_apply,
                    .snapshot = node_snapshot,
                    .restore = node_restore},
        .off = self->off};
    struct err err = {0};
    assert_null(node->engine);
    node->applied_count = 0;
    if (consensus_create(&config, cluster_clock(self, i), &node->engine, &err) != 0) {
        fail_msg("start of node %zu: %s", i, err.msg);
    }
    cluster_look(self, i);
}

void cluster_start_all(struct cluster *self)
{
    for (size_t i = 0; i < self->founder_count; i++) {
        cluster_start(self, i);
    }
}

void cluster_crash(struct cluster *self, size_t i)
{
    consensus_destroy(&self->nodes[i].engine);
    self->nodes[i].view = (struct consensus_view){0};
}

void cluster_isolate(struct cluster *self, size_t i, bool isolated)
{
    for (size_t k = 0; k < self->node_count; k++) {
        self->cut[i][k] = isolated;
        self->cut[k][i] = isolated;
    }
}

/* ---- time ---- */

static bool runs(const struct cluster_node *node)
{
    return node->engine != NULL && !node->frozen;
}

static void deliver(struct cluster *self)
{
    size_t i = 0;
    while (i < self->message_count) {
        struct cluster_message message = self->messages[i];
        struct cluster_node *node = &self->nodes[message.to];
        if (message.at_ms > self->now_ms || node->frozen) {
            i++;
            continue;
        }
        self->message_count--;
        memmove(&self->messages[i], &self->messages[i + 1],
                (self->message_count - i) * sizeof message);
        if (runs(node)) {
            consensus_receive(node->engine, cluster_clock(self, message.to), message.from + 1,
                              message.bytes, message.length);
            cluster_look(self, message.to);
        }
        free(message.bytes);
    }
}

static void check_acting(struct cluster *self)
{
    size_t acting = 0;
    for (size_t i = 0; i < self->node_count; i++) {
        struct cluster_node *node = &self->nodes[i];
        /* A frozen node's managers are processes of their own and go on until the lease's end. */
        if (node->engine != NULL &&
            consensus_may_act_until_ms(node->engine, cluster_clock(self, i)) > 0) {
            acting++;
        }
    }
    self->two_acted |= acting > 1;
    if (!self->may_act_twice) {
        assert_true(acting <= 1);
    }
}

static void step(struct cluster *self)
{
    self->now_ms++;
    deliver(self);
    for (size_t i = 0; i < self->node_count; i++) {
        struct cluster_node *node = &self->nodes[i];
        if (runs(node)) {
            if (cluster_clock(self, i) >= consensus_deadline_ms(node->engine)) {
                consensus_tick(node->engine, cluster_clock(self, i));
            }
            consensus_delayed_completions(node->engine, cluster_clock(self, i));
            cluster_look(self, i);
        }
    }
    check_acting(self);
}

void cluster_run(struct cluster *self, int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        step(self);
    }
}

int64_t cluster_run_until(struct cluster *self, cluster_condition *condition, int64_t limit_ms)
{
    int64_t ms = 0;
    while (!condition(self)) {
        if (ms >= limit_ms) {
            fail_msg("the condition did not come true within %" PRId64 " ms", limit_ms);
        }
        step(self);
        ms++;
    }
    return ms;
}

/* ---- questions ---- */

bool cluster_someone_acts(const struct cluster *self)
{
    for (size_t i = 0; i < self->node_count; i++) {
        if (runs(&self->nodes[i]) && self->nodes[i].view.acting) {
            return true;
        }
    }
    return false;
}

bool cluster_nobody_acts(const struct cluster *self)
{
    return !cluster_someone_acts(self);
}

size_t cluster_acting(const struct cluster *self)
{
    for (size_t i = 0; i < self->node_count; i++) {
        if (runs(&self->nodes[i]) && self->nodes[i].view.acting) {
            return i;
        }
    }
    fail_msg("nobody acts");
    return 0;
}

static bool replicates(const struct cluster *self, size_t i)
{
    if (self->cut[cluster_acting(self)][i]) {
        return false;
    }
    const struct consensus_view *view = &self->nodes[cluster_acting(self)].view;
    for (size_t k = 0; k < view->server_count; k++) {
        if (view->servers[k].id == i + 1) {
            return view->servers[k].role != CONSENSUS_SPARE;
        }
    }
    return false;
}

bool cluster_all_applied(const struct cluster *self)
{
    if (!cluster_someone_acts(self)) {
        return false;
    }
    const struct consensus_view *leader = &self->nodes[cluster_acting(self)].view;
    if (leader->commit_index != leader->last_index) {
        return false; /* what is under way would come after */
    }
    for (size_t i = 0; i < self->node_count; i++) {
        if (runs(&self->nodes[i]) && replicates(self, i) &&
            self->nodes[i].applied_count != self->sequence_count) {
            return false;
        }
    }
    return true;
}

int cluster_propose(struct cluster *self, size_t i, uint64_t command)
{
    uint8_t bytes[16] = {0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee,
                         0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee};
    memcpy(bytes, &command, sizeof command);
    int rc = consensus_propose(self->nodes[i].engine, cluster_clock(self, i), bytes,
                               sizeof command + command % 7, command, NULL);
    cluster_look(self, i);
    return rc;
}

void cluster_commit(struct cluster *self, uint64_t command)
{
    size_t before = self->sequence_count;
    assert_int_equal(cluster_propose(self, cluster_acting(self), command), 0);
    for (int ms = 0; self->sequence_count == before; ms++) {
        assert_true(ms < 5000);
        step(self);
    }
    assert_int_equal(self->sequence[before], command);
    (void)cluster_run_until(self, cluster_all_applied, 5000);
}

int cluster_change(struct cluster *self, enum consensus_change what, size_t i,
                   enum consensus_role role)
{
    size_t leader = cluster_acting(self);
    struct cluster_node *node = &self->nodes[leader];
    unsigned before = node->notices[CONSENSUS_NOTICE_CHANGE];
    int rc =
        consensus_change(node->engine, cluster_clock(self, leader), what, i + 1, role, 77, NULL);
    cluster_look(self, leader);
    if (rc != 0) {
        return rc;
    }
    for (int ms = 0; node->notices[CONSENSUS_NOTICE_CHANGE] == before; ms++) {
        assert_true(ms < 30000);
        step(self);
    }
    assert_int_equal(node->last[CONSENSUS_NOTICE_CHANGE].token, 77);
    return node->last[CONSENSUS_NOTICE_CHANGE].status;
}
