#include "managers/common/runtime_document.h"

#include "node/base/doc.h"

#include <stdarg.h>
#include <stdio.h>

static int write_document(const json_t *document, struct mp_writer *writer, struct err *err)
{
    return document == NULL ? err_set(err, ERR_NOMEM, "out of memory")
                            : doc_to_msgpack(document, writer, err);
}

int runtime_observe_document(struct runtime *self, const json_t *document, struct err *err)
{
    struct mp_writer writer;
    mp_writer_init(&writer, MANAGER_OBSERVATION_BYTES_MAX);
    int rc = write_document(document, &writer, err);
    if (rc == 0) {
        runtime_observe(self, writer.buffer.data, writer.buffer.length);
    }
    mp_writer_deinit(&writer);
    return rc;
}

void runtime_refuse(struct runtime *self, uint64_t id, const char *code, const char *format, ...)
{
    struct manager_reply reply = {.id = id};
    va_list arguments;
    (void)snprintf(reply.code, sizeof reply.code, "%s", code);
    va_start(arguments, format);
    (void)vsnprintf(reply.message, sizeof reply.message, format, arguments);
    va_end(arguments);
    runtime_reply(self, &reply);
}

void runtime_answer(struct runtime *self, uint64_t id, json_t *document_take)
{
    struct mp_writer writer;
    struct err err = {0};
    mp_writer_init(&writer, MANAGER_DOCUMENT_BYTES_MAX);
    if (write_document(document_take, &writer, &err) != 0) {
        runtime_refuse(self, id, "failed", "%s", err.msg);
    } else {
        struct manager_reply reply = {
            .id = id,
            .ok = true,
            .result = {.data = writer.buffer.data, .length = writer.buffer.length}};
        runtime_reply(self, &reply);
    }
    mp_writer_deinit(&writer);
    json_decref(document_take);
}
