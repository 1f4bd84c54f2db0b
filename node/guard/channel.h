/* The guard's connection to its node. Never waits; no memory is allocated. */
#ifndef UNDERSTUDY_NODE_GUARD_CHANNEL_H
#define UNDERSTUDY_NODE_GUARD_CHANNEL_H

#include "node/guard/options.h"
#include "node/guard/wire.h"

#include <stdbool.h>
#include <stdint.h>

struct channel {
    const struct guard_options *options;
    int fd; /* -1: not connected */
    int64_t retry_at_ms;
};

enum channel_result { CHANNEL_NOTHING, CHANNEL_MESSAGE, CHANNEL_BROKEN };

void channel_init(struct channel *self, const struct guard_options *options);
void channel_close(struct channel *self);

/* Connect and say hello, unless it is too early for another try. True when connected by it. */
bool channel_connect(struct channel *self, const struct guard_message *hello);

/* False when it could not be sent whole. */
bool channel_send(struct channel *self, const struct guard_message *message);

/* One message. BROKEN: the connection is closed now. */
enum channel_result channel_receive(struct channel *self, struct guard_message *ret);

#endif
