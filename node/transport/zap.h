/* Who may connect: maps CURVE public keys to names and roles (ZeroMQ RFC 27, ZAP 1.0).
 *
 * One per ZeroMQ context (libzmq asks at inproc://zeromq.zap.01). It answers on the loop's thread;
 * the I/O thread does not wait for it. Create it before any CURVE server socket is bound.
 *
 * A CURVE server socket sets ZMQ_ZAP_DOMAIN to one of the domains below: ZAP_DOMAIN_PEERS admits
 * nodes, ZAP_DOMAIN_CONTROL nodes, operators and viewers, any other nobody. While no handler is
 * there libzmq admits everybody, without a User-Id: messages for which zap_identify knows nobody
 * must be dropped.
 *
 * An admitted connection's messages carry the properties "User-Id" (the name) and ZAP_KEY_PROPERTY
 * (the public key); ZeroMQ cannot cut an admitted connection, so receivers look the pair up again
 * with zap_identify, which knows revoked keys no more. */
#ifndef UNDERSTUDY_NODE_TRANSPORT_ZAP_H
#define UNDERSTUDY_NODE_TRANSPORT_ZAP_H

#include "node/base/err.h"
#include "node/base/limits.h"

#include <stddef.h>
#include <stdint.h>

struct _zloop_t; /* czmq's zloop_t */
struct zap;

#define ZAP_DOMAIN_PEERS "peers"
#define ZAP_DOMAIN_CONTROL "control"
#define ZAP_USER_PROPERTY "User-Id"
#define ZAP_KEY_PROPERTY "Key"
#define ZAP_KEYS_MAX 512 /* two keys per node during a rotation, and people */

enum zap_role { ZAP_NODE = 1, ZAP_OPERATOR, ZAP_VIEWER };
const char *zap_role_name(enum zap_role role); /* "node", never NULL */

struct zap_key {
    char name[NAME_SIZE]; /* a name may have several keys while they are rotated */
    uint64_t id;          /* raft id of a node, else 0 */
    enum zap_role role;
    char public_key[PUBLIC_KEY_SIZE];
};

struct zap_config {
    void *zmq_context;
    struct _zloop_t *loop;
    /* Told about refusals, at most one a second; `suppressed` were not told before. May be NULL. */
    void (*refused)(void *context, const char *domain, const char *address, const char *reason,
                    uint64_t suppressed);
    void *context;
};

int zap_create(const struct zap_config *config, struct zap **ret, struct err *err);
void zap_destroy(struct zap **self_p);

/* Replace the whole table (copied), all or nothing: a key given twice, a bad key, an empty name are
 * ERR_INVALID, more than ZAP_KEYS_MAX is ERR_FULL. Works for connections made from now on, and for
 * zap_identify at once. */
int zap_keys_set(struct zap *self, const struct zap_key *keys, size_t count, struct err *err);

/* The table's row for the two properties of a received message, or NULL (either may be NULL; a key
 * that was taken out; another name). Borrowed until the next zap_keys_set. */
const struct zap_key *zap_identify(const struct zap *self, const char *user_id,
                                   const char *public_key);

struct zap_counters {
    uint64_t accepted;
    uint64_t refused;
    uint64_t malformed; /* requests that are not ZAP 1.0 with CURVE */
};
void zap_counters(const struct zap *self, struct zap_counters *ret);

#endif
