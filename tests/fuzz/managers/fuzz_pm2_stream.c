/* Any bytes as what a PM2 daemon sends: frames, answers, lists and events. The first byte chooses
 * how the stream is cut into pieces, which must make no difference. */
#include "managers/pm2/daemon/amp.h"
#include "managers/pm2/daemon/frame.h"
#include "managers/pm2/daemon/sieve.h"
#include "managers/pm2/mend/plan.h"
#include "managers/pm2/watch/census.h"
#include "managers/pm2/watch/entry.h"
#include "managers/pm2/watch/logs.h"
#include "node/base/invariant.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is read, nothing that PM2 looks after or that somebody stopped is ever treated. */
static void check_mending(const json_t *list)
{
    size_t index;
    json_t *listed;
    json_array_foreach(list, index, listed)
    {
        struct mend_row row;
        struct mend_facts facts;
        if (!mend_row_read(listed, &row, &facts)) {
            continue;
        }
        invariant(row.pm_id >= 0 && row.pm_id <= INT32_MAX && strlen(row.name) < NAME_SIZE);
        invariant(facts.pid >= 0 && facts.pid <= INT32_MAX && facts.restart_delay_ms >= 0);
        facts.logs_there = true;
        facts.for_ms = INT64_C(1) << 40;
        struct mend_judgement is = mend_judge(&facts);
        invariant(is.why != NULL && mend_patience_ms(&facts) > 0);
        invariant(is.trouble == MEND_ILL || is.cure == MEND_NOTHING);
        invariant(facts.shown != ENTRY_STOPPED || facts.pid > 0 || is.trouble == MEND_LEFT);
    }
}

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

static bool odd_ones_live(int64_t pid)
{
    return pid % 2 == 1;
}

/* Over time: a list, what the bus tells of it, and the list again. */
static void check_census(struct census *census, const struct entries *list)
{
    char why[REASON_SIZE];
    for (int64_t now_ms = 1; now_ms < 100000; now_ms += 40000) {
        invariant(census_take(census, list, now_ms == 1, odd_ones_live, now_ms) == 0);
        invariant(census->count <= list->count && census->listed <= list->count);
        for (size_t i = 0; i < census->count; i++) {
            why[0] = '\0';
            enum census_fault fault = census_judge(&census->rows[i], now_ms, why);
            invariant((fault == CENSUS_WELL) == (why[0] == '\0'));
        }
    }
}

static uint64_t take_event(struct census *census, const struct amp_parser *parser)
{
    struct frame_event event;
    uint64_t sum = 0;
    if (frame_read_event(parser, &event)) {
        invariant(frame_kind(parser) == FRAME_EVENT);
        invariant(event.pm_id >= -1 && event.pm_id <= INT32_MAX);
        census_event(census, &event, 5);
        sum = strlen(event.name) + (event.event != NULL ? strlen(event.event) : 0);
        json_decref(event.object);
    } else {
        invariant(event.object == NULL && event.name == NULL);
    }
    return sum;
}

static uint64_t take_log(struct logs *logs, const struct amp_parser *parser)
{
    struct frame_log log;
    char name[NAME_SIZE] = "";
    invariant(frame_log_name(parser, name) || name[0] == '\0');
    uint64_t sum = strlen(name);
    if (frame_read_log(parser, &log)) {
        invariant(log.name != NULL && log.data != NULL);
        sum += log.length;
        json_decref(log.object);
    }
    logs_take(logs, parser, 1000);
    return sum;
}

/* What is read from a frame must be the same for each way to cut the stream. */
static uint64_t take_frame(const struct amp_parser *parser, struct census *census,
                           struct logs *logs)
{
    static struct entries entries;
    uint64_t serial = 0;
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
            check_mending(result);
            check_census(census, &entries);
        }
        json_decref(result);
    } else {
        invariant(result == NULL && err.msg[0] != '\0');
    }
    serial += take_event(census, parser);
    enum frame_kind kind = frame_kind(parser);
    if (kind == FRAME_LOG_OUT || kind == FRAME_LOG_ERR) {
        serial += take_log(logs, parser);
    }
    return serial;
}

/* Returns a sum over the frames; *ret_failed: the stream was given up. */
static uint64_t feed(const uint8_t *data, size_t size, size_t piece, bool *ret_failed)
{
    static struct settings settings = {
        .primary_count = 1,
        .primaries = {{.name = "worker", .pattern_count = 1, .patterns = {"FATAL|[0-9]{3}$"}}}};
    struct amp_parser parser;
    struct census census = {0};
    struct logs *logs = NULL;
    uint64_t frames = 0;
    invariant(logs_create(&settings, &logs, NULL) == 0);
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
            frames = frames * 31 + 1 + take_frame(&parser, &census, logs);
        }
    }
    logs_step(logs, 3000);
    static struct findings findings;
    memset(&findings, 0, sizeof findings);
    logs_say(logs, &findings, 3000);
    frames = frames * 31 + findings.rows[0].used;
    logs_destroy(&logs);
    census_deinit(&census);
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
    (void)sieve_digest((const char *)data, size, data[0]);
    uint64_t whole = feed(data + 1, size - 1, size, &whole_failed);
    uint64_t cut = feed(data + 1, size - 1, 1 + data[0], &cut_failed);
    invariant(whole == cut);
    invariant(whole_failed == cut_failed);
    return 0;
}
