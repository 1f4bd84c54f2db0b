#include "managers/pm2/daemon/god.h"

#include "managers/pm2/daemon/link.h"
#include "managers/pm2/daemon/sieve.h"
#include "managers/pm2/watch/process.h"
#include "node/base/clock.h"
#include "node/base/rng.h"

#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define RPC_FRAME_BOUND (32 << 20) /* the list of some thousand processes */
#define TRIM_MS 10000
#define BUS_FRAME_BOUND (256 << 10) /* an event is 3 KB; a larger one is a log chunk */

struct call {
    uint64_t serial; /* 0: free */
    enum request_method method;
    int64_t until_ms;
    god_reply_fn *reply;
    void *context;
};

struct god {
    struct runtime *runtime;
    char home[MANAGER_PATH_SIZE];
    const struct god_callbacks *callbacks;
    void *context;
    struct link *rpc;
    struct link *bus;
    enum god_state state;
    char why[REASON_SIZE];
    char version[NAME_SIZE];
    struct process daemon;
    struct call calls[GOD_REQUESTS_MAX];
    uint64_t serial;
    int timer;
    int64_t next_connect_ms;
    int64_t next_ping_ms;
    unsigned pings_missed;
    bool version_asked;
    pid_t other;
    int64_t heard_since_ms;
    bool said_goodbye;
    uint64_t oversized;
    uint64_t seed;
    uint64_t digest; /* of `list` */
    int64_t trimmed_ms;
    json_t *list; /* as it came last; NULL: none did in this connection */
};

const char *god_state_name(enum god_state state)
{
    switch (state) {
    case GOD_UNKNOWN:
        return "unknown";
    case GOD_ABSENT:
        return "absent";
    case GOD_DEAD:
        return "dead";
    case GOD_HUNG:
        return "hung";
    case GOD_UP:
        return "up";
    }
    return "?";
}

enum god_state god_state(const struct god *self)
{
    return self->state;
}

const char *god_home(const struct god *self)
{
    return self->home;
}

const char *god_version(const struct god *self)
{
    return self->version;
}

pid_t god_pid(const struct god *self)
{
    return (pid_t)self->daemon.pid;
}

uint64_t god_life(const struct god *self)
{
    bool known = self->state == GOD_UP && self->daemon.pidfd >= 0;
    return known ? self->daemon.start_ticks * UINT64_C(0x100000001b3) + (uint64_t)self->daemon.pid
                 : 0;
}

const char *god_why(const struct god *self)
{
    return self->state == GOD_UP ? "" : self->why;
}

pid_t god_other(const struct god *self)
{
    return self->other;
}

int64_t god_heard_since_ms(const struct god *self)
{
    return self->heard_since_ms;
}

bool god_said_goodbye(const struct god *self)
{
    return self->said_goodbye;
}

uint64_t god_oversized(const struct god *self)
{
    return self->oversized;
}

static void set_state(struct god *self, enum god_state state, const char *why)
{
    (void)snprintf(self->why, sizeof self->why, "%.*s", (int)sizeof self->why - 1, why);
    if (self->state != state) {
        self->state = state;
        self->callbacks->state(self->context, self, state, self->why);
    }
}

/* ---- requests ---- */

static void fail_calls(struct god *self, int rc, const char *why)
{
    /* The replies may send new ones; those are not ours to fail. */
    uint64_t last = self->serial;
    for (size_t i = 0; i < GOD_REQUESTS_MAX; i++) {
        struct call call = self->calls[i];
        if (call.serial != 0 && call.serial <= last) {
            self->calls[i].serial = 0;
            call.reply(call.context, rc, NULL, why);
        }
    }
}

static void forget_list(struct god *self)
{
    json_decref(self->list);
    self->list = NULL;
}

static void lose(struct god *self, enum god_state state, int rc, const char *why)
{
    link_close(self->rpc);
    link_close(self->bus);
    process_drop(&self->daemon);
    forget_list(self);
    self->version[0] = '\0';
    self->version_asked = false;
    self->pings_missed = 0;
    self->heard_since_ms = 0;
    self->next_connect_ms = clock_boot_ms() + GOD_RECONNECT_MS;
    set_state(self, state, why);
    fail_calls(self, rc, why);
}

/* Sends whatever the state is: the first ping decides the state. */
static int send_call(struct god *self, const struct request *request, god_reply_fn *reply,
                     void *context, struct err *err)
{
    struct call *call = NULL;
    for (size_t i = 0; i < GOD_REQUESTS_MAX && call == NULL; i++) {
        call = self->calls[i].serial == 0 ? &self->calls[i] : NULL;
    }
    if (call == NULL) {
        return err_set(err, ERR_FULL, "%d requests wait for PM2", GOD_REQUESTS_MAX);
    }
    char id[REQUEST_ID_SIZE];
    uint64_t serial = self->serial + 1;
    frame_id(serial, id);
    struct buffer frame;
    buffer_init(&frame, REQUEST_BYTES_MAX + 1024);
    int rc = request_put(request, id, &frame, err);
    struct buffer *out = link_out(self->rpc);
    /* Whole or not at all: half a frame would be poison for the daemon. */
    if (rc == 0 && out->length + frame.length > out->bound) {
        rc = err_set(err, ERR_FULL, "the PM2 daemon does not read");
    }
    if (rc == 0) {
        rc = buffer_append(out, frame.data, frame.length);
    }
    buffer_deinit(&frame);
    if (rc != 0) {
        return rc;
    }
    self->serial = serial;
    int64_t timeout_ms =
        request->timeout_ms > 0 ? request->timeout_ms : request_timeout_ms(request->method);
    *call = (struct call){.serial = serial,
                          .method = request->method,
                          .until_ms = clock_boot_ms() + timeout_ms,
                          .reply = reply,
                          .context = context};
    link_flush(self->rpc);
    return 0;
}

int god_call(struct god *self, const struct request *request, god_reply_fn *reply, void *context,
             struct err *err)
{
    if (self->state != GOD_UP) {
        return err_set(err, ERR_CLOSED, "PM2 of %.100s is %s", self->home,
                       god_state_name(self->state));
    }
    return send_call(self, request, reply, context, err);
}

static struct call *find_call(struct god *self, uint64_t serial)
{
    for (size_t i = 0; i < GOD_REQUESTS_MAX; i++) {
        if (self->calls[i].serial == serial) {
            return &self->calls[i];
        }
    }
    return NULL;
}

/* The same one again when nothing has changed: reading it anew would be the most of our work. */
static int read_list(struct god *self, const struct amp_parser *frame, json_t **ret, bool *ret_anew,
                     struct err *err)
{
    struct amp_arg body = {0};
    (void)amp_parser_arg(frame, 0, &body);
    uint64_t digest = sieve_digest(body.data, body.length, self->seed);
    if (self->list != NULL && digest == self->digest) {
        *ret = json_incref(self->list);
        return 0;
    }
    forget_list(self); /* there need not be two of them */
    *ret_anew = true;
    int rc = frame_read_result(frame, ret, err);
    if (rc == 0) {
        self->list = json_incref(*ret);
        self->digest = digest;
    }
    return rc;
}

/* What reading a list leaves is scattered over the heap, and glibc gives back its end alone. */
static void give_memory_back(struct god *self)
{
    int64_t now_ms = clock_boot_ms();
    if (now_ms - self->trimmed_ms >= TRIM_MS) {
        self->trimmed_ms = now_ms;
        (void)malloc_trim(0);
    }
}

static void on_rpc_frame(void *context, struct link *link, const struct amp_parser *frame)
{
    (void)link;
    struct god *self = context;
    uint64_t serial;
    struct call *found = frame_read_serial(frame, &serial) ? find_call(self, serial) : NULL;
    if (found == NULL) {
        return;
    }
    struct call call = *found;
    found->serial = 0;
    struct err err = {0};
    json_t *result = NULL;
    bool anew = false;
    int rc = call.method == REQUEST_LIST ? read_list(self, frame, &result, &anew, &err)
                                         : frame_read_result(frame, &result, &err);
    if (rc == ERR_PROTO) {
        (void)err_wrap(&err, "PM2 answers %s", request_name(call.method));
    }
    call.reply(call.context, rc, result, err.msg);
    json_decref(result);
    if (anew) {
        give_memory_back(self);
    }
}

/* ---- bus ---- */

static void take_event(struct god *self, const struct amp_parser *frame)
{
    struct frame_event event;
    if (frame_read_event(frame, &event)) {
        self->callbacks->event(self->context, self, &event);
        json_decref(event.object);
    }
}

static void on_bus_frame(void *context, struct link *link, const struct amp_parser *frame)
{
    (void)link;
    struct god *self = context;
    self->oversized += amp_parser_argc(frame) == 0;
    switch (frame_kind(frame)) {
    case FRAME_EVENT:
        take_event(self, frame);
        break;
    case FRAME_LOG_OUT:
    case FRAME_LOG_ERR:
        self->callbacks->log(self->context, self, frame);
        break;
    case FRAME_KILL:
        self->said_goodbye = true;
        break;
    case FRAME_OTHER:
        break;
    }
}

/* ---- life of the connection ---- */

static void on_daemon_end(void *context, int fd, short revents)
{
    (void)fd;
    (void)revents;
    struct god *self = context;
    runtime_unwatch(self->runtime, self->daemon.pidfd);
    lose(self, GOD_DEAD, ERR_CLOSED, "the PM2 daemon ended");
}

static void on_closed(void *context, struct link *link, const char *why)
{
    struct god *self = context;
    (void)link;
    char text[REASON_SIZE];
    (void)snprintf(text, sizeof text, "the PM2 daemon closed the connection: %.80s", why);
    if (self->daemon.pidfd >= 0) {
        runtime_unwatch(self->runtime, self->daemon.pidfd);
    }
    lose(self, GOD_DEAD, ERR_CLOSED, text);
}

static const struct link_callbacks rpc_callbacks = {.frame = on_rpc_frame, .closed = on_closed};
static const struct link_callbacks bus_callbacks = {.frame = on_bus_frame, .closed = on_closed};

static void on_version(void *context, int rc, const json_t *result, const char *why)
{
    (void)why;
    struct god *self = context;
    const char *text = rc == 0 ? json_string_value(result) : NULL;
    if (text != NULL) {
        (void)snprintf(self->version, sizeof self->version, "%s", text);
    }
}

static void on_pong(void *context, int rc, const json_t *result, const char *why)
{
    (void)why;
    struct god *self = context;
    if (rc != 0 || json_object_get(result, "msg") == NULL) {
        return; /* the connection's end, or the time limit, has its own way */
    }
    self->pings_missed = 0;
    if (!self->version_asked) {
        struct request request = {.method = REQUEST_VERSION};
        self->version_asked = send_call(self, &request, on_version, self, NULL) == 0;
    }
    if (self->heard_since_ms == 0) {
        self->heard_since_ms = clock_boot_ms(); /* it has accepted the bus, the older connection */
    }
    set_state(self, GOD_UP, "");
}

static void ping(struct god *self, int64_t now_ms)
{
    struct request request = {.method = REQUEST_PING};
    self->next_ping_ms = now_ms + GOD_PING_MS;
    (void)send_call(self, &request, on_pong, self, NULL);
}

static enum god_state state_of_refusal(int rc)
{
    switch (rc) {
    case ERR_NOTFOUND:
        return GOD_ABSENT;
    case ERR_CLOSED:
        return GOD_DEAD;
    case ERR_BUSY:
        return GOD_HUNG;
    default:
        return GOD_UNKNOWN; /* no right to connect: what runs there is not for us to say */
    }
}

static void try_connect(struct god *self, int64_t now_ms)
{
    char path[MANAGER_PATH_SIZE + 16];
    struct err err = {0};
    self->next_connect_ms = now_ms + GOD_RECONNECT_MS;
    (void)snprintf(path, sizeof path, "%s/pub.sock", self->home);
    int rc = link_connect(self->bus, path, &err);
    if (rc == 0) {
        (void)snprintf(path, sizeof path, "%s/rpc.sock", self->home);
        rc = link_connect(self->rpc, path, &err);
    }
    if (rc != 0) {
        link_close(self->bus);
        set_state(self, state_of_refusal(rc), err.msg);
        return;
    }
    pid_t pid = link_peer(self->rpc);
    pid_t bus_pid = link_peer(self->bus);
    self->other = pid != bus_pid ? bus_pid : 0;
    self->said_goodbye = false;
    if (self->other != 0) {
        runtime_event(self->runtime, MANAGER_ERROR, "pm2.doubled", NULL, "two PM2 daemons share %s",
                      self->home);
    }
    if (process_hold(&self->daemon, pid)) {
        (void)runtime_watch(self->runtime, self->daemon.pidfd, POLLIN, on_daemon_end, self);
    }
    self->pings_missed = 0;
    ping(self, now_ms);
}

/* A ping may be missed; anything else that runs out of time has an unknown outcome. */
static void check_calls(struct god *self, int64_t now_ms)
{
    for (size_t i = 0; i < GOD_REQUESTS_MAX; i++) {
        struct call call = self->calls[i];
        if (call.serial == 0 || now_ms < call.until_ms) {
            continue;
        }
        self->calls[i].serial = 0;
        char why[REASON_SIZE];
        (void)snprintf(why, sizeof why, "no answer to %s in time", request_name(call.method));
        call.reply(call.context, ERR_TIMEOUT, NULL, why);
        self->pings_missed++;
        if (call.method != REQUEST_PING || self->pings_missed >= GOD_PINGS_MISSED_MAX) {
            if (self->daemon.pidfd >= 0) {
                runtime_unwatch(self->runtime, self->daemon.pidfd);
            }
            lose(self, GOD_HUNG, ERR_TIMEOUT, why);
            return;
        }
    }
}

void god_look_now(struct god *self)
{
    self->next_connect_ms = 0;
}

static void on_tick(void *context)
{
    struct god *self = context;
    int64_t now_ms = clock_boot_ms();
    if (!link_is_open(self->rpc)) {
        if (now_ms >= self->next_connect_ms) {
            try_connect(self, now_ms);
        }
        return;
    }
    check_calls(self, now_ms);
    if (link_is_open(self->rpc) && now_ms >= self->next_ping_ms) {
        ping(self, now_ms);
    }
}

int god_create(struct runtime *runtime, const char *home, const struct god_callbacks *callbacks,
               void *context, struct god **ret, struct err *err)
{
    if (home[0] != '/' || strlen(home) >= MANAGER_PATH_SIZE) {
        return err_set(err, ERR_INVALID, "a PM2 home is an absolute path, not %.100s", home);
    }
    struct god *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for a PM2 home");
    }
    self->runtime = runtime;
    self->callbacks = callbacks;
    self->context = context;
    self->timer = -1;
    self->seed = rng_system_seed();
    self->daemon.pidfd = -1;
    (void)snprintf(self->home, sizeof self->home, "%s", home);
    int rc = link_create(runtime, RPC_FRAME_BOUND, &rpc_callbacks, self, &self->rpc, err);
    if (rc == 0) {
        rc = link_create(runtime, BUS_FRAME_BOUND, &bus_callbacks, self, &self->bus, err);
    }
    if (rc == 0) {
        self->timer = runtime_timer(runtime, 100, true, on_tick, self);
        rc = self->timer < 0 ? err_set(err, ERR_NOMEM, "no timer") : 0;
    }
    if (rc != 0) {
        god_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

void god_destroy(struct god **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct god *self = *self_p;
    *self_p = NULL;
    fail_calls(self, ERR_CLOSED, "this PM2 home is not watched any more");
    if (self->timer >= 0) {
        runtime_timer_cancel(self->runtime, self->timer);
    }
    if (self->daemon.pidfd >= 0) {
        runtime_unwatch(self->runtime, self->daemon.pidfd);
        process_drop(&self->daemon);
    }
    link_destroy(&self->rpc);
    link_destroy(&self->bus);
    forget_list(self);
    free(self);
}
