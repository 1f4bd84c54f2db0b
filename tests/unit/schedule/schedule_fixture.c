#include "tests/unit/schedule/schedule_fixture.h"

#include <stdlib.h>

/* ---- zones ---- */

static struct fixture_zone {
    const char *name;
    const char *footer;
    struct zone *is;
} zones[] = {
    {"UTC", "UTC0", NULL},
    {"Madrid", "CET-1CEST,M3.5.0,M10.5.0/3", NULL},
    {"New_York", "EST5EDT,M3.2.0,M11.1.0", NULL},
    {"Lord_Howe", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", NULL},
};

/* RFC 8536, 3.1: one type of local time, no changes. Twice, as version 2 wants it. */
static size_t put_block(uint8_t *ret)
{
    static const uint8_t block[44 + 6 + 4] = {
        'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 4, [50] = 'U', 'T', 'C', 0};
    memcpy(ret, block, sizeof block);
    return sizeof block;
}

static struct zone *make_zone(const char *name, const char *footer)
{
    uint8_t bytes[256];
    struct err err = {0};
    struct zone *zone = NULL;
    size_t length = put_block(bytes);
    length += put_block(bytes + length);
    length += (size_t)snprintf((char *)bytes + length, sizeof bytes - length, "\n%s\n", footer);
    if (zone_decode(bytes, length, name, &zone, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    return zone;
}

const struct zone *fixture_zone(const char *name)
{
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        if (strcmp(zones[i].name, name) == 0) {
            zones[i].is = zones[i].is != NULL ? zones[i].is : make_zone(name, zones[i].footer);
            return zones[i].is;
        }
    }
    return NULL;
}

void fixture_zones_free(void)
{
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        zone_destroy(&zones[i].is);
    }
}

/* ---- the world ---- */

static const struct zone *zone_of(void *context, const char *name)
{
    const struct world *self = context;
    return self->blind ? NULL : fixture_zone(name);
}

static enum run_reason gate_of(void *context, const char *manager)
{
    const struct world *self = context;
    assert_string_equal(manager, "run");
    return self->gate;
}

void world_create(struct world *self, int64_t wall_s)
{
    memset(self, 0, sizeof *self);
    self->state = state_create();
    assert_non_null(self->state);
    self->now = (struct scheduler_now){.now_ms = 5000,
                                       .wall_ms = wall_s * 1000,
                                       .wall_trusted = true,
                                       .acting = true,
                                       .room = 100,
                                       .gate = gate_of,
                                       .context = self};
    world_new_leader(self);
}

void world_destroy(struct world *self)
{
    scheduler_destroy(&self->scheduler);
    state_destroy(&self->state);
    fixture_zones_free();
}

void world_new_leader(struct world *self)
{
    struct scheduler_config config = {.zone = zone_of, .context = self, .off = self->off};
    scheduler_destroy(&self->scheduler);
    self->scheduler = scheduler_create(&config);
    assert_non_null(self->scheduler);
    assert_int_equal(scheduler_sync(self->scheduler, self->state, NULL), 0);
}

void world_at(struct world *self, int64_t wall_s)
{
    int64_t passed_ms = wall_s * 1000 - self->now.wall_ms;
    self->now.now_ms += passed_ms > 0 ? passed_ms : 0;
    self->now.wall_ms = wall_s * 1000;
}

struct schedule_definition definition_of(const char *expression)
{
    struct schedule_definition is = {.digest = 1,
                                     .overlap = SCHEDULE_OVERLAP_FORBID,
                                     .misfire = SCHEDULE_MISFIRE_RUN_ONCE,
                                     .misfire_cap = 3,
                                     .misfire_window_s = 3600,
                                     .start_deadline_s = 90};
    copy_text(is.expression, sizeof is.expression, expression);
    copy_text(is.zone, sizeof is.zone, "UTC");
    return is;
}

const struct state_schedule *world_row(const struct world *self, const char *id)
{
    return state_schedule_by_id(self->state, id);
}

void world_put(struct world *self, const char *id, const struct schedule_definition *is,
               int64_t decided_s)
{
    struct command command = command_of(COMMAND_SCHEDULE_PUT);
    const struct state_schedule *row = world_row(self, id);
    copy_text(command.schedule.id, sizeof command.schedule.id, id);
    command.schedule.replaces = row == NULL ? 0 : row->revision;
    command.schedule.decided_s = decided_s;
    command.schedule.is = *is;
    world_apply(self, &command);
    assert_int_equal(scheduler_sync(self->scheduler, self->state, id), 0);
}

size_t world_step(struct world *self, struct command *ret)
{
    return scheduler_step(self->scheduler, self->state, &self->now, ret,
                          SCHEDULE_STEP_COMMANDS_MAX);
}

struct state_effect world_offer(struct world *self, const struct command *command)
{
    struct command proposed = *command;
    proposed.wall_ms = self->now.wall_ms;
    size_t before = state_run_count(self->state);
    struct state_effect effect = apply(self->state, proposed);
    size_t begun = state_run_count(self->state) - before;
    self->now.room -= state_run_count(self->state) > before ? begun : 0;
    if (command->type == COMMAND_SLOTS_DECIDE) {
        assert_int_equal(scheduler_sync(self->scheduler, self->state, command->slots.schedule), 0);
    }
    return effect;
}

void world_apply(struct world *self, const struct command *command)
{
    struct state_effect effect = world_offer(self, command);
    if (effect.outcome != STATE_APPLIED) {
        fail_msg("%s %s: %s", command_type_name(effect.type), effect.target, effect.reason);
    }
}

size_t world_settle(struct world *self)
{
    static struct command commands[SCHEDULE_STEP_COMMANDS_MAX];
    size_t total = 0;
    size_t count;
    while ((count = world_step(self, commands)) > 0) {
        for (size_t i = 0; i < count; i++) {
            world_apply(self, &commands[i]);
        }
        total += count;
        assert_true(total < 100000);
    }
    return total;
}

void world_end_run(struct world *self, const char *id)
{
    const struct state_run *oldest = NULL;
    for (size_t i = 0; i < state_run_count(self->state); i++) {
        const struct state_run *run = state_run_at(self->state, i);
        if (strcmp(run->key.schedule, id) == 0 && (oldest == NULL || run->index < oldest->index)) {
            oldest = run;
        }
    }
    assert_non_null(oldest);
    struct command command = command_of(COMMAND_RUN_END);
    command.run_end = (struct command_run_end){.run = oldest->key,
                                               .attempt = oldest->attempt,
                                               .outcome = RUN_MISSED,
                                               .reason = RUN_START_DEADLINE,
                                               .exit_status = -1,
                                               .ended_wall_ms = self->now.wall_ms};
    world_apply(self, &command);
    assert_int_equal(scheduler_sync(self->scheduler, self->state, id), 0);
}

/* ---- the ledger ---- */

static char letter_of(const struct state_run *run)
{
    static const struct {
        enum run_reason reason;
        char letter;
    } letters[] = {{RUN_MISFIRE_SKIP, 'M'}, {RUN_SUPERSEDED, 'S'},  {RUN_OUT_OF_WINDOW, 'W'},
                   {RUN_OVERLAP, 'O'},      {RUN_REPLACED, 'R'},    {RUN_PAUSED, 'P'},
                   {RUN_SHADOW, 'X'},       {RUN_MAINTENANCE, 'N'}, {RUN_SHED, 'H'}};
    if (run->attempt > 0) { /* it runs or ran; world_end_run() ends it as missed */
        return run->outcome != RUN_UNDER_WAY ? 'E' : run->reason == RUN_LATE ? 'L' : 'D';
    }
    enum run_outcome expected = run->reason == RUN_MISFIRE_SKIP || run->reason == RUN_SUPERSEDED ||
                                        run->reason == RUN_OUT_OF_WINDOW
                                    ? RUN_MISSED
                                    : RUN_SKIPPED;
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (letters[i].reason == run->reason && run->outcome == expected) {
            return letters[i].letter;
        }
    }
    return '?';
}

void world_ledger(const struct world *self, const char *id, int64_t after_s, int64_t every_s,
                  size_t count, char *ret)
{
    struct run_key key = {0};
    copy_text(key.schedule, sizeof key.schedule, id);
    int64_t slot_s = (after_s / every_s + 1) * every_s;
    for (size_t i = 0; i < count; i++, slot_s += every_s) {
        key.slot_s = slot_s;
        const struct state_run *run = state_run_by_key(self->state, &key);
        ret[i] = run == NULL ? '.' : letter_of(run);
    }
    ret[count] = '\0';
}
