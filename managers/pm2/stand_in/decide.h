/* When a backup is wanted: the rules of safety.md, "A primary and its backup", as one pure
 * function over what every node's own manager says about the primary.
 *
 * A primary is down when its own node says so. It is unreachable when nobody knows: its node is
 * dead or cut off, or its manager has told nothing for a while; then the backup starts only after
 * `start_after`, or never (`wait`). Once wanted, a backup gives way when the primary has been well
 * for `settle`. */
#ifndef UNDERSTUDY_MANAGERS_PM2_DECIDE_H
#define UNDERSTUDY_MANAGERS_PM2_DECIDE_H

#include "managers/pm2/settings.h"

enum decide_primary_state {
    DECIDE_UP,
    DECIDE_DOWN,      /* its node says so */
    DECIDE_BETWEEN,   /* starting or being restarted: neither */
    DECIDE_ELSEWHERE, /* this node looked and does not have it */
    DECIDE_UNKNOWN,   /* nobody knows */
};

/* What is known about the primary on one node. */
struct decide_view {
    char node[NAME_SIZE];
    bool reachable; /* the node is alive and in the cluster */
    bool left;      /* it has left the cluster on purpose */
    enum decide_primary_state state;
    int64_t for_ms; /* how long so; for unknown: since anything was known of it */
    char reason[NAME_SIZE];
};

struct decide_rules {
    enum settings_mode mode;
    int64_t settle_ms;
    int64_t start_after_ms; /* -1: wait */
};

enum decide_wish {
    DECIDE_KEEP, /* nothing that would change what is */
    DECIDE_WANT,
    DECIDE_UNWANT,
};

/* wanted_now: the backup is wanted or runs at present. Views of nodes that cannot have the primary
 * are left out by the caller. *ret_reason is always written. */
enum decide_wish decide_backup(const struct decide_rules *rules, const struct decide_view *views,
                               size_t count, bool wanted_now, char ret_reason[REASON_SIZE]);

#endif
