/* Mending: a primary that PM2 has given up, or cannot bring back, is brought back on its own host.
 *
 * What ails is told in the observation; the acting leader's node counts the attempts and orders
 * them (node/daemon/recoveries.h). An attempt is a short plan of restarts and stops by exact ids of
 * a settled list, one at a time in a home, each instance once. What somebody does meanwhile wins. A
 * primary that somebody stopped is left alone. */
#ifndef UNDERSTUDY_MANAGERS_PM2_MEND_MEND_H
#define UNDERSTUDY_MANAGERS_PM2_MEND_MEND_H

#include "managers/pm2/daemon/request.h"
#include "managers/pm2/mend/plan.h"
#include "managers/pm2/mend/stops.h"
#include "managers/pm2/settings.h"

#define MEND_CASES_MAX 256     /* rows of all homes that are not plainly well */
#define MEND_TOUCHED_MAX 64    /* instances of one primary */
#define MEND_ATTEMPT_MS 120000 /* then it has failed, whatever is under way */
#define MEND_KILLED_MS 30000   /* until PM2 shows that what was killed has ended */
#define MEND_PROOF_MS 2000     /* up for so long after an attempt: mended */

struct home;
struct pm2;
struct watch;

/* A row of a primary that does not plainly run. */
struct mend_case {
    size_t home;
    int64_t pm_id;
    char name[NAME_SIZE];
    enum entry_status shown;
    int64_t pid;
    int64_t started_wall_ms;
    int64_t since_ms; /* all of that so */
    int64_t patience_ms;
    struct mend_judgement is;
};

struct mend_touched {
    size_t home;
    int64_t pm_id;
    bool to_start;      /* stopped as the first half of a restart */
    int64_t killed_pid; /* 0: none was */
    int64_t killed_ms;
};

struct mend_order {
    bool used;
    char name[NAME_SIZE];
    uint64_t attempt;
    int64_t given_ms;
    size_t touched_count;
    struct mend_touched touched[MEND_TOUCHED_MAX];
    char why[NAME_SIZE]; /* what ailed it */
};

/* All zero: nothing ails. */
struct mend {
    size_t case_count;
    struct mend_case cases[MEND_CASES_MAX];
    struct mend_order orders[SETTINGS_PRIMARIES_MAX];
    struct stops stops;
};

/* A new list of that home, as PM2 sent it. */
void mend_take_list(struct pm2 *self, struct home *home, const json_t *list, int64_t now_ms);
/* The daemon of that home was lost: nothing is known of its rows. */
void mend_daemon_lost(struct pm2 *self, const struct home *home);
/* A request is sent to that home, of mending or not: one that stops a row is whoever asked's. */
void mend_note_write(struct pm2 *self, const struct home *home, const struct request *request);
/* Somebody used PM2's command line to stop it. */
void mend_stopped_by_hand(struct pm2 *self, const struct home *home, const char *name);
/* Ends attempts that went well or took too long. */
void mend_step(struct pm2 *self, int64_t now_ms);
/* The first homes, or other ones: all but stops is forgotten. */
void mend_begin(struct pm2 *self);
/* An attempt is under way in that home: look again soon. */
bool mend_is_settling(const struct pm2 *self, const struct home *home);

/* The order to try. Refused with ERR_NOTFOUND: no primary of that name that may be mended;
 * ERR_INVALID: nothing may be done now (paused, in shadow). The same attempt again is the same. */
int mend_order(struct pm2 *self, const char *name, uint64_t attempt, struct err *err);

/* For the observation: [{name, state, why, critical}] of what is not well; NULL: nothing. */
json_t *mend_document(const struct pm2 *self);

/* ---- between mend.c and order.c ---- */

bool mend_is_allowed(const struct pm2 *self, const char *name);
/* What is the matter with the primary as a whole. */
enum mend_trouble mend_trouble_of(const struct pm2 *self, const struct watch *watch,
                                  const char **ret_why);
/* That we stop it, to start it. */
void mend_remember_stopped(struct pm2 *self, const struct home *home, const struct mend_case *row);
/* A new list of that home is in the cases. */
void mend_carry_out(struct pm2 *self, struct home *home);

#endif
