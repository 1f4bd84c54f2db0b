/* One record of a decision log behind a good frame: whatever is accepted is written again as a
 * record that says the same. */
#include "consensus/recording.h"
#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int put(struct mp_writer *writer, const struct recording_record *record)
{
    struct recording_start start = record->start;
    switch (record->kind) {
    case RECORDING_START:
        start.config.founders = start.founders;
        return recording_put_start(writer, &start);
    case RECORDING_STORED:
        return recording_put_stored(writer, &record->stored);
    case RECORDING_SNAPSHOT:
        return recording_put_snapshot(writer, record->snapshot_bytes, record->snapshot_length);
    case RECORDING_ENTRY:
        return recording_put_entry(writer, &record->entry);
    case RECORDING_EVENT:
        return recording_put_event(writer, &record->event);
    case RECORDING_RESULT:
        return recording_put_result(writer, &record->result);
    case RECORDING_CONTINUED:
        return recording_put_continued(writer, &record->continued);
    }
    return ERR_INVALID;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct recording_record record;
    static struct recording_record again;
    size_t used = 0;
    (void)recording_read(data, size, &record, &used, NULL); /* as it is: mostly a bad checksum */
    uint8_t *framed = malloc(size + RECORDING_FRAME_BYTES);
    invariant(framed != NULL);
    if (size > 0) {
        memcpy(framed + RECORDING_FRAME_BYTES, data, size);
    }
    recording_frame(framed, size);
    int code = recording_read(framed, size + RECORDING_FRAME_BYTES, &record, &used, NULL);
    invariant(code != ERR_CLOSED);
    if (code == 0) {
        struct mp_writer writer;
        recording_writer_init(&writer);
        code = put(&writer, &record);
        invariant(code == 0);
        code = recording_read(writer.buffer.data, writer.buffer.length, &again, &used, NULL);
        invariant(code == 0 && used == writer.buffer.length && again.kind == record.kind);
        mp_writer_deinit(&writer);
    }
    free(framed);
    return 0;
}
