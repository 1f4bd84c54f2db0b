/* The numeric addresses of peers that are configured by name: remembered, and looked up again while
 * a peer cannot be reached. Loop thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_NAMES_H
#define UNDERSTUDY_NODE_DAEMON_NAMES_H

#include "node/base/err.h"
#include "node/base/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct node;

int names_create(struct node *self, struct err *err);

/* Replace a name in `address` by what it stands for. False: not known yet; peers_sync follows when
 * it is. */
bool names_resolve(struct node *self, char address[ADDRESS_SIZE]);

/* Look up again the names of peers that are not connected. */
void names_run(struct node *self, int64_t now_ms);

#endif
