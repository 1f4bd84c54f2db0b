/* YAML out: block maps, everything else in JSON's form, so that any YAML reader reads it back. */
#ifndef UNDERSTUDY_NODE_CONFIG_EMIT_H
#define UNDERSTUDY_NODE_CONFIG_EMIT_H

#include "node/config/yaml.h"

/* A new string (the caller frees), or NULL when out of memory. `root` may be NULL. */
char *emit_yaml(const struct yaml_node *root);

#endif
