/* Turns host names of peers into numeric addresses on a few threads of its own.
 *
 * libzmq resolves names on its one I/O thread and waits there: a name server that hangs would make
 * the whole node deaf. So it is given numeric addresses only, and names are looked up here, again
 * whenever a peer cannot be reached. A look-up that hangs holds one of the threads, not the node,
 * and not its end. */
#ifndef UNDERSTUDY_NODE_DAEMON_RESOLVER_H
#define UNDERSTUDY_NODE_DAEMON_RESOLVER_H

#include "node/base/limits.h"

#include <stdbool.h>

struct resolver;

#define RESOLVER_NUMERIC_SIZE 64

struct resolver_answer {
    char host[ADDRESS_SIZE];
    char numeric[RESOLVER_NUMERIC_SIZE]; /* empty: the name is not known now */
};

/* NULL when out of memory, descriptors or threads. */
struct resolver *resolver_create(void);
/* Does not wait for look-ups under way. */
void resolver_destroy(struct resolver **self_p);

/* Ask for `host`; false when it is being looked up already, or too many are. Loop thread. */
bool resolver_ask(struct resolver *self, const char *host);

/* Readable when answers wait. Loop thread. */
int resolver_fd(const struct resolver *self);
bool resolver_take(struct resolver *self, struct resolver_answer *ret);

/* "tcp://HOST:PORT" taken apart; false when malformed. */
bool resolver_split(const char *address, char host[ADDRESS_SIZE], char port[8]);
/* Whether the host is a numeric address already. */
bool resolver_is_numeric(const char *host);

#endif
