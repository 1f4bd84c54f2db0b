#include "tests/unit/calendar/zones.h"
#include "tests/unit/calendar/tzif.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAMES_MAX 1024
#define FIRST_S INT64_C(820454400) /* 1996 */
#define LAST_S INT64_C(2366841600) /* 2045 */

struct zone *zone_of_footer(const char *footer, struct err *err)
{
    static const int32_t offset_s = 0;
    uint8_t bytes[1024];
    struct zone *ret = NULL;
    const struct tzif file = {.type_count = 1, .offsets = &offset_s, .footer = footer};
    size_t length = tzif_encode(&file, bytes, sizeof bytes);
    return zone_decode(bytes, length, "of-footer", &ret, err) == 0 ? ret : NULL;
}

struct zone *zone_of_system(const char *name)
{
    static uint8_t bytes[ZONE_BYTES_MAX];
    char path[512];
    struct zone *ret = NULL;
    struct err err = {.msg = "it cannot be read; is tzdata installed?"};
    (void)snprintf(path, sizeof path, "%s/%s", ZONES_FOLDER, name);
    FILE *file = fopen(path, "rb");
    size_t length = file == NULL ? 0 : fread(bytes, 1, sizeof bytes, file);
    if (file == NULL || fclose(file) != 0 || zone_decode(bytes, length, name, &ret, &err) != 0) {
        (void)fprintf(stderr, "%s: %s\n", path, err.msg);
        return NULL;
    }
    return ret;
}

/* ---- names ---- */

/* Half an hour, two hours, negative, a minute past midnight, a lost day, none. */
static const char *const unusual[] = {
    "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca", "Europe/Dublin",
    "America/St_Johns",    "Pacific/Apia",     "Asia/Tehran",       "America/Scoresbysund",
    "Asia/Gaza",           "Africa/Cairo",     "America/Sao_Paulo", "Europe/Berlin",
    "America/New_York",    "Asia/Kathmandu",   "Etc/UTC",           "Pacific/Kiritimati"};
#define UNUSUAL (sizeof unusual / sizeof unusual[0])

/* Country codes, coordinates, name, remarks; between them tabulators. */
static char *name_of_line(char *line)
{
    if (line[0] == '#') {
        return NULL;
    }
    char *rest = line;
    (void)strsep(&rest, "\t\n");
    (void)strsep(&rest, "\t\n");
    char *name = strsep(&rest, "\t\n");
    return name == NULL ? NULL : strdup(name);
}

size_t zone_names(const char *const **ret)
{
    static const char *names[NAMES_MAX];
    static size_t count;
    char line[512];
    *ret = names;
    if (count > 0) {
        return count;
    }
    FILE *file = fopen(ZONES_FOLDER "/zone1970.tab", "r");
    if (file == NULL) {
        (void)fprintf(stderr, "no zone1970.tab in %s; is tzdata installed?\n", ZONES_FOLDER);
        return 0;
    }
    memcpy(names, unusual, sizeof unusual);
    count = UNUSUAL;
    while (count < NAMES_MAX && fgets(line, sizeof line, file) != NULL) {
        const char *name = name_of_line(line);
        if (name != NULL) {
            names[count++] = name;
        }
    }
    (void)fclose(file);
    return count;
}

/* ---- instants ---- */

int64_t instant(const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M", &tm);
    if (end != NULL && *end == ':') {
        end = strptime(end, ":%S", &tm);
    }
    if (end == NULL || *end != '\0') {
        (void)fprintf(stderr, "\"%s\" is no instant\n", text);
        abort();
    }
    return timegm(&tm);
}

const char *instant_text(int64_t instant_s)
{
    static char texts[8][32];
    static size_t next;
    char *ret = texts[next++ % 8];
    time_t value = (time_t)instant_s;
    struct tm tm;
    if (gmtime_r(&value, &tm) == NULL || strftime(ret, sizeof texts[0], "%FT%T", &tm) == 0) {
        (void)snprintf(ret, sizeof texts[0], "?");
    }
    return ret;
}

/* ---- random schedules ---- */

/* One of: anything, a number, a list, a range, a step; `any_percent`: how often anything. */
static void draw_field(struct rng *rng, int64_t least, int64_t most, uint64_t any_percent,
                       char *ret, size_t size)
{
    int first = (int)rng_between(rng, least, most);
    int second = (int)rng_between(rng, first, most);
    int step = (int)rng_between(rng, 1, most > 20 ? 20 : most);
    if (rng_below(rng, 100) < any_percent) {
        (void)snprintf(ret, size, "*");
        return;
    }
    switch (rng_below(rng, 6)) {
    case 0:
        (void)snprintf(ret, size, "%d", first);
        return;
    case 1:
        (void)snprintf(ret, size, "%d,%d", second, first);
        return;
    case 2:
        (void)snprintf(ret, size, "%d-%d", first, second);
        return;
    case 3:
        (void)snprintf(ret, size, "*/%d", step);
        return;
    case 4:
        (void)snprintf(ret, size, "%d-%d/%d", first, second, step);
        return;
    default:
        (void)snprintf(ret, size, "%d/%d,%d", second, step, first);
        return;
    }
}

void draw_expression(struct rng *rng, char ret[EXPRESSION_SIZE])
{
    char fields[5][24];
    bool is_night = rng_below(rng, 2) == 0; /* when clocks are changed */
    draw_field(rng, 0, 59, 20, fields[0], sizeof fields[0]);
    draw_field(rng, 0, is_night ? 3 : 23, 40, fields[1], sizeof fields[1]);
    draw_field(rng, 1, 31, 60, fields[2], sizeof fields[2]);
    draw_field(rng, 1, 12, 75, fields[3], sizeof fields[3]);
    draw_field(rng, 0, 7, 60, fields[4], sizeof fields[4]);
    (void)snprintf(ret, EXPRESSION_SIZE, "%s %s %s %s %s", fields[0], fields[1], fields[2],
                   fields[3], fields[4]);
}

struct calendar_rules draw_rules(struct rng *rng)
{
    return (struct calendar_rules){.gap = (enum calendar_gap)rng_below(rng, 2),
                                   .fold = (enum calendar_fold)rng_below(rng, 3),
                                   .anchor_s = rng_between(rng, FIRST_S, LAST_S)};
}

int64_t draw_change(struct rng *rng, const struct zone *zone)
{
    int64_t instant_s = rng_between(rng, FIRST_S, LAST_S);
    struct zone_stretch stretch;
    zone_stretch(zone, instant_s, &stretch);
    int64_t change_s = stretch.end_s < LAST_S ? stretch.end_s : stretch.begin_s;
    change_s = change_s < FIRST_S ? instant_s : change_s;
    return change_s + rng_between(rng, -7200, 7200);
}
