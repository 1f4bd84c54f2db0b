/* OpenMetrics text, built into a bounded buffer: names with the prefix understudy_, escaped labels.
 *
 * Families must not be repeated; samples follow their family. */
#ifndef UNDERSTUDY_NODE_HTTP_METRICS_H
#define UNDERSTUDY_NODE_HTTP_METRICS_H

#include "node/base/buffer.h"

#include <stdint.h>

#define METRICS_BYTES_MAX (1 << 20)

struct metrics {
    struct buffer text;
    const char *family;
    const char *suffix;
};

enum metrics_type { METRICS_GAUGE, METRICS_COUNTER, METRICS_INFO };

void metrics_init(struct metrics *self);
void metrics_deinit(struct metrics *self);

/* Begin a family. name: without "understudy_" and without "_total" or "_info" (added); kept until
 * the next family, so a literal. */
void metrics_family(struct metrics *self, enum metrics_type type, const char *name,
                    const char *help);

/* One sample without labels, or with up to two (a NULL name ends them). Values that are not finite
 * are left out: unknown is absent. */
void metrics_value(struct metrics *self, double value);
void metrics_value1(struct metrics *self, const char *label, const char *text, double value);
void metrics_value2(struct metrics *self, const char *label1, const char *text1, const char *label2,
                    const char *text2, double value);

/* Process figures (resident memory, CPU, open descriptors) of the calling process. Reads /proc. */
void metrics_process(struct metrics *self);

/* End with "# EOF" and hand the text over, free() it; NULL when the bound was reached. */
char *metrics_finish(struct metrics *self);

#endif
