/* From apps of PM2 (of an ecosystem file, or of PM2's list) to primaries and backups as they would
 * stand in managers.pm2 of the configuration. Pure.
 *
 * A row for each name: {kind: "process", name, script, state, why, instances, primary, backups,
 * env_left_out, notes}. state: "proposed"; "configured": nothing is missing; "ours": a backup that
 * the cluster itself runs; "left_out" with `why`. `primary` is an object for the list of primaries,
 * or null when it is there already; `backups` are those for the list of backups. Their members are
 * written as a person writes them ("300MB", "1600ms"). Of variables and arguments only what is
 * plainly harmless is in them. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_PROPOSE_H
#define UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_PROPOSE_H

#include <jansson.h>
#include <stdbool.h>

#define PROPOSE_ROWS_MAX 512
#define PROPOSE_KILL_TIMEOUT_MS_MAX 2500 /* what the default grants.ttl has room for */

struct propose_context {
    /* What is configured: {"primaries": [NAME], "backups": [{"name", "stands_in_for"}]} */
    const json_t *known; /* or NULL */
    const char *zone; /* of PM2's cron_restart, "Europe/Berlin"; NULL or "UTC": none is written */
    bool listed;      /* the apps are of PM2's list: env holds its caller's whole environment */
};

/* Of objects as normalise makes them, or pm2_env of PM2's list; further instances of a name are
 * taken together. A new list. */
json_t *propose(const json_t *apps, const struct propose_context *context);

#endif
