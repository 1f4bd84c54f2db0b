/* A time zone: from an instant to its local time and back, with the hours that a change of the
 * clock leaves out or brings twice.
 *
 * Decoded from the bytes of a file of the IANA database (TZif, RFC 8536 and RFC 9636, versions 2 to
 * 4; the shell reads the file). After its last listed change the zone follows the rule in its
 * footer; without one it stays as it is then. Leap seconds are not counted, as in POSIX time.
 *
 * A local time is told as the number of seconds that the same date and time would have in UTC. */
#ifndef UNDERSTUDY_CONSENSUS_ZONE_H
#define UNDERSTUDY_CONSENSUS_ZONE_H

#include "node/base/err.h"

#include <stddef.h>
#include <stdint.h>

#define ZONE_BYTES_MAX 65536
#define ZONE_NAME_SIZE 64 /* "America/Argentina/ComodRivadavia" has 32 */
/* 1900 and 2500. What is outside is taken for the nearest instant inside, and no change of the
 * clock is known there. */
#define ZONE_INSTANT_MIN (INT64_C(-2208988800))
#define ZONE_INSTANT_MAX (INT64_C(16725225600))

struct zone;

/* `name` is for messages, and is copied. ERR_INVALID: not a zone file, naming what is wrong in
 * it, or a name of ZONE_NAME_SIZE or more; ERR_NOMEM. */
int zone_decode(const uint8_t *bytes, size_t length, const char *name, struct zone **ret,
                struct err *err);
void zone_destroy(struct zone **self_p);
const char *zone_name(const struct zone *self);

/* Seconds that local time is ahead of UTC at that instant. */
int32_t zone_offset_s(const struct zone *self, int64_t instant_s);

/* The time between two changes of the clock, around an instant. */
struct zone_stretch {
    int64_t begin_s;  /* of it; INT64_MIN: there was no change before */
    int64_t end_s;    /* the next change; INT64_MAX: none comes */
    int32_t offset_s; /* that local time is ahead of UTC */
    int32_t before_s; /* the same before begin_s */
    int32_t after_s;  /* and from end_s on */
};
void zone_stretch(const struct zone *self, int64_t instant_s, struct zone_stretch *ret);

enum zone_fit {
    ZONE_ONCE, /* ret[0] */
    ZONE_GAP,  /* no instant has this local time: ret[0] is the change that left it out */
    ZONE_FOLD, /* two have it: ret[0] < ret[1], the first and the last */
};
enum zone_fit zone_instants(const struct zone *self, int64_t local_s, int64_t ret[2]);

#endif
