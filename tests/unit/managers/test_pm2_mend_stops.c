/* What mending stopped is remembered for its start, also by the manager's next life. */
#include "managers/pm2/mend/stops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HOME "/home/x/.pm2"
#define WALL_MS INT64_C(1795358560862)

static char folder[64];
static char path[80];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/test-mend-stops-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/mending", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static struct stop stop_of(int64_t pm_id, const char *name, int64_t started_ms)
{
    struct stop stop = {.pm_id = pm_id, .started_wall_ms = started_ms, .stopped_wall_ms = WALL_MS};
    (void)snprintf(stop.home, sizeof stop.home, "%s", HOME);
    (void)snprintf(stop.name, sizeof stop.name, "%s", name);
    return stop;
}

static bool has(struct stops *self, int64_t pm_id, const char *name, int64_t started_ms)
{
    struct stop stop = stop_of(pm_id, name, started_ms);
    return stops_has(self, &stop);
}

static void next_life_goes_on(void **state)
{
    (void)state;
    static struct stops self;
    static struct stops next;
    struct stop worker = stop_of(3, "worker \"x\"", 77);
    struct stop other = stop_of(4, "other", 78);
    stops_open(&self, folder, WALL_MS);
    stops_add(&self, &worker);
    stops_add(&self, &other);
    stops_drop_named(&self, HOME, "other");
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    stops_open(&next, folder, WALL_MS + STOPS_KEEP_MS - 1);
    assert_true(has(&next, 3, "worker \"x\"", 77));
    assert_false(has(&next, 4, "other", 78));
    stops_drop(&next, HOME, 3);
    stops_open(&self, folder, WALL_MS);
    assert_false(has(&self, 3, "worker \"x\"", 77));
}

static void another_row_of_that_id_is_not_ours(void **state)
{
    (void)state;
    static struct stops self;
    struct stop worker = stop_of(3, "worker", 77);
    stops_open(&self, folder, WALL_MS);
    stops_add(&self, &worker);
    assert_false(has(&self, 2, "worker", 77));
    assert_true(has(&self, 3, "worker", 77));
    assert_false(has(&self, 3, "worker", 78)); /* it was started since */
    assert_false(has(&self, 3, "worker", 77)); /* and so it is forgotten */
    stops_add(&self, &worker);
    assert_false(has(&self, 3, "another", 77));
    stops_add(&self, &worker);
    (void)snprintf(worker.home, sizeof worker.home, "/another");
    assert_false(stops_has(&self, &worker));
    assert_true(has(&self, 3, "worker", 77));
}

static void what_is_old_or_broken_is_not_believed(void **state)
{
    (void)state;
    static struct stops self;
    struct stop worker = stop_of(3, "worker", 77);
    stops_open(&self, folder, WALL_MS);
    stops_add(&self, &worker);
    stops_open(&self, folder, WALL_MS + STOPS_KEEP_MS);
    assert_false(has(&self, 3, "worker", 77));
    stops_open(&self, folder, WALL_MS - 1); /* the clock went back */
    assert_false(has(&self, 3, "worker", 77));
    static const char *const texts[] = {"", "{", "7", "[7,null,{}]",
                                        "[{\"home\":\"/x\",\"name\":\"worker\",\"pm_id\":-1}]"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        (void)fputs(texts[i], file);
        (void)fclose(file);
        stops_open(&self, folder, WALL_MS);
        for (size_t k = 0; k < STOPS_MAX; k++) {
            assert_false(self.rows[k].used);
        }
    }
}

static void room_has_an_end(void **state)
{
    (void)state;
    static struct stops self;
    stops_open(&self, NULL, WALL_MS);
    for (int64_t i = 0; i < STOPS_MAX; i++) {
        struct stop worker = stop_of(i, "worker", 77);
        assert_true(stops_has_room(&self));
        stops_add(&self, &worker);
    }
    assert_false(stops_has_room(&self));
    struct stop more = stop_of(STOPS_MAX, "worker", 77);
    stops_add(&self, &more);
    assert_false(stops_has(&self, &more));
    stops_drop(&self, HOME, 5);
    assert_true(stops_has_room(&self));
    assert_int_equal(access(path, F_OK), -1);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(next_life_goes_on),
        WITH_FOLDER(another_row_of_that_id_is_not_ours),
        WITH_FOLDER(what_is_old_or_broken_is_not_believed),
        WITH_FOLDER(room_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
