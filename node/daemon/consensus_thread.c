#include "node/daemon/consensus_thread.h"

#include "consensus/recording_watch.h"
#include "consensus/state.h"
#include "node/base/clock.h"
#include "node/base/invariant.h"
#include "node/base/queue.h"
#include "node/base/thread.h"
#include "node/daemon/recorder.h"
#include "node/daemon/timed_storage.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX 4096
#define OUTPUTS_MAX 8192
#define TURN_MAX_MS 100     /* the thread turns at least so often, as its sign of life */
#define LOOP_STALL_MS 10000 /* a loop that takes no output for so long is dead */
#define STALL_PAUSE_MS 2    /* between two tries to hand an output to a full queue */
#define VIEW_PERIOD_MS 500  /* figures of followers are told at least so often */

struct event_item {
    struct consensus_event event; /* .bytes points behind the item */
    uint8_t bytes[];
};

struct consensus_thread {
    pthread_t thread;
    bool running;
    struct queue *events;
    struct queue *outputs;
    struct consensus *engine;
    struct recorder *recorder; /* NULL: no decision log */
    struct timed_storage storage;
    int64_t heartbeat_ms;
    int (*prove)(void *context, struct err *err); /* NULL: nothing to prove with */
    void *prove_context;
    struct state *state; /* the machine that the log feeds; the loop has a mirror of it */
    struct consensus_view last_view;
    int64_t view_sent_ms;
    atomic_bool stop;
    _Atomic int64_t may_act_until_ms;
    _Atomic uint64_t may_act_term; /* changes only while the right above is 0 */
    _Atomic int64_t acted_until_ms;
    _Atomic int64_t turned_ms;
    _Atomic int64_t leader_told_ms;
};

/* ---- outputs ---- */

static struct consensus_output *make_output(enum consensus_output_kind kind, const uint8_t *bytes,
                                            size_t length)
{
    struct consensus_output *output = calloc(1, sizeof *output + length);
    invariant(output != NULL); /* nothing sensible is left to do without memory */
    output->kind = kind;
    output->length = length;
    if (length > 0) {
        memcpy(output->bytes, bytes, length);
    }
    return output;
}

/* An applied command must reach the mirror: a full queue makes this thread wait, so that a loop
 * which crawls costs the node its leadership, as it should. */
static void hand_out(struct consensus_thread *self, struct consensus_output *output)
{
    int64_t give_up_ms = clock_boot_ms() + LOOP_STALL_MS;
    while (queue_push(self->outputs, QUEUE_COMMAND, output) != 0) {
        if (atomic_load(&self->stop)) {
            free(output);
            return;
        }
        invariant(clock_boot_ms() < give_up_ms);
        (void)poll(NULL, 0, STALL_PAUSE_MS);
    }
}

static void send_to_peer(void *context, uint64_t to, const uint8_t *bytes, size_t length, bool bulk)
{
    struct consensus_thread *self = context;
    struct consensus_output *output = make_output(CONSENSUS_OUTPUT_SEND, bytes, length);
    output->peer = to;
    output->bulk = bulk;
    if (queue_push(self->outputs, QUEUE_OBSERVATION, output) != 0) {
        free(output);
    }
}

/* ---- the machine ---- */

static void apply(void *context, uint64_t index, uint64_t term, const uint8_t *bytes, size_t length)
{
    struct consensus_thread *self = context;
    struct state_effect effect;
    state_apply(self->state, index, term, bytes, length, &effect);
    struct consensus_output *output = make_output(CONSENSUS_OUTPUT_APPLIED, bytes, length);
    output->index = index;
    output->term = term;
    hand_out(self, output);
}

static int snapshot(void *context, uint8_t **ret, size_t *ret_length)
{
    struct consensus_thread *self = context;
    return state_snapshot(self->state, ret, ret_length);
}

static int restore(void *context, uint64_t index, const uint8_t *bytes, size_t length)
{
    struct consensus_thread *self = context;
    struct err err = {0};
    int rc = state_restore(self->state, index, bytes, length, &err);
    if (rc != 0) {
        return rc;
    }
    struct consensus_output *output = make_output(CONSENSUS_OUTPUT_RESTORED, bytes, length);
    output->index = index;
    hand_out(self, output);
    return 0;
}

/* ---- one event ---- */

static void refuse(struct consensus_thread *self, uint64_t token, const struct err *err)
{
    struct consensus_output *output = make_output(CONSENSUS_OUTPUT_REFUSED, NULL, 0);
    output->token = token;
    output->err = *err;
    hand_out(self, output);
}

/* Every call of the engine goes this way. */
static int call(struct consensus_thread *self, const struct recording_event *event, struct err *err)
{
    recorder_event(self->recorder, event);
    int rc = recording_perform(self->engine, event, err);
    recorder_code(self->recorder, rc);
    return rc;
}

static enum recording_call call_of(enum consensus_event_kind kind)
{
    switch (kind) {
    case CONSENSUS_EVENT_MESSAGE:
        return RECORDING_RECEIVE;
    case CONSENSUS_EVENT_PROPOSE:
        return RECORDING_PROPOSE;
    case CONSENSUS_EVENT_CHANGE:
        return RECORDING_CHANGE;
    case CONSENSUS_EVENT_HAND_OVER:
        return RECORDING_HAND_OVER;
    case CONSENSUS_EVENT_MANAGERS_ENDED:
        return RECORDING_MANAGERS_ENDED;
    case CONSENSUS_EVENT_STAND:
        return RECORDING_STAND;
    case CONSENSUS_EVENT_PROOF:
        return RECORDING_PROOF;
    case CONSENSUS_EVENT_TIMEOUT:
        return RECORDING_ELECTION_TIMEOUT;
    }
    return RECORDING_TICK;
}

static void perform(struct consensus_thread *self, const struct consensus_event *event)
{
    const struct recording_event what = {.call = call_of(event->kind),
                                         .now_ms = clock_boot_ms(),
                                         .peer = event->peer,
                                         .term = event->term,
                                         .token = event->token,
                                         .time_ms = event->time_ms,
                                         .proof = event->proof,
                                         .change = event->change,
                                         .role = event->role,
                                         .cause = event->cause,
                                         .bytes = event->bytes,
                                         .length = event->length};
    struct err err = {0};
    if (call(self, &what, &err) != 0) {
        refuse(self, event->token, &err);
    }
}

/* What changes with every heartbeat, or with the time alone, is no news. */
static struct consensus_view without_noise(const struct consensus_view *view)
{
    struct consensus_view quiet = *view;
    quiet.lease_end_ms = 0;
    quiet.silent_until_ms = 0;
    quiet.leader_told_ms = 0;
    memset(quiet.match_index, 0, sizeof quiet.match_index);
    memset(quiet.last_contact_ms, 0, sizeof quiet.last_contact_ms);
    return quiet;
}

static void publish_view(struct consensus_thread *self, int64_t now_ms,
                         const struct consensus_view *view)
{
    atomic_store(&self->leader_told_ms, view->leader_told_ms);
    struct consensus_view quiet = without_noise(view);
    /* Padding may at worst tell one view twice. */
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
    bool news = memcmp(&quiet, &self->last_view, sizeof quiet) != 0;
    if (!news && now_ms < self->view_sent_ms + VIEW_PERIOD_MS) {
        return;
    }
    self->last_view = quiet;
    self->view_sent_ms = now_ms;
    struct consensus_output *output = make_output(CONSENSUS_OUTPUT_VIEW, NULL, 0);
    output->view = *view;
    consensus_counters(self->engine, &output->counters);
    hand_out(self, output);
}

static void publish_right(struct consensus_thread *self, int64_t now_ms, uint64_t term)
{
    int64_t until_ms = consensus_may_act_until_ms(self->engine, now_ms);
    int64_t before_ms = atomic_load(&self->may_act_until_ms);
    bool another = until_ms != 0 && term != atomic_load(&self->may_act_term);
    if (before_ms != 0 && (until_ms == 0 || another)) {
        atomic_store(&self->acted_until_ms, before_ms < now_ms ? before_ms : now_ms);
    }
    if (another) {
        atomic_store(&self->may_act_until_ms, 0);
        atomic_store(&self->may_act_term, term);
    }
    atomic_store(&self->may_act_until_ms, until_ms);
}

static void tell_fatal(struct consensus_thread *self, const char *why)
{
    atomic_store(&self->may_act_until_ms, 0);
    struct consensus_output *output = make_output(CONSENSUS_OUTPUT_FATAL, NULL, 0);
    (void)err_set(&output->err, ERR_IO, "%s", why);
    hand_out(self, output);
}

static bool publish(struct consensus_thread *self)
{
    int64_t now_ms = clock_boot_ms();
    struct consensus_view view;
    memset(&view, 0, sizeof view);
    consensus_view(self->engine, now_ms, &view);
    publish_right(self, now_ms, view.term);
    atomic_store(&self->turned_ms, now_ms);
    const char *fatal = consensus_fatal(self->engine);
    if (fatal != NULL) {
        recorder_result(self->recorder, self->engine);
        tell_fatal(self, fatal);
        return false;
    }
    struct consensus_notice notice;
    while (consensus_notice_next(self->engine, &notice)) {
        recorder_notice(self->recorder, &notice);
        struct consensus_output *output = make_output(CONSENSUS_OUTPUT_NOTICE, NULL, 0);
        output->notice = notice;
        hand_out(self, output);
    }
    recorder_result(self->recorder, self->engine);
    publish_view(self, now_ms, &view);
    return true;
}

/* What storage did to this thread, before time can count against the leader. */
static void note_stall(struct consensus_thread *self)
{
    int64_t stall_ms = timed_storage_take_worst_ms(&self->storage);
    if (stall_ms >= self->heartbeat_ms) {
        const struct recording_event stall = {
            .call = RECORDING_STALL, .now_ms = clock_boot_ms(), .time_ms = stall_ms};
        (void)call(self, &stall, NULL); /* it cannot be refused */
    }
}

/* A leader with nothing to write shows that its disk still takes writes: when it does not, this
 * thread hangs here, its heartbeats end, and the others elect. */
static bool prove(struct consensus_thread *self)
{
    int64_t now_ms = clock_boot_ms();
    if (self->prove == NULL || self->last_view.state != CONSENSUS_LEADER ||
        now_ms < self->storage.written_ms + CONSENSUS_PROOF_PERIOD_MS) {
        return true;
    }
    struct err err = {0};
    if (self->prove(self->prove_context, &err) != 0) {
        tell_fatal(self, err.msg);
        return false;
    }
    timed_storage_note(&self->storage, now_ms);
    note_stall(self);
    return publish(self);
}

static void wait_for_event(struct consensus_thread *self)
{
    int64_t now_ms = clock_boot_ms();
    int64_t wait_ms = consensus_deadline_ms(self->engine) - now_ms;
    wait_ms = wait_ms < 0 ? 0 : wait_ms;
    wait_ms = wait_ms > TURN_MAX_MS ? TURN_MAX_MS : wait_ms;
    struct pollfd poll_fd = {.fd = queue_fd(self->events), .events = POLLIN};
    (void)poll(&poll_fd, 1, (int)wait_ms);
}

/* One event, when one waits. False when the process must end. */
static bool take_event(struct consensus_thread *self)
{
    struct event_item *item = queue_pop(self->events);
    if (item == NULL) {
        return true;
    }
    item->event.bytes = item->bytes;
    perform(self, &item->event);
    free(item);
    note_stall(self);
    return publish(self);
}

/* A thread that was held up (its disk, its processor) hears first what was said meanwhile: a
 * heartbeat that waits in the queue is no silence of the leader. */
static bool catch_up(struct consensus_thread *self)
{
    if (clock_boot_ms() < consensus_deadline_ms(self->engine) + self->heartbeat_ms) {
        return true;
    }
    bool alive = true;
    for (size_t left = queue_length(self->events); alive && left > 0; left--) {
        alive = take_event(self);
    }
    return alive;
}

static bool tick_when_due(struct consensus_thread *self)
{
    int64_t now_ms = clock_boot_ms();
    if (now_ms < consensus_deadline_ms(self->engine)) {
        return true;
    }
    const struct recording_event tick = {.call = RECORDING_TICK, .now_ms = now_ms};
    (void)call(self, &tick, NULL); /* nor can time */
    note_stall(self);
    return publish(self);
}

static void *run(void *argument)
{
    struct consensus_thread *self = argument;
    bool alive = publish(self);
    while (alive && !atomic_load(&self->stop)) {
        wait_for_event(self);
        alive = take_event(self) && catch_up(self) && tick_when_due(self) && prove(self);
        atomic_store(&self->turned_ms, clock_boot_ms());
    }
    return NULL;
}

/* ---- life ---- */

static int start_thread(struct consensus_thread *self, struct err *err)
{
    int rc = thread_start(&self->thread, run, self);
    if (rc != 0) {
        return err_set(err, ERR_NOMEM, "cannot start the consensus thread: %s",
                       strerrordesc_np(rc));
    }
    self->running = true;
    return 0;
}

static int create_parts(struct consensus_thread *self, const struct consensus_config *engine,
                        struct err *err)
{
    self->events = queue_create(EVENTS_MAX, free);
    self->outputs = queue_create(OUTPUTS_MAX, free);
    self->state = state_create();
    if (self->events == NULL || self->outputs == NULL || self->state == NULL) {
        return err_set(err, ERR_NOMEM, "cannot make the consensus thread");
    }
    struct consensus_config config = *engine;
    timed_storage_wrap(&self->storage, &engine->storage, &config.storage);
    self->heartbeat_ms = engine->heartbeat_ms;
    config.transport = (struct consensus_transport){.context = self, .send = send_to_peer};
    config.machine = (struct consensus_machine){
        .context = self, .apply = apply, .snapshot = snapshot, .restore = restore};
    int64_t now_ms = clock_boot_ms();
    recorder_begin(self->recorder, &config, now_ms);
    return consensus_create(&config, now_ms, &self->engine, err);
}

int consensus_thread_create(const struct consensus_thread_config *config,
                            struct consensus_thread **ret, struct err *err)
{
    struct consensus_thread *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "cannot make the consensus thread");
    }
    atomic_store(&self->turned_ms, clock_boot_ms());
    self->prove = config->prove;
    self->prove_context = config->prove_context;
    int rc =
        config->record_bytes_max <= 0
            ? 0
            : recorder_create(config->record_dir, config->record_bytes_max, &self->recorder, err);
    if (rc == 0) {
        rc = create_parts(self, &config->engine, err);
    }
    if (rc == 0) {
        rc = start_thread(self, err);
    }
    if (rc != 0) {
        consensus_thread_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

void consensus_thread_destroy(struct consensus_thread **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct consensus_thread *self = *self_p;
    atomic_store(&self->stop, true);
    if (self->running) {
        (void)pthread_join(self->thread, NULL);
    }
    consensus_destroy(&self->engine);
    recorder_destroy(&self->recorder);
    state_destroy(&self->state);
    queue_destroy(&self->events);
    queue_destroy(&self->outputs);
    free(self);
    *self_p = NULL;
}

int consensus_thread_post(struct consensus_thread *self, const struct consensus_event *event)
{
    struct event_item *item = malloc(sizeof *item + event->length);
    if (item == NULL) {
        return ERR_NOMEM;
    }
    item->event = *event;
    if (event->length > 0) {
        memcpy(item->bytes, event->bytes, event->length);
    }
    bool droppable = event->kind == CONSENSUS_EVENT_MESSAGE;
    int rc = queue_push(self->events, droppable ? QUEUE_OBSERVATION : QUEUE_COMMAND, item);
    if (rc != 0) {
        free(item);
    }
    return rc;
}

int consensus_thread_fd(const struct consensus_thread *self)
{
    return queue_fd(self->outputs);
}

struct consensus_output *consensus_thread_next(struct consensus_thread *self)
{
    return queue_pop(self->outputs);
}

int64_t consensus_thread_may_act_until_ms(const struct consensus_thread *self)
{
    return atomic_load(&self->may_act_until_ms);
}

int64_t consensus_thread_may_act(const struct consensus_thread *self, uint64_t *ret_term)
{
    for (;;) {
        uint64_t term = atomic_load(&self->may_act_term);
        int64_t until_ms = atomic_load(&self->may_act_until_ms);
        if (until_ms == 0) {
            return 0;
        }
        if (atomic_load(&self->may_act_term) == term) {
            *ret_term = term;
            return until_ms;
        }
    }
}

int64_t consensus_thread_acted_until_ms(const struct consensus_thread *self)
{
    return atomic_load(&self->acted_until_ms);
}

int64_t consensus_thread_leader_told_ms(const struct consensus_thread *self)
{
    return atomic_load(&self->leader_told_ms);
}

int64_t consensus_thread_turned_ms(const struct consensus_thread *self)
{
    return atomic_load(&self->turned_ms);
}
