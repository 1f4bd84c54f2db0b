#include "node/daemon/handlers_snapshot.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/node.h"
#include "node/snapshot/page_text.h"
#include "node/transport/transport.h"

#include <inttypes.h>
#include <stdlib.h>

static json_t *describe(const struct node *self, const struct snapshot_copy *copy, size_t offset,
                        size_t length, const char *text)
{
    const struct config_cluster *cluster = &self->config->cluster;
    size_t next = offset + length;
    return json_pack(
        "{s:s, s:o, s:I, s:s, s:I, s:I, s:I, s:b, s:I, s:I, s:o, s:s}", "handle", copy->handle,
        "node", doc_text(node_name(self)), "cluster_id",
        (json_int_t)transport_cluster_id(cluster->name, cluster->environment), "program",
        UNDERSTUDY_VERSION, "term", (json_int_t)copy->term, "index", (json_int_t)copy->index,
        "saved_wall_ms", (json_int_t)copy->taken_wall_ms, "stale", (int)copy->stale, "length",
        (json_int_t)copy->length, "offset", (json_int_t)offset, "next_offset",
        next < copy->length ? json_integer((json_int_t)next) : json_null(), "text", text);
}

static void reply_page(struct node *self, struct control_request *request,
                       struct snapshot_copy *copy, size_t offset)
{
    size_t left = copy->length - offset;
    size_t length = left < SNAPSHOT_PAGE_BYTES ? left : SNAPSHOT_PAGE_BYTES;
    char *text = malloc(PAGE_TEXT_SIZE(length));
    if (text == NULL) {
        control_fail(request, "failed", EXIT_FAILED, NULL, "out of memory for a page");
        return;
    }
    page_text_encode(copy->bytes + offset, length, text);
    json_t *page = describe(self, copy, offset, length, text);
    free(text);
    if (left == length) {
        snapshots_end(self->snapshots, copy);
    }
    control_reply(request, page);
}

/* The asker is gone before its copy was encoded. */
static void on_closed(void *context, struct control_request *request)
{
    (void)request;
    struct snapshot_copy *copy = context;
    copy->waiting = NULL;
}

static void begin(struct node *self, struct control_request *request)
{
    struct snapshot_copy *copy = NULL;
    struct err err = {0};
    struct snapshot_origin origin = {.term = node_is_outside(self) ? self->told_leader_term
                                                                   : self->view.term,
                                     .wall_ms = clock_wall_ms(),
                                     .stale = !node_has_quorum(self)};
    int rc = snapshots_begin(self->snapshots, self->state, &origin, clock_boot_ms(), &copy, &err);
    if (rc == ERR_BUSY) {
        control_fail(request, "busy", EXIT_PRECONDITION, "try again in some seconds", "%s",
                     err.msg);
    } else if (rc != 0) {
        control_fail_err(request, &err);
    } else {
        copy->waiting = request;
        control_request_on_close(request, on_closed, copy);
    }
}

void handlers_snapshot_page(void *context, struct control_request *request)
{
    struct node *self = context;
    const char *handle = control_arg_text(request, "handle");
    int64_t offset = control_arg_integer(request, "offset", 0);
    if (handle == NULL) {
        begin(self, request);
        return;
    }
    struct snapshot_copy *copy = snapshots_find(self->snapshots, handle, clock_boot_ms());
    if (copy == NULL) {
        control_fail(request, "not_found", EXIT_NOT_FOUND, "begin again: snapshot save FILE",
                     "this node does not hold the snapshot %.80s (any more)", handle);
    } else if (offset < 0 || (uint64_t)offset >= copy->length) {
        control_fail(request, "invalid", EXIT_USAGE, NULL,
                     "the snapshot has %zu bytes, and none at %" PRId64, copy->length, offset);
    } else {
        reply_page(self, request, copy, (size_t)offset);
    }
}

void handlers_snapshot_ready(struct node *self)
{
    struct snapshot_copy *copy;
    while ((copy = snapshots_take(self->snapshots)) != NULL) {
        struct control_request *request = copy->waiting;
        bool encoded = copy->bytes != NULL;
        copy->waiting = NULL;
        if (request != NULL && encoded) {
            reply_page(self, request, copy, 0);
            continue;
        }
        snapshots_end(self->snapshots, copy);
        if (request != NULL) {
            control_fail(request, "failed", EXIT_FAILED, NULL, "no memory for a snapshot");
        }
    }
}
