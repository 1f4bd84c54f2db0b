/* Which program runs a script, and what is said when there is none. */
#include "managers/common/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A folder with a bin/ that serves as PATH. */
struct place {
    char folder[64];
    char bin[80];
};

static void make_file(const struct place *self, const char *name, mode_t mode)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", self->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static int set_up(void **state)
{
    struct place *self = calloc(1, sizeof *self);
    (void)snprintf(self->folder, sizeof self->folder, "/tmp/us-script-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    (void)snprintf(self->bin, sizeof self->bin, "%s/bin", self->folder);
    assert_int_equal(mkdir(self->bin, 0700), 0);
    make_file(self, "bin/node", 0700);
    make_file(self, "bin/python3", 0700);
    make_file(self, "bin/tool", 0700);
    make_file(self, "bin/ruby", 0600); /* no program */
    make_file(self, "work.js", 0600);
    make_file(self, "work.py", 0600);
    make_file(self, "work.rb", 0600);
    make_file(self, "program", 0700);
    make_file(self, "plain", 0600);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"bin/node", "bin/python3", "bin/tool", "bin/ruby",
                                        "work.js",  "work.py",     "work.rb",  "program",
                                        "plain",    "bin",         ""};
    struct place *self = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s/%s", self->folder, names[i]);
        (void)remove(path);
    }
    free(self);
    return 0;
}

/* The words, parted by blanks, without the folder's name; what is wrong, when something is. */
static const char *told(const struct place *self, const char *path, const char *interpreter,
                        const char *args)
{
    static char ret[512];
    struct err err = {0};
    json_t *words = json_array();
    json_t *list = args != NULL ? json_loads(args, 0, NULL) : NULL;
    const struct script script = {.path = path,
                                  .interpreter = interpreter,
                                  .args = list,
                                  .cwd = self->folder,
                                  .search = self->bin};
    ret[0] = '\0';
    if (script_command(&script, words, &err) != 0) {
        assert_int_equal(err.code, ERR_NOTFOUND);
        (void)snprintf(ret, sizeof ret, "%s", err.msg);
    }
    for (size_t i = 0; ret[0] == '\0' || i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        size_t length = strlen(self->folder);
        word += strncmp(word, self->folder, length) == 0 ? length + 1 : 0;
        size_t used = strlen(ret);
        (void)snprintf(ret + used, sizeof ret - used, "%s%s", i > 0 ? " " : "", word);
    }
    json_decref(list);
    json_decref(words);
    return ret;
}

static void a_script_is_run_by_what_its_name_says(void **state)
{
    const struct place *self = *state;
    assert_string_equal(told(self, "work.js", NULL, NULL), "bin/node work.js");
    assert_string_equal(told(self, "work.py", "", "[\"a b\", \"c\"]"), "bin/python3 work.py a b c");
    assert_string_equal(told(self, "work.js", "python3", NULL), "bin/python3 work.js");
    assert_string_equal(told(self, "program", NULL, "[\"x\"]"), "program x");
    assert_string_equal(told(self, "program", "none", NULL), "program");
    assert_string_equal(told(self, "tool", NULL, NULL), "bin/tool");
    char path[128];
    (void)snprintf(path, sizeof path, "%s/work.js", self->folder);
    assert_string_equal(told(self, path, NULL, NULL), "bin/node work.js");
}

static void what_is_missing_is_said(void **state)
{
    const struct place *self = *state;
    assert_non_null(strstr(told(self, "gone.js", NULL, NULL), "script gone.js is not in"));
    assert_non_null(strstr(told(self, "gone", NULL, NULL), "script gone is not in"));
    assert_non_null(strstr(told(self, "work.rb", NULL, NULL), "interpreter ruby is not in PATH"));
    assert_non_null(strstr(told(self, "work.js", "deno", NULL), "interpreter deno is not in PATH"));
    assert_non_null(strstr(told(self, "plain", NULL, NULL), "is no program; set an interpreter"));
    assert_non_null(strstr(told(self, "work.js", "none", NULL), "is no program"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_script_is_run_by_what_its_name_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_missing_is_said, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("script", tests, NULL, NULL);
}
