#include "managers/pm2/stand_in/shadow.h"

#include "node/base/doc.h"

#include <stdio.h>
#include <string.h>

static const char *const verdict_names[] = {"open", "right", "wrong"};

static struct shadow_entry *add(struct shadow *self)
{
    if (self->count == SHADOW_LOG_MAX) {
        memmove(&self->log[0], &self->log[1], (SHADOW_LOG_MAX - 1) * sizeof self->log[0]);
        self->count--;
    }
    struct shadow_entry *entry = &self->log[self->count++];
    *entry = (struct shadow_entry){0};
    return entry;
}

void shadow_decide(struct shadow *self, const char *duty, bool start, const char *why,
                   int64_t settle_ms, int64_t now_ms, int64_t wall_ms)
{
    struct shadow_entry *entry = add(self);
    self->decided++;
    (void)snprintf(entry->duty, sizeof entry->duty, "%s", duty);
    (void)snprintf(entry->why, sizeof entry->why, "%s", why);
    entry->start = start;
    entry->at_wall_ms = wall_ms;
    entry->judge_ms = now_ms + (settle_ms > SHADOW_JUDGE_MS_MIN ? settle_ms : SHADOW_JUDGE_MS_MIN);
}

static void judge(struct shadow *self, struct shadow_entry *entry, bool right)
{
    entry->verdict = right ? SHADOW_RIGHT : SHADOW_WRONG;
    self->right += right ? 1 : 0;
    self->wrong += right ? 0 : 1;
}

void shadow_see(struct shadow *self, const char *duty, bool primary_up, int64_t now_ms)
{
    for (size_t i = 0; i < self->count; i++) {
        struct shadow_entry *entry = &self->log[i];
        if (entry->verdict != SHADOW_OPEN || strcmp(entry->duty, duty) != 0) {
            continue;
        }
        if (entry->start == primary_up) {
            judge(self, entry, false); /* it came back by itself, or went down again */
        } else if (now_ms >= entry->judge_ms) {
            judge(self, entry, true);
        }
    }
}

bool shadow_last(const struct shadow *self, const char *duty, bool *ret_start)
{
    for (size_t i = self->count; i > 0 && !self->log[i - 1].past; i--) {
        if (strcmp(self->log[i - 1].duty, duty) == 0) {
            *ret_start = self->log[i - 1].start;
            return true;
        }
    }
    return false;
}

void shadow_begin(struct shadow *self)
{
    for (size_t i = 0; i < self->count; i++) {
        self->log[i].past = true;
    }
}

/* ---- told and taken over ---- */

static json_t *describe(const struct shadow_entry *entry, int64_t now_ms)
{
    bool open = entry->verdict == SHADOW_OPEN;
    int64_t left_ms = entry->judge_ms > now_ms ? entry->judge_ms - now_ms : 0;
    return json_pack("{so sI so ss ss so so sb}", "time", doc_time(entry->at_wall_ms), "at_wall_ms",
                     (json_int_t)entry->at_wall_ms, "duty", doc_text(entry->duty), "would",
                     entry->start ? "start" : "stop", "verdict", verdict_names[entry->verdict],
                     "why", doc_text(entry->why), "left_ms",
                     open ? json_integer(left_ms) : json_null(), "past", entry->past);
}

json_t *shadow_document(const struct shadow *self, bool log, int64_t now_ms)
{
    json_t *rows = json_array();
    size_t open = 0;
    for (size_t i = self->count; i > 0; i--) {
        open += self->log[i - 1].verdict == SHADOW_OPEN ? 1 : 0;
        if (log) {
            (void)json_array_append_new(rows, describe(&self->log[i - 1], now_ms));
        }
    }
    return json_pack("{sI sI sI sI so}", "decided", (json_int_t)self->decided, "right",
                     (json_int_t)self->right, "wrong", (json_int_t)self->wrong, "open",
                     (json_int_t)open, "log", rows);
}

static void take_entry(struct shadow *self, const json_t *row, int64_t now_ms)
{
    const char *duty = doc_get_text(row, "duty", "");
    const char *would = doc_get_text(row, "would", "");
    const char *verdict = doc_get_text(row, "verdict", "");
    int64_t left_ms = doc_get_integer(row, "left_ms", 0);
    for (int i = SHADOW_OPEN; i <= SHADOW_WRONG; i++) {
        if (strcmp(verdict, verdict_names[i]) != 0 || duty[0] == '\0' ||
            strlen(duty) >= DUTY_ID_SIZE || left_ms < 0 || left_ms > INT32_MAX) {
            continue;
        }
        struct shadow_entry *entry = add(self);
        (void)snprintf(entry->duty, sizeof entry->duty, "%s", duty);
        (void)snprintf(entry->why, sizeof entry->why, "%.*s", REASON_SIZE - 1,
                       doc_get_text(row, "why", ""));
        entry->start = strcmp(would, "start") == 0;
        entry->past = doc_get_bool(row, "past", false);
        entry->verdict = (enum shadow_verdict)i;
        entry->at_wall_ms = doc_get_integer(row, "at_wall_ms", -1);
        entry->judge_ms = now_ms + left_ms;
        return;
    }
}

bool shadow_adopt(struct shadow *self, const json_t *document, int64_t now_ms)
{
    const json_t *log = json_object_get(document, "log");
    int64_t decided = doc_get_integer(document, "decided", -1);
    int64_t right = doc_get_integer(document, "right", -1);
    int64_t wrong = doc_get_integer(document, "wrong", -1);
    if (!json_is_array(log) || decided < 0 || (uint64_t)decided <= self->decided || right < 0 ||
        wrong < 0) {
        return false;
    }
    *self = (struct shadow){
        .decided = (uint64_t)decided, .right = (uint64_t)right, .wrong = (uint64_t)wrong};
    for (size_t i = json_array_size(log); i > 0; i--) {
        take_entry(self, json_array_get(log, i - 1), now_ms);
    }
    return true;
}
