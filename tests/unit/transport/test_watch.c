/* node/watch: no message is left lying, however the loop's signal was used up. */
#include "node/base/clock.h"
#include "node/watch/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PATIENCE_MS 60000

struct fixture {
    void *zmq;
    zloop_t *loop;
    void *near; /* watched */
    void *far;
    struct watch *watch;
    int taken;
    int wanted;
    bool destroy_in_handler;
    int64_t give_up_ms;
};

static int set_up(void **state)
{
    struct fixture *self = calloc(1, sizeof *self);
    assert_non_null(self);
    self->zmq = zmq_ctx_new();
    self->loop = zloop_new();
    zloop_set_nonstop(self->loop, true);
    self->near = zmq_socket(self->zmq, ZMQ_PAIR);
    self->far = zmq_socket(self->zmq, ZMQ_PAIR);
    assert_int_equal(zmq_bind(self->near, "inproc://watch"), 0);
    assert_int_equal(zmq_connect(self->far, "inproc://watch"), 0);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *self = *state;
    watch_destroy(&self->watch);
    watch_destroy(&self->watch);
    (void)zmq_close(self->near);
    (void)zmq_close(self->far);
    zloop_destroy(&self->loop);
    (void)zmq_ctx_term(self->zmq);
    free(self);
    return 0;
}

/* Takes one, whatever waits. */
static void take(void *context, void *socket)
{
    struct fixture *self = context;
    char byte;
    assert_int_equal(zmq_recv(socket, &byte, 1, ZMQ_DONTWAIT), 1);
    self->taken++;
    if (self->destroy_in_handler) {
        watch_destroy(&self->watch);
    }
}

static int look(zloop_t *loop, int timer, void *argument)
{
    (void)loop;
    (void)timer;
    struct fixture *self = argument;
    return self->taken >= self->wanted || clock_boot_ms() > self->give_up_ms ? -1 : 0;
}

static void run_until_taken(struct fixture *self, int wanted)
{
    self->wanted = wanted;
    self->give_up_ms = clock_boot_ms() + PATIENCE_MS;
    int timer = zloop_timer(self->loop, 1, 0, look, self);
    (void)zloop_start(self->loop);
    (void)zloop_timer_end(self->loop, timer);
    assert_int_equal(self->taken, wanted);
}

static void send_from_far(struct fixture *self, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(zmq_send(self->far, "x", 1, ZMQ_DONTWAIT), 1);
    }
}

static void watch_near(struct fixture *self)
{
    struct err err = {0};
    assert_int_equal(watch_create(self->loop, self->near, take, self, &self->watch, &err), 0);
}

/* As every send and every look at the socket may do. */
static void use_up_signal(struct fixture *self)
{
    int events = 0;
    size_t length = sizeof events;
    assert_int_equal(zmq_getsockopt(self->near, ZMQ_EVENTS, &events, &length), 0);
    assert_true((events & ZMQ_POLLIN) != 0);
}

static void what_came_before_is_handled(void **state)
{
    struct fixture *self = *state;
    send_from_far(self, 3);
    use_up_signal(self);
    watch_near(self);
    run_until_taken(self, 3);
}

static void many_at_once_are_all_handled(void **state)
{
    struct fixture *self = *state;
    watch_near(self);
    send_from_far(self, 900);
    run_until_taken(self, 900);
    send_from_far(self, 1);
    run_until_taken(self, 901);
}

static void a_used_up_signal_is_made_good(void **state)
{
    struct fixture *self = *state;
    watch_near(self);
    send_from_far(self, 1);
    run_until_taken(self, 1);
    send_from_far(self, 2);
    use_up_signal(self);
    assert_int_equal(zmq_send(self->near, "y", 1, ZMQ_DONTWAIT), 1);
    watch_touched(self->watch);
    run_until_taken(self, 3);
}

static void a_handler_may_destroy_its_watch(void **state)
{
    struct fixture *self = *state;
    self->destroy_in_handler = true;
    watch_near(self);
    send_from_far(self, 2);
    run_until_taken(self, 1);
    assert_null(self->watch);
}

static void a_socket_is_needed(void **state)
{
    struct fixture *self = *state;
    struct err err = {0};
    int no_socket = 0;
    assert_int_equal(watch_create(self->loop, &no_socket, take, self, &self->watch, &err), ERR_IO);
    assert_null(self->watch);
    watch_touched(NULL);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_came_before_is_handled),
        CASE(many_at_once_are_all_handled),
        CASE(a_used_up_signal_is_made_good),
        CASE(a_handler_may_destroy_its_watch),
        CASE(a_socket_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
