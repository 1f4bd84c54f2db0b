#include "consensus/runs.h"

#include <string.h>

#define REPORT_VERSION 1
#define REPORT_FIELDS 9

/* Room for fields that newer versions append. */
static const struct mp_limits report_limits = {.bytes = 1024, .elements = 64, .depth = 4};

static bool is_reason(uint64_t value)
{
    switch (value) {
#define RUN_REASON_CASE(symbol, number, name) case number:
        RUN_REASON_MAP(RUN_REASON_CASE)
#undef RUN_REASON_CASE
        return true;
    default:
        return false;
    }
}

/* A node ends no slot as skipped or missed: that is the leader's. */
static bool is_outcome(uint64_t value)
{
    return value == RUN_RAN || value == RUN_FAILED || value == RUN_UNKNOWN;
}

static bool is_sound(const struct run_report *report)
{
    return memchr(report->duty, '\0', sizeof(report->duty)) != NULL && report->duty[0] != '\0' &&
           report->exit_status >= -1 && report->exit_status <= RUN_EXIT_STATUS_MAX &&
           report->started_wall_ms >= 0 && report->ended_wall_ms >= 0;
}

int run_report_encode(const struct run_report *report, struct mp_writer *writer)
{
    if (!is_sound(report) || !is_outcome((uint64_t)report->outcome) ||
        !is_reason((uint64_t)report->reason)) {
        return ERR_INVALID;
    }
    mp_put_array(writer, REPORT_FIELDS);
    mp_put_u64(writer, REPORT_VERSION);
    mp_put_text(writer, report->duty);
    mp_put_u64(writer, report->assignment);
    mp_put_u64(writer, report->raft_id);
    mp_put_u64(writer, (uint64_t)report->outcome);
    mp_put_u64(writer, (uint64_t)report->reason);
    mp_put_i64(writer, report->exit_status);
    mp_put_i64(writer, report->started_wall_ms);
    mp_put_i64(writer, report->ended_wall_ms);
    return mp_writer_ok(writer) ? 0 : ERR_FULL;
}

static bool read_fields(const msgpack_object *root, struct run_report *ret)
{
    uint64_t outcome;
    uint64_t reason;
    int64_t exit_status;
    bool ok = mp_text(mp_at(root, 1), ret->duty, sizeof(ret->duty)) &&
              mp_u64(mp_at(root, 2), &ret->assignment) && mp_u64(mp_at(root, 3), &ret->raft_id) &&
              mp_u64(mp_at(root, 4), &outcome) && is_outcome(outcome) &&
              mp_u64(mp_at(root, 5), &reason) && is_reason(reason) &&
              mp_i64(mp_at(root, 6), &exit_status) && exit_status >= -1 &&
              exit_status <= RUN_EXIT_STATUS_MAX && mp_i64(mp_at(root, 7), &ret->started_wall_ms) &&
              mp_i64(mp_at(root, 8), &ret->ended_wall_ms);
    if (!ok) {
        return false;
    }
    ret->outcome = (enum run_outcome)outcome;
    ret->reason = (enum run_reason)reason;
    ret->exit_status = (int)exit_status;
    return is_sound(ret);
}

int run_report_decode(const uint8_t *bytes, size_t length, struct run_report *ret, struct err *err)
{
    struct mp_doc doc;
    int rc = mp_parse(bytes, length, &report_limits, &doc, err);
    if (rc != 0) {
        return rc;
    }
    uint64_t version;
    bool versioned = mp_u64(mp_at(&doc.root, 0), &version) && version > 0;
    if (versioned && version > REPORT_VERSION) {
        rc = err_set(err, ERR_UNSUPPORTED, "report of a run of version %llu",
                     (unsigned long long)version);
    } else if (!versioned || mp_array(&doc.root, REPORT_FIELDS) == NULL ||
               !read_fields(&doc.root, ret)) {
        rc = err_set(err, ERR_PROTO, "malformed report of a run");
    }
    mp_doc_deinit(&doc);
    return rc;
}
