/* Any bytes as what a PM2 daemon sends: frames, answers, lists and events. The first byte chooses
 * how the stream is cut into pieces, which must make no difference. */
#include "managers/pm2/daemon/amp.h"
#include "managers/pm2/daemon/frame.h"
#include "managers/pm2/watch/entry.h"
#include "node/base/invariant.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entries(const struct entries *entries)
{
    invariant(entries->count <= ENTRIES_MAX);
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = &entries->rows[i];
        invariant(entry->pm_id >= -1 && entry->pm_id <= INT32_MAX);
        invariant(entry->pid >= 0 && entry->pid <= INT32_MAX);
        invariant(entry->restarts >= 0 && entry->status <= ENTRY_OTHER);
        invariant(!entry_pid_counts(entry) || entry->pid > 0);
    }
}

/* What is read from a frame must be the same for each way to cut the stream. */
static uint64_t take_frame(const struct amp_parser *parser)
{
    static struct entries entries;
    uint64_t serial = 0;
    struct frame_event event;
    json_t *result = NULL;
    struct err err = {0};
    if (frame_read_serial(parser, &serial)) {
        char id[REQUEST_ID_SIZE];
        frame_id(serial, id);
        invariant(serial != 0 && strlen(id) < sizeof id);
    }
    if (frame_read_result(parser, &result, &err) == 0) {
        invariant(result != NULL);
        if (entries_read(result, &entries, &err) == 0) {
            check_entries(&entries);
        }
        json_decref(result);
    } else {
        invariant(result == NULL && err.msg[0] != '\0');
    }
    if (frame_read_event(parser, &event)) {
        serial += strlen(event.event) + strlen(event.name);
        json_decref(event.object);
    }
    return serial;
}

/* Returns a sum over the frames; *ret_failed: the stream was given up. */
static uint64_t feed(const uint8_t *data, size_t size, size_t piece, bool *ret_failed)
{
    struct amp_parser parser;
    uint64_t frames = 0;
    amp_parser_init(&parser, 4096);
    *ret_failed = false;
    for (size_t done = 0; done < size && !*ret_failed;) {
        size_t used = 0;
        bool complete = false;
        size_t part = size - done < piece ? size - done : piece;
        *ret_failed = amp_parser_feed(&parser, data + done, part, &used, &complete, NULL) != 0;
        invariant(*ret_failed || used > 0);
        done += used;
        if (complete && !*ret_failed) {
            frames = frames * 31 + 1 + take_frame(&parser);
        }
    }
    amp_parser_deinit(&parser);
    return frames;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    bool whole_failed;
    bool cut_failed;
    uint64_t whole = feed(data + 1, size - 1, size, &whole_failed);
    uint64_t cut = feed(data + 1, size - 1, 1 + data[0], &cut_failed);
    invariant(whole == cut);
    invariant(whole_failed == cut_failed);
    return 0;
}
