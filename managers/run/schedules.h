/* The schedules in a manager's section of the configuration, as the node hands it over: durations
 * end in _ms, sizes in _bytes. Pure. */
#ifndef UNDERSTUDY_MANAGERS_RUN_SCHEDULES_H
#define UNDERSTUDY_MANAGERS_RUN_SCHEDULES_H

#include "managers/common/protocol.h"
#include "managers/run/record.h"

#include <jansson.h>

#define SCHEDULES_MAX 512
#define SCHEDULES_KEEP 20 /* outputs of a schedule that is configured no more */

/* Where a manager's schedules stand, and what they run. */
struct schedules_source {
    const char *prefix; /* the manager's name and "/": of the ids of schedules, runs, duties */
    const char *list;   /* key of the list in the section */
    const char *mode;   /* only the elements whose `mode` is this; NULL: every one */
    bool scripts;       /* script, interpreter and args; else the command `run` */
};

struct schedule {
    char name[NAME_SIZE];
    char id[MANAGER_SCHEDULE_ID_SIZE]; /* "run/NAME" */
    struct manager_schedule is;        /* what the leader decides by; digest among it */
    struct record_limits limits;       /* what is kept to here */
    size_t on_count;
    char on[MANAGER_PLACES_MAX][NAME_SIZE];
    size_t avoid_count; /* of nodes that rather do not run it: schedules_avoid */
    char avoid[MANAGER_PLACES_MAX][NAME_SIZE];
    size_t label_count;
    char labels[MANAGER_LABELS_MAX][NAME_SIZE]; /* "key=value" that its node must have */
    int64_t memory_bytes;                       /* limit of a run's processes together; 0: none */
    bool shell;                                 /* run is one text for /bin/sh -c */
    /* Borrowed from the section. */
    const json_t *run;       /* array of texts, at least one; NULL: a script */
    const char *script;      /* NULL: a command */
    const char *interpreter; /* of the script; NULL: by its name */
    const json_t *args;      /* of the script: NULL or an array of texts */
    const char *cwd;         /* NULL: not given */
    json_t *env;             /* NULL or an object of texts */
    const char *env_file;
};

struct schedules {
    const struct schedules_source *source;
    json_t *section;  /* keeps what is borrowed */
    uint64_t edition; /* of all that is told of them */
    size_t count;
    struct schedule *rows;
};

/* From a msgpack map. `source` outlives what comes back. *ret is ended with schedules_destroy.
 * ERR_INVALID names schedule and key. */
int schedules_read(const struct manager_document *section, const struct schedules_source *source,
                   struct schedules **ret, struct err *err);
void schedules_destroy(struct schedules **self_p);

/* By its name without the prefix; NULL: not configured here. */
const struct schedule *schedules_find(const struct schedules *self, const char *name);

/* Nodes that row `index` rather does not run on, at most MANAGER_PLACES_MAX. True: they are others
 * than before, and so is the list's edition. */
bool schedules_avoid(struct schedules *self, size_t index, const char (*nodes)[NAME_SIZE],
                     size_t count);

/* The message about row `index`; index 0 of an empty list says that it is empty. The term is the
 * runtime's to fill in. */
void schedules_wanted(const struct schedules *self, size_t index,
                      struct manager_schedule_wanted *ret);

#endif
