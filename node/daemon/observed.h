/* What managers observed, as documents. Loop thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_OBSERVED_H
#define UNDERSTUDY_NODE_DAEMON_OBSERVED_H

#include <jansson.h>
#include <stdint.h>

struct node;

/* The latest observation of the manager on that node as a new object; NULL when there is none that
 * can be read. *ret_age_ms may be NULL. */
json_t *observed_document(const struct node *self, const char *node, const char *manager,
                          int64_t *ret_age_ms);

#endif
