/* From what an ecosystem file exports to the apps that PM2 7 makes of it, with a finding wherever
 * that is not what is written. Pure but for what `world` answers.
 *
 * Each app is an object in PM2's own words and units, as `pm2 jlist` shows them (pm2_env): name,
 * namespace, pm_exec_path, pm_cwd, args, exec_interpreter, node_args, exec_mode, instances, env,
 * pm_out_log_path, pm_err_log_path, pm_pid_path ("ID" stands for the id that PM2 gives), and what
 * else the file sets: sizes in bytes, times in milliseconds. Beside these `starts`: PM2 would start
 * it. `env` is what comes from the file; PM2 lays it over the environment of its caller. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_NORMALISE_H
#define UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_NORMALISE_H

#include "managers/pm2/ecosystem/report.h"
#include "managers/pm2/ecosystem/world.h"
#include "node/base/err.h"

#define NORMALISE_APPS_MAX 500
#define NORMALISE_ENV_NAME_SIZE 64

struct normalise_input {
    const json_t *exported; /* borrowed */
    const json_t *frozen;   /* paths in it of objects that JavaScript cannot change, or NULL */
    const char *folder;     /* where `pm2 start` is called, absolute */
    const char *env_name;   /* of --env, or NULL */
    const struct world *world;
};

/* *ret_apps is a new list. Findings go to `report`, which was initialised with the file. 0 or
 * ERR_NOMEM. */
int normalise(const struct normalise_input *input, struct report *report, json_t **ret_apps,
              struct err *err);

#endif
