#include "managers/run/slot.h"

#include "node/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SLOT_LENGTH 16 /* "20261122T051500Z" */

/* The same instant with the signs of RFC 3339 in between. */
static bool read_slot(const char **at, int64_t *ret_s)
{
    char text[SLOT_TEXT_SIZE];
    const char *from = *at;
    if (strnlen(from, SLOT_LENGTH) < SLOT_LENGTH || from[8] != 'T' || from[15] != 'Z') {
        return false;
    }
    (void)snprintf(text, sizeof text, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", from, from + 4, from + 6,
                   from + 9, from + 11, from + 13);
    *at += SLOT_LENGTH;
    return clock_instant_parse(text, ret_s) && *ret_s > 0;
}

/* A whole number without sign or leading zero. */
static bool read_number(const char **at, uint64_t most, uint64_t *ret)
{
    uint64_t value = 0;
    if (**at < '1' || **at > '9') {
        return false;
    }
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (value > (most - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret = value;
    return true;
}

static bool read_attempt(const char **at, struct slot_name *ret)
{
    uint64_t attempt;
    ret->attempt = 1;
    ret->attempt_named = **at == '#';
    if (!ret->attempt_named) {
        return true;
    }
    (*at)++;
    if (!read_number(at, UINT32_MAX, &attempt)) {
        return false;
    }
    ret->attempt = (uint32_t)attempt;
    return true;
}

bool slot_parse(const char *prefix, const char *duty, struct slot_name *ret)
{
    size_t skipped = strlen(prefix);
    *ret = (struct slot_name){0};
    if (strncmp(duty, prefix, skipped) != 0) {
        return false;
    }
    const char *at = duty + skipped;
    size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (length == 0 || length >= NAME_SIZE || at[0] == '.' || at[length] != '@') {
        return false; /* it becomes part of a file's name */
    }
    memcpy(ret->schedule, at, length);
    at += length + 1;
    if (*at == 'm') {
        at++;
        if (!read_number(&at, UINT64_MAX, &ret->number)) {
            return false;
        }
    } else if (!read_slot(&at, &ret->slot_s)) {
        return false;
    }
    return read_attempt(&at, ret) && *at == '\0';
}

void slot_text(const struct slot_name *self, char ret[SLOT_TEXT_SIZE])
{
    time_t seconds = (time_t)self->slot_s;
    struct tm parts;
    ret[0] = '\0';
    if (self->slot_s > 0 && gmtime_r(&seconds, &parts) != NULL) {
        (void)strftime(ret, SLOT_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
}

bool slot_same_run(const struct slot_name *a, const struct slot_name *b)
{
    return strcmp(a->schedule, b->schedule) == 0 && a->slot_s == b->slot_s &&
           a->number == b->number;
}

void slot_run_id(const char *prefix, const struct slot_name *self, char ret[DUTY_ID_SIZE])
{
    time_t seconds = (time_t)self->slot_s;
    struct tm parts;
    char slot[SLOT_TEXT_SIZE] = "";
    if (self->slot_s > 0 && gmtime_r(&seconds, &parts) != NULL) {
        (void)strftime(slot, sizeof slot, "%Y%m%dT%H%M%SZ", &parts);
    } else {
        (void)snprintf(slot, sizeof slot, "m%" PRIu64, self->number);
    }
    (void)snprintf(ret, DUTY_ID_SIZE, "%s%s@%s", prefix, self->schedule, slot);
}
