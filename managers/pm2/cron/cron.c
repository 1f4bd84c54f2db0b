/* Backups in mode cron. Each is a schedule of the cluster, "pm2/NAME", and its slots are runs, as
 * those of the run manager are: carried out by the same engine (managers/run/engine.h), directly
 * under the guard, each slot once in the cluster, also across a failover. PM2 does not see them:
 * its own cron_restart starts stopped processes again by itself.
 *
 * A cron backup runs at its own times, whatever its primary does, and so does an enhanced one:
 * where a slot of the standard one fails, the next slot of the enhanced one does the work. Its
 * stands_in_for says whose host it rather does not run on, and what `coverage` counts it for. */
#include "managers/pm2/pm2.h"

#include "managers/pm2/cron/source.h"
#include "managers/run/engine.h"
#include "node/base/doc.h"

#include <string.h>

#define AVOID_MS 1000 /* between two looks at where the primaries are */

int cron_open(struct pm2 *self, struct err *err)
{
    return run_create(self->runtime, &cron_source, &self->run, err);
}

static void avoid_primaries(struct pm2 *self, int64_t now_ms)
{
    const struct schedules *schedules = run_schedules(self->run);
    self->avoided_ms = now_ms;
    for (size_t i = 0; i < schedules->count; i++) {
        const struct settings_backup *backup =
            settings_backup(self->settings, schedules->rows[i].id);
        struct manager_duty_wanted wanted = {.avoid_count = 0};
        if (backup != NULL && backup->stands_in_for[0] != '\0') {
            choose_avoid_primary(self, backup->stands_in_for, now_ms, &wanted);
        }
        run_avoid(self->run, i, (const char(*)[NAME_SIZE])wanted.avoid, wanted.avoid_count);
    }
}

int cron_configure(struct pm2 *self, const struct manager_configure *configure, struct err *err)
{
    self->avoided_ms = 0; /* with the next tick, before it tells */
    return run_configure(self->run, configure, err);
}

void cron_role(struct pm2 *self, bool active, int64_t now_ms)
{
    if (active) {
        avoid_primaries(self, now_ms);
    }
    run_role(self->run, active);
}

void cron_tick(struct pm2 *self, int64_t now_ms)
{
    if (runtime_active(self->runtime) && now_ms - self->avoided_ms >= AVOID_MS) {
        avoid_primaries(self, now_ms);
    }
    run_tick(self->run);
    self->observe_now = run_has_news(self->run) || self->observe_now;
}

/* Its own row of `backup list`, by what every node tells of its runs. */
void cron_describe(const struct pm2 *self, const struct settings_backup *backup, const json_t *runs,
                   json_t *ret)
{
    const struct schedule *schedule = schedules_find(run_schedules(self->run), backup->name);
    char why[REASON_SIZE];
    size_t index;
    json_t *run;
    (void)snprintf(why, sizeof why, "runs at its times: %s",
                   schedule != NULL ? schedule->is.expression : "?");
    (void)json_object_set_new(ret, "why", doc_text(why));
    json_array_foreach(runs, index, run)
    {
        if (strcmp(doc_get_text(run, "schedule", ""), backup->name) == 0 &&
            strcmp(doc_get_text(run, "state", ""), "running") == 0) {
            (void)json_object_set_new(ret, "state", json_string("running"));
            (void)json_object_set(ret, "run", json_object_get(run, "duty"));
            (void)json_object_set(ret, "node", json_object_get(run, "node"));
            (void)json_object_set(ret, "pid", json_object_get(run, "pid"));
            (void)json_object_set(ret, "for_ms", json_object_get(run, "for_ms"));
            return;
        }
    }
}
