/* The manager under supervision: what it tells, and commands to it. */
#include "tests/integration/pm2/pm2_bench_parts.h"

#include "node/base/doc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- callbacks of the supervision ---- */

static void on_ready(void *context, const char *manager)
{
    struct bench *bench = context;
    (void)manager;
    bench->ready++;
}

static void on_heartbeat(void *context, const char *manager, const struct manager_heartbeat *beat)
{
    struct bench *bench = context;
    (void)manager;
    bench->capability = beat->capability;
    bench->score = beat->score;
}

static void on_observation(void *context, const char *manager, const uint8_t *bytes, size_t length)
{
    struct bench *bench = context;
    (void)manager;
    manager_bench_unpack(bytes, length, &bench->seen);
}

static void on_event(void *context, const char *manager, const struct manager_event *event)
{
    struct bench *bench = context;
    (void)manager;
    print_message("event %s: %s\n", event->kind, event->message);
    if (bench->event_count < EVENTS_MAX) {
        memcpy(bench->events[bench->event_count++], event->kind, NAME_SIZE);
    }
}

static void on_duty_wanted(void *context, const char *manager,
                           const struct manager_duty_wanted *wanted)
{
    struct bench *bench = context;
    (void)manager;
    bench->wish = *wanted;
    bench->wishes++;
}

static void on_intent(void *context, const char *manager, const struct manager_message *message)
{
    (void)context;
    (void)manager;
    print_message("%s, which this manager has none of\n", manager_kind_name(message->kind));
}

static void on_duty_state(void *context, const char *manager,
                          const struct manager_duty_state *state)
{
    struct bench *bench = context;
    (void)manager;
    print_message("duty %s: %s %s\n", state->duty, manager_duty_phase_name(state->phase),
                  state->detail);
    bench->duty = *state;
    bench->duty_states++;
}

static void on_released(void *context, const char *manager, const struct manager_released *released)
{
    struct bench *bench = context;
    (void)manager;
    assert_string_equal(released->duty, bench_duty);
    assert_int_equal(released->assignment, bench->assignment);
    bench->released = true;
}

static void on_reply(void *context, const char *manager, const struct manager_reply *reply)
{
    struct bench *bench = context;
    (void)manager;
    if (!reply->ok && bench->may_refuse) {
        print_message("refused: %s\n", reply->message);
        bench->refused = true;
        return;
    }
    assert_true(reply->ok);
    manager_bench_unpack(reply->result.data, reply->result.length, &bench->reply);
}

static void on_ended(void *context, uint64_t term)
{
    (void)context;
    (void)term;
}

static void on_log(void *context, const char *manager, enum manager_level level, const char *text)
{
    (void)context;
    print_message("%s %s: %s\n", manager_level_name(level), manager, text);
}

static void on_stopped(void *context)
{
    (void)context;
}

static const struct supervise_callbacks callbacks = {
    .ready = on_ready,
    .heartbeat = on_heartbeat,
    .observation = on_observation,
    .event = on_event,
    .duty_wanted = on_duty_wanted,
    .duty_state = on_duty_state,
    .intent = on_intent,
    .released = on_released,
    .reply = on_reply,
    .managers_ended = on_ended,
    .log = on_log,
    .stopped = on_stopped,
};

/* ---- its life ---- */

void bench_start_supervision(struct bench *bench)
{
    bench->supervise = manager_bench_supervise(bench->loop, bench->folder, &callbacks, bench);
}

static bool has_seen(struct bench *bench)
{
    const json_t *home = json_array_get(json_object_get(bench->seen, "homes"), 0);
    return bench->ready > 0 && bench->capability > 99 &&
           strcmp(doc_get_text(home, "state", ""), "up") == 0 &&
           bench_is_version(doc_get_text(home, "version", ""));
}

void bench_add_manager(struct bench *bench, json_t *section)
{
    if (json_object_get(section, "homes") == NULL) {
        (void)json_object_set_new(section, "homes", json_pack("[s]", bench->home));
    }
    manager_bench_add(bench->supervise, "pm2", section, bench->shadow);
}

void bench_start_manager(struct bench *bench, json_t *section)
{
    bench_add_manager(bench, section);
    RUN_UNTIL(bench, has_seen);
}

/* ---- reading ---- */

const json_t *bench_primary(const struct bench *bench, const char *name)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(bench->seen, "primaries"), index, row)
    {
        if (strcmp(doc_get_text(row, "name", ""), name) == 0) {
            return row;
        }
    }
    return NULL;
}

bool bench_primary_is(const struct bench *bench, const char *name, const char *state,
                      const char *reason)
{
    const json_t *row = bench_primary(bench, name);
    return row != NULL && strcmp(doc_get_text(row, "state", ""), state) == 0 &&
           strncmp(doc_get_text(row, "reason", ""), reason, strlen(reason)) == 0;
}

const json_t *bench_finding(const struct bench *bench, const char *kind, const char *object)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(bench->seen, "findings"), index, row)
    {
        if (strcmp(doc_get_text(row, "kind", ""), kind) == 0 &&
            strcmp(doc_get_text(row, "object", ""), object) == 0) {
            return row;
        }
    }
    return NULL;
}

bool bench_finds(const struct bench *bench, const char *kind, const char *object,
                 const char *text_part)
{
    const json_t *row = bench_finding(bench, kind, object);
    return row != NULL && strstr(doc_get_text(row, "text", ""), text_part) != NULL;
}

bool bench_had_event(const struct bench *bench, const char *kind)
{
    for (size_t i = 0; i < bench->event_count; i++) {
        if (strcmp(bench->events[i], kind) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- commands ---- */

static bool has_reply(struct bench *bench)
{
    return bench->reply != NULL || bench->refused;
}

static void send_command(struct bench *bench, uint64_t id, const char *verb, json_t *args_take)
{
    json_decref(bench->reply);
    bench->reply = NULL;
    bench->refused = false;
    manager_bench_command(bench->supervise, "pm2", id, verb, args_take);
    RUN_UNTIL(bench, has_reply);
}

void bench_command(struct bench *bench, const char *verb)
{
    send_command(bench, 5, verb, NULL);
}

bool bench_mend(struct bench *bench, const char *name, int attempt)
{
    bench->may_refuse = true;
    send_command(bench, 6, "mend", json_pack("{ss si}", "name", name, "attempt", attempt));
    bench->may_refuse = false;
    return !bench->refused;
}
