/* The files of the run manager: an attempt begins once, output within its bound, pruning. */
#include "managers/run/files.h"
#include "managers/run/output.h"
#include "tests/folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char folder[64];
    struct files files;
};

static int set_up(void **state)
{
    struct fixture *self = calloc(1, sizeof *self);
    assert_non_null(self);
    (void)snprintf(self->folder, sizeof self->folder, "/tmp/test-run-files-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    assert_int_equal(files_open(self->folder, "run/", &self->files, NULL), 0);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *self = *state;
    folder_remove(self->folder);
    free(self);
    return 0;
}

static void write_file(const struct files *files, const char *duty, const char *ending,
                       const char *text)
{
    char path[FILES_PATH_SIZE];
    files_path(files, duty, ending, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static bool exists(const struct files *files, const char *duty, const char *ending)
{
    char path[FILES_PATH_SIZE];
    files_path(files, duty, ending, path);
    return access(path, F_OK) == 0;
}

static void an_attempt_begins_once(void **state)
{
    struct fixture *self = *state;
    static const char duty[] = "run/report@20261122T051500Z";
    struct record record = {.assignment = 5, .limits = {.output_bytes = 4096, .keep = 2}};
    struct record back;
    struct err err = {0};
    assert_false(files_begun(&self->files, duty));
    assert_int_equal(files_begin(&self->files, duty, &record, &err), 0);
    assert_int_equal(files_begin(&self->files, duty, &record, &err), ERR_EXISTS);
    assert_true(files_record_of(&self->files, duty, &back));
    assert_int_equal(back.assignment, 5);
    assert_false(back.ended);
    record.ended = true;
    record.outcome = MANAGER_OUTCOME_RAN;
    record.reason = MANAGER_REASON_EXIT;
    assert_int_equal(files_record(&self->files, duty, &record, &err), 0);
    assert_true(files_record_of(&self->files, duty, &back));
    assert_true(back.ended);

    /* Its output is a sign that it was here, too. */
    write_file(&self->files, duty, "out", "x");
    files_forget(&self->files, duty);
    assert_false(exists(&self->files, duty, "run"));
    assert_true(files_begun(&self->files, duty));
    assert_int_equal(files_begin(&self->files, duty, &record, &err), ERR_EXISTS);
    assert_false(files_begun(&self->files, "run/report@20261122T051500Z#2"));
}

static void a_guards_line_is_found_with_its_time(void **state)
{
    struct fixture *self = *state;
    static const char duty[] = "run/report@m1";
    struct record record = {.limits = {.output_bytes = 4096, .keep = 2}};
    int64_t wall_ms = 17;
    assert_int_equal(files_begin(&self->files, duty, &record, NULL), 0);
    assert_int_equal(files_ending_of(&self->files, duty, &wall_ms).cause, ENDING_UNSEEN);
    assert_int_equal(wall_ms, 17);
    write_file(&self->files, duty, "end", "ended exit 3\n");
    struct ending ending = files_ending_of(&self->files, duty, &wall_ms);
    assert_int_equal(ending.cause, ENDING_ENDED);
    assert_int_equal(ending.exit_status, 3);
    assert_true(wall_ms > 1700000000000);
}

static void count(void *context, const char *duty, const struct slot_name *slot, int64_t bytes,
                  int64_t changed_wall_ms)
{
    size_t *counted = context;
    (void)duty;
    (void)slot;
    (void)bytes;
    (void)changed_wall_ms;
    (*counted)++;
}

static void the_oldest_outputs_go(void **state)
{
    struct fixture *self = *state;
    struct record record = {.limits = {.output_bytes = 4096, .keep = 2}};
    char duty[DUTY_ID_SIZE];
    for (int i = 1; i <= 5; i++) {
        char path[FILES_PATH_SIZE];
        (void)snprintf(duty, sizeof duty, "run/report@m%d", i);
        assert_int_equal(files_begin(&self->files, duty, &record, NULL), 0);
        write_file(&self->files, duty, "out", "x");
        files_path(&self->files, duty, "out", path);
        const struct timespec times[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    assert_int_equal(files_begin(&self->files, "run/other@m1", &record, NULL), 0);
    write_file(&self->files, "run/other@m1", "out", "x");
    files_prune(&self->files, "report", 2);
    assert_false(exists(&self->files, "run/report@m3", "out"));
    assert_true(exists(&self->files, "run/report@m4", "out"));
    assert_true(exists(&self->files, "run/report@m5", "out"));
    assert_true(exists(&self->files, "run/other@m1", "out"));
    size_t counted = 0;
    files_visit(&self->files, NULL, "out", count, &counted);
    assert_int_equal(counted, 3);
    counted = 0;
    files_visit(&self->files, "report", "out", count, &counted);
    assert_int_equal(counted, 2);
}

/* What is read at the end, and what is read while it is under way, by a second life, too. */
static void output_keeps_its_head_and_its_tail(void **state)
{
    struct fixture *self = *state;
    char part[FILES_PATH_SIZE];
    char out[FILES_PATH_SIZE];
    char text[8192];
    char seen[8192];
    uint64_t length = 0;
    struct output output;
    struct err err = {0};
    (void)snprintf(part, sizeof part, "%s/part", self->folder);
    (void)snprintf(out, sizeof out, "%s/out", self->folder);
    assert_int_equal(run_output_open(part, 1000, &output, &err), 0);
    run_output_take(&output, "first", 5);
    for (int i = 0; i < 1000; i++) {
        char line[16];
        int written = snprintf(line, sizeof line, "line %d\n", i);
        run_output_take(&output, line, (size_t)written);
    }
    uint64_t total = output.total;
    run_output_close(&output);
    assert_int_equal(run_output_open(part, 1000, &output, &err), 0);
    assert_int_equal(output.total, total);
    run_output_take(&output, "the end", 7);
    size_t got = run_output_read_text(&output, 0, text, sizeof text - 1, &length);
    text[got] = '\0';
    assert_int_equal(got, length);
    assert_true(length <= 1000 + LAYOUT_CUT_SIZE);
    assert_memory_equal(text, "firstline 0\n", 12);
    assert_non_null(strstr(text, " bytes were cut here ...\n"));
    assert_string_equal(text + got - 7, "the end");
    for (uint64_t from = 0; from < length; from += 7) {
        size_t piece = run_output_read_text(&output, from, seen, 7, &length);
        assert_memory_equal(seen, text + from, piece);
        assert_int_equal(piece, length - from < 7 ? length - from : 7);
    }
    assert_int_equal(run_output_finish(&output, out, &err), 0);
    run_output_close(&output);
    int fd = open(out, O_RDONLY);
    assert_int_equal(read(fd, seen, sizeof seen), got);
    (void)close(fd);
    assert_memory_equal(seen, text, got);
    struct stat info;
    assert_int_equal(stat(part, &info), 0);
    assert_true(info.st_size <= 1000 + 21);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_attempt_begins_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_guards_line_is_found_with_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_oldest_outputs_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(output_keeps_its_head_and_its_tail, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("run_files", tests, NULL, NULL);
}
