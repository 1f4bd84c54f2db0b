/* Rotation of the logs of a real PM2: no line is lost, and other rotators are left alone. */
#include "tests/integration/pm2/pm2_bench.h"

#include "node/base/doc.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define ROTATIONS 12

/* Writes numbered lines to both outputs, as fast as PM2 takes them, until a file says stop. */
static const char talker[] =
    "let number = 0, full = 0;\n"
    "const say = (out, text) => {\n"
    "  const mark = (out === process.stdout ? 'out' : 'err') + process.env.INSTANCE;\n"
    "  // PM2's own write returns nothing.\n"
    "  if (out.write(mark + ' ' + text + '\\n') === false) {\n"
    "    full++;\n"
    "    out.once('drain', () => full--);\n"
    "  }\n"
    "};\n"
    "const talk = setInterval(() => {\n"
    "  for (let i = 0; i < 10 && full < 1; i++) {\n"
    "    number++;\n"
    "    for (const out of [process.stdout, process.stderr])\n"
    "      say(out, number + ' ' + '.'.repeat(number % 80));\n"
    "  }\n"
    "  if (require('fs').existsSync(process.env.STOP)) {\n"
    "    clearInterval(talk);\n"
    "    for (const out of [process.stdout, process.stderr])\n"
    "      say(out, 'end ' + number);\n"
    "    setInterval(() => {}, 1000000);\n"
    "  }\n"
    "}, 1);\n";

static char stop_path[128];

static json_t *section(bool rotate)
{
    return json_pack("{si s{sb sI} s[] s[]}", "poll_ms", 250, "logs", "rotate", rotate,
                     "max_size_bytes", (json_int_t)65536, "primaries", "backups");
}

static int set_up(void **state)
{
    int rc = bench_set_up(state);
    const struct bench *bench = *state;
    (void)snprintf(stop_path, sizeof stop_path, "%s/stop", bench->folder);
    (void)setenv("STOP", stop_path, 1);
    (void)setenv("INSTANCE", "", 1);
    return rc;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

/* ---- reading ---- */

static char begin[80];

static int begins_so(const struct dirent *entry)
{
    return strncmp(entry->d_name, begin, strlen(begin)) == 0 &&
           strstr(entry->d_name, ".part") == NULL;
}

static int by_name(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

/* Rotated files of a log, in the order of their making. */
static int list_rotated(const struct bench *bench, const char *log, struct dirent ***ret)
{
    char folder[160];
    (void)snprintf(folder, sizeof folder, "%s/logs", bench->home);
    (void)snprintf(begin, sizeof begin, "%s.", log);
    return scandir(folder, ret, begins_so, by_name);
}

static int count_rotated(const struct bench *bench, const char *log)
{
    struct dirent **names = NULL;
    int count = list_rotated(bench, log, &names);
    for (int i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
    return count;
}

/* How far a stream of numbered lines was read. */
struct stream {
    const char *mark; /* "out" */
    unsigned number;
    bool ended;
};

#define STREAMS_MAX 4

/* A log and its rotated files. While a head is being cut off, lines may be seen twice; after that
 * each is there once. */
struct reading {
    const char *log;
    struct stream streams[STREAMS_MAX]; /* up to one without a mark */
    char wrong[256];                    /* what was at the latest try */
};

static void take_line(struct reading *self, const char *line, const char *name)
{
    for (size_t i = 0; i < STREAMS_MAX && self->streams[i].mark != NULL; i++) {
        struct stream *stream = &self->streams[i];
        size_t length = strlen(stream->mark);
        if (strncmp(line, stream->mark, length) != 0 || line[length] != ' ') {
            continue;
        }
        bool is_end = strncmp(line + length, " end ", 5) == 0;
        unsigned long got = strtoul(line + length + (is_end ? 5 : 1), NULL, 10);
        stream->ended = stream->ended || is_end;
        stream->number += !is_end;
        if (got != stream->number && self->wrong[0] == '\0') {
            (void)snprintf(self->wrong, sizeof self->wrong,
                           "%.100s: line %lu of %s where %u belongs", name, got, stream->mark,
                           stream->number);
        }
        return;
    }
    if (strncmp(line, "[understudy", 11) != 0 && self->wrong[0] == '\0') {
        (void)snprintf(self->wrong, sizeof self->wrong, "%.100s: %.60s", name, line);
    }
}

static void read_file(const struct bench *bench, const char *name, struct reading *self)
{
    static char line[70000];
    char path[420];
    (void)snprintf(path, sizeof path, "%s/logs/%s", bench->home, name);
    gzFile file = gzopen(path, "rb"); /* reads plain files too */
    assert_non_null(file);
    while (gzgets(file, line, sizeof line) != NULL) {
        take_line(self, line, name);
    }
    assert_int_equal(gzclose(file), Z_OK);
}

/* Every line, in its order, once. */
static bool is_whole(const struct bench *bench, struct reading *self)
{
    struct dirent **names = NULL;
    unsigned lines = 0;
    self->wrong[0] = '\0';
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        self->streams[i].number = 0;
        self->streams[i].ended = false;
    }
    int rotated = list_rotated(bench, self->log, &names);
    for (int i = 0; i < rotated; i++) {
        read_file(bench, names[i]->d_name, self);
        free(names[i]);
    }
    free(names);
    read_file(bench, self->log, self);
    for (size_t i = 0; i < STREAMS_MAX && self->streams[i].mark != NULL; i++) {
        lines += self->streams[i].number;
        if (!self->streams[i].ended && self->wrong[0] == '\0') {
            (void)snprintf(self->wrong, sizeof self->wrong, "%s has no end", self->streams[i].mark);
        }
    }
    if (self->wrong[0] == '\0') {
        print_message("%s: %u lines in %d files\n", self->log, lines, rotated + 1);
    }
    return self->wrong[0] == '\0' && lines > 1000;
}

static struct reading *awaited;

static bool awaited_is_whole(struct bench *bench)
{
    return is_whole(bench, awaited);
}

static void expect_all(struct bench *bench, struct reading *self)
{
    awaited = self;
    bench_run_until(bench, awaited_is_whole, self->wrong);
}

/* ---- tests ---- */

static bool both_were_rotated(struct bench *bench)
{
    return count_rotated(bench, "talker-out.log") >= ROTATIONS &&
           count_rotated(bench, "talker-error.log") >= ROTATIONS;
}

static void expect_both(struct bench *bench)
{
    expect_all(bench, &(struct reading){.log = "talker-out.log", .streams = {{.mark = "out"}}});
    expect_all(bench, &(struct reading){.log = "talker-error.log", .streams = {{.mark = "err"}}});
}

static bool daemons_log_was_rotated(struct bench *bench)
{
    bool found = false;
    DIR *folder = opendir(bench->home);
    const struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        found = found || strncmp(entry->d_name, "pm2.log.", 8) == 0;
    }
    (void)closedir(folder);
    return found;
}

static void no_line_is_lost(void **state)
{
    struct bench *bench = *state;
    bench_start_manager(bench, section(true));
    const char *script = bench_script(bench, "talker.js", talker);
    PM2(bench, "start", script, "--name", "talker");
    RUN_UNTIL(bench, both_were_rotated);
    write_file(stop_path, "");
    expect_both(bench);
    char path[160];
    (void)snprintf(path, sizeof path, "%s/pm2.log", bench->home);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    for (int i = 0; i < 70000; i++) {
        (void)fputc(i % 70 == 69 ? '\n' : '.', file);
    }
    (void)fclose(file);
    RUN_UNTIL(bench, daemons_log_was_rotated);
}

static void no_line_of_cluster_workers_is_lost(void **state)
{
    struct bench *bench = *state;
    bench_start_manager(bench, section(true));
    const char *script = bench_script(bench, "talker.js", talker);
    PM2(bench, "start", script, "--name", "talker", "-i", "1", "--merge-logs");
    RUN_UNTIL(bench, both_were_rotated);
    write_file(stop_path, "");
    expect_both(bench);
}

static bool merged_was_rotated(struct bench *bench)
{
    return count_rotated(bench, "both.log") >= ROTATIONS;
}

/* Two processes with both of their outputs in one file. */
static void a_shared_log_is_rotated_once(void **state)
{
    struct bench *bench = *state;
    char log[160];
    (void)snprintf(log, sizeof log, "%s/logs/both.log", bench->home);
    bench_start_manager(bench, section(true));
    const char *script = bench_script(bench, "talker.js", talker);
    (void)setenv("INSTANCE", "A", 1);
    PM2(bench, "start", script, "--name", "a", "--output", log, "--error", log);
    (void)setenv("INSTANCE", "B", 1);
    PM2(bench, "start", script, "--name", "b", "--output", log, "--error", log);
    RUN_UNTIL(bench, merged_was_rotated);
    write_file(stop_path, "");
    expect_all(
        bench,
        &(struct reading){
            .log = "both.log",
            .streams = {{.mark = "outA"}, {.mark = "errA"}, {.mark = "outB"}, {.mark = "errB"}}});
}

static const json_t *finding(const struct bench *bench)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(bench->seen, "findings"), index, row)
    {
        if (strcmp(doc_get_text(row, "kind", ""), "pm2.logs") == 0) {
            return row;
        }
    }
    return NULL;
}

static bool stands_back(struct bench *bench)
{
    const json_t *row = finding(bench);
    return row != NULL && strcmp(doc_get_text(row, "severity", ""), "info") == 0 &&
           strstr(doc_get_text(row, "text", ""), "a module of PM2") != NULL;
}

static bool is_large(struct bench *bench)
{
    char path[160];
    struct stat info;
    (void)snprintf(path, sizeof path, "%s/logs/talker-out.log", bench->home);
    return stat(path, &info) == 0 && info.st_size > 200000;
}

static bool was_rotated(struct bench *bench)
{
    return count_rotated(bench, "talker-out.log") > 0;
}

static void a_module_that_rotates_is_left_to_it(void **state)
{
    struct bench *bench = *state;
    char module[160];
    (void)snprintf(module, sizeof module, "%s/modules/pm2-logrotate", bench->home);
    assert_int_equal(mkdir(module, 0700), 0);
    bench_start_manager(bench, section(true));
    const char *script = bench_script(bench, "talker.js", talker);
    PM2(bench, "start", script, "--name", "talker");
    RUN_UNTIL(bench, is_large);
    RUN_UNTIL(bench, stands_back);
    assert_true(bench_had_event(bench, "pm2.logs"));
    assert_int_equal(count_rotated(bench, "talker-out.log"), 0);
    assert_int_equal(rmdir(module), 0);
    RUN_UNTIL(bench, was_rotated);
}

static void nothing_is_rotated_when_switched_off(void **state)
{
    struct bench *bench = *state;
    bench_start_manager(bench, section(false));
    const char *script = bench_script(bench, "talker.js", talker);
    PM2(bench, "start", script, "--name", "talker");
    RUN_UNTIL(bench, is_large);
    assert_int_equal(count_rotated(bench, "talker-out.log"), 0);
}

static void nothing_is_rotated_while_paused(void **state)
{
    struct bench *bench = *state;
    bench_start_manager(bench, section(true));
    assert_int_equal(supervise_pause(bench->supervise, "pm2", NULL), 0);
    const char *script = bench_script(bench, "talker.js", talker);
    PM2(bench, "start", script, "--name", "talker");
    RUN_UNTIL(bench, is_large);
    assert_int_equal(count_rotated(bench, "talker-out.log"), 0);
    assert_int_equal(supervise_resume(bench->supervise, "pm2", NULL), 0);
    RUN_UNTIL(bench, was_rotated);
}

static bool can_cut_in_tmp(void)
{
    char path[] = "/tmp/test-cut-XXXXXX";
    int fd = mkstemp(path);
    bool can = fd >= 0 && ftruncate(fd, 131072) == 0 &&
               fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 65536) == 0;
    (void)close(fd);
    (void)unlink(path);
    return can;
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(no_line_is_lost),
        WITH_BENCH(no_line_of_cluster_workers_is_lost),
        WITH_BENCH(a_shared_log_is_rotated_once),
        WITH_BENCH(a_module_that_rotates_is_left_to_it),
        WITH_BENCH(nothing_is_rotated_when_switched_off),
        WITH_BENCH(nothing_is_rotated_while_paused),
    };
    if (!can_cut_in_tmp()) {
        (void)printf("skipped: the file system of /tmp cannot cut the head off a file\n");
        return 77;
    }
    return cmocka_run_group_tests_name("pm2_rotation", tests, NULL, NULL);
}
