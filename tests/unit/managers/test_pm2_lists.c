/* Kept lists: what is kept of a row, what is a change, which list is wanted, and the files. */
#include "managers/pm2/daemon/request.h"
#include "managers/pm2/lists/saved.h"
#include "managers/pm2/lists/version.h"
#include "managers/pm2/revive/orphans.h"
#include "node/base/doc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A row as PM2 lists it: its environment stands in it twice. */
static json_t *pm2_row(int id, const char *name, const char *status)
{
    char pid_path[64];
    char unique_id[64];
    (void)snprintf(pid_path, sizeof pid_path, "/h/pids/%s-%d.pid", name, id);
    (void)snprintf(unique_id, sizeof unique_id, "u-%s-%d", name, id);
    json_t *row = json_pack("{si ss s{}}", "pm_id", id, "name", name, "pm2_env");
    (void)json_object_update_new(
        json_object_get(row, "pm2_env"),
        json_pack("{si ss ss ss ss ss ss ss ss ss ss si si sI si ss sn s{ss ss ss si}}", "pm_id",
                  id, "name", name, "status", status, "pm_exec_path", "/srv/app", "pm_cwd", "/srv",
                  "exec_mode", "fork_mode", "exec_interpreter", "none", "namespace", "default",
                  "pm_pid_path", pid_path, "pm_out_log_path", "/h/logs/o.log", "pm_err_log_path",
                  "/h/logs/e.log", "NODE_APP_INSTANCE", 0, "instances", 1, "created_at",
                  (json_int_t)1700000000000, "restart_time", 4, "SECRET", "s3cret", "cron", "env",
                  "SECRET", "s3cret", "unique_id", unique_id, "pm_id", "7", "NUMBER", 5));
    return row;
}

static json_t *list_of(int count, ...)
{
    json_t *list = json_array();
    va_list names;
    va_start(names, count);
    for (int i = 0; i < count; i++) {
        (void)json_array_append_new(list, pm2_row(i, va_arg(names, const char *), "online"));
    }
    va_end(names);
    return list;
}

static json_t *rows_of(json_t *list_take)
{
    json_t *rows = saved_from_list(list_take);
    json_decref(list_take);
    return rows;
}

static void keeps_what_prepare_needs(void **state)
{
    (void)state;
    json_t *rows = rows_of(list_of(1, "api"));
    const json_t *row = json_array_get(rows, 0);
    const json_t *kept = json_object_get(row, "app");
    assert_string_equal(saved_name(row), "api");
    assert_string_equal(saved_unique_id(row), "u-api-0");
    assert_null(json_object_get(kept, "SECRET")); /* in env, once */
    assert_null(json_object_get(kept, "restart_time"));
    json_t *app = saved_app(row);
    struct err err = {0};
    assert_int_equal(request_check_saved(app, &err), 0);
    const json_t *env = json_object_get(app, "env");
    assert_string_equal(doc_get_text(env, "SECRET", ""), "s3cret");
    assert_int_equal(doc_get_integer(env, "NUMBER", 0), 5);
    assert_null(json_object_get(env, "pm_id")); /* would take another entry's place */
    static const char *const never[] = {"pm_id", "instances", "created_at", "unique_id", "status"};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        assert_null(json_object_get(app, never[i]));
    }
    json_decref(app);
    json_decref(rows);
    rows = rows_of(json_pack("[o]", pm2_row(3, "idle", "stopped")));
    app = saved_app(json_array_get(rows, 0));
    assert_string_equal(doc_get_text(app, "status", ""), "stopped");
    assert_int_equal(request_check_saved(app, &err), 0);
    json_decref(app);
    json_decref(rows);
}

/* Each of these would end the daemon, or take the place of another entry. */
static void what_would_harm_pm2_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        const char *value; /* JSON; NULL: removed */
    } cases[] = {
        {"env", NULL},
        {"env", "[]"},
        {"env", "{\"pm_id\":\"1\"}"},
        {"pm_pid_path", NULL},
        {"pm_pid_path", "\"/x\""},
        {"pm_exec_path", "\"x\""},
        {"pm_exec_path", NULL},
        {"name", "\"\""},
        {"instances", "1"},
        {"pm_id", "0"},
        {"exec_mode", "\"x\""},
        {"status", "\"online\""},
        {"node_args", "\"-r\""},
        {"anything", "null"},
    };
    json_t *rows = rows_of(list_of(1, "api"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *app = saved_app(json_array_get(rows, 0));
        assert_int_equal(request_check_saved(app, NULL), 0);
        if (cases[i].value == NULL) {
            (void)json_object_del(app, cases[i].member);
        } else {
            (void)json_object_set_new(app, cases[i].member,
                                      json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        }
        struct err err = {0};
        if (request_check_saved(app, &err) != ERR_INVALID) {
            fail_msg("%s = %s was let through", cases[i].member, cases[i].value);
        }
        json_decref(app);
    }
    json_decref(rows);
}

static void ours_and_the_unusable_are_left_out(void **state)
{
    (void)state;
    json_t *list = list_of(3, "api", "backup", "broken");
    json_t *backup = json_object_get(json_array_get(list, 1), "pm2_env");
    (void)json_object_set_new(backup, "namespace", json_string("understudy"));
    (void)json_object_set_new(backup, "UNDERSTUDY_DUTY", json_string("pm2/backup"));
    (void)json_object_del(json_object_get(json_array_get(list, 2), "pm2_env"), "env");
    json_t *rows = rows_of(list);
    assert_int_equal(json_array_size(rows), 1);
    assert_string_equal(saved_name(json_array_get(rows, 0)), "api");
    json_decref(rows);
    assert_null(saved_from_list(json_true()));
}

struct change_case {
    const char *member; /* of pm2_env of the first row */
    const char *value;  /* JSON */
    const char *told;   /* NULL: no change */
};

static void what_changes_by_itself_is_no_change(void **state)
{
    (void)state;
    static const struct change_case cases[] = {
        {"restart_time", "9", NULL},
        {"pm_uptime", "1700000000001", NULL},
        {"status", "\"errored\"", NULL},
        {"axm_monitor", "{\"Heap\":{\"value\":1}}", NULL},
        {"pm_out_log_path", "\"/h/logs/o-0.log\"", NULL},
        {"pm_pid_path", "\"/h/pids/api-12.pid\"", NULL},
        {"unique_id", "\"other\"", NULL},
        {"status", "\"stopped\"", "stopped api"},
        {"args", "[\"x\"]", "~api"},
        {"SECRET", "\"new\"", "~api"},
        {"pm_exec_path", "\"/srv/other\"", "~api"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *list = list_of(2, "api", "web");
        json_t *before = saved_from_list(list);
        (void)json_object_set_new(json_object_get(json_array_get(list, 0), "pm2_env"),
                                  cases[i].member,
                                  json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        json_t *after = rows_of(list);
        json_t *changes = saved_changes(before, after, 10);
        const char *told = json_string_value(json_array_get(changes, 0));
        if ((told == NULL) != (cases[i].told == NULL) ||
            (told != NULL && strcmp(told, cases[i].told) != 0)) {
            fail_msg("%s: told %s", cases[i].member, told != NULL ? told : "nothing");
        }
        assert_int_equal(saved_same(before, after), cases[i].told == NULL);
        json_decref(changes);
        json_decref(before);
        json_decref(after);
    }
}

/* An app of a timetable stops and starts without a person. */
static void own_stops_are_no_change(void **state)
{
    (void)state;
    json_t *list = list_of(1, "job");
    json_t *pm2_env = json_object_get(json_array_get(list, 0), "pm2_env");
    (void)json_object_set_new(pm2_env, "autorestart", json_false());
    json_t *before = saved_from_list(list);
    uint64_t digest = saved_digest(list);
    (void)json_object_set_new(pm2_env, "status", json_string("stopped"));
    assert_true(saved_digest(list) != digest); /* it is kept all the same */
    json_t *after = rows_of(list);
    assert_true(saved_same(before, after));
    json_decref(before);
    json_decref(after);
}

static void digest_sees_what_is_kept(void **state)
{
    (void)state;
    json_t *list = list_of(2, "api", "web");
    uint64_t digest = saved_digest(list);
    json_t *pm2_env = json_object_get(json_array_get(list, 1), "pm2_env");
    (void)json_object_set_new(pm2_env, "restart_time", json_integer(77));
    (void)json_object_set_new(json_array_get(list, 1), "pid", json_integer(77));
    assert_true(saved_digest(list) == digest);
    (void)json_object_set_new(json_object_get(pm2_env, "env"), "SECRET", json_string("t"));
    assert_true(saved_digest(list) != digest);
    json_decref(list);
}

static void several_of_one_name_are_counted(void **state)
{
    (void)state;
    json_t *wanted = rows_of(list_of(4, "api", "api", "api", "web"));
    json_t *present = rows_of(list_of(2, "api", "api"));
    json_t *missing = saved_missing(wanted, present);
    assert_int_equal(json_array_size(missing), 2);
    json_t *changes = saved_changes(wanted, present, 1);
    assert_int_equal(json_array_size(changes), 2);
    assert_string_equal(json_string_value(json_array_get(changes, 0)), "-api");
    assert_string_equal(json_string_value(json_array_get(changes, 1)), "and 1 more");
    json_decref(changes);
    json_decref(missing);
    json_decref(wanted);
    json_decref(present);
}

/* ---- which list is wanted ---- */

/* "ab": a list with the entries a and b. */
static json_t *list_text(const char *names)
{
    json_t *list = json_array();
    for (int i = 0; names[i] != '\0'; i++) {
        const char name[2] = {names[i], '\0'};
        (void)json_array_append_new(list, pm2_row(i, name, "online"));
    }
    return rows_of(list);
}

static const char *wanted_text(const struct wanted *wanted)
{
    static char text[32];
    size_t length = 0;
    for (size_t i = 0; i < json_array_size(wanted->rows) && i < sizeof text - 1; i++) {
        text[length++] = saved_name(json_array_get(wanted->rows, i))[0];
    }
    text[length] = '\0';
    return text;
}

struct moment {
    int64_t at_ms;
    uint64_t life;
    const char *list; /* NULL: the daemon was ended by a person; "save": and by pm2 save */
    const char *wanted;
    enum wanted_loss loss;
};

static void play(const char *what, const struct moment *moments, size_t count)
{
    struct wanted wanted = {0};
    for (size_t i = 0; i < count; i++) {
        const struct moment *moment = &moments[i];
        if (moment->list == NULL) {
            wanted_tidied(&wanted);
        } else if (strcmp(moment->list, "save") == 0) {
            wanted_meant(&wanted);
        } else {
            json_t *rows = list_text(moment->list);
            (void)wanted_take(&wanted, rows, moment->life, moment->at_ms);
            json_decref(rows);
        }
        if (strcmp(wanted_text(&wanted), moment->wanted) != 0 || wanted.loss != moment->loss) {
            fail_msg("%s, step %zu: wanted \"%s\" loss %d", what, i, wanted_text(&wanted),
                     (int)wanted.loss);
        }
    }
    wanted_deinit(&wanted);
}

#define PLAY(what, ...)                              \
    play(what, (const struct moment[]){__VA_ARGS__}, \
         sizeof((const struct moment[]){__VA_ARGS__}) / sizeof(struct moment))

static void rule_of_the_wanted_list(void **state)
{
    (void)state;
    PLAY("more is wanted at once", {0, 1, "a", "a", WANTED_WHOLE},
         {100, 1, "ab", "ab", WANTED_WHOLE});
    PLAY("never a list: an empty one is none", {0, 1, "", "", WANTED_WHOLE},
         {9000, 2, "", "", WANTED_WHOLE});
    PLAY("one by one, even the last", {0, 1, "abc", "abc", WANTED_WHOLE},
         {1000, 1, "bc", "abc", WANTED_WHOLE}, {6000, 1, "bc", "bc", WANTED_WHOLE},
         {7000, 1, "c", "bc", WANTED_WHOLE}, {12000, 1, "c", "c", WANTED_WHOLE},
         {13000, 1, "", "c", WANTED_WHOLE}, {18000, 1, "", "", WANTED_WHOLE});
    PLAY("emptied at once", {0, 1, "abc", "abc", WANTED_WHOLE}, {100, 1, "", "abc", WANTED_EMPTIED},
         {900000, 1, "", "abc", WANTED_EMPTIED});
    PLAY("emptied in quick steps", {0, 1, "abc", "abc", WANTED_WHOLE},
         {1000, 1, "bc", "abc", WANTED_WHOLE}, {4000, 1, "c", "abc", WANTED_WHOLE},
         {7000, 1, "", "abc", WANTED_EMPTIED}, {99000, 1, "", "abc", WANTED_EMPTIED});
    PLAY("emptied and filled anew", {0, 1, "ab", "ab", WANTED_WHOLE},
         {100, 1, "", "ab", WANTED_EMPTIED}, {1000, 1, "x", "abx", WANTED_WHOLE},
         {6000, 1, "x", "x", WANTED_WHOLE});
    PLAY("emptied, and meant", {0, 1, "ab", "ab", WANTED_WHOLE}, {100, 1, "", "ab", WANTED_EMPTIED},
         {200, 1, "save", "ab", WANTED_WHOLE}, {300, 1, "", "", WANTED_WHOLE});
    PLAY("another daemon without them", {0, 1, "abc", "abc", WANTED_WHOLE},
         {9000, 2, "", "abc", WANTED_LOST}, {99000, 2, "", "abc", WANTED_LOST},
         {99500, 2, "c", "abc", WANTED_LOST}, {200000, 2, "cx", "abcx", WANTED_LOST},
         {200100, 2, "cxab", "cxab", WANTED_WHOLE});
    PLAY("another daemon, and meant", {0, 1, "ab", "ab", WANTED_WHOLE},
         {9000, 2, "b", "ab", WANTED_LOST}, {9100, 2, "save", "ab", WANTED_WHOLE},
         {9200, 2, "b", "b", WANTED_WHOLE});
    PLAY("a daemon that deletes before it ends", {0, 1, "abc", "abc", WANTED_WHOLE},
         {4000, 1, "bc", "abc", WANTED_WHOLE}, {6000, 1, "c", "abc", WANTED_WHOLE},
         {60000, 2, "", "abc", WANTED_LOST});
    PLAY("killed by a person, then another set", {0, 1, "ab", "ab", WANTED_WHOLE},
         {100, 1, NULL, "ab", WANTED_WHOLE}, {2000, 2, "x", "abx", WANTED_WHOLE},
         {20000, 2, "xa", "abx", WANTED_WHOLE}, {40000, 2, "xa", "xa", WANTED_WHOLE});
    PLAY("killed and resurrected", {0, 1, "ab", "ab", WANTED_WHOLE},
         {100, 1, NULL, "ab", WANTED_WHOLE}, {2000, 2, "", "ab", WANTED_WHOLE},
         {3000, 2, "ab", "ab", WANTED_WHOLE});
}

static void what_becomes_ours_is_left_out(void **state)
{
    (void)state;
    struct wanted wanted = {0};
    json_t *rows = list_text("abc");
    json_t *later = list_text("a");
    (void)wanted_take(&wanted, rows, 1, 0);
    (void)wanted_take(&wanted, later, 2, 1000); /* b and c are lost */
    assert_true(wanted_leave_out(&wanted, "b"));
    assert_false(wanted_leave_out(&wanted, "b"));
    assert_string_equal(wanted_text(&wanted), "ac");
    assert_int_equal(json_array_size(wanted.missing), 1);
    (void)wanted_take(&wanted, later, 2, 2000);
    assert_string_equal(wanted_text(&wanted), "ac");
    assert_int_equal(wanted.loss, WANTED_LOST);
    json_decref(rows);
    json_decref(later);
    wanted_deinit(&wanted);
}

/* ---- files ---- */

static char *text_of(const char *names, size_t *ret_length)
{
    struct version version = {.number = 12,
                              .wall_ms = 1700000000000,
                              .life = UINT64_C(0xfedcba9876543210),
                              .loss = WANTED_LOST,
                              .rows = list_text(names),
                              .changes = json_pack("[s]", "+a"),
                              .daemon = json_pack("{ss}", "node", "/usr/bin/node")};
    (void)snprintf(version.home, sizeof version.home, "/home/app/.pm2");
    (void)snprintf(version.boot_id, sizeof version.boot_id, "boot");
    char *text = version_text(&version);
    assert_non_null(text);
    version_deinit(&version);
    *ret_length = strlen(text);
    return text;
}

static void files_say_what_was_kept(void **state)
{
    (void)state;
    size_t length;
    char *text = text_of("ab", &length);
    struct version version;
    struct err err = {0};
    assert_int_equal(version_read(text, length, &version, &err), 0);
    assert_int_equal(version.number, 12);
    assert_true(version.life == UINT64_C(0xfedcba9876543210));
    assert_int_equal(version.loss, WANTED_LOST);
    assert_string_equal(version.home, "/home/app/.pm2");
    assert_int_equal(json_array_size(version.names), 2);
    assert_string_equal(doc_get_text(version.daemon, "node", ""), "/usr/bin/node");
    json_t *rows = list_text("ab");
    assert_int_equal(json_equal(rows, version.rows), 1);
    json_decref(rows);
    version_deinit(&version);
    assert_int_equal(version_read_head(text, length, &version, &err), 0);
    assert_null(version.rows);
    version_deinit(&version);
    free(text);
}

/* A file that a crash or a disk cut short, or changed, is never taken for a list. */
static void damaged_files_are_refused(void **state)
{
    (void)state;
    size_t length;
    char *text = text_of("ab", &length);
    for (size_t cut = 0; cut < length; cut++) {
        struct version version;
        struct err err = {0};
        assert_int_not_equal(version_read(text, cut, &version, &err), 0);
        assert_true(err.msg[0] != '\0');
        version_deinit(&version);
    }
    char *newer = strstr(text, "\"v\":1");
    assert_non_null(newer);
    newer[4] = '2';
    struct version version;
    struct err err = {0};
    assert_int_equal(version_read(text, length, &version, &err), ERR_UNSUPPORTED);
    version_deinit(&version);
    free(text);
}

/* ---- whose process it is ---- */

static void orphans_are_known_by_their_environment(void **state)
{
    (void)state;
    static const struct {
        const char *environment; /* pairs separated by | */
        bool is_it;
    } cases[] = {
        {"pm_id=0|name=api|unique_id=u-api-0", true},
        {"pm_id=5|name=renamed|unique_id=u-api-0", true},
        {"pm_id=0|name=api|PM2_HOME=/h|unique_id=of another life", false},
        {"pm_id=0|name=api|PM2_HOME=/h", true},
        {"pm_id=0|name=api|PM2_HOME=/other", false},
        {"pm_id=1|name=api|PM2_HOME=/h", false},
        {"pm_id=0|name=web|PM2_HOME=/h", false},
        {"pm_id=0|name=api", false},
        {"unique_id=u-api-0", false},
        {"pm_id=0|name=api|unique_id=u-api-0|UNDERSTUDY_DUTY=pm2/b", false},
        {"PATH=/bin", false},
        {"", false},
    };
    json_t *rows = rows_of(list_of(1, "api"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        size_t length = strlen(cases[i].environment);
        memcpy(text, cases[i].environment, length + 1);
        for (char *at = text; (at = strchr(at, '|')) != NULL;) {
            *at++ = '\0';
        }
        if (orphans_is_of(text, length, "/h", json_array_get(rows, 0)) != cases[i].is_it) {
            fail_msg("%s", cases[i].environment);
        }
    }
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_prepare_needs),
        cmocka_unit_test(what_would_harm_pm2_is_refused),
        cmocka_unit_test(ours_and_the_unusable_are_left_out),
        cmocka_unit_test(what_changes_by_itself_is_no_change),
        cmocka_unit_test(own_stops_are_no_change),
        cmocka_unit_test(digest_sees_what_is_kept),
        cmocka_unit_test(several_of_one_name_are_counted),
        cmocka_unit_test(rule_of_the_wanted_list),
        cmocka_unit_test(what_becomes_ours_is_left_out),
        cmocka_unit_test(files_say_what_was_kept),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(orphans_are_known_by_their_environment),
    };
    return cmocka_run_group_tests_name("pm2_lists", tests, NULL, NULL);
}
