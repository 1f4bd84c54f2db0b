/* The log files of the names that somebody follows, so that PM2 is asked for its list once and not
 * twice a second: after that the lists that come anyway are used. */
#ifndef UNDERSTUDY_MANAGERS_PM2_FOLLOWED_H
#define UNDERSTUDY_MANAGERS_PM2_FOLLOWED_H

#include "managers/pm2/pm2.h"

#include <sys/types.h>

#define FOLLOWED_MAX 8        /* names; for a further one PM2 is asked each time */
#define FOLLOWED_MS 10000     /* a name that was not asked for so long is forgotten */
#define FOLLOWED_ROWS_MAX 256 /* files of one name */

/* Append {kind, home, id, name, stream, path, owner} for each log file of the rows of `list` named
 * `name`: what a "file" row of an answer has, and who must own the file. */
void followed_add(json_t *ret, const char *home, uid_t owner, const json_t *list, const char *name);

/* The files of that name, as followed_add has them; NULL: not known. Borrowed until the loop goes
 * on. */
const json_t *followed_files(struct pm2 *self, const char *name, int64_t now_ms);
/* From now on they are known. */
void followed_set(struct pm2 *self, const char *name, json_t *files, int64_t now_ms);
/* `list` is what PM2 sent, borrowed. */
void followed_take_list(struct pm2 *self, const struct home *home, const json_t *list,
                        int64_t now_ms);
/* The homes go. */
void followed_forget(struct pm2 *self);

#endif
