#include "managers/pm2/stand_in/shadow.h"

#include "node/base/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const verdict_names[] = {"open", "right", "wrong"};

static void count_entry(struct shadow_count *self, enum shadow_verdict verdict)
{
    self->decided++;
    self->right += verdict == SHADOW_RIGHT ? 1 : 0;
    self->wrong += verdict == SHADOW_WRONG ? 1 : 0;
}

struct shadow_count shadow_count(const struct shadow *self)
{
    struct shadow_count ret = self->before;
    for (size_t i = 0; i < self->count; i++) {
        count_entry(&ret, self->log[i].verdict);
    }
    return ret;
}

static void forget_oldest(struct shadow *self)
{
    count_entry(&self->before, self->log[0].verdict);
    if (self->log[0].at_wall_ms > self->before_wall_ms) {
        self->before_wall_ms = self->log[0].at_wall_ms;
    }
    self->count--;
    memmove(&self->log[0], &self->log[1], self->count * sizeof self->log[0]);
}

static struct shadow_entry *add(struct shadow *self)
{
    if (self->count == SHADOW_LOG_MAX) {
        forget_oldest(self);
    }
    struct shadow_entry *entry = &self->log[self->count++];
    *entry = (struct shadow_entry){0};
    return entry;
}

void shadow_decide(struct shadow *self, const char *duty, bool start, const char *why,
                   int64_t settle_ms, int64_t now_ms, int64_t wall_ms)
{
    struct shadow_entry *entry = add(self);
    (void)snprintf(entry->duty, sizeof entry->duty, "%s", duty);
    (void)snprintf(entry->why, sizeof entry->why, "%s", why);
    entry->start = start;
    entry->at_wall_ms = wall_ms;
    entry->judge_ms = now_ms + (settle_ms > SHADOW_JUDGE_MS_MIN ? settle_ms : SHADOW_JUDGE_MS_MIN);
}

void shadow_see(struct shadow *self, const char *duty, bool primary_up, int64_t now_ms)
{
    for (size_t i = 0; i < self->count; i++) {
        struct shadow_entry *entry = &self->log[i];
        if (entry->verdict != SHADOW_OPEN || strcmp(entry->duty, duty) != 0) {
            continue;
        }
        if (entry->start == primary_up) {
            entry->verdict = SHADOW_WRONG; /* it came back by itself, or went down again */
        } else if (now_ms >= entry->judge_ms) {
            entry->verdict = SHADOW_RIGHT;
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

static int64_t newest_wall_ms(const struct shadow *self)
{
    int64_t ret = self->before_wall_ms;
    for (size_t i = 0; i < self->count; i++) {
        ret = self->log[i].at_wall_ms > ret ? self->log[i].at_wall_ms : ret;
    }
    return ret;
}

json_t *shadow_document(const struct shadow *self, bool log, int64_t now_ms)
{
    json_t *rows = json_array();
    struct shadow_count all = shadow_count(self);
    struct shadow_count before = log ? self->before : all;
    int64_t until_ms = log ? self->before_wall_ms : newest_wall_ms(self);
    size_t open = 0;
    for (size_t i = self->count; i > 0; i--) {
        const struct shadow_entry *entry = &self->log[i - 1];
        open += entry->verdict == SHADOW_OPEN ? 1 : 0;
        if (log) {
            (void)json_array_append_new(rows, describe(entry, now_ms));
        }
    }
    return json_pack("{sI sI sI sI s{sI sI sI sI} so}", "decided", (json_int_t)all.decided, "right",
                     (json_int_t)all.right, "wrong", (json_int_t)all.wrong, "open",
                     (json_int_t)open, "before", "decided", (json_int_t)before.decided, "right",
                     (json_int_t)before.right, "wrong", (json_int_t)before.wrong, "until_wall_ms",
                     (json_int_t)until_ms, "log", rows);
}

static bool read_entry(const json_t *row, int64_t told_ms, struct shadow_entry *ret)
{
    const char *duty = doc_get_text(row, "duty", "");
    const char *verdict = doc_get_text(row, "verdict", "");
    int64_t at_wall_ms = doc_get_integer(row, "at_wall_ms", -1);
    int64_t left_ms = doc_get_integer(row, "left_ms", 0);
    if (duty[0] == '\0' || strlen(duty) >= DUTY_ID_SIZE || at_wall_ms < 0 || left_ms < 0 ||
        left_ms > INT32_MAX) {
        return false;
    }
    for (int i = SHADOW_OPEN; i <= SHADOW_WRONG; i++) {
        if (strcmp(verdict, verdict_names[i]) == 0) {
            *ret =
                (struct shadow_entry){.start = strcmp(doc_get_text(row, "would", ""), "start") == 0,
                                      .past = doc_get_bool(row, "past", false),
                                      .verdict = (enum shadow_verdict)i,
                                      .at_wall_ms = at_wall_ms,
                                      .judge_ms = told_ms + left_ms};
            (void)snprintf(ret->duty, sizeof ret->duty, "%s", duty);
            (void)snprintf(ret->why, sizeof ret->why, "%.*s", REASON_SIZE - 1,
                           doc_get_text(row, "why", ""));
            return true;
        }
    }
    return false;
}

/* Whose log goes back less far says what came before; who tells no log, only to those who know
 * less. False: `document` makes no sense. */
static bool take_before(struct shadow *self, const json_t *document)
{
    const json_t *before = json_object_get(document, "before");
    const json_t *log = json_object_get(document, "log");
    int64_t decided = doc_get_integer(before, "decided", -1);
    int64_t right = doc_get_integer(before, "right", -1);
    int64_t wrong = doc_get_integer(before, "wrong", -1);
    int64_t until_ms = doc_get_integer(before, "until_wall_ms", -1);
    if (decided < 0 || right < 0 || wrong < 0 || until_ms < 0 || wrong > decided - right ||
        !json_is_array(log)) {
        return false;
    }
    if (until_ms > (json_array_size(log) > 0 ? self->before_wall_ms : newest_wall_ms(self))) {
        self->before = (struct shadow_count){
            .decided = (uint64_t)decided, .right = (uint64_t)right, .wrong = (uint64_t)wrong};
        self->before_wall_ms = until_ms;
    }
    return true;
}

static bool is_same(const struct shadow_entry *a, const struct shadow_entry *b)
{
    return a->at_wall_ms == b->at_wall_ms && a->start == b->start && strcmp(a->duty, b->duty) == 0;
}

/* By time; what happened at once, in an order that is the same on every node. */
static int by_time(const void *left, const void *right)
{
    const struct shadow_entry *a = left;
    const struct shadow_entry *b = right;
    if (a->at_wall_ms != b->at_wall_ms) {
        return a->at_wall_ms < b->at_wall_ms ? -1 : 1;
    }
    int order = strcmp(a->duty, b->duty);
    return order != 0 ? order : (int)a->start - (int)b->start;
}

static void take_entry(struct shadow_entry *entries, size_t *count,
                       const struct shadow_entry *entry)
{
    for (size_t i = 0; i < *count; i++) {
        if (is_same(&entries[i], entry)) {
            entries[i].past |= entry->past;
            if (entries[i].verdict == SHADOW_OPEN) {
                entries[i].verdict = entry->verdict;
            }
            return;
        }
    }
    entries[(*count)++] = *entry;
}

/* Would the decision at `position` have changed anything? */
static bool is_news(const struct shadow_entry *entries, size_t position)
{
    const struct shadow_entry *entry = &entries[position];
    for (size_t i = position; i > 0; i--) {
        if (strcmp(entries[i - 1].duty, entry->duty) == 0) {
            return entries[i - 1].past != entry->past || entries[i - 1].start != entry->start;
        }
    }
    return true;
}

void shadow_adopt(struct shadow *self, const json_t *document, int64_t told_ms)
{
    struct shadow_entry entries[2 * SHADOW_LOG_MAX];
    size_t count = self->count;
    if (!take_before(self, document)) {
        return;
    }
    memcpy(entries, self->log, count * sizeof entries[0]);
    const json_t *log = json_object_get(document, "log");
    struct shadow_entry entry;
    for (size_t i = 0; i < json_array_size(log) && i < SHADOW_LOG_MAX; i++) {
        if (read_entry(json_array_get(log, i), told_ms, &entry)) {
            take_entry(entries, &count, &entry);
        }
    }
    qsort(entries, count, sizeof entries[0], by_time);
    self->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].at_wall_ms > self->before_wall_ms && is_news(entries, i)) {
            *add(self) = entries[i];
        }
    }
}
