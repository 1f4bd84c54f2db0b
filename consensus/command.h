/* Commands: what the replicated log carries, encoded and decoded.
 *
 * One command is one msgpack array [version, type, origin, incarnation, sequence, wall_ms, who,
 * reason, why, payload], payload an array of its own; both may grow at their end. A command is at
 * most COMMAND_BYTES_MAX bytes.
 *
 * Every command says who asked for it and why: the state machine writes both into the audit ring.
 * (origin, incarnation, sequence) names it once in the cluster's life, so a repeat of a proposal
 * whose outcome was unknown does nothing. */
#ifndef UNDERSTUDY_CONSENSUS_COMMAND_H
#define UNDERSTUDY_CONSENSUS_COMMAND_H

#include "consensus/command_work.h"
#include "consensus/consensus.h"
#include "node/base/err.h"
#include "node/base/limits.h"
#include "node/base/mp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMMAND_VERSION 1

#define NODE_KEYS_EXTRA_MAX 4
#define NODE_LABELS_MAX 16
#define LABEL_SIZE 64 /* bytes of "key=value", with its NUL */
#define SETTING_KEY_SIZE 96
#define SETTING_VALUE_SIZE 512

/* value, name; values are stored and never reused */
#define COMMAND_TYPE_MAP(X)                           \
    X(COMMAND_NODE_PUT, 1, "node_put")                \
    X(COMMAND_NODE_REMOVE, 2, "node_remove")          \
    X(COMMAND_NODE_DRAIN, 3, "node_drain")            \
    X(COMMAND_NODE_UNDRAIN, 4, "node_undrain")        \
    X(COMMAND_NODE_ROLE, 5, "node_role")              \
    X(COMMAND_DUTY_PUT, 6, "duty_put")                \
    X(COMMAND_DUTY_REMOVE, 7, "duty_remove")          \
    X(COMMAND_DUTY_ASSIGN, 8, "duty_assign")          \
    X(COMMAND_DUTY_RELEASE, 9, "duty_release")        \
    X(COMMAND_LEADER_RECORD, 10, "leader_record")     \
    X(COMMAND_SETTING_PUT, 11, "setting_put")         \
    X(COMMAND_MANAGER_PAUSE, 12, "manager_pause")     \
    X(COMMAND_MANAGER_RESUME, 13, "manager_resume")   \
    X(COMMAND_MANAGER_MODE, 14, "manager_mode")       \
    X(COMMAND_AUDIT_NOTE, 15, "audit_note")           \
    X(COMMAND_SCHEDULE_PUT, 16, "schedule_put")       \
    X(COMMAND_SCHEDULE_REMOVE, 17, "schedule_remove") \
    X(COMMAND_SLOTS_DECIDE, 18, "slots_decide")       \
    X(COMMAND_RUN_START, 19, "run_start")             \
    X(COMMAND_RUN_END, 20, "run_end")                 \
    X(COMMAND_RUN_CANCEL, 21, "run_cancel")           \
    X(COMMAND_INTENT_OPEN, 22, "intent_open")         \
    X(COMMAND_INTENT_TAKE, 23, "intent_take")         \
    X(COMMAND_INTENT_DONE, 24, "intent_done")         \
    X(COMMAND_INTENT_PARK, 25, "intent_park")         \
    X(COMMAND_RECOVERY_SET, 26, "recovery_set")       \
    X(COMMAND_ALERT_RAISE, 27, "alert_raise")         \
    X(COMMAND_ALERT_ACK, 28, "alert_ack")             \
    X(COMMAND_ALERT_RESOLVE, 29, "alert_resolve")     \
    X(COMMAND_DUTY_PROVEN, 30, "duty_proven")

enum command_type {
    COMMAND_NONE = 0,
#define COMMAND_TYPE_ENUM(symbol, value, name) symbol = (value),
    COMMAND_TYPE_MAP(COMMAND_TYPE_ENUM)
#undef COMMAND_TYPE_ENUM
};

/* Why something was done, for people and for programs: stable values and stable names. */
#define COMMAND_REASON_MAP(X)                                                    \
    X(REASON_UNSPECIFIED, 0, "unspecified")                                      \
    X(REASON_OPERATOR, 1, "operator")           /* a person asked for it */      \
    X(REASON_CONFIGURATION, 2, "configuration") /* a configuration says so */    \
    X(REASON_FOUNDING, 3, "founding")           /* first entries of a cluster */ \
    X(REASON_NODE_JOINED, 4, "node_joined")                                      \
    X(REASON_NODE_LEFT, 5, "node_left")                                          \
    X(REASON_NODE_DEAD, 6, "node_dead")                                          \
    X(REASON_NODE_DRAINING, 7, "node_draining")                                  \
    X(REASON_NODE_RESTARTED, 8, "node_restarted")                                \
    X(REASON_NODE_INCAPABLE, 9, "node_incapable")                                \
    X(REASON_DUTY_UNASSIGNED, 10, "duty_unassigned")                             \
    X(REASON_DUTY_UNWANTED, 11, "duty_unwanted")                                 \
    X(REASON_PRIMARY_DOWN, 12, "primary_down")                                   \
    X(REASON_PRIMARY_UNREACHABLE, 13, "primary_unreachable")                     \
    X(REASON_PRIMARY_WELL, 14, "primary_well")                                   \
    X(REASON_LEADER_CHANGED, 15, "leader_changed")                               \
    X(REASON_HEALTH, 16, "health")                                               \
    X(REASON_SHUTDOWN, 17, "shutdown")                                           \
    X(REASON_GRANT_EXPIRED, 18, "grant_expired")                                 \
    X(REASON_OBITUARY, 19, "obituary")                                           \
    X(REASON_MAINTENANCE, 20, "maintenance")                                     \
    X(REASON_SECURITY, 21, "security")                                           \
    X(REASON_SCHEDULE, 22, "schedule") /* a slot came */                         \
    X(REASON_RUN, 23, "run")           /* what became of a run */                \
    X(REASON_INTENT, 24, "intent")     /* an effect outside */                   \
    X(REASON_RECOVERY, 25, "recovery")                                           \
    X(REASON_REBALANCE, 26, "rebalance") /* a better place by a margin */        \
    X(REASON_PRESSURE, 27, "pressure")   /* others go first */

enum command_reason {
#define COMMAND_REASON_ENUM(symbol, value, name) symbol = (value),
    COMMAND_REASON_MAP(COMMAND_REASON_ENUM)
#undef COMMAND_REASON_ENUM
};

/* The role that the roster wants for a node; a witness votes and runs nothing. */
enum node_role {
    NODE_ROLE_AUTO = 0,
    NODE_ROLE_VOTER = 1,
    NODE_ROLE_STANDBY = 2,
    NODE_ROLE_SPARE = 3,
    NODE_ROLE_WITNESS = 4,
};

/* What makes certain that an assignment is not carried out any more. */
enum release_proof {
    RELEASE_BY_HOLDER = 1,   /* the holder says that it has ended */
    RELEASE_BY_OBITUARY = 2, /* its parent made certain */
    RELEASE_BY_EXPIRY = 3,   /* no grant was sent for 1.05 * grant_ttl, the leader's hold over */
};

/* What proved a leader's end to its successor. */
enum leader_proof {
    LEADER_PROOF_NONE = 0,
    LEADER_PROOF_OBITUARY = 1,
    LEADER_PROOF_RELEASE = 2, /* it ended its lease itself and handed over */
};

enum manager_mode {
    MANAGER_MODE_UNSET = 0, /* as each node's configuration says */
    MANAGER_MODE_ARMED = 1,
    MANAGER_MODE_SHADOW = 2,
};

#define PAUSED_UNTIL_RESUMED INT64_MAX

struct command_node {
    char name[NAME_SIZE];
    uint64_t raft_id;
    char public_key[PUBLIC_KEY_SIZE]; /* founding key, Z85: the node's identity for life */
    size_t extra_key_count;
    char extra_keys[NODE_KEYS_EXTRA_MAX][PUBLIC_KEY_SIZE];
    char address[ADDRESS_SIZE];
    enum node_role wanted;
    size_t label_count;
    char labels[NODE_LABELS_MAX][LABEL_SIZE]; /* "key=value" */
};

struct command_node_name { /* remove, drain, undrain */
    char name[NAME_SIZE];
};

struct command_node_role {
    char name[NAME_SIZE];
    enum node_role wanted;
};

struct command_duty {
    char id[DUTY_ID_SIZE]; /* "manager/name" */
    bool exclusive;
    bool wanted;      /* false: it shall run nowhere */
    int64_t priority; /* higher is placed first */
    /* Assigned at most once in its life (the attempt of a run). Not changed by a later put. */
    bool once;
    /* Exclusion group: a duty is not assigned while another one of the same group and of another
     * side is, so that the sides never run at the same time. Those of one side may overlap. Empty:
     * none. Needs `exclusive`. A node of a version without it applies the rest alike, so leaders
     * propose no assignment that the rule would refuse. */
    char alone[DUTY_ID_SIZE];
    uint32_t side; /* 0 without a group */
};

struct command_duty_id { /* remove */
    char id[DUTY_ID_SIZE];
};

/* A move names the assignment that it replaces (compare and set). */
struct command_assign {
    char id[DUTY_ID_SIZE];
    uint64_t replaces; /* number of the present assignment, 0: none yet */
    char node[NAME_SIZE];
    uint64_t raft_id;
    uint64_t incarnation;
    /* Longest grant that any leader may give for this assignment: part of the entry, so that a
     * leader configured otherwise still waits long enough. > 0 for exclusive duties. */
    int64_t grant_ttl_ms;
};

struct command_release {
    char id[DUTY_ID_SIZE];
    uint64_t assignment;
    enum release_proof proof;
};

/* Times are counted from the first sign that the new leader had. */
struct command_leader {
    uint64_t term;
    char node[NAME_SIZE];
    enum consensus_cause cause;
    enum leader_proof proof;
    int64_t detected_ms;
    int64_t elected_ms;
    int64_t acting_ms;
    char previous[NAME_SIZE]; /* empty: none or unknown */
};

struct command_setting {
    char key[SETTING_KEY_SIZE];
    char value[SETTING_VALUE_SIZE];
    bool remove;
};

struct command_manager { /* pause, resume, mode; cluster-wide */
    char manager[NAME_SIZE];
    int64_t until_wall_ms; /* pause: end, or PAUSED_UNTIL_RESUMED */
    enum manager_mode mode;
};

struct command_note {
    char target[DUTY_ID_SIZE];
};

struct command {
    enum command_type type;
    uint64_t origin;      /* raft id of the proposing node; 0: never taken for a repeat */
    uint64_t incarnation; /* of the origin */
    uint64_t sequence;    /* of the origin's commands in this incarnation, from 1 */
    int64_t wall_ms;
    char who[NAME_SIZE];
    enum command_reason reason;
    char why[REASON_SIZE];
    union {
        struct command_node node;
        struct command_node_name node_name;
        struct command_node_role node_role;
        struct command_duty duty;
        struct command_duty_id duty_id;
        struct command_assign assign;
        struct command_release release;
        struct command_leader leader;
        struct command_setting setting;
        struct command_manager manager;
        struct command_note note;
        struct command_schedule schedule;
        struct command_schedule_id schedule_id;
        struct command_slots slots;
        struct command_run_start run_start;
        struct command_run_end run_end;
        struct command_run_cancel run_cancel;
        struct command_intent_open intent_open;
        struct command_intent_take intent_take;
        struct command_intent_done intent_done;
        struct command_intent_park intent_park;
        struct command_recovery recovery;
        struct command_alert alert;
        struct command_alert_key alert_key; /* ack, resolve */
        struct command_proven proven;
    };
};

/* Stable names, "unknown" for a value outside the tables; never NULL. */
const char *command_type_name(enum command_type type);
const char *command_reason_name(enum command_reason reason);
const char *command_node_role_name(enum node_role role);          /* "auto", "voter", ... */
const char *command_release_proof_name(enum release_proof proof); /* "holder", ... */
const char *command_leader_proof_name(enum leader_proof proof); /* "none", "obituary", "release" */
const char *command_manager_mode_name(enum manager_mode mode);  /* "unset", "armed", "shadow" */

/* The node, duty, setting, manager, schedule, run or other thing that the command is about. */
void command_target(const struct command *command, char ret[DUTY_ID_SIZE]);

/* Append the command's bytes to `writer`. 0; ERR_INVALID: unknown type, or a text, count or
 * enumeration outside its bounds; ERR_FULL: over the writer's bound or COMMAND_BYTES_MAX. */
int command_encode(const struct command *command, struct mp_writer *writer, struct err *err);

/* 0; ERR_PROTO: malformed; ERR_UNSUPPORTED: a newer version or an unknown type (ret->type stays
 * COMMAND_NONE); ERR_NOMEM. The answer depends on the bytes alone (but for ERR_NOMEM). */
int command_decode(const uint8_t *bytes, size_t length, struct command *ret, struct err *err);

#endif
