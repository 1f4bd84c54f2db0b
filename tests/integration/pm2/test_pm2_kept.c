/* A home's kept list: what is wanted of it, who may read it, how many versions stay. */
#include "node/base/doc.h"
#include "tests/integration/pm2/revive_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static bool is_told_emptied(struct bench *bench)
{
    return scene_finding(bench, "pm2.emptied") != NULL;
}

static bool is_told_no_more(struct bench *bench)
{
    return scene_finding(bench, "pm2.emptied") == NULL;
}

static void emptied_list_is_told_and_not_wanted(void **state)
{
    struct bench *bench = *state;
    scene_start(bench, "sleeper", "sleeper.sh", scene_sleeper);
    scene_start(bench, "looper", "looper.sh", scene_looper);
    bench_start_manager(bench, scene_section());
    scene_wait_kept(bench, "sleeper looper");
    PM2(bench, "delete", "all");
    RUN_UNTIL(bench, is_told_emptied);
    assert_string_equal(doc_get_text(scene_finding(bench, "pm2.emptied"), "severity", ""),
                        "critical");
    scene_wait_kept(bench, "sleeper looper");
    bench_kill_god(bench);
    scene_revive(bench);
    assert_string_equal(scene_status_of(bench, "sleeper"), "online");
    (void)scene_only_process(bench, "looper");
    RUN_UNTIL(bench, is_told_no_more);
}

/* One after another is a person's wish, even the last. */
static void entries_deleted_one_by_one_are_wanted_no_more(void **state)
{
    struct bench *bench = *state;
    scene_start(bench, "sleeper", "sleeper.sh", scene_sleeper);
    scene_start(bench, "looper", "looper.sh", scene_looper);
    bench_start_manager(bench, scene_section());
    scene_wait_kept(bench, "sleeper looper");
    PM2(bench, "delete", "looper");
    scene_wait_kept(bench, "sleeper");
    PM2(bench, "delete", "sleeper");
    scene_wait_kept(bench, "");
    assert_null(scene_finding(bench, "pm2.emptied"));
}

static size_t read_whole(const char *path, char *ret, size_t size)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(ret, 1, size - 1, file);
    (void)fclose(file);
    ret[length] = '\0';
    return length;
}

/* Environments hold secrets: they are kept, for their owner alone, and told nowhere. */
static void kept_lists_are_their_owners_alone(void **state)
{
    struct bench *bench = *state;
    static char text[1 << 20];
    struct stat info;
    glob_t found;
    assert_int_equal(setenv("TOKEN_OF_TEST", "s3cret", 1), 0);
    scene_start(bench, "sleeper", "sleeper.sh", scene_sleeper);
    assert_int_equal(unsetenv("TOKEN_OF_TEST"), 0);
    bench_start_manager(bench, scene_section());
    scene_wait_kept(bench, "sleeper");
    assert_int_equal(scene_find_versions(bench, &found), 1);
    assert_int_equal(stat(found.gl_pathv[0], &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    (void)read_whole(found.gl_pathv[0], text, sizeof text);
    assert_non_null(strstr(text, "s3cret"));
    *strrchr(found.gl_pathv[0], '/') = '\0';
    assert_int_equal(stat(found.gl_pathv[0], &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    globfree(&found);
    char *told = json_dumps(bench->seen, 0);
    assert_null(strstr(told, "s3cret"));
    free(told);
    bench_command(bench, "pm2 backups");
    told = json_dumps(bench->reply, 0);
    assert_non_null(strstr(told, "sleeper"));
    assert_null(strstr(told, "s3cret"));
    free(told);
}

/* Versions 2 to 40 as copies of the first; the newest is cut short. */
static void multiply_versions(const char *first)
{
    static char text[1 << 20];
    size_t length = read_whole(first, text, sizeof text);
    char *number = strstr(text, "\"number\":1,");
    assert_non_null(number);
    for (int i = 2; i <= 40; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%.*s/%d", (int)(strrchr(first, '/') - first), first, i);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        (void)fprintf(file, "%.*s\"number\":%d,", (int)(number - text), text, i);
        size_t rest = length - (size_t)(number + 11 - text);
        (void)fwrite(number + 11, 1, i < 40 ? rest : rest / 2, file);
        (void)fclose(file);
    }
}

static bool has_restarted(struct bench *bench)
{
    return bench->ready == 2 && bench->seen != NULL && scene_is_up(bench);
}

static bool has_new_version(struct bench *bench)
{
    json_t *head = scene_newest_head(bench);
    const char *change = json_string_value(json_array_get(json_object_get(head, "changes"), 0));
    bool met = change != NULL && strcmp(change, "stopped sleeper") == 0;
    if (met) {
        assert_int_equal(doc_get_integer(head, "number", 0), 40); /* in the damaged one's place */
    }
    json_decref(head);
    return met;
}

static bool has_thirty_versions(struct bench *bench)
{
    glob_t found;
    size_t count = scene_find_versions(bench, &found);
    globfree(&found);
    return count == 30;
}

static void thirty_versions_are_kept(void **state)
{
    struct bench *bench = *state;
    glob_t found;
    scene_start(bench, "sleeper", "sleeper.sh", scene_sleeper);
    bench_start_manager(bench, scene_section());
    scene_wait_kept(bench, "sleeper");
    assert_int_equal(scene_find_versions(bench, &found), 1);
    multiply_versions(found.gl_pathv[0]);
    globfree(&found);
    json_decref(bench->seen);
    bench->seen = NULL;
    assert_int_equal(supervise_restart(bench->supervise, "pm2", NULL), 0);
    RUN_UNTIL(bench, has_restarted);
    PM2(bench, "stop", "sleeper");
    RUN_UNTIL(bench, has_new_version);
    RUN_UNTIL(bench, has_thirty_versions); /* the oldest goes after the newest is safe */
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(emptied_list_is_told_and_not_wanted),
        WITH_BENCH(entries_deleted_one_by_one_are_wanted_no_more),
        WITH_BENCH(kept_lists_are_their_owners_alone),
        WITH_BENCH(thirty_versions_are_kept),
    };
    return cmocka_run_group_tests_name("pm2_kept", tests, NULL, NULL);
}
