/* What the files of the client library share; not for others. */
#ifndef UNDERSTUDY_NODE_CLIENT_CLIENT_INTERNAL_H
#define UNDERSTUDY_NODE_CLIENT_CLIENT_INTERNAL_H

#include "node/base/mp.h"
#include "node/client/understudy.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct understudy {
    void *context; /* of ZeroMQ */
    void *socket;  /* DEALER */
    void *monitor; /* PAIR: tells when the connection stands and when it breaks */
    int cancel_fd; /* eventfd */
    uint64_t next_id;
};

struct reply {
    bool ok;
    bool more;
    int exit;
    uint64_t dropped;
    json_t *result; /* the caller's, or NULL */
    struct understudy_error error;
};

/* What the monitor told. */
enum link_change { LINK_NONE, LINK_UP, LINK_DOWN, LINK_REFUSED, LINK_DENIED };

/* Next event of the monitor without waiting. */
enum link_change client_link_change(void *monitor);

int client_fail(struct understudy_error *error, int exit, const char *code, const char *hint,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* One request's bytes into `writer`. args may be NULL. */
void client_put_request(struct mp_writer *writer, uint64_t id, const char *verb, const json_t *args,
                        int64_t timeout_ms);

/* True when the bytes are a reply to `id`; *ret is then the caller's. */
bool client_read_reply(const uint8_t *bytes, size_t length, uint64_t id, struct reply *ret);

#endif
