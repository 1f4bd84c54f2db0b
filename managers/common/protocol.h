/* What a node and its managers say to each other.
 *
 * The node binds a ROUTER on ipc:// in its runtime folder; a manager connects a DEALER whose
 * routing id the node chose (environment UNDERSTUDY_MANAGER_IDENTITY). Every message is one frame:
 * a msgpack array [version, kind, fields...]. A decoder ignores appended elements, so that a newer
 * side can add fields; a changed meaning gets a new version.
 *
 * Documents (configuration, observations, event fields, arguments and results of commands) are
 * msgpack too and opaque here: `struct manager_document` borrows their bytes.
 *
 * Times are milliseconds of CLOCK_BOOTTIME; node and manager share one kernel, so a deadline means
 * the same on both sides. Pure; no function here keeps anything. */
#ifndef UNDERSTUDY_MANAGERS_COMMON_PROTOCOL_H
#define UNDERSTUDY_MANAGERS_COMMON_PROTOCOL_H

#include "managers/common/protocol_run.h"
#include "node/base/err.h"
#include "node/base/limits.h"
#include "node/base/mp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANAGER_PROTOCOL_VERSION 1

#define MANAGER_OBSERVATION_BYTES_MAX (64 << 10)
#define MANAGER_FIELDS_BYTES_MAX 4096          /* fields of one event, arguments of one command */
#define MANAGER_DOCUMENT_BYTES_MAX (512 << 10) /* configuration, result of a command */
#define MANAGER_COPIES_MAX NODES_MAX
#define MANAGER_CAPABILITIES_MAX 16
#define MANAGER_INPUTS_MAX 16 /* missing inputs named by one heartbeat */
#define MANAGER_PATH_SIZE 512
#define MANAGER_MESSAGE_SIZE 512 /* text of an event or error, with its NUL */
#define MANAGER_INTENT_KEY_SIZE 192
#define MANAGER_INTENT_OBJECT_SIZE 128
#define MANAGER_INTENT_KEEP_MS_MAX (INT64_C(400) * 24 * 3600 * 1000)

/* kind, code on the wire, name. Codes are never reused. */
#define MANAGER_KIND_MAP(X)                             \
    /* manager to node */                               \
    X(MANAGER_HELLO, 1, "hello")                        \
    X(MANAGER_HEARTBEAT, 2, "heartbeat")                \
    X(MANAGER_OBSERVATION, 3, "observation")            \
    X(MANAGER_EVENT, 4, "event")                        \
    X(MANAGER_DUTY_WANTED, 5, "duty_wanted")            \
    X(MANAGER_DUTY_STATE, 6, "duty_state")              \
    X(MANAGER_RELEASED, 7, "released")                  \
    X(MANAGER_ROLE_ACK, 8, "role_ack")                  \
    X(MANAGER_REPLY, 9, "reply")                        \
    X(MANAGER_SCHEDULE_WANTED, 10, "schedule_wanted")   \
    X(MANAGER_RUN_ENDED, 11, "run_ended")               \
    X(MANAGER_INTENT_WANTED, 12, "intent_wanted")       \
    X(MANAGER_INTENT_VERIFIED, 13, "intent_verified")   \
    X(MANAGER_INTENT_PERFORMED, 14, "intent_performed") \
    /* node to manager */                               \
    X(MANAGER_CONFIGURE, 32, "configure")               \
    X(MANAGER_ROLE, 33, "role")                         \
    X(MANAGER_GRANT, 34, "grant")                       \
    X(MANAGER_REVOKE, 35, "revoke")                     \
    X(MANAGER_PEER_OBSERVATION, 36, "peer_observation") \
    X(MANAGER_MEMBERS, 37, "members")                   \
    X(MANAGER_COMMAND, 38, "command")                   \
    X(MANAGER_PAUSE, 39, "pause")                       \
    X(MANAGER_RESUME, 40, "resume")                     \
    X(MANAGER_STOP, 41, "stop")                         \
    X(MANAGER_INTENT, 42, "intent")                     \
    X(MANAGER_RUN, 43, "run")

enum manager_kind {
#define MANAGER_KIND_ENUM(name, code, text) name = (code),
    MANAGER_KIND_MAP(MANAGER_KIND_ENUM)
#undef MANAGER_KIND_ENUM
};
const char *manager_kind_name(enum manager_kind kind); /* "?" for no kind of ours */

enum manager_level { MANAGER_DEBUG, MANAGER_INFO, MANAGER_WARN, MANAGER_ERROR };
const char *manager_level_name(enum manager_level level);

enum manager_member_state { MANAGER_ALIVE, MANAGER_SUSPECT, MANAGER_DEAD, MANAGER_LEFT };
const char *manager_member_state_name(enum manager_member_state state);

enum manager_duty_phase {
    MANAGER_DUTY_STARTING,
    MANAGER_DUTY_RUNNING,
    MANAGER_DUTY_STOPPED, /* ended, the grant still held; nothing of it runs */
    MANAGER_DUTY_FAILED,  /* cannot run here; nothing of it runs */
};
const char *manager_duty_phase_name(enum manager_duty_phase phase);

/* ---- effects outside the cluster, once ----
 *
 * Before an effect that cannot be undone a manager says intent_wanted under a key, again and again
 * until the node answers with a step for it. Only `perform` allows the effect, once, before the
 * deadline; then it says intent_performed until the step is `closed`. `verify` asks whether the
 * effect has happened already: it says intent_verified, and wants it again. `left_open` names an
 * intent that nobody has settled: it is to want it like one of its own.
 *
 * A ticket is a number above 0. A manager takes a new, higher one for the key whenever it begins
 * what a step told it, and heeds only steps that carry the ticket which it has now (`closed` and
 * `left_open` carry none that counts). intent_verified and intent_performed carry the ticket of
 * the step that they answer. When its active role ends it forgets all of this. */

/* What to do when the other side cannot tell whether the effect happened. */
enum manager_intent_policy {
    MANAGER_INTENT_SKIP,  /* give it up: at most once */
    MANAGER_INTENT_RETRY, /* perform it again: at least once */
    MANAGER_INTENT_PARK,  /* a person decides */
};

/* What the other side says. */
enum manager_intent_evidence {
    MANAGER_INTENT_IT_HAPPENED,
    MANAGER_INTENT_IT_DID_NOT,  /* also: it has not begun what it was told to perform */
    MANAGER_INTENT_CANNOT_TELL, /* the policy decides */
    MANAGER_INTENT_ASK_LATER,   /* it does not answer now */
};

/* How an intent ended. */
enum manager_intent_verdict {
    MANAGER_INTENT_HAPPENED,
    MANAGER_INTENT_REFUSED, /* the other side said no, for good */
    MANAGER_INTENT_SKIPPED, /* not wanted any more, or unknown and given up */
    MANAGER_INTENT_DROPPED, /* a person gave it up; never said by a manager */
};

enum manager_intent_state {
    MANAGER_INTENT_IS_OPEN,
    MANAGER_INTENT_IS_DONE,
    MANAGER_INTENT_IS_PARKED,
    MANAGER_INTENT_IS_UNKNOWN, /* there is no such intent (yet) */
};

enum manager_intent_step {
    MANAGER_INTENT_STEP_WAIT,
    MANAGER_INTENT_STEP_PERFORM,
    MANAGER_INTENT_STEP_VERIFY,
    MANAGER_INTENT_STEP_CLOSED,
    MANAGER_INTENT_STEP_LEFT_OPEN,
};
const char *manager_intent_step_name(enum manager_intent_step step);

/* Borrowed bytes of one msgpack object; data NULL and length 0 when absent. */
struct manager_document {
    const uint8_t *data;
    size_t length;
};

/* ---- manager to node ---- */

/* First message of every manager. A node refuses another protocol version and says so. */
struct manager_hello {
    char name[NAME_SIZE];
    char version[NAME_SIZE];
    int64_t pid;
    uint32_t protocol;
    size_t capability_count;
    char capabilities[MANAGER_CAPABILITIES_MAX][NAME_SIZE];
};

/* Once a second. */
struct manager_heartbeat {
    bool score_known;
    double score;      /* 0..100, of what this manager watches */
    double capability; /* 0..100: how much of its work it can do on this node */
    bool degraded;     /* it runs, but not all of its inputs are there */
    char state[NAME_SIZE];
    size_t input_count; /* inputs that are missing or stale */
    char inputs[MANAGER_INPUTS_MAX][NAME_SIZE];
};

/* All that the manager sees on this node; the latest replaces the one before. */
struct manager_observation {
    struct manager_document document; /* at most MANAGER_OBSERVATION_BYTES_MAX */
};

struct manager_event {
    char kind[NAME_SIZE]; /* "primary.down" */
    enum manager_level level;
    char message[MANAGER_MESSAGE_SIZE];
    struct manager_document fields; /* a map, or absent; at most MANAGER_FIELDS_BYTES_MAX */
};

/* The decision of the active manager of the acting leader; a wish of any other is dropped by the
 * node. Said again while it stands, so that a lost one does no harm. */
struct manager_duty_wanted {
    /* "pm2/worker-backup"; starts with the manager's name and "/", and holds no "~". */
    char duty[DUTY_ID_SIZE];
    bool exclusive;
    bool wanted;
    uint64_t term; /* of the role under which this was decided */
    char reason[REASON_SIZE];
    size_t on_count; /* the only nodes that may run it; none: any */
    char on[MANAGER_PLACES_MAX][NAME_SIZE];
    size_t avoid_count; /* nodes that must not run it now, while another can */
    char avoid[MANAGER_PLACES_MAX][NAME_SIZE];
    int64_t priority;         /* higher goes first; what is under 0 may wait under pressure */
    char group[DUTY_ID_SIZE]; /* rather apart from duties of the same group; empty: none */
    size_t label_count;       /* labels that its node must have */
    char labels[MANAGER_LABELS_MAX][NAME_SIZE]; /* "key=value" */
    /* More than 1: so many duties, "ID", "ID~2", "ID~3" and on, rather apart from each other. */
    uint32_t copies;
    bool per_node; /* one for each node that may run it, "ID~NODE" */
    /* Exclusion group: never at the same time as a duty of the same group and another side, not
     * even for an instant (the replicated state sees to it). Only exclusive ones; empty: none. */
    char alone[DUTY_ID_SIZE];
    uint32_t side; /* duties of one side may run together; 0 without a group */
};

struct manager_duty_state {
    char duty[DUTY_ID_SIZE];
    uint64_t assignment;
    enum manager_duty_phase phase;
    char detail[REASON_SIZE];
};

/* Nothing of this duty runs here any more and nothing will be started under this assignment. */
struct manager_released {
    char duty[DUTY_ID_SIZE];
    uint64_t assignment;
};

/* The active role of `term` has ended here: no effect of it follows. */
struct manager_role_ack {
    uint64_t term;
};

/* From the active manager of the acting leader, as duty_wanted; all three are dropped otherwise. */
struct manager_intent_wanted {
    char key[MANAGER_INTENT_KEY_SIZE];       /* starts with the manager's name and "/" */
    char object[MANAGER_INTENT_OBJECT_SIZE]; /* what it touches: one intent on it at a time */
    enum manager_intent_policy policy;
    int64_t keep_ms; /* how long the key may still come again: 0 .. MANAGER_INTENT_KEEP_MS_MAX */
    uint64_t term;   /* of the role under which it is wanted */
    uint64_t ticket;
};

struct manager_intent_verified {
    char key[MANAGER_INTENT_KEY_SIZE];
    enum manager_intent_evidence evidence;
    char detail[REASON_SIZE];
    uint64_t term;
    uint64_t ticket;
};

struct manager_intent_performed {
    char key[MANAGER_INTENT_KEY_SIZE];
    enum manager_intent_verdict verdict;
    bool answer_lost; /* nobody knows whether it happened; verdict and outcome say nothing */
    char outcome[REASON_SIZE];
    uint64_t term;
    uint64_t ticket;
};

struct manager_reply {
    uint64_t id; /* of the command */
    bool ok;
    char code[NAME_SIZE];               /* of the error: "not_found"; empty when ok */
    char message[MANAGER_MESSAGE_SIZE]; /* of the error */
    struct manager_document result;     /* at most MANAGER_DOCUMENT_BYTES_MAX */
};

/* ---- node to manager ---- */

struct manager_configure {
    char node[NAME_SIZE];
    char cluster[NAME_SIZE];
    char environment[NAME_SIZE];
    char data_dir[MANAGER_PATH_SIZE];     /* this manager's own folder; the node made it */
    char runtime_dir[MANAGER_PATH_SIZE];  /* sockets */
    char lock_dir[MANAGER_PATH_SIZE];     /* locks of duties on this host */
    char guard_path[MANAGER_PATH_SIZE];   /* the program understudy-guard */
    char guard_socket[MANAGER_PATH_SIZE]; /* where guards find the node */
    bool shadow;                          /* decide, do nothing */
    struct manager_document section;      /* a map: managers.NAME of the configuration */
};

/* Sent at each change and with each renewal of the lease. */
struct manager_role {
    bool active;
    uint64_t term;
    int64_t deadline_ms; /* the active role ends here without a renewal; 0 when standby */
};

struct manager_grant {
    char duty[DUTY_ID_SIZE];
    uint64_t assignment;
    uint64_t term;
    int64_t deadline_ms; /* of the grant now; the guard gets each renewal from the node itself */
    /* Of a run: the digest of its schedule in the replicated state. 0: not compared. */
    uint64_t digest;
};

/* Stop it, then say released. A grant of the same assignment that follows takes this back. */
struct manager_revoke {
    char duty[DUTY_ID_SIZE];
    uint64_t assignment;
    char why[REASON_SIZE];
};

struct manager_peer_observation {
    char node[NAME_SIZE];
    int64_t age_ms; /* since its manager made it */
    enum manager_member_state state;
    struct manager_document document;
};

struct manager_member {
    char name[NAME_SIZE];
    enum manager_member_state state;
    int64_t since_ms; /* how long ago this state began */
};

struct manager_members {
    size_t count;
    struct manager_member members[NODES_MAX];
};

struct manager_command {
    uint64_t id;
    char verb[NAME_SIZE];         /* "primary list" */
    struct manager_document args; /* a map, or absent; at most MANAGER_FIELDS_BYTES_MAX */
};

/* The answer to each of the three, and left_open without a question. */
struct manager_intent {
    char key[MANAGER_INTENT_KEY_SIZE];
    enum manager_intent_step step;
    uint64_t term;
    int64_t deadline_ms; /* perform: not after it */
    enum manager_intent_state state;
    enum manager_intent_verdict verdict; /* of a done one */
    char outcome[REASON_SIZE];           /* of a done one; the question of a parked one */
    uint64_t ticket;                     /* of the message that it answers; 0: none */
    char object[MANAGER_INTENT_OBJECT_SIZE];
    enum manager_intent_policy policy;
};

struct manager_message {
    enum manager_kind kind;
    union {
        struct manager_hello hello;
        struct manager_heartbeat heartbeat;
        struct manager_observation observation;
        struct manager_event event;
        struct manager_duty_wanted duty_wanted;
        struct manager_duty_state duty_state;
        struct manager_released released;
        struct manager_role_ack role_ack;
        struct manager_reply reply;
        struct manager_schedule_wanted schedule_wanted;
        struct manager_run_ended run_ended;
        struct manager_intent_wanted intent_wanted;
        struct manager_intent_verified intent_verified;
        struct manager_intent_performed intent_performed;
        struct manager_configure configure;
        struct manager_role role;
        struct manager_grant grant;
        struct manager_revoke revoke;
        struct manager_peer_observation peer_observation;
        struct manager_members members;
        struct manager_command command;
        struct manager_intent intent;
        struct manager_run run;
    } as; /* pause, resume and stop carry nothing */
};

/* Appends the bytes of `message` to `writer`, cleared first by the caller. ERR_INVALID: a document
 * over its bound or an unknown kind; ERR_FULL: past the writer's bound. */
int manager_message_encode(const struct manager_message *message, struct mp_writer *writer,
                           struct err *err);

/* Documents in *ret borrow from `bytes`. ERR_PROTO: malformed; ERR_UNSUPPORTED: another version or
 * an unknown kind (skip it: a newer side sent it). *ret is written on success only. */
int manager_message_decode(const uint8_t *bytes, size_t length, struct manager_message *ret,
                           struct err *err);

#endif
