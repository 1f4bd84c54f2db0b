/* A function on a stack of its own, which can pause in the middle: how virtual time passes within a
 * call of the engine while a slow disk is at work. One runs at a time. */
#ifndef UNDERSTUDY_TESTS_SIM_FIBER_H
#define UNDERSTUDY_TESTS_SIM_FIBER_H

#include <stdbool.h>

struct fiber;

typedef void fiber_function(void *argument);

/* Made, not yet run. Never NULL. */
struct fiber *fiber_create(fiber_function *function, void *argument);
/* What its stack held is lost when it has not ended. */
void fiber_destroy(struct fiber **self_p);

/* Run until it pauses (false) or returns (true; then it is not run again). */
bool fiber_run(struct fiber *self);
/* From within: back to who called fiber_run(). */
void fiber_pause(struct fiber *self);

#endif
