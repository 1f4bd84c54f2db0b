/* What nodes send of themselves: reports, observations, the wish to leave. */
#include "node/base/invariant.h"
#include "node/daemon/report.h"

#include <string.h>

static void check_told_state(const struct told_state *first)
{
    struct told_state second;
    struct mp_writer writer;
    mp_writer_init(&writer, SNAPSHOT_BYTES_MAX);
    int rc = told_state_encode(first, &writer);
    invariant(rc == 0);
    rc = told_state_decode(writer.buffer.data, writer.buffer.length, &second);
    invariant(rc == 0);
    invariant(second.term == first->term && second.index == first->index);
    invariant(second.length == first->length);
    invariant(first->length == 0 || memcmp(second.bytes, first->bytes, first->length) == 0);
    mp_writer_deinit(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int encode(const struct report_message *message, struct mp_writer *writer)
{
    return message->kind == REPORT_SELF
               ? report_encode(&message->self, writer)
               : report_observation_encode(message->manager, message->document,
                                           message->document_length, writer);
}

static void check_bounds(const struct report_message *message)
{
    if (message->kind == REPORT_OBSERVATION) {
        invariant(memchr(message->manager, '\0', sizeof message->manager) != NULL);
        invariant(message->document_length > 0);
        invariant(message->document_length <= MANAGER_OBSERVATION_BYTES_MAX);
        return;
    }
    invariant(message->self.manager_count <= MANAGERS_MAX);
    invariant(message->self.duty_count <= REPORT_DUTIES_MAX);
    for (size_t i = 0; i < message->self.manager_count; i++) {
        const struct report_manager *manager = &message->self.managers[i];
        invariant(!manager->score_known || (manager->score >= 0 && manager->score <= 100));
    }
}

static void check_round_trip(const struct report_message *first)
{
    struct report_message second;
    struct mp_writer writer;
    struct mp_writer again;
    mp_writer_init(&writer, REPORT_BYTES_MAX);
    mp_writer_init(&again, REPORT_BYTES_MAX);
    int rc = encode(first, &writer);
    invariant(rc == 0);
    rc = report_decode(writer.buffer.data, writer.buffer.length, &second);
    invariant(rc == 0);
    invariant(second.kind == first->kind);
    rc = encode(&second, &again);
    invariant(rc == 0);
    invariant(again.buffer.length == writer.buffer.length);
    invariant(memcmp(again.buffer.data, writer.buffer.data, writer.buffer.length) == 0);
    mp_writer_deinit(&writer);
    mp_writer_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct report_message message;
    if (report_decode(data, size, &message) == 0) {
        invariant(!leave_decode(data, size));
        check_bounds(&message);
        check_round_trip(&message);
    }
    struct told_state told;
    if (told_state_decode(data, size, &told) == 0) {
        check_told_state(&told);
    }
    return 0;
}
