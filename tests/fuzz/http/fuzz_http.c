/* Requests to the dashboard over a real connection on loopback: path, Last-Event-ID, methods and
 * bodies are ours to understand, what is before that is libmicrohttpd's. The first byte chooses:
 * the bytes as they come, the rest as a path, or as the value of Last-Event-ID. Whatever is
 * answered is HTTP, and the server lives on. */
#include "node/base/invariant.h"
#include "node/http/http.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 60000 /* for the answer to a good request */
#define QUIET_MS 5        /* what is no request may be waited for until the server's timeout */
#define PROBE_EVERY 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http *server;

static void end_server(void)
{
    http_destroy(&server);
}

static void begin_server(void)
{
    struct http_config config = {.address = "127.0.0.1", .node = "n1", .timeout_s = 1};
    int rc = http_create(&config, &server, NULL);
    invariant(rc == 0);
    struct http_snapshot *snapshot = http_snapshot_create();
    invariant(snapshot != NULL);
    json_t *status =
        json_pack("{s:s, s:{s:i}}", "schema", "understudy.status/1", "data", "term", 4);
    rc = http_snapshot_set_document(snapshot, "status", status, NULL);
    invariant(rc == 0);
    http_publish(server, &snapshot);
    for (int i = 0; i < 300; i++) {
        http_event(server, status);
    }
    json_decref(status);
    (void)atexit(end_server);
}

static int dial(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(http_port(server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = connect(fd, (const struct sockaddr *)(const void *)&address, sizeof address);
    invariant(fd >= 0 && rc == 0);
    return fd;
}

/* Reads to the end, to the first bytes of an endless answer, or until it is quiet. */
static size_t read_answer(int fd, int patience_ms, char *ret, size_t size)
{
    size_t length = 0;
    for (;;) {
        struct pollfd item = {.fd = fd, .events = POLLIN};
        if (poll(&item, 1, length == 0 ? patience_ms : QUIET_MS) != 1) {
            break;
        }
        char rest[4096];
        bool keep = length + 1 < size;
        ssize_t got =
            keep ? recv(fd, ret + length, size - 1 - length, 0) : recv(fd, rest, sizeof rest, 0);
        if (got <= 0) {
            break;
        }
        length += keep ? (size_t)got : 0;
        ret[length] = '\0';
        if (strstr(ret, "text/event-stream") != NULL) {
            break;
        }
    }
    ret[length] = '\0';
    return length;
}

static size_t make_request(const uint8_t *data, size_t size, char *ret, size_t room)
{
    int length = 0;
    size_t rest = size - 1 < 3000 ? size - 1 : 3000;
    switch (data[0] % 3) {
    case 0:
        memcpy(ret, data + 1, rest);
        return rest;
    case 1:
        length = snprintf(ret, room, "GET /%.*s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                          (int)rest, (const char *)data + 1);
        break;
    default:
        length = snprintf(ret, room,
                          "GET /api/v1/events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: %.*s\r\n\r\n",
                          (int)rest, (const char *)data + 1);
        break;
    }
    return (size_t)length;
}

static void ask(const char *request, size_t length, int patience_ms, char *ret, size_t size)
{
    int fd = dial();
    (void)send(fd, request, length, MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    size_t got = read_answer(fd, patience_ms, ret, size);
    invariant(got == 0 || strncmp(ret, "HTTP/1.", 7) == 0);
    struct linger now = {.l_onoff = 1}; /* no port stays behind in TIME_WAIT */
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(fd);
}

static void check_alive(void)
{
    static const char probe[] = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    char answer[1024];
    ask(probe, sizeof probe - 1, PATIENCE_MS, answer, sizeof answer);
    invariant(strncmp(answer, "HTTP/1.1 503", 12) == 0); /* no snapshot has metrics here */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char request[4096];
    static char answer[8192];
    static unsigned count;
    if (size == 0) {
        return 0;
    }
    if (server == NULL) {
        begin_server();
    }
    size_t length = make_request(data, size, request, sizeof request);
    ask(request, length, QUIET_MS, answer, sizeof answer);
    if (++count % PROBE_EVERY == 0) {
        check_alive();
    }
    return 0;
}
