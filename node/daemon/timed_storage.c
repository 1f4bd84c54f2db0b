#include "node/daemon/timed_storage.h"

#include "node/base/clock.h"

void timed_storage_note(struct timed_storage *self, int64_t begun_ms)
{
    self->written_ms = clock_boot_ms();
    int64_t took_ms = self->written_ms - begun_ms;
    self->worst_ms = took_ms > self->worst_ms ? took_ms : self->worst_ms;
}

int64_t timed_storage_take_worst_ms(struct timed_storage *self)
{
    int64_t worst_ms = self->worst_ms;
    self->worst_ms = 0;
    return worst_ms;
}

static int load(void *context, struct consensus_stored *ret, struct err *err)
{
    struct timed_storage *self = context;
    return self->inner.load(self->inner.context, ret, err);
}

static int set_term(void *context, uint64_t term, struct err *err)
{
    struct timed_storage *self = context;
    int64_t begun_ms = clock_boot_ms();
    int rc = self->inner.set_term(self->inner.context, term, err);
    timed_storage_note(self, begun_ms);
    return rc;
}

static int set_vote(void *context, uint64_t term, uint64_t id, struct err *err)
{
    struct timed_storage *self = context;
    int64_t begun_ms = clock_boot_ms();
    int rc = self->inner.set_vote(self->inner.context, term, id, err);
    timed_storage_note(self, begun_ms);
    return rc;
}

static int append(void *context, uint64_t first_index, const struct consensus_entry *entries,
                  size_t count, struct err *err)
{
    struct timed_storage *self = context;
    int64_t begun_ms = clock_boot_ms();
    int rc = self->inner.append(self->inner.context, first_index, entries, count, err);
    timed_storage_note(self, begun_ms);
    return rc;
}

static int truncate_from(void *context, uint64_t first_index, struct err *err)
{
    struct timed_storage *self = context;
    int64_t begun_ms = clock_boot_ms();
    int rc = self->inner.truncate(self->inner.context, first_index, err);
    timed_storage_note(self, begun_ms);
    return rc;
}

static int snapshot_put(void *context, const struct consensus_snapshot_meta *meta,
                        const uint8_t *bytes, size_t length, uint64_t trailing, struct err *err)
{
    struct timed_storage *self = context;
    int64_t begun_ms = clock_boot_ms();
    int rc = self->inner.snapshot_put(self->inner.context, meta, bytes, length, trailing, err);
    timed_storage_note(self, begun_ms);
    return rc;
}

static int snapshot_get(void *context, struct consensus_stored *ret, struct err *err)
{
    struct timed_storage *self = context;
    return self->inner.snapshot_get(self->inner.context, ret, err);
}

void timed_storage_wrap(struct timed_storage *self, const struct consensus_storage *inner,
                        struct consensus_storage *ret)
{
    *self = (struct timed_storage){.inner = *inner};
    *ret = (struct consensus_storage){.context = self,
                                      .load = load,
                                      .set_term = set_term,
                                      .set_vote = set_vote,
                                      .append = append,
                                      .truncate = truncate_from,
                                      .snapshot_put = snapshot_put,
                                      .snapshot_get = snapshot_get};
}
