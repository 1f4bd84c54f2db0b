/* Requests over one open connection, one after the other: how long each takes, how many a second.
 *
 *     bench_status_latency ENDPOINT COUNT [VERB [ARGS]]
 *
 * With the client library, as another program would: the answer is checked and read as JSON text.
 * VERB is "status" unless said, ARGS a JSON object. */
#include "node/base/clock.h"
#include "node/client/understudy.h"
#include "tests/bench/timing.h"

#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_MS 10000
#define WARM_UP 100

static int ask(struct understudy *node, const char *verb, const char *args,
               struct understudy_error *error)
{
    char *envelope = NULL;
    int rc = understudy_call(node, verb, args, TIMEOUT_MS, &envelope, error);
    free(envelope);
    return rc;
}

static int measure(struct understudy *node, const char *verb, const char *args, size_t count,
                   struct understudy_error *error)
{
    for (int i = 0; i < WARM_UP; i++) {
        int rc = ask(node, verb, args, error);
        if (rc != UNDERSTUDY_DONE) {
            return rc;
        }
    }
    int64_t *durations_ns = timing_create(count);
    int rc = UNDERSTUDY_DONE;
    int64_t began_ns = clock_boot_ns();
    int64_t at_ns = began_ns;
    for (size_t i = 0; i < count && rc == UNDERSTUDY_DONE; i++) {
        rc = ask(node, verb, args, error);
        int64_t now_ns = clock_boot_ns();
        durations_ns[i] = now_ns - at_ns;
        at_ns = now_ns;
    }
    if (rc == UNDERSTUDY_DONE) {
        timing_print("requests", durations_ns, count, at_ns - began_ns);
    }
    free(durations_ns);
    return rc;
}

int main(int argc, char **argv)
{
    size_t count = argc >= 3 ? timing_read_count(argv[2]) : 0;
    if (count == 0) {
        (void)fprintf(stderr, "usage: bench_status_latency ENDPOINT COUNT [VERB [ARGS]]\n");
        return 2;
    }
    struct understudy *node;
    struct understudy_error error = {0};
    int rc = understudy_connect(argv[1], NULL, TIMEOUT_MS, &node, &error);
    if (rc == UNDERSTUDY_DONE) {
        rc = measure(node, argc > 3 ? argv[3] : "status", argc > 4 ? argv[4] : NULL, count, &error);
        understudy_destroy(&node);
    }
    if (rc != UNDERSTUDY_DONE) {
        (void)fprintf(stderr, "%s: %s\n", error.code, error.message);
    }
    return rc;
}
