/* The decision log (debug.record): everything that goes into this node's engine, and digests of
 * what it decides, in a ring of two files record-0.log and record-1.log, for `understudy-sim
 * --replay`. See consensus/recording.h for the format.
 *
 * Used by the consensus thread alone, which may write files. A file that cannot be written ends the
 * recording, never the node. A process begins with a new file; when that is full the other one goes
 * on, and then the two take turns. */
#ifndef UNDERSTUDY_NODE_DAEMON_RECORDER_H
#define UNDERSTUDY_NODE_DAEMON_RECORDER_H

#include "consensus/recording.h"

struct recorder;

/* `bytes_max` bounds each file (but for what the storage holds at the start). ERR_IO. */
int recorder_create(const char *dir, int64_t bytes_max, struct recorder **ret, struct err *err);
void recorder_destroy(struct recorder **self_p);

/* All below cope with NULL, which records nothing. */

/* Before consensus_create(&config, now_ms): write the start, and stand between the engine and its
 * interfaces. The recorder must outlive the engine. */
void recorder_begin(struct recorder *self, struct consensus_config *config, int64_t now_ms);
/* Before a call of the engine, and after it with its result. */
void recorder_event(struct recorder *self, const struct recording_event *event);
void recorder_code(struct recorder *self, int code);
/* Each notice that is taken; and when all are: what the calls did. */
void recorder_notice(struct recorder *self, const struct consensus_notice *notice);
void recorder_result(struct recorder *self, const struct consensus *engine);

#endif
