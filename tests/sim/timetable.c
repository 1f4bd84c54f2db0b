#include "tests/sim/timetable.h"

#include "node/base/invariant.h"
#include "node/base/rng.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_S 60
#define HOUR_MINUTES 60
#define DAY_HOURS 24
#define FORWARD_S (WORLD_WALL_START_S + 640) /* both lie on a whole minute */
#define BACK_S (WORLD_WALL_START_S + 1600)
#define OFFSET_S 4200 /* of local time, ahead of UTC */
#define OFFSET_FORWARD_S 4800
#define ZONE_UTC "UTC"
#define ZONE_CHANGES "Sim/Changes"

struct timetable {
    uint64_t seed;
    int64_t rate; /* seconds of wall time in a second */
    struct zone *utc;
    struct zone *changes;
};

/* ---- zones ---- */

struct tzif {
    size_t length;
    uint8_t bytes[512];
};

static void put_byte(struct tzif *self, uint8_t byte)
{
    invariant(self->length < sizeof self->bytes);
    self->bytes[self->length++] = byte;
}

static void put_number(struct tzif *self, int64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) {
        put_byte(self, (uint8_t)((uint64_t)value >> (8 * i)));
    }
}

static void put_text(struct tzif *self, const char *text)
{
    for (; *text != '\0'; text++) {
        put_byte(self, (uint8_t)*text);
    }
}

/* RFC 9636, 3.1: counts of UT and standard indicators, leap seconds, changes, types, characters. */
static void put_header(struct tzif *self, int64_t changes, int64_t types)
{
    put_text(self, "TZif2");
    for (int i = 0; i < 15; i++) {
        put_byte(self, 0);
    }
    const int64_t counts[] = {0, 0, 0, changes, types, 4};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        put_number(self, counts[i], 4);
    }
}

static void put_type(struct tzif *self, int64_t offset_s, uint8_t summer)
{
    put_number(self, offset_s, 4);
    put_byte(self, summer);
    put_byte(self, 0); /* its name begins there */
}

static void put_name(struct tzif *self)
{
    put_text(self, "SIM");
    put_byte(self, 0);
}

static struct zone *make_zone(const char *name, int64_t offset_s, bool changes, const char *footer)
{
    struct tzif tzif = {.length = 0};
    put_header(&tzif, 0, 1); /* the block of version 1 says nothing */
    put_type(&tzif, 0, 0);
    put_name(&tzif);
    put_header(&tzif, changes ? 2 : 0, changes ? 2 : 1);
    if (changes) {
        put_number(&tzif, FORWARD_S, 8);
        put_number(&tzif, BACK_S, 8);
        put_byte(&tzif, 1);
        put_byte(&tzif, 0);
    }
    put_type(&tzif, offset_s, 0);
    if (changes) {
        put_type(&tzif, OFFSET_FORWARD_S, 1);
    }
    put_name(&tzif);
    put_text(&tzif, footer);
    struct zone *zone = NULL;
    struct err err = {0};
    int code = zone_decode(tzif.bytes, tzif.length, name, &zone, &err);
    invariant(code == 0);
    return zone;
}

struct timetable *timetable_create(const struct options *options, uint64_t seed)
{
    struct timetable *self = calloc(1, sizeof *self);
    invariant(self != NULL);
    self->seed = seed;
    self->rate = options->wall_rate;
    self->utc = make_zone(ZONE_UTC, 0, false, "\nUTC0\n");
    self->changes = make_zone(ZONE_CHANGES, OFFSET_S, true, "\n<+0110>-1:10\n");
    return self;
}

void timetable_destroy(struct timetable **self_p)
{
    struct timetable *self = *self_p;
    if (self == NULL) {
        return;
    }
    zone_destroy(&self->utc);
    zone_destroy(&self->changes);
    free(self);
    *self_p = NULL;
}

const struct zone *timetable_zone(void *context, const char *name)
{
    const struct timetable *self = context;
    if (strcmp(name, ZONE_UTC) == 0) {
        return self->utc;
    }
    return strcmp(name, ZONE_CHANGES) == 0 ? self->changes : NULL;
}

/* ---- names ---- */

void timetable_name(int schedule, char ret[SCHEDULE_ID_SIZE])
{
    (void)snprintf(ret, SCHEDULE_ID_SIZE, TIMETABLE_MANAGER "/s%d", schedule);
}

int timetable_number(const char *id)
{
    static const char prefix[] = TIMETABLE_MANAGER "/s";
    size_t length = sizeof prefix - 1;
    if (strncmp(id, prefix, length) != 0 || id[length] < '0' || id[length + 1] != '\0') {
        return -1;
    }
    int number = id[length] - '0';
    return number < SIM_SCHEDULES_MAX ? number : -1;
}

/* ---- plans ---- */

#define AT(hour) ((uint32_t)1 << (hour))

/* Local time begins at 22:13 (UTC) or 23:23. */
static const struct {
    const char *text;
    int minute_from;
    int minute_step;
    uint32_t hours;
} crons[] = {
    {"* * * * *", 0, 1, 0},
    {"*/2 * * * *", 0, 2, 0},
    {"1-59/3 * * * *", 1, 3, 0},
    {"*/3 23,0 * * *", 0, 3, AT(23) | AT(0)},
    {"*/4 0 * * *", 0, 4, AT(0)},
    {"2-59/5 22,23,0 * * *", 2, 5, AT(22) | AT(23) | AT(0)},
    {"45 22-23 * * *", 45, HOUR_MINUTES, AT(22) | AT(23)},
    {"30 * * * *", 30, HOUR_MINUTES, 0},
};

#define CRON_COUNT ((int64_t)(sizeof crons / sizeof crons[0]))

static void plan_times(const struct timetable *self, struct rng *rng, struct plan *ret)
{
    static const int64_t periods_s[] = {1, 2, 3, 5, 7};
    struct schedule_definition *is = &ret->is;
    bool changes = rng_below(rng, 2) != 0;
    (void)snprintf(is->zone, sizeof is->zone, "%s", changes ? ZONE_CHANGES : ZONE_UTC);
    is->gap = rng_below(rng, 3) == 0 ? CALENDAR_GAP_SKIP : CALENDAR_GAP_NEXT;
    is->fold = (enum calendar_fold)rng_below(rng, 3);
    is->anchor_s = WORLD_WALL_START_S - 3600 - rng_between(rng, 0, 1000);
    bool cron = self->rate >= 20 && rng_below(rng, 100) < 60;
    if (cron) {
        size_t which = (size_t)rng_between(rng, 0, CRON_COUNT - 1);
        (void)snprintf(is->expression, sizeof is->expression, "%s", crons[which].text);
        ret->minute_from = crons[which].minute_from;
        ret->minute_step = crons[which].minute_step;
        ret->hours = crons[which].hours;
        return;
    }
    int64_t scale = self->rate / 3 > 1 ? self->rate / 3 : 1;
    ret->every_s = periods_s[rng_below(rng, 5)] * scale;
    (void)snprintf(is->expression, sizeof is->expression, "every %" PRId64 "s", ret->every_s);
}

void timetable_plan(const struct timetable *self, int schedule, uint32_t edition, struct plan *ret)
{
    struct rng rng;
    uint64_t digest = ((uint64_t)schedule + 1) << 32 | edition;
    rng_init(&rng, self->seed * UINT64_C(0x9e3779b97f4a7c15) ^ digest);
    memset(ret, 0, sizeof *ret);
    plan_times(self, &rng, ret);
    struct schedule_definition *is = &ret->is;
    const int64_t start_s[] = {0, self->rate / 2, self->rate * 2, self->rate * 10};
    is->digest = digest;
    is->overlap = (enum schedule_overlap)rng_below(&rng, 3);
    is->misfire = (enum schedule_misfire)rng_below(&rng, 3);
    is->misfire_cap = (uint32_t)rng_between(&rng, 1, 3);
    is->misfire_window_s = self->rate * rng_between(&rng, 2, 30);
    is->start_deadline_s = start_s[rng_below(&rng, 4)];
    is->min_runtime_s = rng_below(&rng, 6) == 0 ? self->rate / 2 : 0;
    is->retries = (uint32_t)rng_below(&rng, 3);
    is->backoff_s = self->rate / 2;
    is->backoff_max_s = self->rate * 2;
    is->retry_unknown = rng_below(&rng, 100) < 40;
    is->priority = rng_between(&rng, 0, 3);
}

bool timetable_plan_of(const struct timetable *self, const struct schedule_definition *is,
                       struct plan *ret)
{
    uint64_t schedule = is->digest >> 32;
    if (schedule == 0 || schedule > SIM_SCHEDULES_MAX) {
        return false;
    }
    timetable_plan(self, (int)schedule - 1, (uint32_t)is->digest, ret);
    return strcmp(ret->is.expression, is->expression) == 0;
}

/* ---- the walk ---- */

static bool fits(const struct plan *plan, int64_t local_s)
{
    int64_t minutes = local_s / MINUTE_S;
    int minute = (int)(minutes % HOUR_MINUTES);
    int hour = (int)(minutes / HOUR_MINUTES % DAY_HOURS);
    return minute >= plan->minute_from && (minute - plan->minute_from) % plan->minute_step == 0 &&
           (plan->hours == 0 || (plan->hours & AT(hour)) != 0);
}

/* Instants at which the clock shows what it shows at `instant_s`: before it and after it. */
static void count_others(const struct zone *zone, int64_t instant_s, int *ret_before,
                         int *ret_after)
{
    static const int64_t offsets_s[] = {0, OFFSET_S, OFFSET_FORWARD_S};
    int64_t local_s = instant_s + zone_offset_s(zone, instant_s);
    *ret_before = 0;
    *ret_after = 0;
    for (size_t i = 0; i < sizeof offsets_s / sizeof offsets_s[0]; i++) {
        int64_t other_s = local_s - offsets_s[i];
        if (zone_offset_s(zone, other_s) == offsets_s[i]) {
            *ret_before += other_s < instant_s ? 1 : 0;
            *ret_after += other_s > instant_s ? 1 : 0;
        }
    }
}

/* The clock goes forward at that instant, over a time that fits. */
static bool leaves_out(const struct plan *plan, const struct zone *zone, int64_t instant_s)
{
    int64_t begin_s = instant_s + zone_offset_s(zone, instant_s - 1);
    int64_t end_s = instant_s + zone_offset_s(zone, instant_s);
    for (int64_t local_s = begin_s; local_s < end_s; local_s += MINUTE_S) {
        if (fits(plan, local_s)) {
            return true;
        }
    }
    return false;
}

/* A schedule for every hour follows real time; the policies are for the others. */
static bool is_slot(const struct plan *plan, const struct zone *zone, int64_t instant_s)
{
    bool fitting = fits(plan, instant_s + zone_offset_s(zone, instant_s));
    if (plan->hours == 0) {
        return fitting;
    }
    if (plan->is.gap == CALENDAR_GAP_NEXT && leaves_out(plan, zone, instant_s)) {
        return true;
    }
    int before;
    int after;
    count_others(zone, instant_s, &before, &after);
    bool chosen = plan->is.fold == CALENDAR_FOLD_BOTH ||
                  (plan->is.fold == CALENDAR_FOLD_FIRST ? before == 0 : after == 0);
    return fitting && chosen;
}

int64_t timetable_next(const struct timetable *self, const struct plan *plan, int64_t after_s,
                       int64_t until_s)
{
    if (plan->every_s > 0) {
        int64_t passed_s = after_s - plan->is.anchor_s;
        invariant(passed_s >= 0);
        int64_t next_s = plan->is.anchor_s + (passed_s / plan->every_s + 1) * plan->every_s;
        return next_s <= until_s ? next_s : INT64_MAX;
    }
    const struct zone *zone = strcmp(plan->is.zone, ZONE_UTC) == 0 ? self->utc : self->changes;
    for (int64_t at_s = (after_s / MINUTE_S + 1) * MINUTE_S; at_s <= until_s; at_s += MINUTE_S) {
        if (is_slot(plan, zone, at_s)) {
            return at_s;
        }
    }
    return INT64_MAX;
}
