#include "tests/bench/timing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

int64_t *timing_create(size_t count)
{
    int64_t *ret = calloc(count, sizeof *ret);
    if (ret == NULL) {
        (void)fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return ret;
}

void timing_print(const char *what, int64_t *durations_ns, size_t count, int64_t total_ns)
{
    qsort(durations_ns, count, sizeof *durations_ns, compare);
    size_t middle = count / 2;
    size_t late = count * 99 / 100;
    (void)printf("%s count=%zu p50_us=%.2f p99_us=%.2f worst_us=%.2f per_second=%.0f\n", what,
                 count, (double)durations_ns[middle] / 1e3, (double)durations_ns[late] / 1e3,
                 (double)durations_ns[count - 1] / 1e3, (double)count * 1e9 / (double)total_ns);
}

size_t timing_read_count(const char *text)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    return errno != 0 || *end != '\0' || value > TIMING_COUNT_MAX ? 0 : value;
}
