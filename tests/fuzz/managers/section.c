#include "tests/fuzz/managers/section.h"

#include "managers/common/protocol.h"
#include "node/base/doc.h"
#include "node/config/config.h"

bool section_write(const char *yaml, size_t length, const char *manager,
                   struct mp_writer *ret_writer)
{
    struct config *config = NULL;
    struct config_errors errors;
    struct config_sources sources = {.file = "fuzz", .text = yaml, .text_length = length};
    if (config_load(&sources, &config, &errors) != 0) {
        return false;
    }
    json_t *section = config_manager_document(config, manager);
    mp_writer_init(ret_writer, MANAGER_DOCUMENT_BYTES_MAX);
    bool written = doc_to_msgpack(section, ret_writer, NULL) == 0;
    if (!written) {
        mp_writer_deinit(ret_writer);
    }
    json_decref(section);
    config_destroy(&config);
    return written;
}
