/* What PM2 makes of an ecosystem file, as tables. tests/integration/test_ecosystem.py compares the
 * same code with a real PM2. */
#include "managers/pm2/ecosystem/cron_pattern.h"
#include "managers/pm2/ecosystem/harmless.h"
#include "managers/pm2/ecosystem/js_value.h"
#include "managers/pm2/ecosystem/normalise.h"
#include "managers/pm2/ecosystem/places.h"
#include "managers/pm2/ecosystem/propose.h"
#include "managers/pm2/ecosystem/schema.h"
#include "node/base/doc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static json_t *from(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (value == NULL) {
        fail_msg("no JSON: %s", text);
    }
    return value;
}

/* ---- a host that is not there ---- */

static bool fake_exists(void *context, const char *path)
{
    (void)context;
    static const char *const paths[] = {"/srv/app",       "/srv/app/a.js", "/srv/app/b.py",
                                        "/srv/app/c.sh",  "/srv/app/prog", "/srv",
                                        "/srv/app/d.mjs", "/home/me"};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        if (strcmp(paths[i], path) == 0) {
            return true;
        }
    }
    return false;
}

static bool fake_is_program(void *context, const char *path)
{
    (void)context;
    static const char *const paths[] = {"/bin/bash", "/bin/sleep", "/bin/python3", "/bin/node"};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        if (strcmp(paths[i], path) == 0) {
            return true;
        }
    }
    return false;
}

static bool fake_is_binary(void *context, const char *path)
{
    (void)context;
    return strcmp(path, "/srv/app/prog") == 0 || strncmp(path, "/bin/", 5) == 0;
}

static bool fake_find_user(void *context, const char *name, struct world_user *ret)
{
    (void)context;
    *ret = (struct world_user){.uid = 1000, .gid = 100, .home = "/home/app"};
    return strcmp(name, "app") == 0 || strcmp(name, "1000") == 0;
}

static bool fake_find_group(void *context, const char *name, int64_t *ret_gid)
{
    (void)context;
    *ret_gid = 7;
    return strcmp(name, "team") == 0;
}

static const struct world world = {.exists = fake_exists,
                                   .is_program = fake_is_program,
                                   .is_binary = fake_is_binary,
                                   .find_user = fake_find_user,
                                   .find_group = fake_find_group,
                                   .path = "/bin::/usr/bin",
                                   .home = "/home/me",
                                   .user = "me",
                                   .pm2_home = "/home/me/.pm2",
                                   .node = "/bin/node",
                                   .root = true,
                                   .processors = 4};

/* The apps; *ret_findings is the caller's. */
static json_t *treat(const char *text, const char *env_name, json_t **ret_findings)
{
    struct report report;
    struct err err = {0};
    json_t *apps = NULL;
    json_t *exported = from(text);
    struct places *places = places_of(text, strlen(text));
    const struct normalise_input input = {
        .exported = exported, .folder = "/srv/app", .env_name = env_name, .world = &world};
    report_init(&report, "f.json");
    report.places = places;
    assert_int_equal(normalise(&input, &report, &apps, &err), 0);
    *ret_findings = report_take(&report);
    report_deinit(&report);
    places_destroy(&places);
    json_decref(exported);
    return apps;
}

static const json_t *find(const json_t *findings, const char *severity, const char *key)
{
    size_t index;
    json_t *row;
    json_array_foreach(findings, index, row)
    {
        const char *own = doc_get_text(row, "key", "");
        if (strcmp(doc_get_text(row, "severity", ""), severity) == 0 && strcmp(own, key) == 0) {
            return row;
        }
    }
    return NULL;
}

/* ---- apps ---- */

struct row {
    const char *app;      /* one app */
    const char *makes;    /* members that it must have; null: must not be there */
    const char *severity; /* of a finding about `key`; NULL: there is no warning and no error */
    const char *key;
};

static const struct row rows[] = {
    {"{'script': 'a.js'}",
     "{'name': 'a', 'starts': true, 'namespace': 'default', 'pm_exec_path': '/srv/app/a.js',"
     " 'pm_cwd': '/srv/app', 'exec_interpreter': 'node', 'exec_mode': 'fork_mode',"
     " 'instances': 1, 'merge_logs': true, 'autorestart': true, 'kill_retry_time': 100,"
     " 'pm_out_log_path': '/home/me/.pm2/logs/a-out.log',"
     " 'pm_pid_path': '/home/me/.pm2/pids/a-ID.pid', 'pm_log_path': null, 'script': null}",
     NULL, NULL},
    {"{'script': 'b.py'}", "{'exec_interpreter': 'python3', 'env': {'PYTHONUNBUFFERED': '1'}}",
     NULL, NULL},
    {"{'script': 'd.mjs'}", "{'exec_interpreter': '/bin/node'}", NULL, NULL},
    {"{'script': 'prog'}", "{'exec_interpreter': 'none'}", NULL, NULL},
    {"{'script': 'sleep', 'args': '5'}", "{'pm_exec_path': '/bin/sleep', 'args': ['5']}", NULL,
     NULL},
    {"{'script': 'c.sh', 'interpreter': 'ruby'}", "{'starts': false}", "error", "interpreter"},
    {"{'script': 'x.coffee', 'name': 'x'}", "{'starts': false}", "error", "script"},
    {"{'script': 'gone.js'}", "{'starts': false}", "error", "script"},
    {"{'name': 'x'}", "{'starts': false}", "error", "script"},
    {"{'exec': 'c.sh'}", "{'starts': false, 'name': null}", "error", "exec"},
    {"{'exec': 'c.sh', 'name': 'x'}", "{'starts': true}", NULL, NULL},
    {"{'cmd': 'c.sh'}", "{'starts': true, 'name': 'c', 'pm_exec_path': '/srv/app/c.sh'}", NULL,
     NULL},
    {"{'cmd': 'c.sh', 'script': 'a.js'}", "{'name': 'a'}", "warning", "cmd"},
    {"{'script': 'sleep 5', 'args': ['x']}",
     "{'name': 'sleep 5', 'pm_exec_path': '/bin/bash', 'args': ['-c', 'sleep 5']}", "warning",
     "args"},
    {"{'script': 'a.js', 'name': 'a_b c\xc3\xa9\xf0\x9f\x98\x80'}",
     "{'pm_err_log_path': '/home/me/.pm2/logs/a-b-c----error.log'}", NULL, NULL},
    /* words, sizes, times, numbers */
    {"{'script': 'a.js', 'args': '--a=\\'b c\\' \\'d e\\'  \\'\\' f'}",
     "{'args': ['--a=\\'b c\\'', 'd e', 'f']}", NULL, NULL},
    {"{'script': 'a.js', 'max_memory_restart': '300M', 'min_uptime': '5s'}",
     "{'max_memory_restart': 314572800, 'min_uptime': 5000}", NULL, NULL},
    {"{'script': 'a.js', 'max_memory_restart': '300MB'}", "{'starts': false}", "error",
     "max_memory_restart"},
    {"{'script': 'a.js', 'min_uptime': 99}", "{'starts': false}", "error", "min_uptime"},
    {"{'script': 'a.js', 'kill_timeout': '800'}", "{'kill_timeout': 800}", NULL, NULL},
    {"{'script': 'a.js', 'kill_timeout': '1.6s'}", "{'starts': false}", "error", "kill_timeout"},
    {"{'script': 'a.js', 'autorestart': 'no'}", "{'starts': false}", "error", "autorestart"},
    {"{'script': 'a.js', 'stop_exit_codes': [3]}", "{'stop_exit_codes': 3}", "warning",
     "stop_exit_codes"},
    {"{'script': 'a.js', 'stop_exit_codes': [1, 2]}", "{'stop_exit_codes': [1, 2]}", NULL, NULL},
    /* what is forgotten, and which spelling counts */
    {"{'script': 'a.js', 'max_restarts': 0}", "{'max_restarts': null}", "warning", "max_restarts"},
    {"{'script': 'a.js', 'restart_delay': 0}", "{'restart_delay': null}", NULL, NULL},
    {"{'script': 'a.js', 'maxRestarts': 4}", "{'max_restarts': 4}", NULL, NULL},
    {"{'script': 'a.js', 'max_restarts': 3, 'maxRestarts': 4}", "{'max_restarts': 3}", "warning",
     "maxRestarts"},
    {"{'script': 'a.js', 'autorestart': false}", "{'autorestart': false}", NULL, NULL},
    {"{'script': 'a.js', 'restart_dely': 5}", "{'restart_dely': null}", "warning", "restart_dely"},
    {"{'script': 'a.js', 'env_file': '.env'}", "{}", "warning", "env_file"},
    {"{'script': 'a.js', 'filter_env': true}", "{'filter_env': true}", "warning", "filter_env"},
    /* instances and modes */
    {"{'script': 'a.js', 'instances': 2}", "{'exec_mode': 'cluster_mode', 'instances': 2}", NULL,
     NULL},
    {"{'script': 'a.js', 'instances': 'max'}", "{'exec_mode': 'cluster_mode', 'instances': 4}",
     NULL, NULL},
    {"{'script': 'a.js', 'instances': -1}", "{'exec_mode': 'cluster_mode', 'instances': 3}", NULL,
     NULL},
    {"{'script': 'a.js', 'instances': -2}", "{'exec_mode': 'fork_mode', 'instances': 2}", "warning",
     "instances"},
    {"{'script': 'a.js', 'instances': 'two'}", "{'instances': 4}", "warning", "instances"},
    {"{'script': 'b.py', 'instances': 2}",
     "{'exec_mode': 'fork_mode', 'instances': 2,"
     " 'pm_out_log_path': '/home/me/.pm2/logs/b-out-ID.log'}",
     NULL, NULL},
    {"{'script': 'b.py', 'exec_mode': 'cluster'}", "{'exec_mode': 'cluster_mode'}", "warning",
     "exec_mode"},
    {"{'script': 'a.js', 'exec_mode': 'Fork'}", "{'starts': false}", "error", "exec_mode"},
    /* files */
    {"{'script': 'a.js', 'out': '~/x.log', 'error': 'NULL', 'log': true}",
     "{'pm_out_log_path': '/home/me/x.log', 'pm_err_log_path': '/dev/null',"
     " 'pm_log_path': '/home/me/.pm2/logs/a.log', 'out_file': null}",
     NULL, NULL},
    {"{'script': 'a.js', 'instances': 1, 'out_file': 'x-12.log'}",
     "{'pm_out_log_path': '/srv/app/x-ID.log'}", "warning", "out_file"},
    {"{'script': '/srv/app/a.js', 'cwd': '/nowhere'}", "{'starts': true}", "error", "cwd"},
    {"{'script': 'app/a.js', 'cwd': '..'}", "{'pm_cwd': '/srv'}", NULL, NULL},
    /* users, cron */
    {"{'script': 'a.js', 'user': 'app'}", "{'uid': 1000, 'gid': 100, 'env': {'HOME': '/home/app'}}",
     NULL, NULL},
    {"{'script': 'a.js', 'uid': 1000, 'gid': 'team'}", "{'gid': 7}", NULL, NULL},
    {"{'script': 'a.js', 'uid': 'nobody'}", "{'starts': false}", "error", "uid"},
    {"{'script': 'a.js', 'gid': 'team'}", "{'starts': false}", "error", "gid"},
    {"{'script': 'a.js', 'cron_restart': '*/5 * * * *'}", "{'cron_restart': '*/5 * * * *'}", NULL,
     NULL},
    {"{'script': 'a.js', 'cron_restart': '60 * * * *'}", "{'starts': false}", "error",
     "cron_restart"},
    {"{'script': 'a.js', 'cron': 'never'}", "{'starts': false}", "error", "cron"},
    /* variables */
    {"{'script': 'a.js', 'env': {'A': 1, 'B': {'c': [1, 0.1, null]}, 'C': null}}",
     "{'env': {'A': 1, 'B': '{\\'c\\':[1,0.1,null]}', 'C': 'null'}}", "warning", "env/B"},
    {"{'script': 'a.js', 'port': 80, 'env': {'PORT': 81}}", "{'env': {'PORT': 80}}", "warning",
     "env/PORT"},
    {"{'script': 'a.js', 'env': {'name': 'z'}}", "{'name': 'z'}", "warning", "env/name"},
    {"{'script': 'a.js', 'env': {'a': 'z'}}", "{'env': {'a': '{}'}}", "warning", "env/a"},
    {"{'script': 'a.js', 'env': 'A=B'}", "{'starts': false}", "error", "env"},
    {"{'script': 'a.js', 'time': true, 'log_date_format': 'x'}",
     "{'log_date_format': 'YYYY-MM-DDTHH:mm:ss'}", "warning", "log_date_format"},
    {"{'script': 'a.js', 'args': {'\\u0001js': 'Function'}}", "{'starts': false}", "error", "args"},
    {"{'script': 5}", "{'starts': false}", "error", "script"},
    {"null", "{'starts': false}", "error", ""},
    {"'text'", "{'starts': false}", "error", ""},
};

/* Single quotes are double ones, so that the tables can be read; \' stays. */
static void quoted(const char *text, char ret[2048])
{
    size_t length = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] == '\\' && text[i + 1] == '\'') {
            ret[length++] = '\\';
            ret[length++] = '"';
            i++;
        } else {
            ret[length++] = (char)(text[i] == '\'' ? '"' : text[i]);
        }
    }
    ret[length] = '\0';
}

static void check_members(const char *what, const json_t *have, const char *text)
{
    char json[2048];
    quoted(text, json);
    json_t *wanted = from(json);
    const char *key;
    json_t *value;
    json_object_foreach(wanted, key, value)
    {
        const json_t *own = json_object_get(have, key);
        if (json_is_null(value) ? own != NULL && !json_is_null(own) : !json_equal(value, own)) {
            char *seen = own == NULL ? NULL : json_dumps(own, JSON_ENCODE_ANY);
            fail_msg("%s: %s is %s", what, key, seen == NULL ? "absent" : seen);
        }
    }
    json_decref(wanted);
}

static void apps_are_made_as_pm2_makes_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char app[2048];
        char file[2100];
        json_t *findings;
        quoted(rows[i].app, app);
        (void)snprintf(file, sizeof file, "{\"apps\": [%s]}", app);
        json_t *apps = treat(file, NULL, &findings);
        assert_int_equal(json_array_size(apps), 1);
        check_members(rows[i].app, json_array_get(apps, 0), rows[i].makes);
        if (rows[i].severity != NULL) {
            if (find(findings, rows[i].severity, rows[i].key) == NULL) {
                fail_msg("%s: no %s about %s", app, rows[i].severity, rows[i].key);
            }
        } else {
            size_t index;
            json_t *row;
            json_array_foreach(findings, index, row)
            {
                if (strcmp(doc_get_text(row, "severity", ""), "info") != 0) {
                    fail_msg("%s: %s", app, doc_get_text(row, "pm2", "?"));
                }
            }
        }
        json_decref(findings);
        json_decref(apps);
    }
}

static void one_refused_app_stops_the_whole_file(void **state)
{
    (void)state;
    json_t *findings;
    json_t *apps = treat("{\"apps\": [{\"script\": \"a.js\"}, {\"script\": \"c.sh\",\n"
                         " \"max_restarts\": -1}, {\"script\": \"gone\"}]}",
                         NULL, &findings);
    for (size_t i = 0; i < 3; i++) {
        assert_true(json_is_false(json_object_get(json_array_get(apps, i), "starts")));
    }
    const json_t *row = find(findings, "error", "max_restarts");
    assert_int_equal(doc_get_integer(row, "line", 0), 2);
    assert_int_equal(doc_get_integer(row, "column", 0), 2);
    assert_string_equal(doc_get_text(row, "app", ""), "c");
    assert_string_equal(doc_get_text(row, "file", ""), "f.json");
    json_decref(findings);
    json_decref(apps);
}

static void sections_lie_over_env_and_deploy_between(void **state)
{
    (void)state;
    json_t *findings;
    json_t *apps =
        treat("{\"apps\": [{\"script\": \"a.js\", \"env\": {\"A\": 1, \"B\": 1, \"C\": 1},"
              "\"env_x\": {\"C\": 3, \"D\": {}}}, {\"script\": \"c.sh\"}],"
              "\"deploy\": {\"x\": {\"env\": {\"B\": 2, \"C\": 2}}}}",
              "x", &findings);
    check_members("sections", json_array_get(apps, 0),
                  "{'env': {'A': 1, 'B': 2, 'C': 3, 'D': {}}}");
    assert_non_null(find(findings, "warning", "env_x/D"));
    assert_non_null(find(findings, "info", "deploy"));
    assert_non_null(find(findings, "warning", "")); /* the second app has no such section */
    json_decref(findings);
    json_decref(apps);
}

static void every_shape_of_the_top_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t apps;
        const char *severity;
        const char *key;
    } tops[] = {{"[{\"script\": \"a.js\"}]", 1, NULL, NULL},
                {"{\"script\": \"a.js\"}", 1, NULL, NULL},
                {"{\"apps\": {\"script\": \"a.js\"}}", 1, NULL, NULL},
                {"{\"pm2\": [{\"script\": \"a.js\"}]}", 1, NULL, NULL},
                {"{\"apps\": [{\"script\": \"a.js\"}], \"pm2\": []}", 1, "warning", "pm2"},
                {"{\"apps\": [{\"script\": \"a.js\"}], \"other\": 1}", 1, "warning", "other"},
                {"{\"apps\": []}", 0, "error", "apps"},
                {"{\"apps\": [], \"static\": [{\"port\": 80}]}", 1, "info", ""},
                {"{\"apps\": [], \"static\": {}}", 0, "error", "static"},
                {"{\"apps\": [{\"script\": \"a.js\"}, {\"script\": \"a.js\"}]}", 2, "warning", ""},
                {"{\"apps\": [{\"script\": \"a.js\", \"name\": \"x\", \"name\": \"y\"}]}", 1,
                 "warning", "apps/0/name"},
                {"null", 0, "error", ""},
                {"5", 1, "error", ""}};
    for (size_t i = 0; i < COUNT_OF(tops); i++) {
        json_t *findings;
        json_t *apps = treat(tops[i].text, NULL, &findings);
        if (json_array_size(apps) != tops[i].apps) {
            fail_msg("%s: %zu apps", tops[i].text, json_array_size(apps));
        }
        if (tops[i].severity != NULL && find(findings, tops[i].severity, tops[i].key) == NULL) {
            fail_msg("%s: no %s about %s", tops[i].text, tops[i].severity, tops[i].key);
        }
        json_decref(findings);
        json_decref(apps);
    }
}

static void there_is_a_bound_for_apps_and_findings(void **state)
{
    (void)state;
    json_t *findings;
    json_t *list = json_array();
    for (int i = 0; i < NORMALISE_APPS_MAX + 1; i++) {
        (void)json_array_append_new(list, json_pack("{s:i, s:i}", "script", 5, "what", 1));
    }
    char *text = json_dumps(list, 0);
    json_t *apps = treat(text, NULL, &findings);
    assert_int_equal(json_array_size(apps), NORMALISE_APPS_MAX);
    assert_int_equal(json_array_size(findings), REPORT_FINDINGS_MAX + 1);
    const json_t *last = json_array_get(findings, REPORT_FINDINGS_MAX);
    assert_non_null(strstr(doc_get_text(last, "pm2", ""), "more"));
    free(text);
    json_decref(list);
    json_decref(findings);
    json_decref(apps);
}

/* ---- JavaScript's ways ---- */

static void values_are_numbers_as_in_javascript(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool nan;
        double number; /* of parseFloat; NAN too */
    } values[] = {{"5", false, 5},
                  {"\"5\"", false, 5},
                  {"\" 5.5 \"", false, 5.5},
                  {"\"5s\"", true, 5},
                  {"\"\"", false, (double)NAN},
                  {"\"0x10\"", false, 0},
                  {"\"1e3\"", false, 1000},
                  {"\"-\"", true, (double)NAN},
                  {"[]", false, (double)NAN},
                  {"[7]", false, 7},
                  {"[[\"8\"]]", false, 8},
                  {"[1, 2]", true, 1},
                  {"{}", true, (double)NAN},
                  {"[true]", true, (double)NAN},
                  {"[null]", false, (double)NAN},
                  {"\".5\"", false, 0.5},
                  {"\"+1\"", false, 1},
                  {"\"Infinity\"", false, HUGE_VAL}};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        json_t *value = from(values[i].json);
        double number = js_float(value);
        if (js_is_nan(value) != values[i].nan ||
            (isnan(values[i].number) ? !isnan(number) : number != values[i].number)) {
            fail_msg("%s: %d %g", values[i].json, js_is_nan(value), number);
        }
        json_decref(value);
    }
}

static void texts_are_made_as_json_stringify_does(void **state)
{
    (void)state;
    static const char *const same[] = {"{\"a\":[1,0.1,null,true,\"x\"]}", "[]", "1.5",
                                       "\"\xc3\xa9\""};
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        json_t *value = from(same[i]);
        char *text = js_stringify(value);
        assert_string_equal(text, same[i]);
        free(text);
        json_decref(value);
    }
}

static void cron_patterns_are_taken_as_pm2_takes_them(void **state)
{
    (void)state;
    static const char *const good[] = {"* * * * *",   "*/5 0-23/2 1,15 jan-mar mon",
                                       "0 0 3 L * 7", "? ? ? ? ?",
                                       " 1 2 3 4 5 ", "1,,2 * * * *",
                                       "0 0 * * SUN"};
    static const char *const bad[] = {"",
                                      "* * * *",
                                      "60 * * * *",
                                      "* 24 * * *",
                                      "* * 0 * *",
                                      "* * * 13 *",
                                      "* * * * 8",
                                      "*/0 * * * *",
                                      "*/61 * * * *",
                                      "5-1 * * * *",
                                      "1-2,3 * * * *",
                                      "a * * * *",
                                      "* * * * * * *",
                                      "1-2-3 * * * *",
                                      "@daily"};
    struct err err = {0};
    bool once = true;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        if (cron_pattern_check(good[i], &once, &err) != 0 || once) {
            fail_msg("\"%s\" is refused: %s", good[i], err.msg);
        }
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (cron_pattern_check(bad[i], &once, &err) != ERR_INVALID) {
            fail_msg("\"%s\" is taken", bad[i]);
        }
    }
    assert_int_equal(cron_pattern_check("2030-01-01T03:00:00", &once, &err), 0);
    assert_true(once);
}

/* ---- small parts ---- */

static void paths_are_resolved_as_node_does(void **state)
{
    (void)state;
    static const struct {
        const char *folder;
        const char *path;
        const char *made;
    } paths[] = {{"/a/b", "c", "/a/b/c"}, {"/a/b", "../c", "/a/c"}, {"/a", "/x//y/./z/..", "/x/y"},
                 {"/", "../../..", "/"},  {"/a/b", ".", "/a/b"},    {"/a", "~/b", "/a/~/b"}};
    char made[WORLD_PATH_SIZE];
    const char *base;
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        assert_true(world_resolve(paths[i].folder, paths[i].path, made));
        assert_string_equal(made, paths[i].made);
    }
    assert_int_equal(world_basename("a/b//", &base), 1);
    assert_int_equal(*base, 'b');
    assert_true(world_which(&world, "/", "sleep", made));
    assert_string_equal(made, "/bin/sleep");
    assert_false(world_which(&world, "/", "gone", made));
}

static void places_are_told_with_line_and_column(void **state)
{
    (void)state;
    static const char text[] = "{\n \"apps\": [\n  {\"a\\\"b\": 1, \"x\": [2,\n 3]},\n  {\"x\": 1,"
                               " \"x\": 2}\n]}";
    static const struct {
        const char *path;
        unsigned line;
        unsigned column;
    } wanted[] = {{"", 1, 1},
                  {"/apps", 2, 2},
                  {"/apps/0", 3, 3},
                  {"/apps/0/x", 3, 15},
                  {"/apps/0/x/1", 4, 2},
                  {"/apps/1/x", 5, 12},
                  {"/apps/1/none", 5, 3}};
    struct places *places = places_of(text, strlen(text));
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        struct place place;
        places_find(places, wanted[i].path, &place);
        if (place.line != wanted[i].line || place.column != wanted[i].column) {
            fail_msg("%s: %u:%u", wanted[i].path, place.line, place.column);
        }
    }
    assert_string_equal(places_doubled(places, 0), "/apps/1/x");
    assert_null(places_doubled(places, 1));
    places_destroy(&places);
}

static void only_harmless_variables_are_shown(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *json;
        bool shown;
    } variables[] = {{"NODE_ENV", "\"production\"", true},
                     {"PORT", "8080", true},
                     {"PORT", "\"8080\"", true},
                     {"LOG_LEVEL", "\"info\"", true},
                     {"VERBOSE", "true", true},
                     {"TZ", "\"Europe/Berlin\"", true},
                     {"DATA", "\"/srv/app/data\"", true},
                     {"DATA", "\"/alone\"", false},
                     {"DATA", "\"/a/b+c==\"", false},
                     {"API_KEY", "\"true\"", false},
                     {"PIN", "1234", false},
                     {"DB_PASSWORD", "\"x\"", false},
                     {"SOMETHING", "\"tops3cret\"", false},
                     {"DATABASE_URL", "\"postgres://u:p@h/d\"", false},
                     {"NODE_ENV", "\"a secret with blanks\"", false},
                     {"ACCOUNT", "123456789", false},
                     {"NESTED", "{\"a\": 1}", false}};
    for (size_t i = 0; i < COUNT_OF(variables); i++) {
        json_t *value = from(variables[i].json);
        if (harmless(variables[i].name, value) != variables[i].shown) {
            fail_msg("%s=%s", variables[i].name, variables[i].json);
        }
        json_decref(value);
    }
    json_t *app =
        from("{\"env\": {\"A_TOKEN\": \"x\", \"MODE\": \"y\"}, \"env_p\": {\"B\": \"zz\"},"
             "\"io\": {\"secret\": \"s\"}}");
    harmless_hide(app);
    json_t *wanted =
        from("{\"env\": {\"MODE\": \"y\"}, \"env_p\": {}, \"hidden\": [\"env/A_TOKEN\","
             "\"env_p/B\", \"io\"]}");
    assert_true(json_equal(app, wanted));
    json_decref(app);
    json_decref(wanted);
}

/* ---- proposals ---- */

struct proposal {
    const char *app;
    const char *state;
    const char *primary; /* NULL: none */
    size_t backups;
    const char *first; /* members of the first backup */
};

static const struct proposal proposals[] = {
    {"{'name': 'w', 'pm_exec_path': '/a/b.js', 'pm_cwd': '/a', 'exec_interpreter': '/usr/bin/node',"
     " 'max_memory_restart': 1048577, 'env': {'MODE': 'x', 'API_KEY': 'y'}}",
     "proposed", "{'name': 'w', 'memory': '2MB'}", 2,
     "{'name': 'w-backup', 'stands_in_for': 'w', 'tier': 'standard', 'script': 'b.js', 'cwd': '/a',"
     " 'interpreter': null, 'max_restarts': 15, 'exp_backoff': '100ms', 'env': {'MODE': 'x'}}"},
    {"{'name': 'w', 'pm_exec_path': '/bin/x.py', 'exec_interpreter': 'none', 'max_restarts': 3,"
     " 'restart_delay': 50, 'kill_timeout': 3000}",
     "proposed", "{'name': 'w'}", 2,
     "{'interpreter': 'none', 'max_restarts': 3, 'restart_delay': '50ms', 'exp_backoff': null,"
     " 'kill_timeout': null}"},
    {"{'name': 'w', 'pm_exec_path': '/a/b.js', 'exec_interpreter': 'node', 'node_args': ['-x'],"
     " 'args': ['y']}",
     "proposed", "{'name': 'w'}", 2, "{'script': 'node', 'args': ['-x', '/a/b.js', 'y']}"},
    {"{'name': 'w', 'pm_exec_path': '/a/b.js', 'args': ['--password=x']}", "proposed",
     "{'name': 'w'}", 2, "{'args': null}"},
    {"{'name': 'w', 'pm_exec_path': '/a/b', 'cron_restart': '0 3 * * *', 'autorestart': false}",
     "proposed", NULL, 1,
     "{'name': 'w-cron-backup', 'mode': 'cron', 'cron': '0 3 * * *', 'zone': 'Europe/Berlin',"
     " 'stands_in_for': null, 'max_restarts': null, 'exp_backoff': null}"},
    {"{'name': 'w', 'pm_exec_path': '/a/b', 'cron_restart': '0 0 3 * * *', 'autorestart': false}",
     "left_out", NULL, 0, NULL},
    {"{'name': 'w', 'pm_exec_path': '/a/b', 'cron_restart': '0 3 * * *', 'autorestart': true}",
     "proposed", "{'name': 'w'}", 2, "{'name': 'w-backup', 'mode': null}"},
    {"{'name': 'known', 'pm_exec_path': '/a/b'}", "configured", NULL, 0, NULL},
    {"{'name': 'bare', 'pm_exec_path': '/a/b'}", "proposed", NULL, 2, "{'name': 'bare-backup'}"},
    {"{'name': 'a b', 'pm_exec_path': '/a/b'}", "left_out", NULL, 0, NULL},
    {"{'name': 'w', 'starts': false}", "left_out", NULL, 0, NULL},
    {"{'name': 'w', 'pm_exec_path': '/a/b', 'pmx_module': true}", "left_out", NULL, 0, NULL},
    {"{'name': 'w', 'pm_exec_path': '/a/b', 'namespace': 'understudy'}", "ours", NULL, 0, NULL},
};

static void apps_become_primaries_and_backups(void **state)
{
    (void)state;
    json_t *known = from("{\"primaries\": [\"known\", \"bare\"], \"backups\": [{\"name\": \"x\","
                         "\"stands_in_for\": \"known\"}]}");
    const struct propose_context context = {.known = known, .zone = "Europe/Berlin"};
    for (size_t i = 0; i < COUNT_OF(proposals); i++) {
        char json[2048];
        quoted(proposals[i].app, json);
        json_t *apps = json_pack("[o, o]", from(json), from(json)); /* two instances */
        json_t *made = propose(apps, &context);
        const json_t *row = json_array_get(made, 0);
        const json_t *backups = json_object_get(row, "backups");
        if (json_array_size(made) != 1 || json_array_size(backups) != proposals[i].backups ||
            strcmp(doc_get_text(row, "state", ""), proposals[i].state) != 0) {
            fail_msg("%s: %s, %zu backups", json, doc_get_text(row, "state", ""),
                     json_array_size(backups));
        }
        const json_t *primary = json_object_get(row, "primary");
        assert_int_equal(json_is_object(primary), proposals[i].primary != NULL);
        if (proposals[i].primary != NULL) {
            check_members(json, primary, proposals[i].primary);
        }
        if (proposals[i].first != NULL) {
            check_members(json, json_array_get(backups, 0), proposals[i].first);
        }
        char *text = json_dumps(made, 0);
        assert_null(strstr(text, "password"));
        free(text);
        json_decref(made);
        json_decref(apps);
    }
    json_decref(known);
}

static void a_mistyped_key_names_the_nearest(void **state)
{
    (void)state;
    assert_string_equal(schema_nearest("restart_dely"), "restart_delay");
    assert_string_equal(schema_nearest("max_memory_restrat"), "max_memory_restart");
    assert_null(schema_nearest("zebra"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(apps_are_made_as_pm2_makes_them),
        cmocka_unit_test(one_refused_app_stops_the_whole_file),
        cmocka_unit_test(sections_lie_over_env_and_deploy_between),
        cmocka_unit_test(every_shape_of_the_top_is_taken),
        cmocka_unit_test(there_is_a_bound_for_apps_and_findings),
        cmocka_unit_test(values_are_numbers_as_in_javascript),
        cmocka_unit_test(texts_are_made_as_json_stringify_does),
        cmocka_unit_test(cron_patterns_are_taken_as_pm2_takes_them),
        cmocka_unit_test(paths_are_resolved_as_node_does),
        cmocka_unit_test(places_are_told_with_line_and_column),
        cmocka_unit_test(only_harmless_variables_are_shown),
        cmocka_unit_test(apps_become_primaries_and_backups),
        cmocka_unit_test(a_mistyped_key_names_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
