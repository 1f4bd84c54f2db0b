/* What the next slot of a schedule costs.
 *
 *     bench_calendar_next COUNT
 *
 * In batches of a thousand questions, COUNT of them, from instants all over ten years: so
 * microseconds of a batch are nanoseconds of a question. Then the next slot of each of ten thousand
 * schedules, in zones that people live in, and the offset at an instant, by us and by the C
 * library. Needs the system's zone database. */
#include "consensus/calendar.h"
#include "node/base/clock.h"
#include "tests/bench/timing.h"
#include "tests/unit/calendar/zones.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCH 1000
#define SCHEDULES 10000
#define SWEEPS 20
#define BEGIN_S INT64_C(1767225600) /* 2026 */
#define SPAN_S INT64_C(315360000)   /* ten years */
#define ZONE "Europe/Berlin"

static const struct {
    const char *name;
    const char *expression;
} questions[] = {
    {"minute", "* * * * *"},    {"quarter", "*/15 * * * *"}, {"daily", "30 2 * * *"},
    {"weekly", "0 4 * * mon"},  {"monthly", "0 0 1 * *"},    {"yearly", "0 0 1 1 *"},
    {"leap_day", "0 0 29 2 *"}, {"never", "0 0 30 2 *"},     {"every", "every 25m"},
};

static int64_t sum; /* what is computed is used, so that it is computed */

static void fill(struct rng *rng, int64_t ret[BATCH])
{
    for (size_t i = 0; i < BATCH; i++) {
        ret[i] = BEGIN_S + rng_between(rng, 0, SPAN_S);
    }
}

static bool measure_question(const char *name, const char *expression, size_t count)
{
    struct calendar calendar;
    const struct calendar_rules rules = {.anchor_s = BEGIN_S};
    struct zone *zone = zone_of_system(ZONE);
    struct rng rng;
    rng_init(&rng, 1);
    if (zone == NULL || calendar_parse(expression, &calendar, NULL) != 0) {
        return false;
    }
    int64_t *durations_ns = timing_create(count);
    int64_t total_ns = 0;
    for (size_t batch = 0; batch < count; batch++) {
        int64_t instants[BATCH];
        fill(&rng, instants);
        int64_t began_ns = clock_boot_ns();
        for (size_t i = 0; i < BATCH; i++) {
            int64_t slot_s = 0;
            sum += calendar_next(&calendar, &rules, zone, instants[i], &slot_s) ? slot_s : 1;
        }
        durations_ns[batch] = clock_boot_ns() - began_ns;
        total_ns += durations_ns[batch];
    }
    timing_print(name, durations_ns, count, total_ns);
    free(durations_ns);
    zone_destroy(&zone);
    return true;
}

struct schedule {
    struct calendar calendar;
    struct calendar_rules rules;
    const struct zone *zone;
};

/* The zones live as long as the process. */
static bool draw_schedules(struct schedule *schedules)
{
    static const struct zone *zones[1024];
    const char *const *names;
    size_t name_count = zone_names(&names);
    struct rng rng;
    rng_init(&rng, 2);
    for (size_t i = 0; i < SCHEDULES && name_count > 0; i++) {
        char expression[EXPRESSION_SIZE];
        size_t zone = rng_below(&rng, name_count);
        zones[zone] = zones[zone] == NULL ? zone_of_system(names[zone]) : zones[zone];
        draw_expression(&rng, expression);
        schedules[i].rules = draw_rules(&rng);
        schedules[i].zone = zones[zone];
        if (zones[zone] == NULL || calendar_parse(expression, &schedules[i].calendar, NULL) != 0) {
            return false;
        }
    }
    return name_count > 0;
}

static bool measure_schedules(void)
{
    static struct schedule schedules[SCHEDULES];
    int64_t *durations_ns = timing_create(SWEEPS);
    int64_t total_ns = 0;
    if (!draw_schedules(schedules)) {
        free(durations_ns);
        return false;
    }
    for (size_t sweep = 0; sweep < SWEEPS; sweep++) {
        int64_t after_s = BEGIN_S + (int64_t)sweep * (SPAN_S / SWEEPS);
        int64_t began_ns = clock_boot_ns();
        for (size_t i = 0; i < SCHEDULES; i++) {
            const struct schedule *is = &schedules[i];
            int64_t slot_s = 0;
            sum +=
                calendar_next(&is->calendar, &is->rules, is->zone, after_s, &slot_s) ? slot_s : 1;
        }
        durations_ns[sweep] = clock_boot_ns() - began_ns;
        total_ns += durations_ns[sweep];
    }
    timing_print("schedules", durations_ns, SWEEPS, total_ns);
    free(durations_ns);
    return true;
}

static int64_t offset_of_library(int64_t instant_s)
{
    time_t instant = (time_t)instant_s;
    struct tm shown;
    return localtime_r(&instant, &shown) == NULL ? 0 : shown.tm_gmtoff;
}

/* zone NULL: the C library's answer. */
static void measure_offset(const char *name, const struct zone *zone, size_t count)
{
    struct rng rng;
    rng_init(&rng, 1);
    int64_t *durations_ns = timing_create(count);
    int64_t total_ns = 0;
    for (size_t batch = 0; batch < count; batch++) {
        int64_t instants[BATCH];
        fill(&rng, instants);
        int64_t began_ns = clock_boot_ns();
        for (size_t i = 0; i < BATCH; i++) {
            sum += zone == NULL ? offset_of_library(instants[i]) : zone_offset_s(zone, instants[i]);
        }
        durations_ns[batch] = clock_boot_ns() - began_ns;
        total_ns += durations_ns[batch];
    }
    timing_print(name, durations_ns, count, total_ns);
    free(durations_ns);
}

static bool measure_offsets(size_t count)
{
    struct zone *zone = zone_of_system(ZONE);
    if (zone == NULL || setenv("TZ", ":" ZONES_FOLDER "/" ZONE, 1) != 0) {
        return false;
    }
    tzset();
    measure_offset("offset", zone, count);
    measure_offset("offset_of_library", NULL, count);
    zone_destroy(&zone);
    return true;
}

int main(int argc, char **argv)
{
    size_t count = argc == 2 ? timing_read_count(argv[1]) : 0;
    if (count == 0) {
        (void)fprintf(stderr, "usage: bench_calendar_next COUNT\n");
        return 2;
    }
    bool good = true;
    for (size_t i = 0; good && i < sizeof questions / sizeof questions[0]; i++) {
        good = measure_question(questions[i].name, questions[i].expression, count);
    }
    good = good && measure_schedules() && measure_offsets(count);
    (void)fprintf(stderr, "sum %lld\n", (long long)sum);
    return good ? 0 : 1;
}
