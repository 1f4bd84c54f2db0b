#include "managers/pm2/logs/policy.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_LONGEST_S INT64_C(93600) /* 26 hours: summer time ends, or a zone changes */
#define BACKOFF_FIRST_MS 30000
#define BACKOFF_LONGEST_MS 3600000

enum rotation_due policy_due(const struct rotation_policy *policy, int64_t bytes, int64_t since_ms,
                             int64_t midnight_ms)
{
    if (!policy->rotate || bytes <= 0) {
        return ROTATION_NOT_DUE;
    }
    if (bytes >= policy->max_bytes) {
        return ROTATION_DUE_SIZE;
    }
    return policy->daily && since_ms < midnight_ms ? ROTATION_DUE_DAY : ROTATION_NOT_DUE;
}

int64_t policy_local_day(int64_t wall_s)
{
    time_t seconds = (time_t)wall_s;
    struct tm parts;
    if (localtime_r(&seconds, &parts) == NULL) {
        return wall_s / 86400;
    }
    return (int64_t)(parts.tm_year + 1900) * 400 + parts.tm_yday;
}

int64_t policy_midnight_ms(int64_t wall_ms, policy_day_fn *day)
{
    int64_t in_s = wall_ms / 1000;
    int64_t before_s = in_s - DAY_LONGEST_S;
    int64_t today = day(in_s);
    while (in_s - before_s > 1) {
        int64_t middle_s = before_s + (in_s - before_s) / 2;
        if (day(middle_s) >= today) {
            in_s = middle_s;
        } else {
            before_s = middle_s;
        }
    }
    return in_s * 1000;
}

/* ---- names ---- */

bool policy_stamp(int64_t wall_ms, char ret[POLICY_STAMP_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    return localtime_r(&seconds, &parts) != NULL &&
           strftime(ret, POLICY_STAMP_SIZE, "%Y-%m-%dT%H-%M-%S", &parts) == POLICY_STAMP_SIZE - 1;
}

/* The length without `ending`, when it ends so. */
static bool cut_ending(const char *name, size_t *length, const char *ending)
{
    size_t tail = strlen(ending);
    if (*length <= tail || memcmp(name + *length - tail, ending, tail) != 0) {
        return false;
    }
    *length -= tail;
    return true;
}

/* "_NNN": sorts behind the first one of that second, packed or not. */
static void cut_number(const char *name, size_t *length)
{
    size_t digits = 0;
    while (digits < 3 && digits < *length && isdigit((unsigned char)name[*length - digits - 1])) {
        digits++;
    }
    if (digits == 3 && *length > 4 && name[*length - 4] == '_') {
        *length -= 4;
    }
}

static bool is_stamp(const char *text)
{
    static const char form[] = "0000-00-00T00-00-00";
    static_assert(sizeof form == POLICY_STAMP_SIZE, "a stamp's size");
    for (size_t i = 0; form[i] != '\0'; i++) {
        if (form[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != form[i]) {
            return false;
        }
    }
    return true;
}

bool rotated_name_parse(const char *name, struct rotated_name *ret)
{
    const size_t stamp = POLICY_STAMP_SIZE - 1;
    size_t length = strlen(name);
    struct rotated_name found = {0};
    found.part = cut_ending(name, &length, ".part");
    found.packed = cut_ending(name, &length, ".gz");
    cut_number(name, &length);
    if (length <= stamp + 1 || name[length - stamp - 1] != '.' ||
        !is_stamp(name + length - stamp)) {
        return false;
    }
    found.base_length = length - stamp - 1;
    *ret = found;
    return true;
}

/* ---- what goes ---- */

struct group {
    size_t oldest; /* row that is not dropped */
    size_t end;
    int64_t bytes;
};

static void drop_row(struct rotated *row, int64_t *total)
{
    row->drop = true;
    *total -= row->bytes;
}

static struct group *largest(struct group *groups, size_t count)
{
    struct group *ret = NULL;
    for (size_t i = 0; i < count; i++) {
        if (groups[i].oldest < groups[i].end && (ret == NULL || groups[i].bytes > ret->bytes)) {
            ret = &groups[i];
        }
    }
    return ret;
}

static size_t make_groups(const struct rotated *rows, size_t count, struct group *groups)
{
    size_t ret = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || rows[i].group != rows[i - 1].group) {
            groups[ret++] = (struct group){.oldest = i};
        }
        struct group *group = &groups[ret - 1];
        group->end = i + 1;
        if (rows[i].drop) {
            group->oldest = i + 1; /* what is expired is the oldest */
        } else {
            group->bytes += rows[i].bytes;
        }
    }
    return ret;
}

static size_t count_dropped(const struct rotated *rows, size_t count)
{
    size_t ret = 0;
    for (size_t i = 0; i < count; i++) {
        ret += rows[i].drop;
    }
    return ret;
}

size_t policy_sweep(const struct rotation_policy *policy, struct rotated *rows, size_t count,
                    int64_t now_ms)
{
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += rows[i].bytes;
        rows[i].drop = false;
        if (rows[i].made_ms < now_ms - policy->keep_ms) {
            drop_row(&rows[i], &total);
        }
    }
    struct group *groups = calloc(count + 1, sizeof *groups);
    size_t group_count = groups != NULL ? make_groups(rows, count, groups) : 0;
    while (total > policy->budget_bytes) {
        struct group *group = largest(groups, group_count);
        if (group == NULL) {
            break; /* out of memory: the next sweep goes on */
        }
        group->bytes -= rows[group->oldest].bytes;
        drop_row(&rows[group->oldest++], &total);
    }
    free(groups);
    return count_dropped(rows, count);
}

int64_t policy_backoff_ms(unsigned failures)
{
    int64_t pause_ms = BACKOFF_FIRST_MS;
    while (failures > 1 && pause_ms < BACKOFF_LONGEST_MS) {
        pause_ms *= 2;
        failures--;
    }
    return pause_ms < BACKOFF_LONGEST_MS ? pause_ms : BACKOFF_LONGEST_MS;
}
