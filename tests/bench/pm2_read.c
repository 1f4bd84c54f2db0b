/* Reads the list of a real PM2 as our manager does: over the daemon's socket, with the manager's
 * framing, request table and reader of entries.
 *
 *     bench_pm2_read HOME COUNT
 *
 * One connection, one request after the other (getMonitorData, which only reads); each until the
 * entries are known. Prints how many entries there were. */
#include "managers/pm2/daemon/amp.h"
#include "managers/pm2/daemon/request.h"
#include "managers/pm2/watch/entry.h"
#include "node/base/clock.h"
#include "tests/bench/timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FRAME_BYTES_MAX (16 << 20)

static int dial(const char *home)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/rpc.sock", home);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && length > 0 && (size_t)length < sizeof address.sun_path &&
        connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        return fd;
    }
    perror("cannot connect to PM2");
    if (fd >= 0) {
        (void)close(fd);
    }
    return -1;
}

static bool ask(int fd, struct buffer *out, struct err *err)
{
    struct request request = {.method = REQUEST_LIST};
    buffer_clear(out);
    return request_put(&request, "bench", out, err) == 0 &&
           send(fd, out->data, out->length, MSG_NOSIGNAL) == (ssize_t)out->length;
}

static bool read_frame(int fd, struct amp_parser *parser, struct err *err)
{
    static uint8_t bytes[65536];
    bool complete = false;
    while (!complete) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        size_t used;
        if (got <= 0 || amp_parser_feed(parser, bytes, (size_t)got, &used, &complete, err) != 0) {
            return false;
        }
    }
    return true;
}

/* The frame's first argument is the answer. */
static bool read_entries(const struct amp_parser *parser, struct entries *ret, struct err *err)
{
    struct amp_arg arg;
    if (!amp_parser_arg(parser, 0, &arg)) {
        return false;
    }
    json_t *reply = json_loadb(arg.data, arg.length, JSON_DECODE_ANY, NULL);
    json_t *result = NULL;
    bool good = reply != NULL && request_read_reply(reply, &result, err) == 0 &&
                entries_read(result, ret, err) == 0;
    json_decref(result);
    json_decref(reply);
    return good;
}

static bool measure(int fd, size_t count)
{
    static struct entries entries;
    struct err err = {0};
    struct buffer out;
    struct amp_parser parser;
    buffer_init(&out, REQUEST_BYTES_MAX);
    amp_parser_init(&parser, FRAME_BYTES_MAX);
    int64_t *durations_ns = timing_create(count);
    int64_t began_ns = clock_boot_ns();
    size_t done = 0;
    while (done < count) {
        int64_t at_ns = clock_boot_ns();
        if (!ask(fd, &out, &err) || !read_frame(fd, &parser, &err) ||
            !read_entries(&parser, &entries, &err)) {
            (void)fprintf(stderr, "PM2 does not answer as it should: %s\n", err.msg);
            break;
        }
        durations_ns[done++] = clock_boot_ns() - at_ns;
    }
    if (done == count) {
        timing_print("reads", durations_ns, count, clock_boot_ns() - began_ns);
        (void)printf("entries count=%zu\n", entries.count);
    }
    free(durations_ns);
    amp_parser_deinit(&parser);
    buffer_deinit(&out);
    return done == count;
}

int main(int argc, char **argv)
{
    size_t count = argc == 3 ? timing_read_count(argv[2]) : 0;
    if (count == 0) {
        (void)fprintf(stderr, "usage: bench_pm2_read HOME COUNT\n");
        return 2;
    }
    int fd = dial(argv[1]);
    if (fd < 0) {
        return 1;
    }
    bool good = measure(fd, count);
    (void)close(fd);
    return good ? 0 : 1;
}
