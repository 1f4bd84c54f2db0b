#include "managers/common/protocol.h"

const char *manager_kind_name(enum manager_kind kind)
{
    switch (kind) {
#define MANAGER_KIND_CASE(name, code, text) \
    case name:                              \
        return text;
        MANAGER_KIND_MAP(MANAGER_KIND_CASE)
#undef MANAGER_KIND_CASE
    }
    return "?";
}

const char *manager_level_name(enum manager_level level)
{
    switch (level) {
    case MANAGER_DEBUG:
        return "debug";
    case MANAGER_INFO:
        return "info";
    case MANAGER_WARN:
        return "warn";
    case MANAGER_ERROR:
        return "error";
    }
    return "?";
}

const char *manager_member_state_name(enum manager_member_state state)
{
    switch (state) {
    case MANAGER_ALIVE:
        return "alive";
    case MANAGER_SUSPECT:
        return "suspect";
    case MANAGER_DEAD:
        return "dead";
    case MANAGER_LEFT:
        return "left";
    }
    return "?";
}

const char *manager_intent_step_name(enum manager_intent_step step)
{
    switch (step) {
    case MANAGER_INTENT_STEP_WAIT:
        return "wait";
    case MANAGER_INTENT_STEP_PERFORM:
        return "perform";
    case MANAGER_INTENT_STEP_VERIFY:
        return "verify";
    case MANAGER_INTENT_STEP_CLOSED:
        return "closed";
    case MANAGER_INTENT_STEP_LEFT_OPEN:
        return "left_open";
    }
    return "?";
}

const char *manager_duty_phase_name(enum manager_duty_phase phase)
{
    switch (phase) {
    case MANAGER_DUTY_STARTING:
        return "starting";
    case MANAGER_DUTY_RUNNING:
        return "running";
    case MANAGER_DUTY_STOPPED:
        return "stopped";
    case MANAGER_DUTY_FAILED:
        return "failed";
    }
    return "?";
}

const char *manager_outcome_name(enum manager_outcome outcome)
{
    switch (outcome) {
    case MANAGER_OUTCOME_RAN:
        return "ran";
    case MANAGER_OUTCOME_FAILED:
        return "failed";
    case MANAGER_OUTCOME_UNKNOWN:
        return "unknown";
    }
    return "?";
}

const char *manager_run_reason_name(enum manager_run_reason reason)
{
    switch (reason) {
    case MANAGER_REASON_PAUSED:
        return "paused";
    case MANAGER_REASON_FINISH_DEADLINE:
        return "finish_deadline";
    case MANAGER_REASON_PROGRESS_DEADLINE:
        return "progress_deadline";
    case MANAGER_REASON_TOO_SHORT:
        return "too_short";
    case MANAGER_REASON_EXIT:
        return "exit";
    case MANAGER_REASON_SIGNAL:
        return "signal";
    case MANAGER_REASON_NOT_STARTED:
        return "not_started";
    case MANAGER_REASON_HOLDER_GONE:
        return "holder_gone";
    case MANAGER_REASON_CANCELLED:
        return "cancelled";
    case MANAGER_REASON_SHADOW:
        return "shadow";
    }
    return "?";
}
