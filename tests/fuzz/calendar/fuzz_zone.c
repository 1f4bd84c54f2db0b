/* Any bytes as a zone file. What is read as a zone answers every question, at any instant, and the
 * answers agree with each other. */
#include "consensus/zone.h"
#include "node/base/invariant.h"
#include "node/base/rng.h"

#include <stdbool.h>
#include <stddef.h>

#define INSTANTS 64
#define DAY INT64_C(86400)
#define OFFSET_BOUND (26 * 3600)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check_stretch(const struct zone *zone, int64_t instant_s)
{
    struct zone_stretch stretch;
    zone_stretch(zone, instant_s, &stretch);
    int32_t offset_s = zone_offset_s(zone, instant_s);
    invariant(offset_s > -OFFSET_BOUND && offset_s < OFFSET_BOUND);
    invariant(stretch.offset_s == offset_s);
    invariant(stretch.begin_s <= instant_s && instant_s < stretch.end_s);
    if (stretch.begin_s == INT64_MIN) {
        invariant(stretch.before_s == offset_s);
    } else {
        invariant(stretch.begin_s > ZONE_INSTANT_MIN && stretch.before_s != offset_s);
        invariant(zone_offset_s(zone, stretch.begin_s) == offset_s);
        invariant(zone_offset_s(zone, stretch.begin_s - 1) == stretch.before_s);
    }
    if (stretch.end_s == INT64_MAX) {
        invariant(stretch.after_s == offset_s);
    } else {
        invariant(stretch.end_s <= ZONE_INSTANT_MAX && stretch.after_s != offset_s);
        invariant(zone_offset_s(zone, stretch.end_s) == stretch.after_s);
        invariant(zone_offset_s(zone, stretch.end_s - 1) == offset_s);
    }
}

static bool shows(const struct zone *zone, int64_t instant_s, int64_t local_s)
{
    return instant_s + zone_offset_s(zone, instant_s) == local_s;
}

static void check_local(const struct zone *zone, int64_t local_s)
{
    int64_t found[2];
    switch (zone_instants(zone, local_s, found)) {
    case ZONE_ONCE:
        invariant(shows(zone, found[0], local_s));
        return;
    case ZONE_FOLD:
        invariant(found[0] < found[1]);
        invariant(shows(zone, found[0], local_s) && shows(zone, found[1], local_s));
        return;
    case ZONE_GAP:
        invariant(found[0] + zone_offset_s(zone, found[0] - 1) <= local_s);
        invariant(found[0] + zone_offset_s(zone, found[0]) > local_s);
        return;
    }
}

/* That instant is among those of the local time that it shows. */
static void check_way_back(const struct zone *zone, int64_t instant_s)
{
    int64_t found[2];
    int64_t local_s = instant_s + zone_offset_s(zone, instant_s);
    enum zone_fit fit = zone_instants(zone, local_s, found);
    invariant(fit != ZONE_GAP);
    invariant(fit == ZONE_FOLD ? found[0] <= instant_s && instant_s <= found[1]
                               : found[0] == instant_s);
}

/* Anywhere, or next to a change. */
static int64_t draw_instant(struct rng *rng, const struct zone *zone)
{
    int64_t instant_s = rng_between(rng, ZONE_INSTANT_MIN + 3 * DAY, ZONE_INSTANT_MAX - 3 * DAY);
    struct zone_stretch stretch;
    zone_stretch(zone, instant_s, &stretch);
    if (rng_below(rng, 2) == 0 || stretch.end_s > ZONE_INSTANT_MAX - 3 * DAY ||
        stretch.end_s < ZONE_INSTANT_MIN + 3 * DAY) {
        return instant_s;
    }
    return stretch.end_s + rng_between(rng, -DAY, DAY);
}

static uint64_t hash(const uint8_t *bytes, size_t length)
{
    uint64_t ret = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < length; i++) {
        ret = (ret ^ bytes[i]) * UINT64_C(1099511628211);
    }
    return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct zone *zone = NULL;
    struct err err = {0};
    int rc = zone_decode(bytes, length, "any", &zone, &err);
    invariant((rc == 0) == (zone != NULL));
    if (rc != 0) {
        invariant(rc == err.code && err.msg[0] != '\0');
        return 0;
    }
    struct rng rng;
    rng_init(&rng, hash(bytes, length));
    for (int i = 0; i < INSTANTS; i++) {
        int64_t instant_s = draw_instant(&rng, zone);
        check_stretch(zone, instant_s);
        check_way_back(zone, instant_s);
        check_local(zone, instant_s);
    }
    int64_t found[2];
    (void)zone_instants(zone, INT64_MIN, found);
    (void)zone_instants(zone, INT64_MAX, found);
    invariant(zone_offset_s(zone, INT64_MIN) == zone_offset_s(zone, ZONE_INSTANT_MIN));
    invariant(zone_offset_s(zone, INT64_MAX) == zone_offset_s(zone, ZONE_INSTANT_MAX));
    zone_destroy(&zone);
    return 0;
}
