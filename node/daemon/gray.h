/* What makes a node a gray leader: it lives and sends heartbeats, but its work does not go on.
 *
 * One bit for each kind, so that a node which shares the trouble is no better. Of this node they
 * are found by what it measures, of others by the components of health that they gossip. Pure. */
#ifndef UNDERSTUDY_NODE_DAEMON_GRAY_H
#define UNDERSTUDY_NODE_DAEMON_GRAY_H

#include "gossip/gossip.h"
#include "node/daemon/health.h"

enum gray_kind {
    GRAY_LOOP = 1,     /* the loop crawls: late again and again, by most of the time */
    GRAY_STORAGE = 2,  /* writes take seconds, or hang */
    GRAY_FILES = 4,    /* no descriptors left */
    GRAY_MANAGERS = 8, /* a manager hangs, or does not stay alive */
};

#define GRAY_LATE_MS 500 /* a turn of the loop this late counts */
#define GRAY_LATE_TURNS 3
#define GRAY_LATE_SUM_MS 5000
#define GRAY_WINDOW_MS 10000
#define GRAY_TURNS_MAX 20 /* no more late turns fit in a window */

/* The late turns of the loop; all zero at the start. */
struct gray_loop {
    size_t next;
    struct {
        int64_t at_ms;
        int64_t late_ms;
    } turns[GRAY_TURNS_MAX];
};

void gray_loop_turned(struct gray_loop *self, int64_t now_ms, int64_t late_ms);
bool gray_loop_crawls(const struct gray_loop *self, int64_t now_ms);

/* Bits of enum gray_kind. */
uint32_t gray_of_own(const struct health *health, const struct gray_loop *loop, int64_t now_ms);
uint32_t gray_of_told(const struct gossip_health *health);

/* "storage, managers": the kinds in words. */
void gray_text(uint32_t kinds, char *ret, size_t size);

#endif
