#include "node/daemon/proving.h"

#include "node/base/clock.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_MS 500
#define PROPOSE_AGAIN_MS 5000

/* A duty that runs, as this leader has seen it since. */
struct running {
    uint64_t assignment; /* numbers one life of one duty */
    int64_t since_ms;
    int64_t proposed_ms;
};

struct proving {
    uint64_t term; /* of the acting leader that the rows are of */
    int64_t look_at_ms;
    size_t count;
    struct running rows[DUTIES_MAX];
};

struct proving *proving_create(void)
{
    return calloc(1, sizeof(struct proving));
}

void proving_destroy(struct proving **self_p)
{
    if (self_p != NULL) {
        free(*self_p);
        *self_p = NULL;
    }
}

static bool says_running(const struct node *self, const struct state_duty *duty)
{
    const struct report *report = reports_of(self, duty->assignment.node);
    for (size_t i = 0; report != NULL && i < report->duty_count; i++) {
        const struct report_duty *row = &report->duties[i];
        if (row->assignment == duty->assignment.number && strcmp(row->id, duty->is.id) == 0) {
            return strcmp(row->phase, manager_duty_phase_name(MANAGER_DUTY_RUNNING)) == 0;
        }
    }
    return false;
}

/* Its row of the last look, or a new one. */
static struct running row_of(const struct proving *self, uint64_t assignment, int64_t now_ms)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->rows[i].assignment == assignment) {
            return self->rows[i];
        }
    }
    return (struct running){
        .assignment = assignment, .since_ms = now_ms, .proposed_ms = now_ms - PROPOSE_AGAIN_MS};
}

/* The row on record is of an earlier assignment, or old. A clock that was set back makes it no
 * older: then nothing is told until it has caught up. */
static bool is_news(const struct node *self, const struct state_duty *duty)
{
    const struct state_proven *row = state_proven_of(self->state, duty->is.id);
    return row == NULL || row->assignment != duty->assignment.number ||
           clock_wall_ms() - row->last_wall_ms >= PROVING_AGAIN_MS;
}

static void propose(struct node *self, const struct state_duty *duty, int64_t ran_ms)
{
    struct command command = {.type = COMMAND_DUTY_PROVEN};
    struct command_proven *proven = &command.proven;
    (void)snprintf(proven->duty, sizeof proven->duty, "%s", duty->is.id);
    proven->assignment = duty->assignment.number;
    proven->ran_ms = ran_ms;
    proven->by = PROVEN_BY_RUN;
    (void)snprintf(command.who, sizeof command.who, "%s", node_name(self));
    (void)snprintf(command.why, sizeof command.why, "it ran for %lld s on %s",
                   (long long)(ran_ms / 1000), duty->assignment.node);
    (void)proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL);
}

static void look_at(struct node *self, const struct state_duty *duty, struct running *row,
                    int64_t now_ms)
{
    int64_t ran_ms = now_ms - row->since_ms;
    if (ran_ms >= PROVING_RUN_MS && now_ms - row->proposed_ms >= PROPOSE_AGAIN_MS &&
        is_news(self, duty)) {
        row->proposed_ms = now_ms;
        propose(self, duty, ran_ms);
    }
}

void proving_run(struct node *self, int64_t now_ms)
{
    static struct running seen[DUTIES_MAX];
    struct proving *proving = self->proving;
    if (!node_may_act(self) || now_ms < proving->look_at_ms) {
        return;
    }
    proving->look_at_ms = now_ms + PERIOD_MS;
    if (proving->term != self->view.term) {
        proving->term = self->view.term;
        proving->count = 0;
    }
    size_t count = 0;
    for (size_t i = 0; i < state_duty_count(self->state) && count < DUTIES_MAX; i++) {
        const struct state_duty *duty = state_duty_at(self->state, i);
        if (duty->is.once || !state_duty_held(duty) || !says_running(self, duty)) {
            continue;
        }
        seen[count] = row_of(proving, duty->assignment.number, now_ms);
        look_at(self, duty, &seen[count], now_ms);
        count++;
    }
    memcpy(proving->rows, seen, count * sizeof seen[0]);
    proving->count = count;
}
