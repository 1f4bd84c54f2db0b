#include "managers/pm2/ecosystem/js_value.h"
#include "managers/pm2/ecosystem/schema.h"
#include "tests/fuzz/seed.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[] = {
    "{\"apps\":[{\"name\":\"a\",\"script\":\"b.js\",\"instances\":\"max\",\"args\":\"x 'y z'\","
    "\"env\":{\"A\":{\"b\":[1,0.5]},\"name\":\"x\"},\"env_x\":{\"C\":null},\"port\":80}]}",
    "[{\"script\":\"sleep 5\",\"time\":true,\"cron_restart\":\"*/5 1-3 L jan sun\"},null,5]",
    "{\"pm2\":{\"exec\":\"a\",\"max_memory_restart\":\"3G\",\"min_uptime\":\"5s\",\"uid\":\"aa\","
    "\"gid\":3,\"stop_exit_codes\":[1]},\"static\":[{\"port\":1}],\"deploy\":{\"x\":{\"env\":{}}}}",
    "{\"script\":\"aaaaa\",\"cwd\":\"~/x\",\"out\":\"~/o-1.log\",\"error\":\"NULL\",\"log\":true,"
    "\"interpreter\":\"python\",\"exec_mode\":\"cluster\",\"filter_env\":true,\"io\":{}}",
    "*/5 0-23/2 1,15 jan-mar mon"};

/* An app with every key that PM2 knows, under each of its names. */
static void write_all_keys(const char *folder)
{
    size_t count;
    const struct schema_row *rows = schema_rows(&count);
    json_t *app = json_object();
    for (size_t i = 0; i < count; i++) {
        json_t *value = (rows[i].types & SCHEMA_STRING) != 0    ? json_string("aa")
                        : (rows[i].types & SCHEMA_NUMBER) != 0  ? json_integer(7)
                        : (rows[i].types & SCHEMA_BOOLEAN) != 0 ? json_true()
                        : (rows[i].types & SCHEMA_ARRAY) != 0   ? json_array()
                                                                : json_object();
        (void)json_object_set(app, rows[i].aliases[0], value);
        (void)json_object_set_new(app, rows[i].key, value);
    }
    (void)json_object_set_new(app, "args", json_pack("{s:s}", JS_MARK, "Function"));
    char *text = json_dumps(app, JSON_COMPACT);
    seed_write(folder, "all", 1, text, strlen(text));
    free(text);
    json_decref(app);
}

int main(int argc, char **argv)
{
    char name[16];
    if (argc != 2) {
        (void)fprintf(stderr, "usage\n");
        return 1;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        (void)snprintf(name, sizeof name, "text%zu", i);
        seed_write(argv[1], name, (int)i, texts[i], strlen(texts[i]));
    }
    write_all_keys(argv[1]);
    return 0;
}
