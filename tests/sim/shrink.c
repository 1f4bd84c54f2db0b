#include "tests/sim/shrink.h"

#include "node/base/clock.h"
#include "node/base/invariant.h"
#include "tests/sim/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct shrink {
    struct pin *best; /* fails */
    struct pin trial;
    char *text; /* of the best */
    int64_t failed_at_ms;
    int64_t until_ms;
    size_t runs;
};

static bool in_time(const struct shrink *self)
{
    return clock_boot_ms() < self->until_ms;
}

/* Whether the trial fails as the best does; then it is the best. */
static bool try_it(struct shrink *self)
{
    if (!in_time(self)) {
        return false;
    }
    struct verdict verdict;
    struct options options = self->trial.options;
    options.replay = &self->trial.schedule;
    self->runs++;
    enum outcome outcome = runner_one(runner_random, &options, self->trial.seed, &verdict, NULL);
    if (outcome == OUTCOME_OK || strcmp(verdict.check, self->best->expect) != 0) {
        return false;
    }
    *self->best = self->trial;
    (void)snprintf(self->text, sizeof verdict.text, "%s", verdict.text);
    self->failed_at_ms = outcome == OUTCOME_VIOLATION ? verdict.at_ms : 0;
    return true;
}

/* ---- the list ---- */

/* Without the `length` faults from `from` on. */
static bool try_without(struct shrink *self, size_t from, size_t length)
{
    self->trial = *self->best;
    struct schedule *schedule = &self->trial.schedule;
    memmove(&schedule->faults[from], &schedule->faults[from + length],
            (schedule->count - from - length) * sizeof schedule->faults[0]);
    schedule->count -= length;
    return try_it(self);
}

/* One pass with pieces of this length, from the end: late faults matter least. */
static bool drop_pieces(struct shrink *self, size_t length)
{
    bool dropped = false;
    size_t end = self->best->schedule.count;
    while (end > 0 && in_time(self)) {
        size_t from = end > length ? end - length : 0;
        dropped = try_without(self, from, end - from) || dropped;
        end = from;
    }
    return dropped;
}

static void shrink_list(struct shrink *self)
{
    size_t length = (self->best->schedule.count + 1) / 2;
    while (self->best->schedule.count > 0 && in_time(self)) {
        bool dropped = drop_pieces(self, length);
        if (length == 1 && !dropped) {
            return;
        }
        length = length > 1 ? length / 2 : 1;
    }
}

/* ---- options ---- */

static bool try_setting(struct shrink *self, const char *setting)
{
    struct err err = {0};
    self->trial = *self->best;
    int code = options_set(&self->trial.options, setting, &err);
    invariant(code == 0);
    if (memcmp(&self->trial.options, &self->best->options, sizeof self->trial.options) == 0) {
        return false; /* so it is */
    }
    return try_it(self);
}

static void shrink_counts(struct shrink *self, const char *name, int64_t least, int64_t present)
{
    for (int64_t value = least; value < present && in_time(self); value++) {
        char setting[64];
        (void)snprintf(setting, sizeof setting, "%s=%lld", name, (long long)value);
        if (try_setting(self, setting)) {
            return;
        }
    }
}

static void shrink_options(struct shrink *self)
{
    static const char *const settings[] = {"loss=0",   "duplicate=0",    "late=0",
                                           "tail=0",   "tail_percent=0", "drift=0",
                                           "gossip=0", "delay=1",        "manager_lag=0"};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        (void)try_setting(self, settings[i]);
    }
    shrink_counts(self, "duties", 0, self->best->options.duties);
    shrink_counts(self, "nodes", 1, self->best->options.nodes);
}

/* Nothing later than the failure matters, and a violation needs no healing. */
static void shrink_time(struct shrink *self)
{
    const struct schedule *schedule = &self->best->schedule;
    char setting[64];
    if (self->best->expect[0] == 'L') {
        int64_t last_ms =
            schedule->count == 0 ? 1000 : schedule->faults[schedule->count - 1].at_us / 1000 + 1000;
        (void)snprintf(setting, sizeof setting, "duration=%lld",
                       (long long)(last_ms + self->best->options.calm));
        if (last_ms + self->best->options.calm < self->best->options.duration) {
            (void)try_setting(self, setting);
        }
        return;
    }
    if (self->failed_at_ms == 0) {
        return;
    }
    self->trial = *self->best;
    self->trial.options.liveness = 0;
    self->trial.options.calm = 0;
    self->trial.options.duration = self->failed_at_ms + 100;
    (void)try_it(self);
}

/* ---- the whole ---- */

/* The seed again, now with its list of faults. */
static bool record(struct shrink *self)
{
    struct schedule *list = mmap(NULL, sizeof *list, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0); /* the child fills it */
    invariant(list != MAP_FAILED);
    struct options options = self->best->options;
    options.record = list;
    struct verdict verdict;
    (void)runner_one(runner_random, &options, self->best->seed, &verdict, NULL);
    self->best->schedule = *list;
    (void)munmap(list, sizeof *list);
    self->trial = *self->best;
    return try_it(self);
}

void shrink_seed(const struct options *options, uint64_t seed, const char *check, int64_t seconds,
                 struct pin *ret, char *ret_text, struct shrink_result *ret_result)
{
    struct shrink *self = calloc(1, sizeof *self);
    invariant(self != NULL);
    memset(ret, 0, sizeof *ret);
    ret->seed = seed;
    ret->options = *options;
    ret->options.record = NULL;
    ret->options.replay = NULL;
    (void)snprintf(ret->expect, sizeof ret->expect, "%s", check);
    self->best = ret;
    self->text = ret_text;
    self->until_ms = clock_boot_ms() + seconds * 1000;
    *ret_result = (struct shrink_result){.reproduced = record(self)};
    ret_result->faults_before = ret->schedule.count;
    if (ret_result->reproduced) {
        shrink_time(self);
        shrink_list(self);
        shrink_options(self);
        shrink_list(self);
        shrink_time(self);
    }
    ret_result->faults_after = ret->schedule.count;
    ret_result->runs = self->runs;
    free(self);
}
