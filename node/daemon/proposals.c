#include "node/daemon/proposals.h"

#include "node/base/clock.h"

#include <stdlib.h>

struct proposal {
    uint64_t token; /* 0: free */
    proposal_done *done;
    void *context;
    bool applied;
    struct state_effect effect;
};

struct proposals {
    uint64_t origin;
    uint64_t incarnation;
    uint64_t next;
    struct consensus_thread *consensus;
    struct proposal slots[PROPOSALS_MAX];
};

struct proposals *proposals_create(uint64_t origin, uint64_t incarnation,
                                   struct consensus_thread *consensus)
{
    struct proposals *self = calloc(1, sizeof *self);
    if (self != NULL) {
        self->origin = origin;
        self->incarnation = incarnation;
        self->next = 1;
        self->consensus = consensus;
    }
    return self;
}

static void finish(struct proposal *slot, int status)
{
    struct proposal proposal = *slot;
    *slot = (struct proposal){0};
    if (proposal.done != NULL) {
        const struct state_effect *effect =
            status == 0 && proposal.applied ? &proposal.effect : NULL;
        proposal.done(proposal.context, proposal.token,
                      effect == NULL && status == 0 ? ERR_STALE : status, effect);
    }
}

void proposals_destroy(struct proposals **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct proposals *self = *self_p;
    for (size_t i = 0; i < PROPOSALS_MAX; i++) {
        if (self->slots[i].token != 0) {
            finish(&self->slots[i], ERR_CLOSED);
        }
    }
    free(self);
    *self_p = NULL;
}

uint64_t proposals_next_token(const struct proposals *self)
{
    return self->next;
}

static struct proposal *find(struct proposals *self, uint64_t token)
{
    struct proposal *slot = &self->slots[token % PROPOSALS_MAX];
    return token != 0 && slot->token == token ? slot : NULL;
}

int proposals_submit(struct proposals *self, struct command *command, proposal_done *done,
                     void *context, uint64_t *ret_token, struct err *err)
{
    struct proposal *slot = &self->slots[self->next % PROPOSALS_MAX];
    if (slot->token != 0) {
        return err_set(err, ERR_FULL, "too many changes are under way; try again");
    }
    command->origin = self->origin;
    command->incarnation = self->incarnation;
    command->sequence = self->next;
    command->wall_ms = clock_wall_ms();
    struct mp_writer writer;
    mp_writer_init(&writer, COMMAND_BYTES_MAX);
    int rc = command_encode(command, &writer, err);
    if (rc == 0) {
        struct consensus_event event = {
            .kind = CONSENSUS_EVENT_PROPOSE,
            .token = self->next,
            .bytes = writer.buffer.data,
            .length = writer.buffer.length,
        };
        rc = consensus_thread_post(self->consensus, &event);
        if (rc != 0) {
            (void)err_set(err, rc, "the consensus thread is too far behind; try again");
        }
    }
    mp_writer_deinit(&writer);
    if (rc != 0) {
        return rc;
    }
    *slot = (struct proposal){.token = self->next, .done = done, .context = context};
    if (ret_token != NULL) {
        *ret_token = self->next;
    }
    self->next++;
    return 0;
}

void proposals_applied(struct proposals *self, const struct state_effect *effect)
{
    if (effect->origin != self->origin || effect->incarnation != self->incarnation) {
        return;
    }
    struct proposal *slot = find(self, effect->sequence);
    if (slot != NULL && !slot->applied) {
        slot->applied = true;
        slot->effect = *effect;
    }
}

void proposals_noticed(struct proposals *self, uint64_t token, int status)
{
    struct proposal *slot = find(self, token);
    if (slot != NULL) {
        finish(slot, status);
    }
}
