/* When a daemon is brought back, and what is known of the one before it. */
#include "managers/pm2/revive/facts.h"
#include "managers/pm2/revive/plan.h"
#include "managers/pm2/revive/spawn.h"
#include "node/base/doc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct plan_case {
    const char *what;
    struct plan_sight sight;
    enum plan_verdict verdict;
};

#define SEEN .allowed = true, .known = true, .had_list = true

static void dead_is_brought_back_and_ended_is_not(void **state)
{
    (void)state;
    static const struct plan_case cases[] = {
        {"up", {SEEN, .state = GOD_UP, .for_ms = 99999}, PLAN_NOTHING},
        {"no right to ask", {SEEN, .state = GOD_UNKNOWN, .for_ms = 99999}, PLAN_NOTHING},
        {"dead just now", {SEEN, .state = GOD_DEAD, .for_ms = 1999}, PLAN_WAIT},
        {"dead", {SEEN, .state = GOD_DEAD, .for_ms = 2000}, PLAN_REVIVE},
        {"dead, without a list",
         {.allowed = true, .known = true, .state = GOD_DEAD, .for_ms = 2000},
         PLAN_REVIVE},
        {"dead, not allowed",
         {.known = true, .had_list = true, .state = GOD_DEAD, .for_ms = 99999},
         PLAN_NOTHING},
        {"sockets of long ago",
         {.allowed = true, .state = GOD_DEAD, .for_ms = 99999, .up_ms = 99999},
         PLAN_NOTHING},
        {"in the foreground: its starter looks after it",
         {SEEN, .foreground = true, .state = GOD_DEAD, .for_ms = 99999},
         PLAN_NOTHING},
        {"hung just now", {SEEN, .state = GOD_HUNG, .for_ms = 7999}, PLAN_WAIT},
        {"hung", {SEEN, .state = GOD_HUNG, .for_ms = 8000}, PLAN_REVIVE},
        {"hung, never seen well",
         {.allowed = true, .state = GOD_HUNG, .for_ms = 99999},
         PLAN_NOTHING},
        {"ended by a person", {SEEN, .state = GOD_ABSENT, .for_ms = 99999}, PLAN_NOTHING},
        {"ended by a person, sockets made anew",
         {SEEN, .tidied = true, .state = GOD_DEAD, .for_ms = 99999},
         PLAN_NOTHING},
        {"after a boot, the machine's own unit goes first",
         {SEEN, .another_boot = true, .state = GOD_ABSENT, .for_ms = 29999, .up_ms = 29999},
         PLAN_WAIT},
        {"after a boot",
         {SEEN, .another_boot = true, .state = GOD_ABSENT, .for_ms = 9000, .up_ms = 30000},
         PLAN_REVIVE},
        {"after a boot, sockets left",
         {SEEN, .another_boot = true, .state = GOD_DEAD, .for_ms = 29000, .up_ms = 29999},
         PLAN_WAIT},
        {"after a boot, sockets left, at last",
         {SEEN, .another_boot = true, .state = GOD_DEAD, .for_ms = 9000, .up_ms = 30000},
         PLAN_REVIVE},
        {"after a boot, ended before",
         {SEEN, .another_boot = true, .tidied = true, .state = GOD_ABSENT, .up_ms = 99999},
         PLAN_NOTHING},
        {"after a boot, nothing was there",
         {.allowed = true,
          .known = true,
          .another_boot = true,
          .state = GOD_ABSENT,
          .up_ms = 99999},
         PLAN_NOTHING},
        {"never a daemon", {.allowed = true, .state = GOD_ABSENT, .for_ms = 99999}, PLAN_NOTHING},
        {"never a daemon, to be begun",
         {.allowed = true, .may_begin = true, .state = GOD_ABSENT, .for_ms = 2000},
         PLAN_REVIVE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *why = NULL;
        enum plan_verdict verdict = plan_judge(&cases[i].sight, &why);
        assert_non_null(why);
        if (verdict != cases[i].verdict || (verdict != PLAN_NOTHING && why[0] == '\0')) {
            fail_msg("%s: %d (%s)", cases[i].what, (int)verdict, why);
        }
    }
}

static void facts_hold_no_more_than_is_needed(void **state)
{
    (void)state;
    json_t *report =
        json_pack("{s[ss] s{ss ss ss ss ss}}", "argv", "/usr/bin/node", "/opt/pm2/lib/Daemon.js",
                  "env", "PATH", "/usr/bin", "TZ", "Europe/Berlin", "PM2_KILL_SIGNAL", "SIGTERM",
                  "AWS_SECRET", "s3cret", "_", "/usr/bin/env");
    json_t *facts = facts_from_report(report);
    const json_t *env = json_object_get(facts, "env");
    assert_string_equal(doc_get_text(facts, "node", ""), "/usr/bin/node");
    assert_false(doc_get_bool(facts, "foreground", true));
    assert_int_equal(json_object_size(env), 3);
    assert_null(json_object_get(env, "AWS_SECRET"));
    json_decref(facts);
    (void)json_array_set_new(json_object_get(report, "argv"), 1, json_string("/opt/pm2/bin/pm2"));
    facts = facts_from_report(report);
    assert_true(doc_get_bool(facts, "foreground", false));
    json_decref(facts);
    (void)json_array_set_new(json_object_get(report, "argv"), 0, json_string("node"));
    assert_null(facts_from_report(report));
    assert_null(facts_from_report(NULL));
    json_decref(report);
}

static void make_file(const char *folder, const char *name, mode_t mode)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(path, 0700);
        *at = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static bool found_in(const struct facts_package *package, const char *folder, const char *place)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s/lib/Daemon.js", folder, place);
    return strcmp(package->daemon, path) == 0;
}

/* The package that ran before, the one in PATH, npm's global one, our own; in this order. */
static void package_is_found_in_order(void **state)
{
    (void)state;
    char folder[] = "/tmp/test-facts-XXXXXX";
    char own[64];
    char path[160];
    char script[160];
    struct facts_package package;
    struct err err = {0};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(own, sizeof own, "%s/own", folder);
    (void)snprintf(path, sizeof path, "%s/n/bin:%s/p", folder, folder);
    (void)snprintf(script, sizeof script, "%s/before/lib/Daemon.js", folder);
    json_t *facts = json_pack("{ss s{ss}}", "script", script, "env", "PATH", path);
    assert_int_equal(facts_find(facts, own, &package, &err), ERR_NOTFOUND);
    make_file(folder, "n/bin/node", 0700);
    assert_int_equal(facts_find(facts, own, &package, &err), ERR_NOTFOUND);
    assert_string_equal(err.msg, "PM2 is not installed");
    make_file(folder, "own/node_modules/pm2/lib/Daemon.js", 0600);
    assert_int_equal(facts_find(facts, own, &package, &err), 0);
    assert_true(found_in(&package, folder, "own/node_modules/pm2"));
    make_file(folder, "n/lib/node_modules/pm2/lib/Daemon.js", 0600);
    assert_int_equal(facts_find(facts, own, &package, &err), 0);
    assert_true(found_in(&package, folder, "n/lib/node_modules/pm2"));
    make_file(folder, "q/pm2/lib/Daemon.js", 0600);
    make_file(folder, "q/pm2/bin/pm2", 0700);
    make_file(folder, "p/other", 0600);
    (void)snprintf(path, sizeof path, "%s/p/pm2", folder);
    assert_int_equal(symlink("../q/pm2/bin/pm2", path), 0);
    assert_int_equal(facts_find(facts, own, &package, &err), 0);
    assert_true(found_in(&package, folder, "q/pm2"));
    make_file(folder, "before/lib/Daemon.js", 0600);
    assert_int_equal(facts_find(facts, own, &package, &err), 0);
    assert_true(found_in(&package, folder, "before"));
    json_decref(facts);
    static const char *const made[] = {"before/lib/Daemon.js",
                                       "before/lib",
                                       "before",
                                       "p/pm2",
                                       "p/other",
                                       "p",
                                       "q/pm2/bin/pm2",
                                       "q/pm2/bin",
                                       "q/pm2/lib/Daemon.js",
                                       "q/pm2/lib",
                                       "q/pm2",
                                       "q",
                                       "n/lib/node_modules/pm2/lib/Daemon.js",
                                       "n/lib/node_modules/pm2/lib",
                                       "n/lib/node_modules/pm2",
                                       "n/lib/node_modules",
                                       "n/lib",
                                       "n/bin/node",
                                       "n/bin",
                                       "n",
                                       "own/node_modules/pm2/lib/Daemon.js",
                                       "own/node_modules/pm2/lib",
                                       "own/node_modules/pm2",
                                       "own/node_modules",
                                       "own",
                                       ""};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, made[i]);
        assert_int_equal(remove(path), 0);
    }
}

/* What spawn_owner_of says to a process of that user. */
static int owner_as(uid_t user, const char *home)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct spawn_owner owner;
        struct err err = {0};
        if (user != geteuid() && setuid(user) != 0) {
            _exit(99);
        }
        int rc = spawn_owner_of(home, &owner, &err);
        _exit(rc == 0 ? 0 : -rc);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 99);
    return -WEXITSTATUS(status);
}

static void another_users_home_is_refused(void **state)
{
    (void)state;
    char folder[] = "/tmp/test-owner-XXXXXX";
    char below[64];
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chmod(folder, 0755), 0);
    (void)snprintf(below, sizeof below, "%s/app/.pm2", folder); /* whose it would be */
    assert_int_equal(owner_as(geteuid(), folder), 0);
    assert_int_equal(owner_as(geteuid(), below), 0);
    if (geteuid() == 0) {
        assert_int_equal(owner_as(54321, folder), ERR_DENIED);
        assert_int_equal(owner_as(54321, below), ERR_DENIED);
        assert_int_equal(chown(folder, 54321, 54321), 0);
        struct spawn_owner owner;
        struct err err = {0};
        assert_int_equal(spawn_owner_of(below, &owner, &err), 0);
        assert_int_equal(owner.uid, 54321); /* root starts it as the owner, not as root */
        assert_int_equal(owner_as(54321, below), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dead_is_brought_back_and_ended_is_not),
        cmocka_unit_test(facts_hold_no_more_than_is_needed),
        cmocka_unit_test(package_is_found_in_order),
        cmocka_unit_test(another_users_home_is_refused),
    };
    return cmocka_run_group_tests_name("pm2_revive", tests, NULL, NULL);
}
