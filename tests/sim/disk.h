/* A node's disk: how long a call takes, and whether it fails. Faults set it, storage.c asks it. */
#ifndef UNDERSTUDY_TESTS_SIM_DISK_H
#define UNDERSTUDY_TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

struct node;

enum disk_failure { DISK_WELL, DISK_FULL, DISK_IO_ERROR };

struct disk {
    int64_t slow_until_us; /* true time; calls take up to slow_most_us before it */
    int64_t slow_most_us;
    int64_t stuck_us; /* the next call takes so long, once; 0: none */
    int64_t worst_us; /* of the calls since disk_take_worst_ms */
    int64_t failing_until_us;
    enum disk_failure failure;
};

/* A call may take time now. */
bool disk_takes_time(const struct node *node);
/* How long this call takes. */
int64_t disk_call_us(struct node *node);
/* The longest call since this was asked last: what a shell tells its engine. */
int64_t disk_take_worst_ms(struct node *node);
/* Whether a call fails now: a full disk only refuses to write. */
enum disk_failure disk_failure(const struct node *node, bool writes);
void disk_heal(struct node *node);

/* ---- faults: something happens to the disk of some node ---- */

struct world;
void disk_fault_slow(struct world *world);
void disk_fault_stuck(struct world *world);
void disk_fault_fails(struct world *world);

#endif
