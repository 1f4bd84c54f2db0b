#include "node/http/http_internal.h"

#include "node/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 64
#define CONNECTION_MEMORY_BYTES (32u << 10) /* headers past it: 431 */
#define PAGE_BYTES_MAX (1u << 20)

static const char type_json[] = "application/json; charset=utf-8";
static const char type_text[] = "text/plain; charset=utf-8";

/* ---- responses ---- */

static void add_headers(struct MHD_Response *response, const char *type)
{
    static const char *const headers[][2] = {
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
         "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    };
    (void)MHD_add_response_header(response, "Content-Type", type);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        (void)MHD_add_response_header(response, headers[i][0], headers[i][1]);
    }
}

static enum MHD_Result queue(struct MHD_Connection *connection, unsigned status, const char *type,
                             struct MHD_Response *response)
{
    if (response == NULL) {
        return MHD_NO; /* out of memory: the connection ends */
    }
    add_headers(response, type);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static struct MHD_Response *copy_of(const char *text, size_t length)
{
    union {
        const char *in;
        void *out;
    } cast = {.in = text}; /* the library takes it writable, and copies it */
    return MHD_create_response_from_buffer(length, cast.out, MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              const char *text, size_t length)
{
    /* A copy, so that no snapshot is held by a slow reader. */
    return queue(connection, status, type, copy_of(text, length));
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
                                   const char *text)
{
    return answer(connection, status, type_text, text, strlen(text));
}

static enum MHD_Result refuse(struct http *self, struct MHD_Connection *connection, unsigned status,
                              const char *text)
{
    (void)atomic_fetch_add(&self->refused, 1);
    return answer_text(connection, status, text);
}

/* ---- pages ---- */

static enum MHD_Result serve_live(struct http *self, struct MHD_Connection *connection)
{
    int64_t age_ms = clock_boot_ms() - atomic_load(&self->heartbeat_ms);
    if (age_ms <= HTTP_LIVE_WITHIN_MS) {
        return answer_text(connection, MHD_HTTP_OK, "ok\n");
    }
    char text[96];
    (void)snprintf(text, sizeof text, "the loop has not moved for %" PRId64 " ms\n", age_ms);
    return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

static enum MHD_Result serve_ready(struct http *self, struct MHD_Connection *connection)
{
    struct http_snapshot *snapshot = http_current(self);
    char text[REASON_SIZE + 2] = "starting\n";
    bool ready = snapshot != NULL && snapshot->ready;
    if (snapshot != NULL) {
        (void)snprintf(text, sizeof text, "%s\n", ready ? "ok" : snapshot->reason);
    }
    http_snapshot_release(snapshot);
    return answer_text(connection, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

/* The right to act ends on the clock, whether or not anybody has published since. */
static enum MHD_Result serve_leader(struct http *self, struct MHD_Connection *connection)
{
    struct http_snapshot *snapshot = http_current(self);
    const char *leader = snapshot == NULL || snapshot->leader[0] == '\0' ? NULL : snapshot->leader;
    uint64_t term = snapshot == NULL ? 0 : snapshot->term;
    int64_t until_ms = snapshot == NULL ? 0 : snapshot->may_act_until_ms;
    uint64_t right_term = term;
    if (self->may_act != NULL) {
        until_ms = self->may_act(self->context, &right_term);
    }
    bool acting = clock_boot_ms() < until_ms;
    if (acting && self->may_act != NULL) {
        /* The snapshot may be older than the right, and the term is a fencing token. */
        leader = self->node;
        term = right_term;
    }
    json_t *document = json_object();
    (void)json_object_set_new(document, "acting", json_boolean(acting));
    (void)json_object_set_new(document, "leader",
                              leader == NULL ? json_null() : json_string(leader));
    (void)json_object_set_new(document, "term",
                              term == 0 ? json_null() : json_integer((json_int_t)term));
    http_snapshot_release(snapshot);
    char *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    enum MHD_Result result =
        text == NULL ? MHD_NO
                     : answer(connection, acting ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                              type_json, text, strlen(text));
    free(text);
    return result;
}

static enum MHD_Result serve_metrics(struct http *self, struct MHD_Connection *connection)
{
    struct http_snapshot *snapshot = http_current(self);
    enum MHD_Result result;
    if (snapshot == NULL || snapshot->metrics == NULL) {
        result = answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "starting\n");
    } else {
        result = answer(connection, MHD_HTTP_OK,
                        "application/openmetrics-text; version=1.0.0; charset=utf-8",
                        snapshot->metrics, strlen(snapshot->metrics));
    }
    http_snapshot_release(snapshot);
    return result;
}

static enum MHD_Result serve_page(struct http *self, struct MHD_Connection *connection)
{
    struct http_snapshot *snapshot = http_current(self);
    const struct document *status = http_snapshot_find(snapshot, "status");
    struct buffer page;
    buffer_init(&page, PAGE_BYTES_MAX);
    enum MHD_Result result = MHD_NO;
    if (http_page(status == NULL ? NULL : status->text, &page)) {
        result = answer(connection, MHD_HTTP_OK, "text/html; charset=utf-8",
                        (const char *)page.data, page.length);
    }
    buffer_deinit(&page);
    http_snapshot_release(snapshot);
    return result;
}

static enum MHD_Result serve_script(struct http *self, struct MHD_Connection *connection)
{
    (void)self;
    return answer(connection, MHD_HTTP_OK, "text/javascript; charset=utf-8", http_asset_status_js,
                  http_asset_status_js_length);
}

static enum MHD_Result serve_style(struct http *self, struct MHD_Connection *connection)
{
    (void)self;
    return answer(connection, MHD_HTTP_OK, "text/css; charset=utf-8", http_asset_status_css,
                  http_asset_status_css_length);
}

static enum MHD_Result serve_events(struct http *self, struct MHD_Connection *connection)
{
    const char *last_id = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Last-Event-ID");
    struct MHD_Response *response = http_events_open(self, connection, last_id);
    if (response == NULL) {
        return refuse(self, connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too many listeners\n");
    }
    return queue(connection, MHD_HTTP_OK, "text/event-stream; charset=utf-8", response);
}

static enum MHD_Result serve_document(struct http *self, struct MHD_Connection *connection,
                                      const char *path)
{
    struct http_snapshot *snapshot = http_current(self);
    const struct document *document = http_snapshot_find(snapshot, path);
    enum MHD_Result result;
    if (document != NULL) {
        result = answer(connection, MHD_HTTP_OK, type_json, document->text, document->length);
    } else if (snapshot == NULL) {
        result = answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "starting\n");
    } else {
        result = refuse(self, connection, MHD_HTTP_NOT_FOUND, "no such document\n");
    }
    http_snapshot_release(snapshot);
    return result;
}

static enum MHD_Result route(struct http *self, struct MHD_Connection *connection, const char *url)
{
    static const struct {
        const char *path;
        enum MHD_Result (*serve)(struct http *self, struct MHD_Connection *connection);
    } rows[] = {
        {"/", serve_page},
        {"/livez", serve_live},
        {"/healthz", serve_live},
        {"/readyz", serve_ready},
        {"/leader", serve_leader},
        {"/metrics", serve_metrics},
        {"/status.js", serve_script},
        {"/status.css", serve_style},
        {"/api/v1/events", serve_events},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].path, url) == 0) {
            return rows[i].serve(self, connection);
        }
    }
    static const char api[] = "/api/v1/";
    if (strncmp(url, api, sizeof api - 1) == 0) {
        return serve_document(self, connection, url + sizeof api - 1);
    }
    return refuse(self, connection, MHD_HTTP_NOT_FOUND, "not found\n");
}

static enum MHD_Result refuse_method(struct http *self, struct MHD_Connection *connection)
{
    static const char text[] = "only GET and HEAD\n";
    (void)atomic_fetch_add(&self->refused, 1);
    struct MHD_Response *response = copy_of(text, sizeof text - 1);
    if (response != NULL) {
        (void)MHD_add_response_header(response, "Allow", "GET, HEAD");
    }
    return queue(connection, MHD_HTTP_METHOD_NOT_ALLOWED, type_text, response);
}

/* Each connection has a flag: did it ever make a whole request? One that did not was refused by the
 * library, ran out of time, or went away. */
static void on_connection(void *context, struct MHD_Connection *connection, void **asked,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http *self = context;
    (void)connection;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *asked = calloc(1, sizeof(bool));
        return;
    }
    if (*asked != NULL && !*(bool *)*asked) {
        (void)atomic_fetch_add(&self->refused, 1);
    }
    free(*asked);
    *asked = NULL;
}

static void note_request(struct http *self, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info != NULL && info->socket_context != NULL) {
        *(bool *)info->socket_context = true;
    }
    (void)atomic_fetch_add(&self->requests, 1);
}

/* The library calls it for the headers and again when the (empty) body is in. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_length, void **state)
{
    static int seen;
    struct http *self = context;
    (void)version;
    (void)upload;
    bool get = strcmp(method, MHD_HTTP_METHOD_GET) == 0;
    if (!get && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        if (*state == NULL) {
            *state = &seen;
            note_request(self, connection);
            return refuse_method(self, connection);
        }
        *upload_length = 0;
        return MHD_YES;
    }
    if (*state == NULL) {
        *state = &seen;
        note_request(self, connection);
        return MHD_YES;
    }
    if (*upload_length != 0) {
        *upload_length = 0; /* a body of a GET has no meaning */
        return MHD_YES;
    }
    if (!get && strcmp(url, "/api/v1/events") == 0) {
        return answer(connection, MHD_HTTP_OK, "text/event-stream; charset=utf-8", "", 0);
    }
    return route(self, connection, url);
}

/* ---- listening ---- */

static int make_address(const char *address, uint16_t port, struct sockaddr_storage *ret,
                        socklen_t *ret_length, struct err *err)
{
    struct sockaddr_in *four = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
    const char *text = address == NULL ? "127.0.0.1" : address;
    *ret = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        *ret_length = sizeof *four;
        return 0;
    }
    if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        *ret_length = sizeof *six;
        return 0;
    }
    return err_set(err, ERR_INVALID, "dashboard: \"%s\" is no IPv4 or IPv6 address", text);
}

static uint16_t bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } address = {0};
    socklen_t length = sizeof address;
    if (getsockname(fd, &address.any, &length) != 0) {
        return 0;
    }
    return ntohs(address.any.sa_family == AF_INET ? address.four.sin_port : address.six.sin6_port);
}

/* The socket is made here and not in the library, which cannot say why it fails. */
static int open_listener(const char *address, uint16_t port, int *ret_fd, struct err *err)
{
    struct sockaddr_storage where;
    socklen_t length = 0;
    int one = 1;
    int rc = make_address(address, port, &where, &length, err);
    if (rc != 0) {
        return rc;
    }
    int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_set_errno(err, ERR_IO, "dashboard socket");
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)&where, length) != 0 || listen(fd, BACKLOG) != 0) {
        rc = err_set_errno(err, errno == EADDRINUSE ? ERR_BUSY : ERR_IO, "dashboard port %u on %s",
                           (unsigned)port, address == NULL ? "127.0.0.1" : address);
        (void)close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

int http_listen(struct http *self, const char *address, uint16_t port, struct err *err)
{
    int fd = -1;
    if (self->daemon_count >= HTTP_LISTENERS_MAX) {
        return err_set(err, ERR_FULL, "dashboard: more than %d addresses", HTTP_LISTENERS_MAX);
    }
    int rc = open_listener(address, port, &fd, err);
    if (rc != 0) {
        return rc;
    }
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        on_request, self, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        self->connections_max, MHD_OPTION_CONNECTION_TIMEOUT, self->timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, self, MHD_OPTION_END);
    if (daemon == NULL) {
        (void)close(fd);
        return err_set(err, ERR_IO, "dashboard port %u: the server does not start", (unsigned)port);
    }
    self->ports[self->daemon_count] = bound_port(fd);
    self->daemons[self->daemon_count++] = daemon;
    return 0;
}

int http_create(const struct http_config *config, struct http **ret, struct err *err)
{
    struct http *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    self->connections_max = config->connections_max > 0 ? config->connections_max : 128;
    self->timeout_s = config->timeout_s > 0 ? config->timeout_s : 15;
    self->node = config->node;
    self->may_act = config->may_act;
    self->context = config->context;
    (void)pthread_mutex_init(&self->mutex, NULL);
    atomic_store(&self->heartbeat_ms, clock_boot_ms());
    self->asked_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = http_events_init(self, config->event_clients_max > 0 ? config->event_clients_max : 32);
    rc = rc != 0 || self->asked_fd < 0 ? err_set(err, ERR_NOMEM, "out of memory")
                                       : http_listen(self, config->address, config->port, err);
    if (rc != 0) {
        http_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

void http_destroy(struct http **self_p)
{
    struct http *self = self_p == NULL ? NULL : *self_p;
    if (self == NULL) {
        return;
    }
    http_events_stop(self);
    for (size_t i = 0; i < self->daemon_count; i++) {
        MHD_stop_daemon(self->daemons[i]);
    }
    http_events_deinit(self);
    http_snapshot_release(self->current);
    (void)pthread_mutex_destroy(&self->mutex);
    if (self->asked_fd >= 0) {
        (void)close(self->asked_fd);
    }
    free(self);
    *self_p = NULL;
}

uint16_t http_port(const struct http *self)
{
    return self->ports[0];
}

void http_heartbeat(struct http *self, int64_t now_ms)
{
    atomic_store(&self->heartbeat_ms, now_ms);
    http_events_tick(self, now_ms);
}

void http_counters(struct http *self, struct http_counters *ret)
{
    *ret = (struct http_counters){.requests = atomic_load(&self->requests),
                                  .refused = atomic_load(&self->refused),
                                  .events_dropped = atomic_load(&self->events_dropped)};
    (void)pthread_mutex_lock(&self->events.mutex);
    ret->event_clients = self->events.client_count;
    (void)pthread_mutex_unlock(&self->events.mutex);
}
