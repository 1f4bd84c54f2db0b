/* A bench with a real PM2 daemon in a home of its own, the PM2 manager under a real supervision,
 * and the node's end of the real guard. */
#ifndef UNDERSTUDY_TESTS_INTEGRATION_PM2_PM2_BENCH_H
#define UNDERSTUDY_TESTS_INTEGRATION_PM2_PM2_BENCH_H

#include "tests/integration/manager_bench.h"

#define EVENTS_MAX 256

struct bench {
    char folder[64];
    char home[96];
    pid_t god;
    zloop_t *loop;
    struct supervise *supervise;
    struct post *post;
    int listen_fd;

    json_t *seen;    /* the manager's latest observation */
    json_t *reply;   /* of the latest command */
    bool may_refuse; /* a command may fail */
    bool refused;
    int ready;
    double capability; /* -1 before the first heartbeat */
    double score;
    struct manager_duty_state duty;
    int duty_states;
    bool released;
    struct manager_duty_wanted wish;
    int wishes;
    char events[EVENTS_MAX][NAME_SIZE];
    size_t event_count;

    /* The guard's side. */
    bool granting; /* renew the grant of bench_duty */
    uint64_t assignment;
    bool guard_started;
    bool guard_released;
    enum post_reason guard_reason;

    bool shadow;   /* start the manager in shadow: it watches, and mends nothing */
    pid_t command; /* a pm2 command line that runs */
    int command_status;
};

#define bench_duty "pm2/stand-in"

/* cmocka's set-up and tear-down. */
int bench_set_up(void **state);
int bench_tear_down(void **state);

/* Start the manager with this section; the reference is stolen. `homes` is filled in
 * where it has none. */
void bench_start_manager(struct bench *bench, json_t *section);
/* The same, without waiting until it has seen the daemon. */
void bench_add_manager(struct bench *bench, json_t *section);

/* Run the loop until the condition holds; fails the test when it never does. */
void bench_run_until(struct bench *bench, bool (*condition)(struct bench *bench), const char *what);
#define RUN_UNTIL(bench, condition) bench_run_until(bench, condition, #condition)

/* The pm2 command line with these arguments, NULL at the end, awaited; must succeed. Its standard
 * output goes to FOLDER/out. */
void bench_pm2(struct bench *bench, const char *const *arguments);
#define PM2(bench, ...) bench_pm2(bench, (const char *const[]){__VA_ARGS__, NULL})

/* A script in the bench's folder; returns its path, valid until the next call. */
const char *bench_script(struct bench *bench, const char *name, const char *text);

/* Rows of the latest observation, NULL when absent; borrowed. */
const json_t *bench_primary(const struct bench *bench, const char *name);
bool bench_primary_is(const struct bench *bench, const char *name, const char *state,
                      const char *reason);
bool bench_had_event(const struct bench *bench, const char *kind);

/* The row of PM2's own list (`pm2 jlist`), a new reference or NULL. */
json_t *bench_list_row(struct bench *bench, const char *name);

/* What the manager tells of this kind and object at present, NULL: nothing; borrowed. */
const json_t *bench_finding(const struct bench *bench, const char *kind, const char *object);
bool bench_finds(const struct bench *bench, const char *kind, const char *object,
                 const char *text_part);

/* Connect to "rpc.sock" or "pub.sock" of the home; -1: nobody listens. */
int bench_dial(const struct bench *bench, const char *socket_name);

void bench_command(struct bench *bench, const char *verb);
/* The leader's order to mend a primary; whether the manager accepts it. */
bool bench_mend(struct bench *bench, const char *name, int attempt);
void bench_kill_god(struct bench *bench);
const char *bench_pm2_dir(void); /* where PM2 is installed for the tests */
/* A daemon in the bench's home, as that user; bare: without the variable that its own recovery goes
 * by. bench_god: the one that listens there; 0: none. */
void bench_start_god(struct bench *bench, uid_t user, bool bare);
pid_t bench_god(const struct bench *bench);

#endif
