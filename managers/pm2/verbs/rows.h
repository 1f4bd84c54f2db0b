/* What people are shown of a process, as one document: PM2's own row beside the kernel's word. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ROWS_H
#define UNDERSTUDY_MANAGERS_PM2_ROWS_H

#include "managers/pm2/settings.h"
#include "managers/pm2/watch/entry.h"

/* What the process is to us: "primary", "backup", "ours" (our mark, and no backup of the
 * configuration), "other". */
const char *rows_role(const struct settings *settings, const struct entry *entry);

/* Of `list`, the result of getMonitorData: the rows named in `names` (an array of texts; NULL: all)
 * are appended to `ret`, until that holds ENTRIES_MAX. What is in /proc is read now. Returns how
 * many were left out. */
size_t rows_of_list(const struct settings *settings, const char *home, const json_t *list,
                    const json_t *names, json_t *ret);

/* One of `names` is `name`; NULL: any. */
bool rows_wanted(const json_t *names, const char *name);

#endif
