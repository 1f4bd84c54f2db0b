/* The section managers.pm2 of the configuration, as the node hands it over: durations end in _ms,
 * sizes in _bytes. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_SETTINGS_H
#define UNDERSTUDY_MANAGERS_PM2_SETTINGS_H

#include "managers/common/protocol.h"
#include "managers/pm2/logs/policy.h"

#include <jansson.h>

#define SETTINGS_HOMES_MAX 8
#define SETTINGS_PRIMARIES_MAX 256
#define SETTINGS_BACKUPS_MAX 64
#define SETTINGS_PATTERNS_MAX 8 /* of one primary's log_errors */

#define SETTINGS_NO_PRIMARY SIZE_MAX

enum settings_mode { SETTINGS_STANDBY, SETTINGS_ALWAYS, SETTINGS_CRON };

struct settings_places {
    size_t count; /* 0: any node */
    char nodes[MANAGER_PLACES_MAX][NAME_SIZE];
};

/* What we run under our guard: a backup, or a guarded primary. */
struct settings_backup {
    char name[NAME_SIZE];
    char duty[DUTY_ID_SIZE]; /* "pm2/NAME" */
    char stands_in_for[NAME_SIZE];
    size_t primary; /* position of the one that it stands in for; SETTINGS_NO_PRIMARY */
    enum settings_mode mode;
    bool enhanced;
    int64_t settle_ms;
    int64_t start_after_ms; /* -1: wait, never start on a guess */
    int64_t memory_bytes;   /* 0: no limit */
    int64_t kill_timeout_ms;
    int64_t max_restarts;
    int64_t exp_backoff_ms;
    int64_t restart_delay_ms;
    int64_t start_within_ms; /* wanted and silent for longer: it counts as failed */
    int64_t retry_after_ms;  /* what was given up for another tier is tried again */
    int64_t priority;
    struct settings_places on;
    size_t label_count;
    char labels[MANAGER_LABELS_MAX][NAME_SIZE]; /* "key=value" that its node must have */
    char copy_of[NAME_SIZE]; /* with copies: the first one's name; empty: there is one */
    /* Borrowed from the section. */
    const char *script;
    const char *cwd;         /* NULL: not given */
    const char *interpreter; /* NULL: by the script's name */
    const json_t *args;      /* NULL or an array of texts */
    json_t *env;             /* NULL or an object of texts */
};

struct settings_primary {
    char name[NAME_SIZE];
    bool critical;
    bool mend;            /* brought back on its own host */
    int64_t memory_bytes; /* of all its instances with all their descendants; 0: no limit */
    int64_t cpu_percent;  /* the same, of one processor; 0: no limit */
    int64_t over_ms;      /* past a limit for so long */
    size_t pattern_count;
    const char *patterns[SETTINGS_PATTERNS_MAX]; /* of its log, borrowed from the section */
    struct settings_places on;
    bool tiered; /* more than one kind of process may do its work: they take turns */
    bool guarded;
    struct settings_backup own; /* guarded: as a duty of ours */
};

struct settings {
    json_t *section; /* keeps what is borrowed */
    int64_t poll_ms;
    bool mend;             /* primaries at all */
    bool revive;           /* bring dead daemons back */
    bool install;          /* PM2 from npm when it is missing */
    int64_t verify_ms;     /* between full verifications */
    int64_t loop_restarts; /* so many within loop_window_ms are a slow loop */
    int64_t loop_window_ms;
    int64_t daemon_memory_bytes; /* of PM2's own daemon */
    struct rotation_policy rotation;
    size_t home_count;
    char homes[SETTINGS_HOMES_MAX][MANAGER_PATH_SIZE];
    size_t primary_count;
    struct settings_primary primaries[SETTINGS_PRIMARIES_MAX];
    size_t backup_count;
    struct settings_backup backups[SETTINGS_BACKUPS_MAX];
};

/* From a msgpack map. `default_home` stands in when no home is configured. *ret is ended with
 * settings_destroy. ERR_INVALID names the key. */
int settings_read(const struct manager_document *section, const char *default_home,
                  struct settings **ret, struct err *err);
void settings_destroy(struct settings **self_p);

const struct settings_primary *settings_primary(const struct settings *self, const char *name);
/* A backup or a guarded primary. */
const struct settings_backup *settings_backup(const struct settings *self, const char *duty);
/* True when `node` may hold it. */
bool settings_on(const struct settings_places *places, const char *node);

#endif
