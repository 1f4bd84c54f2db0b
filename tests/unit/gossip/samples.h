/* One good message of every type, made by the encoder: for the codec's tests and the fuzzer. */
#ifndef UNDERSTUDY_TESTS_UNIT_GOSSIP_SAMPLES_H
#define UNDERSTUDY_TESTS_UNIT_GOSSIP_SAMPLES_H

#include "gossip/wire.h"

#define SAMPLE_COUNT 9 /* types 1 to 9 */
#define SAMPLE_SENDER "n2"

/* Encode the sample of wire type index + 1 into *ret, which is ended by mp_writer_deinit. */
void sample_encode(size_t index, struct mp_writer *ret);

/* The two items that every sample but nack carries. */
struct gossip_wire_member sample_member(void);
struct gossip_wire_health sample_health(void);

#endif
