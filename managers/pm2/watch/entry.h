/* Rows of PM2's own list, read with doubt: ids may be numbers or texts, a pid may be missing or
 * belong to a process that is long gone. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ENTRY_H
#define UNDERSTUDY_MANAGERS_PM2_ENTRY_H

#include "node/base/err.h"
#include "node/base/limits.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENTRIES_MAX 512 /* rows of one PM2 list; the rest is counted and told */

/* What marks an entry as made by us: this namespace and the duty in its environment. */
#define ENTRY_NAMESPACE "understudy"
#define ENTRY_DUTY_VARIABLE "UNDERSTUDY_DUTY"

enum entry_status {
    ENTRY_ONLINE,
    ENTRY_LAUNCHING,
    ENTRY_STOPPING,
    ENTRY_STOPPED,
    ENTRY_ERRORED,
    ENTRY_WAITING_RESTART,
    ENTRY_OTHER,
};
const char *entry_status_name(enum entry_status status);

struct entry {
    int64_t pm_id; /* -1: none that a request could name */
    char name[NAME_SIZE];
    enum entry_status status;
    int64_t pid; /* 0: none; believe it only together with the status */
    int64_t restarts;
    int64_t started_wall_ms; /* pm_uptime; 0 unknown */
    int64_t instance;        /* of several of one name; -1: it has no number */
    char group[32];          /* PM2's namespace, cut */
    int64_t listen_ms;       /* its own limits of time; 0: PM2's default */
    int64_t kill_ms;
    int64_t delay_ms;        /* before a restart */
    bool measured;           /* PM2 knows its memory */
    char unique_id[40];      /* one for each entry that was ever prepared; "" unknown */
    char duty[DUTY_ID_SIZE]; /* of ours, else empty */
};

struct entries {
    size_t count;
    size_t left_out;
    struct entry rows[ENTRIES_MAX];
};

/* `list` is the result of getMonitorData. ERR_PROTO when it is no array; rows without a name are
 * left out. */
int entries_read(const json_t *list, struct entries *ret, struct err *err);

/* Of a row's pm2_env, or of the "process" of an event, which is one: */
enum entry_status entry_status(const json_t *pm2_env);
/* True when PM2 starts it again after such an exit; after an exit code that says "stop", or without
 * autorestart, it does not. */
bool entry_restarts(const json_t *pm2_env);
/* A pm_id: a number, or a text that is one; else -1. */
int64_t entry_id(const json_t *value);

/* True when the pid of the row means a process: a row that waits for its restart keeps the old
 * one. */
bool entry_pid_counts(const struct entry *entry);

#endif
