/* Takes the readings for the health score that may block (files of /proc, the file system, the
 * inject file) on a thread of its own, once a second, and hands the latest to the loop.
 *
 * A disk that hangs makes the sampler hang, not the loop: the sample grows old, which the loop sees
 * in taken_ms. Source of the pressure figures: the kernel's Documentation/accounting/psi. */
#ifndef UNDERSTUDY_NODE_DAEMON_SAMPLER_H
#define UNDERSTUDY_NODE_DAEMON_SAMPLER_H

#include "node/base/err.h"
#include "node/daemon/health.h"

struct sampler;

#define SAMPLER_PERIOD_MS 1000

/* Paths are copied; inject_file may be NULL. `pressure_folder`: NULL for /proc/pressure. */
int sampler_create(const char *data_dir, const char *inject_file, const char *pressure_folder,
                   struct sampler **ret, struct err *err);
void sampler_destroy(struct sampler **self_p);

/* Readable when a new sample is there. */
int sampler_fd(const struct sampler *self);

/* The latest sample; fields that the loop knows better are left at "not known". False before the
 * first. Loop thread. */
bool sampler_latest(struct sampler *self, struct health_sample *ret);

#endif
