/* Rotation of real files while somebody appends to them: no line is lost, and what must not be
 * touched is not. */
#include "managers/pm2/logs/cut.h"
#include "managers/pm2/logs/round.h"
#include "node/base/clock.h"
#include "tests/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define BLOCKS INT64_C(65536) /* more than any block */

struct place {
    char path[256];
    int folder;
    atomic_bool may;
    pid_t writer;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    (void)snprintf(place->path, sizeof place->path, "%s/test-rotation-XXXXXX", TEST_FOLDER);
    assert_non_null(mkdtemp(place->path));
    place->folder = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    atomic_init(&place->may, true);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    if (place->writer > 0) {
        (void)kill(place->writer, SIGKILL);
        (void)waitpid(place->writer, NULL, 0);
    }
    (void)close(place->folder);
    folder_remove(place->path);
    free(place);
    return 0;
}

static int open_log(const struct place *place, const char *name, int flags)
{
    int fd = openat(place->folder, name, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0640);
    assert_true(fd >= 0);
    return fd;
}

static void append(int fd, const char *bytes, size_t length)
{
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
}

/* Numbered lines of different lengths, about `bytes` of them; returns the next number. */
static unsigned append_lines(int fd, unsigned number, size_t bytes)
{
    static const char tail[] = "................................................................";
    for (size_t done = 0; done < bytes;) {
        char line[128];
        int length =
            snprintf(line, sizeof line, "line %u %.*s\n", number, (int)(number % 60), tail);
        append(fd, line, (size_t)length);
        done += (size_t)length;
        number++;
    }
    return number;
}

/* ---- reading ---- */

static int by_name(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static char prefix[64];

static int has_prefix(const struct dirent *entry)
{
    return strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
}

/* Names that begin so, sorted: rotated ones first, if the log's own name is given apart. */
static int list_names(const struct place *place, const char *begin, struct dirent ***ret)
{
    (void)snprintf(prefix, sizeof prefix, "%s", begin);
    return scandir(place->path, ret, has_prefix, by_name);
}

static int count_names(const struct place *place, const char *begin)
{
    struct dirent **names;
    int count = list_names(place, begin, &names);
    for (int i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
    return count;
}

/* Checks that the lines of a file go on from *number. gzopen reads plain files too. */
static void read_lines(const struct place *place, const char *name, unsigned *number)
{
    char path[512];
    static char line[65537];
    (void)snprintf(path, sizeof path, "%s/%s", place->path, name);
    gzFile file = gzopen(path, "rb");
    assert_non_null(file);
    while (gzgets(file, line, sizeof line) != NULL) {
        if (strncmp(line, "[understudy", 11) == 0) {
            continue;
        }
        if (strncmp(line, "line ", 5) != 0 || strtoul(line + 5, NULL, 10) != *number) {
            fail_msg("%s: after line %u comes %.60s", name, *number - 1, line);
        }
        (*number)++;
    }
    assert_int_equal(gzclose(file), Z_OK);
}

/* All lines of the log and of its rotated files are there, in order, each once. */
static void expect_lines(const struct place *place, unsigned next)
{
    struct dirent **names;
    unsigned number = 1;
    int count = list_names(place, "x.log.", &names);
    for (int i = 0; i < count; i++) {
        read_lines(place, names[i]->d_name, &number);
        free(names[i]);
    }
    free(names);
    read_lines(place, "x.log", &number);
    assert_int_equal(number, next);
}

static int64_t size_of(const struct place *place, const char *name)
{
    struct stat info;
    return fstatat(place->folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 ? info.st_size : -1;
}

static struct cut cut_of(const struct place *place, const char *to)
{
    return (struct cut){.folder = place->folder,
                        .name = "x.log",
                        .owner = geteuid(),
                        .to = to,
                        .compress = true,
                        .writers = &place->writer,
                        .writer_count = 1,
                        .may = &place->may};
}

static void expect_refusal(const struct place *place, const struct cut *cut, int code)
{
    struct cut_result result;
    struct err err = {0};
    int64_t before = size_of(place, "x.log");
    int rc = cut_log(cut, &result, &err);
    if (rc != code) {
        fail_msg("%s (%s) instead of %s", err_name(rc), err.msg, err_name(code));
    }
    assert_int_equal(size_of(place, "x.log"), before);
    assert_int_equal(count_names(place, "x.log."), 0);
}

/* ---- one cut ---- */

static void lines_of_a_large_log_are_kept(void **state)
{
    struct place *place = *state;
    struct cut_result result;
    struct err err = {0};
    int fd = open_log(place, "x.log", O_APPEND);
    unsigned next = append_lines(fd, 1, 300000);
    append(fd, "line", 4); /* not whole yet */
    struct cut cut = cut_of(place, "x.log.2026-01-01T00-00-00");
    if (cut_log(&cut, &result, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    assert_string_equal(result.rotated, "x.log.2026-01-01T00-00-00.gz");
    assert_true(result.cut_bytes >= 300000);
    assert_true(result.left_bytes < BLOCKS + 4);
    assert_int_equal(result.left_bytes, result.filling_bytes + 4);
    assert_int_equal(size_of(place, "x.log"), result.left_bytes);
    append(fd, " 0\n", 3);
    (void)close(fd);
    fd = open_log(place, "x.log", O_APPEND);
    unsigned number = 1;
    read_lines(place, result.rotated, &number);
    assert_int_equal(number, next);
    number = 0;
    read_lines(place, "x.log", &number);
    assert_int_equal(number, 1);
    (void)close(fd);
}

static void small_logs_are_emptied_into_their_filling(void **state)
{
    struct place *place = *state;
    struct cut_result result = {0};
    int fd = open_log(place, "x.log", O_APPEND);
    unsigned next = 1;
    for (int i = 0; i < 60; i++) {
        char to[64];
        next = append_lines(fd, next, 300);
        (void)snprintf(to, sizeof to, "x.log.2026-01-01T00-00-%02d", i);
        struct cut cut = cut_of(place, to);
        assert_int_equal(cut_log(&cut, &result, NULL), 0);
        assert_int_equal(result.left_bytes, result.filling_bytes);
        expect_lines(place, next);
    }
    assert_true(size_of(place, "x.log") <= BLOCKS);
    struct cut cut = cut_of(place, "x.log.none");
    struct err err;
    assert_int_equal(cut_log(&cut, &result, &err), ERR_NOTFOUND);
    (void)close(fd);
}

static void a_filling_between_lines_of_json_is_blank(void **state)
{
    struct place *place = *state;
    struct cut_result result;
    char head[128] = {0};
    int fd = open_log(place, "x.log", O_APPEND);
    append(fd, "{\"message\":\"one\",\"timestamp\":2}\n", 32);
    struct cut cut = cut_of(place, "x.log.2026-01-01T00-00-00");
    cut.compress = false;
    assert_int_equal(cut_log(&cut, &result, NULL), 0);
    assert_int_equal(size_of(place, "x.log.2026-01-01T00-00-00"), 32);
    int in = openat(place->folder, "x.log", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(in, head, sizeof head - 1), 32);
    assert_int_equal(strspn(head, " \t\n"), 32);
    assert_int_equal(cut_filling(head, 32), 32);
    (void)close(in);
    (void)close(fd);
}

static void what_looks_like_no_filling_is_kept(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "\n",
                                        "[understudy]\n",
                                        "               \n",
                                        "[understudy: earlier lines are in",
                                        "line of the log\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(cut_filling(texts[i], strlen(texts[i])), 0);
    }
}

/* ---- refusals ---- */

/* A process that holds what is open here. */
static pid_t start_holder(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    return pid;
}

static void a_writer_that_does_not_append_is_left_alone(void **state)
{
    struct place *place = *state;
    int fd = open_log(place, "x.log", 0);
    (void)append_lines(fd, 1, 100000);
    place->writer = start_holder();
    (void)close(fd);
    struct cut cut = cut_of(place, "x.log.2026-01-01T00-00-00");
    expect_refusal(place, &cut, ERR_UNSAFE);
}

static void only_one_file_of_the_owner_is_cut(void **state)
{
    struct place *place = *state;
    int fd = open_log(place, "y.log", O_APPEND);
    (void)append_lines(fd, 1, 100000);
    struct cut cut = cut_of(place, "x.log.2026-01-01T00-00-00");
    assert_int_equal(symlinkat("y.log", place->folder, "x.log"), 0);
    expect_refusal(place, &cut, ERR_DENIED);
    assert_int_equal(unlinkat(place->folder, "x.log", 0), 0);
    assert_int_equal(linkat(place->folder, "y.log", place->folder, "x.log", 0), 0);
    expect_refusal(place, &cut, ERR_DENIED);
    assert_int_equal(unlinkat(place->folder, "y.log", 0), 0);
    cut.owner = geteuid() + 1;
    expect_refusal(place, &cut, ERR_DENIED);
    (void)close(fd);
}

static void nothing_happens_once_it_may_not(void **state)
{
    struct place *place = *state;
    int fd = open_log(place, "x.log", O_APPEND);
    (void)append_lines(fd, 1, 300000);
    atomic_store(&place->may, false);
    struct cut cut = cut_of(place, "x.log.2026-01-01T00-00-00");
    expect_refusal(place, &cut, ERR_CLOSED);
    (void)close(fd);
}

/* The disk is full, as far as this process is concerned. */
static void a_full_disk_costs_no_line(void **state)
{
    struct place *place = *state;
    struct rlimit before;
    int fd = open_log(place, "x.log", O_APPEND);
    unsigned next = append_lines(fd, 1, 3000000);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = (rlim_t)(3 * BLOCKS), .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct cut cut = cut_of(place, "x.log.2026-01-01T00-00-00");
    cut.compress = false;
    expect_refusal(place, &cut, ERR_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    expect_lines(place, next);
    (void)close(fd);
}

/* tmpfs has no such operation. */
static void a_file_system_that_cannot_is_left_alone(void **state)
{
    (void)state;
    struct err err = {0};
    struct cut_result result;
    char path[] = "/dev/shm/test-rotation-XXXXXX";
    if (mkdtemp(path) == NULL) {
        print_message("no /dev/shm to try it in\n");
        return;
    }
    struct place other = {.folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    (void)snprintf(other.path, sizeof other.path, "%s", path);
    atomic_init(&other.may, true);
    int fd = open_log(&other, "x.log", O_APPEND);
    (void)append_lines(fd, 1, 300000);
    struct cut cut = cut_of(&other, "x.log.2026-01-01T00-00-00");
    int64_t before = size_of(&other, "x.log");
    int rc = cut_log(&cut, &result, &err);
    assert_true(rc == ERR_UNSUPPORTED || rc == 0); /* a later kernel's tmpfs may */
    if (rc == ERR_UNSUPPORTED) {
        assert_int_equal(size_of(&other, "x.log"), before);
        assert_int_equal(count_names(&other, "x.log."), 0);
    }
    (void)close(fd);
    (void)close(other.folder);
    folder_remove(path);
}

/* ---- while it is written ---- */

static pid_t start_writer(const struct place *place)
{
    pid_t pid = fork();
    if (pid == 0) {
        int fd = openat(place->folder, "x.log", O_WRONLY | O_APPEND | O_CREAT, 0640);
        for (unsigned number = 1; number < 600000; number++) {
            char line[128];
            int length = snprintf(line, sizeof line, "line %u %.*s\n", number, (int)(number % 50),
                                  "..................................................");
            if (write(fd, line, (size_t)length) != length) {
                _exit(1);
            }
        }
        _exit(0);
    }
    return pid;
}

static void no_line_is_lost_while_another_writes(void **state)
{
    struct place *place = *state;
    struct cut_result result;
    unsigned cuts = 0;
    int status = 0;
    place->writer = start_writer(place);
    struct cut cut = cut_of(place, NULL);
    while (waitpid(place->writer, &status, WNOHANG) == 0) {
        char to[64];
        struct err err = {0};
        (void)snprintf(to, sizeof to, "x.log.2026-01-01T00-00-00_%03u", cuts);
        cut.to = to;
        cut.compress = cuts % 2 == 0;
        int rc = size_of(place, "x.log") < 200000 ? ERR_NOTFOUND : cut_log(&cut, &result, &err);
        if (rc != 0 && rc != ERR_NOTFOUND) {
            fail_msg("cut %u: %s", cuts, err.msg);
        }
        cuts += rc == 0;
    }
    place->writer = 0;
    assert_int_equal(status, 0);
    print_message("%u cuts\n", cuts);
    assert_true(cuts >= 10);
    expect_lines(place, 600000);
}

/* ---- rounds ---- */

static struct round_job *job_of(const struct place *place, int64_t max_bytes)
{
    struct round_job *job = calloc(1, sizeof *job);
    char path[512];
    job->policy = (struct rotation_policy){.rotate = true,
                                           .daily = true,
                                           .compress = true,
                                           .max_bytes = max_bytes,
                                           .keep_ms = INT64_C(30) * 86400000,
                                           .budget_bytes = INT64_C(1) << 30};
    job->home_count = 1;
    job->homes[0].path = strdup(place->path);
    job->homes[0].logs = calloc(2, sizeof(char *));
    job->homes[0].log_count = 2; /* two processes, one file */
    (void)snprintf(path, sizeof path, "%s/x.log", place->path);
    job->homes[0].logs[0] = strdup(path);
    job->homes[0].logs[1] = strdup(path);
    return job;
}

static struct round_report go(const struct place *place, struct rounds *rounds,
                              const struct round_job *job, int64_t later_ms)
{
    struct round_report report;
    rounds_go(rounds, job, clock_boot_ms() + later_ms, clock_wall_ms() + later_ms, &place->may,
              &report);
    return report;
}

static void a_log_is_rotated_by_size_and_at_midnight(void **state)
{
    struct place *place = *state;
    const int64_t day_ms = 86400000;
    struct rounds *rounds = rounds_create(place->path, "/nowhere");
    struct round_job *job = job_of(place, 200000);
    int fd = open_log(place, "x.log", O_APPEND);
    assert_int_equal(go(place, rounds, job, 0).cut, 0);
    unsigned next = append_lines(fd, 1, 200000);
    struct round_report report = go(place, rounds, job, 0);
    assert_int_equal(report.cut, 1);
    assert_string_equal(report.cut_name, "x.log");
    assert_int_equal(go(place, rounds, job, 0).cut, 0);
    next = append_lines(fd, next, 500);
    assert_int_equal(go(place, rounds, job, 0).cut, 0);
    assert_int_equal(go(place, rounds, job, day_ms).cut, 1);
    assert_int_equal(go(place, rounds, job, day_ms).cut, 0);
    assert_int_equal(go(place, rounds, job, 2 * day_ms).cut, 0); /* nothing was written */
    next = append_lines(fd, next, 500);
    assert_int_equal(go(place, rounds, job, 2 * day_ms).cut, 0); /* and this is of that day */
    assert_int_equal(go(place, rounds, job, 3 * day_ms).cut, 1);
    assert_int_equal(count_names(place, "x.log."), 3);
    expect_lines(place, next);
    /* Another manager finds what it needs on disk: this log was begun that day, of its birth. */
    rounds_destroy(&rounds);
    rounds = rounds_create(place->path, "/nowhere");
    next = append_lines(fd, next, 500);
    assert_int_equal(go(place, rounds, job, 0).cut, 0);
    assert_int_equal(go(place, rounds, job, 4 * day_ms).cut, 1);
    expect_lines(place, next);
    rounds_destroy(&rounds);
    round_job_destroy(job);
    (void)close(fd);
}

static void write_file(const struct place *place, const char *name, size_t bytes, int64_t age_ms)
{
    int fd = open_log(place, name, O_TRUNC);
    char block[4096] = {0};
    for (size_t done = 0; done < bytes; done += sizeof block) {
        append(fd, block, sizeof block);
    }
    time_t made_s = (time_t)((clock_wall_ms() - age_ms) / 1000);
    struct timespec times[2] = {{.tv_sec = made_s}, {.tv_sec = made_s}};
    assert_int_equal(futimens(fd, times), 0);
    (void)close(fd);
}

static void old_rotated_files_go_and_others_stay(void **state)
{
    struct place *place = *state;
    const int64_t day_ms = 86400000;
    struct rounds *rounds = rounds_create(place->path, "/nowhere");
    struct round_job *job = job_of(place, 200000);
    int fd = open_log(place, "x.log", O_APPEND);
    job->policy.budget_bytes = 100000;
    write_file(place, "x.log.2026-01-01T00-00-00.gz", 4096, 31 * day_ms);
    write_file(place, "x.log.2026-01-02T00-00-00.gz", 65536, 3 * day_ms);
    write_file(place, "x.log.2026-01-03T00-00-00.gz", 65536, 2 * day_ms);
    write_file(place, "x.log.2026-01-04T00-00-00.gz.part", 4096, 0); /* its writer died */
    write_file(place, "x.log.1.gz", 4096, 99 * day_ms);
    write_file(place, "y.log.2026-01-01T00-00-00.gz", 4096, 99 * day_ms);
    atomic_store(&place->may, false);
    assert_int_equal(go(place, rounds, job, 0).deleted, 0);
    assert_int_equal(count_names(place, "x.log."), 5);
    atomic_store(&place->may, true);
    assert_int_equal(go(place, rounds, job, ROUND_SURVEY_MS).deleted, 2);
    assert_int_equal(size_of(place, "x.log.2026-01-03T00-00-00.gz"), 65536);
    assert_int_equal(size_of(place, "x.log.1.gz"), 4096);
    assert_int_equal(size_of(place, "y.log.2026-01-01T00-00-00.gz"), 4096);
    assert_int_equal(count_names(place, "x.log."), 2);
    rounds_destroy(&rounds);
    round_job_destroy(job);
    (void)close(fd);
}

static void expect_said(const struct round_report *report, const char *object, bool trouble,
                        const char *text)
{
    if (report->said_count != 1) {
        fail_msg("%zu things said", report->said_count);
    }
    assert_string_equal(report->said[0].object, object);
    assert_int_equal(report->said[0].trouble, trouble);
    assert_non_null(strstr(report->said[0].text, text));
}

static void another_rotator_is_left_to_it(void **state)
{
    struct place *place = *state;
    struct rounds *rounds = rounds_create(place->path, "/nowhere");
    struct round_job *job = job_of(place, 200000);
    int fd = open_log(place, "x.log", O_APPEND);
    (void)append_lines(fd, 1, 150000);
    assert_int_equal(go(place, rounds, job, 0).said_count, 0);
    assert_int_equal(ftruncate(fd, 0), 0); /* as with copytruncate */
    (void)append_lines(fd, 1, 1000);
    struct round_report report = go(place, rounds, job, 0);
    expect_said(&report, "x.log", false, "another program");
    (void)append_lines(fd, 1, 300000);
    report = go(place, rounds, job, 0);
    assert_int_equal(report.cut, 0);
    expect_said(&report, "x.log", false, "another program");
    (void)append_lines(fd, 1, 600000); /* and never came again */
    report = go(place, rounds, job, 0);
    assert_int_equal(report.cut, 1);
    assert_int_equal(report.said_count, 0);
    assert_int_equal(renameat(place->folder, "x.log", place->folder, "x.log.1"), 0);
    int other = open_log(place, "x.log", O_APPEND);
    report = go(place, rounds, job, 0);
    expect_said(&report, "x.log", false, "another program");
    report = go(place, rounds, job, ROUND_STAND_BACK_MS + 1);
    assert_int_equal(report.said_count, 0);
    rounds_destroy(&rounds);
    round_job_destroy(job);
    (void)close(other);
    (void)close(fd);
}

static void a_listed_rotator_is_left_to_it(void **state)
{
    struct place *place = *state;
    struct rounds *rounds = rounds_create(place->path, "/nowhere");
    struct round_job *job = job_of(place, 200000);
    int fd = open_log(place, "x.log", O_APPEND);
    (void)append_lines(fd, 1, 300000);
    job->homes[0].rotator_listed = true;
    struct round_report report = go(place, rounds, job, 0);
    assert_int_equal(report.cut, 0);
    expect_said(&report, strrchr(place->path, '/') + 1, false, "a module of PM2");
    job->homes[0].rotator_listed = false;
    int config = open_log(place, "pm2-logrotate.conf", 0);
    append(config, job->homes[0].logs[0], strlen(job->homes[0].logs[0]));
    append(config, " {\n weekly\n}\n", 13);
    (void)close(config);
    report = go(place, rounds, job, ROUND_ROTATORS_MS);
    assert_int_equal(report.cut, 0);
    expect_said(&report, "x.log", false, "logrotate has it");
    assert_int_equal(unlinkat(place->folder, "pm2-logrotate.conf", 0), 0);
    report = go(place, rounds, job, 2 * (int64_t)ROUND_ROTATORS_MS);
    assert_int_equal(report.cut, 1);
    assert_int_equal(report.said_count, 0);
    rounds_destroy(&rounds);
    round_job_destroy(job);
    (void)close(fd);
}

static void trouble_is_said_until_it_is_over(void **state)
{
    struct place *place = *state;
    struct rounds *rounds = rounds_create(place->path, "/nowhere");
    struct round_job *job = job_of(place, 200000);
    int fd = open_log(place, "x.log", 0); /* it does not append */
    (void)append_lines(fd, 1, 300000);
    place->writer = start_holder();
    (void)close(fd);
    job->homes[0].pids = malloc(sizeof place->writer);
    job->homes[0].pids[0] = place->writer;
    job->homes[0].pid_count = 1;
    struct round_report report = go(place, rounds, job, 0);
    expect_said(&report, "x.log", true, "O_APPEND");
    assert_int_equal(kill(place->writer, SIGKILL), 0);
    assert_int_equal(waitpid(place->writer, NULL, 0), place->writer);
    place->writer = 0;
    report = go(place, rounds, job, 1000); /* not tried again at once */
    expect_said(&report, "x.log", true, "O_APPEND");
    report = go(place, rounds, job, ROUND_REFUSED_MS);
    assert_int_equal(report.cut, 1);
    assert_int_equal(report.said_count, 0);
    rounds_destroy(&rounds);
    round_job_destroy(job);
}

static void a_full_disk_is_told_and_tried_again(void **state)
{
    struct place *place = *state;
    struct rlimit before;
    struct rounds *rounds = rounds_create(place->path, "/nowhere");
    struct round_job *job = job_of(place, 200000);
    int fd = open_log(place, "x.log", O_APPEND);
    unsigned next = append_lines(fd, 1, 3000000);
    job->policy.compress = false;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = (rlim_t)(3 * BLOCKS), .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct round_report report = go(place, rounds, job, 0);
    expect_said(&report, "x.log", true, "File too large");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    report = go(place, rounds, job, policy_backoff_ms(1) - 1000);
    assert_int_equal(report.cut, 0); /* not yet */
    expect_said(&report, "x.log", true, "File too large");
    report = go(place, rounds, job, policy_backoff_ms(1));
    assert_int_equal(report.cut, 1);
    assert_int_equal(report.said_count, 0);
    expect_lines(place, next);
    rounds_destroy(&rounds);
    round_job_destroy(job);
    (void)close(fd);
}

static bool can_cut_here(void)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/test-cut-XXXXXX", TEST_FOLDER);
    int fd = mkstemp(path);
    bool can = fd >= 0 && ftruncate(fd, 2 * BLOCKS) == 0 &&
               fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, BLOCKS) == 0;
    (void)close(fd);
    (void)unlink(path);
    return can;
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLACE(lines_of_a_large_log_are_kept),
        WITH_PLACE(small_logs_are_emptied_into_their_filling),
        WITH_PLACE(a_filling_between_lines_of_json_is_blank),
        WITH_PLACE(what_looks_like_no_filling_is_kept),
        WITH_PLACE(a_writer_that_does_not_append_is_left_alone),
        WITH_PLACE(only_one_file_of_the_owner_is_cut),
        WITH_PLACE(nothing_happens_once_it_may_not),
        WITH_PLACE(a_full_disk_costs_no_line),
        WITH_PLACE(a_file_system_that_cannot_is_left_alone),
        WITH_PLACE(no_line_is_lost_while_another_writes),
        WITH_PLACE(a_log_is_rotated_by_size_and_at_midnight),
        WITH_PLACE(old_rotated_files_go_and_others_stay),
        WITH_PLACE(another_rotator_is_left_to_it),
        WITH_PLACE(a_listed_rotator_is_left_to_it),
        WITH_PLACE(trouble_is_said_until_it_is_over),
        WITH_PLACE(a_full_disk_is_told_and_tried_again),
    };
    if (!can_cut_here()) {
        (void)printf("skipped: the file system of %s cannot cut the head off a file\n",
                     TEST_FOLDER);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
