/* The node that is fuzzed: n1, which knows n2 and n3 and has n4 for a seed. An input is a row of
 * parts with SUBJECT_SEPARATOR between them, each one event:
 *
 *     control byte   bits 0-1: the authenticated sender, n2, n3, n4 or n1 itself;
 *                    bits 2-7: how long before, in steps of 50 ms
 *     message        a single byte is no message but another event, see subject.c */
#ifndef UNDERSTUDY_TESTS_FUZZ_GOSSIP_SUBJECT_H
#define UNDERSTUDY_TESTS_FUZZ_GOSSIP_SUBJECT_H

#include "gossip/gossip.h"

#define SUBJECT_SEPARATOR "\xff\xfe\xfd\xfc"
#define SUBJECT_SEPARATOR_BYTES 4
#define SUBJECT_STEP_MS 50
#define SUBJECT_START_MS 1000000

struct subject {
    struct gossip *gossip;
    int64_t now_ms;
    void (*on_send)(void *context, const struct gossip_action *action); /* may be NULL */
    void *context;
};

/* Of any node of the cluster: "n1" to "n4". */
struct gossip *subject_make_node(const char *name);

void subject_begin(struct subject *self);
void subject_end(struct subject *self);

/* Let so many steps pass, ticking. */
void subject_pass(struct subject *self, unsigned steps);

/* One part of an input. */
void subject_take(struct subject *self, const uint8_t *part, size_t size);

#endif
