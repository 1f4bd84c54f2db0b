#include "consensus/policy.h"

#include <stdio.h>
#include <string.h>

#define CAUGHT_UP_ENTRIES 64
#define MOVES_MAX 16 /* the pause has reached its cap long before */

const struct policy_config policy_config_default = {
    .handover_below = 80.0,
    .margin = 10.0,
    .hold_ms = 3000,
    .gray_hold_ms = 1500,
    .min_tenure_ms = 30000,
    .pause_min_ms = 30000,
    .pause_max_ms = 900000,
    .pause_decay_ms = 600000,
};

void policy_init(struct policy *self, const struct policy_config *config)
{
    *self = (struct policy){.config = config != NULL ? *config : policy_config_default,
                            .ill_since_ms = -1,
                            .gray_since_ms = -1,
                            .last_move_ms = -1};
}

/* Quiet time takes doublings back, one for each pause_decay. */
static void decay(struct policy *self, int64_t now_ms)
{
    while (self->moves > 0 && self->config.pause_decay_ms > 0 &&
           now_ms - self->decayed_ms >= self->config.pause_decay_ms) {
        self->decayed_ms += self->config.pause_decay_ms;
        self->moves--;
    }
}

void policy_note_move(struct policy *self, int64_t now_ms)
{
    decay(self, now_ms);
    if (self->moves < MOVES_MAX) {
        self->moves++;
    }
    self->last_move_ms = now_ms;
    self->decayed_ms = now_ms;
    self->ill_since_ms = -1;
    self->gray_since_ms = -1;
}

int64_t policy_pause_ms(const struct policy *self)
{
    if (self->moves == 0) {
        return 0;
    }
    int64_t pause_ms = self->config.pause_min_ms;
    for (uint32_t i = 1; i < self->moves && pause_ms < self->config.pause_max_ms; i++) {
        pause_ms *= 2;
    }
    return pause_ms < self->config.pause_max_ms ? pause_ms : self->config.pause_max_ms;
}

uint32_t policy_capability(int percent)
{
    return percent >= 50 ? 2 : percent > 0 ? 1 : 0;
}

static bool may_lead(const struct policy_node *node)
{
    return node->id != 0 && node->alive && node->caught_up && !node->draining && !node->witness &&
           !node->unwanted;
}

static bool is_better(const struct policy_node *a, const struct policy_node *b)
{
    if (a->capabilities != b->capabilities) {
        return a->capabilities > b->capabilities;
    }
    if (a->score_known != b->score_known) {
        return a->score_known;
    }
    if (a->score_known && (a->score > b->score || a->score < b->score)) {
        return a->score > b->score;
    }
    return a->id < b->id;
}

static size_t voter_count(const struct policy_input *input)
{
    return input->voter_count < NODES_MAX ? input->voter_count : NODES_MAX;
}

static const struct policy_node *best(const struct policy_input *input)
{
    const struct policy_node *found = NULL;
    for (size_t i = 0; i < voter_count(input); i++) {
        const struct policy_node *voter = &input->voters[i];
        if (may_lead(voter) && (found == NULL || is_better(voter, found))) {
            found = voter;
        }
    }
    return found;
}

uint64_t policy_best(const struct policy_input *input)
{
    const struct policy_node *found = best(input);
    return found == NULL ? 0 : found->id;
}

uint64_t policy_best_known(const struct policy_input *input)
{
    uint64_t found = policy_best(input);
    for (size_t i = 0; found == 0 && i < voter_count(input); i++) {
        const struct policy_node *voter = &input->voters[i];
        if (voter->alive && !voter->draining && !voter->witness && !voter->unwanted) {
            found = voter->id;
        }
    }
    return found;
}

bool policy_caught_up(const struct consensus_view *view, size_t server, int64_t election_timeout_ms)
{
    return view->match_index[server] + CAUGHT_UP_ENTRIES >= view->last_index &&
           view->last_contact_ms[server] >= 0 &&
           view->last_contact_ms[server] <= election_timeout_ms;
}

/* Is `voter` worth a move for health's sake? Better by the margin while we are ill and no less
 * able; or able to do more, and no less healthy than what we ask of a leader. */
static bool is_worth_it(const struct policy *self, const struct policy_node *mine,
                        const struct policy_node *voter)
{
    if (!may_lead(voter) || !voter->score_known) {
        return false;
    }
    if (voter->capabilities > mine->capabilities) {
        return voter->score >= self->config.handover_below ||
               (mine->score_known && voter->score >= mine->score);
    }
    return voter->capabilities == mine->capabilities && mine->score_known &&
           mine->score < self->config.handover_below &&
           voter->score >= mine->score + self->config.margin;
}

static const struct policy_node *worthy(const struct policy *self, const struct policy_input *input)
{
    const struct policy_node *found = NULL;
    for (size_t i = 0; i < voter_count(input); i++) {
        const struct policy_node *voter = &input->voters[i];
        if (is_worth_it(self, &input->self, voter) && (found == NULL || is_better(voter, found))) {
            found = voter;
        }
    }
    return found;
}

static void stay(struct policy_decision *ret, const char *text)
{
    (void)snprintf(ret->text, sizeof(ret->text), "%s", text);
}

static void decide_drain(const struct policy_input *input, struct policy_decision *ret)
{
    const struct policy_node *target = best(input);
    if (target == NULL) {
        stay(ret, "draining, but no other voter is alive, caught up and free to lead");
        return;
    }
    ret->hand_over = true;
    ret->target = target->id;
    ret->cause = CONSENSUS_CAUSE_DRAIN;
    stay(ret, "this node drains");
}

/* The best voter with less trouble and no other than this node has: in an outage that all share,
 * leadership stays. */
static const struct policy_node *not_gray(const struct policy_input *input)
{
    uint32_t mine = input->self.gray;
    const struct policy_node *found = NULL;
    for (size_t i = 0; mine != 0 && i < voter_count(input); i++) {
        const struct policy_node *voter = &input->voters[i];
        bool less = (voter->gray & ~mine) == 0 && voter->gray != mine;
        if (less && may_lead(voter) && voter->score_known &&
            (found == NULL || is_better(voter, found))) {
            found = voter;
        }
    }
    return found;
}

/* True when there is a decision. */
static bool decide_gray(struct policy *self, const struct policy_input *input,
                        struct policy_decision *ret)
{
    const struct policy_node *target = not_gray(input);
    if (target == NULL) {
        self->gray_since_ms = -1;
        return false;
    }
    if (self->gray_since_ms < 0) {
        self->gray_since_ms = input->now_ms;
    }
    if (input->now_ms - self->gray_since_ms < self->config.gray_hold_ms) {
        return false;
    }
    ret->hand_over = true;
    ret->target = target->id;
    ret->cause = CONSENSUS_CAUSE_GRAY;
    stay(ret, "this node's work does not go on");
    return true;
}

static void say_why(const struct policy_input *input, const struct policy_node *target,
                    struct policy_decision *ret)
{
    if (target->capabilities > input->self.capabilities) {
        (void)snprintf(ret->text, sizeof(ret->text),
                       "it can do the work of %.1f managers, this node of %.1f",
                       target->capabilities / 2.0, input->self.capabilities / 2.0);
        return;
    }
    (void)snprintf(ret->text, sizeof(ret->text), "score %.1f here, %.1f there", input->self.score,
                   target->score);
}

static void decide_health(struct policy *self, const struct policy_input *input,
                          struct policy_decision *ret)
{
    const struct policy_config *config = &self->config;
    int64_t now_ms = input->now_ms;
    const struct policy_node *target = worthy(self, input);
    if (target == NULL) {
        self->ill_since_ms = -1;
        stay(ret, "no voter is better by enough");
        return;
    }
    if (self->ill_since_ms < 0) {
        self->ill_since_ms = now_ms;
    }
    if (now_ms - self->ill_since_ms < config->hold_ms) {
        stay(ret, "a better voter is there, but not for long enough");
    } else if (now_ms - input->acting_since_ms < config->min_tenure_ms) {
        stay(ret, "a better voter is there, but this node leads too short a time");
    } else if (self->last_move_ms >= 0 && now_ms - self->last_move_ms < policy_pause_ms(self)) {
        stay(ret, "a better voter is there, but leadership moved a short time ago");
    } else {
        ret->hand_over = true;
        ret->target = target->id;
        ret->cause = CONSENSUS_CAUSE_HEALTH;
        say_why(input, target, ret);
    }
}

void policy_decide(struct policy *self, const struct policy_input *input,
                   struct policy_decision *ret)
{
    memset(ret, 0, sizeof(*ret));
    decay(self, input->now_ms);
    if (!input->acting) {
        self->ill_since_ms = -1;
        self->gray_since_ms = -1;
        stay(ret, "this node does not act as leader");
    } else if (input->draining) {
        decide_drain(input, ret);
    } else if (!decide_gray(self, input, ret)) {
        decide_health(self, input, ret);
    }
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t policy_due_ms(const struct policy *self, int64_t acting_since_ms)
{
    int64_t due_ms = INT64_MAX;
    if (self->ill_since_ms >= 0) {
        due_ms = later(self->ill_since_ms + self->config.hold_ms,
                       acting_since_ms + self->config.min_tenure_ms);
        if (self->last_move_ms >= 0) {
            due_ms = later(due_ms, self->last_move_ms + policy_pause_ms(self));
        }
    }
    int64_t gray_ms =
        self->gray_since_ms >= 0 ? self->gray_since_ms + self->config.gray_hold_ms : INT64_MAX;
    return gray_ms < due_ms ? gray_ms : due_ms;
}
