/* A manager's section of the configuration, as the manager gets it; and what of it is refused, by
 * the node with its place, or by the manager. */
#ifndef UNDERSTUDY_TESTS_UNIT_MANAGERS_SECTION_H
#define UNDERSTUDY_TESTS_UNIT_MANAGERS_SECTION_H

#include "managers/common/protocol.h"
#include "managers/run/schedules.h"
#include "node/base/mp.h"

struct section {
    struct mp_writer writer;
    struct manager_document document; /* in the writer's buffer */
};

/* Written as JSON, without a check. */
void section_init_json(struct section *self, const char *json);
/* Written as YAML in a node's file, after the node's own check, which it must pass. */
void section_init_yaml(struct section *self, const char *manager, const char *yaml);
void section_deinit(struct section *self);

/* The schedules in it, the caller's; they must be good. */
struct schedules *section_schedules(const struct section *self,
                                    const struct schedules_source *source);

/* The node must refuse the file: its first error stands at line:column and contains `part`. */
void section_refuse(const char *yaml, unsigned line, unsigned column, const char *part);

/* The manager must refuse the schedules of each of these sections (JSON), and name `section`. */
void section_distrust(const struct schedules_source *source, const char *section,
                      const char *const json[], size_t count);

#endif
