/* Stands between an engine and its three interfaces, and digests what the engine does with them:
 * the same digests mean the same decisions. Used where a recording is made and where it is
 * replayed. Pure, but for what the interfaces behind it do. */
#ifndef UNDERSTUDY_CONSENSUS_RECORDING_WATCH_H
#define UNDERSTUDY_CONSENSUS_RECORDING_WATCH_H

#include "consensus/recording.h"

struct recording_watch {
    struct consensus_storage storage; /* behind it */
    struct consensus_transport transport;
    struct consensus_machine machine;
    uint64_t outputs; /* digest since the last recording_watch_take() */
    /* What the first load handed out, before the engine has it; may be NULL. */
    void (*loaded)(void *context, const struct consensus_stored *stored);
    void *loaded_context;
};

/* Put *self between the engine of `config` and the interfaces in it. `self` must outlive it. */
void recording_watch_wrap(struct recording_watch *self, struct consensus_config *config);

/* What else comes out: the result of a call, and each notice. */
void recording_watch_code(struct recording_watch *self, int code);
void recording_watch_notice(struct recording_watch *self, const struct consensus_notice *notice);

/* The digests as of now; the next ones begin. `now_ms` is that of the last event. */
struct recording_result recording_watch_take(struct recording_watch *self,
                                             const struct consensus *engine, int64_t now_ms);

/* Make the call that the event tells of; its result. */
int recording_perform(struct consensus *engine, const struct recording_event *event,
                      struct err *err);

#endif
