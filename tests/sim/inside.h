/* The simulator's looks into the engine: what a message of it says, and a reload without a cause.
 * The only file here that knows more of consensus/ than its public headers. */
#ifndef UNDERSTUDY_TESTS_SIM_INSIDE_H
#define UNDERSTUDY_TESTS_SIM_INSIDE_H

#include "consensus/consensus.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum inside_type {
    INSIDE_UNKNOWN,
    INSIDE_APPEND,
    INSIDE_APPENDED,
    INSIDE_VOTE,
    INSIDE_VOTED,
    INSIDE_SNAPSHOT,
    INSIDE_TIMEOUT_NOW,
};

struct inside_message {
    enum inside_type type;
    uint64_t term;
    uint64_t previous;  /* append: index before the entries */
    uint64_t entries;   /* append: how many */
    uint64_t last;      /* appended, vote: last index */
    uint64_t last_term; /* vote */
    bool rejected;      /* appended */
    bool granted;       /* voted */
    bool pre_vote;
    bool disrupts;
    int64_t echo_ms; /* appended */
};

/* False when the bytes are no message of the engine. */
bool inside_read(const uint8_t *bytes, size_t length, uint64_t from, struct inside_message *ret);

/* One line for the trace. */
void inside_text(const struct inside_message *message, char *ret, size_t size);

/* The next event makes a fresh instance from disk, as RG5 would. */
void inside_want_reload(struct consensus *engine);

#endif
