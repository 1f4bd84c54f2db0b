/* What is measured of a simulated cluster of gossip nodes, all in virtual time: load on the machine
 * changes no figure. */
#ifndef UNDERSTUDY_TESTS_BENCH_GOSSIP_SCALE_H
#define UNDERSTUDY_TESTS_BENCH_GOSSIP_SCALE_H

#include "gossip/gossip.h"

#include <stddef.h>
#include <stdint.h>

struct scale_case {
    const char *profile;
    size_t nodes; /* 3 and more */
    uint64_t seed;
    unsigned loss_percent; /* of every message */
    unsigned slow_percent; /* of the nodes */
    int64_t late_max_ms;   /* the loop of a slow node runs at random so rarely, or ... */
    int64_t pause_max_ms;  /* ... it freezes for a second up to this, again and again */
    struct gossip_switches off;
};

/* A cluster at rest, with health records as in production. Bytes are those of the payload. */
struct scale_cost {
    double bytes;    /* sent, per node and second */
    double messages; /* the same */
    double largest;  /* bytes per second of the node that sends most */
    double seconds;  /* of virtual time */
};
void scale_measure_cost(const struct scale_case *self, int64_t duration_ms, struct scale_cost *ret);

/* Times from a node's crash, each a median and the worst over all deaths. */
#define SCALE_DEATHS_MAX 64
struct scale_detection {
    size_t deaths;
    int64_t suspect_ms; /* one node suspects it */
    int64_t first_ms;   /* one node holds it dead */
    int64_t all_ms;     /* all do */
    int64_t all_worst_ms;
    size_t missed; /* deaths that not all knew after two minutes */
};
void scale_measure_detection(const struct scale_case *self, size_t deaths,
                             struct scale_detection *ret);

/* Nobody dies: every death is a false one. Deaths of the slow nodes count apart. */
struct scale_false {
    double node_periods; /* nodes times probe intervals */
    uint64_t burials;    /* healthy nodes held dead by somebody, each time counted once */
    uint64_t views;      /* the same, counted at each node that held it */
    uint64_t slow_views; /* slow nodes, at each node that held it dead */
    uint64_t suspicions; /* one for each that began one itself or took it over */
    double bytes;        /* per node and second */
};
void scale_measure_false(const struct scale_case *self, double node_periods,
                         struct scale_false *ret);

#endif
