/* A switch in user space whose every link can be slow, lossy, one-way or cut: netem for kernels
 * without it.
 *
 *   link_relay SEED PORT...
 *
 * Each PORT is an interface of this network namespace (the near end of a veth pair; the far end is
 * a host's only link). A frame that comes in at one port goes out at the port where its destination
 * was last seen as a source, or at all the others. Frames of a link keep their order, unless told.
 *
 * Commands on standard input, one a line; each is answered by "ok" or "bad LINE":
 *   link FROM TO [delay MS] [jitter MS] [loss %] [dup %] [late % MS] [cut 0|1]
 *       of frames from the FROMth to the TOth port, counted from 1; what is not named becomes 0.
 *       delay plus a random part of jitter either way; dup: sent twice; late: so many frames come
 *       MS later than their turn, so that those behind overtake them.
 *   count FROM TO       answers "ok SEEN LOST DOUBLED LATE": frames since the start
 * The end of standard input ends the program, so nothing survives the test that started it.
 *
 * Frames carry the kernel's offload header (PACKET_VNET_HDR, packet(7)) through, so checksums that
 * the sender left to its hardware stay right. What waits is bounded: frames past it are lost. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PORTS_MAX 16
#define FRAME_BYTES_MAX (sizeof(struct virtio_net_hdr) + (size_t)68 * 1024)
#define WAITING_MAX 16384
#define WAITING_BYTES_MAX (64u << 20)
#define SOCKET_BYTES (8 << 20)
#define FRAMES_PER_TURN 64
#define IGNORE_OUTGOING 23 /* PACKET_IGNORE_OUTGOING, missing in older headers */

struct link {
    double delay_ms;
    double jitter_ms;
    double loss;
    double dup;
    double late;
    double late_ms;
    bool cut;
    int64_t last_due_ns; /* order is kept behind it */
    uint64_t seen;
    uint64_t lost;
    uint64_t doubled;
    uint64_t delayed;
};

struct frame {
    int64_t due_ns;
    uint64_t number; /* equal times: in order of arrival */
    int to;
    size_t length;
    uint8_t *bytes;
};

struct port {
    int fd;
    uint8_t station[ETH_ALEN]; /* the source last seen here */
};

struct relay {
    int port_count;
    struct port ports[PORTS_MAX];
    struct link links[PORTS_MAX][PORTS_MAX];
    struct frame heap[WAITING_MAX]; /* the earliest first */
    size_t waiting;
    size_t waiting_bytes;
    uint64_t numbers;
    uint64_t random;
    int timer;
};

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* In [0, 1): xorshift64*, Vigna, "An experimental exploration of Marsaglia's xorshift generators".
 */
static double chance(struct relay *self)
{
    self->random ^= self->random >> 12;
    self->random ^= self->random << 25;
    self->random ^= self->random >> 27;
    return (double)((self->random * UINT64_C(2685821657736338717)) >> 11) / 9007199254740992.0;
}

static bool happens(struct relay *self, double percent)
{
    return percent > 0 && chance(self) * 100.0 < percent;
}

/* ---- frames that wait ---- */

static bool earlier(const struct frame *a, const struct frame *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

static void swap(struct frame *a, struct frame *b)
{
    struct frame kept = *a;
    *a = *b;
    *b = kept;
}

static void push(struct relay *self, const struct frame *frame)
{
    size_t at = self->waiting++;
    self->heap[at] = *frame;
    self->waiting_bytes += frame->length;
    while (at > 0 && earlier(&self->heap[at], &self->heap[(at - 1) / 2])) {
        swap(&self->heap[at], &self->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static struct frame pop(struct relay *self)
{
    struct frame first = self->heap[0];
    self->heap[0] = self->heap[--self->waiting];
    self->waiting_bytes -= first.length;
    size_t at = 0;
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < self->waiting; child++) {
            least = earlier(&self->heap[child], &self->heap[least]) ? child : least;
        }
        if (least == at) {
            return first;
        }
        swap(&self->heap[at], &self->heap[least]);
        at = least;
    }
}

static void send_due(struct relay *self)
{
    while (self->waiting > 0 && self->heap[0].due_ns <= now_ns()) {
        struct frame frame = pop(self);
        (void)send(self->ports[frame.to].fd, frame.bytes, frame.length, MSG_DONTWAIT);
        free(frame.bytes);
    }
}

static void arm(const struct relay *self)
{
    struct itimerspec spec = {.it_value = {0}};
    if (self->waiting > 0) {
        spec.it_value.tv_sec = (time_t)(self->heap[0].due_ns / 1000000000);
        spec.it_value.tv_nsec = (long)(self->heap[0].due_ns % 1000000000);
    }
    (void)timerfd_settime(self->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* ---- a frame that comes in ---- */

static int64_t due_of(struct relay *self, struct link *link)
{
    double ms = link->delay_ms;
    if (link->jitter_ms > 0) {
        ms += (2.0 * chance(self) - 1.0) * link->jitter_ms;
    }
    int64_t due_ns = now_ns() + (int64_t)(ms > 0 ? ms * 1e6 : 0);
    if (due_ns < link->last_due_ns) {
        due_ns = link->last_due_ns;
    }
    link->last_due_ns = due_ns;
    if (happens(self, link->late)) {
        link->delayed++;
        return due_ns + (int64_t)(link->late_ms * 1e6);
    }
    return due_ns;
}

static void queue(struct relay *self, int to, struct link *link, const uint8_t *bytes,
                  size_t length)
{
    bool room = self->waiting < WAITING_MAX && self->waiting_bytes + length <= WAITING_BYTES_MAX;
    struct frame frame = {.number = self->numbers++, .to = to, .length = length};
    frame.bytes = room ? malloc(length) : NULL;
    if (frame.bytes == NULL) {
        link->lost++;
        return;
    }
    memcpy(frame.bytes, bytes, length);
    frame.due_ns = due_of(self, link);
    push(self, &frame);
}

static void forward(struct relay *self, int from, int to, const uint8_t *bytes, size_t length)
{
    struct link *link = &self->links[from][to];
    link->seen++;
    if (link->cut || happens(self, link->loss)) {
        link->lost++;
        return;
    }
    queue(self, to, link, bytes, length);
    if (happens(self, link->dup)) {
        link->doubled++;
        queue(self, to, link, bytes, length);
    }
}

static int port_of(const struct relay *self, const uint8_t *station)
{
    for (int i = 0; i < self->port_count; i++) {
        if (memcmp(self->ports[i].station, station, ETH_ALEN) == 0) {
            return i;
        }
    }
    return -1;
}

static void take(struct relay *self, int from, const uint8_t *bytes, size_t length)
{
    const uint8_t *ethernet = bytes + sizeof(struct virtio_net_hdr);
    if (length < sizeof(struct virtio_net_hdr) + ETH_HLEN) {
        return;
    }
    memcpy(self->ports[from].station, ethernet + ETH_ALEN, ETH_ALEN);
    int only = (ethernet[0] & 1) != 0 ? -1 : port_of(self, ethernet);
    for (int to = 0; to < self->port_count; to++) {
        if (to != from && (only < 0 || only == to)) {
            forward(self, from, to, bytes, length);
        }
    }
}

static void receive(struct relay *self, int from)
{
    static uint8_t bytes[FRAME_BYTES_MAX];
    for (int i = 0; i < FRAMES_PER_TURN; i++) {
        ssize_t length = recv(self->ports[from].fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC);
        if (length < 0) {
            return;
        }
        if ((size_t)length <= sizeof bytes) {
            take(self, from, bytes, (size_t)length);
        }
    }
}

/* ---- commands ---- */

static bool next_number(char **rest, double *ret)
{
    char *word = strsep(rest, " ");
    char *end = word;
    *ret = word == NULL ? 0 : strtod(word, &end);
    return word != NULL && end != word && *end == '\0' && *ret >= 0;
}

static bool set_option(struct link *link, const char *name, char **rest)
{
    double value = 0;
    double second = 0;
    bool good = next_number(rest, &value);
    if (strcmp(name, "delay") == 0) {
        link->delay_ms = value;
    } else if (strcmp(name, "jitter") == 0) {
        link->jitter_ms = value;
    } else if (strcmp(name, "loss") == 0) {
        link->loss = value;
    } else if (strcmp(name, "dup") == 0) {
        link->dup = value;
    } else if (strcmp(name, "late") == 0) {
        good = good && next_number(rest, &second);
        link->late = value;
        link->late_ms = second;
    } else if (strcmp(name, "cut") == 0) {
        link->cut = value > 0;
    } else {
        return false;
    }
    return good;
}

static struct link *link_named(struct relay *self, char **rest)
{
    double from = 0;
    double to = 0;
    bool good = next_number(rest, &from) && next_number(rest, &to) && from >= 1 && to >= 1 &&
                from <= self->port_count && to <= self->port_count;
    return good ? &self->links[(int)from - 1][(int)to - 1] : NULL;
}

static bool set_link(struct link *link, char **rest)
{
    struct link wanted = *link;
    wanted.delay_ms = wanted.jitter_ms = wanted.loss = wanted.dup = 0;
    wanted.late = wanted.late_ms = 0;
    wanted.cut = false;
    for (char *name = strsep(rest, " "); name != NULL; name = strsep(rest, " ")) {
        if (!set_option(&wanted, name, rest)) {
            return false;
        }
    }
    *link = wanted;
    return true;
}

static void command(struct relay *self, char *line)
{
    char *rest = line;
    char *verb = strsep(&rest, " ");
    struct link *link = link_named(self, &rest);
    if (link != NULL && strcmp(verb, "link") == 0 && set_link(link, &rest)) {
        (void)printf("ok\n");
    } else if (link != NULL && strcmp(verb, "count") == 0) {
        (void)printf("ok %llu %llu %llu %llu\n", (unsigned long long)link->seen,
                     (unsigned long long)link->lost, (unsigned long long)link->doubled,
                     (unsigned long long)link->delayed);
    } else {
        (void)printf("bad %s\n", line);
    }
    (void)fflush(stdout);
}

/* False at the end of standard input. */
static bool read_commands(struct relay *self)
{
    static char text[4096];
    static size_t held;
    ssize_t got = read(STDIN_FILENO, text + held, sizeof text - 1 - held);
    if (got <= 0) {
        return got < 0 && errno == EINTR;
    }
    held += (size_t)got;
    text[held] = '\0';
    char *line = text;
    for (char *end = strchr(line, '\n'); end != NULL; end = strchr(line, '\n')) {
        *end = '\0';
        command(self, line);
        line = end + 1;
    }
    held -= (size_t)(line - text);
    memmove(text, line, held);
    return held < sizeof text - 1;
}

/* ---- life ---- */

static bool open_port(struct port *port, const char *name)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)if_nametoindex(name)};
    int one = 1;
    int size = SOCKET_BYTES;
    port->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    bool good = address.sll_ifindex != 0 && port->fd >= 0 &&
                setsockopt(port->fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) == 0 &&
                setsockopt(port->fd, SOL_PACKET, IGNORE_OUTGOING, &one, sizeof one) == 0 &&
                bind(port->fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (!good) {
        (void)fprintf(stderr, "link_relay: port %s: %s\n", name, strerrordesc_np(errno));
        return false;
    }
    (void)setsockopt(port->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    (void)setsockopt(port->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    return true;
}

static void run(struct relay *self)
{
    struct pollfd polled[PORTS_MAX + 2];
    for (bool alive = true; alive;) {
        for (int i = 0; i < self->port_count; i++) {
            polled[i] = (struct pollfd){.fd = self->ports[i].fd, .events = POLLIN};
        }
        polled[self->port_count] = (struct pollfd){.fd = self->timer, .events = POLLIN};
        polled[self->port_count + 1] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        arm(self);
        (void)poll(polled, (nfds_t)self->port_count + 2, -1);
        for (int i = 0; i < self->port_count; i++) {
            if (polled[i].revents != 0) {
                receive(self, i);
            }
        }
        send_due(self);
        if (polled[self->port_count + 1].revents != 0) {
            alive = read_commands(self);
        }
    }
}

int main(int argc, char **argv)
{
    static struct relay self;
    self.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (argc < 4 || argc - 2 > PORTS_MAX || self.timer < 0) {
        (void)fprintf(stderr, "usage: link_relay SEED PORT PORT...\n");
        return 2;
    }
    self.random = strtoull(argv[1], NULL, 10) | UINT64_C(1) << 63;
    for (int i = 2; i < argc; i++) {
        if (!open_port(&self.ports[self.port_count++], argv[i])) {
            return 1;
        }
    }
    (void)printf("ok\n");
    (void)fflush(stdout);
    run(&self);
    while (self.waiting > 0) {
        free(pop(&self).bytes);
    }
    return 0;
}
