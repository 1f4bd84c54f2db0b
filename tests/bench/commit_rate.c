/* Committed entries: requests that the leader must commit, WINDOW of them at a time.
 *
 *     bench_commit_rate ENDPOINT COUNT WINDOW NODE
 *
 * Each is `undrain NODE`, NODE being one that does not drain: the leader proposes it, a majority
 * has it on disk, it is applied and changes nothing, and the answer names its index. ENDPOINT is
 * the leader's. A node takes 32 requests at once of a connection, so larger windows have several.
 * A refused request or an answer without an index ends it. */
#include "node/base/clock.h"
#include "node/client/client_internal.h"
#include "tests/bench/timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define PER_CONNECTION 32
#define CONNECTIONS_MAX 32
#define WINDOW_MAX ((size_t)PER_CONNECTION * CONNECTIONS_MAX)
#define TIMEOUT_MS 10000
#define REQUEST_BYTES_MAX 4096
#define REPLY_BYTES_MAX 65536

struct load {
    size_t connections;
    zmq_pollitem_t sockets[CONNECTIONS_MAX];
    size_t under_way[CONNECTIONS_MAX];
    json_t *args;
    size_t count;
    size_t window;
    size_t sent;
    size_t oldest; /* that has no answer yet */
    size_t answered;
    int64_t *sent_ns; /* of the request with id i + 1; 0: answered */
    int64_t *durations_ns;
};

static bool send_one(struct load *self, size_t connection)
{
    void *socket = self->sockets[connection].socket;
    struct mp_writer writer;
    mp_writer_init(&writer, REQUEST_BYTES_MAX);
    client_put_request(&writer, self->sent + 1, "undrain", self->args, TIMEOUT_MS);
    self->sent_ns[self->sent] = clock_boot_ns();
    bool good = mp_writer_ok(&writer) && zmq_send(socket, "", 0, ZMQ_SNDMORE) == 0 &&
                zmq_send(socket, writer.buffer.data, writer.buffer.length, 0) >= 0;
    mp_writer_deinit(&writer);
    self->sent++;
    self->under_way[connection]++;
    return good;
}

/* The answer is to the oldest open request, unless they overtook each other. */
static bool take_reply(struct load *self, const uint8_t *bytes, size_t length)
{
    while (self->oldest < self->sent && self->sent_ns[self->oldest] == 0) {
        self->oldest++;
    }
    for (size_t i = self->oldest; i < self->sent; i++) {
        struct reply reply;
        if (self->sent_ns[i] == 0 || !client_read_reply(bytes, length, i + 1, &reply)) {
            continue;
        }
        bool committed =
            reply.ok &&
            json_is_integer(json_object_get(json_object_get(reply.result, "data"), "index"));
        if (!committed) {
            (void)fprintf(stderr, "not committed: %s\n", reply.error.message);
        }
        json_decref(reply.result);
        self->durations_ns[self->answered++] = clock_boot_ns() - self->sent_ns[i];
        self->sent_ns[i] = 0;
        return committed;
    }
    (void)fprintf(stderr, "an answer to nothing that was asked\n");
    return false;
}

static bool fill_windows(struct load *self)
{
    for (size_t i = 0; i < self->connections; i++) {
        while (self->sent < self->count && self->under_way[i] < PER_CONNECTION &&
               self->sent - self->answered < self->window) {
            if (!send_one(self, i)) {
                return false;
            }
        }
    }
    return true;
}

static bool receive_all(struct load *self, size_t connection)
{
    static uint8_t bytes[REPLY_BYTES_MAX];
    void *socket = self->sockets[connection].socket;
    while (zmq_recv(socket, bytes, sizeof bytes, ZMQ_DONTWAIT) == 0) {
        int length = zmq_recv(socket, bytes, sizeof bytes, 0);
        if (length <= 0 || (size_t)length > sizeof bytes ||
            !take_reply(self, bytes, (size_t)length)) {
            return false;
        }
        self->under_way[connection]--;
    }
    return true;
}

static bool run(struct load *self)
{
    int64_t began_ns = clock_boot_ns();
    while (self->answered < self->count) {
        if (!fill_windows(self)) {
            return false;
        }
        if (zmq_poll(self->sockets, (int)self->connections, TIMEOUT_MS) <= 0) {
            (void)fprintf(stderr, "no answer in %d ms\n", TIMEOUT_MS);
            return false;
        }
        for (size_t i = 0; i < self->connections; i++) {
            if (self->sockets[i].revents != 0 && !receive_all(self, i)) {
                return false;
            }
        }
    }
    timing_print("commits", self->durations_ns, self->count, clock_boot_ns() - began_ns);
    return true;
}

static bool run_connected(const char *endpoint, struct load *load)
{
    int linger_ms = 0;
    bool good = true;
    void *context = zmq_ctx_new();
    load->connections = (load->window + PER_CONNECTION - 1) / PER_CONNECTION;
    for (size_t i = 0; i < load->connections; i++) {
        void *socket = zmq_socket(context, ZMQ_DEALER);
        (void)zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        load->sockets[i] = (zmq_pollitem_t){.socket = socket, .events = ZMQ_POLLIN};
        good = good && zmq_connect(socket, endpoint) == 0;
    }
    good = good && run(load);
    for (size_t i = 0; i < load->connections; i++) {
        (void)zmq_close(load->sockets[i].socket);
    }
    (void)zmq_ctx_term(context);
    return good;
}

int main(int argc, char **argv)
{
    struct load load = {0};
    if (argc == 5) {
        load.count = timing_read_count(argv[2]);
        load.window = timing_read_count(argv[3]);
    }
    if (load.count == 0 || load.window == 0 || load.window > WINDOW_MAX) {
        (void)fprintf(stderr, "usage: bench_commit_rate ENDPOINT COUNT WINDOW NODE\n");
        return 2;
    }
    load.sent_ns = timing_create(load.count);
    load.durations_ns = timing_create(load.count);
    load.args = json_pack("{s:s}", "node", argv[4]);
    bool good = run_connected(argv[1], &load);
    json_decref(load.args);
    free(load.sent_ns);
    free(load.durations_ns);
    return good ? 0 : 1;
}
