#include "node/daemon/observed.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/node.h"

#include <string.h>

json_t *observed_document(const struct node *self, const char *node, const char *manager,
                          int64_t *ret_age_ms)
{
    static const struct mp_limits limits = {
        .bytes = MANAGER_OBSERVATION_BYTES_MAX, .elements = 16384, .depth = 8};
    for (size_t i = 0; i < sizeof self->observations / sizeof self->observations[0]; i++) {
        const struct observation *seen = &self->observations[i];
        json_t *document = NULL;
        if (seen->bytes == NULL || strcmp(seen->node, node) != 0 ||
            strcmp(seen->manager, manager) != 0 ||
            doc_from_msgpack(seen->bytes, seen->length, &limits, &document, NULL) != 0) {
            continue;
        }
        if (!json_is_object(document)) {
            json_decref(document);
            return NULL;
        }
        if (ret_age_ms != NULL) {
            *ret_age_ms = clock_boot_ms() - seen->taken_ms;
        }
        return document;
    }
    return NULL;
}
