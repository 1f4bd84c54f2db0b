/* Commands to this node's managers, each answered once: by the manager, or here when its time is
 * over. Bounded; loop thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_COMMANDS_H
#define UNDERSTUDY_NODE_DAEMON_COMMANDS_H

#include "node/supervise/supervise.h"

#include <jansson.h>
#include <stdint.h>

#define COMMANDS_MAX 64 /* that wait for their answer */

struct commands;

/* `answer` is borrowed for the call; of a command whose time is over its code is "timed_out". */
typedef void commands_done(void *context, const struct manager_reply *answer);

struct commands *commands_create(void); /* NULL: out of memory */
void commands_destroy(struct commands **self_p);

struct commands_order {
    const char *manager;
    const char *verb;
    struct manager_document args; /* a map; borrowed */
    int64_t until_ms;             /* CLOCK_BOOTTIME */
    commands_done *done;          /* called once, never from within commands_send */
    void *context;
};

/* Returns 0 and a ticket for commands_forget. ERR_BUSY: COMMANDS_MAX wait; ERR_FULL: the arguments
 * are too long; or as supervise_command. */
int commands_send(struct commands *self, struct supervise *supervise,
                  const struct commands_order *order, uint64_t *ret_ticket, struct err *err);

/* Nobody waits for its answer any more; `done` is not called. Unknown tickets are fine. */
void commands_forget(struct commands *self, uint64_t ticket);

/* What a manager says; an answer that nobody waits for is dropped. */
void commands_answer(struct commands *self, const struct manager_reply *reply);

/* End those whose time is over. */
void commands_run(struct commands *self, int64_t now_ms);

#endif
