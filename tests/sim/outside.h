/* The world outside of the cluster: objects on which managers have effects, and what may go wrong
 * with them; and what intents promise about that, checked in true time.
 *
 * An errand is an effect that shall be had once, under a key, on an object. Some objects tell truly
 * whether a key's effect happened, others cannot tell, and then the errand's policy decides.
 * Requests take time, may be refused or lost, and so may their answers. A request takes effect only
 * while the manager that sent it still acts, as its connection ends with it.
 *
 * I5  an effect on an object that tells, and under the policies skip and park, happens at most once
 *     for a key (park: once more each time a person wants it again); none comes after `done`; none
 *     comes before what was open earlier on the same object is settled; `happened` is said only of
 *     what happened
 * L5  after the last fault no intent stays open, no errand undone but where a parked one stands
 *     before it; what retry said happened did happen */
#ifndef UNDERSTUDY_TESTS_SIM_OUTSIDE_H
#define UNDERSTUDY_TESTS_SIM_OUTSIDE_H

#include "consensus/command_work.h"
#include "consensus/intents.h"
#include "tests/sim/sim.h"

#define OUTSIDE_ERRANDS_MAX 160
#define OUTSIDE_MANAGER "sim"

struct errand {
    char key[INTENT_KEY_SIZE];
    char object[INTENT_OBJECT_SIZE];
    enum intent_policy policy;
    bool tells;
    uint64_t only_term; /* wanted by nobody but the manager of that term; 0: by each */
    int effects;
    int effects_allowed; /* of what may happen once */
    bool refused;        /* by the other side, for good */
    bool opened;
    bool done;
    bool parked;
    uint64_t opened_index;
};

struct outside {
    int count;
    struct errand errands[OUTSIDE_ERRANDS_MAX];
};

/* ---- faults ---- */
void outside_new_errand(struct world *world);
/* A person decides about a parked intent. */
void outside_decide(struct world *world);

/* ---- the other side ---- */

/* How a request of a manager goes. Times in us from now, -1: never. */
struct outside_request {
    int64_t arrives_us;
    int64_t answers_us; /* after the request was sent; later than it arrives */
};
struct outside_request outside_send(struct world *world);
/* The request to perform has arrived: true when it took effect, false when it is refused. */
bool outside_perform(struct node *node, int errand);
/* What the object says of the errand now. */
enum intent_evidence outside_verify(struct world *world, int errand);

/* ---- checks ---- */
/* The command was applied for the first time anywhere. */
void outside_applied(struct node *node, const struct command *command,
                     const struct state_effect *effect);
void outside_check_end(struct world *world, const struct node *leader);

#endif
