/* Rows that mending has stopped, to start them: the second half may fail, or the manager may end
 * before it, and then such a row must not pass for one that somebody stopped. Kept in a file of the
 * manager's own folder, for a while. What is in it is believed of a row only that has the id, the
 * name and the last start that it had. */
#ifndef UNDERSTUDY_MANAGERS_PM2_MEND_STOPS_H
#define UNDERSTUDY_MANAGERS_PM2_MEND_STOPS_H

#include "managers/common/protocol.h"

#define STOPS_MAX 32
#define STOPS_KEEP_MS \
    (INT64_C(600) * 1000) /* of an earlier life of the manager, of the wall clock */

struct stop {
    bool used;
    char home[MANAGER_PATH_SIZE];
    int64_t pm_id;
    char name[NAME_SIZE];
    int64_t started_wall_ms;
    int64_t stopped_wall_ms;
};

struct stops {
    char path[MANAGER_PATH_SIZE + 16]; /* empty: no file */
    struct stop rows[STOPS_MAX];
};

/* With what an earlier life left in `folder`; NULL: without a file. */
void stops_open(struct stops *self, const char *folder, int64_t wall_ms);

bool stops_has_room(const struct stops *self);
/* Without room nothing is added. */
void stops_add(struct stops *self, const struct stop *stop);
void stops_drop(struct stops *self, const char *home, int64_t pm_id);
void stops_drop_named(struct stops *self, const char *home, const char *name);
/* The row was stopped by us, and has not been started since; else it is dropped. */
bool stops_has(struct stops *self, const struct stop *row);

#endif
