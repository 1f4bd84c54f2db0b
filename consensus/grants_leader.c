#include "consensus/grants.h"

#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

/* What this leader remembers of a duty, beside the replicated state. */
struct duty_record {
    char duty[DUTY_ID_SIZE];
    int64_t sent_until_ms;     /* stretched end of the last grant sent; 0: none in this term */
    uint64_t sent_incarnation; /* whom it was sent to */
    uint64_t released;         /* assignment that a message released; 0: none */
    bool proposed;
    uint64_t token;
};

/* A process that is dead with all that it ran. True for ever, so kept over terms. */
struct death {
    uint64_t raft_id;
    uint64_t incarnation;
};

struct grants_leader {
    struct grants_switches off;
    bool acting;
    uint64_t term; /* 0: never led */
    int64_t began_ms;
    int64_t grant_ttl_ms;
    int64_t now_ms; /* latest time heard of */
    size_t record_count;
    size_t death_count;
    size_t death_next;
    struct duty_record records[DUTIES_MAX]; /* sorted by duty */
    struct death deaths[NODES_MAX];
};

int64_t grants_stretch_ms(int64_t duration_ms)
{
    return duration_ms + (duration_ms + 19) / 20;
}

static int64_t stretched(const struct grants_leader *self, int64_t duration_ms)
{
    return self->off.stretch ? duration_ms : grants_stretch_ms(duration_ms);
}

struct grants_leader *grants_leader_create(const struct grants_switches *off)
{
    struct grants_leader *self = calloc(1, sizeof(*self));
    if (self != NULL && off != NULL) {
        self->off = *off;
    }
    return self;
}

void grants_leader_destroy(struct grants_leader **self_p)
{
    if (self_p == NULL) {
        return;
    }
    free(*self_p);
    *self_p = NULL;
}

void grants_leader_begin(struct grants_leader *self, int64_t now_ms, uint64_t term,
                         int64_t grant_ttl_ms)
{
    invariant(term > 0);
    invariant(grant_ttl_ms >= 1);
    invariant(grant_ttl_ms <= GRANT_TTL_MS_MAX);
    self->acting = true;
    self->now_ms = now_ms;
    self->grant_ttl_ms = grant_ttl_ms;
    if (term != self->term) {
        self->term = term;
        self->began_ms = now_ms;
        self->record_count = 0;
    }
}

void grants_leader_end(struct grants_leader *self)
{
    self->acting = false;
}

/* ---- records ---- */

static size_t record_position(const struct grants_leader *self, const char *duty)
{
    size_t low = 0;
    size_t high = self->record_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(self->records[middle].duty, duty) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static const struct duty_record *find_record(const struct grants_leader *self, const char *duty)
{
    size_t position = record_position(self, duty);
    if (position >= self->record_count || strcmp(self->records[position].duty, duty) != 0) {
        return NULL;
    }
    return &self->records[position];
}

/* Forget duties about which nothing is under way and whose last grant is over. */
static void prune(struct grants_leader *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->record_count; i++) {
        const struct duty_record *record = &self->records[i];
        if (record->proposed || record->sent_until_ms > self->now_ms) {
            self->records[kept++] = *record;
        }
    }
    self->record_count = kept;
}

/* The duty's record, made when there is none; NULL when there is no room. */
static struct duty_record *want_record(struct grants_leader *self, const char *duty)
{
    size_t position = record_position(self, duty);
    if (position < self->record_count && strcmp(self->records[position].duty, duty) == 0) {
        return &self->records[position];
    }
    if (self->record_count >= DUTIES_MAX) {
        prune(self);
        position = record_position(self, duty);
    }
    size_t length = strnlen(duty, DUTY_ID_SIZE);
    if (self->record_count >= DUTIES_MAX || length >= DUTY_ID_SIZE) {
        return NULL;
    }
    struct duty_record *record = &self->records[position];
    memmove(record + 1, record, (self->record_count - position) * sizeof(*record));
    memset(record, 0, sizeof(*record));
    memcpy(record->duty, duty, length);
    self->record_count++;
    return record;
}

/* ---- releases ---- */

static bool died(const struct grants_leader *self, const struct state_assignment *assignment)
{
    for (size_t i = 0; i < self->death_count; i++) {
        const struct death *death = &self->deaths[i];
        if (death->raft_id == assignment->raft_id &&
            (self->off.incarnation || assignment->incarnation <= death->incarnation)) {
            return true;
        }
    }
    return false;
}

bool grants_leader_released(const struct grants_leader *self, const struct state_duty *duty,
                            enum release_proof *ret_proof)
{
    const struct duty_record *record = find_record(self, duty->is.id);
    if (duty->assignment.number == 0) {
        return false;
    }
    if (duty->released) {
        *ret_proof = duty->proof;
        return true;
    }
    if (record != NULL && record->released == duty->assignment.number) {
        *ret_proof = RELEASE_BY_HOLDER;
        return true;
    }
    if (died(self, &duty->assignment)) {
        *ret_proof = RELEASE_BY_OBITUARY;
        return true;
    }
    return false;
}

static bool known_released(const struct grants_leader *self, const struct state_duty *duty)
{
    enum release_proof proof;
    return grants_leader_released(self, duty, &proof);
}

size_t grants_leader_take_release(struct grants_leader *self, const struct state *state,
                                  uint64_t from, const struct grants_release *release)
{
    if (release->raft_id != from) {
        return 0;
    }
    size_t count = 0;
    for (size_t i = 0; i < release->count && i < GRANTS_RELEASES_MAX; i++) {
        const struct grants_release_item *item = &release->items[i];
        const struct state_duty *duty = state_duty_by_id(state, item->duty);
        if (duty == NULL || duty->assignment.raft_id != from || known_released(self, duty)) {
            continue;
        }
        if (duty->assignment.number != item->assignment && !self->off.release_names_assignment) {
            continue; /* H8a: it speaks of an assignment that was replaced since */
        }
        struct duty_record *record = want_record(self, item->duty);
        if (record != NULL && duty->assignment.number != 0) {
            record->released = duty->assignment.number;
            count++;
        }
    }
    return count;
}

static void remember_death(struct grants_leader *self, const struct obituary *obituary)
{
    for (size_t i = 0; i < self->death_count; i++) {
        struct death *death = &self->deaths[i];
        if (death->raft_id == obituary->raft_id) {
            if (obituary->incarnation > death->incarnation) {
                death->incarnation = obituary->incarnation;
            }
            return;
        }
    }
    self->deaths[self->death_next] = (struct death){obituary->raft_id, obituary->incarnation};
    self->death_next = (self->death_next + 1) % NODES_MAX;
    if (self->death_count < NODES_MAX) {
        self->death_count++;
    }
}

static size_t count_held(const struct grants_leader *self, const struct state *state)
{
    size_t count = 0;
    for (size_t i = 0; i < state_duty_count(state); i++) {
        const struct state_duty *duty = state_duty_at(state, i);
        if (duty->assignment.number != 0 && !known_released(self, duty)) {
            count++;
        }
    }
    return count;
}

size_t grants_leader_take_obituary(struct grants_leader *self, const struct state *state,
                                   const struct obituary *obituary)
{
    if (!obituary->duties_ended) {
        return 0;
    }
    size_t before = count_held(self, state);
    remember_death(self, obituary);
    return before - count_held(self, state);
}

/* ---- renewals ---- */

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

static bool grantable(const struct grants_leader *self, const struct state_duty *duty,
                      const struct grants_renew *request)
{
    const struct state_assignment *assignment = &duty->assignment;
    if (!duty->is.exclusive || assignment->number == 0 || assignment->grant_ttl_ms < 1 ||
        assignment->raft_id != request->raft_id || known_released(self, duty)) {
        return false;
    }
    if (assignment->incarnation != request->incarnation && !self->off.incarnation) {
        return false;
    }
    /* H6: a move under way may be applied while the grant still runs. */
    return !grants_leader_moving(self, duty->is.id) || self->off.no_grant_while_moving;
}

/* Write down that a grant of `ttl_ms` goes out for it. */
static bool note_sent(struct grants_leader *self, const struct state_duty *duty, int64_t ttl_ms)
{
    struct duty_record *record = want_record(self, duty->is.id);
    if (record == NULL) {
        return false;
    }
    int64_t until_ms = self->now_ms + stretched(self, ttl_ms);
    if (until_ms > record->sent_until_ms) {
        record->sent_until_ms = until_ms;
    }
    record->sent_incarnation = duty->assignment.incarnation;
    return true;
}

/* Shortest limit of what can be granted to this request, and of the leader's own. */
static int64_t common_ttl_ms(const struct grants_leader *self, const struct state_duty **duties,
                             size_t count)
{
    int64_t ttl_ms = self->grant_ttl_ms;
    for (size_t i = 0; i < count; i++) {
        if (duties[i]->assignment.grant_ttl_ms < ttl_ms) {
            ttl_ms = duties[i]->assignment.grant_ttl_ms;
        }
    }
    return ttl_ms;
}

bool grants_leader_renew(struct grants_leader *self, int64_t now_ms, bool acting,
                         const struct state *state, uint64_t from,
                         const struct grants_renew *request, struct grants_grant *ret)
{
    self->now_ms = now_ms;
    bool allowed = (acting && self->acting) || self->off.grants_only_while_acting;
    if (!allowed || self->term == 0 || request->raft_id != from ||
        request->count > GRANTS_PER_MESSAGE_MAX) {
        return false;
    }
    uint64_t asked[GRANTS_PER_MESSAGE_MAX];
    memcpy(asked, request->assignments, request->count * sizeof(asked[0]));
    qsort(asked, request->count, sizeof(asked[0]), compare_numbers);
    const struct state_duty *duties[DUTIES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < state_duty_count(state); i++) {
        const struct state_duty *duty = state_duty_at(state, i);
        if (grantable(self, duty, request) &&
            bsearch(&duty->assignment.number, asked, request->count, sizeof(asked[0]),
                    compare_numbers) != NULL) {
            duties[count++] = duty;
        }
    }
    *ret = (struct grants_grant){.incarnation = request->incarnation,
                                 .time_ms = request->time_ms,
                                 .grant_ttl_ms = common_ttl_ms(self, duties, count),
                                 .term = self->term};
    for (size_t i = 0; i < count; i++) {
        if (note_sent(self, duties[i], ret->grant_ttl_ms)) {
            ret->assignments[ret->count++] = duties[i]->assignment.number;
        }
    }
    return ret->count > 0;
}

/* ---- moves ---- */

int64_t grants_leader_hold_until_ms(const struct grants_leader *self, int64_t grant_ttl_ms)
{
    if (self->off.hold_of_new_leader) {
        return self->began_ms;
    }
    return self->began_ms + stretched(self, grant_ttl_ms);
}

int64_t grants_leader_sent_until_ms(const struct grants_leader *self, const char *duty)
{
    const struct duty_record *record = find_record(self, duty);
    return record == NULL ? 0 : record->sent_until_ms;
}

bool grants_leader_moving(const struct grants_leader *self, const char *duty)
{
    const struct duty_record *record = find_record(self, duty);
    return record != NULL && record->proposed;
}

/* When everything that any leader sent for the duty's assignment is over. */
static int64_t quiet_at_ms(const struct grants_leader *self, const struct state_duty *duty)
{
    int64_t at_ms = grants_leader_hold_until_ms(self, duty->assignment.grant_ttl_ms);
    const struct duty_record *record = find_record(self, duty->is.id);
    if (record == NULL) {
        return at_ms;
    }
    if (self->off.last_grant_survives && record->sent_incarnation != duty->assignment.incarnation) {
        return at_ms;
    }
    return record->sent_until_ms > at_ms ? record->sent_until_ms : at_ms;
}

bool grants_leader_may_assign(const struct grants_leader *self, int64_t now_ms, bool acting,
                              const struct state_duty *duty, uint64_t raft_id, uint64_t incarnation,
                              int64_t *ret_at_ms)
{
    int64_t unused_ms;
    int64_t *at_ms = ret_at_ms != NULL ? ret_at_ms : &unused_ms;
    *at_ms = 0;
    if (!acting || !self->acting || grants_leader_moving(self, duty->is.id)) {
        return false;
    }
    if (!duty->is.exclusive || duty->assignment.number == 0 || known_released(self, duty)) {
        return true;
    }
    if (raft_id == duty->assignment.raft_id) {
        /* Only its own guards can still run it; the last grant sent stays on record. */
        return incarnation > duty->assignment.incarnation;
    }
    int64_t quiet_ms = quiet_at_ms(self, duty);
    if (now_ms >= quiet_ms) {
        return true;
    }
    *at_ms = quiet_ms;
    return false;
}

int grants_leader_note_proposed(struct grants_leader *self, const char *duty, uint64_t token)
{
    struct duty_record *record = want_record(self, duty);
    if (record == NULL) {
        return ERR_FULL;
    }
    if (record->proposed) {
        return ERR_BUSY;
    }
    record->proposed = true;
    record->token = token;
    return 0;
}

void grants_leader_note_outcome(struct grants_leader *self, uint64_t token, bool known)
{
    for (size_t i = 0; i < self->record_count; i++) {
        struct duty_record *record = &self->records[i];
        if (record->proposed && record->token == token && known) {
            record->proposed = false;
        }
    }
}
