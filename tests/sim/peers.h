/* What a node does beside its engine: evidence, grants and duties, gossip. */
#ifndef UNDERSTUDY_TESTS_SIM_PEERS_H
#define UNDERSTUDY_TESTS_SIM_PEERS_H

#include "consensus/evidence.h"
#include "consensus/grants.h"
#include "consensus/placement.h"
#include "consensus/policy.h"
#include "gossip/gossip.h"
#include "tests/sim/dispatch.h"
#include "tests/sim/running.h"
#include "tests/sim/sim.h"
#include "tests/sim/ticking.h"

#define PROPOSALS_MAX 128
#define PROPOSALS_FEW 32 /* without schedules and errands */

struct proposal {
    uint64_t token; /* 0: free */
    enum command_type type;
    int subject; /* duty or node index */
};

struct peers {
    bool busy; /* in peers_after */
    struct evidence *evidence;
    uint64_t voters_index; /* configuration that evidence knows */
    bool voters_changed;   /* in what gossip tells of them */
    struct grants_leader *leader;
    uint64_t leader_term;
    struct grants_holder *holder;
    uint64_t holder_leader; /* whom it asked last */
    int64_t release_at_ms;  /* repeat of releases */
    int64_t duties_at_ms;   /* the leader's next look at the duties */
    bool move_wanted[SIM_DUTIES_MAX];
    uint64_t command_sequence;
    struct proposal proposals[PROPOSALS_MAX];
    struct gossip *gossip;
    int64_t gossip_at_ms; /* its deadline */
    bool gossip_touched;  /* which may have changed */
    struct mp_writer writer;
    /* leading.c and placing.c */
    int64_t started_ms;
    struct policy policy;
    int64_t policy_at_ms;
    int64_t roles_at_ms;
    int64_t hand_over_asked_ms;
    uint64_t recorded_term;
    struct placement *placing;
    uint64_t placing_term; /* that it remembers */
    /* ticking.c, running.c, dispatch.c */
    struct ticking ticking;
    struct running running;
    struct dispatcher dispatcher;
};

/* With the process: create after node->incarnation is known. */
void peers_start(struct node *node);
void peers_end(struct node *node);

/* After every event of the node, when notices and view are taken. */
void peers_after(struct node *node);
/* Earliest time (node's clock) at which peers_after has something to do. */
int64_t peers_deadline_ms(const struct node *node);

void peers_receive(struct node *node, const struct message *message);
void peers_outcome(struct node *node, uint64_t token, bool known);
void peers_link(struct node *node, int other, bool up);
void peers_probed(struct node *node, int other, bool refused);

/* ---- evidence (links.c) ---- */
void links_after(struct node *node);
void links_receive(struct node *node, const struct message *message);
/* A process ended: those who hear of it lose the connection. */
void links_process_ended(struct node *node, bool host);
void links_process_started(struct node *node);

/* ---- duties (duties.c) ---- */
void duties_after(struct node *node);
void duties_receive(struct node *node, const struct message *message);
void duties_name(int duty, char ret[DUTY_ID_SIZE]);
/* Propose a command; origin, sequence and time are filled in. `subject`: what it is about, as only
 * one of its type may be under way. False: it was not taken. */
bool duties_propose(struct node *node, struct command *command, int subject);
void duties_commit_release(struct node *node, int duty, const struct state_duty *row,
                           enum release_proof proof);
/* A number for what has a name: a duty, a run, an intent. */
int duties_subject(const char *name);
/* The leader sends its log to the node: a spare would not learn what it is assigned. */
bool duties_is_served(const struct node *leader, uint64_t id);
/* A live node other than `not_here`, or NULL. */
struct node *duties_choose_holder(struct node *node, const struct node *not_here);
/* A holder gives one of its duties up. */
void duties_give_up(struct node *node);
/* A leader wants one of the duties elsewhere. */
void duties_want_move(struct node *node);
/* A leader wants another side of one of the groups, or both: then whichever comes first. */
void duties_want_side(struct node *node);
/* Fills in the group and side of a duty. */
void duties_group(const struct world *world, int duty, struct command_duty *ret);
/* Propose something that nobody needs. */
void duties_propose_note(struct node *node);

bool peers_runs(const struct node *node, int duty);
int64_t peers_left_ms(const struct node *node, int duty);

/* ---- gossip (rumour.c) ---- */
void rumour_start(struct node *node);
void rumour_after(struct node *node);
void rumour_receive(struct node *node, const struct message *message);
/* It heard from that one; it was refused by the other; the other's parent proved its end. */
void rumour_contact(struct node *node, uint64_t from);
void rumour_refused(struct node *node, int other);
void rumour_ended(struct node *node, int other, uint64_t incarnation);
/* Whether `node` holds the other one alive (true when gossip does not run). */
bool rumour_alive(const struct node *node, int other);
/* What `node` holds of the one with this raft id; false: nothing. */
bool rumour_member(const struct node *node, uint64_t id, struct gossip_member *ret);
/* The other's present incarnation, as `node` was told; 0: unknown. */
uint64_t rumour_incarnation(const struct node *node, const struct node *other);
/* Of how many managers it can do the work, as `node` was told. */
uint32_t rumour_capabilities(const struct node *node, uint64_t id);

/* ---- after the faults ---- */
bool peers_settled(struct world *world, struct node *leader, char *ret_why, size_t size);
/* A health record may be on its way in this very moment: let time pass until all agree, within the
 * time that news takes. */
bool peers_wait_for_gossip(struct world *world);
void peers_check_gossip(struct world *world);

#endif
