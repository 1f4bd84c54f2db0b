/* What the tests of dead daemons and kept lists share: apps, what is seen of a daemon, its kept
 * list and its processes, and the order to bring it back. */
#ifndef UNDERSTUDY_TESTS_INTEGRATION_PM2_REVIVE_SCENE_H
#define UNDERSTUDY_TESTS_INTEGRATION_PM2_REVIVE_SCENE_H

#include "tests/integration/pm2/pm2_bench.h"

#include <glob.h>

extern const char scene_sleeper[];  /* silent, so that it outlives a dead daemon */
extern const char scene_looper[];   /* starts another program again and again, and writes */
extern const char scene_stubborn[]; /* must be killed */
extern const char scene_server[];   /* of node */
extern int scene_attempts;          /* orders so far */

json_t *scene_section(void);
void scene_start(struct bench *bench, const char *name, const char *file, const char *text);
bool scene_is_ill(struct bench *bench);
bool scene_is_up(struct bench *bench);
bool scene_is_back(struct bench *bench);
const char *scene_home_state(const struct bench *bench);
const json_t *scene_ailing(const struct bench *bench);
const json_t *scene_finding(const struct bench *bench, const char *kind);
json_t *scene_newest_head(const struct bench *bench);
void scene_wait_kept(struct bench *bench, const char *names);
pid_t scene_only_process(const struct bench *bench, const char *name);
int scene_count_gods(const struct bench *bench);
const char *scene_order_name(const struct bench *bench);
void scene_revive(struct bench *bench);
const char *scene_status_of(struct bench *bench, const char *name);
size_t scene_list_length(const struct bench *bench);
size_t scene_find_versions(const struct bench *bench, glob_t *ret);

#endif
