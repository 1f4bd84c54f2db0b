/* Cursors that come from whoever follows a log: as text, and then to go on in a file of ours. */
#include "managers/pm2/verbs/follow.h"
#include "node/base/invariant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TURNS_MAX 64

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/understudy-fuzz-follow-XXXXXX";
static struct cuts *cuts;

static void remove_file(void)
{
    (void)unlink(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    cuts = cuts_create(1);
    invariant(file != NULL && cuts != NULL && atexit(remove_file) == 0);
    for (int i = 0; i < 3000; i++) {
        (void)fprintf(file, "line %d\n", i);
    }
    invariant(fclose(file) == 0);
    return 0;
}

/* It ends, whatever the cursor says. */
static void go_on(const struct cursor *cursor)
{
    const struct follow follow = {
        .path = path, .owner = geteuid(), .cuts = cuts, .now_ms = 1, .lines_max = 1000};
    struct follow_news news = {.cursor = *cursor, .lines = json_array(), .more = true};
    for (int i = 0; news.more; i++) {
        struct cursor from = news.cursor;
        invariant(i < TURNS_MAX);
        (void)json_array_clear(news.lines);
        invariant(follow_go_on(&follow, &from, &news, NULL) == 0);
    }
    json_decref(news.lines);
}

/* As if it were of that file. */
static void go_on_there(struct cursor cursor)
{
    const struct follow follow = {.path = path, .owner = geteuid(), .cuts = cuts, .now_ms = 1};
    struct follow_news news = {.lines = json_array()};
    invariant(follow_begin(&follow, 0, INT64_MAX, &news, NULL) == 0);
    cursor.inode = news.cursor.inode;
    cursor.born_ns = news.cursor.born_ns;
    go_on(&cursor);
    cursor.life = news.cursor.life;
    go_on(&cursor);
    json_decref(news.lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    struct cursor cursor;
    if (text != NULL && cursor_decode(text, &cursor, NULL) == 0) {
        char again[CURSOR_SIZE];
        cursor_encode(&cursor, again);
        invariant(strcmp(again, text) == 0);
        invariant(cursor.position >= 0 && cursor.position <= CURSOR_POSITION_MAX);
        go_on(&cursor);
        go_on_there(cursor);
    }
    free(text);
    return 0;
}
