/* A node's post, guards as real processes, and stand-ins for the guarded program. */
#ifndef UNDERSTUDY_TESTS_UNIT_GUARD_FIXTURE_H
#define UNDERSTUDY_TESTS_UNIT_GUARD_FIXTURE_H

#include "node/guard/post.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PATIENCE_MS 60000 /* for a busy machine; tests end long before */
#define DUTY "pm2/worker"

struct fixture {
    char dir[PATH_MAX / 4];
    char socket[PATH_MAX / 2];
    int listen_fd;
    struct post *post;
    /* what the post said */
    int hellos;
    int starts;
    int releases;
    int gones;
    struct post_guard last;
    enum post_reason reason;
    int status;
    /* what guards are started with */
    bool full_errors; /* a standard error that takes nothing, and that nobody reads */
    /* what the fixture does by itself while it pumps */
    bool renew;
    int64_t ttl_ms;
    int64_t last_deadline_ms;
};

struct guard_process {
    pid_t pid;
    int pidfd;
    int errors; /* its standard error */
    bool reaped;
    int code; /* exit code, or 128 + signal */
};

int fixture_set_up(void **state);
int fixture_tear_down(void **state);

void fixture_open_post(struct fixture *self, bool revoke_on_hello);

/* Start a guard of DUTY with kill timeout and disconnect word; the program is this test as a
 * victim of `mode` (see victim_main). */
struct guard_process guard_start(struct fixture *self, const char *kill_timeout,
                                 const char *on_disconnect, const char *mode);
void guard_end(struct guard_process *guard); /* for the tear-down of a test: SIGKILL and reap */

/* Pump the post until the condition holds or patience ends. */
#define pump_until(self, condition)                                              \
    do {                                                                         \
        int64_t pump_end_ms = clock_boot_ms() + PATIENCE_MS;                     \
        bool pump_reached = false;                                               \
        while (!(pump_reached = (condition)) && clock_boot_ms() < pump_end_ms) { \
            fixture_pump(self, 10);                                              \
        }                                                                        \
        if (!pump_reached) {                                                     \
            fail_msg("never came: %s", #condition);                              \
        }                                                                        \
    } while (0)

void fixture_pump(struct fixture *self, int wait_ms);

/* Reap the guard if it has ended. */
bool guard_ended(struct guard_process *guard);

/* A number that a victim wrote into DIR/name, 0 while it is not there. */
int64_t fixture_number(const struct fixture *self, const char *name);
void fixture_text(const struct fixture *self, const char *name, char *ret, int size);

/* A process that is none of our children: whether it lives (no zombie). */
bool process_lives(pid_t pid);
pid_t process_parent(pid_t pid);

/* The program under the guard: "run", "stubborn", "family", "orphan", "exit7", "environment". */
int victim_main(const char *mode, const char *dir);

#endif
