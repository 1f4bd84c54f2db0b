/* The last lines of log files: all that is shown of a file that a user named. */
#include "managers/pm2/verbs/tail.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[128];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/understudy-tail-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/app-out.log", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static void write_file(const char *text, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static int take(size_t lines, json_t **ret)
{
    int64_t bytes = -1;
    *ret = json_array();
    return tail_take(path, getuid(), lines, *ret, &bytes, NULL);
}

/* The lines with a bar between them. */
static void expect(size_t lines, const char *expected)
{
    char joined[256] = "";
    json_t *got;
    assert_int_equal(take(lines, &got), 0);
    for (size_t i = 0; i < json_array_size(got); i++) {
        (void)strncat(joined, i == 0 ? "" : "|", sizeof joined - strlen(joined) - 1);
        (void)strncat(joined, json_string_value(json_array_get(got, i)),
                      sizeof joined - strlen(joined) - 1);
    }
    assert_string_equal(joined, expected);
    json_decref(got);
}

static void the_last_lines_come_in_order(void **state)
{
    (void)state;
    static const char text[] = "one\ntwo\n\nfour\r\nfive\n";
    write_file(text, sizeof text - 1);
    expect(2, "four|five");
    expect(3, "|four|five");
    expect(5, "one|two||four|five");
    expect(99, "one|two||four|five");
    expect(0, "");
    write_file("one\nunfinished", 14);
    expect(1, "unfinished");
    expect(2, "one|unfinished");
    write_file("", 0);
    expect(5, "");
    write_file("\n", 1);
    expect(5, "");
    write_file("a\0b\xff\n", 5);
    json_t *got;
    assert_int_equal(take(5, &got), 0);
    assert_int_equal(json_array_size(got), 1);
    assert_memory_equal(json_string_value(json_array_get(got, 0)), "a?b", 3);
    json_decref(got);
}

/* Of "line 17". */
static long number_of(const json_t *lines, size_t index)
{
    const char *text = json_string_value(json_array_get(lines, index));
    assert_int_equal(strncmp(text, "line ", 5), 0);
    return strtol(text + 5, NULL, 10);
}

static void only_the_end_of_a_long_file_is_read(void **state)
{
    (void)state;
    static const size_t bytes = TAIL_BYTES_MAX;
    size_t length = 0;
    char *text = malloc(4 * bytes);
    assert_non_null(text);
    for (int i = 0; length < 3 * bytes; i++) {
        length += (size_t)snprintf(text + length, 32, "line %d\n", i);
    }
    write_file(text, length);
    json_t *got;
    assert_int_equal(take(1000000, &got), 0);
    size_t count = json_array_size(got);
    assert_true(count > 1000);
    assert_int_equal(number_of(got, count - 1) - number_of(got, 0) + 1,
                     count); /* whole lines, none is missing */
    json_decref(got);
    memset(text, 'x', 2 * bytes); /* one line, longer than what is read */
    write_file(text, 2 * bytes);
    assert_int_equal(take(3, &got), 0);
    assert_int_equal(json_array_size(got), 1);
    assert_int_equal(json_string_length(json_array_get(got, 0)), TAIL_LINE_MAX);
    json_decref(got);
    free(text);
}

static void what_is_not_the_users_file_is_not_read(void **state)
{
    (void)state;
    json_t *got = json_array();
    int64_t bytes;
    write_file("secret\n", 7);
    assert_int_equal(tail_take(path, getuid() + 1, 5, got, &bytes, NULL), ERR_DENIED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(tail_take(path, getuid(), 5, got, &bytes, NULL), ERR_NOTFOUND);
    assert_int_equal(mkfifo(path, 0600), 0); /* would wait for a writer */
    assert_int_equal(tail_take(path, getuid(), 5, got, &bytes, NULL), ERR_DENIED);
    assert_int_equal(tail_take(folder, getuid(), 5, got, &bytes, NULL), ERR_DENIED);
    assert_int_equal(tail_take("/dev/zero", 0, 5, got, &bytes, NULL), ERR_DENIED);
    assert_int_equal(unlink(path), 0);
    if (getuid() != 0) {
        assert_int_equal(symlink("/etc/passwd", path), 0); /* root's, whoever names it */
        assert_int_equal(tail_take(path, getuid(), 5, got, &bytes, NULL), ERR_DENIED);
    }
    assert_int_equal(json_array_size(got), 0);
    json_decref(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_lines_come_in_order),
        cmocka_unit_test(only_the_end_of_a_long_file_is_read),
        cmocka_unit_test(what_is_not_the_users_file_is_not_read),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
