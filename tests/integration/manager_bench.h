/* What the benches of single managers share. A bench stands in the place of a node: its manager
 * runs under a real supervision, guards find a real post, and the test waits while their loop runs.
 * Whatever goes wrong here fails the test. */
#ifndef UNDERSTUDY_TESTS_INTEGRATION_MANAGER_BENCH_H
#define UNDERSTUDY_TESTS_INTEGRATION_MANAGER_BENCH_H

#include "node/guard/post.h"
#include "node/supervise/supervise.h"

#include <czmq.h>
#include <jansson.h>

#define PATIENCE_MS 120000 /* for a busy machine */

struct bench; /* the one of that manager; the context of all callbacks */

/* Run the loop until the condition holds, looking every so often; `what` and `seen` are told when
 * it never does. */
void manager_bench_wait(zloop_t *loop, size_t every_ms, bool (*condition)(struct bench *bench),
                        struct bench *bench, const char *what, json_t *const *seen);

/* Both in that folder, and on that loop; the caller's to end. */
struct supervise *manager_bench_supervise(zloop_t *loop, const char *folder,
                                          const struct supervise_callbacks *callbacks,
                                          struct bench *bench);
struct post *manager_bench_post(zloop_t *loop, const char *folder,
                                const struct post_callbacks *callbacks, struct bench *bench,
                                int *ret_listen_fd);

/* Start the manager as this build made it, configured with `section_take`. */
void manager_bench_add(struct supervise *supervise, const char *manager, json_t *section_take,
                       bool shadow);
/* `args_take` may be NULL. */
void manager_bench_command(struct supervise *supervise, const char *manager, uint64_t id,
                           const char *verb, json_t *args_take);

/* The document as a manager gets it, in the writer, which is the caller's to end. */
struct manager_document manager_bench_pack(json_t *document_take, struct mp_writer *ret_writer);
/* What a manager said, in the place of the document that is there. */
void manager_bench_unpack(const uint8_t *bytes, size_t length, json_t **place);

#endif
