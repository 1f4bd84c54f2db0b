/* What `ticks verify` looks at, made of a replicated state alone, as why_document.h. */
#ifndef UNDERSTUDY_NODE_DOCUMENTS_LEDGER_DOCUMENT_H
#define UNDERSTUDY_NODE_DOCUMENTS_LEDGER_DOCUMENT_H

#include "consensus/state.h"
#include "consensus/state_work.h"

#include <jansson.h>

/* What `ticks verify` needs of the schedules behind the id `after` (NULL: from the first):
 * definitions, what is decided and kept, and each slot's row as [first, last, count, outcome,
 * reason, attempts]. A page at a time; "more" is the id to ask on from, or null. `now_s` is the
 * present, in seconds since 1970. New reference. */
json_t *ledger_document(const struct state *state, const char *after, int64_t now_s);

/* Names and counts that documents about schedules share. */
const char *document_gap_name(enum calendar_gap gap);
const char *document_fold_name(enum calendar_fold fold);
json_t *document_counts(const struct run_counts *counts);

#endif
