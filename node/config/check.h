/* What the checks between keys share. Internal to node/config. */
#ifndef UNDERSTUDY_NODE_CONFIG_CHECK_H
#define UNDERSTUDY_NODE_CONFIG_CHECK_H

#include "node/config/load.h"

#define GRANT_SLACK_MS 2500 /* safety.md: kill_timeout + 2.5 s <= grant_ttl */

/* The key of `word` in an element of a list, as it is shown: with the element's name, or its number
 * when it has none; of the element itself when `word` is empty. */
void check_element_key(const char *list, const json_t *item, size_t index, const char *word,
                       char *ret, size_t size);

/* True when the element has a usable name, and no other before it has the same. */
bool check_element_name(struct load *self, const char *list, const json_t *all, const json_t *item,
                        size_t index);

/* Warns of nodes in `on` that are not among the founding voters. */
void check_element_on(struct load *self, const char *list, const json_t *item, size_t index);

/* A backup of managers.pm2: in mode cron its times and zone, and that nothing is set that its mode
 * has no use for. whole: as below. */
void check_backup_times(struct load *self, const char *list, const json_t *item, size_t index,
                        bool whole);

/* managers.run: commands, times and zones of its schedules. whole: no value was refused before, so
 * what is missing was left out. */
void check_runs(struct load *self, bool whole);

#endif
