/* The log: form of a line, redaction, limits, rotation, and the ring. */
#include "node/base/clock.h"
#include "node/log/line.h"
#include "node/log/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define PATIENCE_MS 60000

struct place {
    char dir[64];
    struct log *log;
};

static int set_up(void **state)
{
    struct place *self = calloc(1, sizeof(*self));
    (void)snprintf(self->dir, sizeof(self->dir), "/tmp/log-test-XXXXXX");
    assert_non_null(mkdtemp(self->dir));
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    struct place *self = *state;
    log_destroy(&self->log);
    DIR *folder = opendir(self->dir);
    assert_non_null(folder);
    struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    (void)closedir(folder);
    (void)rmdir(self->dir);
    free(self);
    return 0;
}

static void open_log(struct place *self, struct log_config config)
{
    config.dir = self->dir;
    config.file_name = "understudyd.log";
    assert_int_equal(log_create(&config, &self->log, NULL), 0);
}

static char *contents(const struct place *self, const char *name)
{
    static char text[65536];
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", self->dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    text[got > 0 ? got : 0] = '\0';
    if (fd >= 0) {
        (void)close(fd);
    }
    return text;
}

/* Files of the folder whose name ends so; the last one's name into `ret`. */
static size_t count_files(const struct place *self, const char *end, char *ret, size_t size)
{
    DIR *folder = opendir(self->dir);
    assert_non_null(folder);
    struct dirent *entry = NULL;
    size_t count = 0;
    while ((entry = readdir(folder)) != NULL) {
        size_t length = strlen(entry->d_name);
        if (length > strlen(end) && strcmp(entry->d_name + length - strlen(end), end) == 0) {
            count++;
            (void)snprintf(ret, size, "%s", entry->d_name);
        }
    }
    (void)closedir(folder);
    return count;
}

static const char *format(const struct log_field *fields, size_t count, enum log_format form)
{
    static char text[LOG_LINE_MAX + 1];
    const struct line_event event = {.wall_ms = 1769860800123,
                                     .level = LOG_LEVEL_INFO,
                                     .event = "raft.leader.gained",
                                     .node = "n1",
                                     .fields = fields,
                                     .count = count};
    size_t length = line_format(&event, form, text);
    assert_int_equal(length, strlen(text));
    return text;
}

static void lines_are_words_and_values(void **state)
{
    (void)state;
    const struct log_field fields[] = {
        log_int("term", 12),         log_text("peer", "n 2\"\n\x01\xff"),
        log_bool("acting", true),    log_number("score", 97.5),
        log_text("nothing", NULL),   log_text("empty", ""),
        log_text("word", "a/b:c-d"), log_text("utf8", "gr\xc3\xbc\xc3\x9f"),
    };
    assert_string_equal(format(fields, 8, LOG_FORMAT_TEXT),
                        "ts=2026-01-31T12:00:00.123Z level=info event=raft.leader.gained node=n1 "
                        "term=12 peer=\"n 2\\\"\\n\\u0001\\u00ff\" acting=true score=97.5 "
                        "nothing=- empty=\"\" word=a/b:c-d utf8=\"gr\xc3\xbc\xc3\x9f\"");
    json_t *line = json_loads(format(fields, 8, LOG_FORMAT_JSON), 0, NULL);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "event")), "raft.leader.gained");
    assert_int_equal(json_integer_value(json_object_get(line, "term")), 12);
    assert_true(json_is_null(json_object_get(line, "nothing")));
    assert_true(json_is_true(json_object_get(line, "acting")));
    json_decref(line);
}

static void long_values_and_lines_are_cut(void **state)
{
    (void)state;
    char value[2000];
    memset(value, ' ', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    struct log_field fields[40];
    for (size_t i = 0; i < 40; i++) {
        fields[i] = log_text("value", value);
    }
    const char *text = format(fields, 1, LOG_FORMAT_TEXT);
    assert_true(strlen(text) < 700);
    assert_non_null(strstr(text, "...\""));
    text = format(fields, 40, LOG_FORMAT_TEXT);
    assert_true(strlen(text) <= LOG_LINE_MAX);
    assert_non_null(strstr(text, " fields_left_out=3"));
    json_t *line = json_loads(format(fields, 40, LOG_FORMAT_JSON), 0, NULL);
    assert_non_null(line);
    json_decref(line);
    /* The longest escapes, also cut within a character. */
    memset(value, 0x01, sizeof(value) - 1);
    line = json_loads(format(fields, 1, LOG_FORMAT_JSON), 0, NULL);
    assert_non_null(line);
    json_decref(line);
    for (size_t i = 0; i + 2 < sizeof(value); i += 3) {
        memcpy(value + i, "\xe2\x82\xac", 3);
    }
    line = json_loads(format(fields, 1, LOG_FORMAT_JSON), 0, NULL);
    assert_non_null(line);
    json_decref(line);
}

static void secrets_are_redacted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *secret; /* must be gone */
        const char *stays;  /* must stay */
    } rows[] = {
        {"token ghp_0123456789abcdefABCDEF seen", "0123456789", "seen"},
        {"password=hunter2 user=bob", "hunter2", "user=bob"},
        {"{\"secret\": \"abc\", \"a\": 1}", "abc", "\"a\": 1"},
        {"Authorization: Bearer abc.def", "abc.def", "Bearer"},
        {"https://x/?token=abc&y=1", "abc", "&y=1"},
        {"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7 end", "rM>}U", "end"},
        {"key AbCdEf0123456789AbCdEf0123456789xy", "AbCdEf", "key "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char clean[256];
        (void)line_redact(rows[i].text, clean, sizeof(clean));
        if (strstr(clean, rows[i].secret) != NULL || strstr(clean, rows[i].stays) == NULL ||
            strstr(clean, "[redacted]") == NULL) {
            fail_msg("%s -> %s", rows[i].text, clean);
        }
    }
    static const char *const plain[] = {
        "tcp://127.0.0.1:7410",
        "pm2/demo-worker-backup",
        "/var/lib/understudy/raft.db",
        "the leader n2 of term 4 is gone",
        "4c82499d0f1a2b3c4d5e6f708192a3b4c5d6e7f8",
        "tokens",
        "a secretary wrote",
    };
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        char clean[256];
        (void)line_redact(plain[i], clean, sizeof(clean));
        assert_string_equal(clean, plain[i]);
    }
    const struct log_field fields[] = {log_secret("key", "abc"), log_secret("other", NULL),
                                       log_text("github_token", "abc")};
    assert_non_null(strstr(format(fields, 3, LOG_FORMAT_TEXT),
                           " key=[redacted] other=none github_token=[redacted]"));
}

static void events_reach_the_file_and_the_ring(void **state)
{
    struct place *self = *state;
    open_log(self, (struct log_config){.level = LOG_LEVEL_INFO});
    log_write(self->log, LOG_LEVEL_INFO, "one", log_int("a", 1));
    log_write(self->log, LOG_LEVEL_DEBUG, "unwanted");
    log_write(self->log, LOG_LEVEL_ERROR, "two");
    log_write(NULL, LOG_LEVEL_ERROR, "nobody");
    assert_true(log_flush(self->log, PATIENCE_MS));
    const char *text = contents(self, "understudyd.log");
    assert_non_null(strstr(text, "level=info event=one a=1\nts="));
    assert_non_null(strstr(text, "level=error event=two\n"));
    assert_null(strstr(text, "unwanted"));
    char path[256];
    struct stat status;
    (void)snprintf(path, sizeof(path), "%s/understudyd.log", self->dir);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777U & ~0640U, 0);

    uint64_t cursor = 0;
    uint64_t missed = 99;
    struct log_line line;
    assert_true(log_ring_read(self->log, &cursor, &line, &missed));
    assert_string_equal(line.event, "one");
    assert_int_equal(missed, 0);
    assert_true(log_ring_read(self->log, &cursor, &line, NULL));
    assert_int_equal(line.level, LOG_LEVEL_ERROR);
    assert_int_equal(line.sequence, log_ring_newest(self->log));
    assert_false(log_ring_read(self->log, &cursor, &line, NULL));
    log_set_level(self->log, LOG_LEVEL_DEBUG);
    assert_true(log_enabled(self->log, LOG_LEVEL_DEBUG));
    log_write(self->log, LOG_LEVEL_DEBUG, "now.wanted");
    assert_true(log_ring_read(self->log, &cursor, &line, NULL));
    assert_string_equal(line.event, "now.wanted");
}

static void a_slow_reader_of_the_ring_is_told_what_it_missed(void **state)
{
    struct place *self = *state;
    open_log(self, (struct log_config){.level = LOG_LEVEL_INFO, .rate_burst = 100000});
    log_write(self->log, LOG_LEVEL_INFO, "first");
    uint64_t cursor = 0;
    uint64_t missed = 0;
    struct log_line line;
    assert_true(log_ring_read(self->log, &cursor, &line, NULL));
    for (int i = 0; i < LOG_RING_LINES + 10; i++) {
        log_write(self->log, LOG_LEVEL_INFO, "more", log_int("i", i));
    }
    assert_true(log_ring_read(self->log, &cursor, &line, &missed));
    assert_int_equal(missed, 10);
    size_t count = 1;
    while (log_ring_read(self->log, &cursor, &line, &missed)) {
        assert_int_equal(missed, 0);
        count++;
    }
    assert_int_equal(count, LOG_RING_LINES);
}

static void a_flood_of_one_event_is_held_back(void **state)
{
    struct place *self = *state;
    open_log(self, (struct log_config){.level = LOG_LEVEL_INFO, .rate_burst = 5});
    for (int i = 0; i < 50; i++) {
        log_write(self->log, LOG_LEVEL_WARN, "flood");
    }
    log_write(self->log, LOG_LEVEL_WARN, "other");
    struct log_counters counters;
    log_counters(self->log, &counters);
    /* A window that ends meanwhile lets five more through. */
    assert_true(counters.suppressed > 0);
    assert_int_equal(log_ring_newest(self->log) + counters.suppressed, 51);
}

static void a_full_file_is_rotated_and_packed(void **state)
{
    struct place *self = *state;
    open_log(self,
             (struct log_config){.level = LOG_LEVEL_INFO, .max_bytes = 2000, .rate_burst = 100000});
    for (int i = 0; i < 60; i++) {
        log_write(self->log, LOG_LEVEL_INFO, "line", log_int("number", i),
                  log_text("text", "some words to fill the file with"));
    }
    assert_true(log_flush(self->log, PATIENCE_MS));
    struct log_counters counters;
    log_counters(self->log, &counters);
    assert_int_equal(counters.written, 60);
    assert_int_equal(counters.failures, 0);
    assert_true(counters.rotations >= 3);
    char name[256] = "";
    int64_t end_ms = clock_boot_ms() + PATIENCE_MS;
    while (count_files(self, ".gz", name, sizeof(name)) < counters.rotations &&
           clock_boot_ms() < end_ms) {
        (void)poll(NULL, 0, 10);
    }
    assert_int_equal(count_files(self, ".gz", name, sizeof(name)), counters.rotations);
    assert_int_equal(count_files(self, ".part", name, 1), 0);
    /* Every line is in one of the files, once. */
    size_t lines = 0;
    DIR *folder = opendir(self->dir);
    assert_non_null(folder);
    struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        char path[512];
        char text[4096];
        (void)snprintf(path, sizeof(path), "%s/%s", self->dir, entry->d_name);
        if (strncmp(entry->d_name, "understudyd.log", 15) != 0) {
            continue;
        }
        gzFile file = gzopen(path, "rb"); /* reads plain files too */
        while (gzgets(file, text, sizeof(text)) != NULL) {
            lines += strstr(text, "event=line") != NULL;
        }
        assert_int_equal(gzclose(file), Z_OK);
    }
    (void)closedir(folder);
    assert_int_equal(lines, 60);
    struct stat status;
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/understudyd.log", self->dir);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size <= 2000);
}

static void make_file(const struct place *self, const char *name, int64_t age_days)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", self->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "old\n", 4), 4);
    struct timespec when = {.tv_sec = (time_t)(clock_wall_ms() / 1000 - age_days * 86400)};
    struct timespec times[2] = {when, when};
    assert_int_equal(futimens(fd, times), 0);
    (void)close(fd);
}

/* Yesterday's file is rotated by the first line of today; what is too old goes. */
static void another_day_rotates_and_old_files_go(void **state)
{
    struct place *self = *state;
    make_file(self, "understudyd.log", 2);
    make_file(self, "understudyd.log.20200101-000000.000.gz", 40);
    make_file(self, "understudyd.log.20200102-000000.000.gz", 20);
    make_file(self, "understudyd.log.notes", 400);
    open_log(self, (struct log_config){.level = LOG_LEVEL_INFO, .keep_days = 30});
    log_write(self->log, LOG_LEVEL_INFO, "today");
    assert_true(log_flush(self->log, PATIENCE_MS));
    assert_null(strstr(contents(self, "understudyd.log"), "old"));
    char name[256] = "";
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/understudyd.log.20200101-000000.000.gz", self->dir);
    int64_t end_ms = clock_boot_ms() + PATIENCE_MS;
    while ((access(path, F_OK) == 0 || count_files(self, ".gz", name, sizeof(name)) != 2) &&
           clock_boot_ms() < end_ms) {
        (void)poll(NULL, 0, 10);
    }
    assert_int_equal(count_files(self, ".gz", name, sizeof(name)), 2);
    assert_int_equal(count_files(self, ".notes", name, sizeof(name)), 1);
}

static void reopening_follows_an_outside_rotator(void **state)
{
    struct place *self = *state;
    char from[128];
    char to[128];
    open_log(self, (struct log_config){.level = LOG_LEVEL_INFO});
    log_write(self->log, LOG_LEVEL_INFO, "before");
    assert_true(log_flush(self->log, PATIENCE_MS));
    (void)snprintf(from, sizeof(from), "%s/understudyd.log", self->dir);
    (void)snprintf(to, sizeof(to), "%s/moved", self->dir);
    assert_int_equal(rename(from, to), 0);
    log_reopen(self->log);
    log_write(self->log, LOG_LEVEL_INFO, "after");
    assert_true(log_flush(self->log, PATIENCE_MS));
    assert_non_null(strstr(contents(self, "understudyd.log"), "event=after"));
    assert_null(strstr(contents(self, "moved"), "event=after"));
}

static void *log_many(void *context)
{
    for (int i = 0; i < 500; i++) {
        log_write(context, LOG_LEVEL_INFO, "thread", log_int("i", i));
    }
    return NULL;
}

static void threads_log_without_losing_a_count(void **state)
{
    struct place *self = *state;
    pthread_t threads[4];
    open_log(self, (struct log_config){.level = LOG_LEVEL_INFO, .rate_burst = 100000});
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, self->log), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_true(log_flush(self->log, PATIENCE_MS));
    struct log_counters counters;
    log_counters(self->log, &counters);
    assert_int_equal(counters.written + counters.dropped, 2000);
    assert_int_equal(log_ring_newest(self->log), 2000);
}

/* A pipe that nobody reads is a disk that hangs: the caller goes on, the loss is counted. */
static void a_hanging_disk_does_not_hold_the_caller(void **state)
{
    struct place *self = *state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/understudyd.log", self->dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    open_log(self, (struct log_config){.level = LOG_LEVEL_INFO, .rate_burst = 1000000});
    for (int i = 0; i < LOG_QUEUE_LINES * 2; i++) {
        log_write(self->log, i % 4 == 0 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "line",
                  log_text("text", "fifty bytes of text that fill a pipe soon enough, yes"));
    }
    struct log_counters counters;
    log_counters(self->log, &counters);
    assert_true(counters.dropped > 0);
    assert_false(log_flush(self->log, 50));
    /* Drained, it writes what it kept. */
    char bytes[65536];
    int64_t end_ms = clock_boot_ms() + PATIENCE_MS;
    while (!log_flush(self->log, 10) && clock_boot_ms() < end_ms) {
        while (read(reader, bytes, sizeof(bytes)) > 0) {
        }
    }
    log_counters(self->log, &counters);
    assert_int_equal(counters.written + counters.dropped, LOG_QUEUE_LINES * 2);
    (void)close(reader);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_words_and_values),
        cmocka_unit_test(long_values_and_lines_are_cut),
        cmocka_unit_test(secrets_are_redacted),
        LOG_TEST(events_reach_the_file_and_the_ring),
        LOG_TEST(a_slow_reader_of_the_ring_is_told_what_it_missed),
        LOG_TEST(a_flood_of_one_event_is_held_back),
        LOG_TEST(a_full_file_is_rotated_and_packed),
        LOG_TEST(another_day_rotates_and_old_files_go),
        LOG_TEST(reopening_follows_an_outside_rotator),
        LOG_TEST(threads_log_without_losing_a_count),
        LOG_TEST(a_hanging_disk_does_not_hold_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
