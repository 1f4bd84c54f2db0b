#include "node/daemon/handlers_stream.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/node.h"

#include <stdlib.h>
#include <string.h>

#define FOLLOWERS_MAX 64
#define LOG_LINES_PER_TURN 200
#define TRANSFER_PATIENCE_MS 5000

enum follower_kind { FOLLOWS_NOTHING, FOLLOWS_EVENTS, FOLLOWS_LOGS, AWAITS_LEADER };

struct follower {
    enum follower_kind kind;
    struct control_request *request;
    uint64_t cursor;         /* logs */
    enum log_level level;    /* logs */
    char manager[NAME_SIZE]; /* logs */
    uint64_t term;           /* transfer: the term that is to end */
    int64_t begun_ms;        /* transfer */
};

static struct follower followers[FOLLOWERS_MAX]; /* of the one node of this process; loop thread */

static void on_closed(void *context, struct control_request *request)
{
    struct node *self = context;
    for (size_t i = 0; i < FOLLOWERS_MAX; i++) {
        if (followers[i].request == request) {
            followers[i] = (struct follower){0};
        }
    }
    (void)self;
}

static struct follower *keep(struct node *self, struct control_request *request,
                             enum follower_kind kind)
{
    for (size_t i = 0; i < FOLLOWERS_MAX; i++) {
        if (followers[i].kind == FOLLOWS_NOTHING) {
            followers[i] = (struct follower){.kind = kind, .request = request};
            control_request_on_close(request, on_closed, self);
            return &followers[i];
        }
    }
    control_fail(request, "busy", EXIT_FAILED, "end another one first",
                 "%d streams are open already", FOLLOWERS_MAX);
    return NULL;
}

/* ---- events ---- */

static void on_event(void *context, const json_t *event)
{
    (void)context;
    for (size_t i = 0; i < FOLLOWERS_MAX; i++) {
        if (followers[i].kind == FOLLOWS_EVENTS) {
            control_stream_item(followers[i].request, json_deep_copy(event));
        }
    }
}

void handlers_stream_events(void *context, struct control_request *request)
{
    struct node *self = context;
    bool follow = control_request_streams(request);
    int64_t since_ms = control_arg_duration_ms(request, "since", follow ? 0 : INT64_MAX / 2);
    int64_t oldest_ms = since_ms == INT64_MAX / 2 ? 0 : clock_wall_ms() - since_ms;
    struct follower *follower = follow ? keep(self, request, FOLLOWS_EVENTS) : NULL;
    if (follow && follower == NULL) {
        return;
    }
    int64_t wall_ms;
    const json_t *event;
    for (size_t i = 0; (event = events_at(self->events, i, &wall_ms)) != NULL; i++) {
        if (wall_ms >= oldest_ms && (!follow || since_ms > 0)) {
            control_stream_item(request, json_deep_copy(event));
        }
    }
    if (!follow) {
        control_stream_end(request);
        return;
    }
    events_unwatch(self->events, on_event, NULL);
    (void)events_watch(self->events, on_event, NULL); /* one watcher feeds all */
}

/* ---- logs ---- */

static bool wanted_line(const struct follower *follower, const struct log_line *line)
{
    if (line->level > follower->level) {
        return false;
    }
    char needle[NAME_SIZE + 16];
    (void)snprintf(needle, sizeof needle, "manager=%s", follower->manager);
    return follower->manager[0] == '\0' || strstr(line->text, needle) != NULL;
}

static void send_lines(struct node *self, struct follower *follower)
{
    static struct log_line line;
    uint64_t missed = 0;
    struct control_request *request = follower->request;
    for (int i = 0; i < LOG_LINES_PER_TURN && follower->request == request &&
                    log_ring_read(self->log, &follower->cursor, &line, &missed);
         i++) {
        if (wanted_line(follower, &line)) {
            control_stream_item(
                request, json_pack("{s:o, s:s, s:s, s:o, s:I}", "time", doc_time(line.wall_ms),
                                   "level", log_level_name(line.level), "event", line.event, "line",
                                   doc_text(line.text), "missed", (json_int_t)missed));
        }
    }
}

void handlers_stream_logs(void *context, struct control_request *request)
{
    struct node *self = context;
    const char *node = control_arg_text(request, "node");
    if (node != NULL && strcmp(node, node_name(self)) != 0) {
        control_fail(request, "precondition", EXIT_PRECONDITION, "ask that node itself",
                     "this version reads the log of the asked node (%s) only", node_name(self));
        return;
    }
    struct follower follower = {.kind = FOLLOWS_LOGS, .request = request, .level = LOG_LEVEL_DEBUG};
    const char *level = control_arg_text(request, "level");
    const char *manager = control_arg_text(request, "manager");
    if (level != NULL && !log_level_parse(level, &follower.level)) {
        follower.level = LOG_LEVEL_DEBUG;
    }
    if (manager != NULL) {
        (void)snprintf(follower.manager, sizeof follower.manager, "%s", manager);
    }
    if (!control_request_streams(request)) {
        uint64_t newest = log_ring_newest(self->log);
        while (follower.cursor < newest) {
            uint64_t before = follower.cursor;
            send_lines(self, &follower);
            if (follower.cursor == before) {
                break;
            }
        }
        control_stream_end(request);
        return;
    }
    struct follower *kept = keep(self, request, FOLLOWS_LOGS);
    if (kept != NULL) {
        follower.cursor = log_ring_newest(self->log);
        *kept = follower;
    }
}

/* ---- transfer ---- */

void handlers_stream_transfer(struct node *self, struct control_request *request, uint64_t target)
{
    struct follower *follower = keep(self, request, AWAITS_LEADER);
    if (follower == NULL) {
        return;
    }
    follower->term = self->view.term;
    follower->begun_ms = clock_boot_ms();
    struct err err = {0};
    if (leadership_hand_over(self, target, CONSENSUS_CAUSE_TRANSFER, &err) != 0) {
        *follower = (struct follower){0};
        control_fail_err(request, &err);
    }
}

static void look_after_transfer(struct node *self, struct follower *follower, int64_t now_ms)
{
    struct control_request *request = follower->request;
    if (self->view.term > follower->term && self->view.leader != 0) {
        const char *leader = node_name_of(self, self->view.leader);
        int64_t took_ms = now_ms - follower->begun_ms;
        *follower = (struct follower){0};
        control_reply(request,
                      json_pack("{s:s, s:b, s:I, s:I}", "leader", leader, "changed", 1, "term",
                                (json_int_t)self->view.term, "took_ms", (json_int_t)took_ms));
    } else if (self->hand_over_refused_ms >= follower->begun_ms) {
        *follower = (struct follower){0};
        control_fail_err(request, &self->hand_over_err);
    } else if (now_ms > follower->begun_ms + TRANSFER_PATIENCE_MS) {
        *follower = (struct follower){0};
        control_fail(request, "timed_out", EXIT_TIMED_OUT, "see `understudy leader`",
                     "no other node leads after %d ms", TRANSFER_PATIENCE_MS);
    }
}

void handlers_stream_run(struct node *self, int64_t now_ms)
{
    for (size_t i = 0; i < FOLLOWERS_MAX; i++) {
        struct follower *follower = &followers[i];
        switch (follower->kind) {
        case FOLLOWS_LOGS:
            send_lines(self, follower);
            break;
        case AWAITS_LEADER:
            look_after_transfer(self, follower, now_ms);
            break;
        case FOLLOWS_EVENTS:
        case FOLLOWS_NOTHING:
            break;
        }
    }
}
