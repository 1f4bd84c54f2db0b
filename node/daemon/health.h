/* The node's health score: weighted components, each explained.
 *
 * score = the weighted mean of the components that are known, but never above 50 + value / 2 of any
 * of them: a full disk alone takes the node to 50, whatever else is well. What is not known counts
 * neither as healthy nor as ill, and is said. A number from the inject file is taken off at the
 * end. Pure. */
#ifndef UNDERSTUDY_NODE_DAEMON_HEALTH_H
#define UNDERSTUDY_NODE_DAEMON_HEALTH_H

#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name on the wire, weight */
#define HEALTH_COMPONENT_MAP(X)         \
    X(HEALTH_CPU, "cpu", 1.0)           \
    X(HEALTH_MEMORY, "memory", 2.0)     \
    X(HEALTH_IO, "io", 1.0)             \
    X(HEALTH_DISK, "disk", 2.0)         \
    X(HEALTH_FILES, "files", 1.0)       \
    X(HEALTH_LOOP, "loop", 2.0)         \
    X(HEALTH_STORAGE, "storage", 2.0)   \
    X(HEALTH_MANAGERS, "managers", 2.0) \
    X(HEALTH_PARENT, "parent", 0.5)

enum health_component_id {
#define HEALTH_ENUM(id, name, weight) id,
    HEALTH_COMPONENT_MAP(HEALTH_ENUM)
#undef HEALTH_ENUM
        HEALTH_COMPONENTS
};

struct health_component {
    bool known;
    double value;          /* 0..100 */
    char why[REASON_SIZE]; /* what was seen: "12.0 % of the disk free" */
};

/* What was measured; negative means not known. */
struct health_sample {
    int64_t taken_ms;
    double cpu_pressure;      /* percent of the last 10 s in which something waited (PSI some) */
    double memory_pressure;   /* the same; without PSI: percent of memory that is not available */
    double io_pressure;       /* the same */
    bool pressure_is_psi;     /* false: cpu is load per core x 100, memory as above, io unknown */
    double disk_free_percent; /* of the data folder's file system */
    int64_t disk_free_bytes;
    int64_t files_open;
    int64_t files_limit;
    int64_t loop_lag_ms;        /* worst of the last 10 s */
    int64_t storage_latency_us; /* worst of the last 10 s */
    int managers_expected;
    int managers_well;
    bool parent_alive;
    double injected; /* taken off the score */
};

struct health {
    struct health_component components[HEALTH_COMPONENTS];
    bool known; /* at least one component is */
    double score;
    double injected;
};

const char *health_component_name(enum health_component_id id);
double health_component_weight(enum health_component_id id);

void health_assess(const struct health_sample *sample, struct health *ret);

/* "healthy", "warning", "critical", or "unknown"; bounds of the contract: 80 and 50. */
const char *health_state_name(bool known, double score, double healthy_from);

#endif
