/* Messages to the node. Nothing here waits: what the node does not take is kept (bounded) when it
 * must arrive, and dropped and counted when a later message says it better. */
#include "managers/common/runtime_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool send_now(struct runtime *self, const uint8_t *bytes, size_t length)
{
    return zmq_send(zsock_resolve(self->socket), bytes, length, ZMQ_DONTWAIT) >= 0;
}

static void keep(struct runtime *self, const uint8_t *bytes, size_t length)
{
    uint8_t *copy = self->outbox_count < RUNTIME_OUTBOX_MAX ? malloc(length) : NULL;
    if (copy == NULL) {
        self->dropped++;
        return;
    }
    memcpy(copy, bytes, length);
    size_t last = (self->outbox_first + self->outbox_count) % RUNTIME_OUTBOX_MAX;
    self->outbox[last] = (struct runtime_out){.bytes = copy, .length = length};
    self->outbox_count++;
}

void runtime_flush(struct runtime *self)
{
    while (self->outbox_count > 0) {
        struct runtime_out *out = &self->outbox[self->outbox_first];
        if (!send_now(self, out->bytes, out->length)) {
            return;
        }
        free(out->bytes);
        *out = (struct runtime_out){0};
        self->outbox_first = (self->outbox_first + 1) % RUNTIME_OUTBOX_MAX;
        self->outbox_count--;
    }
}

void runtime_send_deinit(struct runtime *self)
{
    while (self->outbox_count > 0) {
        free(self->outbox[self->outbox_first].bytes);
        self->outbox_first = (self->outbox_first + 1) % RUNTIME_OUTBOX_MAX;
        self->outbox_count--;
    }
    mp_writer_deinit(&self->writer);
}

void runtime_send(struct runtime *self, const struct manager_message *message, bool must)
{
    struct err err;
    mp_writer_clear(&self->writer);
    if (manager_message_encode(message, &self->writer, &err) != 0) {
        self->dropped++;
        runtime_log(MANAGER_WARN, "message not sent: %s", err.msg);
        return;
    }
    const struct buffer *bytes = &self->writer.buffer;
    runtime_flush(self);
    /* Order holds: nothing overtakes what waits in the outbox, but for what may be dropped. */
    if (self->outbox_count == 0 && send_now(self, bytes->data, bytes->length)) {
        return;
    }
    if (must) {
        keep(self, bytes->data, bytes->length);
    } else {
        self->dropped++;
    }
}

void runtime_observe(struct runtime *self, const void *bytes, size_t length)
{
    struct manager_message message = {
        .kind = MANAGER_OBSERVATION,
        .as.observation.document = {.data = bytes, .length = length},
    };
    runtime_send(self, &message, false);
}

void runtime_event(struct runtime *self, enum manager_level level, const char *kind,
                   const struct manager_document *fields, const char *format, ...)
{
    struct manager_message message = {.kind = MANAGER_EVENT, .as.event.level = level};
    struct manager_event *event = &message.as.event;
    (void)snprintf(event->kind, sizeof event->kind, "%s", kind);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(event->message, sizeof event->message, format, arguments);
    va_end(arguments);
    if (fields != NULL) {
        event->fields = *fields;
    }
    runtime_send(self, &message, true);
}

bool runtime_duty_wanted(struct runtime *self, const struct manager_duty_wanted *wanted)
{
    if (!runtime_may_act(self) || self->shadow) {
        return false;
    }
    struct manager_message message = {.kind = MANAGER_DUTY_WANTED, .as.duty_wanted = *wanted};
    message.as.duty_wanted.term = self->term;
    runtime_send(self, &message, false);
    return true;
}

bool runtime_schedule_wanted(struct runtime *self, const struct manager_schedule_wanted *wanted)
{
    if (!runtime_may_act(self)) {
        return false;
    }
    struct manager_message message = {.kind = MANAGER_SCHEDULE_WANTED,
                                      .as.schedule_wanted = *wanted};
    message.as.schedule_wanted.term = self->term;
    runtime_send(self, &message, false);
    return true;
}

void runtime_run_ended(struct runtime *self, const struct manager_run_ended *ended)
{
    struct manager_message message = {.kind = MANAGER_RUN_ENDED, .as.run_ended = *ended};
    runtime_send(self, &message, false);
}

void runtime_duty_state(struct runtime *self, const struct manager_duty_state *state)
{
    struct manager_message message = {.kind = MANAGER_DUTY_STATE, .as.duty_state = *state};
    runtime_send(self, &message, true);
}

void runtime_released(struct runtime *self, const char *duty, uint64_t assignment)
{
    struct manager_message message = {
        .kind = MANAGER_RELEASED,
        .as.released.assignment = assignment,
    };
    (void)snprintf(message.as.released.duty, sizeof message.as.released.duty, "%s", duty);
    runtime_send(self, &message, true);
}

void runtime_reply(struct runtime *self, const struct manager_reply *reply)
{
    struct manager_message message = {.kind = MANAGER_REPLY, .as.reply = *reply};
    runtime_send(self, &message, true);
}

uint64_t runtime_dropped(const struct runtime *self)
{
    return self->dropped;
}

void runtime_log(enum manager_level level, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    /* The node reads the level off the first word. */
    (void)fprintf(stderr, "%s %s\n", manager_level_name(level), text);
}
