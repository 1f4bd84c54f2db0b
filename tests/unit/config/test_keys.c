/* Key files: making, modes, refusals. */
#include "node/config/keys.h"
#include "tests/folder.h"
#include "tests/unit/config/config_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char root[64];
    char dir[80];
};

static int set_up(void **state)
{
    struct place *self = calloc(1, sizeof(*self));
    make_folder(self->root, sizeof(self->root));
    (void)snprintf(self->dir, sizeof(self->dir), "%s/keys", self->root);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    struct place *self = *state;
    folder_remove(self->root);
    free(self);
    return 0;
}

static int init(const char *dir, const char *const *names, size_t count, bool overwrite,
                struct err *err)
{
    const struct keys_plan plan = {dir, names, count, overwrite};
    return keys_init(&plan, err);
}

static mode_t mode_of(const char *dir, const char *name)
{
    char path[256];
    struct stat status;
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777U;
}

static const char *const three[] = {"n1", "n2", "n3"};

static void init_makes_nodes_operator_and_viewer(void **state)
{
    struct place *self = *state;
    struct err err;
    mode_t before = umask(0);
    assert_int_equal(init(self->dir, three, 3, false, &err), 0);
    (void)umask(before);
    assert_int_equal(mode_of(self->root, "keys"), 0700);
    assert_int_equal(mode_of(self->dir, "n1.key"), 0644);
    assert_int_equal(mode_of(self->dir, "n1.key_secret"), 0600);
    assert_int_equal(mode_of(self->dir, "operator.key_secret"), 0600);
    struct key_roster roster;
    assert_int_equal(keys_load_roster(self->dir, &roster, &err), 0);
    assert_int_equal(roster.count, 5);
    assert_int_equal(key_roster_by_name(&roster, "n2")->role, KEY_NODE);
    assert_int_equal(key_roster_by_name(&roster, "operator")->role, KEY_OPERATOR);
    assert_int_equal(key_roster_by_name(&roster, "viewer")->role, KEY_VIEWER);
    assert_null(key_roster_by_name(&roster, "n4"));
    struct key_own own;
    assert_int_equal(keys_load_own(self->dir, "n2", &own, &err), 0);
    assert_string_equal(own.public_key, key_roster_by_name(&roster, "n2")->public_key);
    assert_true(key_valid_z85(own.secret_key));
    assert_string_not_equal(own.public_key, own.secret_key);
    assert_string_equal(key_roster_by_key(&roster, own.public_key)->name, "n2");
    key_own_wipe(&own);
    assert_string_equal(own.secret_key, "");
    key_roster_deinit(&roster);
    struct key_listing *list = NULL;
    size_t count = 0;
    assert_int_equal(keys_list(self->dir, &list, &count, &err), 0);
    assert_int_equal(count, 5);
    assert_true(list[0].has_secret);
    free(list);
}

static void existing_keys_stay_unless_asked(void **state)
{
    struct place *self = *state;
    struct err err;
    static const char *const more[] = {"n4", "n1"};
    struct key_own first;
    struct key_own second;
    assert_int_equal(init(self->dir, three, 3, false, &err), 0);
    assert_int_equal(keys_load_own(self->dir, "n1", &first, &err), 0);
    assert_int_equal(init(self->dir, more, 2, false, &err), ERR_EXISTS);
    assert_non_null(strstr(err.msg, "n1"));
    assert_int_equal(keys_load_own(self->dir, "n4", &second, &err), ERR_NOTFOUND);
    /* Further names alone are fine, and leave the operator's key as it was. */
    struct key_own operator;
    struct key_own again;
    assert_int_equal(keys_load_own(self->dir, "operator", &operator, & err), 0);
    assert_int_equal(init(self->dir, more, 1, false, &err), 0);
    assert_int_equal(keys_load_own(self->dir, "operator", &again, &err), 0);
    assert_string_equal(operator.public_key, again.public_key);
    assert_int_equal(init(self->dir, more, 2, true, &err), 0);
    assert_int_equal(keys_load_own(self->dir, "n1", &second, &err), 0);
    assert_string_not_equal(first.public_key, second.public_key);
}

static void bad_names_are_refused(void **state)
{
    struct place *self = *state;
    static const char *const bad[] = {"operator", "viewer", "", "a/b", "..", "-x", "a b"};
    struct err err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(init(self->dir, &bad[i], 1, false, &err), ERR_INVALID);
    }
    static const char *const twice[] = {"n1", "n1"};
    assert_int_equal(init(self->dir, twice, 2, false, &err), ERR_INVALID);
    assert_int_equal(access(self->dir, F_OK), -1);
}

static void open_secrets_are_refused_with_a_way_out(void **state)
{
    struct place *self = *state;
    struct err err;
    struct key_own own;
    char path[128];
    assert_int_equal(init(self->dir, three, 3, false, &err), 0);
    (void)snprintf(path, sizeof(path), "%s/n1.key_secret", self->dir);
    static const mode_t modes[] = {0640, 0604, 0620, 0602};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(keys_load_own(self->dir, "n1", &own, &err), ERR_DENIED);
        assert_non_null(strstr(err.msg, "chmod 600 "));
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(keys_load_own(self->dir, "n1", &own, &err), 0);
    assert_int_equal(chmod(self->dir, 0750), 0);
    assert_int_equal(keys_load_own(self->dir, "n1", &own, &err), ERR_DENIED);
    assert_non_null(strstr(err.msg, "chmod 700 "));
}

static void a_holders_folder_has_one_secret(void **state)
{
    struct place *self = *state;
    struct err err;
    struct key_own own;
    struct key_roster roster;
    char target[128];
    (void)snprintf(target, sizeof(target), "%s/n2-keys", self->root);
    assert_int_equal(init(self->dir, three, 3, false, &err), 0);
    assert_int_equal(keys_load_own(self->dir, NULL, &own, &err), ERR_INVALID);
    assert_int_equal(keys_export(self->dir, "n2", target, &err), 0);
    assert_int_equal(keys_load_own(target, NULL, &own, &err), 0);
    assert_string_equal(own.name, "n2");
    assert_int_equal(keys_load_own(target, "n1", &own, &err), ERR_NOTFOUND);
    assert_int_equal(keys_load_roster(target, &roster, &err), 0);
    assert_int_equal(roster.count, 5);
    key_roster_deinit(&roster);
    assert_int_equal(keys_export(self->dir, "n9", target, &err), ERR_NOTFOUND);
}

static void damaged_files_name_their_line(void **state)
{
    struct place *self = *state;
    struct err err;
    struct key_own own;
    struct key_roster roster;
    assert_int_equal(init(self->dir, three, 3, false, &err), 0);
    write_text(self->dir, "n1.key_secret", "understudy-key: 1\nname: n1\nrole: king\n");
    assert_int_equal(keys_load_own(self->dir, "n1", &own, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "n1.key_secret:3:"));
    write_text(self->dir, "n1.key_secret", "rubbish\n");
    assert_int_equal(keys_load_own(self->dir, "n1", &own, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, ":1: no key file"));
    write_text(self->dir, "n1.key_secret", "understudy-key: 2\n");
    assert_int_equal(keys_load_own(self->dir, "n1", &own, &err), ERR_UNSUPPORTED);
    write_text(self->dir, "n1.key_secret", "understudy-key: 1\nname: n1\nrole: node\n");
    assert_int_equal(keys_load_own(self->dir, "n1", &own, &err), ERR_INVALID);

    /* Somebody else's file under this name; the same key under two names. */
    char text[512];
    assert_int_equal(keys_load_own(self->dir, "n2", &own, &err), 0);
    (void)snprintf(text, sizeof(text),
                   "understudy-key: 1\nname: n2\nrole: node\npublic: %s\nsecret: %s\n",
                   own.public_key, own.secret_key);
    write_text(self->dir, "n1.key_secret", text);
    assert_int_equal(keys_load_own(self->dir, "n1", &own, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "holds the key of n2"));
    assert_int_equal(keys_load_own(self->dir, "n2", &own, &err), 0);
    (void)snprintf(text, sizeof(text), "understudy-key: 1\nname: n1\nrole: node\npublic: %s\n",
                   own.public_key);
    write_text(self->dir, "n1.key", text);
    assert_int_equal(keys_load_roster(self->dir, &roster, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "the same public key as n1"));

    /* A secret that does not belong to its public key. */
    (void)snprintf(text, sizeof(text),
                   "understudy-key: 1\nname: n1\nrole: node\npublic: %s\nsecret: %s\n",
                   own.secret_key, own.secret_key);
    write_text(self->dir, "n1.key_secret", text);
    assert_int_equal(keys_load_own(self->dir, "n1", &own, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "do not belong together"));
    assert_null(strstr(err.msg, text + 80)); /* no key in a message */
}

/* One key in 85 would, and `understudy join NAME ADDR PUBKEY` would take it for an option. */
static void no_public_key_looks_like_an_option(void **state)
{
    (void)state;
    for (int i = 0; i < 600; i++) {
        struct key_own key;
        assert_int_equal(keys_generate("n1", KEY_NODE, &key, NULL), 0);
        assert_int_not_equal(key.public_key[0], '-');
        assert_true(key_valid_z85(key.public_key) && key_valid_z85(key.secret_key));
        key_own_wipe(&key);
    }
}

#define KEY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEY_TEST(no_public_key_looks_like_an_option),
        KEY_TEST(init_makes_nodes_operator_and_viewer),
        KEY_TEST(existing_keys_stay_unless_asked),
        KEY_TEST(bad_names_are_refused),
        KEY_TEST(open_secrets_are_refused_with_a_way_out),
        KEY_TEST(a_holders_folder_has_one_secret),
        KEY_TEST(damaged_files_name_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
