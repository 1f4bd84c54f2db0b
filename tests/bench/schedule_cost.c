/* What deciding the slots of many schedules costs the leader.
 *
 *     bench_schedule_cost [SCHEDULES]      (default 10000)
 *
 * Prints the memory of the scheduler, and durations of: reading all schedules (a leader begins), a
 * step with nothing due, reading one schedule again, deciding all that come in one minute (the
 * steps alone, and with each command applied to the state), the steps after a year without a leader
 * for one schedule of every minute, a copy and a snapshot of the state, and a look at RUNS runs
 * under way. The zone is New York's rule, which is worked out for each slot. One core; nothing else
 * runs in the process. */
#include "consensus/runs.h"
#include "consensus/schedule.h"
#include "node/base/clock.h"
#include "tests/bench/timing.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T0 INT64_C(1795305600) /* 2026-11-22, midnight */
#define IDLE_STEPS 1000000
#define RUNS 500
#define LOOKS 1000
#define SNAPSHOTS 100
#define YEAR_S (INT64_C(365) * 86400)

static struct zone *zone;
static uint64_t applied;

static void stop(const char *what)
{
    (void)fprintf(stderr, "%s\n", what);
    exit(1);
}

static const struct zone *zone_of(void *context, const char *name)
{
    (void)context;
    (void)name;
    return zone;
}

/* RFC 8536, 3.1: a file without changes, the rule in its footer. */
static void make_zone(void)
{
    static const uint8_t block[54] = {
        'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 4, [50] = 'U', 'T', 'C'};
    uint8_t bytes[256];
    memcpy(bytes, block, sizeof block);
    memcpy(bytes + sizeof block, block, sizeof block);
    int length = snprintf((char *)bytes + 2 * sizeof block, sizeof bytes - 2 * sizeof block,
                          "\nEST5EDT,M3.2.0,M11.1.0\n");
    struct err err = {0};
    if (zone_decode(bytes, 2 * sizeof block + (size_t)length, "America/New_York", &zone, &err) !=
        0) {
        stop(err.msg);
    }
}

static void apply(struct state *state, struct command *command, int64_t wall_ms)
{
    struct mp_writer writer;
    struct err err = {0};
    struct state_effect effect;
    command->wall_ms = wall_ms;
    mp_writer_init(&writer, COMMAND_BYTES_MAX);
    if (command_encode(command, &writer, &err) != 0) {
        stop(err.msg);
    }
    if (state_apply(state, ++applied, 1, writer.buffer.data, writer.buffer.length, &effect) != 0 ||
        effect.outcome != STATE_APPLIED) {
        stop(effect.reason);
    }
    mp_writer_deinit(&writer);
}

static void put(struct state *state, const char *id, const char *expression)
{
    static struct command command;
    command = (struct command){.type = COMMAND_SCHEDULE_PUT};
    (void)snprintf(command.schedule.id, sizeof command.schedule.id, "%s", id);
    command.schedule.decided_s = T0;
    struct schedule_definition *is = &command.schedule.is;
    (void)snprintf(is->expression, sizeof is->expression, "%s", expression);
    (void)snprintf(is->zone, sizeof is->zone, "America/New_York");
    is->misfire_cap = 1;
    is->start_deadline_s = 60;
    apply(state, &command, T0 * 1000);
}

static struct scheduler *lead(const struct state *state)
{
    struct scheduler_config config = {.zone = zone_of};
    struct scheduler *scheduler = scheduler_create(&config);
    if (scheduler == NULL || scheduler_sync(scheduler, state, NULL) != 0) {
        stop("out of memory");
    }
    return scheduler;
}

static struct scheduler_now now_at(int64_t wall_s)
{
    return (struct scheduler_now){.now_ms = wall_s * 1000,
                                  .wall_ms = wall_s * 1000,
                                  .wall_trusted = true,
                                  .acting = true,
                                  .maintenance = true, /* decided alike, and no run takes room */
                                  .room = 100};
}

static size_t memory_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void report(const char *what, double value, const char *unit)
{
    (void)printf("%s %s=%.3f\n", what, unit, value);
}

static void measure_rest(struct scheduler *scheduler, const struct state *state)
{
    static struct command command;
    struct scheduler_now now = now_at(T0 + 30);
    int64_t began_ns = clock_boot_ns();
    for (int i = 0; i < IDLE_STEPS; i++) {
        if (scheduler_step(scheduler, state, &now, &command, 1) != 0) {
            stop("something was due");
        }
    }
    report("idle_step", (double)(clock_boot_ns() - began_ns) / IDLE_STEPS, "ns");
    size_t count = state_schedule_count(state);
    began_ns = clock_boot_ns();
    for (size_t i = 0; i < count; i++) {
        if (scheduler_sync(scheduler, state, state_schedule_at(state, i)->id) != 0) {
            stop("out of memory");
        }
    }
    report("sync_one", (double)(clock_boot_ns() - began_ns) / (double)count, "ns");
    began_ns = clock_boot_ns();
    if (scheduler_sync(scheduler, state, NULL) != 0) {
        stop("out of memory");
    }
    report("sync_all_again", (double)(clock_boot_ns() - began_ns) / 1e6, "ms");
}

/* Steps until nothing is said any more, each command applied before the next step. */
static size_t settle(const char *what, struct scheduler *scheduler, struct state *state,
                     const struct scheduler_now *now)
{
    static struct command commands[SCHEDULE_STEP_COMMANDS_MAX];
    int64_t *durations_ns = timing_create(TIMING_COUNT_MAX / 100);
    int64_t total_ns = 0;
    size_t steps = 0;
    size_t decided = 0;
    int64_t began_ns = clock_boot_ns();
    for (size_t count = 1; count > 0 && steps < TIMING_COUNT_MAX / 100;) {
        int64_t step_ns = clock_boot_ns();
        count = scheduler_step(scheduler, state, now, commands, SCHEDULE_STEP_COMMANDS_MAX);
        durations_ns[steps] = clock_boot_ns() - step_ns;
        total_ns += durations_ns[steps++];
        for (size_t i = 0; i < count; i++) {
            apply(state, &commands[i], now->wall_ms);
            if (scheduler_sync(scheduler, state, commands[i].slots.schedule) != 0) {
                stop("out of memory");
            }
        }
        decided += count;
    }
    (void)printf("%s commands=%zu steps=%zu steps_ms=%.2f applied_ms=%.2f\n", what, decided, steps,
                 (double)total_ns / 1e6, (double)(clock_boot_ns() - began_ns) / 1e6);
    timing_print(what, durations_ns, steps, total_ns);
    free(durations_ns);
    return decided;
}

/* What `snapshot save` costs: the copy is taken on the node's loop, the rest on a thread. */
static void measure_snapshot(const struct state *state)
{
    int64_t *copied_ns = timing_create(SNAPSHOTS);
    int64_t *encoded_ns = timing_create(SNAPSHOTS);
    int64_t sums_ns[2] = {0, 0};
    size_t length = 0;
    for (int i = 0; i < SNAPSHOTS; i++) {
        uint8_t *bytes = NULL;
        int64_t began_ns = clock_boot_ns();
        struct state *copy = state_copy(state);
        int64_t between_ns = clock_boot_ns();
        if (copy == NULL || state_snapshot(copy, &bytes, &length) != 0) {
            stop("out of memory");
        }
        copied_ns[i] = between_ns - began_ns;
        encoded_ns[i] = clock_boot_ns() - between_ns;
        sums_ns[0] += copied_ns[i];
        sums_ns[1] += encoded_ns[i];
        free(bytes);
        state_destroy(&copy);
    }
    (void)printf("snapshot ended_runs=%zu bytes=%zu\n", state_ended_count(state), length);
    timing_print("snapshot_copy", copied_ns, SNAPSHOTS, sums_ns[0]);
    timing_print("snapshot_encode", encoded_ns, SNAPSHOTS, sums_ns[1]);
    free(copied_ns);
    free(encoded_ns);
}

static void measure_many(size_t count)
{
    struct state *state = state_create();
    if (state == NULL) {
        stop("out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        char id[SCHEDULE_ID_SIZE];
        (void)snprintf(id, sizeof id, "run/customer-%06zu-report", i);
        put(state, id, "*/1 * * * *");
    }
    size_t before = memory_bytes();
    int64_t began_ns = clock_boot_ns();
    struct scheduler *scheduler = lead(state);
    report("read_all", (double)(clock_boot_ns() - began_ns) / 1e6, "ms");
    report("memory", (double)(memory_bytes() - before) / 1e6, "mb");
    measure_rest(scheduler, state);
    struct scheduler_now now = now_at(T0 + 60);
    if (settle("one_minute", scheduler, state, &now) != count) {
        stop("not all were decided");
    }
    now = now_at(T0 + 120); /* a second minute, so that the ring of ended runs fills */
    (void)settle("next_minute", scheduler, state, &now);
    measure_snapshot(state);
    scheduler_destroy(&scheduler);
    state_destroy(&state);
    applied = 0;
}

static void measure_absence(void)
{
    struct state *state = state_create();
    if (state == NULL) {
        stop("out of memory");
    }
    put(state, "run/report", "* * * * *");
    struct scheduler *scheduler = lead(state);
    struct scheduler_now now = now_at(T0 + YEAR_S + 30);
    (void)settle("one_year", scheduler, state, &now);
    scheduler_destroy(&scheduler);
    state_destroy(&state);
    applied = 0;
}

static void measure_runs(void)
{
    static struct command commands[16];
    struct state *state = state_create();
    if (state == NULL) {
        stop("out of memory");
    }
    for (size_t i = 0; i < RUNS; i++) {
        char id[SCHEDULE_ID_SIZE];
        (void)snprintf(id, sizeof id, "run/customer-%06zu-report", i);
        put(state, id, "* * * * *");
    }
    struct scheduler *scheduler = lead(state);
    struct scheduler_now now = now_at(T0 + 60);
    now.maintenance = false;
    now.room = RUNS;
    (void)settle("runs_begin", scheduler, state, &now);
    int64_t next_ms = 0;
    int64_t began_ns = clock_boot_ns();
    for (int i = 0; i < LOOKS; i++) {
        if (runs_step(state, now.wall_ms, true, commands, 16) != 0) {
            stop("a run has something to do");
        }
        next_ms = runs_next_wall_ms(state);
    }
    report("runs_look", (double)(clock_boot_ns() - began_ns) / LOOKS / 1e3, "us");
    (void)printf("runs under_way=%zu next_s=%lld\n", state_run_count(state),
                 (long long)(next_ms - now.wall_ms) / 1000);
    scheduler_destroy(&scheduler);
    state_destroy(&state);
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? timing_read_count(argv[1]) : 10000;
    if (count == 0 || count > STATE_SCHEDULES_MAX) {
        (void)fprintf(stderr, "usage: bench_schedule_cost [SCHEDULES]\n");
        return 2;
    }
    make_zone();
    (void)printf("schedules count=%zu\n", count);
    measure_many(count);
    measure_absence();
    measure_runs();
    zone_destroy(&zone);
    return 0;
}
