/* Random histories with known causes, for the test of `why`: each step applies commands to a state,
 * with a cause that nothing else has, and notes in plain rows what it did. Nothing here asks `why`,
 * and the rows are not read from the state. */
#ifndef UNDERSTUDY_TESTS_UNIT_STATE_WHY_WORLD_H
#define UNDERSTUDY_TESTS_UNIT_STATE_WHY_WORLD_H

#include "consensus/gate.h"
#include "node/base/rng.h"
#include "tests/unit/state/commands_work.h"

#define WORLD_NODES 4
#define WORLD_DUTIES 5
#define WORLD_SCHEDULES 3
#define WORLD_RUNS_MAX 2000
#define WORLD_ALERTS 4

/* Who did something, and why. `text` is in the command, and in no other. */
struct cause {
    enum command_reason reason;
    uint64_t index;
    char text[24];
};

struct known_duty {
    char id[DUTY_ID_SIZE];
    bool there, wanted, held;
    char node[NAME_SIZE];
    uint64_t number;
    struct cause assigned;
    struct cause newest; /* of whatever was decided about it last */
};

struct known_leader {
    bool there;
    enum consensus_cause cause;
    char node[NAME_SIZE];
    char previous[NAME_SIZE];
    uint64_t term, index;
    bool drained; /* its predecessor, just before, by this: */
    struct cause drain;
};

struct known_schedule {
    char id[SCHEDULE_ID_SIZE];
    bool there;
    uint64_t revision;
    int64_t decided_s;
};

struct known_run {
    struct run_key key;
    int64_t last_s;
    uint32_t count;
    enum run_outcome outcome;
    enum run_reason reason;
    uint32_t attempt;
    uint32_t started; /* the attempt whose start was told last; 0: of none */
    int exit_status;
    bool cancelled;
    enum run_reason cancel;
    struct cause by; /* manual: who started it; cancelled: who cancelled it */
    struct cause cancelled_by;
    uint64_t term, index, revision;
    uint64_t assignment; /* of the present attempt; 0: none */
    char node[NAME_SIZE];
    bool released;
};

struct known_alert {
    char key[DUTY_ID_SIZE];
    bool there;
    enum alert_state state;
    enum alert_severity severity;
    uint32_t raised;
    char text[24];
    struct cause newest;
};

struct world {
    struct rng rng;
    struct state *state;
    uint64_t term;
    unsigned causes;
    bool draining[WORLD_NODES];
    struct known_duty duties[WORLD_DUTIES];
    struct known_leader leader;
    struct known_schedule schedules[WORLD_SCHEDULES];
    struct known_run runs[WORLD_RUNS_MAX];
    size_t run_count;
    struct known_alert alerts[WORLD_ALERTS];
    bool closed[GATE_SHADOW + 1]; /* pauses and shadow: of the manager "pm2" */
    struct cause closed_by[GATE_SHADOW + 1];
};

void world_init(struct world *self, uint64_t seed);
void world_deinit(struct world *self);
void world_step(struct world *self);
/* So much that the audit ring forgets all that was before. */
void world_flood(struct world *self);

#endif
