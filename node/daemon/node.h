/* The node: everything that runs on the loop thread, wired together.
 *
 * Inside this room the struct is open; each file owns the part that its section names. A callback
 * of any module ends with node_pump(), which performs what the pure parts decided and arms the one
 * timer. */
#ifndef UNDERSTUDY_NODE_DAEMON_NODE_H
#define UNDERSTUDY_NODE_DAEMON_NODE_H

#include "consensus/evidence.h"
#include "consensus/grants.h"
#include "consensus/placement.h"
#include "consensus/policy.h"
#include "consensus/roles.h"
#include "consensus/state.h"
#include "gossip/gossip.h"
#include "node/config/config.h"
#include "node/config/keys.h"
#include "node/control/control.h"
#include "node/daemon/commands.h"
#include "node/daemon/consensus_thread.h"
#include "node/daemon/effects.h"
#include "node/daemon/events.h"
#include "node/daemon/fan.h"
#include "node/daemon/gray.h"
#include "node/daemon/health.h"
#include "node/daemon/parent_link.h"
#include "node/daemon/proposals.h"
#include "node/daemon/reload.h"
#include "node/daemon/report.h"
#include "node/daemon/resolver.h"
#include "node/daemon/sampler.h"
#include "node/daemon/schedule.h"
#include "node/daemon/snapshots.h"
#include "node/daemon/wall.h"
#include "node/guard/post.h"
#include "node/http/http.h"
#include "node/log/log.h"
#include "node/storage/storage.h"
#include "node/supervise/supervise.h"
#include "node/transport/probe.h"
#include "node/transport/transport.h"
#include "node/transport/zap.h"

#include <czmq.h>
#include <signal.h>

#define NODE_TURN_MAX_MS 500 /* the loop turns at least so often */
#define NODE_HURRY_MS 10     /* the shortest period of anything that is asked for again */
#define NODE_LAG_WINDOW_MS 10000
#define NODE_STUCK_MS 5000          /* a consensus thread that did not turn for so long hangs */
#define NODE_STILL_MS 1000          /* ... and for so long is ill */
#define NODE_BEAT_MS 2000           /* the parent hears of this node so often */
#define NODE_MANAGER_SILENT_MS 2500 /* a manager that said nothing for so long hangs */

/* ---- what other nodes told of themselves (reports.c) ---- */

struct observation {
    char node[NAME_SIZE]; /* empty: the slot is free */
    char manager[NAME_SIZE];
    int64_t taken_ms;
    uint8_t *bytes;
    size_t length;
};

/* ---- host names of peers (names.c) ---- */

struct known_name {
    char host[ADDRESS_SIZE];
    char numeric[RESOLVER_NUMERIC_SIZE]; /* empty: not known yet */
};

/* ---- duties on this node and wishes of its managers (duties.c) ---- */

struct local_duty {
    char id[DUTY_ID_SIZE];
    uint64_t assignment;
    uint64_t term;
    bool told;    /* the manager has the grant */
    bool leaving; /* revoked, waits for its end */
    int64_t revoked_ms;
    char why[REASON_SIZE];
    enum manager_duty_phase phase;
    bool phase_known;
    uint32_t tried; /* the last attempt of its recovery that its manager was told */
};

/* ---- which spare was told the state (outside.c) ---- */

struct outside_told {
    uint64_t id; /* 0: the slot is free */
    uint64_t incarnation;
    uint64_t index;
    int64_t at_ms;
};

struct wish {
    char id[DUTY_ID_SIZE]; /* they are sorted by it */
    struct manager_duty_wanted is;
    uint64_t term;
    int64_t proposed_ms;
};

/* ---- the end of this node (leaving.c) ---- */

enum leaving_step {
    LEAVING_NOT,
    LEAVING_ROSTER,   /* for good: the row goes first */
    LEAVING_DUTIES,   /* own exclusive duties end and are released */
    LEAVING_LEADER,   /* leadership is handed over */
    LEAVING_GOSSIP,   /* the others are told */
    LEAVING_MANAGERS, /* managers stop */
    LEAVING_DONE,
};

struct node {
    /* given at start */
    const struct config *config;
    struct key_own own;
    struct key_roster keys;
    struct config *reloaded_config; /* ours, when it was read again; keys are then ours too */
    struct reload *reload;
    uint64_t id;
    uint64_t incarnation; /* of this life */
    int64_t started_ms;
    struct parent_link *parent;
    int guard_listen_fd;
    bool restarted; /* by a parent that watched an earlier life */

    zloop_t *loop;
    int timer;
    int64_t timer_at_ms;
    bool pumping;
    int exit_code;
    int signal_fd;

    struct log *log;
    struct events *events;
    struct storage *storage;
    struct sampler *sampler;
    struct health_sample sample;
    struct health health;
    bool health_known;
    struct gray_loop gray_loop;
    uint32_t gray;      /* kinds of trouble that stop this node's work: gray.h */
    int64_t beat_at_ms; /* the parent is told next */
    int64_t lag_ms;     /* worst of the window */
    int64_t lag_window_ms;
    int64_t storage_window_ms;
    int64_t health_at_ms;

    struct consensus_thread *consensus;
    struct consensus_view view;
    struct consensus_counters consensus_counters; /* as of the latest view */
    uint64_t payloads_refused; /* authenticated frames whose contents were malformed */
    struct state *mirror;      /* of the replicated state, as this node's log applied it */
    struct state *told_state;  /* as a leader last told it; NULL: never */
    struct state *state;       /* what is shown: the mirror, or to a node outside what was told */
    struct outside_told told_to[NODES_MAX];
    size_t told_length;
    struct proposals *proposals;
    uint64_t recorded_term; /* leader record proposed for it */
    uint64_t elected_term;  /* the parent was told */
    bool owes_wait_told;
    bool lease_held;     /* as last told in events, */
    uint64_t lease_term; /* and of which term */
    int64_t hand_over_asked_ms;
    int64_t hand_over_refused_ms; /* by the engine; hand_over_err says why */
    struct err hand_over_err;

    struct resolver *resolver;
    size_t name_count;
    struct known_name names[NODES_MAX];
    int64_t names_at_ms;
    struct zap *zap;
    struct transport *transport;
    struct gossip *gossip;
    struct evidence *evidence;
    struct probe probe;
    zmq_pollitem_t probe_item;
    bool probing;
    uint64_t probe_peer;

    struct grants_leader *granting;
    struct grants_holder *holding;
    struct policy policy;
    int64_t policy_at_ms;
    int64_t roles_at_ms;
    int64_t placement_at_ms;
    struct placement *placing;
    uint64_t placing_term; /* that it remembers */
    struct local_duty duties[DUTIES_MAX];
    size_t duty_count;
    int64_t releases_at_ms;
    struct wish wishes[DUTIES_MAX];
    size_t wish_count;
    struct effects *effects;

    struct post *post;
    struct supervise *supervise;
    struct commands *commands;
    struct fan *fan;
    int64_t role_at_ms;
    bool members_changed;
    int64_t members_at_ms;
    bool managers_stopped;
    struct observation observations[NODES_MAX * 2];
    struct report reports[NODES_MAX];
    bool report_changed;
    int64_t report_at_ms;
    size_t report_turn;
    uint64_t told_leader; /* as its report says; 0: none. Term as fencing, highest so far */
    uint64_t told_leader_term;
    int64_t observations_to_all_until_ms;

    struct alerts *alerts;
    int64_t alerts_at_ms;
    struct recoveries *recoveries;
    struct proving *proving;

    struct wall wall;
    struct schedules *schedules;

    struct snapshots *snapshots;

    struct control *control;
    struct http *http; /* NULL: no dashboard */
    int64_t publish_at_ms;
    bool publish_now;

    enum leaving_step leaving;
    int64_t leaving_step_ms;
    int64_t leaving_asked_ms; /* for good: when the leader was asked last */
};

/* ---- node.c ---- */

/* Do what is due and arm the timer. Harmless when called from within itself. */
void node_pump(struct node *self);
/* May this node act as leader of its view's term at this instant, and until when (0: not at all;
 * CLOCK_BOOTTIME ms)? */
bool node_may_act(const struct node *self);
int64_t node_may_act_until_ms(const struct node *self);
const char *node_name(const struct node *self);
/* The name of a raft id: roster, then founders; "" when unknown. */
const char *node_name_of(const struct node *self, uint64_t id);
uint64_t node_id_of(const struct node *self, const char *name); /* 0: unknown */
bool node_has_quorum(const struct node *self);
/* Gets no log: a spare, or not admitted yet. */
bool node_is_outside(const struct node *self);
/* The leader as Raft tells, or to a node outside as the leader's own report does; 0: unknown. */
uint64_t node_leader(const struct node *self);

/* ---- peers.c: transport, key table, addresses ---- */
int peers_create(struct node *self, void *zmq_context, struct err *err);
void peers_sync(struct node *self); /* roster, gossip or configuration changed */
void peers_broadcast(struct node *self, uint32_t kind, const uint8_t *bytes, size_t length);
void peers_received(void *context, const struct transport_message *message);

/* ---- membership.c: gossip ---- */
int membership_create(struct node *self, struct err *err);
void membership_run(struct node *self, int64_t now_ms);
void membership_publish_health(struct node *self, int64_t now_ms);

/* ---- leadership.c: outputs of the consensus thread, lease, policy, roles ---- */
int leadership_create(struct node *self, struct err *err);
void leadership_run(struct node *self, int64_t now_ms);
int64_t leadership_deadline_ms(const struct node *self, int64_t now_ms);
/* A command of that wall time was made in this life of the node; an earlier one is history that is
 * read back after a start. */
bool leadership_is_news(const struct node *self, int64_t wall_ms);
int leadership_hand_over(struct node *self, uint64_t target, enum consensus_cause cause,
                         struct err *err);

/* ---- failover.c: evidence, probes, obituaries ---- */
int failover_create(struct node *self, struct err *err);
void failover_follow(struct node *self, int64_t now_ms);
void failover_run(struct node *self, int64_t now_ms);
/* False: malformed, or about another node than its sender. */
bool failover_obituary(struct node *self, const struct transport_message *message);

/* ---- duties.c, duties_leader.c and duties_wishes.c ---- */
int duties_create(struct node *self, struct err *err);
void duties_sync(struct node *self, int64_t now_ms); /* the mirror changed */
void duties_run(struct node *self, int64_t now_ms);
int64_t duties_deadline_ms(const struct node *self);
void duties_take_grant(struct node *self, int64_t now_ms, const struct grants_grant *grant);
void duties_tell_manager(struct node *self, const char *manager); /* it (re)started */
bool duties_any_held(const struct node *self);
void duties_guard_hello(void *context, const struct post_guard *guard);
void duties_guard_started(void *context, const struct post_guard *guard);
void duties_guard_released(void *context, const struct post_guard *guard, enum post_reason reason,
                           int status);
void duties_guard_gone(void *context, const struct post_guard *guard);
void duties_manager_state(struct node *self, const struct manager_duty_state *state);
void duties_manager_released(struct node *self, const char *id, uint64_t assignment);

void duties_leader_run(struct node *self, int64_t now_ms);
void duties_leader_renew(struct node *self, int64_t now_ms, uint64_t from,
                         const struct grants_renew *request);
void duties_leader_release(struct node *self, uint64_t from, const struct grants_release *release);
/* A host that has several nodes fails as one: what avoids one of them avoids all (label `host`). */
void duties_avoid_hosts(const struct node *self, struct placement_duty *ret);
/* The roster as placement sees it, into ret[NODES_MAX]; on any node. Returns how many. */
size_t duties_describe_nodes(const struct node *self, struct placement_node *ret);
/* As acting leader: why the duty is where it is, and why not on other nodes; their names go to
 * ret_names[NODES_MAX], as in *ret. False: this node does not act, or there is no such duty. */
bool duties_leader_explain(struct node *self, int64_t now_ms, const char *duty,
                           struct placement_explanation *ret, char ret_names[][NAME_SIZE]);
/* The wish of a manager about the duty, of whatever term; NULL: none. */
const struct wish *duties_wish(const struct node *self, const char *id);
void duties_leader_wanted(struct node *self, const struct manager_duty_wanted *wanted);

/* ---- duties_move.c ---- */
/* Ask for the duty on that node, in the name of `who`; done() follows once it is decided.
 * ERR_NOTFOUND; ERR_UNSAFE: the node cannot take it now, as the message says. */
int duties_move(struct node *self, const char *id, const char *node, const struct control_who *who,
                proposal_done *done, void *context, struct err *err);

/* ---- managers.c: supervision ---- */
int managers_create(struct node *self, struct err *err);
void managers_run(struct node *self, int64_t now_ms);
void managers_end_role(struct node *self, int64_t now_ms);
void managers_observation(struct node *self, const char *node, const char *manager,
                          const uint8_t *bytes, size_t length);
/* Let this node's manager answer the request, with the arguments as they are. False: it was refused
 * already. */
bool managers_command(struct node *self, struct control_request *request, const char *manager);
/* End the request with the error that a manager answered. Returns the exit code. */
int managers_fail_with(struct control_request *request, const struct manager_reply *answer);
/* A manager's document, a new reference; none is NULL. ERR_PROTO. */
int managers_document_of(const struct manager_document *document, json_t **ret, struct err *err);
/* Whether it decides and does nothing on this node: the state's word, else the configuration's. */
bool managers_shadow(const struct node *self, const char *manager);
/* Pauses, maintenance, modes: told to the managers of this node as soon as the state says so. */
void managers_follow_state(struct node *self);

/* ---- reports.c: what nodes tell of themselves ---- */
void reports_run(struct node *self, int64_t now_ms);
bool reports_receive(struct node *self, const char *from, const uint8_t *bytes, size_t length);
const struct report *reports_of(const struct node *self, const char *node);
void reports_send_observation(struct node *self, const char *manager, const uint8_t *bytes,
                              size_t length);

/* ---- documents.c, handlers.c, publish.c ---- */
json_t *document_status(struct node *self);
json_t *document_health(struct node *self, const char *node, bool explain, int *ret_exit);
json_t *document_members(struct node *self);
json_t *document_leader(struct node *self);
json_t *document_history(struct node *self);
json_t *document_duties(struct node *self);
/* "idle", "waiting", "assigned", or what its holder says: "starting", "running", ... */
const char *document_duty_state(const struct node *self, const struct state_duty *duty);
json_t *document_managers(struct node *self);
/* One manager on every node, with what it told of itself; an empty array: none has it. */
json_t *document_manager(struct node *self, const char *name);
int handlers_create(struct node *self, struct err *err);
int publish_create(struct node *self, struct err *err);
void publish_run(struct node *self, int64_t now_ms);

/* ---- outside.c: nodes that get no log ---- */
/* As leader: tell the spares the state when it has changed. */
void outside_run(struct node *self, int64_t now_ms);
/* As a spare: take it. False: malformed. */
bool outside_receive(struct node *self, const char *from, const uint8_t *bytes, size_t length);
/* The view has changed: show the mirror, or what was told. */
void outside_choose(struct node *self, int64_t now_ms);

/* ---- leaving.c ---- */
void leaving_begin(struct node *self, const char *why);
void leaving_for_good(struct node *self);
/* A peer's message of kind HELLO: it asks to be taken out of the roster; the leader proposes it.
 * False: malformed. */
bool leaving_peer_asks(struct node *self, const char *peer, const uint8_t *bytes, size_t length);
void leaving_run(struct node *self, int64_t now_ms);

/* ---- run a node until it ends; returns the process's exit code ---- */
struct node_start {
    const struct config *config;
    const struct key_own *own;
    const struct key_roster *keys;
    int guard_listen_fd;
    int parent_fd;  /* to the watching parent */
    bool restarted; /* the parent has watched an earlier life of it */
};
int node_run(const struct node_start *start);

#endif
