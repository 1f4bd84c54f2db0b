/* One non-blocking connection to a Unix socket of PM2, read as AMP frames. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LINK_H
#define UNDERSTUDY_MANAGERS_PM2_LINK_H

#include "managers/common/runtime.h"
#include "managers/pm2/daemon/amp.h"

#include <sys/types.h>

struct link;

struct link_callbacks {
    void (*frame)(void *context, struct link *link, const struct amp_parser *frame);
    /* The connection is over and closed already; may destroy the link. */
    void (*closed)(void *context, struct link *link, const char *why);
};

/* frame_bound: bytes kept of one frame; what is larger is drained and told as oversized. */
int link_create(struct runtime *runtime, size_t frame_bound, const struct link_callbacks *callbacks,
                void *context, struct link **ret, struct err *err);
void link_destroy(struct link **self_p);

/* Connect to `path`. ERR_NOTFOUND: no such socket; ERR_CLOSED: nobody listens; ERR_DENIED;
 * ERR_BUSY: its queue is full; ERR_IO. */
int link_connect(struct link *self, const char *path, struct err *err);
void link_close(struct link *self);
bool link_is_open(const struct link *self);

/* The process that listens, by the kernel's word (SO_PEERCRED); 0 unknown. */
pid_t link_peer(const struct link *self);

/* Where to append what is to be sent; then link_flush. */
struct buffer *link_out(struct link *self);
void link_flush(struct link *self);

#endif
