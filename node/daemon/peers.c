/* Connections to the other nodes: who they are (roster, founders), where they are (gossip,
 * configuration, roster), and what to do with what they send. */
#include "node/base/clock.h"
#include "node/daemon/names.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <string.h>

#define WATCHED_PEERS_MAX 10 /* up to so many connections are kept open whether used or not */

struct known_node {
    char name[NAME_SIZE];
    uint64_t id;
    char address[ADDRESS_SIZE];
    size_t key_count;
    char keys[1 + NODE_KEYS_EXTRA_MAX][PUBLIC_KEY_SIZE];
};

struct known_nodes {
    size_t count;
    struct known_node rows[NODES_MAX];
};

static bool is_server(const struct node *self, uint64_t id)
{
    for (size_t i = 0; i < self->view.server_count; i++) {
        if (self->view.servers[i].id == id) {
            return true;
        }
    }
    return false;
}

static void add_roster(const struct node *self, struct known_nodes *ret)
{
    for (size_t i = 0; i < state_node_count(self->state) && ret->count < NODES_MAX; i++) {
        const struct state_node *row = state_node_at(self->state, i);
        /* One that was removed stays reachable until the servers' configuration lacks it too. */
        if (row->removed && !is_server(self, row->is.raft_id)) {
            continue;
        }
        struct known_node *known = &ret->rows[ret->count++];
        *known = (struct known_node){.id = row->is.raft_id, .key_count = 1};
        (void)snprintf(known->name, sizeof known->name, "%s", row->is.name);
        (void)snprintf(known->address, sizeof known->address, "%s", row->is.address);
        memcpy(known->keys[0], row->is.public_key, sizeof known->keys[0]);
        for (size_t k = 0; k < row->is.extra_key_count; k++) {
            memcpy(known->keys[known->key_count++], row->is.extra_keys[k], PUBLIC_KEY_SIZE);
        }
    }
}

static struct known_node *find_known(struct known_nodes *nodes, const char *name)
{
    for (size_t i = 0; i < nodes->count; i++) {
        if (strcmp(nodes->rows[i].name, name) == 0) {
            return &nodes->rows[i];
        }
    }
    return NULL;
}

static void add_configured(const struct node *self, struct known_nodes *ret)
{
    const struct config_cluster *cluster = &self->config->cluster;
    for (size_t i = 0; i < cluster->peer_count; i++) {
        const struct config_peer *peer = &cluster->peers[i];
        struct known_node *known = find_known(ret, peer->name);
        const struct state_node *row = state_node_by_name(self->state, peer->name);
        const struct key_public *key = key_roster_by_name(&self->keys, peer->name);
        if (known == NULL && row == NULL && key != NULL && ret->count < NODES_MAX) {
            known = &ret->rows[ret->count++];
            *known =
                (struct known_node){.id = consensus_id_of_key(key->public_key), .key_count = 1};
            (void)snprintf(known->name, sizeof known->name, "%s", peer->name);
            (void)snprintf(known->keys[0], sizeof known->keys[0], "%s", key->public_key);
        }
        if (known != NULL && peer->address[0] != '\0') {
            (void)snprintf(known->address, sizeof known->address, "%s", peer->address);
        }
    }
}

/* A live member knows best where it is. */
static void add_gossiped(const struct node *self, struct known_nodes *ret)
{
    for (size_t i = 0; i < ret->count; i++) {
        struct gossip_member member;
        if (self->gossip != NULL && gossip_member_find(self->gossip, ret->rows[i].name, &member) &&
            member.state == GOSSIP_ALIVE && member.address[0] != '\0') {
            (void)snprintf(ret->rows[i].address, sizeof ret->rows[i].address, "%s", member.address);
        }
    }
}

/* The transport and the parent get numeric addresses; one that is not known yet is left out. */
static void resolve_names(struct node *self, struct known_nodes *ret)
{
    for (size_t i = 0; i < ret->count; i++) {
        if (ret->rows[i].address[0] != '\0' && !names_resolve(self, ret->rows[i].address)) {
            ret->rows[i].address[0] = '\0';
        }
    }
}

static void set_key_table(struct node *self, const struct known_nodes *nodes)
{
    struct zap_key table[ZAP_KEYS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < nodes->count; i++) {
        for (size_t k = 0; k < nodes->rows[i].key_count && count < ZAP_KEYS_MAX; k++) {
            struct zap_key *row = &table[count++];
            *row = (struct zap_key){.id = nodes->rows[i].id, .role = ZAP_NODE};
            (void)snprintf(row->name, sizeof row->name, "%s", nodes->rows[i].name);
            memcpy(row->public_key, nodes->rows[i].keys[k], sizeof row->public_key);
        }
    }
    for (size_t i = 0; i < self->keys.count && count < ZAP_KEYS_MAX; i++) {
        const struct key_public *key = &self->keys.keys[i];
        if (key->role == KEY_NODE) {
            continue;
        }
        struct zap_key *row = &table[count++];
        *row = (struct zap_key){.role = key->role == KEY_OPERATOR ? ZAP_OPERATOR : ZAP_VIEWER};
        (void)snprintf(row->name, sizeof row->name, "%s", key->name);
        memcpy(row->public_key, key->public_key, sizeof row->public_key);
    }
    struct err err = {0};
    if (zap_keys_set(self->zap, table, count, &err) != 0) {
        log_write(self->log, LOG_LEVEL_ERROR, "keys.refused", log_text("why", err.msg));
    }
}

static void set_connections(struct node *self, const struct known_nodes *nodes)
{
    bool watch_all = nodes->count <= WATCHED_PEERS_MAX;
    for (size_t i = 0; i < nodes->count; i++) {
        const struct known_node *known = &nodes->rows[i];
        if (known->id == self->id || known->address[0] == '\0') {
            continue;
        }
        struct transport_peer peer = {.name = known->name,
                                      .id = known->id,
                                      .address = known->address,
                                      .public_key = known->keys[known->key_count - 1]};
        struct err err = {0};
        if (transport_peer_set(self->transport, &peer, &err) != 0) {
            log_write(self->log, LOG_LEVEL_WARN, "peer.refused", log_text("peer", known->name),
                      log_text("why", err.msg));
            continue;
        }
        transport_peer_watch(self->transport, known->name, watch_all || is_server(self, known->id));
    }
    for (size_t i = 0; i < state_node_count(self->state); i++) {
        const struct state_node *row = state_node_at(self->state, i);
        if (row->removed && !is_server(self, row->is.raft_id)) {
            transport_peer_remove(self->transport, row->is.name);
            if (self->gossip != NULL) {
                gossip_forget(self->gossip, clock_boot_ms(), row->is.name);
            }
        }
    }
}

static void set_seeds(struct node *self, const struct known_nodes *nodes)
{
    struct gossip_seed seeds[NODES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < nodes->count; i++) {
        if (nodes->rows[i].address[0] != '\0') {
            struct gossip_seed *seed = &seeds[count++];
            (void)snprintf(seed->name, sizeof seed->name, "%s", nodes->rows[i].name);
            (void)snprintf(seed->address, sizeof seed->address, "%s", nodes->rows[i].address);
        }
    }
    if (self->gossip != NULL) {
        (void)gossip_set_seeds(self->gossip, clock_boot_ms(), seeds, count, NULL);
    }
}

/* Who must hear of this node's death: the voters, and how many of them are a majority. */
static void tell_parent(struct node *self, const struct known_nodes *nodes)
{
    struct parent_peer peers[NODES_MAX];
    size_t count = 0;
    size_t voters = 0;
    for (size_t i = 0; i < self->view.server_count; i++) {
        voters += self->view.servers[i].role == CONSENSUS_VOTER ? 1 : 0;
    }
    for (size_t i = 0; i < nodes->count; i++) {
        const struct known_node *known = &nodes->rows[i];
        if (known->id == self->id || known->address[0] == '\0' || !is_server(self, known->id)) {
            continue;
        }
        peers[count].id = known->id;
        memcpy(peers[count].address, known->address, sizeof peers[count].address);
        memcpy(peers[count].public_key, known->keys[known->key_count - 1],
               sizeof peers[count].public_key);
        count++;
    }
    parent_link_peers(self->parent, peers, count, voters / 2 < count ? voters / 2 + 1 : count);
}

void peers_sync(struct node *self)
{
    struct known_nodes nodes = {0};
    add_roster(self, &nodes);
    add_configured(self, &nodes);
    add_gossiped(self, &nodes);
    set_seeds(self, &nodes);
    resolve_names(self, &nodes);
    set_key_table(self, &nodes);
    set_connections(self, &nodes);
    tell_parent(self, &nodes);
}

void peers_broadcast(struct node *self, uint32_t kind, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < gossip_member_count(self->gossip); i++) {
        struct gossip_member member;
        gossip_member_at(self->gossip, i, &member);
        if (!member.self && member.state != GOSSIP_DEAD && member.state != GOSSIP_LEFT) {
            (void)transport_send(self->transport, member.name, kind, bytes, length, false);
        }
    }
}

/* ---- what comes in ---- */

/* Each returns false for a payload that is malformed or speaks for another than its sender. */

static bool on_renew(struct node *self, const struct transport_message *message, int64_t now_ms)
{
    static struct grants_renew request;
    if (grants_renew_decode(message->bytes, message->length, &request, NULL) != 0 ||
        request.raft_id != message->sender_id) {
        return false;
    }
    duties_leader_renew(self, now_ms, message->sender_id, &request);
    return true;
}

static bool on_grant(struct node *self, const struct transport_message *message, int64_t now_ms)
{
    static struct grants_grant grant;
    if (grants_grant_decode(message->bytes, message->length, &grant, NULL) != 0) {
        return false;
    }
    duties_take_grant(self, now_ms, &grant);
    return true;
}

static bool on_release(struct node *self, const struct transport_message *message)
{
    static struct grants_release release;
    if (grants_release_decode(message->bytes, message->length, &release, NULL) != 0 ||
        release.raft_id != message->sender_id) {
        return false;
    }
    duties_leader_release(self, message->sender_id, &release);
    return true;
}

static bool on_evidence(struct node *self, const struct transport_message *message, int64_t now_ms)
{
    struct evidence_message evidence;
    if (evidence_decode(message->bytes, message->length, &evidence, NULL) != 0) {
        return false;
    }
    evidence_receive(self->evidence, now_ms, message->sender_id, &evidence);
    return true;
}

static bool on_forward(struct node *self, const struct transport_message *message)
{
    int rc =
        message->kind == TRANSPORT_FORWARD
            ? control_execute_forwarded(self->control, message->sender, message->bytes,
                                        message->length, NULL)
            : control_accept_forward_reply(self->control, message->bytes, message->length, NULL);
    return rc != ERR_PROTO;
}

static void on_raft(struct node *self, const struct transport_message *message, int64_t now_ms)
{
    struct consensus_event event = {.kind = CONSENSUS_EVENT_MESSAGE,
                                    .peer = message->sender_id,
                                    .bytes = message->bytes,
                                    .length = message->length};
    gossip_note_contact(self->gossip, now_ms, message->sender);
    (void)consensus_thread_post(self->consensus, &event);
}

static bool dispatch(struct node *self, const struct transport_message *message, int64_t now_ms)
{
    switch (message->kind) {
    case TRANSPORT_GOSSIP: /* counts what it refuses itself */
        gossip_receive(self->gossip, now_ms, message->sender, message->bytes, message->length);
        return true;
    case TRANSPORT_RAFT: /* so does the engine */
        on_raft(self, message, now_ms);
        return true;
    case TRANSPORT_EVIDENCE:
        return on_evidence(self, message, now_ms);
    case TRANSPORT_OBITUARY:
        return failover_obituary(self, message);
    case TRANSPORT_GRANT_RENEW:
        return on_renew(self, message, now_ms);
    case TRANSPORT_GRANT:
        return on_grant(self, message, now_ms);
    case TRANSPORT_RELEASE:
        return on_release(self, message);
    case TRANSPORT_RUN_REPORT:
        return schedule_receive(self, message->sender, message->bytes, message->length);
    case TRANSPORT_OBSERVATION:
        return reports_receive(self, message->sender, message->bytes, message->length);
    case TRANSPORT_FORWARD:
    case TRANSPORT_FORWARD_REPLY:
        return on_forward(self, message);
    case TRANSPORT_ERRAND:
    case TRANSPORT_ERRAND_ANSWER:
        return fan_receive(self->fan, message);
    case TRANSPORT_STATE:
        return outside_receive(self, message->sender, message->bytes, message->length);
    case TRANSPORT_HELLO:
        return leaving_peer_asks(self, message->sender, message->bytes, message->length);
    default:
        return true; /* of a newer version */
    }
}

void peers_received(void *context, const struct transport_message *message)
{
    struct node *self = context;
    if (!dispatch(self, message, clock_boot_ms())) {
        self->payloads_refused++;
        log_write(self->log, LOG_LEVEL_WARN, "peer.payload.malformed",
                  log_text("peer", message->sender), log_int("kind", message->kind));
    }
    node_pump(self);
}

static void on_connected(void *context, const char *name, int64_t at_ms)
{
    struct node *self = context;
    log_write(self->log, LOG_LEVEL_DEBUG, "peer.connected", log_text("peer", name));
    evidence_link_up(self->evidence, at_ms, node_id_of(self, name));
    self->report_changed = true;
    node_pump(self);
}

static void on_disconnected(void *context, const char *name, int64_t at_ms)
{
    struct node *self = context;
    log_write(self->log, LOG_LEVEL_DEBUG, "peer.disconnected", log_text("peer", name));
    evidence_link_lost(self->evidence, at_ms, node_id_of(self, name));
    node_pump(self);
}

static void on_transport_event(void *context, enum transport_event event, const char *peer,
                               const char *text, uint64_t suppressed)
{
    struct node *self = context;
    log_write(self->log, LOG_LEVEL_WARN, transport_event_name(event), log_text("peer", peer),
              log_text("what", text), log_int("suppressed", (int64_t)suppressed));
}

static void on_refused(void *context, const char *domain, const char *address, const char *reason,
                       uint64_t suppressed)
{
    struct node *self = context;
    log_write(self->log, LOG_LEVEL_WARN, "keys.connection_refused", log_text("domain", domain),
              log_text("address", address), log_text("reason", reason),
              log_int("suppressed", (int64_t)suppressed));
}

int peers_create(struct node *self, void *zmq_context, struct err *err)
{
    struct zap_config zap = {
        .zmq_context = zmq_context, .loop = self->loop, .refused = on_refused, .context = self};
    int rc = zap_create(&zap, &self->zap, err);
    if (rc != 0) {
        return rc;
    }
    const struct config_cluster *cluster = &self->config->cluster;
    struct transport_config config = {
        .zmq_context = zmq_context,
        .loop = self->loop,
        .zap = self->zap,
        .listen = cluster->listen,
        .id = self->id,
        .cluster = transport_cluster_id(cluster->name, cluster->environment),
        .public_key = self->own.public_key,
        .secret_key = self->own.secret_key,
        .callbacks = {.context = self,
                      .received = peers_received,
                      .peer_connected = on_connected,
                      .peer_disconnected = on_disconnected,
                      .event = on_transport_event},
    };
    return transport_create(&config, &self->transport, err);
}
