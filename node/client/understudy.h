/* libunderstudy: ask and command an Understudy node.
 *
 * A connection is a DEALER to a node's control endpoint: a Unix socket (ipc://PATH, no keys needed)
 * or TCP (tcp://HOST:PORT, CURVE keys needed). Arguments and results are JSON text, as the command
 * line's --json prints it: the result is the whole envelope
 *
 *     {"schema":"understudy.status/1","time":"…Z","node":"n1","cluster":"demo","term":4,
 *      "stale":false,"data":…}
 *
 * A connection belongs to one thread at a time; understudy_cancel alone may be called from any
 * thread and from a signal handler. Functions return an exit code of the command line
 * (UNDERSTUDY_DONE ...), and fill `error` when it is not zero; `error` may be NULL. */
#ifndef UNDERSTUDY_NODE_CLIENT_UNDERSTUDY_H
#define UNDERSTUDY_NODE_CLIENT_UNDERSTUDY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UNDERSTUDY_API __attribute__((visibility("default")))

enum understudy_exit {
    UNDERSTUDY_DONE = 0,
    UNDERSTUDY_FAILED = 1,    /* or the thing asked about is not healthy */
    UNDERSTUDY_USAGE = 2,     /* unknown verb, wrong arguments */
    UNDERSTUDY_NO_NODE = 3,   /* node not running or unreachable */
    UNDERSTUDY_TIMED_OUT = 4, /* outcome unknown */
    UNDERSTUDY_NO_QUORUM = 5, /* no leader or no quorum; a result then is stale */
    UNDERSTUDY_DENIED = 6,
    UNDERSTUDY_NOT_FOUND = 7,
    UNDERSTUDY_PRECONDITION = 8,
    UNDERSTUDY_UNSAFE = 9, /* would break a safety rule */
    UNDERSTUDY_VIOLATION = 10,
};

struct understudy;

struct understudy_error {
    int exit;
    char code[48];     /* stable, lower_snake: "no_leader" */
    char message[512]; /* for people */
    char hint[256];    /* what to try, may be empty */
};

/* CURVE keys as Z85 text (40 characters). `server_public` is the key of the node at the endpoint,
 * the other two are the caller's own. */
struct understudy_keys {
    const char *server_public;
    const char *client_public;
    const char *client_secret;
};

/* Connect.
 *
 * endpoint     "ipc://PATH" or "tcp://HOST:PORT"
 * keys         required for tcp, NULL for ipc; copied
 * timeout_ms   for the connection to stand, > 0
 * ret          written only on success; end it with understudy_destroy
 *
 * Returns UNDERSTUDY_DONE; UNDERSTUDY_NO_NODE when nobody listens there, UNDERSTUDY_DENIED when the
 * key or the file mode forbids it, UNDERSTUDY_USAGE for a bad endpoint, UNDERSTUDY_TIMED_OUT. */
UNDERSTUDY_API int understudy_connect(const char *endpoint, const struct understudy_keys *keys,
                                      int64_t timeout_ms, struct understudy **ret,
                                      struct understudy_error *error);

UNDERSTUDY_API void understudy_destroy(struct understudy **self_p);

/* Ask once.
 *
 * verb         the verb's words, "leader transfer"
 * args         JSON object with the names of the long options and placeholders in lower case, NULL
 *              for none
 * timeout_ms   > 0; after it UNDERSTUDY_TIMED_OUT: what was asked may still happen
 * ret          the envelope as JSON text, free() it; NULL when there is none. A document can come
 *              with a non-zero result: stale (UNDERSTUDY_NO_QUORUM) or about something that is not
 *              healthy (UNDERSTUDY_FAILED).
 *
 * Cancelled: UNDERSTUDY_FAILED with the code "cancelled". */
UNDERSTUDY_API int understudy_call(struct understudy *self, const char *verb, const char *args,
                                   int64_t timeout_ms, char **ret, struct understudy_error *error);

/* A line of a stream: one envelope as JSON text, borrowed for the call. dropped: lines that were
 * lost just before it because the reader was too slow. Return 0 to go on, anything else to end. */
typedef int understudy_line(void *context, const char *envelope, uint64_t dropped);

/* Ask for a stream ("events", "logs", or "status" with {"watch":true}) and hand each line over
 * until the stream ends, `line` returns non-zero, or it is cancelled (both UNDERSTUDY_DONE).
 *
 * timeout_ms   > 0, for each line of a finite stream; an endless one may be silent for ever, and
 *              ends with UNDERSTUDY_NO_NODE when the connection breaks. */
UNDERSTUDY_API int understudy_stream(struct understudy *self, const char *verb, const char *args,
                                     int64_t timeout_ms, understudy_line *line, void *context,
                                     struct understudy_error *error);

/* End the call or stream that is under way in another thread, or the next one. Any thread;
 * async-signal-safe. */
UNDERSTUDY_API void understudy_cancel(struct understudy *self);

/* Version of the library, "0.1.0". */
UNDERSTUDY_API const char *understudy_version(void);

#ifdef __cplusplus
}
#endif

#endif
