/* What a message between two nodes costs on loopback: bytes and packets on the wire, round trip,
 * and how soon the end of a killed process is known.
 *
 * Bytes on the wire are counted from the kernel's own figures per connection (TCP_INFO) plus 66
 * bytes of Ethernet, IP and TCP header with time stamps for each segment. */
#include "tests/unit/transport/transport_fixture.h"

#include "node/base/clock.h"
#include "node/base/invariant.h"

#include <assert.h>
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define ROUND_TRIPS 5000
#define KILLS 40
#define HEADER_BYTES 66.0
#define HEARTBEAT_MS 75
#define HEARTBEATS 80
#define PAYLOAD_BYTES 48

struct wire_use {
    uint64_t sent_bytes, sent_segments, received_bytes, received_segments;
};

struct bench {
    zloop_t *loop;
    struct transport *transport;
    struct zap *zap;
    uint8_t payload[PAYLOAD_BYTES];
    int64_t sent_ns;
    int64_t *durations_ns;
    size_t count;
    size_t wanted;
    int64_t disconnected_ns;
    uint64_t connected;
};

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void report(const char *what, int64_t *durations_ns, size_t count)
{
    qsort(durations_ns, count, sizeof *durations_ns, compare);
    (void)printf("%-28s p50 %7.1f us  p99 %7.1f us  worst %8.1f us\n", what,
                 (double)durations_ns[count / 2] / 1e3,
                 (double)durations_ns[count * 99 / 100] / 1e3,
                 (double)durations_ns[count - 1] / 1e3);
}

/* The head of the kernel's struct tcp_info, as far as it is read here: linux/tcp.h cannot be
 * included beside netinet/tcp.h, whose own struct ends before these counters. */
struct kernel_tcp_info {
    struct tcp_info head;
    uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
    uint32_t segs_out, segs_in;
};
static_assert(sizeof(struct tcp_info) == 104, "the counters follow at once");

static void add_socket(int fd, struct wire_use *use)
{
    struct kernel_tcp_info info = {0};
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0) {
        use->sent_bytes += info.bytes_acked;
        use->sent_segments += info.segs_out;
        use->received_bytes += info.bytes_received;
        use->received_segments += info.segs_in;
    }
}

/* All TCP connections of this process. */
static struct wire_use wire_use(void)
{
    struct wire_use use = {0};
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL;
         entry = readdir(dir)) {
        add_socket((int)strtol(entry->d_name, NULL, 10), &use);
    }
    (void)closedir(dir);
    return use;
}

static void print_use(const char *what, const struct wire_use *from, const struct wire_use *to,
                      double divisor, const char *unit)
{
    double bytes = (double)(to->received_bytes - from->received_bytes);
    double segments = (double)(to->received_segments - from->received_segments);
    (void)printf("%-28s %7.1f bytes of TCP, %5.2f packets, %7.1f bytes with headers per %s\n", what,
                 bytes / divisor, segments / divisor, (bytes + segments * HEADER_BYTES) / divisor,
                 unit);
}

static void ping(struct bench *self)
{
    self->sent_ns = clock_boot_ns();
    (void)transport_send(self->transport, "n2", TRANSPORT_GOSSIP, self->payload, PAYLOAD_BYTES,
                         false);
}

static void on_received(void *context, const struct transport_message *message)
{
    struct bench *self = context;
    (void)message;
    if (self->count < self->wanted) {
        self->durations_ns[self->count++] = clock_boot_ns() - self->sent_ns;
        if (self->count < self->wanted) {
            ping(self);
        }
    }
}

static void on_connected(void *context, const char *name, int64_t at_ms)
{
    (void)name;
    (void)at_ms;
    ((struct bench *)context)->connected++;
}

static void on_disconnected(void *context, const char *name, int64_t at_ms)
{
    (void)name;
    (void)at_ms;
    ((struct bench *)context)->disconnected_ns = clock_boot_ns();
}

static int on_check(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct bench *self = arg;
    return (self->wanted > 0 && self->count == self->wanted) || self->disconnected_ns > 0 ||
                   (self->wanted == 0 && self->connected > 0)
               ? -1
               : 0;
}

static int on_heartbeat(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct bench *self = arg;
    if (self->count++ == HEARTBEATS) {
        return -1;
    }
    (void)transport_send(self->transport, "n2", TRANSPORT_GOSSIP, self->payload, PAYLOAD_BYTES,
                         false);
    return 0;
}

static void run(struct bench *self)
{
    int timer = zloop_timer(self->loop, 1, 0, on_check, self);
    (void)zloop_start(self->loop);
    (void)zloop_timer_end(self->loop, timer);
}

static void create(struct bench *self, struct node *one, void *zmq_context)
{
    struct err err = {0};
    self->loop = zloop_new();
    struct zap_config zap = {.zmq_context = zmq_context, .loop = self->loop};
    invariant(zap_create(&zap, &self->zap, &err) == 0);
    struct transport_config config = {
        .zmq_context = zmq_context,
        .loop = self->loop,
        .zap = self->zap,
        .listen = "tcp://127.0.0.1:*",
        .id = 1,
        .cluster = FIXTURE_CLUSTER,
        .public_key = one->keys.public_key,
        .secret_key = one->keys.secret_key,
        .callbacks = {.context = self,
                      .received = on_received,
                      .peer_connected = on_connected,
                      .peer_disconnected = on_disconnected},
    };
    invariant(transport_create(&config, &self->transport, &err) == 0);
    one->transport = self->transport;
}

static pid_t start_child(struct bench *self, struct node *one, struct node *two)
{
    char endpoint[ADDRESS_SIZE];
    struct err err = {0};
    pid_t child = child_start(two, one, NULL, endpoint);
    struct transport_peer peer = {
        .name = "n2", .id = 2, .address = endpoint, .public_key = two->keys.public_key};
    invariant(transport_peer_set(self->transport, &peer, &err) == 0);
    self->connected = 0;
    self->wanted = 0;
    self->disconnected_ns = 0;
    transport_peer_watch(self->transport, "n2", true);
    run(self);
    return child;
}

static void measure_round_trips(struct bench *self)
{
    self->count = 0;
    self->wanted = ROUND_TRIPS;
    struct wire_use before = wire_use();
    ping(self);
    run(self);
    struct wire_use after = wire_use();
    report("round trip", self->durations_ns, self->count);
    print_use("answer of 48 bytes", &before, &after, ROUND_TRIPS, "message");
}

/* A leader's heartbeats and their answers, as seen on the wire from the follower. */
static void measure_heartbeats(struct bench *self)
{
    self->count = 0;
    self->wanted = 0;
    struct wire_use before = wire_use();
    int64_t began_ms = clock_boot_ms();
    int timer = zloop_timer(self->loop, HEARTBEAT_MS, 0, on_heartbeat, self);
    (void)zloop_start(self->loop);
    (void)zloop_timer_end(self->loop, timer);
    struct wire_use after = wire_use();
    double seconds = (double)(clock_boot_ms() - began_ms) / 1e3;
    print_use("follower at 75 ms heartbeats", &before, &after, seconds, "second");
}

static void measure_kills(struct bench *self, struct node *one, struct node *two, pid_t child)
{
    for (int i = 0; i < KILLS; i++) {
        int64_t began_ns = clock_boot_ns();
        (void)kill(child, SIGKILL);
        self->wanted = 1;
        self->count = 0;
        run(self);
        self->durations_ns[i] = self->disconnected_ns - began_ns;
        (void)waitpid(child, NULL, 0);
        child = i + 1 < KILLS ? start_child(self, one, two) : 0;
    }
    report("kill -9 known after", self->durations_ns, KILLS);
}

int main(void)
{
    static struct bench self;
    struct node one = {.name = "n1", .id = 1};
    struct node two = {.name = "n2", .id = 2};
    struct err err = {0};
    void *zmq_context = zmq_ctx_new();
    keys_make(&one.keys);
    keys_make(&two.keys);
    self.durations_ns = calloc(ROUND_TRIPS, sizeof *self.durations_ns);
    invariant(self.durations_ns != NULL);
    create(&self, &one, zmq_context);
    struct zap_key key = {.name = "n2", .id = 2, .role = ZAP_NODE};
    memcpy(key.public_key, two.keys.public_key, PUBLIC_KEY_SIZE);
    invariant(zap_keys_set(self.zap, &key, 1, &err) == 0);
    pid_t child = start_child(&self, &one, &two);
    measure_round_trips(&self);
    measure_heartbeats(&self);
    measure_kills(&self, &one, &two, child);
    transport_destroy(&self.transport);
    zap_destroy(&self.zap);
    zloop_destroy(&self.loop);
    (void)zmq_ctx_term(zmq_context);
    free(self.durations_ns);
    return 0;
}
