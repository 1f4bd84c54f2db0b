/* The section managers.run of the configuration, as the node hands it over: durations end in _ms,
 * sizes in _bytes. Pure. */
#ifndef UNDERSTUDY_MANAGERS_RUN_SCHEDULES_H
#define UNDERSTUDY_MANAGERS_RUN_SCHEDULES_H

#include "managers/common/protocol.h"
#include "managers/run/record.h"

#include <jansson.h>

#define SCHEDULES_MAX 512
#define SCHEDULES_KEEP 20 /* outputs of a schedule that is configured no more */

struct schedule {
    char name[NAME_SIZE];
    char id[MANAGER_SCHEDULE_ID_SIZE]; /* "run/NAME" */
    struct manager_schedule is;        /* what the leader decides by; digest among it */
    struct record_limits limits;       /* what is kept to here */
    size_t on_count;
    char on[MANAGER_PLACES_MAX][NAME_SIZE];
    bool shell; /* run is one text for /bin/sh -c */
    /* Borrowed from the section. */
    const json_t *run; /* array of texts, at least one */
    const char *cwd;   /* NULL: not given */
    json_t *env;       /* NULL or an object of texts */
    const char *env_file;
};

struct schedules {
    json_t *section;  /* keeps what is borrowed */
    uint64_t edition; /* of all that is told of them */
    size_t count;
    struct schedule *rows;
};

/* From a msgpack map. *ret is ended with schedules_destroy. ERR_INVALID names schedule and key. */
int schedules_read(const struct manager_document *section, struct schedules **ret, struct err *err);
void schedules_destroy(struct schedules **self_p);

/* By its name without "run/"; NULL: not configured here. */
const struct schedule *schedules_find(const struct schedules *self, const char *name);

/* The message about row `index`; index 0 of an empty list says that it is empty. The term is the
 * runtime's to fill in. */
void schedules_wanted(const struct schedules *self, size_t index,
                      struct manager_schedule_wanted *ret);

#endif
