#include "node/http/http_internal.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_AGAIN_MS 1
#define LOOP_MOVES_WITHIN_MS 1000 /* else nobody would make a new one */

struct http_snapshot *http_snapshot_create(void)
{
    struct http_snapshot *self = calloc(1, sizeof *self);
    if (self != NULL) {
        atomic_init(&self->references, 1);
        (void)snprintf(self->reason, sizeof self->reason, "starting");
    }
    return self;
}

void http_snapshot_release(struct http_snapshot *self)
{
    if (self == NULL || atomic_fetch_sub(&self->references, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < self->document_count; i++) {
        free(self->documents[i].text);
    }
    free(self->metrics);
    free(self);
}

void http_snapshot_destroy(struct http_snapshot **self_p)
{
    if (self_p != NULL) {
        http_snapshot_release(*self_p);
        *self_p = NULL;
    }
}

void http_snapshot_set_ready(struct http_snapshot *self, bool ready, const char *reason)
{
    self->ready = ready;
    (void)snprintf(self->reason, sizeof self->reason, "%s", reason == NULL ? "" : reason);
}

void http_snapshot_set_leader(struct http_snapshot *self, const char *leader, uint64_t term,
                              int64_t may_act_until_ms)
{
    (void)snprintf(self->leader, sizeof self->leader, "%s", leader == NULL ? "" : leader);
    self->term = term;
    self->may_act_until_ms = may_act_until_ms;
}

int http_snapshot_set_document(struct http_snapshot *self, const char *path, const json_t *envelope,
                               struct err *err)
{
    if (self->document_count >= HTTP_DOCUMENTS_MAX) {
        return err_set(err, ERR_FULL, "more than %d documents", HTTP_DOCUMENTS_MAX);
    }
    struct document *document = &self->documents[self->document_count];
    document->text = doc_dump(envelope);
    if (document->text == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory for a document");
    }
    document->length = strlen(document->text);
    (void)snprintf(document->path, sizeof document->path, "%s", path);
    self->document_count++;
    return 0;
}

void http_snapshot_set_metrics(struct http_snapshot *self, char *text_take)
{
    free(self->metrics);
    self->metrics = text_take;
}

const struct document *http_snapshot_find(const struct http_snapshot *self, const char *path)
{
    for (size_t i = 0; self != NULL && i < self->document_count; i++) {
        if (strcmp(self->documents[i].path, path) == 0) {
            return &self->documents[i];
        }
    }
    return NULL;
}

static bool is_fresh(const struct http_snapshot *snapshot, int64_t now_ms)
{
    return snapshot != NULL && now_ms - snapshot->published_ms <= HTTP_FRESH_MS;
}

static bool has_fresh(struct http *self, int64_t now_ms)
{
    (void)pthread_mutex_lock(&self->mutex);
    bool fresh = is_fresh(self->current, now_ms);
    (void)pthread_mutex_unlock(&self->mutex);
    return fresh;
}

/* Asks the loop for a new one; a loop that does not move makes none. */
static void wait_for_fresh(struct http *self)
{
    int64_t now_ms = clock_boot_ms();
    int64_t give_up_ms = now_ms + HTTP_WAIT_MS;
    bool moves = now_ms - atomic_load(&self->heartbeat_ms) <= LOOP_MOVES_WITHIN_MS;
    while (moves && !has_fresh(self, now_ms) && now_ms < give_up_ms) {
        uint64_t one = 1;
        (void)!write(self->asked_fd, &one, sizeof one); /* can only fail when already readable */
        (void)poll(NULL, 0, LOOK_AGAIN_MS);
        now_ms = clock_boot_ms();
    }
}

struct http_snapshot *http_current(struct http *self)
{
    atomic_store(&self->asked_ms, clock_boot_ms());
    wait_for_fresh(self);
    (void)pthread_mutex_lock(&self->mutex);
    struct http_snapshot *snapshot = self->current;
    if (snapshot != NULL) {
        (void)atomic_fetch_add(&snapshot->references, 1);
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return snapshot;
}

void http_publish(struct http *self, struct http_snapshot **snapshot_take)
{
    (void)pthread_mutex_lock(&self->mutex);
    struct http_snapshot *former = self->current;
    self->current = *snapshot_take;
    self->current->published_ms = clock_boot_ms();
    uint64_t count;
    (void)!read(self->asked_fd, &count, sizeof count);
    (void)pthread_mutex_unlock(&self->mutex);
    *snapshot_take = NULL;
    http_snapshot_release(former);
}

int http_asked_fd(const struct http *self)
{
    return self->asked_fd;
}

int64_t http_asked_ms(const struct http *self)
{
    return atomic_load(&self->asked_ms);
}
