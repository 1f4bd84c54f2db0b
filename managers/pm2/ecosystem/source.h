/* Reads an ecosystem file of any name: strict JSON by itself, everything else through node. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_SOURCE_H
#define UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_SOURCE_H

#include "managers/pm2/ecosystem/report.h"
#include "managers/pm2/ecosystem/world.h"
#include "node/base/err.h"

#include <jansson.h>
#include <stdint.h>

#define SOURCE_BYTES_MAX (1u << 20)

/* What PM2 takes a file for, by its name alone. */
enum source_kind { SOURCE_JSON, SOURCE_YAML, SOURCE_JS, SOURCE_SCRIPT };
enum source_kind source_kind_of(const char *name);

struct source_request {
    const char *file;     /* absolute */
    const char *name;     /* as the person wrote it */
    const char *env_name; /* or NULL */
    int64_t time_ms;      /* for node */
    const struct world *world;
};

struct source {
    json_t *exported;      /* NULL: nothing could be read; a finding says why */
    const char *way;       /* "json", "expression", "yaml", "require", ...; NULL */
    struct places *places; /* of strict JSON, else NULL */
    json_t *frozen;        /* paths of objects that cannot be changed, or NULL */
    bool unseen;           /* PM2 itself does not get to what was read; a finding says why */
};

/* 0 with *ret set (source_deinit ends it), whatever is wrong with the file: that goes to `report`.
 * ERR_NOTFOUND: there is no such file. ERR_NOMEM, ERR_IO. */
int source_load(const struct source_request *request, struct report *report, struct source *ret,
                struct err *err);
void source_deinit(struct source *self);

#endif
