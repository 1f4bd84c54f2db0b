/* The PM2 manager's parts and what they share. One thread, one loop (managers/common/runtime.h).
 *
 * daemon/ speaks with PM2, watch/ judges primaries, stand_in/ decides as the leader's manager and
 * runs granted backups, cron/ those that run at times, mend/ brings primaries back; home.c keeps
 * the list of a daemon, observe.c and answer.c tell, pm2.c holds all together. */
#ifndef UNDERSTUDY_MANAGERS_PM2_PM2_H
#define UNDERSTUDY_MANAGERS_PM2_PM2_H

#include "managers/common/runtime_document.h"
#include "managers/pm2/daemon/god.h"
#include "managers/pm2/findings.h"
#include "managers/pm2/logs/rotation.h"
#include "managers/pm2/mend/mend.h"
#include "managers/pm2/settings.h"
#include "managers/pm2/stand_in/shadow.h"
#include "managers/pm2/stand_in/tiers.h"
#include "managers/pm2/watch/detect.h"
#include "managers/pm2/watch/entry.h"
#include "managers/pm2/watch/logs.h"
#include "managers/pm2/watch/tree.h"
#include "managers/pm2/watch/watch.h"

#define PM2_TICK_MS 100
#define PM2_SETTLING_LIST_MS 200 /* between lists while a state is held back or work is under way */
#define PM2_DOUBT_LIST_MS 1000   /* while PM2's picture may be false */
#define PM2_OBSERVE_MS 1000      /* at the latest, */
#define PM2_OBSERVE_EACH_MS 10   /* and so much later for each primary */
#define PM2_SAMPLE_MS 5000       /* memory and processor time */
#define PM2_STALE_MS 10000       /* an older observation says nothing any more */
#define PM2_WISH_MS 2000         /* a wish is said again */
#define CARRY_STABLE_MS 30000    /* a run of so long ends a row of restarts, as in PM2's backoff */
#define PM2_SLOTS_MAX (SETTINGS_BACKUPS_MAX + SETTINGS_PRIMARIES_MAX)

struct pm2;
struct cuts;
struct followed;
struct lists;
struct restore;
struct run;
struct revival;
struct install;

struct home {
    struct pm2 *pm2;
    struct god *god;
    bool pending;      /* a list was asked for */
    bool fresh;        /* `entries` is of this life of the daemon */
    uint64_t asked;    /* lists asked for so far */
    uint64_t answered; /* number of the list in `entries` */
    int64_t next_list_ms;
    int list_timer; /* for a list that is wanted before the next tick; 0: none runs */
    int64_t list_timer_ms;
    unsigned writes;      /* requests of ours that change something, under way */
    uint64_t list_needed; /* number of the first list of after our last change */
    struct entries entries;
    struct lists *lists;           /* versions of its list */
    struct restore *restore;       /* entries are being prepared again; NULL: none */
    struct revival *revival;       /* its daemon is being brought back; NULL: none */
    int64_t state_since_ms;        /* of its daemon */
    char not_revived[REASON_SIZE]; /* why the latest attempt failed; empty: none did */
    struct detect detect;
};

/* A duty of ours on this node: granted, or on its way out. */
struct slot {
    struct pm2 *pm2;
    bool used;
    char duty[DUTY_ID_SIZE];
    uint64_t assignment;
    bool revoking;
    bool busy;                  /* a request that writes is under way */
    enum request_method method; /* of it */
    uint64_t list_needed;       /* only a list asked for after the last write counts */
    int64_t retry_ms;           /* nothing is started before */
    unsigned failures;          /* in a row */
    bool told;                  /* phase and detail were reported */
    enum manager_duty_phase phase;
    int64_t phase_since_ms;
    char detail[REASON_SIZE];
    bool restart_due; /* over its memory limit */
    int64_t restarts;
    int64_t restarts_seen; /* of PM2's present entry; -1: none was seen */
    unsigned in_a_row;     /* restarts without a run of CARRY_STABLE_MS between them */
    int64_t launched_ms;   /* since the latest of them */
    bool loops;            /* they were too many: we have stopped it, whatever PM2 would do */
    bool foreign;          /* an entry of its name is not ours */
    struct process guard;
    int64_t memory_bytes; /* of the whole tree; -1 unknown */
    unsigned over_limit;  /* samples in a row */
};

struct peer {
    bool used;
    char node[NAME_SIZE];
    bool member; /* named by the latest list of members */
    enum manager_member_state state;
    int64_t state_since_ms; /* of our clock */
    int64_t able_since_ms;  /* it can run backups, without a break; 0: it cannot */
    json_t *document;       /* NULL: none came */
    int64_t made_ms;        /* when its manager made it, by our clock */
    bool adopted;           /* what it tells of its shadow is in ours */
};

/* What the leader's manager wants of one backup, or of a guarded primary. */
struct choice {
    /* The rule of decide.h: some backup shall stand in. */
    bool gate_known;
    bool gate;
    char gate_reason[REASON_SIZE];
    /* And this one shall: its tier's turn. */
    bool known;
    bool wanted;
    int64_t since_ms;
    int64_t sent_ms;
    bool held; /* decided while nothing may be done: paused, or in shadow */
    char reason[REASON_SIZE];
};

struct pm2 {
    struct runtime *runtime;
    struct manager_configure configure; /* its section is not kept */
    struct settings *settings;
    int64_t started_ms;
    struct home *homes;
    size_t home_count;
    struct watch watches[SETTINGS_PRIMARIES_MAX];
    size_t watch_count;
    int ends_fd; /* readable when a primary's process ends; -1: none */
    int64_t stepped_ms;
    int64_t verified_ms;
    int64_t detected_ms;
    struct tree tree;  /* as of the latest sample */
    struct logs *logs; /* NULL: no primary's log is looked at */
    struct slot slots[PM2_SLOTS_MAX];
    bool sweeping; /* a leftover is being deleted */
    struct findings findings;
    struct rotation *rotation; /* NULL: no log was to be rotated so far */
    struct mend mend;
    struct install *install; /* PM2 from npm; NULL before the first configuration */
    struct peer peers[NODES_MAX];
    struct choice choices[SETTINGS_BACKUPS_MAX];
    struct shadow shadow;        /* what was decided in shadow, as active manager */
    struct output *outputs;      /* of processes, for people: verbs/output.c */
    struct followed *followed;   /* names whose logs somebody follows; NULL: none so far */
    struct cuts *cuts;           /* of those logs, with the thread of `rotation` */
    struct changes *changes;     /* of people: verbs/change.c */
    struct run *run;             /* the slots of backups in mode cron */
    int64_t avoided_ms;          /* when it was looked at last where they rather do not run */
    struct restoring *restoring; /* for people: verbs/versions.c */
    struct choice own_choices[SETTINGS_PRIMARIES_MAX]; /* of guarded primaries */
    struct tiers tiers[SETTINGS_PRIMARIES_MAX];        /* by primary */
    char tier_reasons[SETTINGS_PRIMARIES_MAX][REASON_SIZE];
    int64_t able_since_ms; /* this node can run backups; 0: it cannot */
    int64_t role_since_ms;
    bool observe_now;
    int64_t observed_ms;
    int64_t sampled_ms;
};

/* ---- pm2.c ---- */
/* True when backups can be started on this node. */
bool pm2_can_run(const struct pm2 *self);
/* Paused or in shadow: nothing is started, restarted or cleared away. What was revoked is stopped
 * all the same. */
bool pm2_holds_still(const struct pm2 *self);
/* A new list of this home came: it is in home->entries, and as PM2 sent it in `list`, borrowed. */
void pm2_take_list(struct pm2 *self, struct home *home, const json_t *list, int64_t now_ms);

/* ---- home.c ---- */
/* `path` is a PM2_HOME. The home must not move in memory until home_close. */
int home_open(struct home *self, struct pm2 *pm2, const char *path, struct err *err);
void home_close(struct home *self);
/* With each tick: asks for a list, keeps the journal of lists, goes on with a restore. */
void home_step(struct home *home, int64_t now_ms);
/* Ask for a list if one is due. */
void home_ask(struct home *home, int64_t now_ms);
/* A new list at the latest after `delay_ms`. */
void home_list_soon(struct home *home, int64_t delay_ms);
/* The only way to send a request that changes something; as god_call. A new list follows. */
int home_write(struct home *home, const struct request *request, god_reply_fn *reply, void *context,
               struct err *err);
/* The daemon is up, nothing of ours is under way, and home->entries is of after our last change:
 * its ids may be acted on. (PM2 uses ids again when its list was empty.) */
bool home_is_settled(const struct home *home);

/* ---- watch/primaries.c ---- */
/* New settings; anew: of other homes. */
void primaries_configure(struct pm2 *self, bool anew);
void primaries_forget(struct pm2 *self);
void primaries_take_list(struct pm2 *self, struct home *home, int64_t now_ms);
/* Look again at those whose state is held back, and once a second at all. */
void primaries_step(struct pm2 *self, int64_t now_ms);
/* self->tree is of now. */
void primaries_sample(struct pm2 *self, int64_t now_ms);
void primaries_daemon_lost(struct pm2 *self, const struct home *home);
/* A process that bears the name of a primary runs without a daemon. */
void primaries_orphan(struct pm2 *self, const struct home *home, const char *name, int64_t pid);
/* A state of one of them is held back: look again soon. */
bool primaries_settling(const struct pm2 *self, const struct home *home);

/* ---- stand_in/carry.c ---- */
void carry_grant(struct pm2 *self, const struct manager_grant *grant);
void carry_revoke(struct pm2 *self, const struct manager_revoke *revoke);
/* A new list of the first home came, or its daemon was lost. */
void carry_reconcile(struct pm2 *self, int64_t now_ms);
void carry_sample(struct pm2 *self, int64_t now_ms);
bool carry_is_settling(const struct pm2 *self);
/* Try again at once what has failed here. False: the duty is not granted here. */
bool carry_retry(struct pm2 *self, const char *duty);

/* ---- observe.c ---- */
/* A new object, NULL when out of memory. */
json_t *observe_document(const struct pm2 *self, int64_t now_ms);
void observe_send(struct pm2 *self, int64_t now_ms);
void observe_peer(struct pm2 *self, const struct manager_peer_observation *observation);
void observe_members(struct pm2 *self, const struct manager_members *members);
/* A row of "primaries" or "backups" by its name, NULL when absent. Borrowed. */
const json_t *observe_row(const json_t *document, const char *list, const char *name);

/* ---- stand_in/choose.c ---- */
void choose_begin(struct pm2 *self, int64_t now_ms);
void choose_step(struct pm2 *self, int64_t now_ms);
/* Go on with the score in shadow that the managers of leaders before tell. */
void choose_adopt(struct pm2 *self);
/* What is decided and held back: [{duty, wanted, reason, for_ms}]. */
json_t *choose_held(const struct pm2 *self, int64_t now_ms);
/* What people must know, for the node's alerts: [{kind, object, severity, text}]. */
json_t *choose_conditions(const struct pm2 *self, int64_t now_ms);
/* The present tier of each primary, for people and the next leader's manager. */
json_t *choose_tiers(const struct pm2 *self, int64_t now_ms);
/* Fills in what is known of the primary on every node that may have it; at most NODES_MAX. */
size_t choose_views(const struct pm2 *self, const char *primary, int64_t now_ms,
                    struct decide_view *ret);

/* Nodes where a backup of that primary rather does not run, added to wanted->avoid. */
void choose_avoid_primary(const struct pm2 *self, const char *name, int64_t now_ms,
                          struct manager_duty_wanted *wanted);

/* ---- cron/cron.c ---- */
int cron_open(struct pm2 *self, struct err *err);
int cron_configure(struct pm2 *self, const struct manager_configure *configure, struct err *err);
void cron_role(struct pm2 *self, bool active, int64_t now_ms);
void cron_tick(struct pm2 *self, int64_t now_ms);
/* Fills in the row of `backup list`; runs: the runs of every node, each with its node. */
void cron_describe(const struct pm2 *self, const struct settings_backup *backup, const json_t *runs,
                   json_t *ret);

/* ---- stand_in/facts.c ---- */
/* Keep count of which nodes can run backups. */
void facts_tick(struct pm2 *self, int64_t now_ms);
/* Every live node has told what it sees, or has had the time to. */
bool facts_complete(const struct pm2 *self, int64_t now_ms);
/* The tiers of the primary at this position. */
void facts_gather(const struct pm2 *self, size_t primary, int64_t now_ms,
                  struct tier_facts ret[TIER_COUNT]);
/* A node has it, and it does not leave there. */
bool facts_runs_somewhere(const struct pm2 *self, const struct settings_backup *backup,
                          int64_t now_ms);

/* ---- answer.c ---- */
void answer_command(struct pm2 *self, const struct manager_command *command);
/* The arguments: a new reference, an object also when there are none. Beside those of the verb a
 * command that came through the node has `who` (who asked) and `left_ms` (until nobody waits). */
json_t *answer_args(const struct manager_command *command);

/* ---- watch/detect.c: what PM2 itself tells wrongly or not at all ---- */
void detect_take_list(struct home *home, int64_t now_ms);
void detect_event(struct home *home, const struct frame_event *event);
void detect_sample(struct home *home, int64_t now_ms);
/* From scratch: with the next list, what is held of primaries is let go and taken again. */
void detect_verify(struct home *home);
/* Says what is so (findings.h). */
void detect_step(struct pm2 *self, int64_t now_ms);
void detect_deinit(struct home *home);
/* A picture of PM2's may be false: look again soon. */
bool detect_doubts(const struct home *home, int64_t now_ms);
/* Ends by itself of the row within the window. */
unsigned detect_ends(const struct home *home, int64_t pm_id, const char *name, int64_t window_ms,
                     int64_t now_ms);

/* ---- watch/orphan.c ---- */
/* A process of PM2's entry `name` that runs on without its daemon, by the daemon's own files; 0:
 * none is found. */
int64_t orphan_find(const char *home, const char *name);
/* Every process in the tree that a daemon of this home started and that is no child of it now, nor
 * of one of the other daemons of this home; of what is listed, none. Returns how many. */
size_t orphan_find_all(const struct home *home, const struct tree *tree, struct orphan *ret,
                       size_t max);
/* Daemons of this home beside the one that is connected to. */
size_t orphan_find_daemons(const struct home *home, const struct tree *tree, int64_t *ret,
                           size_t max);

/* ---- journal.c ---- */
/* One line about what we did to PM2 in this manager's own folder, bounded. */
void journal_write(const struct pm2 *self, const char *did, const char *duty, const char *why);

#endif
