/* The section managers.run as it reaches the manager. The first byte chooses: any msgpack
 * document, or YAML that the node's own check accepts: then the manager must accept it too, and
 * what it says of its schedules must pass the protocol. */
#include "managers/run/schedules.h"
#include "node/base/invariant.h"
#include "tests/fuzz/managers/section.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_message(const struct manager_schedule_wanted *wanted)
{
    struct manager_message message = {.kind = MANAGER_SCHEDULE_WANTED,
                                      .as.schedule_wanted = *wanted};
    struct manager_message back;
    struct mp_writer writer;
    mp_writer_init(&writer, MANAGER_MESSAGE_BYTES_MAX);
    invariant(manager_message_encode(&message, &writer, NULL) == 0);
    invariant(manager_message_decode(writer.buffer.data, writer.buffer.length, &back, NULL) == 0);
    mp_writer_deinit(&writer);
}

static void check_schedules(const struct schedules *schedules)
{
    struct manager_schedule_wanted wanted;
    invariant(schedules->count <= SCHEDULES_MAX);
    for (size_t i = 0; i < schedules->count; i++) {
        const struct schedule *row = &schedules->rows[i];
        invariant(schedules_find(schedules, row->name) == row);
        invariant(json_array_size(row->run) > 0 && row->is.digest != 0);
        invariant(row->limits.output_bytes >= RECORD_OUTPUT_MIN && row->limits.keep > 0);
    }
    for (size_t i = 0; i < schedules->count && i < 4; i++) {
        schedules_wanted(schedules, i, &wanted);
        check_message(&wanted);
    }
    schedules_wanted(schedules, schedules->count, &wanted);
    if (schedules->count == 0) {
        check_message(&wanted);
    }
}

static const struct schedules_source source = {.prefix = "run/", .list = "schedules"};

static int read_document(const uint8_t *data, size_t size, struct err *err)
{
    struct manager_document section = {.data = data, .length = size};
    struct schedules *schedules = NULL;
    int rc = schedules_read(&section, &source, &schedules, err);
    if (rc == 0) {
        check_schedules(schedules);
        schedules_destroy(&schedules);
    } else {
        invariant(schedules == NULL && err->msg[0] != '\0');
    }
    return rc;
}

static void read_configuration(const uint8_t *data, size_t size)
{
    struct mp_writer section;
    struct err err = {0};
    if (!section_write((const char *)data, size, "run", &section)) {
        return;
    }
    invariant(read_document(section.buffer.data, section.buffer.length, &err) == 0);
    mp_writer_deinit(&section);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    if (size == 0) {
        return 0;
    }
    if (data[0] % 2 == 0) {
        (void)read_document(data + 1, size - 1, &err);
    } else {
        read_configuration(data + 1, size - 1);
    }
    return 0;
}
