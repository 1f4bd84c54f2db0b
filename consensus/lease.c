#include "consensus/lease.h"

#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

void lease_clear(struct lease *self)
{
    *self = (struct lease){0};
}

const struct lease_echo *lease_find(const struct lease *self, uint64_t id)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->echoes[i].id == id) {
            return &self->echoes[i];
        }
    }
    return NULL;
}

/* The row of `id`; when the table is full, the row that was silent for longest makes room. */
static struct lease_echo *row_of(struct lease *self, uint64_t id)
{
    size_t oldest = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (self->echoes[i].id == id) {
            return &self->echoes[i];
        }
        if (self->echoes[i].contact_ms < self->echoes[oldest].contact_ms) {
            oldest = i;
        }
    }
    struct lease_echo *row =
        self->count < NODES_MAX ? &self->echoes[self->count++] : &self->echoes[oldest];
    *row = (struct lease_echo){.id = id};
    return row;
}

void lease_answer(struct lease *self, uint64_t id, int64_t now_ms, int64_t sent_ms, bool refuses)
{
    struct lease_echo *row = row_of(self, id);
    row->contact_ms = now_ms;
    row->refuses = refuses;
    if (sent_ms <= now_ms && sent_ms > row->sent_ms) {
        row->sent_ms = sent_ms;
    }
}

static int newest_first(const void *a_p, const void *b_p)
{
    int64_t a = *(const int64_t *)a_p;
    int64_t b = *(const int64_t *)b_p;
    return a < b ? 1 : (a > b ? -1 : 0);
}

static int64_t quorum_of(const struct lease *self,
                         const struct logbook_configuration *configuration, uint64_t leader,
                         int64_t now_ms)
{
    int64_t times[NODES_MAX];
    size_t voters = 0;
    for (size_t i = 0; i < configuration->server_count; i++) {
        const struct consensus_server *server = &configuration->servers[i];
        if (server->role != CONSENSUS_VOTER) {
            continue;
        }
        const struct lease_echo *echo = lease_find(self, server->id);
        times[voters++] = server->id == leader ? now_ms : (echo == NULL ? 0 : echo->sent_ms);
    }
    if (voters == 0) {
        return 0;
    }
    qsort(times, voters, sizeof times[0], newest_first);
    return times[voters / 2];
}

int64_t lease_quorum_ms(const struct lease *self, const struct logbook *log, uint64_t leader,
                        int64_t now_ms)
{
    int64_t quorum = log->configuration_count == 0 ? 0 : now_ms;
    for (size_t i = 0; i < log->configuration_count; i++) {
        int64_t one = quorum_of(self, &log->configurations[i], leader, now_ms);
        quorum = one < quorum ? one : quorum;
    }
    return quorum;
}

int64_t lease_stretch(int64_t ms, bool off)
{
    invariant(ms >= 0);
    return off ? ms : (ms * 105 + 99) / 100;
}

bool lease_may_echo(int64_t silence_ms, int64_t lease_ttl_ms, int64_t heartbeat_ms,
                    bool stretch_off)
{
    return lease_stretch(lease_ttl_ms, stretch_off) + heartbeat_ms <= silence_ms;
}

int64_t lease_silent_until(const struct lease_silence *self, const struct consensus_switches *off)
{
    int64_t until = 0;
    if (!off->silence_after_echo && self->echo_until_ms > until) {
        until = self->echo_until_ms;
    }
    if (!off->silence_after_start && self->start_until_ms > until) {
        until = self->start_until_ms;
    }
    if (!off->silence_of_former_leader && self->managers_until_ms > until) {
        until = self->managers_until_ms;
    }
    return until;
}
