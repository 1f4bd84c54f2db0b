/* Which variables of an environment can be shown. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_HARMLESS_H
#define UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_HARMLESS_H

#include <jansson.h>
#include <stdbool.h>

/* True when neither name nor value can be a secret: a truth value, a small number, a path, or a
 * word that many know ("production"), under a name that speaks of no secret. */
bool harmless(const char *name, const json_t *value);

/* False when an argument, or a command line, speaks of a secret. */
bool harmless_argument(const char *text);

/* Takes the values out of env and of the sections env_NAME of an app; `hidden` of the app becomes
 * the list of them, "env/NAME". */
void harmless_hide(json_t *app);

#endif
