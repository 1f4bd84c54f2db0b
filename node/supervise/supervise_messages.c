/* The socket of the managers: who sent what, how much, and whether it may. */
#include "node/supervise/supervise_private.h"

#include "node/base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGES_PER_PASS 64 /* then the rest of the node's loop gets its turn */

int supervise_messages_send(struct supervise *self, struct child *child,
                            const struct manager_message *message, struct err *err)
{
    mp_writer_clear(&self->writer);
    int rc = manager_message_encode(message, &self->writer, err);
    if (rc != 0) {
        return rc;
    }
    void *socket = zsock_resolve(self->router);
    const struct buffer *bytes = &self->writer.buffer;
    size_t identity_length = strlen(child->identity);
    if (zmq_send(socket, child->identity, identity_length, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(socket, bytes->data, bytes->length, ZMQ_DONTWAIT) < 0) {
        rc = err_set_errno(err, ERR_FULL, "manager %s takes no message", child->name);
    }
    watch_touched(self->router_watch);
    return rc;
}

static void copy_text(char *ret, size_t size, const char *text)
{
    (void)snprintf(ret, size, "%s", text);
}

void supervise_messages_configure(struct supervise *self, struct child *child)
{
    struct manager_message message = {.kind = MANAGER_CONFIGURE};
    struct manager_configure *configure = &message.as.configure;
    const struct supervise_config *config = &self->config;
    copy_text(configure->node, sizeof configure->node, config->node);
    copy_text(configure->cluster, sizeof configure->cluster, config->cluster);
    copy_text(configure->environment, sizeof configure->environment, config->environment);
    (void)snprintf(configure->data_dir, sizeof configure->data_dir, "%.400s/managers/%s",
                   config->data_dir, child->name);
    copy_text(configure->runtime_dir, sizeof configure->runtime_dir, config->runtime_dir);
    copy_text(configure->lock_dir, sizeof configure->lock_dir, config->lock_dir);
    copy_text(configure->guard_path, sizeof configure->guard_path, config->guard_path);
    copy_text(configure->guard_socket, sizeof configure->guard_socket, config->guard_socket);
    configure->shadow = child->shadow;
    configure->section =
        (struct manager_document){.data = child->section, .length = child->section_length};
    struct err err = {0};
    if (supervise_messages_send(self, child, &message, &err) != 0) {
        self->callbacks->log(self->context, child->name, MANAGER_WARN, err.msg);
    }
}

static void take_hello(struct supervise *self, struct child *child,
                       const struct manager_hello *hello, int64_t now_ms)
{
    if (child->phase != CHILD_STARTING || strcmp(hello->name, child->name) != 0) {
        child->refused++;
        return;
    }
    memcpy(child->version, hello->version, sizeof child->version);
    memcpy(child->capabilities, hello->capabilities, sizeof child->capabilities);
    child->capability_count = hello->capability_count;
    if (hello->protocol != MANAGER_PROTOCOL_VERSION) {
        child->refused_protocol = true;
        supervise_process_kill(self, child, "it speaks another version of the protocol");
        return;
    }
    child->phase = CHILD_READY;
    child->beat_ms = now_ms;
    child->detail[0] = '\0';
    supervise_messages_configure(self, child);
    if (child->paused) {
        struct manager_message message = {.kind = MANAGER_PAUSE};
        (void)supervise_messages_send(self, child, &message, NULL);
    }
    supervise_role_give(self, child);
    self->callbacks->ready(self->context, child->name);
}

static bool has_role(const struct supervise *self, const struct child *child, uint64_t term,
                     int64_t now_ms)
{
    return self->active && now_ms < self->deadline_ms && child->role_term == self->term &&
           child->ack_by_ms == 0 && term == self->term;
}

/* Ids of duties and keys of intents start with the manager's name and a slash. */
static bool is_its_own(const struct child *child, const char *id)
{
    size_t length = strlen(child->name);
    return strncmp(id, child->name, length) == 0 && id[length] == '/' && id[length + 1] != '\0';
}

static bool wish_is_allowed(const struct supervise *self, const struct child *child,
                            const struct manager_duty_wanted *wanted, int64_t now_ms)
{
    return has_role(self, child, wanted->term, now_ms) && !child->paused && !child->shadow &&
           is_its_own(child, wanted->duty) &&
           (wanted->alone[0] == '\0' || is_its_own(child, wanted->alone));
}

static bool intent_is_allowed(const struct supervise *self, const struct child *child,
                              const struct manager_message *message, int64_t now_ms)
{
    const struct manager_intent_wanted *wanted = &message->as.intent_wanted;
    const struct manager_intent_verified *verified = &message->as.intent_verified;
    const struct manager_intent_performed *performed = &message->as.intent_performed;
    bool may_decide = !child->paused && !child->shadow;
    switch (message->kind) {
    case MANAGER_INTENT_WANTED:
        return may_decide && has_role(self, child, wanted->term, now_ms) &&
               is_its_own(child, wanted->key) && wanted->object[0] != '\0';
    case MANAGER_INTENT_VERIFIED:
        return may_decide && has_role(self, child, verified->term, now_ms) &&
               is_its_own(child, verified->key);
    default:
        return has_role(self, child, performed->term, now_ms) && is_its_own(child, performed->key);
    }
}

static void take_intent(struct supervise *self, struct child *child,
                        const struct manager_message *message, int64_t now_ms)
{
    if (intent_is_allowed(self, child, message, now_ms)) {
        self->callbacks->intent(self->context, child->name, message);
    } else {
        child->refused++;
    }
}

static void take_schedule_wanted(struct supervise *self, struct child *child,
                                 const struct manager_schedule_wanted *wanted, int64_t now_ms)
{
    bool named = wanted->total == 0 || is_its_own(child, wanted->id); /* an empty list names none */
    if (self->callbacks->schedule_wanted != NULL && named && !child->paused &&
        has_role(self, child, wanted->term, now_ms)) {
        self->callbacks->schedule_wanted(self->context, child->name, wanted);
    } else {
        child->refused++;
    }
}

static void take_run_ended(struct supervise *self, struct child *child,
                           const struct manager_run_ended *ended)
{
    if (self->callbacks->run_ended != NULL && is_its_own(child, ended->duty)) {
        self->callbacks->run_ended(self->context, child->name, ended);
    } else {
        child->refused++;
    }
}

/* What a manager says of a duty that another one carries out would end it there. */
static void take_duty_word(struct supervise *self, struct child *child,
                           const struct manager_message *message)
{
    const struct supervise_callbacks *call = self->callbacks;
    if (message->kind == MANAGER_DUTY_STATE && is_its_own(child, message->as.duty_state.duty)) {
        call->duty_state(self->context, child->name, &message->as.duty_state);
    } else if (message->kind == MANAGER_RELEASED && is_its_own(child, message->as.released.duty)) {
        call->released(self->context, child->name, &message->as.released);
    } else {
        child->refused++;
    }
}

static void take_role_ack(struct supervise *self, struct child *child,
                          const struct manager_role_ack *ack)
{
    if (child->role_term != 0 && ack->term >= child->role_term) {
        supervise_role_over(self, child);
    }
}

static void dispatch(struct supervise *self, struct child *child,
                     const struct manager_message *message, int64_t now_ms)
{
    const struct supervise_callbacks *call = self->callbacks;
    switch (message->kind) {
    case MANAGER_HELLO:
        take_hello(self, child, &message->as.hello, now_ms);
        return;
    case MANAGER_HEARTBEAT:
        child->has_beat = true;
        child->beat = message->as.heartbeat;
        call->heartbeat(self->context, child->name, &message->as.heartbeat);
        return;
    case MANAGER_OBSERVATION:
        call->observation(self->context, child->name, message->as.observation.document.data,
                          message->as.observation.document.length);
        return;
    case MANAGER_EVENT:
        call->event(self->context, child->name, &message->as.event);
        return;
    case MANAGER_DUTY_WANTED:
        if (wish_is_allowed(self, child, &message->as.duty_wanted, now_ms)) {
            call->duty_wanted(self->context, child->name, &message->as.duty_wanted);
        } else {
            child->refused++;
        }
        return;
    case MANAGER_SCHEDULE_WANTED:
        take_schedule_wanted(self, child, &message->as.schedule_wanted, now_ms);
        return;
    case MANAGER_RUN_ENDED:
        take_run_ended(self, child, &message->as.run_ended);
        return;
    case MANAGER_DUTY_STATE:
    case MANAGER_RELEASED:
        take_duty_word(self, child, message);
        return;
    case MANAGER_ROLE_ACK:
        take_role_ack(self, child, &message->as.role_ack);
        return;
    case MANAGER_INTENT_WANTED:
    case MANAGER_INTENT_VERIFIED:
    case MANAGER_INTENT_PERFORMED:
        take_intent(self, child, message, now_ms);
        return;
    case MANAGER_REPLY:
        call->reply(self->context, child->name, &message->as.reply);
        return;
    default:
        child->refused++; /* a message that only nodes send */
    }
}

/* What a later message of the same kind says better, or what only tells people. */
static bool may_be_dropped(enum manager_kind kind)
{
    return kind == MANAGER_HEARTBEAT || kind == MANAGER_OBSERVATION || kind == MANAGER_EVENT ||
           kind == MANAGER_DUTY_WANTED || kind == MANAGER_INTENT_WANTED ||
           kind == MANAGER_SCHEDULE_WANTED || kind == MANAGER_RUN_ENDED;
}

static void take(struct supervise *self, struct child *child, const uint8_t *bytes, size_t length)
{
    int64_t now_ms = clock_boot_ms();
    bool within = supervise_within_rate(&child->messages, now_ms, SUPERVISE_MESSAGES_PER_SECOND);
    if (child->messages.count >= (uint64_t)SUPERVISE_MESSAGES_PER_SECOND * SUPERVISE_FLOOD_FACTOR) {
        child->dropped++;
        supervise_process_kill(self, child, "it floods the node with messages");
        return;
    }
    struct manager_message message;
    struct err err = {0};
    int rc = manager_message_decode(bytes, length, &message, &err);
    if (rc != 0) {
        child->refused++;
        if (rc == ERR_UNSUPPORTED && child->phase == CHILD_STARTING) {
            child->refused_protocol = true;
            supervise_process_kill(self, child, "it speaks another version of the protocol");
        }
        return;
    }
    /* Any message shows that it moves; only a heartbeat says how it does. */
    child->beat_ms = now_ms;
    bool kept = message.kind != MANAGER_EVENT ||
                supervise_within_rate(&child->events, now_ms, SUPERVISE_EVENTS_PER_SECOND);
    if (!kept || (!within && may_be_dropped(message.kind))) {
        child->dropped++;
        return;
    }
    if (child->phase == CHILD_STARTING && message.kind != MANAGER_HELLO) {
        child->refused++;
        return;
    }
    dispatch(self, child, &message, now_ms);
}

static struct child *find_identity(struct supervise *self, const void *bytes, size_t length)
{
    for (size_t i = 0; i < self->child_count; i++) {
        struct child *child = &self->children[i];
        if (child->pid != 0 && strlen(child->identity) == length &&
            memcmp(child->identity, bytes, length) == 0) {
            return child;
        }
    }
    return NULL;
}

/* Identity and one frame; more frames are no message of ours. False when none is there. */
static bool take_one(struct supervise *self, void *socket)
{
    zmq_msg_t identity;
    zmq_msg_t frame;
    (void)zmq_msg_init(&identity);
    (void)zmq_msg_init(&frame);
    bool got = zmq_msg_recv(&identity, socket, ZMQ_DONTWAIT) >= 0;
    if (got && zmq_msg_more(&identity) && zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0) {
        bool single = !zmq_msg_more(&frame);
        while (zmq_msg_more(&frame) && zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0) {
        }
        struct child *child = find_identity(self, zmq_msg_data(&identity), zmq_msg_size(&identity));
        if (child != NULL && single) {
            take(self, child, zmq_msg_data(&frame), zmq_msg_size(&frame));
        }
    }
    (void)zmq_msg_close(&identity);
    (void)zmq_msg_close(&frame);
    return got;
}

void supervise_messages_drain(struct supervise *self)
{
    for (int i = 0; i < MESSAGES_PER_PASS && take_one(self, zsock_resolve(self->router)); i++) {
    }
    watch_touched(self->router_watch);
}

static void on_router(void *context, void *socket)
{
    (void)socket;
    struct supervise *self = context;
    supervise_messages_drain(self);
    supervise_rearm(self);
}

/* ZeroMQ would silently take the path away from a live daemon, so it is tried first. */
static int check_free(const char *path, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return err_set(err, ERR_INVALID, "socket path %s is longer than %zu bytes", path,
                       sizeof address.sun_path - 1);
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_set_errno(err, ERR_IO, "no socket");
    }
    int rc = connect(fd, (const struct sockaddr *)&address, sizeof address);
    int seen = errno;
    (void)close(fd);
    if (rc == 0 || seen == EAGAIN) {
        return err_set(err, ERR_EXISTS, "%s belongs to a live daemon", path);
    }
    return 0;
}

int supervise_messages_bind(struct supervise *self, struct err *err)
{
    char path[MANAGER_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%.480s/managers.sock", self->config.runtime_dir);
    int rc = check_free(path, err);
    if (rc != 0) {
        return rc;
    }
    (void)snprintf(self->endpoint, sizeof self->endpoint, "ipc://%s", path);
    self->router = zsock_new(ZMQ_ROUTER);
    if (self->router == NULL) {
        return err_set_errno(err, ERR_IO, "no socket for managers");
    }
    zsock_set_linger(self->router, 0);
    zsock_set_router_mandatory(self->router, 1);
    zsock_set_maxmsgsize(self->router, MANAGER_MESSAGE_BYTES_MAX);
    zsock_set_rcvhwm(self->router, 64); /* per manager: the rest waits in its own process */
    zsock_set_sndhwm(self->router, 1000);
    if (zsock_bind(self->router, "%s", self->endpoint) < 0) {
        return err_set_errno(err, ERR_IO, "cannot bind %s", self->endpoint);
    }
    if (chmod(path, 0600) != 0) {
        return err_set_errno(err, ERR_IO, "cannot protect %s", path);
    }
    return watch_create(self->loop, zsock_resolve(self->router), on_router, self,
                        &self->router_watch, err);
}
