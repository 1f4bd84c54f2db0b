/* Figures of repeated durations, printed as one line that scripts read. */
#ifndef UNDERSTUDY_TESTS_BENCH_TIMING_H
#define UNDERSTUDY_TESTS_BENCH_TIMING_H

#include <stddef.h>
#include <stdint.h>

#define TIMING_COUNT_MAX 10000000

/* Room for `count` durations; ends the program when there is none. free() it. */
int64_t *timing_create(size_t count);

/* Print "WHAT count=N p50_us=X p99_us=X worst_us=X per_second=X". Sorts the durations. */
void timing_print(const char *what, int64_t *durations_ns, size_t count, int64_t total_ns);

/* A count given as an argument, 1 to TIMING_COUNT_MAX; 0: it is none. */
size_t timing_read_count(const char *text);

#endif
