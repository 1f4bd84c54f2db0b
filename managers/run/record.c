#include "managers/run/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_VERSION 1

size_t record_write(const struct record *self, char ret[RECORD_SIZE])
{
    int length = snprintf(
        ret, RECORD_SIZE,
        "version %d\nassignment %" PRIu64 "\nterm %" PRIu64 "\nstarted_boot_ms %" PRId64
        "\nstarted_wall_ms %" PRId64 "\nprogress_ms %" PRId64 "\nfinish_ms %" PRId64
        "\nmin_runtime_ms %" PRId64 "\noutput_bytes %" PRId64 "\nkeep %" PRId64
        "\nkill_timeout_ms %" PRId64 "\n",
        RECORD_VERSION, self->assignment, self->term, self->started_boot_ms, self->started_wall_ms,
        self->limits.progress_ms, self->limits.finish_ms, self->limits.min_runtime_ms,
        self->limits.output_bytes, self->limits.keep, self->limits.kill_timeout_ms);
    size_t used = (size_t)length;
    if (self->ended) {
        length = snprintf(
            ret + used, RECORD_SIZE - used,
            "ended 1\noutcome %d\nreason %d\nexit_status %d\nended_wall_ms %" PRId64 "\n",
            (int)self->outcome, (int)self->reason, (int)self->exit_status, self->ended_wall_ms);
        used += (size_t)length;
    }
    length = snprintf(ret + used, RECORD_SIZE - used, "whole 1\n");
    return used + (size_t)length;
}

struct raw {
    int64_t version, assignment, term, started_boot_ms, started_wall_ms;
    int64_t progress_ms, finish_ms, min_runtime_ms, output_bytes, keep, kill_timeout_ms;
    int64_t ended, outcome, reason, exit_status, ended_wall_ms, whole;
};

/* One line "key value" into the field of that name. */
static bool take_line(struct raw *raw, const char *line, size_t length)
{
    const struct {
        const char *key;
        int64_t *value;
    } fields[] = {
        {"version", &raw->version},
        {"assignment", &raw->assignment},
        {"term", &raw->term},
        {"started_boot_ms", &raw->started_boot_ms},
        {"started_wall_ms", &raw->started_wall_ms},
        {"progress_ms", &raw->progress_ms},
        {"finish_ms", &raw->finish_ms},
        {"min_runtime_ms", &raw->min_runtime_ms},
        {"output_bytes", &raw->output_bytes},
        {"keep", &raw->keep},
        {"kill_timeout_ms", &raw->kill_timeout_ms},
        {"ended", &raw->ended},
        {"outcome", &raw->outcome},
        {"reason", &raw->reason},
        {"exit_status", &raw->exit_status},
        {"ended_wall_ms", &raw->ended_wall_ms},
        {"whole", &raw->whole},
    };
    size_t word = strcspn(line, " \n");
    if (word >= length) {
        return false;
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strlen(fields[i].key) == word && memcmp(fields[i].key, line, word) == 0) {
            char *end;
            errno = 0;
            *fields[i].value = strtoll(line + word + 1, &end, 10);
            return errno == 0 && end == line + length;
        }
    }
    return true;
}

static bool is_sound(const struct raw *raw)
{
    bool limits = raw->progress_ms >= 0 && raw->finish_ms >= 0 && raw->min_runtime_ms >= 0 &&
                  raw->output_bytes >= RECORD_OUTPUT_MIN &&
                  raw->output_bytes <= RECORD_OUTPUT_MAX && raw->keep > 0 &&
                  raw->kill_timeout_ms >= 0 && raw->kill_timeout_ms <= RECORD_KILL_TIMEOUT_MAX_MS;
    bool end = raw->ended == 0 ||
               (raw->outcome >= 0 && raw->outcome <= UINT8_MAX && raw->reason >= 0 &&
                raw->reason <= UINT8_MAX &&
                strcmp(manager_outcome_name((enum manager_outcome)raw->outcome), "?") != 0 &&
                strcmp(manager_run_reason_name((enum manager_run_reason)raw->reason), "?") != 0 &&
                raw->exit_status >= MANAGER_EXIT_UNKNOWN && raw->exit_status < MANAGER_EXIT_END);
    return raw->version >= RECORD_VERSION && raw->whole == 1 && raw->assignment >= 0 &&
           raw->term >= 0 && limits && end;
}

bool record_read(const char *text, struct record *ret)
{
    struct raw raw = {.kill_timeout_ms = RECORD_KILL_TIMEOUT_MS}; /* of an earlier version */
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        if (text[length] != '\n' || !take_line(&raw, text, length)) {
            return false;
        }
        text += length + 1;
    }
    if (!is_sound(&raw)) {
        return false;
    }
    *ret = (struct record){
        .assignment = (uint64_t)raw.assignment,
        .term = (uint64_t)raw.term,
        .started_boot_ms = raw.started_boot_ms,
        .started_wall_ms = raw.started_wall_ms,
        .limits = {.progress_ms = raw.progress_ms,
                   .finish_ms = raw.finish_ms,
                   .min_runtime_ms = raw.min_runtime_ms,
                   .output_bytes = raw.output_bytes,
                   .keep = raw.keep,
                   .kill_timeout_ms = raw.kill_timeout_ms},
        .ended = raw.ended != 0,
        .outcome = (enum manager_outcome)raw.outcome,
        .reason = (enum manager_run_reason)raw.reason,
        .exit_status = (int32_t)raw.exit_status,
        .ended_wall_ms = raw.ended_wall_ms,
    };
    return true;
}
