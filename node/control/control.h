/* The control endpoint: where the command line, the dashboard's writer and other programs ask.
 *
 * A ROUTER on ipc:// (everybody who may open the socket is an operator; mode 0660) and, when
 * configured, on tcp:// with CURVE. From a DEALER come two frames, empty and a MessagePack map
 * {v:1, id:uint, verb:str, args:map}, with an optional timeout_ms. The answer is empty and
 * {v:1, id, ok, more, result | error:{code, exit, message, hint}}. A `result` may come with
 * `exit` (a document that still means failure: 5 when stale, 1 when not healthy) and, in a stream,
 * with `dropped` (items that the client was too slow for, just before this one). With `more`,
 * further replies follow under the same id until {v:1, id, verb:"cancel"} or the end; a reply with
 * neither result nor error is a sign of life and to be ignored.
 *
 * Everything is bounded: message size, requests in flight (per client and overall), items waiting
 * for a slow client (the oldest are dropped and counted), time that a request may be held.
 *
 * All functions run on the loop thread. Nothing here blocks. */
#ifndef UNDERSTUDY_NODE_CONTROL_CONTROL_H
#define UNDERSTUDY_NODE_CONTROL_CONTROL_H

#include "node/base/err.h"
#include "node/base/limits.h"
#include "node/base/mp.h"
#include "node/control/verbs.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct _zloop_t; /* czmq's zloop_t */

struct control;
struct control_request;

#define CONTROL_IPC_PATH_MAX 107 /* bytes; what a Unix socket address can hold */

/* Who asks. */
struct control_who {
    char name[NAME_SIZE]; /* key's name; "local" over ipc */
    enum verb_access role;
};

/* What the envelope tells; filled by the node at each reply. */
struct control_facts {
    const char *node;    /* borrowed until the callback's caller returns to the loop */
    const char *cluster; /* the same */
    uint64_t term;
    bool term_known; /* false: null */
    bool quorum;     /* false: documents of cluster reads are stale, exit 5 */
    bool leads;      /* this node leads: verbs of the leader are handled here */
    bool leader_known;
    bool outside; /* it gets no log: cluster reads of clients are passed on to the leader */
};

struct control_callbacks {
    void *context;
    /* Required. */
    void (*facts)(void *context, struct control_facts *ret);
    /* Name and role of an authenticated connection, from the properties that the ZAP handler set
     * (either may be NULL). Returns false to refuse. Required with tcp. */
    bool (*role_of)(void *context, const char *user_id, const char *public_key,
                    struct control_who *ret);
    /* Pass a leader's verb on (control_request_encode) and hold the request until
     * control_accept_forward_reply. ERR_ code when it cannot be sent: the client is told
     * no_leader. May be NULL: every such request of a follower fails with no_leader. */
    int (*forward)(void *context, struct control_request *request, struct err *err);
    /* Bytes for control_accept_forward_reply on the node `origin`. Required for
     * control_execute_forwarded. */
    void (*forward_reply)(void *context, const char *origin, const uint8_t *bytes, size_t length);
    /* One finished request, for the access log; may be NULL. `exit` is 0..10. */
    void (*finished)(void *context, const struct control_who *who, const char *verb, int exit,
                     int64_t duration_ms);
};

/* `handle` answers now, or keeps the request and answers later (until then see
 * control_request_on_close). */
struct control_handler {
    const char *verb; /* words, as in the table */
    void (*handle)(void *context, struct control_request *request);
};

struct control_config {
    struct _zloop_t *loop;    /* outlives the endpoint */
    const char *ipc_path;     /* path without "ipc://"; NULL for none */
    const char *tcp_endpoint; /* "tcp://0.0.0.0:7401"; NULL for none; ":*" for any free port */
    const char *curve_public; /* Z85; both needed with tcp_endpoint */
    const char *curve_secret;
    const char *zap_domain;         /* NULL: "control" */
    int64_t deadline_ms;            /* a held request fails after it with exit 4; 0: 15 000 */
    size_t requests_max;            /* held requests and streams overall; 0: 256 */
    size_t requests_per_client_max; /* 0: 32 */
    size_t stream_queue_max;        /* items waiting for one slow stream; 0: 256 */
    const struct control_handler *handlers; /* copied; unknown verbs are ERR_INVALID */
    size_t handler_count;
    void *handler_context;
    struct control_callbacks callbacks; /* copied */
};

/* Bind and register with the loop.
 *
 * A live ipc path is never bound a second time (ZeroMQ would take it over in silence): ERR_BUSY
 * names it. The path of a dead process is removed. ERR_INVALID: path too long, unknown verb,
 * missing callback; ERR_BUSY: address in use; ERR_IO. */
int control_create(const struct control_config *config, struct control **ret, struct err *err);

/* Streams end, held requests fail (code "stopping", exit 3), the sockets close, the ipc path is
 * removed. */
void control_destroy(struct control **self_p);

struct control_counters {
    uint64_t requests;
    uint64_t malformed; /* dropped without an answer, or refused as such */
    uint64_t denied;    /* role too low, or key not known */
    uint64_t refused;   /* a bound was reached */
    uint64_t timed_out;
    uint64_t dropped; /* stream items, and replies that a client did not take */
    size_t held;      /* now */
    size_t streams;   /* now */
};
void control_counters(const struct control *self, struct control_counters *ret);
/* Connections to the TCP port that never became one (node/watch/handshakes.h). Call it now and
 * then, as the count follows the calls. */
uint64_t control_connections_failed(struct control *self, int64_t now_ms);

/* Where tcp is bound ("tcp://0.0.0.0:40123"), or NULL. */
const char *control_tcp_endpoint(const struct control *self);

/* ---- the request, for handlers ---- */

const struct verb *control_request_verb(const struct control_request *request);
const json_t *control_request_args(const struct control_request *request); /* checked, borrowed */
const struct control_who *control_request_who(const struct control_request *request);
/* True when the client asked for an endless stream (--follow, --watch). */
bool control_request_streams(const struct control_request *request);

/* Milliseconds until it is answered with "timed out"; 0 or more. */
int64_t control_request_left_ms(const struct control_request *request);

/* Arguments by name; borrowed. NULL, false or the fallback when not given. */
const char *control_arg_text(const struct control_request *request, const char *name);
bool control_arg_flag(const struct control_request *request, const char *name);
int64_t control_arg_integer(const struct control_request *request, const char *name,
                            int64_t fallback);
int64_t control_arg_duration_ms(const struct control_request *request, const char *name,
                                int64_t fallback);

/* Called once when a kept request ends without the handler's doing: cancelled, deadline passed,
 * client gone, endpoint destroyed. The request must not be used afterwards. Not called after the
 * handler's own last answer. */
void control_request_on_close(struct control_request *request,
                              void (*closed)(void *context, struct control_request *request),
                              void *context);

/* ---- answers: each ends the request (the pointer is gone), except control_stream_item ---- */

/* When a client watches (status --watch), each of the three replies below is one line of its
 * stream, the request stays, and the handler is called with it again a second later.
 *
 * The document: `data_take` (NULL: null) is wrapped into the envelope with the facts of now. When
 * the verb reads the cluster and there is no quorum, it is told as stale with exit 5. */
void control_reply(struct control_request *request, json_t *data_take);

/* The same with an exit code of its own (1: not healthy); staleness (5) wins over it. */
void control_reply_exit(struct control_request *request, json_t *data_take, int exit);

/* The same about this node alone: never stale, whatever the quorum (`health --local`). */
void control_reply_local(struct control_request *request, json_t *data_take, int exit);

/* Failure. code: lower_snake, stable ("no_leader"); exit 1..10; hint may be NULL. */
void control_fail(struct control_request *request, const char *code, int exit, const char *hint,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Failure from an error of ours: code and exit follow from err->code. */
void control_fail_err(struct control_request *request, const struct err *err);

/* One more line of a stream (also for `events` without --follow: items, then control_stream_end).
 * A request for an endless stream has no deadline. */
void control_stream_item(struct control_request *request, json_t *data_take);
void control_stream_end(struct control_request *request);

/* ---- in-process: the same handlers for the HTTP side ---- */

/* Run a verb (its words) that answers at once and return its whole envelope (new reference), or
 * NULL when it fails, streams or would be held. args may be NULL; borrowed. For VERB_NODE verbs. */
json_t *control_render(struct control *self, const char *words, const json_t *args);

/* ---- forwarding to the leader ---- */

/* On the node that was asked: the request's bytes for the leader (verb, args, who, role, ticket and
 * the time left). Returns 0 or ERR_FULL. */
int control_request_encode(const struct control_request *request, struct mp_writer *writer,
                           struct err *err);

/* On the leader: run what `origin` (authenticated by the transport) passed on. The answer goes to
 * callbacks.forward_reply, now or later; a node that does not lead answers no_leader. ERR_PROTO:
 * malformed, nothing is answered. */
int control_execute_forwarded(struct control *self, const char *origin, const uint8_t *bytes,
                              size_t length, struct err *err);

/* Back on the node that was asked: relay the leader's answer. `origin` is the node it came from;
 * only a request that is still held is answered. Returns 0, ERR_NOTFOUND (too late), ERR_PROTO. */
int control_accept_forward_reply(struct control *self, const uint8_t *bytes, size_t length,
                                 struct err *err);

#endif
