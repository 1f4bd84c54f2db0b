#include "node/daemon/events.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/base/limits.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    int64_t wall_ms;
    json_t *document;
};

struct watch {
    events_watcher *watcher;
    void *context;
};

struct events {
    char node[NAME_SIZE];
    struct log *log;
    size_t first;
    size_t count;
    struct kept ring[EVENTS_KEPT];
    size_t watch_count;
    struct watch watches[EVENTS_WATCHERS_MAX];
};

struct events *events_create(const char *node, struct log *log)
{
    struct events *self = calloc(1, sizeof *self);
    if (self != NULL) {
        (void)snprintf(self->node, sizeof self->node, "%s", node);
        self->log = log;
    }
    return self;
}

void events_destroy(struct events **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct events *self = *self_p;
    for (size_t i = 0; i < self->count; i++) {
        json_decref(self->ring[(self->first + i) % EVENTS_KEPT].document);
    }
    free(self);
    *self_p = NULL;
}

static void keep(struct events *self, int64_t wall_ms, json_t *document_take)
{
    if (self->count == EVENTS_KEPT) {
        json_decref(self->ring[self->first].document);
        self->first = (self->first + 1) % EVENTS_KEPT;
        self->count--;
    }
    size_t at = (self->first + self->count) % EVENTS_KEPT;
    self->ring[at] = (struct kept){.wall_ms = wall_ms, .document = document_take};
    self->count++;
}

static void log_it(struct events *self, enum log_level level, uint64_t term, const char *kind,
                   const char *message, const json_t *fields)
{
    char *rest = fields == NULL ? NULL : doc_dump(fields);
    log_write(self->log, level, kind, log_int("term", (int64_t)term), log_text("message", message),
              log_text("fields", rest == NULL ? "{}" : rest));
    free(rest);
}

void events_add(struct events *self, enum log_level level, uint64_t term, const char *kind,
                json_t *fields_take, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    log_it(self, level, term, kind, message, fields_take);
    int64_t wall_ms = clock_wall_ms();
    json_t *document = json_object();
    (void)json_object_set_new(document, "time", doc_time(wall_ms));
    (void)json_object_set_new(document, "node", doc_text(self->node));
    (void)json_object_set_new(document, "term", json_integer((json_int_t)term));
    (void)json_object_set_new(document, "kind", doc_text(kind));
    (void)json_object_set_new(document, "level", doc_text(log_level_name(level)));
    (void)json_object_set_new(document, "message", doc_text(message));
    (void)json_object_set_new(document, "boot_ms", json_integer((json_int_t)clock_boot_ms()));
    if (fields_take != NULL) {
        (void)json_object_update_missing(document, fields_take);
        json_decref(fields_take);
    }
    keep(self, wall_ms, document);
    /* A watcher may go away while it is told: walk from the end. */
    for (size_t i = self->watch_count; i > 0; i--) {
        if (i <= self->watch_count) {
            self->watches[i - 1].watcher(self->watches[i - 1].context, document);
        }
    }
}

bool events_watch(struct events *self, events_watcher *watcher, void *context)
{
    if (self->watch_count == EVENTS_WATCHERS_MAX) {
        return false;
    }
    self->watches[self->watch_count++] = (struct watch){.watcher = watcher, .context = context};
    return true;
}

void events_unwatch(struct events *self, events_watcher *watcher, void *context)
{
    for (size_t i = 0; i < self->watch_count; i++) {
        if (self->watches[i].watcher == watcher && self->watches[i].context == context) {
            self->watches[i] = self->watches[--self->watch_count];
            return;
        }
    }
}

const json_t *events_at(const struct events *self, size_t position, int64_t *ret_wall_ms)
{
    if (position >= self->count) {
        return NULL;
    }
    const struct kept *kept = &self->ring[(self->first + position) % EVENTS_KEPT];
    *ret_wall_ms = kept->wall_ms;
    return kept->document;
}
