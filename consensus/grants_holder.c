#include "consensus/grants.h"

#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

struct grants_holder {
    struct grants_holder_config config;
    int64_t next_ms;
    size_t count;
    struct grants_held *rows;  /* sorted by duty, DUTIES_MAX of them */
    struct grants_held *spare; /* the next rows while they are made */
};

struct grants_holder *grants_holder_create(const struct grants_holder_config *config)
{
    invariant(config->raft_id != 0);
    struct grants_holder *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->config = *config;
    if (self->config.renew_every_ms <= 0) {
        self->config.renew_every_ms = GRANTS_RENEW_EVERY_MS;
    }
    self->next_ms = INT64_MAX;
    self->rows = calloc(DUTIES_MAX, sizeof(self->rows[0]));
    self->spare = calloc(DUTIES_MAX, sizeof(self->spare[0]));
    if (self->rows == NULL || self->spare == NULL) {
        grants_holder_destroy(&self);
    }
    return self;
}

void grants_holder_destroy(struct grants_holder **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    free((*self_p)->rows);
    free((*self_p)->spare);
    free(*self_p);
    *self_p = NULL;
}

static struct grants_held *find_row(const struct grants_holder *self, const char *duty)
{
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(self->rows[middle].duty, duty);
        if (order == 0) {
            return &self->rows[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static bool is_former(const struct grants_holder *self, const struct state_duty *duty)
{
    return duty->assignment.incarnation < self->config.incarnation && !self->config.off.incarnation;
}

static bool is_mine(const struct grants_holder *self, const struct state_duty *duty)
{
    return duty->is.exclusive && state_duty_held(duty) &&
           duty->assignment.raft_id == self->config.raft_id &&
           (duty->assignment.incarnation == self->config.incarnation ||
            self->config.off.incarnation ||
            (self->config.releases_former && is_former(self, duty)));
}

static bool is_open(const struct grants_held *row)
{
    return !row->released && !row->former;
}

void grants_holder_sync(struct grants_holder *self, int64_t now_ms, const struct state *state)
{
    size_t count = 0;
    for (size_t i = 0; i < state_duty_count(state); i++) {
        const struct state_duty *duty = state_duty_at(state, i);
        if (!is_mine(self, duty)) {
            continue;
        }
        const struct grants_held *known = find_row(self, duty->is.id);
        struct grants_held *row = &self->spare[count++];
        if (known != NULL && known->assignment == duty->assignment.number) {
            *row = *known;
            continue;
        }
        memset(row, 0, sizeof(*row));
        memcpy(row->duty, duty->is.id, sizeof(row->duty));
        row->assignment = duty->assignment.number;
        row->term = duty->assignment.term;
        row->former = is_former(self, duty);
        if (is_open(row)) {
            self->next_ms = now_ms;
        }
    }
    struct grants_held *former = self->rows;
    self->rows = self->spare;
    self->spare = former;
    self->count = count;
}

int64_t grants_holder_next_ms(const struct grants_holder *self)
{
    for (size_t i = 0; i < self->count; i++) {
        if (is_open(&self->rows[i])) {
            return self->next_ms;
        }
    }
    return INT64_MAX;
}

bool grants_holder_request(struct grants_holder *self, int64_t now_ms, struct grants_renew *ret)
{
    ret->raft_id = self->config.raft_id;
    ret->incarnation = self->config.incarnation;
    ret->time_ms = now_ms;
    ret->count = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (is_open(&self->rows[i])) {
            ret->assignments[ret->count++] = self->rows[i].assignment;
        }
    }
    self->next_ms = now_ms + self->config.renew_every_ms;
    return ret->count > 0;
}

void grants_holder_hurry(struct grants_holder *self, int64_t now_ms)
{
    self->next_ms = now_ms;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

/* H7b: what answers another incarnation counts from a clock that may have started anew. */
static bool is_for_us(const struct grants_holder *self, int64_t now_ms,
                      const struct grants_grant *grant)
{
    if (self->config.off.incarnation) {
        return true;
    }
    return grant->incarnation == self->config.incarnation && grant->time_ms <= now_ms;
}

size_t grants_holder_take(struct grants_holder *self, int64_t now_ms,
                          const struct grants_grant *grant)
{
    if (!is_for_us(self, now_ms, grant) || grant->count > GRANTS_PER_MESSAGE_MAX ||
        grant->grant_ttl_ms < 1 || grant->grant_ttl_ms > GRANT_TTL_MS_MAX ||
        grant->time_ms > INT64_MAX - GRANT_TTL_MS_MAX) {
        return 0;
    }
    uint64_t granted[GRANTS_PER_MESSAGE_MAX];
    memcpy(granted, grant->assignments, grant->count * sizeof(granted[0]));
    qsort(granted, grant->count, sizeof(granted[0]), compare_numbers);
    int64_t deadline_ms = grant->time_ms + grant->grant_ttl_ms;
    size_t moved = 0;
    for (size_t i = 0; i < self->count; i++) {
        struct grants_held *row = &self->rows[i];
        bool open = !row->former && (!row->released || self->config.off.released_takes_no_grant);
        if (open && deadline_ms > row->deadline_ms &&
            bsearch(&row->assignment, granted, grant->count, sizeof(granted[0]), compare_numbers) !=
                NULL) {
            row->deadline_ms = deadline_ms;
            moved++;
        }
    }
    return moved;
}

int grants_holder_release(struct grants_holder *self, const char *duty)
{
    struct grants_held *row = find_row(self, duty);
    if (row == NULL) {
        return ERR_NOTFOUND;
    }
    row->released = true;
    row->deadline_ms = 0;
    return 0;
}

size_t grants_holder_releases(const struct grants_holder *self, size_t skip,
                              struct grants_release *ret)
{
    ret->raft_id = self->config.raft_id;
    ret->incarnation = self->config.incarnation;
    ret->count = 0;
    for (size_t i = 0; i < self->count && ret->count < GRANTS_RELEASES_MAX; i++) {
        const struct grants_held *row = &self->rows[i];
        if (!row->released) {
            continue;
        }
        if (skip > 0) {
            skip--;
            continue;
        }
        struct grants_release_item *item = &ret->items[ret->count++];
        memcpy(item->duty, row->duty, sizeof(item->duty));
        item->assignment = row->assignment;
    }
    return ret->count;
}

size_t grants_holder_count(const struct grants_holder *self)
{
    return self->count;
}

const struct grants_held *grants_holder_at(const struct grants_holder *self, size_t position)
{
    return position < self->count ? &self->rows[position] : NULL;
}

const struct grants_held *grants_holder_by_duty(const struct grants_holder *self, const char *duty)
{
    return find_row(self, duty);
}

bool grants_holder_may_run(const struct grants_holder *self, int64_t now_ms, const char *duty)
{
    const struct grants_held *row = find_row(self, duty);
    return row != NULL && now_ms < row->deadline_ms;
}
