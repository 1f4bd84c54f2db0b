/* The loop's side of the managers: starts them, gives them their role, members and observations,
 * carries what they say to duties, events and control. */
#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/maintenance.h"
#include "node/daemon/node.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMBERS_PERIOD_MS 1000
static struct node *node_of(void *context)
{
    return context;
}

/* ---- what managers say ---- */

static void send_members(struct node *self, int64_t now_ms)
{
    static struct manager_members members;
    members.count = 0;
    for (size_t i = 0; i < gossip_member_count(self->gossip) && members.count < NODES_MAX; i++) {
        struct gossip_member member;
        gossip_member_at(self->gossip, i, &member);
        struct manager_member *row = &members.members[members.count++];
        (void)snprintf(row->name, sizeof row->name, "%s", member.name);
        row->state = (enum manager_member_state)member.state;
        row->since_ms = now_ms - member.state_since_ms;
    }
    supervise_members(self->supervise, &members);
}

static enum manager_member_state member_state(const struct node *self, const char *name)
{
    struct gossip_member member;
    if (!gossip_member_find(self->gossip, name, &member)) {
        return MANAGER_DEAD;
    }
    return (enum manager_member_state)member.state;
}

static void pass_observation(struct node *self, const struct observation *seen)
{
    struct manager_peer_observation message = {
        .age_ms = clock_boot_ms() - seen->taken_ms,
        .state = member_state(self, seen->node),
        .document = {.data = seen->bytes, .length = seen->length},
    };
    (void)snprintf(message.node, sizeof message.node, "%s", seen->node);
    (void)supervise_peer_observation(self->supervise, seen->manager, &message, NULL);
}

static void pass_all_observations(struct node *self, const char *manager)
{
    for (size_t i = 0; i < sizeof self->observations / sizeof self->observations[0]; i++) {
        const struct observation *seen = &self->observations[i];
        if (seen->bytes != NULL && strcmp(seen->manager, manager) == 0 &&
            strcmp(seen->node, node_name(self)) != 0) {
            pass_observation(self, seen);
        }
    }
}

static void on_ready(void *context, const char *manager)
{
    struct node *self = node_of(context);
    struct supervise_row rows[MANAGERS_MAX];
    size_t count = supervise_list(self->supervise, clock_boot_ms(), rows, MANAGERS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, manager) == 0 && rows[i].pid > 0) {
            parent_link_manager(self->parent, (pid_t)rows[i].pid);
        }
    }
    send_members(self, clock_boot_ms());
    pass_all_observations(self, manager);
    duties_tell_manager(self, manager);
    effects_manager_ready(self, manager);
    self->report_changed = true;
    self->role_at_ms = 0;
    node_pump(self);
}

static void on_heartbeat(void *context, const char *manager, const struct manager_heartbeat *beat)
{
    struct node *self = node_of(context);
    (void)manager;
    (void)beat;
    (void)self; /* what it says is read from supervise_list when health is published */
}

static struct observation *observation_slot(struct node *self, const char *node,
                                            const char *manager)
{
    struct observation *oldest = &self->observations[0];
    for (size_t i = 0; i < sizeof self->observations / sizeof self->observations[0]; i++) {
        struct observation *slot = &self->observations[i];
        if (strcmp(slot->node, node) == 0 && strcmp(slot->manager, manager) == 0) {
            return slot;
        }
        if (slot->taken_ms < oldest->taken_ms) {
            oldest = slot;
        }
    }
    return oldest;
}

void managers_observation(struct node *self, const char *node, const char *manager,
                          const uint8_t *bytes, size_t length)
{
    uint8_t *copy = length > 0 ? malloc(length) : NULL;
    if (copy == NULL) {
        return; /* nothing was seen, or there is no memory: what was seen before stays */
    }
    struct observation *slot = observation_slot(self, node, manager);
    memcpy(copy, bytes, length);
    free(slot->bytes);
    *slot = (struct observation){.taken_ms = clock_boot_ms(), .bytes = copy, .length = length};
    (void)snprintf(slot->node, sizeof slot->node, "%s", node);
    (void)snprintf(slot->manager, sizeof slot->manager, "%s", manager);
    if (strcmp(node, node_name(self)) != 0) {
        pass_observation(self, slot);
    }
}

static void on_observation(void *context, const char *manager, const uint8_t *bytes, size_t length)
{
    struct node *self = node_of(context);
    managers_observation(self, node_name(self), manager, bytes, length);
    reports_send_observation(self, manager, bytes, length);
}

static void on_event(void *context, const char *manager, const struct manager_event *event)
{
    static const enum log_level levels[] = {LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN,
                                            LOG_LEVEL_ERROR};
    struct node *self = node_of(context);
    static const struct mp_limits limits = {
        .bytes = MANAGER_FIELDS_BYTES_MAX, .elements = 256, .depth = 6};
    json_t *fields = NULL;
    if (event->fields.length == 0 ||
        doc_from_msgpack(event->fields.data, event->fields.length, &limits, &fields, NULL) != 0 ||
        !json_is_object(fields)) {
        json_decref(fields);
        fields = json_object();
    }
    (void)json_object_set_new(fields, "manager", doc_text(manager));
    events_add(self->events, levels[event->level], self->view.term, event->kind, fields, "%s",
               event->message);
    self->report_changed = true;
}

static void on_duty_wanted(void *context, const char *manager,
                           const struct manager_duty_wanted *wanted)
{
    (void)manager;
    duties_leader_wanted(node_of(context), wanted);
    node_pump(node_of(context));
}

static void on_schedule_wanted(void *context, const char *manager,
                               const struct manager_schedule_wanted *wanted)
{
    schedule_wanted(node_of(context), manager, wanted);
    node_pump(node_of(context));
}

static void on_run_ended(void *context, const char *manager, const struct manager_run_ended *ended)
{
    schedule_run_ended(node_of(context), manager, ended);
}

static void on_duty_state(void *context, const char *manager,
                          const struct manager_duty_state *state)
{
    (void)manager;
    duties_manager_state(node_of(context), state);
}

static void on_intent(void *context, const char *manager, const struct manager_message *message)
{
    effects_take(node_of(context), manager, message);
}

static void on_released(void *context, const char *manager, const struct manager_released *released)
{
    (void)manager;
    duties_manager_released(node_of(context), released->duty, released->assignment);
    node_pump(node_of(context));
}

static void on_managers_ended(void *context, uint64_t term)
{
    struct node *self = node_of(context);
    (void)term;
    struct consensus_event event = {.kind = CONSENSUS_EVENT_MANAGERS_ENDED};
    (void)consensus_thread_post(self->consensus, &event);
    self->report_changed = true;
}

static void on_log(void *context, const char *manager, enum manager_level level, const char *text)
{
    static const enum log_level levels[] = {LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN,
                                            LOG_LEVEL_ERROR};
    struct node *self = node_of(context);
    log_write(self->log, levels[level], "manager.log", log_text("manager", manager),
              log_text("text", text));
}

static void on_stopped(void *context)
{
    struct node *self = node_of(context);
    if (self->leaving == LEAVING_MANAGERS) {
        self->leaving = LEAVING_DONE;
    }
    node_pump(self);
}

/* ---- commands ---- */

/* A request that one manager of this node answers, as it waits. */
struct asking {
    struct node *node;
    struct control_request *request;
    char manager[NAME_SIZE];
    uint64_t ticket;
};

static void on_request_closed(void *context, struct control_request *request)
{
    (void)request;
    struct asking *asking = context;
    commands_forget(asking->node->commands, asking->ticket);
    free(asking);
}

int managers_fail_with(struct control_request *request, const struct manager_reply *answer)
{
    static const struct {
        const char *code;
        int exit;
    } rows[] = {{"timed_out", EXIT_TIMED_OUT},
                {"not_found", EXIT_NOT_FOUND},
                {"invalid", EXIT_USAGE},
                {"not_authorised", EXIT_DENIED},
                {"precondition", EXIT_PRECONDITION},
                {"busy", EXIT_FAILED},
                {"manager_unavailable", EXIT_PRECONDITION},
                {"unsafe", EXIT_UNSAFE},
                {"not_in_this_version", EXIT_USAGE}};
    int exit = EXIT_FAILED;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        exit = strcmp(rows[i].code, answer->code) == 0 ? rows[i].exit : exit;
    }
    control_fail(request, answer->code[0] == '\0' ? "failed" : answer->code, exit, NULL, "%s",
                 answer->message);
    return exit;
}

static void on_answer(void *context, const struct manager_reply *answer)
{
    struct asking asking = *(struct asking *)context;
    json_t *result = NULL;
    struct err err = {0};
    free(context);
    if (!answer->ok) {
        (void)managers_fail_with(asking.request, answer);
    } else if (managers_document_of(&answer->result, &result, &err) != 0) {
        control_fail(asking.request, "manager_failed", EXIT_FAILED, NULL,
                     "the manager %s answered with a malformed document: %s", asking.manager,
                     err.msg);
    } else {
        control_reply(asking.request, result);
    }
}

int managers_document_of(const struct manager_document *document, json_t **ret, struct err *err)
{
    static const struct mp_limits limits = {
        .bytes = MANAGER_DOCUMENT_BYTES_MAX, .elements = 65536, .depth = 12};
    *ret = NULL; /* none is null */
    return document->length == 0
               ? 0
               : doc_from_msgpack(document->data, document->length, &limits, ret, err);
}

static int send_command(struct asking *asking, struct err *err)
{
    struct mp_writer writer;
    struct control_request *request = asking->request;
    mp_writer_init(&writer, MANAGER_FIELDS_BYTES_MAX);
    int rc = doc_to_msgpack(control_request_args(request), &writer, err);
    if (rc == 0) {
        struct commands_order order = {
            .manager = asking->manager,
            .verb = control_request_verb(request)->words,
            .args = {.data = writer.buffer.data, .length = writer.buffer.length},
            .until_ms = INT64_MAX, /* the request has a time limit of its own */
            .done = on_answer,
            .context = asking};
        rc = commands_send(asking->node->commands, asking->node->supervise, &order, &asking->ticket,
                           err);
    }
    mp_writer_deinit(&writer);
    return rc;
}

static void fail_to_send(const struct asking *asking, const struct err *err)
{
    if (err->code == ERR_BUSY) {
        control_fail(asking->request, "busy", EXIT_FAILED, "try again", "%s", err->msg);
    } else if (err->code == ERR_FULL) {
        control_fail_err(asking->request, err);
    } else {
        control_fail(asking->request, "manager_unavailable", EXIT_PRECONDITION,
                     "see `understudy manager list`", "the %s manager does not run on %s: %s",
                     asking->manager, node_name(asking->node), err->msg);
    }
}

bool managers_command(struct node *self, struct control_request *request, const char *manager)
{
    struct err err = {0};
    struct asking *asking = malloc(sizeof *asking);
    if (asking == NULL) {
        control_fail(request, "failed", EXIT_FAILED, NULL, "out of memory");
        return false;
    }
    *asking = (struct asking){.node = self, .request = request};
    (void)snprintf(asking->manager, sizeof asking->manager, "%s", manager);
    if (send_command(asking, &err) != 0) {
        fail_to_send(asking, &err);
        free(asking);
        return false;
    }
    control_request_on_close(request, on_request_closed, asking);
    return true;
}

static void on_reply(void *context, const char *manager, const struct manager_reply *reply)
{
    (void)manager;
    commands_answer(node_of(context)->commands, reply);
}

/* ---- role and pauses ---- */

void managers_end_role(struct node *self, int64_t now_ms)
{
    supervise_set_role(self->supervise, now_ms, false, self->view.term, 0);
    if (!supervise_any_active(self->supervise) &&
        (self->view.handing_over || self->view.state != CONSENSUS_LEADER)) {
        on_managers_ended(self, self->view.term);
    }
}

bool managers_shadow(const struct node *self, const char *manager)
{
    const struct state_manager *row = state_manager_by_name(self->state, manager);
    if (row != NULL && row->mode != MANAGER_MODE_UNSET) {
        return row->mode == MANAGER_MODE_SHADOW;
    }
    const struct config_manager *config = config_manager_find(self->config, manager);
    return config != NULL && config->mode == CONFIG_SHADOW;
}

void managers_follow_state(struct node *self)
{
    struct supervise_row rows[MANAGERS_MAX];
    self->managers_stopped = state_setting(self->state, "managers.stopped") != NULL;
    size_t count = supervise_list(self->supervise, clock_boot_ms(), rows, MANAGERS_MAX);
    for (size_t i = 0; i < count; i++) {
        enum gate gate = maintenance_gate(self, rows[i].name);
        bool paused = gate != GATE_OPEN && gate != GATE_SHADOW;
        bool shadow = managers_shadow(self, rows[i].name);
        if (paused != rows[i].paused) {
            (void)(paused ? supervise_pause(self->supervise, rows[i].name, NULL)
                          : supervise_resume(self->supervise, rows[i].name, NULL));
            self->report_changed = true;
        }
        if (shadow != rows[i].shadow) {
            (void)supervise_shadow(self->supervise, rows[i].name, shadow, NULL);
            self->report_changed = true;
        }
    }
}

void managers_run(struct node *self, int64_t now_ms)
{
    if (now_ms >= self->members_at_ms || self->members_changed) {
        self->members_changed = false;
        self->members_at_ms = now_ms + MEMBERS_PERIOD_MS;
        managers_follow_state(self); /* a pause may end by its time */
        maintenance_run(self);
        send_members(self, now_ms);
    }
    effects_run(self, now_ms);
    commands_run(self->commands, now_ms);
    fan_run(self->fan);
}

/* ---- life ---- */

/* A program of this build beside our own: "../libexec/NAME" or "NAME". */
static int sibling(const char *relative, char ret[MANAGER_PATH_SIZE], struct err *err)
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length <= 0) {
        return err_set_errno(err, ERR_IO, "cannot find the program's own path");
    }
    own[length] = '\0';
    int needed = snprintf(ret, MANAGER_PATH_SIZE, "%s/%s", dirname(own), relative);
    return needed < MANAGER_PATH_SIZE ? 0 : err_set(err, ERR_INVALID, "the program's path is long");
}

static int start_manager(struct node *self, const struct config_manager *config, struct err *err)
{
    char path[MANAGER_PATH_SIZE];
    char relative[NAME_SIZE + 64];
    (void)snprintf(relative, sizeof relative, "../libexec/understudy-manager-%s", config->name);
    int rc = 0;
    if (config->program[0] != '\0') {
        (void)snprintf(path, sizeof path, "%s", config->program);
    } else {
        rc = sibling(relative, path, err);
    }
    if (rc == 0 && access(path, X_OK) != 0) {
        log_write(self->log, LOG_LEVEL_WARN, "manager.absent", log_text("manager", config->name),
                  log_text("program", path));
        return 0; /* this version has no such manager */
    }
    json_t *section = config_manager_document(self->config, config->name);
    struct mp_writer writer;
    mp_writer_init(&writer, MANAGER_DOCUMENT_BYTES_MAX);
    rc = rc != 0 ? rc : doc_to_msgpack(section, &writer, err);
    json_decref(section);
    struct manager_document document = {.data = writer.buffer.data, .length = writer.buffer.length};
    rc = rc != 0 ? rc
                 : supervise_add(self->supervise, config->name, path, &document,
                                 managers_shadow(self, config->name), err);
    mp_writer_deinit(&writer);
    return rc;
}

static int create_supervision(struct node *self, struct err *err)
{
    struct supervise_config config = {0};
    (void)snprintf(config.node, sizeof config.node, "%s", node_name(self));
    (void)snprintf(config.cluster, sizeof config.cluster, "%s", self->config->cluster.name);
    (void)snprintf(config.environment, sizeof config.environment, "%s",
                   self->config->cluster.environment);
    (void)snprintf(config.runtime_dir, sizeof config.runtime_dir, "%s", self->config->runtime_dir);
    (void)snprintf(config.data_dir, sizeof config.data_dir, "%s", self->config->data_dir);
    (void)snprintf(config.lock_dir, sizeof config.lock_dir, "%s/locks", self->config->runtime_dir);
    (void)snprintf(config.guard_socket, sizeof config.guard_socket, "%s/guard.sock",
                   self->config->runtime_dir);
    (void)mkdir(config.lock_dir, 0755);
    int rc = sibling("understudy-guard", config.guard_path, err);
    static const struct supervise_callbacks callbacks = {
        .ready = on_ready,
        .heartbeat = on_heartbeat,
        .observation = on_observation,
        .event = on_event,
        .duty_wanted = on_duty_wanted,
        .schedule_wanted = on_schedule_wanted,
        .run_ended = on_run_ended,
        .duty_state = on_duty_state,
        .intent = on_intent,
        .released = on_released,
        .reply = on_reply,
        .managers_ended = on_managers_ended,
        .log = on_log,
        .stopped = on_stopped,
    };
    return rc != 0 ? rc
                   : supervise_create(self->loop, &config, &callbacks, self, &self->supervise, err);
}

static int on_post(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    (void)item;
    struct node *self = argument;
    post_process(self->post);
    node_pump(self);
    return 0;
}

static int create_post(struct node *self, struct err *err)
{
    struct post_config config = {
        .listen_fd = self->guard_listen_fd,
        .callbacks = {.hello = duties_guard_hello,
                      .started = duties_guard_started,
                      .released = duties_guard_released,
                      .gone = duties_guard_gone},
        .context = self,
    };
    int rc = post_create(&config, &self->post, err);
    if (rc != 0) {
        return rc;
    }
    zmq_pollitem_t item = {.fd = post_fd(self->post), .events = ZMQ_POLLIN};
    return zloop_poller(self->loop, &item, on_post, self) == 0
               ? 0
               : err_set(err, ERR_NOMEM, "cannot watch the guards' socket");
}

int managers_create(struct node *self, struct err *err)
{
    int rc = effects_create(self, err);
    self->commands = commands_create();
    self->fan = fan_create(self);
    if (rc == 0 && (self->commands == NULL || self->fan == NULL)) {
        rc = err_set(err, ERR_NOMEM, "no memory for the managers' commands");
    }
    rc = rc != 0 ? rc : create_post(self, err);
    rc = rc != 0 ? rc : create_supervision(self, err);
    for (size_t i = 0; rc == 0 && i < self->config->manager_count; i++) {
        if (self->config->managers[i].enabled) {
            rc = start_manager(self, &self->config->managers[i], err);
        }
    }
    return rc;
}
