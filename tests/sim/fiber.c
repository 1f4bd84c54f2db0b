#include "tests/sim/fiber.h"

#include "node/base/invariant.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK_BYTES (512u << 10)
#define SPARE_STACKS_MAX 8

struct fiber {
    ucontext_t inside;
    ucontext_t outside;
    fiber_function *function;
    void *argument;
    void *stack;
    bool ended;
    const void *outside_stack; /* for the address sanitizer, which follows the switches */
    size_t outside_size;
};

#ifdef __SANITIZE_ADDRESS__
#define LEAVE(save, stack, size) __sanitizer_start_switch_fiber((save), (stack), (size))
#define ARRIVE(save, stack, size) __sanitizer_finish_switch_fiber((save), (stack), (size))
#else
#define LEAVE(save, stack, size) (void)(save)
#define ARRIVE(save, stack, size) (void)(save)
#endif

/* makecontext() hands on ints only: a pointer travels in two of them. */
static void begin(unsigned high, unsigned low)
{
    union {
        uintptr_t number;
        struct fiber *fiber;
    } self = {.number = (uintptr_t)high << 32 | low};
    struct fiber *fiber = self.fiber;
    ARRIVE(NULL, &fiber->outside_stack, &fiber->outside_size);
    fiber->function(fiber->argument);
    fiber->ended = true;
    LEAVE(NULL, fiber->outside_stack, fiber->outside_size);
    (void)swapcontext(&fiber->inside, &fiber->outside);
}

/* Stacks are used again: a fresh one costs a fault for each of its pages. */
static void *spare_stacks[SPARE_STACKS_MAX];
static size_t spare_stack_count;

static void *take_stack(void)
{
    if (spare_stack_count > 0) {
        return spare_stacks[--spare_stack_count];
    }
    void *stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    invariant(stack != MAP_FAILED);
    return stack;
}

/* One that was left in the middle is marked as in use by the address sanitizer: it goes. */
static void give_stack(void *stack, bool clean)
{
    if (clean && spare_stack_count < SPARE_STACKS_MAX) {
        spare_stacks[spare_stack_count++] = stack;
    } else {
        (void)munmap(stack, STACK_BYTES);
    }
}

struct fiber *fiber_create(fiber_function *function, void *argument)
{
    struct fiber *self = calloc(1, sizeof *self);
    invariant(self != NULL);
    self->function = function;
    self->argument = argument;
    self->stack = take_stack();
    int code = getcontext(&self->inside);
    invariant(code == 0);
    self->inside.uc_stack.ss_sp = self->stack;
    self->inside.uc_stack.ss_size = STACK_BYTES;
    uintptr_t number = (uintptr_t)self;
    union {
        void (*with)(unsigned high, unsigned low);
        void (*without)(void);
    } entry = {.with = begin};
    makecontext(&self->inside, entry.without, 2, (unsigned)(number >> 32), (unsigned)number);
    return self;
}

void fiber_destroy(struct fiber **self_p)
{
    struct fiber *self = *self_p;
    if (self != NULL) {
        give_stack(self->stack, self->ended);
        free(self);
        *self_p = NULL;
    }
}

bool fiber_run(struct fiber *self)
{
    void *save = NULL;
    LEAVE(&save, self->stack, STACK_BYTES);
    (void)swapcontext(&self->outside, &self->inside);
    ARRIVE(save, NULL, NULL);
    return self->ended;
}

void fiber_pause(struct fiber *self)
{
    void *save = NULL;
    LEAVE(&save, self->outside_stack, self->outside_size);
    (void)swapcontext(&self->inside, &self->outside);
    ARRIVE(save, &self->outside_stack, &self->outside_size);
}
