/* Time zones of the system's database, read by a thread of their own: the loop does not wait for a
 * disk. Each is read once, kept for the life of the node, and shared.
 *
 * Names are those of the IANA database ("Europe/Berlin", "UTC"). The folder is /usr/share/zoneinfo,
 * or TZDIR of the environment as in the C library. */
#ifndef UNDERSTUDY_NODE_DAEMON_ZONES_H
#define UNDERSTUDY_NODE_DAEMON_ZONES_H

#include "consensus/zone.h"

#include <stdbool.h>

#define ZONES_MAX 640 /* the database has some 600 names */

struct zones;

/* NULL when out of memory, descriptors or threads. */
struct zones *zones_create(void);
/* Waits for the file that is being read. Zones given out end with it. */
void zones_destroy(struct zones **self_p);

/* The zone, or NULL: it is being read (zones_fd tells when), or cannot be (*err says why; not
 * touched while it is being read; may be NULL). Loop thread. */
const struct zone *zones_get(struct zones *self, const char *name, struct err *err);

/* Readable after more zones have been read; zones_clear makes it wait again. */
int zones_fd(const struct zones *self);
void zones_clear(struct zones *self);

/* May a name stand in a path below the folder? */
bool zones_valid_name(const char *name);

#endif
