/* Where the members of a JSON text stand: lines and columns by path, and members that come twice.
 * Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_PLACES_H
#define UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_PLACES_H

#include <stddef.h>

#define PLACES_MAX 20000 /* members of one text; later ones have no place */
#define PLACES_DEPTH_MAX 64

struct place {
    unsigned line;   /* from 1; 0: not known */
    unsigned column; /* from 1, in bytes */
};

struct places;

/* Of a text that a JSON parser has accepted; of another one the places up to the fault. NULL when
 * out of memory. Ended with places_destroy. */
struct places *places_of(const char *text, size_t length);
void places_destroy(struct places **self_p);

/* The place of a key ("/apps/0/name"), of an element ("/apps/0") or of the whole (""). When it is
 * not known: of the nearest above. `self` may be NULL. */
void places_find(const struct places *self, const char *path, struct place *ret);

/* Member `index` of those that came again under the same name; NULL past the last. */
const char *places_doubled(const struct places *self, size_t index);

#endif
