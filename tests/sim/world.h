/* True time, the clocks of the hosts, the network and the queue of events. */
#ifndef UNDERSTUDY_TESTS_SIM_WORLD_H
#define UNDERSTUDY_TESTS_SIM_WORLD_H

#include "tests/sim/sim.h"

#define WORLD_WALL_START_S INT64_C(1700000000) /* 2023-11-14 22:13:20 UTC */

/* A world with its nodes made but not started. `verdict` is written at the end. */
struct world *world_create(const struct options *options, uint64_t seed, struct verdict *verdict,
                           bool tracing);
/* Frees what is not shared with the engines; their memory may be lost where a crash cut a call. */
void world_destroy(struct world **self_p);

/* Handle events until true time `until_us`. */
void world_run(struct world *self, int64_t until_us);

/* As world_run, until `condition` holds: true, or false when `until_us` came first. */
typedef bool condition_function(struct world *world, void *context);
bool world_run_until(struct world *self, int64_t until_us, condition_function *condition,
                     void *context);

void world_schedule(struct world *self, int64_t at_us, enum event_kind kind, int node,
                    int64_t argument);

/* With a message that belongs to the event; takes it. */
void world_schedule_message(struct world *self, int64_t at_us, enum event_kind kind, int node,
                            struct message *message);

/* Uniform in [low, high]; true in `percent` of 100. */
int64_t world_between(struct world *self, int64_t low, int64_t high);
bool world_percent(struct world *self, int64_t percent);

struct node *world_node_of_id(struct world *self, uint64_t id); /* NULL: nobody any more */
/* Index of the node that has or had the id, or SIM_NONE. */
int world_index_of_id(const struct world *self, uint64_t id);

/* What the host's clock shows, and the first true time at which it shows `local_ms`. */
int64_t node_now_ms(const struct node *node);
int64_t node_true_us(const struct node *node, int64_t local_ms);

/* Its wall clock: only for what commands carry; no decision is made by it but one (leading.c), and
 * gossip and consensus take no wall time at all. */
int64_t node_wall_ms(const struct node *node);
/* What it ought to show. */
int64_t world_wall_ms(const struct world *world);

void network_send(struct world *self, uint64_t from, uint64_t to, enum message_kind kind,
                  const uint8_t *bytes, size_t length);
/* Send the held messages from one node to another (each SIM_NONE: any) on their way. */
void network_release(struct world *self, int from, int to, int64_t delay_us);
size_t network_held(const struct world *self);
/* Forget the held messages. */
void network_forget(struct world *self);
void network_join_all(struct world *self);
void network_cut(struct world *self, int from, int to); /* one way */
void network_isolate(struct world *self, int node);

/* One line to the trace; nothing is formatted unless somebody reads it. */
#define TRACE(world, ...) ((world)->tracing ? trace_line((world), __VA_ARGS__) : (void)0)
void trace_line(const struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
