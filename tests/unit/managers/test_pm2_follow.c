/* Following real log files: while they grow, lose their heads to our rotation, are emptied, renamed
 * and replaced. Each whole line is told once and in order, or a note says what may be missing. */
#include "managers/pm2/logs/cut.h"
#include "managers/pm2/verbs/follow.h"
#include "managers/pm2/verbs/tail.h"
#include "tests/folder.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LINES_MAX 1000
#define NO_SINCE INT64_MAX

struct place {
    char folder[256];
    char path[300];
    int handle; /* of the folder */
    struct cuts *cuts;
    struct cursor cursor;
    struct follow_news news;
    atomic_bool may;
    unsigned cut;      /* rotated files so far */
    unsigned written;  /* numbered lines */
    unsigned expected; /* the next that is to be told */
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    (void)snprintf(place->folder, sizeof place->folder, "%s/test-follow-XXXXXX", TEST_FOLDER);
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->path, sizeof place->path, "%s/x.log", place->folder);
    place->handle = open(place->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    place->cuts = cuts_create(1);
    assert_non_null(place->cuts);
    atomic_init(&place->may, true);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    cuts_destroy(&place->cuts);
    json_decref(place->news.lines);
    (void)close(place->handle);
    folder_remove(place->folder);
    free(place);
    return 0;
}

/* ---- what others do to the file ---- */

static void append_bytes(const struct place *place, const void *bytes, size_t length)
{
    int fd = open(place->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    assert_int_equal(close(fd), 0);
}

static void append(const struct place *place, const char *text)
{
    append_bytes(place, text, strlen(text));
}

/* Numbered lines of about so many bytes. */
static void append_numbers(struct place *place, size_t bytes)
{
    char *text = malloc(bytes + 64);
    size_t length = 0;
    assert_non_null(text);
    while (length < bytes) {
        length += (size_t)snprintf(text + length, 64, "line %u%.*s\n", place->written,
                                   (int)(place->written % 20), "....................");
        place->written++;
    }
    append_bytes(place, text, length);
    free(text);
}

static void move_away(const struct place *place, const char *name)
{
    assert_int_equal(renameat(place->handle, "x.log", place->handle, name), 0);
}

static int cut_once(struct place *place, struct err *err)
{
    char to[64];
    struct cut_result result;
    (void)snprintf(to, sizeof to, "x.log.2026-01-01T00-00-00_%03u", ++place->cut);
    struct cut cut = {.folder = place->handle,
                      .name = "x.log",
                      .owner = geteuid(),
                      .to = to,
                      .compress = true,
                      .may = &place->may,
                      .cuts = place->cuts};
    return cut_log(&cut, &result, err);
}

static void cut_head(struct place *place)
{
    struct err err = {0};
    int rc = cut_once(place, &err);
    if (rc == ERR_UNSUPPORTED) {
        print_message("%s: %s\n", TEST_FOLDER, err.msg);
        skip();
    }
    if (rc != 0) {
        fail_msg("%s", err.msg);
    }
}

/* As after a restart of the manager: nothing is known of cuts. */
static void begin_anew(struct place *place)
{
    static uint64_t seed = 2;
    cuts_destroy(&place->cuts);
    place->cuts = cuts_create(seed++);
    assert_non_null(place->cuts);
}

/* ---- following ---- */

static struct follow follow_of(const struct place *place)
{
    return (struct follow){.path = place->path,
                           .owner = geteuid(),
                           .cuts = place->cuts,
                           .now_ms = 1000,
                           .lines_max = LINES_MAX};
}

static int take(struct place *place, bool begin, size_t lines, int64_t since_ms)
{
    char text[CURSOR_SIZE];
    struct follow follow = follow_of(place);
    json_decref(place->news.lines);
    place->news = (struct follow_news){.lines = json_array()};
    int rc = begin ? follow_begin(&follow, lines, since_ms, &place->news, NULL)
                   : follow_go_on(&follow, &place->cursor, &place->news, NULL);
    /* As it goes to whoever follows, and comes back. */
    cursor_encode(&place->news.cursor, text);
    assert_int_equal(cursor_decode(text, &place->cursor, NULL), 0);
    return rc;
}

/* Some file systems do not tell when a file was made. */
static bool tells_birth(const struct place *place)
{
    struct statx info;
    return statx(AT_FDCWD, place->path, 0, STATX_BTIME, &info) == 0 &&
           (info.stx_mask & STATX_BTIME) != 0;
}

static void begin(struct place *place, size_t lines)
{
    assert_int_equal(take(place, true, lines, NO_SINCE), 0);
}

static void expect_texts(const struct place *place, const char *expected)
{
    char joined[512] = "";
    for (size_t i = 0; i < json_array_size(place->news.lines); i++) {
        (void)strncat(joined, i == 0 ? "" : "|", sizeof joined - strlen(joined) - 1);
        (void)strncat(joined, json_string_value(json_array_get(place->news.lines, i)),
                      sizeof joined - strlen(joined) - 1);
    }
    assert_string_equal(joined, expected);
}

/* The lines that are new, with bars between them, and no note. */
static void expect(struct place *place, const char *expected)
{
    assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    expect_texts(place, expected);
    assert_string_equal(place->news.note, "");
}

static void expect_note(const struct place *place, const char *part)
{
    if (strstr(place->news.note, part) == NULL) {
        fail_msg("\"%s\" instead of \"%s\"", place->news.note, part);
    }
}

/* The first line that is not the one expected; NULL: there is none. */
static const char *wrong_number(struct place *place)
{
    for (size_t i = 0; i < json_array_size(place->news.lines); i++) {
        const char *line = json_string_value(json_array_get(place->news.lines, i));
        if (strncmp(line, "line ", 5) != 0 || strtoul(line + 5, NULL, 10) != place->expected) {
            return line;
        }
        place->expected++;
    }
    return NULL;
}

static void check_numbers(struct place *place)
{
    const char *line = wrong_number(place);
    if (line != NULL) {
        fail_msg("after line %u comes %.60s", place->expected - 1, line);
    }
}

static unsigned first_number(const struct place *place)
{
    const char *line = json_string_value(json_array_get(place->news.lines, 0));
    assert_non_null(line);
    return (unsigned)strtoul(line + strcspn(line, " "), NULL, 10);
}

/* All numbered lines that were written are told. */
static void expect_numbers(struct place *place)
{
    do {
        assert_int_equal(take(place, false, 0, NO_SINCE), 0);
        assert_string_equal(place->news.note, "");
        check_numbers(place);
    } while (place->news.more);
    assert_int_equal(place->expected, place->written);
}

/* ---- growth ---- */

static void lines_come_once_and_in_order(void **state)
{
    struct place *place = *state;
    append(place, "one\ntwo\nthree\n");
    begin(place, 2);
    expect_texts(place, "two|three");
    expect(place, "");
    append(place, "four\n\nsix\r\n");
    expect(place, "four||six");
    expect(place, "");
    begin(place, 0);
    expect_texts(place, "");
    append(place, "seven\n");
    expect(place, "seven");
}

static void a_line_in_two_halves_is_one(void **state)
{
    struct place *place = *state;
    append(place, "one\nha");
    begin(place, 9);
    expect_texts(place, "one");
    expect(place, "");
    append(place, "lf");
    expect(place, "");
    append(place, "\nnext\nun");
    expect(place, "half|next");
    append(place, "done\n");
    expect(place, "undone");
}

static void what_does_not_fit_comes_the_next_time(void **state)
{
    struct place *place = *state;
    append(place, "");
    begin(place, 9);
    append_numbers(place, (size_t)5 * FOLLOW_BYTES_MAX);
    assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    assert_true(place->news.more);
    check_numbers(place);
    assert_true(place->expected > 0 && place->expected <= LINES_MAX);
    expect_numbers(place);
    assert_false(place->news.more);
}

static void long_lines_are_cut(void **state)
{
    struct place *place = *state;
    size_t length = (size_t)3 * FOLLOW_BYTES_MAX;
    char *text = malloc(length);
    assert_non_null(text);
    memset(text, 'x', length);
    append(place, "one\n");
    begin(place, 9);
    append_bytes(place, text, TAIL_LINE_MAX);
    append(place, "\n");
    append_bytes(place, text, TAIL_LINE_MAX + 1);
    append(place, "\n");
    assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    assert_int_equal(json_array_size(place->news.lines), 2);
    assert_int_equal(json_string_length(json_array_get(place->news.lines, 0)), TAIL_LINE_MAX);
    const char *cut = json_string_value(json_array_get(place->news.lines, 1));
    assert_int_equal(strlen(cut), TAIL_LINE_MAX + strlen(FOLLOW_CUT));
    assert_string_equal(cut + TAIL_LINE_MAX, FOLLOW_CUT);
    /* Without an end in sight, over several answers. */
    append_bytes(place, text, length);
    assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    assert_int_equal(json_array_size(place->news.lines), 1);
    while (place->news.more) {
        assert_int_equal(take(place, false, 0, NO_SINCE), 0);
        assert_int_equal(json_array_size(place->news.lines), 0);
    }
    append(place, "end\nnext\n");
    expect(place, "next");
    /* Nor when it begins within such a line. */
    append_bytes(place, text, length);
    begin(place, 9);
    append(place, "end\nlast\n");
    expect(place, "last");
    free(text);
}

static void bytes_that_are_no_text_are_mended(void **state)
{
    struct place *place = *state;
    append(place, "one\n");
    begin(place, 0);
    append_bytes(place,
                 "a\0b\nc\xff\xfe"
                 "d\n\x80\n",
                 11);
    assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    assert_int_equal(json_array_size(place->news.lines), 3);
    assert_string_equal(json_string_value(json_array_get(place->news.lines, 0)), "a?b");
    append(place, "after\n");
    expect(place, "after");
}

static void a_file_that_comes_later_is_told_whole(void **state)
{
    struct place *place = *state;
    assert_int_equal(take(place, true, 9, NO_SINCE), ERR_NOTFOUND);
    assert_int_equal(take(place, false, 0, NO_SINCE), ERR_NOTFOUND);
    append(place, "one\ntwo\n");
    expect(place, "one|two");
    /* Made since the follower began: all of it, however few lines are asked for. */
    if (tells_birth(place)) {
        assert_int_equal(take(place, true, 1, 0), 0);
        expect_texts(place, "one|two");
    }
    begin(place, 1);
    expect_texts(place, "two");
}

static void a_file_that_was_cut_before_is_not_whole(void **state)
{
    struct place *place = *state;
    assert_int_equal(take(place, true, 9, NO_SINCE), ERR_NOTFOUND);
    append_numbers(place, 30000);
    place->expected = place->written;
    cut_head(place);
    append_numbers(place, 100);
    assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    expect_note(place, "rotated before it was read");
    check_numbers(place);
    expect_numbers(place);
    if (tells_birth(place)) {
        assert_int_equal(take(place, true, 1, 0), 0);
        expect_note(place, "rotated before it was read");
    }
}

/* ---- rotation by us ---- */

static void a_cut_loses_no_line(void **state)
{
    struct place *place = *state;
    append(place, "");
    begin(place, 9);
    append_numbers(place, 30000);
    expect_numbers(place);
    cut_head(place); /* all was read */
    expect_numbers(place);
    append_numbers(place, 10000);
    expect_numbers(place);
    append_numbers(place, 200000);
    cut_head(place); /* nothing of that was read */
    append_numbers(place, 500);
    expect_numbers(place);
    for (int i = 0; i < 3; i++) {
        append_numbers(place, 20000);
        cut_head(place); /* several before it is read */
    }
    expect_numbers(place);
}

static void a_cut_in_the_midst_of_reading_loses_no_line(void **state)
{
    struct place *place = *state;
    append(place, "");
    begin(place, 9);
    append_numbers(place, 150000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(take(place, false, 0, NO_SINCE), 0);
        check_numbers(place);
        assert_true(place->news.more);
        append_numbers(place, 7000);
        cut_head(place);
    }
    expect_numbers(place);
}

static void what_a_cut_took_and_nobody_kept_is_said(void **state)
{
    struct place *place = *state;
    append(place, "");
    begin(place, 9);
    append_numbers(place, (size_t)3 * CUTS_TAIL_BYTES);
    cut_head(place);
    append_numbers(place, 100);
    assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    expect_note(place, "rotated before all was read");
    place->expected =
        (unsigned)strtoul(json_string_value(json_array_get(place->news.lines, 0)) + 5, NULL, 10);
    assert_true(place->expected > 0);
    check_numbers(place);
    expect_numbers(place);
}

/* Somebody writes and cuts all the time. He waits for the follower now and then, since no more than
 * CUTS_TAIL_BYTES are kept. */
struct busy {
    struct place *place;
    atomic_uint told;
    atomic_bool failed; /* to follow */
    atomic_bool over;
    unsigned written;
    int rc; /* of a cut */
};

static void *write_and_cut(void *context)
{
    struct busy *busy = context;
    struct place place = {.handle = busy->place->handle, .cuts = busy->place->cuts, .cut = 100};
    memcpy(place.path, busy->place->path, sizeof place.path);
    atomic_init(&place.may, true);
    for (size_t i = 0; i < 300 && busy->rc == 0 && !atomic_load(&busy->failed); i++) {
        append_numbers(&place, 1000 + i % 7 * 1000);
        busy->rc = i % 3 == 0 ? cut_once(&place, NULL) : 0;
        while (place.written - atomic_load(&busy->told) > 5000 && !atomic_load(&busy->failed)) {
            (void)sched_yield();
        }
    }
    busy->written = place.written;
    atomic_store(&busy->over, true);
    return NULL;
}

static void cuts_of_another_thread_lose_no_line(void **state)
{
    struct place *place = *state;
    struct busy busy = {.place = place};
    pthread_t thread;
    const char *wrong = NULL;
    append_numbers(place, 10000);
    cut_head(place); /* skips where that cannot be */
    assert_int_equal(unlink(place->path), 0);
    append(place, "");
    begin(place, 0);
    assert_int_equal(pthread_create(&thread, NULL, write_and_cut, &busy), 0);
    while (!atomic_load(&busy.over)) {
        int rc = take(place, false, 0, NO_SINCE);
        wrong = rc != 0                       ? "an error"
                : place->news.note[0] != '\0' ? place->news.note
                                              : wrong_number(place);
        atomic_store(&busy.told, place->expected);
        if (wrong != NULL) {
            atomic_store(&busy.failed, true);
            break;
        }
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (wrong != NULL) {
        fail_msg("after line %u comes %.100s", place->expected - 1, wrong);
    }
    assert_int_equal(busy.rc, 0);
    place->written = busy.written;
    expect_numbers(place);
}

static void while_it_is_cut_the_follower_waits(void **state)
{
    struct place *place = *state;
    append(place, "one\n");
    begin(place, 9);
    append(place, "two\n");
    cuts_lock(place->cuts);
    expect(place, "");
    assert_int_equal(take(place, true, 9, NO_SINCE), ERR_BUSY);
    cuts_unlock(place->cuts);
}

/* ---- a new manager ---- */

static void a_new_manager_goes_on(void **state)
{
    struct place *place = *state;
    append(place, "");
    begin(place, 9);
    append_numbers(place, 30000);
    expect_numbers(place);
    begin_anew(place);
    append_numbers(place, 1000);
    expect_numbers(place);
    append_numbers(place, 1000);
    expect_numbers(place);
    cut_head(place); /* of which it knows */
    append_numbers(place, 1000);
    expect_numbers(place);
    begin_anew(place); /* with a filling at the head */
    append_numbers(place, 5000);
    expect_numbers(place);
}

/* The lines behind the place have moved, and how far is not known. */
static void a_new_manager_finds_the_place_again(void **state)
{
    struct place *place = *state;
    append(place, "");
    begin(place, 9);
    append_numbers(place, 30000);
    append(place, "line "); /* the cut leaves it */
    expect_numbers(place);
    struct cursor before = place->cursor;
    unsigned unread = place->expected;
    cut_head(place);
    char rest[64];
    (void)snprintf(rest, sizeof rest, "%u\n", place->written++);
    append(place, rest);
    append_numbers(place, 20000);
    expect_numbers(place); /* the place is in the file now, behind the cut */
    struct cursor after = place->cursor;
    unsigned expected = place->expected;
    begin_anew(place);
    append_numbers(place, 100);
    expect_numbers(place);
    /* A cut by somebody else, of whole blocks before the place. */
    begin_anew(place);
    place->cursor = after;
    place->cursor.position += INT64_C(5) * 65536;
    place->expected = expected;
    expect_numbers(place);
    /* The place of before the cut is gone with it: that is said, and nothing is told twice. */
    begin_anew(place);
    place->cursor = before;
    assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    expect_note(place, "was rotated meanwhile");
    place->expected = first_number(place);
    assert_int_equal(place->expected, unread);
    check_numbers(place);
    expect_numbers(place);
}

static void lines_that_repeat_are_no_proof(void **state)
{
    struct place *place = *state;
    append(place, "");
    begin(place, 9);
    for (int i = 0; i < 1000; i++) {
        append(place, "still alive\n");
    }
    do {
        assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    } while (place->news.more);
    begin_anew(place);
    append(place, "still alive\n");
    assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    expect_texts(place, "still alive");
    expect_note(place, "its lines repeat");
    append(place, "dying\n");
    expect(place, "dying");
}

/* ---- rotation by others ---- */

static void an_emptied_file_begins_anew(void **state)
{
    struct place *place = *state;
    append(place, "one\ntwo\n");
    begin(place, 9);
    assert_int_equal(truncate(place->path, 0), 0);
    assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    expect_note(place, "was emptied");
    expect(place, "");
    append(place, "three\n");
    expect(place, "three");
    /* It has grown past the place meanwhile. */
    assert_int_equal(truncate(place->path, 0), 0);
    append(place, "four is a longer line than those before\n");
    assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    expect_note(place, "was emptied");
    expect_texts(place, "four is a longer line than those before");
    expect(place, "");
    /* Right after it was rotated. */
    append_numbers(place, 10000);
    do {
        assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    } while (place->news.more);
    cut_head(place);
    assert_int_equal(truncate(place->path, 0), 0);
    assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    expect_note(place, "was emptied");
    append(place, "five\n");
    expect(place, "five");
    /* And somebody else who begins then. */
    append_numbers(place, 10000);
    cut_head(place);
    assert_int_equal(truncate(place->path, 0), 0);
    begin(place, 9);
    append(place, "six\n");
    expect(place, "six");
    append_numbers(place, 10000);
    cut_head(place);
    assert_int_equal(unlink(place->path), 0);
    place->cursor = (struct cursor){.path = place->cursor.path};
    append(place, "seven\n"); /* perhaps with the same inode */
    expect(place, "seven");
    expect(place, "");
}

static void a_renamed_file_is_read_to_its_end(void **state)
{
    struct place *place = *state;
    append(place, "one\n");
    begin(place, 9);
    append(place, "two\n");
    move_away(place, "x.log.1");
    expect(place, "two"); /* there is no new one yet */
    int old = openat(place->handle, "x.log.1", O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(old >= 0);
    assert_int_equal(write(old, "three\n", 6), 6);
    append(place, ""); /* made by who rotates; nobody writes to it yet */
    expect(place, "three");
    assert_int_equal(write(old, "four\nfive", 9), 9);
    (void)close(old);
    append(place, "six\n");
    expect(place, "four|five");
    assert_true(place->news.more);
    expect(place, "six");
    append(place, "seven\n");
    expect(place, "seven");
}

static void a_file_that_is_gone_is_said(void **state)
{
    struct place *place = *state;
    append(place, "one\n");
    begin(place, 9);
    append(place, "two\n");
    assert_int_equal(unlink(place->path), 0);
    assert_int_equal(take(place, false, 0, NO_SINCE), ERR_NOTFOUND);
    append(place, "three\n"); /* perhaps with the same inode */
    assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    assert_string_not_equal(place->news.note, "");
    expect_texts(place, "three");
    expect(place, "");
}

/* ---- what must not be read ---- */

static void a_cursor_leads_to_no_other_file(void **state)
{
    struct place *place = *state;
    struct stat info;
    append(place, "secret\n");
    begin(place, 0);
    assert_int_equal(stat(place->path, &info), 0);
    move_away(place, "another");
    append(place, "one\n");
    place->cursor.position = 0;
    place->cursor.anchor_length = 0;
    assert_int_equal(take(place, false, 0, NO_SINCE), 0);
    expect_note(place, "was replaced");
    expect_texts(place, "one");
    struct follow follow = follow_of(place);
    struct follow_news news = {.lines = json_array()};
    follow.owner = geteuid() + 1;
    assert_int_equal(follow_go_on(&follow, &place->cursor, &news, NULL), ERR_DENIED);
    assert_int_equal(follow_begin(&follow, 9, NO_SINCE, &news, NULL), ERR_DENIED);
    follow.owner = geteuid();
    follow.path = "/dev/zero";
    assert_int_equal(follow_go_on(&follow, &place->cursor, &news, NULL), ERR_DENIED);
    assert_int_equal(json_array_size(news.lines), 0);
    json_decref(news.lines);
}

static void any_cursor_is_taken(void **state)
{
    struct place *place = *state;
    static const int64_t numbers[] = {0, 1, 4096, 1000000, CURSOR_POSITION_MAX};
    append_numbers(place, 9000);
    begin(place, 9);
    struct cursor good = place->cursor;
    for (size_t i = 0; i < 100; i++) {
        place->cursor = good;
        place->cursor.position = numbers[i % 5];
        place->cursor.cut = numbers[i / 5 % 5];
        place->cursor.life = i / 25 % 2 == 0 ? good.life : 1;
        place->cursor.anchor_length = i / 50 == 0 ? 0 : 1;
        assert_int_equal(take(place, false, 0, NO_SINCE), 0);
        do {
            assert_int_equal(take(place, false, 0, NO_SINCE), 0);
        } while (place->news.more);
        append(place, "next\n");
        expect(place, "next");
    }
}

static void cursors_survive_their_text(void **state)
{
    (void)state;
    char text[CURSOR_SIZE];
    struct cursor got;
    const struct cursor cursor = {.path = cursor_path_sum("/x"),
                                  .inode = UINT64_MAX,
                                  .born_ns = INT64_C(1800000000123456789),
                                  .life = 7,
                                  .position = CURSOR_POSITION_MAX,
                                  .cut = 4096,
                                  .anchor_length = CURSOR_ANCHOR_MAX,
                                  .anchor = cursor_sum("a", 1),
                                  .skipping = true};
    cursor_encode(&cursor, text);
    assert_int_equal(strlen(text), CURSOR_SIZE - 1);
    assert_int_equal(cursor_decode(text, &got, NULL), 0);
    assert_true(
        got.path == cursor.path && got.inode == cursor.inode && got.born_ns == cursor.born_ns &&
        got.life == cursor.life && got.position == cursor.position && got.cut == cursor.cut &&
        got.anchor_length == cursor.anchor_length && got.anchor == cursor.anchor && got.skipping);
    text[1] = '2';
    assert_int_equal(cursor_decode(text, &got, NULL), ERR_PROTO);
    text[1] = 'X';
    assert_int_equal(cursor_decode(text, &got, NULL), ERR_PROTO);
    assert_int_equal(cursor_decode("", &got, NULL), ERR_PROTO);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(lines_come_once_and_in_order),
        TEST(a_line_in_two_halves_is_one),
        TEST(what_does_not_fit_comes_the_next_time),
        TEST(long_lines_are_cut),
        TEST(bytes_that_are_no_text_are_mended),
        TEST(a_file_that_comes_later_is_told_whole),
        TEST(a_file_that_was_cut_before_is_not_whole),
        TEST(a_cut_loses_no_line),
        TEST(a_cut_in_the_midst_of_reading_loses_no_line),
        TEST(what_a_cut_took_and_nobody_kept_is_said),
        TEST(cuts_of_another_thread_lose_no_line),
        TEST(while_it_is_cut_the_follower_waits),
        TEST(a_new_manager_goes_on),
        TEST(a_new_manager_finds_the_place_again),
        TEST(lines_that_repeat_are_no_proof),
        TEST(an_emptied_file_begins_anew),
        TEST(a_renamed_file_is_read_to_its_end),
        TEST(a_file_that_is_gone_is_said),
        TEST(a_cursor_leads_to_no_other_file),
        TEST(any_cursor_is_taken),
        cmocka_unit_test(cursors_survive_their_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
