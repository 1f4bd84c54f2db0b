/* What is known of one home over time, beside its primaries: its rows, its daemon, and what an
 * earlier daemon left behind. */
#ifndef UNDERSTUDY_MANAGERS_PM2_DETECT_H
#define UNDERSTUDY_MANAGERS_PM2_DETECT_H

#include "managers/pm2/watch/census.h"
#include "managers/pm2/watch/excess.h"

#define DETECT_ORPHANS_MAX 32
#define DETECT_DAEMONS_MAX 4
#define DETECT_LOST_MS 1500 /* `pm2 kill` takes its sockets away after its end */
#define DETECT_DAEMON_OVER_MS 30000
#define DETECT_LASTS_MS 7500               /* longer than from one sample to the next */
#define DETECT_GROWTH_MS INT64_C(21600000) /* a daemon that reaches its limit within this is told */

struct orphan {
    int64_t pid;
    char name[NAME_SIZE];
    int64_t since_ms; /* seen since */
};

struct detect {
    struct census census;
    int64_t heard_since_ms; /* of the bus, at the list before */
    /* The daemon. */
    int64_t lost_since_ms; /* 0: it is up */
    int64_t memory_bytes;  /* -1 unknown */
    char state;            /* of its process, as proc(5) has it; 0 unknown */
    struct excess memory;
    struct growth growth;
    int64_t daemons[DETECT_DAEMONS_MAX]; /* others of this home */
    size_t daemon_count;
    struct orphan orphans[DETECT_ORPHANS_MAX];
    size_t orphan_count;
    /* The latest full verification. */
    bool verifying;      /* the next list is one */
    int64_t verified_ms; /* 0: none yet */
    unsigned verified;   /* primaries that were held against the kernel */
    unsigned mistaken;   /* whose process is not one of this daemon's */
};

#endif
