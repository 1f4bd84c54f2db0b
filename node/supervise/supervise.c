#include "node/supervise/supervise_private.h"

#include "node/base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

const char *supervise_state_name(enum supervise_state state)
{
    switch (state) {
    case SUPERVISE_STARTING:
        return "starting";
    case SUPERVISE_RUNNING:
        return "running";
    case SUPERVISE_DEGRADED:
        return "degraded";
    case SUPERVISE_FAILED:
        return "failed";
    case SUPERVISE_STANDBY:
        return "standby";
    case SUPERVISE_PAUSED:
        return "paused";
    }
    return "?";
}

struct child *supervise_find(struct supervise *self, const char *name)
{
    for (size_t i = 0; i < self->child_count; i++) {
        if (strcmp(self->children[i].name, name) == 0) {
            return &self->children[i];
        }
    }
    return NULL;
}

bool supervise_within_rate(struct rate *rate, int64_t now_ms, uint64_t bound)
{
    if (rate->second != now_ms / 1000) {
        *rate = (struct rate){.second = now_ms / 1000};
    }
    return ++rate->count <= bound;
}

void supervise_tell(struct supervise *self, struct child *child, enum manager_level level,
                    const char *kind, const char *format, ...)
{
    if (self->destroying) {
        return;
    }
    struct manager_event event = {.level = level};
    (void)snprintf(event.kind, sizeof event.kind, "%s", kind);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(event.message, sizeof event.message, format, arguments);
    va_end(arguments);
    self->callbacks->event(self->context, child->name, &event);
}

/* ---- time ---- */

static int64_t first_deadline(const struct supervise *self)
{
    int64_t first_ms = supervise_role_deadline(self);
    for (size_t i = 0; i < self->child_count; i++) {
        int64_t at_ms = supervise_process_deadline(self, &self->children[i]);
        first_ms = at_ms < first_ms ? at_ms : first_ms;
    }
    return first_ms;
}

static bool none_runs(const struct supervise *self)
{
    for (size_t i = 0; i < self->child_count; i++) {
        if (self->children[i].pid != 0) {
            return false;
        }
    }
    return true;
}

void supervise_rearm(struct supervise *self)
{
    int64_t at_ms = first_deadline(self);
    bool tell_stopped = self->stopping && !self->stopped_told && none_runs(self);
    if (tell_stopped) {
        at_ms = 1; /* told from the loop, never from within a call of the node */
    }
    struct itimerspec when = {0};
    self->armed_ms = at_ms == 1 ? INT64_MAX : at_ms;
    if (at_ms != INT64_MAX) {
        at_ms = at_ms > 0 ? at_ms : 1; /* zero would disarm it */
        when.it_value =
            (struct timespec){.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
    }
    (void)timerfd_settime(self->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* When this loop itself stood still (a stopped node, a suspended machine), the silence was ours: a
 * manager is not to blame for it, and what it said meanwhile is heard first. */
static void forgive_own_stall(struct supervise *self, int64_t now_ms)
{
    if (now_ms - self->armed_ms < SUPERVISE_STALL_MS) {
        return;
    }
    for (size_t i = 0; i < self->child_count; i++) {
        struct child *child = &self->children[i];
        if (child->phase == CHILD_STARTING) {
            child->started_ms = now_ms;
        }
        child->beat_ms = now_ms;
    }
}

static int on_timer(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    struct supervise *self = argument;
    uint64_t count;
    if (read(item->fd, &count, sizeof count) < 0) {
        return 0; /* moved in the meantime */
    }
    supervise_messages_drain(self);
    int64_t now_ms = clock_boot_ms();
    forgive_own_stall(self, now_ms);
    supervise_role_tick(self, now_ms);
    for (size_t i = 0; i < self->child_count; i++) {
        supervise_process_tick(self, &self->children[i], now_ms);
    }
    if (self->stopping && !self->stopped_told && none_runs(self)) {
        self->stopped_told = true;
        self->callbacks->stopped(self->context);
    }
    supervise_rearm(self);
    return 0;
}

/* ---- life ---- */

static int make_folder(const char *path, struct err *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return err_set_errno(err, ERR_IO, "cannot make %s", path);
    }
    return 0;
}

static int start_timer(struct supervise *self, struct err *err)
{
    self->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (self->timer_fd < 0) {
        return err_set_errno(err, ERR_IO, "no timer");
    }
    zmq_pollitem_t item = {.fd = self->timer_fd, .events = ZMQ_POLLIN};
    if (zloop_poller(self->loop, &item, on_timer, self) != 0) {
        return err_set(err, ERR_NOMEM, "cannot watch the timer");
    }
    zloop_poller_set_tolerant(self->loop, &item);
    return 0;
}

int supervise_create(struct _zloop_t *loop, const struct supervise_config *config,
                     const struct supervise_callbacks *callbacks, void *context,
                     struct supervise **ret, struct err *err)
{
    struct supervise *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for the supervision");
    }
    self->loop = loop;
    self->config = *config;
    self->callbacks = callbacks;
    self->context = context;
    self->timer_fd = -1;
    rng_init(&self->rng, config->rng_seed != 0 ? config->rng_seed : rng_system_seed());
    mp_writer_init(&self->writer, MANAGER_MESSAGE_BYTES_MAX);
    char folder[MANAGER_PATH_SIZE];
    (void)snprintf(folder, sizeof folder, "%.400s/managers", config->data_dir);
    int rc = make_folder(folder, err);
    if (rc == 0) {
        rc = start_timer(self, err);
    }
    if (rc == 0) {
        rc = supervise_messages_bind(self, err);
    }
    if (rc != 0) {
        supervise_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

void supervise_destroy(struct supervise **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct supervise *self = *self_p;
    *self_p = NULL;
    self->stopping = true;
    self->destroying = true;
    self->owes_ended = false;
    self->active = false;
    for (size_t i = 0; i < self->child_count; i++) {
        supervise_process_kill(self, &self->children[i], "the node ends");
        supervise_process_reap(self, &self->children[i], clock_boot_ms(), true);
        free(self->children[i].section);
    }
    if (self->router != NULL) {
        watch_destroy(&self->router_watch);
        zsock_destroy(&self->router);
    }
    if (self->timer_fd >= 0) {
        zmq_pollitem_t item = {.fd = self->timer_fd};
        zloop_poller_end(self->loop, &item);
        (void)close(self->timer_fd);
    }
    mp_writer_deinit(&self->writer);
    free(self);
}

static int set_section(struct child *child, const struct manager_document *section, struct err *err)
{
    uint8_t *copy = NULL;
    if (section != NULL && section->length > MANAGER_DOCUMENT_BYTES_MAX) {
        return err_set(err, ERR_INVALID, "configuration of manager %s is over %d bytes",
                       child->name, MANAGER_DOCUMENT_BYTES_MAX);
    }
    if (section != NULL && section->length > 0) {
        copy = malloc(section->length);
        if (copy == NULL) {
            return err_set(err, ERR_NOMEM, "no memory for the section of %s", child->name);
        }
        memcpy(copy, section->data, section->length);
    }
    free(child->section);
    child->section = copy;
    child->section_length = copy != NULL ? section->length : 0;
    return 0;
}

int supervise_add(struct supervise *self, const char *name, const char *path,
                  const struct manager_document *section, bool shadow, struct err *err)
{
    if (supervise_find(self, name) != NULL) {
        return err_set(err, ERR_EXISTS, "manager %s is there already", name);
    }
    if (self->child_count == MANAGERS_MAX) {
        return err_set(err, ERR_FULL, "more than %d managers", MANAGERS_MAX);
    }
    if (strlen(name) >= NAME_SIZE || name[0] == '\0' || strchr(name, '/') != NULL ||
        strlen(path) >= MANAGER_PATH_SIZE) {
        return err_set(err, ERR_INVALID, "manager %.64s: name or path too long", name);
    }
    struct child *child = &self->children[self->child_count];
    *child = (struct child){.pidfd = -1, .life_fd = -1, .log_fd = -1, .shadow = shadow};
    (void)snprintf(child->name, sizeof child->name, "%s", name);
    (void)snprintf(child->path, sizeof child->path, "%s", path);
    char folder[MANAGER_PATH_SIZE];
    (void)snprintf(folder, sizeof folder, "%.400s/managers/%s", self->config.data_dir, name);
    int rc = make_folder(folder, err);
    if (rc == 0) {
        rc = set_section(child, section, err);
    }
    if (rc != 0) {
        return rc;
    }
    self->child_count++;
    supervise_process_start(self, child, clock_boot_ms());
    supervise_rearm(self);
    return 0;
}

/* ---- requests of the node ---- */

static int find_ready(struct supervise *self, const char *name, struct child **ret, struct err *err)
{
    *ret = supervise_find(self, name);
    if (*ret == NULL) {
        return err_set(err, ERR_NOTFOUND, "no manager %.64s", name);
    }
    if ((*ret)->phase != CHILD_READY) {
        return err_set(err, ERR_NOTFOUND, "manager %s is not running", name);
    }
    return 0;
}

static int send_to(struct supervise *self, const char *name, const struct manager_message *message,
                   struct err *err)
{
    struct child *child;
    int rc = find_ready(self, name, &child, err);
    return rc != 0 ? rc : supervise_messages_send(self, child, message, err);
}

int supervise_configure(struct supervise *self, const char *name,
                        const struct manager_document *section, bool shadow, struct err *err)
{
    struct child *child = supervise_find(self, name);
    if (child == NULL) {
        return err_set(err, ERR_NOTFOUND, "no manager %.64s", name);
    }
    int rc = set_section(child, section, err);
    if (rc != 0) {
        return rc;
    }
    child->shadow = shadow;
    if (child->phase == CHILD_READY) {
        supervise_messages_configure(self, child);
    }
    return 0;
}

int supervise_shadow(struct supervise *self, const char *name, bool shadow, struct err *err)
{
    struct child *child = supervise_find(self, name);
    if (child == NULL) {
        return err_set(err, ERR_NOTFOUND, "no manager %.64s", name);
    }
    child->shadow = shadow;
    if (child->phase == CHILD_READY) {
        supervise_messages_configure(self, child);
    }
    return 0;
}

int supervise_grant(struct supervise *self, const char *name, const struct manager_grant *grant,
                    struct err *err)
{
    struct manager_message message = {.kind = MANAGER_GRANT, .as.grant = *grant};
    return send_to(self, name, &message, err);
}

int supervise_revoke(struct supervise *self, const char *name, const struct manager_revoke *revoke,
                     struct err *err)
{
    struct manager_message message = {.kind = MANAGER_REVOKE, .as.revoke = *revoke};
    return send_to(self, name, &message, err);
}

int supervise_intent(struct supervise *self, const char *name, const struct manager_intent *intent,
                     struct err *err)
{
    struct manager_message message = {.kind = MANAGER_INTENT, .as.intent = *intent};
    return send_to(self, name, &message, err);
}

int supervise_peer_observation(struct supervise *self, const char *name,
                               const struct manager_peer_observation *observation, struct err *err)
{
    struct manager_message message = {.kind = MANAGER_PEER_OBSERVATION,
                                      .as.peer_observation = *observation};
    return send_to(self, name, &message, err);
}

int supervise_command(struct supervise *self, const char *name,
                      const struct manager_command *command, struct err *err)
{
    struct manager_message message = {.kind = MANAGER_COMMAND, .as.command = *command};
    return send_to(self, name, &message, err);
}

int supervise_run_known(struct supervise *self, const char *name, const struct manager_run *run,
                        struct err *err)
{
    struct manager_message message = {.kind = MANAGER_RUN, .as.run = *run};
    return send_to(self, name, &message, err);
}

void supervise_members(struct supervise *self, const struct manager_members *members)
{
    struct manager_message message = {.kind = MANAGER_MEMBERS, .as.members = *members};
    for (size_t i = 0; i < self->child_count; i++) {
        if (self->children[i].phase == CHILD_READY) {
            (void)supervise_messages_send(self, &self->children[i], &message, NULL);
        }
    }
}

static int set_paused(struct supervise *self, const char *name, bool paused, struct err *err)
{
    struct child *child = supervise_find(self, name);
    if (child == NULL) {
        return err_set(err, ERR_NOTFOUND, "no manager %.64s", name);
    }
    child->paused = paused;
    if (child->phase != CHILD_READY) {
        return 0; /* told after its hello */
    }
    struct manager_message message = {.kind = paused ? MANAGER_PAUSE : MANAGER_RESUME};
    return supervise_messages_send(self, child, &message, err);
}

int supervise_pause(struct supervise *self, const char *name, struct err *err)
{
    return set_paused(self, name, true, err);
}

int supervise_resume(struct supervise *self, const char *name, struct err *err)
{
    return set_paused(self, name, false, err);
}

static void ask_to_stop(struct supervise *self, struct child *child, int64_t kill_at_ms)
{
    if (child->pid == 0 || child->phase == CHILD_KILLED) {
        return;
    }
    if (child->phase == CHILD_READY) {
        struct manager_message message = {.kind = MANAGER_STOP};
        (void)supervise_messages_send(self, child, &message, NULL);
    }
    child->phase = CHILD_ENDING;
    child->kill_at_ms = kill_at_ms;
    (void)snprintf(child->detail, sizeof child->detail, "stopped on request");
}

int supervise_restart(struct supervise *self, const char *name, struct err *err)
{
    struct child *child = supervise_find(self, name);
    if (child == NULL) {
        return err_set(err, ERR_NOTFOUND, "no manager %.64s", name);
    }
    int64_t now_ms = clock_boot_ms();
    child->failures = 0;
    if (child->phase == CHILD_DOWN) {
        child->next_start_ms = now_ms;
    }
    ask_to_stop(self, child, now_ms + SUPERVISE_RESTART_GRACE_MS);
    supervise_rearm(self);
    return 0;
}

void supervise_stop(struct supervise *self, int64_t now_ms, int64_t grace_ms)
{
    self->stopping = true;
    for (size_t i = 0; i < self->child_count; i++) {
        ask_to_stop(self, &self->children[i], now_ms + grace_ms);
    }
    supervise_rearm(self);
}

/* ---- what people see ---- */

static enum supervise_state state_of(const struct child *child)
{
    if (child->phase == CHILD_DOWN || child->phase == CHILD_STARTING) {
        return child->failures >= SUPERVISE_FAILURES_MAX ? SUPERVISE_FAILED : SUPERVISE_STARTING;
    }
    if (child->phase != CHILD_READY) {
        return SUPERVISE_STARTING; /* on its way to a new start */
    }
    if (child->paused) {
        return SUPERVISE_PAUSED;
    }
    if (child->has_beat && child->beat.degraded) {
        return SUPERVISE_DEGRADED;
    }
    return child->role_term != 0 ? SUPERVISE_RUNNING : SUPERVISE_STANDBY;
}

/* As the next end would count them: a manager that runs well for long starts anew. */
static unsigned failures_of(const struct child *child, int64_t now_ms)
{
    bool healthy =
        child->phase == CHILD_READY && now_ms - child->started_ms >= SUPERVISE_HEALTHY_MS;
    return healthy ? 0 : child->failures;
}

static void fill_row(const struct child *child, int64_t now_ms, struct supervise_row *ret)
{
    *ret = (struct supervise_row){
        .state = state_of(child),
        .active = child->role_term != 0,
        .paused = child->paused,
        .shadow = child->shadow,
        .pid = child->pid,
        .restarts = child->starts > 0 ? child->starts - 1 : 0,
        .failures = failures_of(child, now_ms),
        .heartbeat_age_ms = child->has_beat ? now_ms - child->beat_ms : -1,
        .silent_ms = child->phase == CHILD_READY ? now_ms - child->beat_ms : 0,
        .dropped = child->dropped,
        .refused = child->refused,
    };
    memcpy(ret->name, child->name, sizeof ret->name);
    memcpy(ret->detail, child->detail, sizeof ret->detail);
    memcpy(ret->version, child->version, sizeof ret->version);
    memcpy(ret->capabilities, child->capabilities, sizeof ret->capabilities);
    ret->capability_count = child->capability_count;
    if (child->has_beat) {
        ret->score_known = child->beat.score_known;
        ret->score = child->beat.score;
        ret->capability = child->beat.capability;
        if (child->detail[0] == '\0') {
            (void)snprintf(ret->detail, sizeof ret->detail, "%s", child->beat.state);
        }
    }
}

size_t supervise_list(const struct supervise *self, int64_t now_ms, struct supervise_row *ret,
                      size_t count_max)
{
    size_t count = self->child_count < count_max ? self->child_count : count_max;
    for (size_t i = 0; i < count; i++) {
        fill_row(&self->children[i], now_ms, &ret[i]);
    }
    return count;
}
