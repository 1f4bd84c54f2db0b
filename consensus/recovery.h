/* Recovery: when something that failed is tried again, and when people are told.
 *
 * One row of the replicated state per ailing component ("pm2/worker-backup", "manager/n1/pm2",
 * "ailing/n1/pm2/worker") holds its attempts, so that a new leader goes on and does not start from
 * zero. Attempts come with a growing delay: base, doubled each time, at most max, a quarter of
 * jitter added by a hash of the component and the attempt, so that every leader says the same. When
 * the attempts are used up the row is escalated: an alert, and from then on one attempt every slow,
 * for ever. A component that was well for well_ms loses its row.
 *
 * Pure: the acting leader hands in what it sees and proposes what comes out. An order to try is a
 * row whose attempt rose, applied. */
#ifndef UNDERSTUDY_CONSENSUS_RECOVERY_H
#define UNDERSTUDY_CONSENSUS_RECOVERY_H

#include "consensus/state.h"
#include "consensus/state_work.h"

struct recovery_policy {
    int64_t first_ms;      /* ill for so long before the first attempt */
    int64_t base_ms;       /* between the first attempt and the second; > 0 */
    int64_t max_ms;        /* longest delay; >= base_ms */
    uint32_t attempts_max; /* then it is escalated; > 0 */
    int64_t slow_ms;       /* between attempts of an escalated row; >= max_ms */
    int64_t attempt_ms;    /* an attempt is given so long to help */
    int64_t well_ms;       /* well for so long: forgotten */
};

/* A duty that fails on its node: the first attempts within a minute, the sixth escalates. */
extern const struct recovery_policy recovery_of_duties;
/* A manager that its node restarts by itself (node/supervise): attempts are only counted. */
extern const struct recovery_policy recovery_of_managers;
/* What its manager can mend on its own node, and tells as ailing (a primary under PM2). */
extern const struct recovery_policy recovery_of_ailing;

enum recovery_seen { RECOVERY_SEEN_NOTHING, RECOVERY_SEEN_WELL, RECOVERY_SEEN_ILL };

/* Delay after attempt number `attempt` (from 1), jitter included. */
int64_t recovery_delay_ms(const struct recovery_policy *policy, const char *component,
                          uint32_t attempt);

/* What to propose about the component now; false: nothing. `row` may be NULL; `for_ms`: for how
 * long this leader has seen it so without a break. Type, payload, reason and why are filled in. */
bool recovery_step(const struct recovery_policy *policy, const char *component,
                   const struct state_recovery *row, enum recovery_seen seen, int64_t for_ms,
                   int64_t wall_ms, struct command *ret);

/* It was tried `times` by somebody else since the last call: count it. */
void recovery_count(const struct recovery_policy *policy, const char *component,
                    const struct state_recovery *row, uint32_t times, int64_t wall_ms,
                    struct command *ret);

/* A person wants an attempt now: what was used up counts no more. */
void recovery_by_hand(const struct recovery_policy *policy, const char *component,
                      const struct state_recovery *row, int64_t wall_ms, struct command *ret);

/* The row orders an attempt that is not carried out yet; `tried`: the last one that was. */
bool recovery_orders(const struct state_recovery *row, uint32_t tried);

#endif
