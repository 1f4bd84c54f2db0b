/* What managers tell as ailing: which rows are believed, how they are called, and when they say
 * nothing any more. */
#include "node/daemon/ailing.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct config *config;
    struct node *node;
    struct ailing *ailing;
};

static int set_up(void **state)
{
    struct fixture *self = calloc(1, sizeof *self);
    assert_non_null(self);
    self->config = calloc(1, sizeof *self->config);
    self->node = calloc(1, sizeof *self->node);
    self->ailing = ailing_create();
    assert_non_null(self->config);
    assert_non_null(self->node);
    assert_non_null(self->ailing);
    (void)snprintf(self->config->cluster.node, sizeof self->config->cluster.node, "n1");
    self->node->config = self->config;
    *state = self;
    return 0;
}

static void forget(struct fixture *self)
{
    struct observation *seen = &self->node->observations[3];
    free(seen->bytes);
    *seen = (struct observation){0};
}

static int tear_down(void **state)
{
    struct fixture *self = *state;
    forget(self);
    ailing_destroy(&self->ailing);
    free(self->node);
    free(self->config);
    free(self);
    return 0;
}

/* The manager's only observation, of so long ago. */
static void observe(struct fixture *self, const char *manager, int64_t age_ms, json_t *document)
{
    struct observation *seen = &self->node->observations[3];
    struct mp_writer writer;
    mp_writer_init(&writer, 65536);
    assert_int_equal(doc_to_msgpack(document, &writer, NULL), 0);
    free(seen->bytes);
    seen->bytes = malloc(writer.buffer.length);
    assert_non_null(seen->bytes);
    memcpy(seen->bytes, writer.buffer.data, writer.buffer.length);
    seen->length = writer.buffer.length;
    seen->taken_ms = clock_boot_ms() - age_ms;
    (void)snprintf(seen->node, sizeof seen->node, "n1");
    (void)snprintf(seen->manager, sizeof seen->manager, "%s", manager);
    mp_writer_deinit(&writer);
    json_decref(document);
    ailing_look(self->ailing, self->node);
}

static json_t *one(const char *name, const char *state)
{
    return json_pack("{s[{ss ss ss sb}]}", "ailing", "name", name, "state", state, "why", "errored",
                     "critical", 1);
}

static enum ailing_state state_of(const struct fixture *self, const char *component)
{
    const struct ailing_row *row = ailing_of(self->ailing, component);
    return row == NULL ? ailing_untold(self->node, component) : row->state;
}

static void rows_say_what_may_be_mended(void **state)
{
    struct fixture *self = *state;
    assert_int_equal(state_of(self, "ailing/n1/pm2/worker"), AILING_UNKNOWN);
    observe(self, "pm2", 0, one("worker", "ill"));
    const struct ailing_row *row = ailing_of(self->ailing, "ailing/n1/pm2/worker");
    assert_non_null(row);
    assert_int_equal(row->state, AILING_ILL);
    assert_true(row->critical);
    assert_string_equal(row->manager, "pm2");
    assert_string_equal(row->name, "worker");
    assert_string_equal(row->why, "errored");
    assert_int_equal(state_of(self, "ailing/n1/pm2/another"), AILING_WELL);
    assert_int_equal(state_of(self, "ailing/n1/github/another"), AILING_UNKNOWN);
    observe(self, "pm2", 0, one("worker", "left"));
    assert_int_equal(state_of(self, "ailing/n1/pm2/worker"), AILING_LEFT);
    observe(self, "pm2", 0, one("worker", "between"));
    assert_int_equal(state_of(self, "ailing/n1/pm2/worker"), AILING_BETWEEN);
    observe(self, "pm2", 0, one("worker", "something new"));
    assert_int_equal(state_of(self, "ailing/n1/pm2/worker"), AILING_BETWEEN);
    observe(self, "pm2", 0, json_pack("{ss}", "text", "nobody is ailing"));
    assert_int_equal(ailing_count(self->ailing), 0);
    assert_int_equal(state_of(self, "ailing/n1/pm2/worker"), AILING_WELL);
}

static void what_was_told_long_ago_says_nothing(void **state)
{
    struct fixture *self = *state;
    observe(self, "pm2", 20000, one("worker", "ill"));
    assert_int_equal(ailing_count(self->ailing), 0);
    assert_int_equal(state_of(self, "ailing/n1/pm2/worker"), AILING_UNKNOWN);
}

static void rows_that_make_no_sense_are_left_out(void **state)
{
    struct fixture *self = *state;
    char name[NAME_SIZE + 8];
    memset(name, 'x', sizeof name);
    name[NAME_SIZE] = '\0';
    observe(self, "pm2", 0,
            json_pack("{s[{ss ss} {ss} {ss ss} {ss ss} s i]}", "ailing", "name", "worker", "state",
                      "ill", "state", "ill", "name", "worker", "state", "left", "name", name,
                      "state", "ill", "text", 7));
    assert_int_equal(ailing_count(self->ailing), 1);
    assert_int_equal(state_of(self, "ailing/n1/pm2/worker"), AILING_ILL);
    observe(self, "pm2", 0, json_pack("{ss}", "ailing", "worker"));
    assert_int_equal(ailing_count(self->ailing), 0);
}

static void long_names_stay_apart(void **state)
{
    struct fixture *self = *state;
    char name[NAME_SIZE];
    char manager[NAME_SIZE];
    char told[NAME_SIZE];
    char first[COMPONENT_SIZE];
    memset(name, 'n', sizeof name);
    name[NAME_SIZE - 1] = '\0';
    memset(manager, 'm', sizeof manager);
    manager[NAME_SIZE - 1] = '\0';
    observe(self, manager, 0, one(name, "ill"));
    assert_int_equal(ailing_count(self->ailing), 1);
    (void)snprintf(first, sizeof first, "%s", ailing_at(self->ailing, 0)->component);
    assert_true(strlen(first) < COMPONENT_SIZE);
    assert_true(ailing_manager(first, told));
    assert_string_equal(told, manager);
    name[NAME_SIZE - 2] = 'o';
    observe(self, manager, 0, one(name, "ill"));
    assert_string_not_equal(ailing_at(self->ailing, 0)->component, first);
    assert_false(ailing_manager("pm2/worker", told));
    assert_false(ailing_manager("ailing/n1", told));
    assert_false(ailing_manager("ailing/n1/pm2", told));
    assert_false(ailing_manager("ailing//pm2/worker", told));
}

static void more_than_there_is_room_for_is_left_out(void **state)
{
    struct fixture *self = *state;
    json_t *rows = json_array();
    for (int i = 0; i < AILING_MAX + 10; i++) {
        char name[NAME_SIZE];
        (void)snprintf(name, sizeof name, "worker-%d", i);
        (void)json_array_append_new(rows, json_pack("{ss ss}", "name", name, "state", "ill"));
    }
    observe(self, "pm2", 0, json_pack("{so}", "ailing", rows));
    assert_int_equal(ailing_count(self->ailing), AILING_MAX);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(rows_say_what_may_be_mended),
        WITH_FIXTURE(what_was_told_long_ago_says_nothing),
        WITH_FIXTURE(rows_that_make_no_sense_are_left_out),
        WITH_FIXTURE(long_names_stay_apart),
        WITH_FIXTURE(more_than_there_is_room_for_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
