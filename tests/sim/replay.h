/* Replays the decision log of a real node (debug.record) through the same engine, over a storage in
 * memory, and compares what it does at each step. */
#ifndef UNDERSTUDY_TESTS_SIM_REPLAY_H
#define UNDERSTUDY_TESTS_SIM_REPLAY_H

#include "consensus/consensus.h"

#include <stdbool.h>
#include <stddef.h>

/* The files of one life in their order: the first has the start. Prints the decisions; with
 * `verbose` every call too. A file that only goes on is shown, not checked.
 * Rules in `off` are switched off: then it should differ.
 * 0: all agrees; 1: something differs (the first difference is named); 2: damaged or unreadable. */
int replay_run(const char *const *paths, size_t count, const struct consensus_switches *off,
               bool verbose);

#endif
