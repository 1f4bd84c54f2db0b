/* Callbacks that wait for the end of the library call that asked for them. */
#include "consensus/raft_io_parts.h"

#include <stdlib.h>

#define DELAYED_COMPLETION_MAX_MS 400

static void list_push(struct raft_io_list *list, struct raft_io_completion *completion)
{
    if (list->tail == NULL) {
        list->head = completion;
    } else {
        list->tail->next = completion;
    }
    list->tail = completion;
}

static struct raft_io_completion *list_pop(struct raft_io_list *list)
{
    struct raft_io_completion *first = list->head;
    if (first != NULL) {
        list->head = first->next;
        if (list->head == NULL) {
            list->tail = NULL;
        }
    }
    return first;
}

/* Room for the completion is taken before the write, so that none is lost after it. */
struct raft_io_completion *raft_io_completion_new(struct consensus *self, enum completion_kind kind)
{
    struct raft_io_completion *completion = calloc(1, sizeof *completion);
    if (completion == NULL) {
        engine_fatal(self, "no memory for a completion");
        return NULL;
    }
    completion->kind = kind;
    completion->context = self->context;
    return completion;
}

void raft_io_completion_queue(struct consensus *self, struct raft_io_completion *completion)
{
    if (!self->config.off.completions_at_once || completion->kind == COMPLETION_SEND) {
        list_push(&self->completions.now, completion);
        return;
    }
    int64_t due = self->now_ms + rng_between(&self->rng, 0, DELAYED_COMPLETION_MAX_MS);
    const struct raft_io_completion *last = self->completions.later.tail;
    completion->due_ms = last != NULL && last->due_ms > due ? last->due_ms : due;
    list_push(&self->completions.later, completion);
}

static void complete_get(struct consensus *self, const struct raft_io_completion *completion)
{
    struct err err = {0};
    struct consensus_stored stored = {0};
    struct raft_snapshot *snapshot = raft_malloc(sizeof *snapshot);
    int rc = snapshot == NULL
                 ? err_set(&err, ERR_NOMEM, "no memory for a snapshot")
                 : self->config.storage.snapshot_get(self->config.storage.context, &stored, &err);
    if (rc == 0) {
        rc = raft_io_snapshot_of(&stored, snapshot, &err);
    }
    raft_io_stored_deinit(&stored);
    if (rc != 0) {
        raft_free(snapshot);
        (void)raft_io_storage_failed(self, "read snapshot", &err);
        completion->get.done(completion->get.request, NULL, RAFT_IOERR);
        return;
    }
    completion->get.done(completion->get.request, snapshot, 0);
}

static void complete_one(struct consensus *self, struct raft_io_completion *completion)
{
    struct raft_io_context before = self->context;
    self->context = completion->context;
    switch (completion->kind) {
    case COMPLETION_SEND:
        completion->send.done(completion->send.request, 0);
        break;
    case COMPLETION_APPEND:
        raft_io_flush(self);
        completion->append.done(completion->append.request, engine_is_fatal(self) ? RAFT_IOERR : 0);
        break;
    case COMPLETION_SNAPSHOT_PUT:
        completion->put.done(completion->put.request, 0);
        break;
    case COMPLETION_SNAPSHOT_GET:
        complete_get(self, completion);
        break;
    }
    self->context = before;
    free(completion);
}

void raft_io_complete(struct consensus *self)
{
    struct raft_io_completion *completion;
    while ((completion = list_pop(&self->completions.now)) != NULL) {
        complete_one(self, completion);
    }
}

void raft_io_complete_due(struct consensus *self, int64_t now_ms)
{
    while (self->completions.later.head != NULL && self->completions.later.head->due_ms <= now_ms) {
        complete_one(self, list_pop(&self->completions.later));
        raft_io_complete(self);
    }
}

void raft_io_complete_all(struct consensus *self)
{
    raft_io_complete_due(self, INT64_MAX);
    raft_io_complete(self);
}
