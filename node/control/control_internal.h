/* What the files of the control endpoint share; not for others. */
#ifndef UNDERSTUDY_NODE_CONTROL_CONTROL_INTERNAL_H
#define UNDERSTUDY_NODE_CONTROL_CONTROL_INTERNAL_H

#include "node/base/buffer.h"
#include "node/control/control.h"
#include "node/watch/handshakes.h"
#include "node/watch/watch.h"

#include <czmq.h>
#include <sys/types.h>

#define IDENTITY_MAX 255 /* bytes of a routing id */
#define ERROR_CODE_SIZE 48
#define ERROR_MESSAGE_SIZE 512
#define ERROR_HINT_SIZE 256
#define WATCH_MS 1000          /* between two states of a watched document */
#define TIMER_MS 50            /* while requests are held or items wait */
#define ENDING_LINGER_MS 10000 /* for a slow client to take a stream's last items */

/* Foreign bytes: one request. */
extern const struct mp_limits control_request_limits;
/* A document of a peer: one reply. */
extern const struct mp_limits control_reply_limits;

enum origin {
    ORIGIN_SOCKET,    /* a client of this endpoint */
    ORIGIN_FORWARDED, /* another node passed it on */
    ORIGIN_RENDER,    /* this process */
};

struct client {
    void *socket;        /* raw ZeroMQ socket, */
    struct watch *watch; /* and its watch, which lives as long */
    uint8_t identity[IDENTITY_MAX];
    size_t identity_length;
};

struct failure {
    char code[ERROR_CODE_SIZE];
    int exit;
    char message[ERROR_MESSAGE_SIZE];
    char hint[ERROR_HINT_SIZE];
};

struct item {
    uint8_t *bytes; /* the encoded envelope */
    size_t length;
};

struct control_request {
    struct control_request *next;
    struct control *control;
    enum origin origin;
    struct client client; /* ORIGIN_SOCKET */
    char node[NAME_SIZE]; /* ORIGIN_FORWARDED */
    uint64_t id;          /* the client's, or the ticket of the node that passed it on */
    uint64_t ticket;      /* ours */
    json_t **rendered;    /* ORIGIN_RENDER */
    const struct verb *verb;
    json_t *args;
    struct control_who who;
    int64_t started_ms;
    int64_t deadline_ms;
    bool streams;   /* endless: has no deadline */
    bool begun;     /* an item was sent */
    bool passed_on; /* waits for the leader's answer */
    bool ending;    /* stream_end was said; only the queue is left */
    bool last_stale;
    int64_t again_ms;   /* a watched document: when the handler is asked again; 0: not */
    struct item *queue; /* ring of `stream_queue_max` items, made when first needed */
    size_t queue_first;
    size_t queue_count;
    uint64_t dropped; /* since the last item that was sent */
    void (*closed)(void *context, struct control_request *request);
    void *closed_context;
};

struct handler_row {
    const struct verb *verb;
    void (*handle)(void *context, struct control_request *request);
};

struct control {
    zloop_t *loop;
    zsock_t *ipc;
    struct watch *ipc_watch;
    zsock_t *tcp;
    struct watch *tcp_watch;
    struct handshakes *tcp_handshakes;
    char ipc_path[CONTROL_IPC_PATH_MAX + 1];
    dev_t ipc_device;
    ino_t ipc_inode;
    char tcp_endpoint[ADDRESS_SIZE];
    int timer; /* of the loop, or -1 */
    int64_t deadline_ms;
    size_t requests_max;
    size_t requests_per_client_max;
    size_t stream_queue_max;
    struct handler_row *handlers;
    size_t handler_count;
    void *handler_context;
    struct control_callbacks callbacks;
    struct control_request *requests; /* held ones and streams */
    uint64_t next_ticket;
    struct control_counters counters;
};

/* ---- control_wire.c: bytes ---- */

struct wire_request {
    uint64_t id;
    bool id_known; /* even when the rest is malformed, an answer is possible */
    char verb[VERB_WORDS_SIZE];
    json_t *args;       /* the caller's */
    int64_t timeout_ms; /* 0: none given */
};

int wire_decode_request(const uint8_t *bytes, size_t length, struct wire_request *ret,
                        struct err *err);
void wire_put_result(struct mp_writer *writer, uint64_t id, bool more, int exit, uint64_t dropped,
                     const void *document, size_t document_length);
void wire_put_end(struct mp_writer *writer, uint64_t id, bool more, int exit);
void wire_put_error(struct mp_writer *writer, uint64_t id, const struct failure *failure);

/* 0, or the errno of the send: EHOSTUNREACH (client gone), EAGAIN (client too slow). */
int wire_send(const struct client *client, const struct buffer *message);

/* ---- control_request.c: life of a request ---- */

struct control_request *request_create(struct control *self, const struct verb *verb,
                                       json_t *args_take, const struct control_who *who);
/* Unlinks and frees; nothing is told to anybody. */
void request_free(struct control_request *request);
/* The handler is told (on_close), then it is freed. */
void request_close(struct control_request *request);
/* Run the handler, or pass the request on; answers when neither is possible. */
void request_run(struct control_request *request);
/* Ask the handler for the next state of a watched document; the request may be gone after it. */
void request_run_again(struct control_request *request);
void request_fail(struct control_request *request, const struct failure *failure);
void failure_set(struct failure *ret, const char *code, int exit, const char *hint,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
void failure_from_err(struct failure *ret, const struct err *err);
/* The envelope around `data_take`; NULL when out of memory. */
json_t *request_envelope(const struct control_request *request, json_t *data_take, bool stale);
bool request_is_stale(const struct control_request *request);
/* One finished request: count and tell. */
void request_finished(const struct control_request *request, int exit);

/* ---- control_stream.c ---- */

/* Put one envelope into the stream. */
void stream_put(struct control_request *request, const json_t *document, bool stale);
/* Try to send what waits. False: the request is gone (client away, or its end was sent). */
bool stream_flush(struct control_request *request);
void stream_queue_free(struct control_request *request);
/* A sign of life to every idle stream; those whose client is gone are closed. */
void streams_probe(struct control *self);

/* ---- control_forward.c ---- */

void forward_answer(struct control_request *request, int exit, const json_t *document,
                    const struct failure *failure);

/* ---- control_bind.c ---- */

int control_bind_ipc(struct control *self, const char *path, struct err *err);
void control_unbind_ipc(struct control *self);
int control_bind_tcp(struct control *self, const struct control_config *config, struct err *err);

/* ---- control.c ---- */

void control_timer_start(struct control *self);

#endif
