/* One command to the managers of many nodes at once, and all that they answer.
 *
 * The asked node sends an errand (errand.h) to each node that is meant, and collects until all have
 * answered or the time is over; who is dead is not waited for. No leader and no quorum is needed.
 * The other way round it carries out the errands of others: verb, arguments and role are checked
 * here, whatever the asked node has checked.
 *
 * Bounds: FAN_CALLS_MAX commands under way of this node's, FAN_ERRANDS_MAX of others', of one node
 * FAN_ERRANDS_PER_NODE_MAX; an answer of MANAGER_DOCUMENT_BYTES_MAX, all together FAN_BYTES_MAX.
 * Loop thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_FAN_H
#define UNDERSTUDY_NODE_DAEMON_FAN_H

#include "node/base/err.h"
#include "node/base/limits.h"
#include "node/control/control.h"
#include "node/daemon/gather.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAN_CALLS_MAX 16
#define FAN_ERRANDS_MAX 32
#define FAN_ERRANDS_PER_NODE_MAX 8
#define FAN_BYTES_MAX (768 << 10) /* so that they fit into one answer to the client */

struct fan;
struct node;
struct manager_reply;
struct transport_message;

/* A node that is to be asked, and with what; args are borrowed. */
struct fan_target {
    char node[NAME_SIZE];
    const json_t *args;
};

struct fan_answer {
    char node[NAME_SIZE];
    enum gather_state state; /* never GATHER_WAITING */
    bool ok;                 /* it answered, and not with an error */
    char code[NAME_SIZE];    /* of its error; "left_out": FAN_BYTES_MAX was reached */
    char message[256];       /* of its error */
    json_t *document;        /* when ok; may be NULL */
    int64_t taken_ms;        /* when it answered */
};

/* All that came, in the order of the targets. The answers go when it returns; keep documents with
 * json_incref. */
typedef void fan_done(void *context, const struct fan_answer *answers, size_t count);

struct fan_order {
    const struct control_who *who;
    const char *manager;
    const char *verb;
    int64_t wait_ms;
    const struct fan_target *targets;
    size_t count; /* at most NODES_MAX */
    fan_done *done;
    void *context;
};

struct fan *fan_create(struct node *node); /* NULL: out of memory */
void fan_destroy(struct fan **self_p);

/* Every node of the cluster, whether it lives or not, each with `args`. Returns how many. */
size_t fan_everyone(const struct node *node, const json_t *args, struct fan_target ret[NODES_MAX]);
/* A node of the cluster has that name, and may be reached now. */
bool fan_knows(const struct node *node, const char *name, bool *ret_reachable);

/* `done` is called once, never from within this call, unless the call is cancelled. ERR_BUSY;
 * ERR_FULL: arguments are too long. */
int fan_out(struct fan *self, const struct fan_order *order, uint64_t *ret_call, struct err *err);
/* Unknown calls are fine. What was sent is carried out all the same. */
void fan_cancel(struct fan *self, uint64_t call);

/* An errand, or the answer to one. False: malformed. */
bool fan_receive(struct fan *self, const struct transport_message *message);
/* Ends what is over: call it now and then. */
void fan_run(struct fan *self);

#endif
