/* Rotation of PM2's logs on this host: out and error of each process that PM2 lists, and the
 * daemon's own pm2.log. By size, daily at local midnight, packed, kept for a time and within a
 * budget of bytes, without a lost line (cut.h), unless another rotator is at work (rotators.h).
 *
 * Each node does this for its own homes, with no leader's right. Nothing is rotated in shadow,
 * while paused, or while the daemon of a home is not up. The loop only hands over what PM2 listed
 * and tells what came of it; the work is done in a thread (round.h). */
#ifndef UNDERSTUDY_MANAGERS_PM2_LOGS_ROTATION_H
#define UNDERSTUDY_MANAGERS_PM2_LOGS_ROTATION_H

#include <jansson.h>
#include <stdint.h>

struct home;
struct rotation;
struct pm2;

/* `list` is what PM2 sent, borrowed: the paths and processes of `home` from now on. */
void rotation_take_list(struct pm2 *self, const struct home *home, const json_t *list);
/* The homes are others now. */
void rotation_forget(struct pm2 *self);
/* Each tick. */
void rotation_step(struct pm2 *self, int64_t now_ms);
/* Waits for the end of what the thread is about, a few system calls. */
void rotation_destroy(struct rotation **self_p);

#endif
