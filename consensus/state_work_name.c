#include "consensus/state_work.h"

const char *run_outcome_name(enum run_outcome outcome)
{
    switch (outcome) {
    case RUN_UNDER_WAY:
        return "under_way";
    case RUN_RAN:
        return "ran";
    case RUN_FAILED:
        return "failed";
    case RUN_SKIPPED:
        return "skipped";
    case RUN_MISSED:
        return "missed";
    case RUN_UNKNOWN:
        break;
    }
    return "unknown";
}

const char *run_reason_name(enum run_reason reason)
{
    switch (reason) {
#define RUN_REASON_CASE(symbol, value, name) \
    case symbol:                             \
        return name;
        RUN_REASON_MAP(RUN_REASON_CASE)
#undef RUN_REASON_CASE
    }
    return "unknown";
}

const char *intent_state_name(enum intent_state state)
{
    switch (state) {
    case INTENT_OPEN:
        return "open";
    case INTENT_DONE:
        return "done";
    case INTENT_PARKED:
        return "parked";
    }
    return "unknown";
}

const char *intent_verdict_name(enum intent_verdict verdict)
{
    switch (verdict) {
    case INTENT_HAPPENED:
        return "happened";
    case INTENT_REFUSED:
        return "refused";
    case INTENT_SKIPPED:
        return "skipped";
    case INTENT_DROPPED:
        return "dropped";
    }
    return "unknown";
}

const char *intent_policy_name(enum intent_policy policy)
{
    switch (policy) {
    case INTENT_SKIP:
        return "skip";
    case INTENT_RETRY:
        return "retry";
    case INTENT_PARK:
        return "park";
    }
    return "unknown";
}

const char *recovery_phase_name(enum recovery_phase phase)
{
    switch (phase) {
    case RECOVERY_WELL:
        return "well";
    case RECOVERY_WAITING:
        return "waiting";
    case RECOVERY_ACTING:
        return "acting";
    case RECOVERY_ESCALATED:
        return "escalated";
    }
    return "unknown";
}

const char *alert_state_name(enum alert_state state)
{
    switch (state) {
    case ALERT_FIRING:
        return "firing";
    case ALERT_ACKED:
        return "acked";
    case ALERT_RESOLVED:
        return "resolved";
    }
    return "unknown";
}

const char *proven_by_name(enum proven_by by)
{
    switch (by) {
    case PROVEN_BY_RUN:
        return "run";
    }
    return "unknown";
}

const char *alert_severity_name(enum alert_severity severity)
{
    switch (severity) {
    case ALERT_INFO:
        return "info";
    case ALERT_WARNING:
        return "warning";
    case ALERT_CRITICAL:
        return "critical";
    }
    return "unknown";
}
