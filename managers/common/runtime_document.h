/* What a manager tells its node as documents: what it observes, and the answers to commands. */
#ifndef UNDERSTUDY_MANAGERS_COMMON_RUNTIME_DOCUMENT_H
#define UNDERSTUDY_MANAGERS_COMMON_RUNTIME_DOCUMENT_H

#include "managers/common/runtime.h"

#include <jansson.h>

/* `document` is borrowed. ERR_NOMEM: it is NULL; ERR_FULL: longer than an observation may be;
 * ERR_INVALID: nested too deep. */
int runtime_observe_document(struct runtime *self, const json_t *document, struct err *err);

/* Every command is answered once, with one of these, at once or later. A document that cannot be
 * sent is a refusal with its reason; NULL: out of memory. */
void runtime_answer(struct runtime *self, uint64_t id, json_t *document_take);
void runtime_refuse(struct runtime *self, uint64_t id, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
