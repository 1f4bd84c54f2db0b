/* Documents about causes, made of a replicated state alone: the node makes them of its own, the
 * command line of a saved one, and both come out alike. */
#ifndef UNDERSTUDY_NODE_DOCUMENTS_WHY_DOCUMENT_H
#define UNDERSTUDY_NODE_DOCUMENTS_WHY_DOCUMENT_H

#include "consensus/why.h"

#include <jansson.h>

#define AUDIT_ROWS_DEFAULT 100

/* The answer to one of the verbs `why leader`, `why duty`, `why run`, `why alert`.
 *
 * verb     its words; `why not duty` too, without what placement makes of each node
 * id       of the duty, run or alert; NULL for the leader
 * wall_ms  the present, as far as the state's reader knows
 * ret      new reference, written on success only
 *
 * 0; ERR_NOTFOUND, ERR_INVALID as in consensus/why.h; ERR_UNSUPPORTED: another verb. */
int why_document(const struct state *state, const char *verb, const char *id, int64_t wall_ms,
                 json_t **ret, struct err *err);

/* The audit ring, the newest first: at most `limit` rows, of that target alone when it is not NULL.
 * New reference. */
json_t *audit_document(const struct state *state, const char *target, int64_t limit);

#endif
