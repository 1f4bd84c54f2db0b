/* Durable appends of small entries, one at a time, as a quiet cluster makes them, and elections'
 * writes (a term, then a vote).
 *
 * bench_storage_append [FOLDER [COUNT [BYTES]]]: FOLDER (made, removed at the end) should be on the
 * disk in question. */
#include "node/base/clock.h"
#include "node/storage/storage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT_MAX 1000000

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void report(const char *what, int64_t *durations_ns, size_t count, int64_t total_ns)
{
    qsort(durations_ns, count, sizeof *durations_ns, compare);
    (void)printf("%-24s %8.0f/s  p50 %7.1f us  p99 %7.1f us  worst %8.1f us\n", what,
                 (double)count * 1e9 / (double)total_ns, (double)durations_ns[count / 2] / 1e3,
                 (double)durations_ns[count * 99 / 100] / 1e3,
                 (double)durations_ns[count - 1] / 1e3);
}

/* The floor: one write over existing bytes and fdatasync. */
static void measure_floor(const char *folder, int64_t *durations_ns, size_t count)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/floor", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char page[4096] = {1};
    if (fd < 0 || pwrite(fd, page, sizeof page, 0) != (ssize_t)sizeof page || fsync(fd) != 0) {
        perror(path);
        exit(1);
    }
    int64_t began = clock_boot_ns();
    for (size_t i = 0; i < count; i++) {
        int64_t before = clock_boot_ns();
        (void)!pwrite(fd, page, sizeof page, 0);
        (void)fdatasync(fd);
        durations_ns[i] = clock_boot_ns() - before;
    }
    report("pwrite + fdatasync", durations_ns, count, clock_boot_ns() - began);
    (void)close(fd);
    (void)unlink(path);
}

static void stop_on(int rc, const struct err *err)
{
    if (rc != 0) {
        (void)fprintf(stderr, "%s\n", err->msg);
        exit(1);
    }
}

static void measure_appends(struct consensus_storage *log, int64_t *durations_ns, size_t count,
                            size_t bytes)
{
    struct err err = {0};
    uint8_t *contents = calloc(1, bytes + 1);
    struct consensus_entry entry = {
        .term = 1, .type = CONSENSUS_ENTRY_COMMAND, .bytes = contents, .length = bytes};
    struct consensus_snapshot_meta meta = {.term = 1};
    int64_t began = clock_boot_ns();
    for (size_t i = 0; i < count; i++) {
        int64_t before = clock_boot_ns();
        stop_on(log->append(log->context, i + 1, &entry, 1, &err), &err);
        durations_ns[i] = clock_boot_ns() - before;
        if (i % 512 == 511) { /* as the engine does, outside the figures of single appends */
            meta.index = i + 1;
            stop_on(log->snapshot_put(log->context, &meta, contents, bytes, 512, &err), &err);
        }
    }
    report("append", durations_ns, count, clock_boot_ns() - began);
    free(contents);
}

static void measure_votes(struct consensus_storage *log, int64_t *durations_ns, size_t count)
{
    struct err err = {0};
    int64_t began = clock_boot_ns();
    for (size_t i = 0; i < count; i++) {
        int64_t before = clock_boot_ns();
        stop_on(log->set_vote(log->context, i + 2, 1, &err), &err);
        durations_ns[i] = clock_boot_ns() - before;
    }
    report("term and vote", durations_ns, count, clock_boot_ns() - began);
}

static void remove_folder(const char *folder)
{
    static const char *const names[] = {"understudy.db", "understudy.db-wal", "witness", "lock"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "bench_storage_append.data";
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;
    size_t bytes = argc > 3 ? strtoul(argv[3], NULL, 10) : 120;
    if (count == 0 || count > COUNT_MAX || bytes > COMMAND_BYTES_MAX) {
        (void)fprintf(stderr, "usage: bench_storage_append [FOLDER [COUNT [BYTES]]]\n");
        return 2;
    }
    int64_t *durations_ns = calloc(count, sizeof *durations_ns);
    struct storage *storage = NULL;
    struct err err = {0};
    struct storage_config config = {.folder = folder, .node_name = "bench"};
    if (durations_ns == NULL) {
        return 1;
    }
    stop_on(storage_open(&config, &storage, &err), &err);
    struct consensus_storage log;
    storage_consensus(storage, &log);
    measure_floor(folder, durations_ns, count);
    measure_appends(&log, durations_ns, count, bytes);
    measure_votes(&log, durations_ns, count);
    storage_close(&storage);
    remove_folder(folder);
    free(durations_ns);
    return 0;
}
