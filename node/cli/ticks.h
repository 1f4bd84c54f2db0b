/* `ticks verify`: proves from what the cluster has kept that every slot of every schedule has
 * exactly one outcome. The slots are recomputed here, by another calendar than the leader's and
 * with the C library's time zones (almanac.h), so that an error of the one is not an error of both.
 *
 * A schedule's rows are whole from its last definition or from kept_from on, whichever is later, up
 * to decided; what is older than that is told as not kept. A slot that nobody decided two minutes
 * after it came is a violation, too. */
#ifndef UNDERSTUDY_NODE_CLI_TICKS_H
#define UNDERSTUDY_NODE_CLI_TICKS_H

#include "node/base/err.h"

#include <jansson.h>
#include <stdint.h>

#define TICKS_OVERDUE_S 120
#define TICKS_VIOLATIONS_MAX 1000  /* listed; all are counted */
#define TICKS_SLOTS_MAX (4u << 20) /* of one schedule */

/* One page of the document of `ticks ledger`, added to *summary (an object, {} at first).
 *
 * since_s  slots before it are not looked at; 0: all that is kept
 * 0; ERR_PROTO: the document has not the shape; ERR_NOTFOUND, ERR_INVALID: a zone or an expression
 * cannot be read on this host; ERR_NOMEM. */
int ticks_check_page(const json_t *page, int64_t since_s, json_t *summary, struct err *err);

/* How many violations were found. */
int64_t ticks_violations(const json_t *summary);

#endif
