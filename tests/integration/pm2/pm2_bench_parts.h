/* The parts of the bench, which only pm2_bench.c puts together: PM2 itself (pm2_bench_daemon.c),
 * the guard's side (pm2_bench_guard.c), and the manager (pm2_bench_manager.c). */
#ifndef UNDERSTUDY_TESTS_INTEGRATION_PM2_PM2_BENCH_PARTS_H
#define UNDERSTUDY_TESTS_INTEGRATION_PM2_PM2_BENCH_PARTS_H

#include "tests/integration/pm2/pm2_bench.h"

/* PM2's home, so that the command line greets nobody. */
void bench_make_home(const struct bench *bench);
/* The daemon that listens there ends, and its apps before it. */
void bench_end_god(struct bench *bench);
/* Of the PM2 that the bench was to start, as its package says. */
bool bench_is_version(const char *version);

void bench_start_post(struct bench *bench);
void bench_start_supervision(struct bench *bench);

#endif
