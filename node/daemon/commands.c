#include "node/daemon/commands.h"

#include <stdio.h>
#include <stdlib.h>

struct waiting {
    uint64_t ticket; /* 0: free */
    int64_t until_ms;
    commands_done *done;
    void *context;
};

struct commands {
    uint64_t last;
    struct waiting slots[COMMANDS_MAX];
};

struct commands *commands_create(void)
{
    return calloc(1, sizeof(struct commands));
}

void commands_destroy(struct commands **self_p)
{
    if (self_p != NULL) {
        free(*self_p);
        *self_p = NULL;
    }
}

static struct waiting *find(struct commands *self, uint64_t ticket)
{
    for (size_t i = 0; i < COMMANDS_MAX; i++) {
        if (self->slots[i].ticket == ticket) {
            return &self->slots[i];
        }
    }
    return NULL;
}

int commands_send(struct commands *self, struct supervise *supervise,
                  const struct commands_order *order, uint64_t *ret_ticket, struct err *err)
{
    struct waiting *slot = find(self, 0);
    struct manager_command command = {.id = self->last + 1, .args = order->args};
    if (slot == NULL) {
        return err_set(err, ERR_BUSY, "%d commands wait for managers", COMMANDS_MAX);
    }
    if (order->args.length > MANAGER_FIELDS_BYTES_MAX) {
        return err_set(err, ERR_FULL, "the arguments take more than %d bytes",
                       MANAGER_FIELDS_BYTES_MAX);
    }
    (void)snprintf(command.verb, sizeof command.verb, "%s", order->verb);
    int rc = supervise_command(supervise, order->manager, &command, err);
    if (rc != 0) {
        return rc;
    }
    self->last = command.id;
    *slot = (struct waiting){command.id, order->until_ms, order->done, order->context};
    *ret_ticket = command.id;
    return 0;
}

void commands_forget(struct commands *self, uint64_t ticket)
{
    struct waiting *slot = ticket == 0 ? NULL : find(self, ticket);
    if (slot != NULL) {
        *slot = (struct waiting){0};
    }
}

void commands_answer(struct commands *self, const struct manager_reply *reply)
{
    struct waiting *slot = reply->id == 0 ? NULL : find(self, reply->id);
    if (slot != NULL) {
        struct waiting waiting = *slot;
        *slot = (struct waiting){0};
        waiting.done(waiting.context, reply);
    }
}

void commands_run(struct commands *self, int64_t now_ms)
{
    for (size_t i = 0; i < COMMANDS_MAX; i++) {
        struct waiting waiting = self->slots[i];
        if (waiting.ticket == 0 || now_ms < waiting.until_ms) {
            continue;
        }
        struct manager_reply late = {.id = waiting.ticket};
        (void)snprintf(late.code, sizeof late.code, "timed_out");
        (void)snprintf(late.message, sizeof late.message, "the manager did not answer in time");
        self->slots[i] = (struct waiting){0};
        waiting.done(waiting.context, &late);
    }
}
