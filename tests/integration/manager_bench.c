#include "tests/integration/manager_bench.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- waiting ---- */

struct wait {
    bool (*condition)(struct bench *bench);
    struct bench *bench;
    int64_t give_up_ms;
    bool met;
};

static int on_look(zloop_t *loop, int id, void *argument)
{
    (void)loop;
    (void)id;
    struct wait *wait = argument;
    wait->met = wait->condition(wait->bench);
    return wait->met || clock_boot_ms() > wait->give_up_ms ? -1 : 0;
}

void manager_bench_wait(zloop_t *loop, size_t every_ms, bool (*condition)(struct bench *bench),
                        struct bench *bench, const char *what, json_t *const *seen)
{
    static struct wait wait; /* whoever fails the test within the loop leaves the timer behind */
    wait = (struct wait){
        .condition = condition, .bench = bench, .give_up_ms = clock_boot_ms() + PATIENCE_MS};
    int id = zloop_timer(loop, every_ms, 0, on_look, &wait);
    (void)zloop_start(loop);
    (void)zloop_timer_end(loop, id);
    if (!wait.met) {
        char *text = json_dumps(*seen, JSON_INDENT(1));
        print_message("last seen: %s\n", text != NULL ? text : "nothing");
        free(text);
        fail_msg("never came true: %s", what);
    }
}

/* ---- the node's side ---- */

struct supervise *manager_bench_supervise(zloop_t *loop, const char *folder,
                                          const struct supervise_callbacks *callbacks,
                                          struct bench *bench)
{
    struct supervise_config config = {.node = "n1", .cluster = "test", .environment = "production"};
    (void)snprintf(config.runtime_dir, sizeof config.runtime_dir, "%s", folder);
    (void)snprintf(config.data_dir, sizeof config.data_dir, "%s", folder);
    (void)snprintf(config.lock_dir, sizeof config.lock_dir, "%s", folder);
    (void)snprintf(config.guard_path, sizeof config.guard_path, "%s/bin/understudy-guard",
                   BUILD_DIR);
    (void)snprintf(config.guard_socket, sizeof config.guard_socket, "%s/guard.sock", folder);
    struct supervise *ret = NULL;
    struct err err = {0};
    if (supervise_create(loop, &config, callbacks, bench, &ret, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    return ret;
}

static int on_post(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    (void)item;
    post_process(argument);
    return 0;
}

struct post *manager_bench_post(zloop_t *loop, const char *folder,
                                const struct post_callbacks *callbacks, struct bench *bench,
                                int *ret_listen_fd)
{
    char path[96];
    struct post *ret = NULL;
    struct err err = {0};
    (void)snprintf(path, sizeof path, "%s/guard.sock", folder);
    if (post_listen(path, 0600, ret_listen_fd, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    struct post_config config = {
        .listen_fd = *ret_listen_fd, .context = bench, .callbacks = *callbacks};
    if (post_create(&config, &ret, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    zmq_pollitem_t item = {.fd = post_fd(ret), .events = ZMQ_POLLIN};
    assert_int_equal(zloop_poller(loop, &item, on_post, ret), 0);
    return ret;
}

/* ---- to and from the manager ---- */

struct manager_document manager_bench_pack(json_t *document_take, struct mp_writer *ret_writer)
{
    struct err err = {0};
    assert_non_null(document_take);
    mp_writer_init(ret_writer, MANAGER_DOCUMENT_BYTES_MAX);
    if (doc_to_msgpack(document_take, ret_writer, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    json_decref(document_take);
    return (struct manager_document){.data = ret_writer->buffer.data,
                                     .length = ret_writer->buffer.length};
}

void manager_bench_unpack(const uint8_t *bytes, size_t length, json_t **place)
{
    static const struct mp_limits limits = {.bytes = 1 << 20, .elements = 65536, .depth = 8};
    json_t *document = NULL;
    struct err err = {0};
    if (doc_from_msgpack(bytes, length, &limits, &document, &err) != 0) {
        fail_msg("document: %s", err.msg);
    }
    json_decref(*place);
    *place = document;
}

void manager_bench_add(struct supervise *supervise, const char *manager, json_t *section_take,
                       bool shadow)
{
    char path[512];
    struct mp_writer writer;
    struct err err = {0};
    struct manager_document section = manager_bench_pack(section_take, &writer);
    (void)snprintf(path, sizeof path, "%s/libexec/understudy-manager-%s", BUILD_DIR, manager);
    if (supervise_add(supervise, manager, path, &section, shadow, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    mp_writer_deinit(&writer);
}

void manager_bench_command(struct supervise *supervise, const char *manager, uint64_t id,
                           const char *verb, json_t *args_take)
{
    struct manager_command command = {.id = id};
    struct mp_writer writer = {0};
    if (args_take != NULL) {
        command.args = manager_bench_pack(args_take, &writer);
    }
    (void)snprintf(command.verb, sizeof command.verb, "%s", verb);
    assert_int_equal(supervise_command(supervise, manager, &command, NULL), 0);
    mp_writer_deinit(&writer);
}
