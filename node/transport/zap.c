#include "node/transport/zap.h"

#include "node/base/clock.h"
#include "node/base/invariant.h"
#include "node/watch/watch.h"

#include <czmq.h>
#include <stdlib.h>
#include <string.h>

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_FRAMES 7 /* version, request, domain, address, identity, mechanism, credentials */
#define ZAP_FRAME_SIZE 256
#define TELL_MS 1000

struct frame {
    char bytes[ZAP_FRAME_SIZE]; /* terminated */
    size_t length;
};

struct zap {
    struct zap_config config;
    void *socket;
    struct watch *watch;
    struct zap_key *keys;
    size_t key_count;
    struct zap_counters counters;
    int64_t told_ms;
    uint64_t suppressed;
};

const char *zap_role_name(enum zap_role role)
{
    switch (role) {
    case ZAP_NODE:
        return "node";
    case ZAP_OPERATOR:
        return "operator";
    case ZAP_VIEWER:
        return "viewer";
    }
    return "none";
}

static const struct zap_key *find_key(const struct zap *self, const char *public_key)
{
    for (size_t i = 0; i < self->key_count; i++) {
        if (strcmp(self->keys[i].public_key, public_key) == 0) {
            return &self->keys[i];
        }
    }
    return NULL;
}

static bool domain_admits(const char *domain, enum zap_role role)
{
    if (strcmp(domain, ZAP_DOMAIN_PEERS) == 0) {
        return role == ZAP_NODE;
    }
    return strcmp(domain, ZAP_DOMAIN_CONTROL) == 0;
}

/* Takes one whole request; false when there is none. A request that does not fit is told by
 * *ret_count != ZAP_FRAMES. */
static bool receive_request(struct zap *self, struct frame frames[ZAP_FRAMES], size_t *ret_count)
{
    size_t count = 0;
    bool fits = true;
    int more = 1;
    while (more != 0) {
        zmq_msg_t message;
        (void)zmq_msg_init(&message);
        if (zmq_msg_recv(&message, self->socket, ZMQ_DONTWAIT) < 0) {
            (void)zmq_msg_close(&message);
            return false;
        }
        size_t length = zmq_msg_size(&message);
        if (count < ZAP_FRAMES && length < ZAP_FRAME_SIZE) {
            memcpy(frames[count].bytes, zmq_msg_data(&message), length);
            frames[count].bytes[length] = '\0';
            frames[count].length = length;
        } else {
            fits = false;
        }
        count++;
        more = zmq_msg_more(&message);
        (void)zmq_msg_close(&message);
    }
    *ret_count = fits ? count : 0;
    return true;
}

/* One ZAP property: length of the name, name, length of the value in four bytes, value. */
static size_t put_key(uint8_t *at, const struct zap_key *key)
{
    static const size_t name_length = sizeof ZAP_KEY_PROPERTY - 1;
    static const size_t value_length = PUBLIC_KEY_SIZE - 1;
    uint8_t *value = at + 1 + name_length + 4;
    memset(at, 0, 1 + name_length + 4);
    at[0] = (uint8_t)name_length;
    memcpy(at + 1, ZAP_KEY_PROPERTY, name_length);
    value[-1] = (uint8_t)value_length;
    memcpy(value, key->public_key, value_length);
    return 1 + name_length + 4 + value_length;
}

static void answer(struct zap *self, const struct frame *request, const struct zap_key *key)
{
    uint8_t properties[128];
    size_t length = key != NULL ? put_key(properties, key) : 0;
    const char *status = key != NULL ? "200" : "400";
    const char *text = key != NULL ? "" : "key not admitted";
    const char *user = key != NULL ? key->name : "";
    /* REP towards libzmq itself: it takes the parts at once or the connection is gone already. */
    int flags = ZMQ_SNDMORE | ZMQ_DONTWAIT;
    (void)zmq_send(self->socket, "1.0", 3, flags);
    (void)zmq_send(self->socket, request->bytes, request->length, flags);
    (void)zmq_send(self->socket, status, 3, flags);
    (void)zmq_send(self->socket, text, strlen(text), flags);
    (void)zmq_send(self->socket, user, strlen(user), flags);
    (void)zmq_send(self->socket, properties, length, ZMQ_DONTWAIT);
}

static void tell_refused(struct zap *self, const char *domain, const char *address,
                         const char *reason)
{
    int64_t now_ms = clock_boot_ms();
    if (self->config.refused == NULL || now_ms - self->told_ms < TELL_MS) {
        self->suppressed++;
        return;
    }
    self->told_ms = now_ms;
    uint64_t suppressed = self->suppressed;
    self->suppressed = 0;
    self->config.refused(self->config.context, domain, address, reason, suppressed);
}

static void handle_request(struct zap *self, struct frame frames[ZAP_FRAMES], size_t count)
{
    static const struct frame nobody = {.bytes = "", .length = 0};
    if (count != ZAP_FRAMES || strcmp(frames[0].bytes, "1.0") != 0 ||
        strcmp(frames[5].bytes, "CURVE") != 0 || frames[6].length != 32) {
        self->counters.malformed++;
        answer(self, count >= 2 ? &frames[1] : &nobody, NULL);
        return;
    }
    char public_key[PUBLIC_KEY_SIZE];
    (void)zmq_z85_encode(public_key, (const uint8_t *)frames[6].bytes, 32);
    const struct zap_key *key = find_key(self, public_key);
    const char *reason = "unknown key";
    if (key != NULL && !domain_admits(frames[2].bytes, key->role)) {
        reason = "the key's role is not admitted here";
        key = NULL;
    }
    answer(self, &frames[1], key);
    if (key != NULL) {
        self->counters.accepted++;
        return;
    }
    self->counters.refused++;
    tell_refused(self, frames[2].bytes, frames[3].bytes, reason);
}

static void on_readable(void *context, void *socket)
{
    (void)socket;
    struct zap *self = context;
    struct frame frames[ZAP_FRAMES];
    size_t count = 0;
    if (receive_request(self, frames, &count)) {
        handle_request(self, frames, count);
    }
}

int zap_create(const struct zap_config *config, struct zap **ret, struct err *err)
{
    struct zap *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "create ZAP handler");
    }
    self->config = *config;
    self->told_ms = INT64_MIN / 2;
    self->socket = zmq_socket(config->zmq_context, ZMQ_REP);
    int zero = 0;
    if (self->socket == NULL || zmq_setsockopt(self->socket, ZMQ_LINGER, &zero, sizeof zero) != 0 ||
        zmq_bind(self->socket, ZAP_ENDPOINT) != 0) {
        int rc = err_set(err, ERR_IO, "bind %s: %s", ZAP_ENDPOINT, zmq_strerror(zmq_errno()));
        zap_destroy(&self);
        return rc;
    }
    int rc = watch_create(config->loop, self->socket, on_readable, self, &self->watch, err);
    if (rc != 0) {
        zap_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

void zap_destroy(struct zap **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct zap *self = *self_p;
    if (self->socket != NULL) {
        watch_destroy(&self->watch);
        (void)zmq_close(self->socket);
    }
    free(self->keys);
    free(self);
    *self_p = NULL;
}

static int check_key(const struct zap_key *key, struct err *err)
{
    uint8_t binary[32];
    if (key->name[0] == '\0' || memchr(key->name, '\0', NAME_SIZE) == NULL ||
        memchr(key->public_key, '\0', PUBLIC_KEY_SIZE) == NULL ||
        strlen(key->public_key) != PUBLIC_KEY_SIZE - 1 ||
        zmq_z85_decode(binary, key->public_key) == NULL) {
        return err_set(err, ERR_INVALID, "key of \"%.*s\" is not 40 characters of Z85",
                       NAME_SIZE - 1, key->name);
    }
    if (key->role < ZAP_NODE || key->role > ZAP_VIEWER || (key->role == ZAP_NODE && key->id == 0)) {
        return err_set(err, ERR_INVALID, "key of \"%s\" has no role, or a node's has no id",
                       key->name);
    }
    return 0;
}

int zap_keys_set(struct zap *self, const struct zap_key *keys, size_t count, struct err *err)
{
    if (count > ZAP_KEYS_MAX) {
        return err_set(err, ERR_FULL, "%zu keys, at most %d", count, ZAP_KEYS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        int rc = check_key(&keys[i], err);
        for (size_t k = 0; rc == 0 && k < i; k++) {
            if (strcmp(keys[k].public_key, keys[i].public_key) == 0) {
                rc = err_set(err, ERR_INVALID, "\"%s\" and \"%s\" have the same key", keys[k].name,
                             keys[i].name);
            }
        }
        if (rc != 0) {
            return rc;
        }
    }
    struct zap_key *copy = calloc(count > 0 ? count : 1, sizeof *copy);
    if (copy == NULL) {
        return err_set(err, ERR_NOMEM, "keep %zu keys", count);
    }
    if (count > 0) {
        memcpy(copy, keys, count * sizeof *copy);
    }
    free(self->keys);
    self->keys = copy;
    self->key_count = count;
    return 0;
}

const struct zap_key *zap_identify(const struct zap *self, const char *user_id,
                                   const char *public_key)
{
    if (user_id == NULL || public_key == NULL) {
        return NULL;
    }
    const struct zap_key *key = find_key(self, public_key);
    return key != NULL && strcmp(key->name, user_id) == 0 ? key : NULL;
}

void zap_counters(const struct zap *self, struct zap_counters *ret)
{
    *ret = self->counters;
}
