/* What a manager is given of a node's configuration, for its fuzzers and their seeds. */
#ifndef UNDERSTUDY_TESTS_FUZZ_MANAGERS_SECTION_H
#define UNDERSTUDY_TESTS_FUZZ_MANAGERS_SECTION_H

#include "node/base/mp.h"

/* The manager's section of that YAML, in the writer, which is the caller's to end. False, and no
 * writer: the node's own check refuses the file, or the section is too long for a manager. */
bool section_write(const char *yaml, size_t length, const char *manager,
                   struct mp_writer *ret_writer);

#endif
