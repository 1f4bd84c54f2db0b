/* The queue between threads: order, bounds, what may be dropped, and its descriptor. */
#include "node/base/err.h"
#include "node/base/queue.h"
#include "node/base/thread.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define WRITERS 4
#define EACH 5000

struct item {
    int writer;
    int number;
};

static int freed;

static void free_item(void *item)
{
    freed++;
    free(item);
}

static struct item *make(int writer, int number)
{
    struct item *ret = malloc(sizeof *ret);
    assert_non_null(ret);
    *ret = (struct item){.writer = writer, .number = number};
    return ret;
}

static void push(struct queue *queue, enum queue_class item_class, int number)
{
    assert_int_equal(queue_push(queue, item_class, make(0, number)), 0);
}

static void expect(struct queue *queue, int number)
{
    struct item *item = queue_pop(queue);
    assert_non_null(item);
    assert_int_equal(item->number, number);
    free(item);
}

static bool readable(struct queue *queue)
{
    struct pollfd fd = {.fd = queue_fd(queue), .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

static void items_leave_in_order(void **state)
{
    (void)state;
    struct queue *queue = queue_create(3, free_item);
    assert_null(queue_pop(queue));
    for (int round = 0; round < 5; round++) { /* past the end of the ring */
        push(queue, QUEUE_COMMAND, 2 * round);
        push(queue, QUEUE_OBSERVATION, 2 * round + 1);
        expect(queue, 2 * round);
        expect(queue, 2 * round + 1);
    }
    assert_null(queue_pop(queue));
    queue_destroy(&queue);
    assert_null(queue);
}

static void only_observations_are_dropped(void **state)
{
    (void)state;
    freed = 0;
    struct queue *queue = queue_create(3, free_item);
    push(queue, QUEUE_COMMAND, 1);
    push(queue, QUEUE_OBSERVATION, 2);
    push(queue, QUEUE_OBSERVATION, 3);
    push(queue, QUEUE_COMMAND, 4); /* drops 2, the oldest observation */
    assert_int_equal(queue_dropped(queue), 1);
    push(queue, QUEUE_COMMAND, 5); /* drops 3 */
    struct item *refused = make(0, 6);
    assert_int_equal(queue_push(queue, QUEUE_COMMAND, refused), ERR_FULL);
    assert_int_equal(queue_push(queue, QUEUE_OBSERVATION, refused), ERR_FULL);
    free(refused); /* it stayed ours */
    assert_int_equal(queue_dropped(queue), 2);
    assert_int_equal(freed, 2);
    assert_int_equal(queue_length(queue), 3);
    expect(queue, 1);
    expect(queue, 4);
    queue_destroy(&queue);
    assert_int_equal(freed, 3); /* what was left */
}

static void the_descriptor_tells_whether_items_wait(void **state)
{
    (void)state;
    struct queue *queue = queue_create(4, free_item);
    assert_false(readable(queue));
    push(queue, QUEUE_COMMAND, 1);
    push(queue, QUEUE_COMMAND, 2);
    assert_true(readable(queue));
    expect(queue, 1);
    assert_true(readable(queue));
    expect(queue, 2);
    assert_false(readable(queue));
    push(queue, QUEUE_COMMAND, 3);
    assert_true(readable(queue));
    queue_destroy(&queue);
}

struct writer {
    struct queue *queue;
    pthread_t thread;
    int number;
    bool deaf; /* every signal was blocked */
};

static void *write_all(void *argument)
{
    struct writer *self = argument;
    sigset_t blocked;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    self->deaf = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGCHLD) == 1;
    for (int i = 0; i < EACH; i++) {
        struct item *item = make(self->number, i);
        while (queue_push(self->queue, QUEUE_COMMAND, item) == ERR_FULL) {
            (void)sched_yield();
        }
    }
    return NULL;
}

/* A reader that only polls gets every command of every writer, each writer's in its order. */
static void writers_of_many_threads_lose_nothing(void **state)
{
    (void)state;
    struct queue *queue = queue_create(16, free_item);
    struct writer writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.queue = queue, .number = i};
        assert_int_equal(thread_start(&writers[i].thread, write_all, &writers[i]), 0);
    }
    int next[WRITERS] = {0};
    struct pollfd fd = {.fd = queue_fd(queue), .events = POLLIN};
    for (int got = 0; got < WRITERS * EACH;) {
        assert_int_equal(poll(&fd, 1, -1), 1);
        for (struct item *item = queue_pop(queue); item != NULL; item = queue_pop(queue)) {
            assert_int_equal(item->number, next[item->writer]);
            next[item->writer]++;
            got++;
            free(item);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
        assert_true(writers[i].deaf);
    }
    sigset_t blocked;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    assert_int_equal(sigismember(&blocked, SIGTERM), 0); /* the starter hears them again */
    queue_destroy(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_leave_in_order),
        cmocka_unit_test(only_observations_are_dropped),
        cmocka_unit_test(the_descriptor_tells_whether_items_wait),
        cmocka_unit_test(writers_of_many_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
