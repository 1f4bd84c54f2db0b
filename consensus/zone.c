#include "consensus/zone.h"
#include "consensus/zone_rule.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* RFC 9636, sections 3.1 and 3.2. */
#define HEADER_BYTES 44
#define TYPE_BYTES 6
#define TIME_BYTES 8 /* 4 in the block of version 1 */

/* The largest zones of the database have 310 changes, 18 types, footers of 44 characters. */
#define LISTED_MAX 4096
#define TYPES_MAX 256
#define FOOTER_MAX 128
#define OFFSET_BOUND INT64_C(93600) /* 26 h; RFC 9636, 3.2: -25:59:59 to 25:59:59 */

/* Two in each year from 1899 to 2501, and the last end. */
#define RULE_CHANGES_MAX (2 * 603 + 1)

struct change {
    int64_t at_s;
    int32_t offset_s; /* from then on */
};

/* What the footer's rule says is written out up to ZONE_INSTANT_MAX, so that every question is a
 * search in one list. */
struct zone {
    char name[ZONE_NAME_SIZE];
    int32_t first_s; /* the offset at ZONE_INSTANT_MIN */
    size_t count;
    struct change *changes; /* rising in time, each to another offset, after ZONE_INSTANT_MIN */
};

static int64_t clamp(int64_t instant_s)
{
    instant_s = instant_s < ZONE_INSTANT_MIN ? ZONE_INSTANT_MIN : instant_s;
    return instant_s > ZONE_INSTANT_MAX ? ZONE_INSTANT_MAX : instant_s;
}

/* The offset when `past` changes have passed. */
static int32_t offset_after(const struct zone *self, size_t past)
{
    return past == 0 ? self->first_s : self->changes[past - 1].offset_s;
}

/* ---- the list of changes ---- */

static void add_change(struct zone *self, int64_t at_s, int32_t offset_s)
{
    if (at_s <= ZONE_INSTANT_MIN) {
        self->first_s = offset_s;
    } else if (at_s <= ZONE_INSTANT_MAX && offset_s != offset_after(self, self->count)) {
        self->changes[self->count++] = (struct change){at_s, offset_s};
    }
}

/* A rule's change counts after the last listed one. */
static void add_by_rule(struct zone *self, int64_t listed_s, int64_t at_s, int32_t offset_s)
{
    if (at_s > listed_s) {
        add_change(self, at_s, offset_s);
    }
}

/* Saving times that touch or overlap are one: so a rule tells that it lasts all year. */
static void add_rule(struct zone *self, const struct zone_rule *rule, int64_t listed_s)
{
    int64_t last_year = zone_rule_year(ZONE_INSTANT_MAX) + 1;
    int64_t saving_until_s = INT64_MIN;
    for (int64_t year = zone_rule_year(clamp(listed_s)) - 1; year <= last_year; year++) {
        int64_t begin_s;
        int64_t end_s;
        if (!zone_rule_saving(rule, year, &begin_s, &end_s)) {
            continue;
        }
        if (begin_s > saving_until_s) {
            add_by_rule(self, listed_s, saving_until_s, rule->standard_s);
            add_by_rule(self, listed_s, begin_s, rule->saving_s);
        }
        saving_until_s = end_s > saving_until_s ? end_s : saving_until_s;
    }
    add_by_rule(self, listed_s, saving_until_s, rule->standard_s);
}

/* ---- the file ---- */

struct counts {
    uint32_t utc, standard, leap, time, type, chars;
};

/* What the decoder looks at: the block with times of 64 bits. */
struct block {
    struct counts counts;
    const uint8_t *times;   /* TIME_BYTES each */
    const uint8_t *indexes; /* a byte for each time: which type begins */
    const uint8_t *types;   /* TYPE_BYTES each, the offset first */
    struct zone_rule rule;
    bool has_rule;
};

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static int64_t read_i64(const uint8_t *bytes)
{
    return (int64_t)((uint64_t)read_u32(bytes) << 32 | read_u32(bytes + 4));
}

/* False: no header, or counts beyond all bounds (so that no sum of them overflows). */
static bool read_header(const uint8_t *bytes, size_t length, struct counts *ret)
{
    if (length < HEADER_BYTES || memcmp(bytes, "TZif", 4) != 0) {
        return false;
    }
    *ret = (struct counts){.utc = read_u32(bytes + 20),
                           .standard = read_u32(bytes + 24),
                           .leap = read_u32(bytes + 28),
                           .time = read_u32(bytes + 32),
                           .type = read_u32(bytes + 36),
                           .chars = read_u32(bytes + 40)};
    return ret->time <= LISTED_MAX && ret->type <= TYPES_MAX && ret->utc <= TYPES_MAX &&
           ret->standard <= TYPES_MAX && ret->leap <= LISTED_MAX && ret->chars <= ZONE_BYTES_MAX;
}

static size_t body_bytes(const struct counts *counts, size_t time_bytes)
{
    return counts->time * (time_bytes + 1) + (size_t)counts->type * TYPE_BYTES + counts->chars +
           counts->leap * (time_bytes + 4) + counts->standard + counts->utc;
}

static int malformed(const struct zone *self, struct err *err, const char *what)
{
    (void)err_set(err, ERR_INVALID, "zone %s: %s", self->name, what);
    return ERR_INVALID;
}

/* Between two newlines; empty: nobody knows what comes after the last listed change. */
static int read_footer(const struct zone *self, const uint8_t *bytes, size_t length,
                       struct block *ret, struct err *err)
{
    const uint8_t *end = length > 1 ? memchr(bytes + 1, '\n', length - 1) : NULL;
    if (end == NULL || bytes[0] != '\n' || end - bytes > FOOTER_MAX) {
        return malformed(self, err, "its footer is missing or too long");
    }
    size_t text_length = (size_t)(end - bytes) - 1;
    ret->has_rule = text_length > 0;
    if (ret->has_rule && !zone_rule_parse((const char *)bytes + 1, text_length, &ret->rule)) {
        return malformed(self, err, "its footer has no form that RFC 9636 knows");
    }
    return 0;
}

static int find_block(const struct zone *self, const uint8_t *bytes, size_t length,
                      struct block *ret, struct err *err)
{
    struct counts *counts = &ret->counts;
    if (length > ZONE_BYTES_MAX || !read_header(bytes, length, counts)) {
        return malformed(self, err, "this is no zone file (TZif)");
    }
    if (bytes[4] < '2') {
        return malformed(self, err, "its file is of version 1; install the package tzdata");
    }
    size_t skip = HEADER_BYTES + body_bytes(counts, 4);
    if (skip > length || !read_header(bytes + skip, length - skip, counts) ||
        skip + HEADER_BYTES + body_bytes(counts, TIME_BYTES) > length) {
        return malformed(self, err, "its file ends too early");
    }
    if (counts->leap > 0) {
        return malformed(self, err, "it counts leap seconds; take the zone without \"right/\"");
    }
    if (counts->type == 0) {
        return malformed(self, err, "its file has no type of local time");
    }
    ret->times = bytes + skip + HEADER_BYTES;
    ret->indexes = ret->times + (size_t)counts->time * TIME_BYTES;
    ret->types = ret->indexes + counts->time;
    size_t footer = skip + HEADER_BYTES + body_bytes(counts, TIME_BYTES);
    return read_footer(self, bytes + footer, length - footer, ret, err);
}

static int32_t type_offset(const struct block *block, size_t type)
{
    return (int32_t)read_u32(block->types + type * TYPE_BYTES);
}

static const char *problem_of(const struct block *block)
{
    for (size_t i = 0; i < block->counts.type; i++) {
        int32_t offset_s = type_offset(block, i);
        if (offset_s <= -OFFSET_BOUND || offset_s >= OFFSET_BOUND) {
            return "an offset of 26 hours or more";
        }
    }
    for (size_t i = 0; i < block->counts.time; i++) {
        const uint8_t *time = block->times + i * TIME_BYTES;
        if (block->indexes[i] >= block->counts.type) {
            return "a change to a type that is not there";
        }
        if (i > 0 && read_i64(time) <= read_i64(time - TIME_BYTES)) {
            return "its changes are not in order";
        }
    }
    return NULL;
}

static int fill(struct zone *self, const struct block *block, struct err *err)
{
    size_t listed = block->counts.time;
    bool goes_on = block->has_rule && block->rule.changes;
    self->changes = calloc(listed + (goes_on ? RULE_CHANGES_MAX : 1), sizeof *self->changes);
    if (self->changes == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for zone %s", self->name);
    }
    int64_t listed_s = INT64_MIN;
    self->first_s = type_offset(block, 0); /* RFC 9636, 3.2: before the first change */
    for (size_t i = 0; i < listed; i++) {
        listed_s = read_i64(block->times + i * TIME_BYTES);
        add_change(self, listed_s, type_offset(block, block->indexes[i]));
    }
    if (goes_on) {
        add_rule(self, &block->rule, listed_s);
    } else if (block->has_rule && listed == 0) {
        self->first_s = block->rule.standard_s;
    }
    return 0;
}

int zone_decode(const uint8_t *bytes, size_t length, const char *name, struct zone **ret,
                struct err *err)
{
    size_t name_length = strlen(name);
    if (name_length >= ZONE_NAME_SIZE) {
        return err_set(err, ERR_INVALID, "a zone's name has at most %d characters, not %zu",
                       ZONE_NAME_SIZE - 1, name_length);
    }
    struct zone *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for zone %s", name);
    }
    memcpy(self->name, name, name_length + 1);
    struct block block = {0};
    int rc = find_block(self, bytes, length, &block, err);
    const char *problem = rc == 0 ? problem_of(&block) : NULL;
    rc = problem != NULL ? malformed(self, err, problem) : rc;
    rc = rc == 0 ? fill(self, &block, err) : rc;
    if (rc != 0) {
        zone_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

void zone_destroy(struct zone **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    free((*self_p)->changes);
    free(*self_p);
    *self_p = NULL;
}

/* ---- questions ---- */

const char *zone_name(const struct zone *self)
{
    return self->name;
}

/* How many changes are at or before the instant. */
static size_t changes_until(const struct zone *self, int64_t instant_s)
{
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (self->changes[middle].at_s <= instant_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct zone_stretch stretch_after(const struct zone *self, size_t past)
{
    bool is_first = past == 0;
    bool is_last = past == self->count;
    return (struct zone_stretch){
        .begin_s = is_first ? INT64_MIN : self->changes[past - 1].at_s,
        .end_s = is_last ? INT64_MAX : self->changes[past].at_s,
        .offset_s = offset_after(self, past),
        .before_s = offset_after(self, is_first ? past : past - 1),
        .after_s = offset_after(self, is_last ? past : past + 1),
    };
}

int32_t zone_offset_s(const struct zone *self, int64_t instant_s)
{
    return offset_after(self, changes_until(self, clamp(instant_s)));
}

void zone_stretch(const struct zone *self, int64_t instant_s, struct zone_stretch *ret)
{
    *ret = stretch_after(self, changes_until(self, clamp(instant_s)));
}

/* Local time goes from far before `local_s` to far after it. So when no stretch has it, there are
 * two neighbours of which the first ends before it and the second begins after it. */
enum zone_fit zone_instants(const struct zone *self, int64_t local_s, int64_t ret[2])
{
    local_s = clamp(local_s);
    size_t fits = 0;
    int64_t gap_s = 0;
    bool has_passed = false; /* the stretch before ended before that local time */
    for (size_t past = changes_until(self, local_s - OFFSET_BOUND); past <= self->count; past++) {
        struct zone_stretch stretch = stretch_after(self, past);
        int64_t instant_s = local_s - stretch.offset_s;
        if (stretch.begin_s > local_s + OFFSET_BOUND) {
            break;
        }
        if (instant_s >= stretch.begin_s && instant_s < stretch.end_s) {
            ret[fits > 0 ? 1 : 0] = instant_s;
            fits++;
        } else if (has_passed && instant_s < stretch.begin_s) {
            gap_s = stretch.begin_s;
        }
        has_passed = instant_s >= stretch.end_s;
    }
    if (fits == 0) {
        ret[0] = gap_s;
        return ZONE_GAP;
    }
    return fits == 1 ? ZONE_ONCE : ZONE_FOLD;
}
