/* The steps that one app goes through. Internal to normalise. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_PARTS_H
#define UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_PARTS_H

#include "managers/pm2/ecosystem/normalise.h"
#include "managers/pm2/ecosystem/schema.h"

struct app {
    const struct normalise_input *input;
    struct report *report;
    const json_t *deploy;  /* the file's section of that name, or NULL */
    const json_t *written; /* as exported */
    json_t *given;         /* a copy that the first steps change */
    json_t *made;          /* as PM2 keeps it */
    bool rejected;         /* PM2 starts nothing of the whole file */
    bool fails;            /* PM2 does not start this one */
};

/* ---- verify.c: what PM2 does before it looks at the schema ---- */
void app_verify(struct app *self);
/* A finding of severity error after which PM2 starts nothing of the file. */
void app_reject(struct app *self, const char *key, const char *expected, const char *what);
void app_fail(struct app *self, const char *key, const char *expected, const char *what);

/* ---- convert.c: by the schema, `given` to `made` ---- */
void app_convert(struct app *self);

/* ---- complete.c: paths, interpreter, mode, log files ---- */
void app_complete(struct app *self);

/* ---- environment.c ---- */
/* The file's own variables and those of --env into made.env. */
void app_environment(struct app *self);

const char *app_text(const json_t *object, const char *key); /* NULL: none, or no text */

#endif
