/* Kept lists of PM2: files read back, lists of PM2 as rows, and what is made of both for `prepare`.
 * The first byte chooses. */
#include "managers/pm2/daemon/request.h"
#include "managers/pm2/lists/saved.h"
#include "managers/pm2/lists/version.h"
#include "managers/pm2/revive/facts.h"
#include "managers/pm2/revive/orphans.h"
#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_rows(const json_t *rows)
{
    size_t index;
    json_t *row;
    invariant(saved_is_valid(rows));
    json_t *missing = saved_missing(rows, rows);
    invariant(json_array_size(missing) == 0);
    json_decref(missing);
    invariant(saved_same(rows, rows));
    json_array_foreach(rows, index, row)
    {
        json_t *app = saved_app(row);
        struct request request = {.method = REQUEST_RESTORE, .app = app};
        struct buffer frame;
        struct err err = {0};
        buffer_init(&frame, REQUEST_BYTES_MAX + 1024);
        int rc = request_put(&request, "1", &frame, &err);
        invariant(rc == 0 || err.msg[0] != '\0');
        /* What goes out never names an entry or a number of instances. */
        invariant(rc != 0 || (json_object_get(app, "pm_id") == NULL &&
                              json_object_get(app, "instances") == NULL &&
                              json_is_object(json_object_get(app, "env"))));
        buffer_deinit(&frame);
        json_decref(app);
        invariant(saved_prepare_ms(row) > 0 && saved_kill_timeout_ms(row) >= 0);
    }
}

static void read_file(const char *text, size_t length)
{
    struct version version;
    struct version head;
    struct version back;
    struct err err = {0};
    int rc = version_read(text, length, &version, &err);
    int head_rc = version_read_head(text, length, &head, &err);
    invariant(rc != 0 || head_rc == 0);
    if (rc == 0) {
        use_rows(version.rows);
        char *again = version_text(&version);
        if (again != NULL) {
            int back_rc = version_read(again, strlen(again), &back, &err);
            invariant(back_rc == 0 && back.number == version.number && back.life == version.life &&
                      back.loss == version.loss && json_equal(back.rows, version.rows) == 1);
            version_deinit(&back);
        }
        free(again);
    }
    version_deinit(&version);
    version_deinit(&head);
}

static void read_list(const char *text, size_t length)
{
    json_t *list = json_loadb(text, length, 0, NULL);
    json_t *rows = saved_from_list(list);
    struct wanted wanted = {0};
    (void)saved_digest(list);
    if (rows != NULL) {
        use_rows(rows);
        json_t *none = json_array();
        (void)wanted_take(&wanted, rows, 1, 0);
        (void)wanted_take(&wanted, none, 1, 1);
        (void)wanted_take(&wanted, rows, 2, 2);
        invariant(saved_same(wanted.rows, rows) || json_array_size(rows) == 0);
        json_decref(none);
    }
    json_decref(facts_from_report(list));
    wanted_deinit(&wanted);
    json_decref(rows);
    json_decref(list);
}

static void read_environment(const char *text, size_t length)
{
    json_t *row =
        json_pack("{ss ss sI}", "name", "api", "unique_id", "u", "pm_id", (json_int_t)length);
    (void)orphans_is_of(text, length, "/h", row);
    json_decref(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    char *text = malloc(size); /* with a NUL, as what is read from /proc has one */
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % 3) {
    case 0:
        read_file(text, size - 1);
        break;
    case 1:
        read_list(text, size - 1);
        break;
    default:
        read_environment(text, size - 1);
        break;
    }
    free(text);
    return 0;
}
