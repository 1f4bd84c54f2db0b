#include "tests/unit/managers/section.h"

#include "node/base/doc.h"
#include "node/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void init_take(struct section *self, json_t *section)
{
    struct err err = {0};
    assert_non_null(section);
    mp_writer_init(&self->writer, MANAGER_DOCUMENT_BYTES_MAX);
    if (doc_to_msgpack(section, &self->writer, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    json_decref(section);
    self->document = (struct manager_document){.data = self->writer.buffer.data,
                                               .length = self->writer.buffer.length};
}

void section_init_json(struct section *self, const char *json)
{
    init_take(self, json_loads(json, 0, NULL));
}

static int load(const char *yaml, struct config **ret, struct config_errors *ret_errors)
{
    struct config_sources sources = {.file = "x.yml", .text = yaml, .text_length = strlen(yaml)};
    return config_load(&sources, ret, ret_errors);
}

void section_init_yaml(struct section *self, const char *manager, const char *yaml)
{
    struct config *config = NULL;
    struct config_errors errors;
    if (load(yaml, &config, &errors) != 0) {
        fail_msg("%s: %s in %s", errors.items[0].where, errors.items[0].message, yaml);
    }
    init_take(self, config_manager_document(config, manager));
    config_destroy(&config);
}

void section_deinit(struct section *self)
{
    mp_writer_deinit(&self->writer);
}

struct schedules *section_schedules(const struct section *self,
                                    const struct schedules_source *source)
{
    struct schedules *ret = NULL;
    struct err err = {0};
    if (schedules_read(&self->document, source, &ret, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    return ret;
}

void section_refuse(const char *yaml, unsigned line, unsigned column, const char *part)
{
    struct config *config = NULL;
    struct config_errors errors;
    if (load(yaml, &config, &errors) == 0) {
        config_destroy(&config);
        fail_msg("accepted: %s", yaml);
    }
    const struct config_error *error = &errors.items[0];
    if (error->line != line || error->column != column || strstr(error->message, part) == NULL) {
        fail_msg("%u:%u %s, of %s", error->line, error->column, error->message, yaml);
    }
}

void section_distrust(const struct schedules_source *source, const char *section,
                      const char *const json[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct section self;
        struct err err = {0};
        struct schedules *schedules = NULL;
        section_init_json(&self, json[i]);
        assert_int_equal(schedules_read(&self.document, source, &schedules, &err), ERR_INVALID);
        assert_non_null(strstr(err.msg, section));
        assert_null(schedules);
        section_deinit(&self);
    }
}
