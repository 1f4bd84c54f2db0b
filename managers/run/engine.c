#include "managers/run/run.h"

#include "node/base/clock.h"

#include <stdlib.h>
#include <unistd.h>

int run_create(struct runtime *runtime, const struct schedules_source *source, struct run **ret,
               struct err *err)
{
    struct run *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for the runs");
    }
    self->runtime = runtime;
    self->source = source;
    *ret = self;
    return 0;
}

void run_destroy(struct run **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    run_carry_close(*self_p);
    schedules_destroy(&(*self_p)->schedules);
    free(*self_p);
    *self_p = NULL;
}

int run_configure(struct run *self, const struct manager_configure *configure, struct err *err)
{
    struct schedules *schedules = NULL;
    int rc = schedules_read(&configure->section, self->source, &schedules, err);
    if (rc == 0 && !self->ready) {
        rc = files_open(configure->data_dir, self->source->prefix, &self->files, err);
    }
    if (rc != 0) {
        schedules_destroy(&schedules);
        return rc;
    }
    schedules_destroy(&self->schedules);
    self->schedules = schedules;
    self->configure = *configure;
    self->configure.section = (struct manager_document){0};
    if (!self->ready) {
        self->ready = true;
        run_carry_resume(self);
    }
    tell_begin(self);
    self->has_news = true;
    return 0;
}

void run_role(struct run *self, bool active)
{
    tell_begin(self);
    if (active) {
        tell_step(self, clock_boot_ms());
    }
}

bool run_owns(const struct run *self, const char *duty)
{
    struct slot_name name;
    return slot_parse(self->source->prefix, duty, &name);
}

void run_tick(struct run *self)
{
    if (self->ready) {
        run_carry_tick(self);
        tell_step(self, clock_boot_ms());
    }
}

const struct schedules *run_schedules(const struct run *self)
{
    return self->schedules;
}

void run_avoid(struct run *self, size_t index, const char (*nodes)[NAME_SIZE], size_t count)
{
    if (schedules_avoid(self->schedules, index, nodes, count)) {
        tell_begin(self);
    }
}

bool run_can_run(const struct run *self)
{
    return self->ready && access(self->configure.guard_path, X_OK) == 0 &&
           access(self->files.folder, W_OK | X_OK) == 0;
}

size_t run_under_way(const struct run *self)
{
    size_t count = 0;
    for (size_t i = 0; i < RUN_ATTEMPTS_MAX; i++) {
        count += self->carried[i].used && self->carried[i].attempt.phase == ATTEMPT_RUNNING;
    }
    return count;
}

bool run_has_news(struct run *self)
{
    bool ret = self->has_news;
    self->has_news = false;
    return ret;
}
