/* The insides of a placement, for placement*.c only. */
#ifndef UNDERSTUDY_CONSENSUS_PLACEMENT_INTERNAL_H
#define UNDERSTUDY_CONSENSUS_PLACEMENT_INTERNAL_H

#include "consensus/placement_scene.h"

#define PLACEMENT_NOTES_MAX 256 /* the oldest are forgotten */

struct placement_noted_move {
    uint64_t duty; /* hash of its id; 0: none */
    int64_t at_ms;
    enum placement_reason reason;
    bool nowhere;
};

struct placement_pressed {
    uint64_t raft_id;
    int64_t since_ms;
};

struct placement {
    struct placement_config config;
    int64_t worth_since_ms; /* some move is worth it since; -1: none is */
    int64_t sent_away_ms;   /* the last time for load alone; -1: never */
    size_t note_next;
    struct placement_noted_move notes[PLACEMENT_NOTES_MAX];
    size_t pressed_count;
    struct placement_pressed pressed[NODES_MAX];
    struct scene scene;
};

/* Which nodes are under pressure now, by position. */
uint64_t placement_look_at_loads(struct placement *self, int64_t now_ms,
                                 const struct placement_world *world);

/* It was sent away less than `patience` ago, and is not to be placed again yet. */
bool placement_is_away(const struct placement *self, int64_t now_ms, const struct scene_duty *duty);

/* Why the node may not have the duty, room and pressure left aside; PLACEMENT_CAN: it may. */
enum placement_refusal placement_refuses(const struct placement_node *node,
                                         const struct placement_duty *duty);

/* The best node for a duty that stands well where it is, and by how much it is better. False: it
 * may not be moved for a gain. */
bool placement_gain(struct placement *self, int64_t now_ms, struct scene_duty *duty,
                    size_t *ret_node, int64_t *ret_gain);

#endif
