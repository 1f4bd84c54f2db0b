#include "managers/pm2/lists/wanted.h"

#include "managers/pm2/lists/saved.h"
#include "node/base/doc.h"

#include <string.h>

static void set_missing(struct wanted *self, json_t *missing, int64_t now_ms)
{
    size_t before = json_array_size(self->missing);
    json_decref(self->missing);
    self->missing = missing;
    if (json_array_size(missing) == 0) {
        json_decref(self->missing);
        self->missing = NULL;
    } else if (json_array_size(missing) > before) {
        self->gone_ms = now_ms;
    }
}

static void begin_life(struct wanted *self, uint64_t life, int64_t now_ms)
{
    self->returning = self->tidied;
    self->meant = false;
    self->loss = self->missing == NULL || self->tidied ? WANTED_WHOLE : WANTED_LOST;
    self->gone_ms = now_ms;
    self->tidied = false;
    self->life = life;
}

static void judge_loss(struct wanted *self, const json_t *present, int64_t now_ms)
{
    bool empty = json_array_size(present) == 0;
    if (self->missing == NULL) {
        self->loss = WANTED_WHOLE;
        self->returning = false;
        self->meant = false;
    } else if (self->loss == WANTED_EMPTIED && !empty) {
        self->loss = WANTED_WHOLE;
        self->gone_ms = now_ms;
    } else if (self->loss == WANTED_WHOLE && empty && !self->returning && !self->meant &&
               json_array_size(self->rows) >= 2) {
        self->loss = WANTED_EMPTIED;
    }
}

static bool is_held(const struct wanted *self, int64_t now_ms)
{
    int64_t hold_ms = self->returning ? WANTED_RETURN_MS : WANTED_HOLD_MS;
    return self->missing != NULL && !self->meant &&
           (self->loss != WANTED_WHOLE || now_ms - self->gone_ms < hold_ms);
}

enum wanted_change wanted_take(struct wanted *self, const json_t *present, uint64_t life,
                               int64_t now_ms)
{
    if (self->rows == NULL && json_array_size(present) == 0) {
        return WANTED_SAME; /* nothing was ever there to be lost */
    }
    set_missing(self, saved_missing(self->rows, present), now_ms);
    if (self->life != life) {
        begin_life(self, life, now_ms);
    }
    judge_loss(self, present, now_ms);
    json_t *next = is_held(self, now_ms) ? saved_merged(self->rows, present)
                                         : json_incref(doc_writable(present));
    enum wanted_change change = WANTED_SAME;
    if (self->rows == NULL || !saved_same(self->rows, next)) {
        change = WANTED_CHANGED;
    } else if (json_equal(self->rows, next) != 1) {
        change = WANTED_TOUCHED;
    }
    json_decref(self->rows);
    self->rows = next;
    if (!is_held(self, now_ms)) {
        set_missing(self, NULL, now_ms);
        self->meant = false;
    }
    return change;
}

void wanted_tidied(struct wanted *self)
{
    self->tidied = true;
}

static json_t *without(const json_t *rows, const char *name)
{
    json_t *ret = json_array();
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        if (strcmp(saved_name(row), name) != 0) {
            (void)json_array_append(ret, row);
        }
    }
    return ret;
}

bool wanted_leave_out(struct wanted *self, const char *name)
{
    json_t *rows = without(self->rows, name);
    bool any = json_array_size(rows) < json_array_size(self->rows);
    if (any) {
        json_decref(self->rows);
        self->rows = json_incref(rows);
        set_missing(self, without(self->missing, name), 0);
    }
    json_decref(rows);
    return any;
}

void wanted_meant(struct wanted *self)
{
    if (self->loss != WANTED_WHOLE) {
        self->loss = WANTED_WHOLE;
        self->meant = true;
    }
}

void wanted_deinit(struct wanted *self)
{
    json_decref(self->rows);
    json_decref(self->missing);
    *self = (struct wanted){0};
}
