/* The node's end of the guard of bench_duty: its grant is renewed as long as the test says so. */
#include "tests/integration/pm2/pm2_bench_parts.h"

#include "node/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void on_guard_hello(void *context, const struct post_guard *guard)
{
    (void)context;
    print_message("guard of %s is here\n", guard->duty);
}

static void on_guard_started(void *context, const struct post_guard *guard)
{
    struct bench *bench = context;
    (void)guard;
    bench->guard_started = true;
}

static void on_guard_released(void *context, const struct post_guard *guard,
                              enum post_reason reason, int status)
{
    struct bench *bench = context;
    print_message("guard of %s released: reason %d status %d\n", guard->duty, (int)reason, status);
    bench->guard_released = true;
    bench->guard_reason = reason;
}

static void on_guard_gone(void *context, const struct post_guard *guard)
{
    (void)context;
    (void)guard;
}

/* The node would renew every 500 ms. */
static int on_renewal(zloop_t *loop, int id, void *argument)
{
    (void)loop;
    (void)id;
    struct bench *bench = argument;
    if (bench->granting) {
        (void)post_grant(bench->post, bench_duty, bench->assignment, 7, clock_boot_ms() + 5000,
                         NULL);
    }
    return 0;
}

void bench_start_post(struct bench *bench)
{
    static const struct post_callbacks callbacks = {.hello = on_guard_hello,
                                                    .started = on_guard_started,
                                                    .released = on_guard_released,
                                                    .gone = on_guard_gone};
    bench->post =
        manager_bench_post(bench->loop, bench->folder, &callbacks, bench, &bench->listen_fd);
    (void)zloop_timer(bench->loop, 100, 0, on_renewal, bench);
}
