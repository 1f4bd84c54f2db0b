/* The work of a snapshot: an array of one array for each kind of row, in the order of struct
 * state_work. Each holds its rows in pieces of WORK_ROWS_PER_PIECE, a piece as bytes: who reads it
 * unpacks one piece at a time, so that a large state costs little memory on its way in. */
#include "consensus/command_internal.h"
#include "consensus/state_internal.h"
#include "node/base/invariant.h"

#define WORK_ROWS_PER_PIECE 256

bool state_work_empty(const struct state *self)
{
    const struct state_work *work = &self->work;
    return work->schedules.count == 0 && work->runs.count == 0 && work->ended.count == 0 &&
           work->intents.count == 0 && work->recoveries.count == 0 && work->alerts.count == 0 &&
           work->proven.count == 0;
}

/* ---- rows ---- */

static void put_schedule(struct mp_writer *writer, const void *row)
{
    const struct state_schedule *schedule = row;
    struct command_encoder encoder = {.writer = writer, .ok = true};
    mp_put_array(writer, 11);
    mp_put_text(writer, schedule->id);
    command_put_definition(&encoder, &schedule->is);
    invariant(encoder.ok); /* it came in that way */
    mp_put_u64(writer, schedule->revision);
    mp_put_i64(writer, schedule->defined_s);
    mp_put_i64(writer, schedule->decided_s);
    mp_put_i64(writer, schedule->kept_from_s);
    mp_put_array(writer, 5);
    mp_put_u64(writer, schedule->counts.ran);
    mp_put_u64(writer, schedule->counts.failed);
    mp_put_u64(writer, schedule->counts.skipped);
    mp_put_u64(writer, schedule->counts.missed);
    mp_put_u64(writer, schedule->counts.unknown);
    mp_put_i64(writer, schedule->last_slot_s);
    mp_put_u64(writer, (uint64_t)schedule->last_outcome);
    mp_put_i64(writer, schedule->last_ran_wall_ms);
    mp_put_u64(writer, schedule->failures);
}

static void put_run(struct mp_writer *writer, const void *row)
{
    const struct state_run *run = row;
    mp_put_array(writer, 21);
    mp_put_text(writer, run->key.schedule);
    mp_put_i64(writer, run->key.slot_s);
    mp_put_u64(writer, run->key.number);
    mp_put_i64(writer, run->last_s);
    mp_put_u64(writer, run->count);
    mp_put_u64(writer, run->attempt);
    mp_put_u64(writer, (uint64_t)run->outcome);
    mp_put_u64(writer, (uint64_t)run->reason);
    mp_put_bool(writer, run->cancelled);
    mp_put_u64(writer, (uint64_t)run->cancel);
    mp_put_i64(writer, run->exit_status);
    mp_put_u64(writer, run->raft_id);
    mp_put_u64(writer, run->assignment);
    mp_put_u64(writer, run->term);
    mp_put_u64(writer, run->index);
    mp_put_u64(writer, run->revision);
    mp_put_i64(writer, run->decided_wall_ms);
    mp_put_i64(writer, run->again_wall_ms);
    mp_put_i64(writer, run->started_wall_ms);
    mp_put_i64(writer, run->ended_wall_ms);
    mp_put_u64(writer, run->unstarted);
}

static void put_intent(struct mp_writer *writer, const void *row)
{
    const struct state_intent *intent = row;
    mp_put_array(writer, 14);
    mp_put_text(writer, intent->key);
    mp_put_text(writer, intent->manager);
    mp_put_text(writer, intent->object);
    mp_put_u64(writer, (uint64_t)intent->policy);
    mp_put_u64(writer, (uint64_t)intent->state);
    mp_put_u64(writer, (uint64_t)intent->verdict);
    mp_put_bool(writer, intent->verified);
    mp_put_u64(writer, intent->attempt);
    mp_put_u64(writer, intent->term);
    mp_put_u64(writer, intent->opened_index);
    mp_put_i64(writer, intent->opened_wall_ms);
    mp_put_i64(writer, intent->changed_wall_ms);
    mp_put_i64(writer, intent->keep_until_wall_ms);
    mp_put_text(writer, intent->outcome);
}

static void put_recovery(struct mp_writer *writer, const void *row)
{
    const struct state_recovery *recovery = row;
    mp_put_array(writer, 6);
    mp_put_text(writer, recovery->component);
    mp_put_u64(writer, recovery->attempt);
    mp_put_u64(writer, (uint64_t)recovery->phase);
    mp_put_i64(writer, recovery->next_wall_ms);
    mp_put_i64(writer, recovery->since_wall_ms);
    mp_put_i64(writer, recovery->changed_wall_ms);
}

static void put_alert(struct mp_writer *writer, const void *row)
{
    const struct state_alert *alert = row;
    mp_put_array(writer, 9);
    mp_put_text(writer, alert->key);
    mp_put_u64(writer, (uint64_t)alert->severity);
    mp_put_u64(writer, (uint64_t)alert->state);
    mp_put_u64(writer, alert->raised);
    mp_put_u64(writer, alert->changed_index);
    mp_put_i64(writer, alert->raised_wall_ms);
    mp_put_i64(writer, alert->changed_wall_ms);
    mp_put_text(writer, alert->who);
    mp_put_text(writer, alert->text);
}

static void put_proven(struct mp_writer *writer, const void *row)
{
    const struct state_proven *proven = row;
    mp_put_array(writer, 8);
    mp_put_text(writer, proven->duty);
    mp_put_text(writer, proven->node);
    mp_put_u64(writer, proven->assignment);
    mp_put_u64(writer, proven->term);
    mp_put_u64(writer, proven->index);
    mp_put_u64(writer, (uint64_t)proven->by);
    mp_put_i64(writer, proven->ran_ms);
    mp_put_i64(writer, proven->last_wall_ms);
}

/* ---- tables ---- */

struct table {
    const struct state_rows *rows;
    size_t oldest; /* of a ring: where it begins */
    size_t row_size;
    void (*put)(struct mp_writer *writer, const void *row);
};

static void put_piece(struct mp_writer *writer, const struct table *table, size_t first,
                      size_t count)
{
    mp_put_array(writer, count);
    for (size_t i = first; i < first + count; i++) {
        size_t place = (table->oldest + i) % table->rows->count;
        table->put(writer, (const char *)table->rows->first + place * table->row_size);
    }
}

/* `piece` is scratch. */
static void put_table(struct mp_writer *writer, struct mp_writer *piece, const struct table *table)
{
    size_t count = table->rows->count;
    mp_put_array(writer, (count + WORK_ROWS_PER_PIECE - 1) / WORK_ROWS_PER_PIECE);
    for (size_t first = 0; first < count; first += WORK_ROWS_PER_PIECE) {
        size_t left = count - first;
        mp_writer_clear(piece);
        put_piece(piece, table, first, left < WORK_ROWS_PER_PIECE ? left : WORK_ROWS_PER_PIECE);
        mp_put_bytes(writer, piece->buffer.data, piece->buffer.length);
        if (!mp_writer_ok(piece)) {
            writer->buffer.failed = true;
        }
    }
}

void state_work_put(struct mp_writer *writer, const struct state *self)
{
    const struct state_work *work = &self->work;
    const struct table tables[] = {
        {&work->schedules, 0, sizeof(struct state_schedule), put_schedule},
        {&work->runs, 0, sizeof(struct state_run), put_run},
        {&work->ended, work->ended_oldest, sizeof(struct state_run), put_run},
        {&work->intents, 0, sizeof(struct state_intent), put_intent},
        {&work->recoveries, 0, sizeof(struct state_recovery), put_recovery},
        {&work->alerts, 0, sizeof(struct state_alert), put_alert},
        {&work->proven, 0, sizeof(struct state_proven), put_proven},
    };
    size_t count = sizeof(tables) / sizeof(tables[0]);
    count -= work->proven.count == 0 ? 1 : 0; /* as the version before wrote it */
    struct mp_writer piece;
    mp_writer_init(&piece, SNAPSHOT_BYTES_MAX);
    mp_put_array(writer, count);
    for (size_t i = 0; i < count; i++) {
        put_table(writer, &piece, &tables[i]);
    }
    mp_writer_deinit(&piece);
}
