/* Any text as an expression: refused with a reason, or its slots rise, fit and do not depend on
 * where one begins to look. The first four bytes choose zone, policies and where the walk
 * begins. */
#include "consensus/calendar.h"
#include "node/base/invariant.h"
#include "tests/unit/calendar/tzif.h"

#include <string.h>

#define CHOICE_BYTES 4
#define SLOTS 12
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* North, south, half an hour, two hours, behind in summer, none; and changes an hour apart. */
static const char *const footers[] = {"CET-1CEST,M3.5.0,M10.5.0/3",
                                      "NZST-12NZDT,M9.5.0,M4.1.0/3",
                                      "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
                                      "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3",
                                      "IST-1GMT0,M10.5.0,M3.5.0/1",
                                      "UTC0",
                                      "XXX0YYY,M1.1.1/0,M1.1.1/2"};

static struct zone *zones[COUNT(footers)];

static void make_zones(void)
{
    static const int32_t offset_s = 0;
    for (size_t i = 0; zones[i % COUNT(zones)] == NULL; i++) {
        uint8_t bytes[1024];
        const struct tzif file = {.type_count = 1, .offsets = &offset_s, .footer = footers[i]};
        size_t length = tzif_encode(&file, bytes, sizeof bytes);
        invariant(zone_decode(bytes, length, "made", &zones[i], NULL) == 0);
    }
}

static void check_slots(const struct calendar *calendar, const struct calendar_rules *rules,
                        const struct zone *zone, int64_t before_s)
{
    int64_t slot_s;
    for (int i = 0; i < SLOTS && calendar_next(calendar, rules, zone, before_s, &slot_s); i++) {
        int64_t again_s;
        invariant(slot_s > before_s);
        if (slot_s > ZONE_INSTANT_MAX) {
            return;
        }
        invariant(calendar_next(calendar, rules, zone, slot_s - 1, &again_s) && again_s == slot_s);
        int64_t between_s = before_s + (slot_s - before_s) / 2;
        invariant(calendar_next(calendar, rules, zone, between_s, &again_s) && again_s == slot_s);
        before_s = slot_s;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char text[2 * CALENDAR_TEXT_MAX];
    struct calendar calendar;
    struct err err = {0};
    if (length < CHOICE_BYTES || length - CHOICE_BYTES >= sizeof text) {
        return 0;
    }
    make_zones();
    memcpy(text, bytes + CHOICE_BYTES, length - CHOICE_BYTES);
    text[length - CHOICE_BYTES] = '\0';
    int rc = calendar_parse(text, &calendar, &err);
    if (rc != 0) {
        invariant(rc == ERR_INVALID && rc == err.code && err.msg[0] != '\0');
        invariant(strlen(err.msg) < sizeof err.msg - 1); /* not cut off */
        return 0;
    }
    invariant(strlen(text) <= CALENDAR_TEXT_MAX);
    invariant(calendar.every_s > 0 ||
              (calendar.minutes != 0 && calendar.hours != 0 && calendar.days != 0 &&
               calendar.months != 0 && calendar.weekdays != 0));
    /* From 1900 to 2500, in steps of a good three days. */
    int64_t begin_s = ZONE_INSTANT_MIN + (int64_t)(bytes[2] << 8 | bytes[3]) * 288857;
    const struct calendar_rules rules = {.gap = (enum calendar_gap)(bytes[1] % 2),
                                         .fold = (enum calendar_fold)(bytes[1] / 2 % 3),
                                         .anchor_s = begin_s - bytes[1]};
    check_slots(&calendar, &rules, zones[bytes[0] % COUNT(zones)], begin_s);
    return 0;
}
