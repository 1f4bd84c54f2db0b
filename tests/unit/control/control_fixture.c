#include "tests/unit/control/control_fixture.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/base/queue.h"
#include "node/transport/zap.h"

#include <czmq.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct job {
    void (*work)(struct fixture *self, struct control *control);
    const char *origin; /* with bytes: a forwarded request or its answer */
    uint8_t *bytes;
    size_t length;
    bool is_answer;
    pthread_mutex_t *mutex; /* with work: told when done */
    pthread_cond_t *done;
    bool *finished;
};

struct internal {
    pthread_t thread;
    zloop_t *loop;
    struct control *control;
    struct queue *jobs;
    struct control_request *held[64];
    size_t held_count;
    struct fixture *origin; /* who passes requests on to us */
    struct zap *zap;
    bool stop;
};

static void job_free(void *item)
{
    struct job *job = item;
    free(job->bytes);
    free(job);
}

static void facts(void *context, struct control_facts *ret)
{
    struct fixture *self = context;
    *ret = (struct control_facts){.node = "n1",
                                  .cluster = "demo",
                                  .term = 4,
                                  .term_known = true,
                                  .quorum = self->quorum,
                                  .leads = self->leads,
                                  .leader_known = self->leader_known,
                                  .outside = self->outside};
}

static bool role_of(void *context, const char *user_id, const char *key, struct control_who *ret)
{
    struct fixture *self = context;
    struct internal *internal = self->internal;
    const struct zap_key *row = zap_identify(internal->zap, user_id, key);
    if (row == NULL) {
        return false;
    }
    (void)snprintf(ret->name, sizeof ret->name, "%s", row->name);
    ret->role = row->role == ZAP_OPERATOR ? VERB_OPERATOR : VERB_VIEWER;
    return true;
}

static void admit(struct internal *internal, const struct fixture *self)
{
    struct zap_config config = {.zmq_context = zsys_init(), .loop = internal->loop};
    struct zap_key keys[2] = {{.name = "operator", .role = ZAP_OPERATOR},
                              {.name = "viewer", .role = ZAP_VIEWER}};
    struct err err = {0};
    memcpy(keys[0].public_key, self->operator_public, sizeof self->operator_public);
    memcpy(keys[1].public_key, self->viewer_public, sizeof self->viewer_public);
    /* The reaper of libzmq frees the address of a former test's table a little later. */
    int64_t end_ms = clock_boot_ms() + 60000;
    int rc = zap_create(&config, &internal->zap, &err);
    while (rc != 0 && clock_boot_ms() < end_ms) {
        (void)usleep(1000);
        rc = zap_create(&config, &internal->zap, &err);
    }
    if (rc != 0 || zap_keys_set(internal->zap, keys, 2, &err) != 0) {
        (void)fprintf(stderr, "admission table: %s\n", err.msg);
        abort();
    }
}

static void push_bytes(struct fixture *to, const uint8_t *bytes, size_t length, bool is_answer)
{
    struct internal *internal = to->internal;
    struct job *job = calloc(1, sizeof *job);
    job->bytes = malloc(length);
    memcpy(job->bytes, bytes, length);
    job->length = length;
    job->is_answer = is_answer;
    (void)queue_push(internal->jobs, QUEUE_COMMAND, job);
}

static int forward(void *context, struct control_request *request, struct err *err)
{
    struct fixture *self = context;
    struct fixture *leader = self->leader;
    if (leader == NULL) {
        return err_set(err, ERR_IO, "no way to the leader");
    }
    struct mp_writer writer;
    mp_writer_init(&writer, 65536);
    int rc = control_request_encode(request, &writer, err);
    if (rc == 0) {
        struct internal *there = leader->internal;
        there->origin = self;
        push_bytes(leader, writer.buffer.data, writer.buffer.length, false);
    }
    mp_writer_deinit(&writer);
    return rc;
}

static void forward_reply(void *context, const char *origin, const uint8_t *bytes, size_t length)
{
    struct fixture *self = context;
    struct internal *internal = self->internal;
    (void)origin;
    push_bytes(internal->origin == NULL ? self : internal->origin, bytes, length, true);
}

static void finished(void *context, const struct control_who *who, const char *verb, int exit,
                     int64_t duration_ms)
{
    struct fixture *self = context;
    (void)who;
    (void)verb;
    (void)duration_ms;
    self->finished_exit = exit;
}

static void on_closed(void *context, struct control_request *request)
{
    struct fixture *self = context;
    struct internal *internal = self->internal;
    for (size_t i = 0; i < internal->held_count; i++) {
        if (internal->held[i] == request) {
            internal->held[i] = internal->held[--internal->held_count];
            break;
        }
    }
    self->held = (int)internal->held_count;
    self->closed++;
}

static void hold(struct fixture *self, struct control_request *request)
{
    struct internal *internal = self->internal;
    control_request_on_close(request, on_closed, self);
    internal->held[internal->held_count++] = request;
    self->held = (int)internal->held_count;
}

static void handle_status(void *context, struct control_request *request)
{
    (void)context;
    control_reply(request, json_pack("{s:s,s:i}", "leader", "n2", "uptime_s", 812));
}

static void handle_health(void *context, struct control_request *request)
{
    (void)context;
    json_t *data = json_pack("{s:f}", "node", 42.5);
    if (control_arg_flag(request, "local")) {
        control_reply_local(request, data, EXIT_FAILED);
    } else {
        control_reply_exit(request, data, EXIT_FAILED);
    }
}

static void handle_events(void *context, struct control_request *request)
{
    struct fixture *self = context;
    int64_t since = control_arg_duration_ms(request, "since", 0);
    for (int i = 0; i < self->flood; i++) {
        control_stream_item(request, json_pack("{s:s,s:i,s:I}", "kind", "member.alive", "n", i,
                                               "since_ms", (json_int_t)since));
    }
    if (control_request_streams(request)) {
        hold(self, request);
    } else {
        control_stream_end(request);
    }
}

static void handle_drain(void *context, struct control_request *request)
{
    hold(context, request);
}

static void handle_remove(void *context, struct control_request *request)
{
    struct fixture *self = context;
    struct err err = {0};
    const char *node = control_arg_text(request, "node");
    if (strcmp(node, "n9") == 0) {
        (void)err_set(&err, ERR_NOTFOUND, "no node is named %s", node);
        control_fail_err(request, &err);
    } else if (strcmp(node, "n1") == 0) {
        control_fail(request, "unsafe", EXIT_UNSAFE, "add a voter first", "%s is needed", node);
    } else {
        control_reply(request, json_pack("{s:s,s:s}", "removed", node, "by",
                                         control_request_who(request)->name));
    }
    (void)self;
}

static int on_jobs(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    struct fixture *self = argument;
    struct internal *internal = self->internal;
    (void)loop;
    (void)item;
    for (struct job *job = queue_pop(internal->jobs); job != NULL;
         job = queue_pop(internal->jobs)) {
        struct err err = {0};
        if (job->work != NULL) {
            job->work(self, internal->control);
            (void)pthread_mutex_lock(job->mutex);
            *job->finished = true;
            (void)pthread_cond_signal(job->done);
            (void)pthread_mutex_unlock(job->mutex);
        } else if (job->is_answer) {
            (void)control_accept_forward_reply(internal->control, job->bytes, job->length, &err);
        } else if (control_execute_forwarded(internal->control, "n2", job->bytes, job->length,
                                             &err) != 0) {
            (void)fprintf(stderr, "forwarded: %s\n", err.msg);
        }
        job_free(job);
    }
    return internal->stop ? -1 : 0;
}

static void *run_loop(void *argument)
{
    struct internal *internal = argument;
    (void)zloop_start(internal->loop);
    return NULL;
}

void fixture_init(struct fixture *self)
{
    *self = (struct fixture){.folder = "/tmp/understudy-control-XXXXXX", .finished_exit = -1};
    self->quorum = true;
    self->leads = true;
    self->leader_known = true;
    if (mkdtemp(self->folder) == NULL ||
        zmq_curve_keypair(self->node_public, self->node_secret) != 0 ||
        zmq_curve_keypair(self->operator_public, self->operator_secret) != 0 ||
        zmq_curve_keypair(self->viewer_public, self->viewer_secret) != 0) {
        abort();
    }
    (void)snprintf(self->path, sizeof self->path, "%s/control.sock", self->folder);
    (void)snprintf(self->endpoint, sizeof self->endpoint, "ipc://%s", self->path);
}

int fixture_start(struct fixture *self)
{
    static const struct control_handler handlers[] = {
        {"status", handle_status}, {"health", handle_health}, {"events", handle_events},
        {"drain", handle_drain},   {"remove", handle_remove},
    };
    struct internal *internal = calloc(1, sizeof *internal);
    self->internal = internal;
    internal->loop = zloop_new();
    zloop_set_nonstop(internal->loop, true);
    internal->jobs = queue_create(4096, job_free);
    struct control_config config = {
        .loop = internal->loop,
        .ipc_path = self->path,
        .tcp_endpoint = self->with_tcp ? "tcp://127.0.0.1:*" : NULL,
        .curve_public = self->node_public,
        .curve_secret = self->node_secret,
        .deadline_ms = self->deadline_ms,
        .requests_max = self->requests_max,
        .requests_per_client_max = self->requests_per_client_max,
        .stream_queue_max = self->stream_queue_max,
        .handlers = handlers,
        .handler_count = sizeof handlers / sizeof handlers[0],
        .handler_context = self,
        .callbacks = {self, facts, role_of, forward, forward_reply, finished},
    };
    struct err err = {0};
    if (self->with_tcp) {
        admit(internal, self);
    }
    int rc = control_create(&config, &internal->control, &err);
    if (rc != 0) {
        zap_destroy(&internal->zap);
        queue_destroy(&internal->jobs);
        zloop_destroy(&internal->loop);
        free(internal);
        self->internal = NULL;
        return rc;
    }
    const char *tcp = control_tcp_endpoint(internal->control);
    (void)snprintf(self->tcp, sizeof self->tcp, "%s", tcp == NULL ? "" : tcp);
    zmq_pollitem_t item = {.fd = queue_fd(internal->jobs), .events = ZMQ_POLLIN};
    (void)zloop_poller(internal->loop, &item, on_jobs, self);
    if (pthread_create(&internal->thread, NULL, run_loop, internal) != 0) {
        abort();
    }
    return 0;
}

void fixture_run(struct fixture *self, void (*work)(struct fixture *self, struct control *control))
{
    struct internal *internal = self->internal;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t done = PTHREAD_COND_INITIALIZER;
    bool is_finished = false;
    struct job *job = calloc(1, sizeof *job);
    *job = (struct job){.work = work, .mutex = &mutex, .done = &done, .finished = &is_finished};
    (void)queue_push(internal->jobs, QUEUE_COMMAND, job);
    (void)pthread_mutex_lock(&mutex);
    while (!is_finished) {
        (void)pthread_cond_wait(&done, &mutex);
    }
    (void)pthread_mutex_unlock(&mutex);
}

static void read_counters(struct fixture *self, struct control *control)
{
    control_counters(control, &self->counters);
}

void fixture_counters(struct fixture *self)
{
    fixture_run(self, read_counters);
}

static void stop_loop(struct fixture *self, struct control *control)
{
    (void)control;
    struct internal *internal = self->internal;
    control_destroy(&internal->control);
    zap_destroy(&internal->zap);
    internal->stop = true;
}

void fixture_stop(struct fixture *self)
{
    struct internal *internal = self->internal;
    if (internal == NULL) {
        return;
    }
    fixture_run(self, stop_loop);
    (void)pthread_join(internal->thread, NULL);
    zloop_destroy(&internal->loop);
    queue_destroy(&internal->jobs);
    free(internal);
    self->internal = NULL;
}

void fixture_deinit(struct fixture *self)
{
    fixture_stop(self);
    (void)unlink(self->path);
    (void)rmdir(self->folder);
}
