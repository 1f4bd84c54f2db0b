/* Configuration of a node: read, checked and explained.
 *
 * One table (schema.c) names every key with its type, default, bounds and meaning; parsing,
 * defaults, `config show --origin` and the manual page follow from it.
 *
 * Precedence, strongest first: command line, environment (UNDERSTUDY_SECTION__KEY, then the older
 * variables of the documentation), file, cluster-wide settings of the replicated state, default.
 * Durations are written 250ms 3s 2m 6h 1d, sizes 300KB 10MB 1GB (powers of 1024; KiB and so on
 * mean the same).
 *
 * All errors of one load are reported together (at most CONFIG_ERRORS_MAX); each names file, line
 * and column, or the variable or option it came from. No value of a secret is ever stored: secrets
 * are named by `..._file` keys.
 *
 * A loaded configuration does not change; a reload makes a new one. Reading one from several
 * threads is safe, also its json_t trees as long as nobody changes their reference counts: hand
 * copies (json_deep_copy, or what the functions below return) to other threads. */
#ifndef UNDERSTUDY_NODE_CONFIG_CONFIG_H
#define UNDERSTUDY_NODE_CONFIG_CONFIG_H

#include "node/base/err.h"
#include "node/base/limits.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_BYTES_MAX (1 << 20) /* of one file */
#define CONFIG_DEPTH_MAX 16        /* nesting of one file */
#define CONFIG_VALUES_MAX 20000    /* nodes of one file, aliases expanded */
#define CONFIG_ERRORS_MAX 20       /* reported at once; the rest is counted */
#define CONFIG_PATH_SIZE 256       /* bytes of a path in the file system, with its NUL */
#define CONFIG_CLOCK_SIZE 64
#define CONFIG_KEY_SIZE 192 /* bytes of "managers.pm2.backups[worker].settle", with its NUL */
#define CONFIG_SOCKET_PATH_MAX 107 /* bytes of a socket's path without its NUL */
#define CONFIG_LABELS_MAX 32
#define CONFIG_LISTEN_MAX 4

enum config_profile { CONFIG_LOCAL, CONFIG_LAN, CONFIG_WAN };
enum config_log_level { CONFIG_LOG_ERROR, CONFIG_LOG_WARN, CONFIG_LOG_INFO, CONFIG_LOG_DEBUG };
enum config_log_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };
enum config_mode { CONFIG_ARMED, CONFIG_SHADOW };
enum config_disconnect { CONFIG_DISCONNECT_KEEP, CONFIG_DISCONNECT_STOP };

struct config_peer {
    char name[NAME_SIZE];
    char address[ADDRESS_SIZE]; /* tcp://host:port */
};

struct config_public_key {
    char name[NAME_SIZE];
    char public_key[PUBLIC_KEY_SIZE];
};

struct config_cluster {
    char name[NAME_SIZE];        /* default "understudy" */
    char environment[NAME_SIZE]; /* production | development | NAME; default production */
    char node[NAME_SIZE];        /* default: the host's name up to the first dot */
    char listen[ADDRESS_SIZE];   /* default tcp://0.0.0.0:7400 */
    /* default: the own entry in peers, else listen with the host's name in place of a wildcard */
    char advertise[ADDRESS_SIZE];
    /* The founding voters: 1, 3 or 5 (7 with voters: 7), in the file's order. A configuration that
     * names none founds a cluster of this node alone (peers then holds it with `advertise`). */
    struct config_peer peers[VOTERS_MAX];
    size_t peer_count;
    bool founding; /* this node is one of them; else it waits to be joined */
    /* Z85 by name of cluster.public_keys; nodes that are not named there: the keys folder rules */
    struct config_public_key public_keys[NODES_MAX];
    size_t public_key_count;
    enum config_profile profile;
    char keys[CONFIG_PATH_SIZE]; /* folder, default /etc/understudy/keys */
    unsigned voters;             /* 1, 3, 5 or 7; default 5 */
    int64_t heartbeat_ms;        /* the profile's, unless overridden; so are the next three */
    int64_t election_timeout_ms;
    int64_t lease_ms; /* 1.05 * lease + heartbeat <= election_timeout was checked */
    int64_t gossip_interval_ms;
};

struct config_control {
    char listen[ADDRESS_SIZE + CONFIG_PATH_SIZE]; /* ipc://..., default RUNTIME_DIR/control.sock */
    char listen_tcp[ADDRESS_SIZE];                /* tcp://host:port with CURVE, empty: none */
};

struct config_dashboard {
    bool enabled;
    char listen[CONFIG_LISTEN_MAX][ADDRESS_SIZE]; /* host:port */
    size_t listen_count;
    bool live;
};

struct config_health {
    double healthy_from;   /* 80 */
    double emergency_from; /* below it: emergency, 60 */
    int64_t manager_interval_ms;
    int64_t sample_interval_ms;
    char inject_file[CONFIG_PATH_SIZE]; /* a number taken off the score; empty: none */
};

struct config_leadership {
    double handover_below; /* 80 */
    double margin;         /* 10 */
    int64_t hold_ms;       /* 3 s */
    int64_t min_tenure_ms; /* 30 s */
};

struct config_placement {
    int64_t room; /* most duties of one node; 64 */
};

struct config_grants {
    int64_t ttl_ms;                       /* 5 s */
    int64_t renew_ms;                     /* 500 ms */
    enum config_disconnect on_disconnect; /* a guard whose node is gone; default keep */
    enum config_disconnect on_death; /* what the parent does when the node died; default stop */
};

struct config_log {
    char dir[CONFIG_PATH_SIZE]; /* empty: standard error */
    enum config_log_level level;
    enum config_log_format format;
    int64_t max_bytes;
    int64_t keep_days;
};

struct config_label {
    char name[NAME_SIZE];
    char value[NAME_SIZE];
};

struct config_manager {
    char name[NAME_SIZE];
    bool available; /* this version has the manager, or `program` names one */
    bool enabled;
    enum config_mode mode; /* shadow outside production unless set */
    int64_t poll_ms;
    int64_t failures;
    char program[CONFIG_PATH_SIZE]; /* empty: libexec/understudy-manager-NAME of this build */
};

struct config_details; /* every key with its value and origin */

struct config {
    char file[CONFIG_PATH_SIZE]; /* as given, or empty */
    struct config_cluster cluster;
    struct config_control control;
    struct config_dashboard dashboard;
    struct config_health health;
    struct config_leadership leadership;
    struct config_grants grants;
    struct config_placement placement;
    char data_dir[CONFIG_PATH_SIZE];    /* default /var/lib/understudy */
    char runtime_dir[CONFIG_PATH_SIZE]; /* default /run/understudy */
    struct config_log log;
    int64_t debug_record_bytes;          /* of each file of the decision log; 0: none */
    char debug_clock[CONFIG_CLOCK_SIZE]; /* for tests; empty: the real one */
    bool history_enabled;
    struct config_label labels[CONFIG_LABELS_MAX];
    size_t label_count;
    struct config_manager managers[MANAGERS_MAX]; /* those that the configuration speaks of */
    size_t manager_count;
    struct config_details *details;
};

struct config_setting {
    const char *key;   /* "cluster.node" */
    const char *value; /* YAML text: n1, 250ms, [a, b], {n1: tcp://...} */
    const char *name;  /* how to call the source in messages ("--node"), or NULL */
};

struct config_sources {
    const char *file;         /* path, or NULL for none */
    const char *text;         /* used as the file's content when not NULL (tests, control) */
    size_t text_length;       /* bytes of `text` */
    char *const *environment; /* "NAME=value", NULL-terminated, as environ; NULL: none */
    const struct config_setting *command_line;
    size_t command_line_count;
    const struct config_setting
        *cluster_wide; /* of the replicated state; overlaid under the file */
    size_t cluster_wide_count;
};

enum config_severity { CONFIG_ERROR, CONFIG_WARNING };

struct config_error {
    enum config_severity severity;
    char where[CONFIG_PATH_SIZE + 32]; /* "FILE:LINE:COL", "environment NAME" or "option NAME" */
    unsigned line;                     /* from 1; 0 when not from a file */
    unsigned column;                   /* from 1, in bytes */
    char key[CONFIG_KEY_SIZE];         /* dotted key, may be empty */
    char message[320];                 /* one line: what was seen, what was expected, a way out */
};

struct config_errors {
    struct config_error items[CONFIG_ERRORS_MAX];
    size_t count;    /* errors and warnings in items */
    size_t errors;   /* errors in all, those beyond the bound included */
    size_t warnings; /* likewise */
};

/* Read, merge and check. 0 and *ret (config_destroy ends it), with warnings in `errors`;
 * ERR_INVALID with at least one error in `errors`; ERR_IO when the file cannot be read; ERR_NOMEM.
 * `errors` is set in full and must not be NULL. Reads files; call it off the loop thread. */
int config_load(const struct config_sources *sources, struct config **ret,
                struct config_errors *errors);
void config_destroy(struct config **self_p);

/* config_load without keeping the result: 0 when it would load. */
int config_check(const struct config_sources *sources, struct config_errors *errors);

/* Each error on a line "WHERE: MESSAGE" (warnings say so) into a new string that the caller frees;
 * NULL when out of memory. */
char *config_errors_text(const struct config_errors *errors);

/* The configuration of manager `name` as a new JSON object (the caller decrefs), or NULL when out
 * of memory. Keys are those of the file, except that durations get `_ms` and sizes `_bytes` at
 * their end and are integers: {"enabled":true,"mode":"armed","poll_ms":5000,"homes":[...],
 * "primaries":[{"name":"worker","on":["n1"],"critical":true,"memory_bytes":314572800}],
 * "backups":[{"name":"worker-backup","stands_in_for":"worker","kill_timeout_ms":1600,
 * "exp_backoff_ms":100,"settle_ms":10000,"when_unreachable":{"start_after_ms":30000}, ...}]}.
 * Every default is filled in. `when_unreachable` is {"wait":true} when it says wait. A manager that
 * the configuration does not speak of gets its defaults. */
json_t *config_manager_document(const struct config *self, const char *name);

/* Whether the configuration speaks of the manager, and its common keys. NULL: it does not. */
const struct config_manager *config_manager_find(const struct config *self, const char *name);

/* `config show`: a new array (the caller decrefs) of objects with `key`, `value` (durations and
 * sizes as people write them), `origin` (command_line, environment, file, cluster, default),
 * `source` (option, variable or "FILE:LINE:COL", null for defaults) and `restart` (true when a
 * change needs a restart of the node). In the schema's order. NULL when out of memory. */
json_t *config_show_json(const struct config *self);

/* The same as text, one "key: value" a line, with "# origin" after it when asked. The caller
 * frees. Without origins the text is a configuration file that loads to the same values. */
char *config_show_text(const struct config *self, bool with_origin);

struct config_change {
    char key[CONFIG_KEY_SIZE];
    bool restart; /* the change needs a restart of the node */
};

/* Keys whose values differ, those that are new or gone too. *ret is an array of *ret_count changes
 * that the caller frees; NULL and 0 when nothing changed. 0 or ERR_NOMEM. */
int config_reload_diff(const struct config *before, const struct config *after,
                       struct config_change **ret, size_t *ret_count);

/* Merge two files: maps key by key, lists and scalars of `overlay` replace those of `base`. The
 * result is YAML in JSON's form, indented, and is written to the path `out` (mode 0644, by rename)
 * or, when `out` is NULL, handed over in *ret_text (the caller frees). Only syntax is checked
 * here; load the result to check its meaning. 0, ERR_IO, ERR_INVALID (with line and column),
 * ERR_NOMEM. */
int config_merge_files(const char *base, const char *overlay, const char *out, char **ret_text,
                       struct err *err);

/* One row of the schema, for the manual page and completion. */
struct config_key {
    const char *key;           /* "cluster.node"; NAME and [] stand for any name and any element */
    const char *type;          /* "duration", "text", "one of local, lan, wan", ... */
    const char *default_value; /* as written in a file, or NULL: none */
    const char *meaning;       /* one line */
    bool restart;
};

/* Row `index`, false past the last. */
bool config_key_at(size_t index, struct config_key *ret);

/* "250ms" and "1.5s" to milliseconds; a bare number only when `bare_is_ms`. "10MB" to bytes. False
 * for anything else, also past int64_t. */
bool config_parse_duration(const char *text, bool bare_is_ms, int64_t *ret_ms);
bool config_parse_size(const char *text, int64_t *ret_bytes);

/* The shortest text that reads back to the same value, into `ret` (at least 32 bytes). */
const char *config_format_duration(int64_t ms, char ret[32]);
const char *config_format_size(int64_t bytes, char ret[32]);

#endif
