/* One message of each kind, filled: for the round trip, and as seeds of the fuzzer. */
#ifndef UNDERSTUDY_TESTS_UNIT_ENGINE_WIRE_SAMPLES_H
#define UNDERSTUDY_TESTS_UNIT_ENGINE_WIRE_SAMPLES_H

#include "consensus/wire_raft.h"

#define WIRE_SAMPLE_COUNT 8
#define WIRE_SAMPLE_SENDER 42

/* Sample i as bytes in `writer`. */
void wire_sample(size_t i, struct mp_writer *writer);
/* Sample i as the library would hand it to send; end it with wire_sample_deinit. */
void wire_sample_message(size_t i, struct raft_message *ret, struct wire_extra *ret_extra);
void wire_sample_deinit(struct raft_message *message);

#endif
