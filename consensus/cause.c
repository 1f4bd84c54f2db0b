/* Apart from the engine: what reads a saved state names causes and needs no Raft. */
#include "consensus/consensus.h"

const char *consensus_cause_name(enum consensus_cause cause)
{
    switch (cause) {
    case CONSENSUS_CAUSE_NONE:
        return "none";
    case CONSENSUS_CAUSE_START:
        return "start";
    case CONSENSUS_CAUSE_CRASH_EVIDENCE:
        return "crash_evidence";
    case CONSENSUS_CAUSE_OBITUARY:
        return "obituary";
    case CONSENSUS_CAUSE_TIMEOUT:
        return "timeout";
    case CONSENSUS_CAUSE_HEALTH:
        return "health";
    case CONSENSUS_CAUSE_DRAIN:
        return "drain";
    case CONSENSUS_CAUSE_TRANSFER:
        return "transfer";
    case CONSENSUS_CAUSE_GRAY:
        return "gray";
    }
    return "unknown";
}
