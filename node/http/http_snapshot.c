#include "node/http/http_internal.h"

#include "node/base/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

struct http_snapshot *http_current(struct http *self)
{
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
    (void)pthread_mutex_unlock(&self->mutex);
    *snapshot_take = NULL;
    http_snapshot_release(former);
}
