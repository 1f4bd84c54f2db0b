#include "tests/unit/config/config_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

const char example[] =
    "cluster:\n"
    "  name: demo\n"
    "  environment: production\n"
    "  node: n1                       # default: host name\n"
    "  listen: tcp://0.0.0.0:7400\n"
    "  advertise: tcp://10.0.0.1:7400\n"
    "  peers: {n1: tcp://10.0.0.1:7400, n2: tcp://host-b:7400, n3: tcp://host-c:7400}\n"
    "  profile: lan                   # local | lan | wan\n"
    "  keys: /etc/understudy/keys\n"
    "managers:\n"
    "  pm2:\n"
    "    homes: [/home/app/.pm2]\n"
    "    primaries:\n"
    "      - {name: worker, on: [n1], critical: true, memory: 300MB}\n"
    "    backups:\n"
    "      - name: worker-backup\n"
    "        stands_in_for: worker     # mode: standby (default) | always | cron\n"
    "        tier: standard            # standard | enhanced\n"
    "        script: automation/worker.js\n"
    "        cwd: /srv/app\n"
    "        env: {MODE: backup}\n"
    "        max_restarts: 15\n"
    "        exp_backoff: 100ms\n"
    "        kill_timeout: 1.6s\n"
    "        settle: 10s               # gives way after the primary was well for so long\n"
    "        when_unreachable: {start_after: 30s}   # or wait\n"
    "        # a primary may have guarded: true (safety.md)\n";

struct config *load_with(const char *text, char *const *environment,
                         struct config_errors *ret_errors)
{
    struct config *config = NULL;
    const struct config_sources sources = {
        .file = "x.yml", .text = text, .text_length = strlen(text), .environment = environment};
    int code = config_load(&sources, &config, ret_errors);
    assert_int_equal(code == 0, config != NULL);
    assert_int_equal(code == 0, ret_errors->errors == 0);
    return config;
}

struct config *load_text(const char *text)
{
    struct config_errors errors;
    struct config *config = load_with(text, NULL, &errors);
    if (config == NULL) {
        fail_msg("%s: %s", errors.items[0].where, errors.items[0].message);
    }
    return config;
}

void refuse_text(const char *text, unsigned line, unsigned column, const char *part)
{
    struct config_errors errors;
    struct config *config = load_with(text, NULL, &errors);
    if (config != NULL) {
        config_destroy(&config);
        fail_msg("accepted, but expected: %s", part);
    }
    char where[32];
    (void)snprintf(where, sizeof(where), "x.yml:%u:%u", line, column);
    for (size_t i = 0; i < errors.count; i++) {
        const struct config_error *error = &errors.items[i];
        if (error->severity == CONFIG_ERROR && strstr(error->message, part) != NULL) {
            assert_string_equal(error->where, where);
            assert_int_equal(error->line, line);
            assert_int_equal(error->column, column);
            return;
        }
    }
    fail_msg("expected \"%s\", seen \"%s: %s\"", part, errors.items[0].where,
             errors.items[0].message);
}

void assert_origin(const struct config *config, const char *key, const char *origin,
                   const char *source)
{
    json_t *list = config_show_json(config);
    size_t index = 0;
    json_t *item = NULL;
    bool found = false;
    json_array_foreach(list, index, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "key")), key) == 0) {
            found = true;
            assert_string_equal(json_string_value(json_object_get(item, "origin")), origin);
            if (source != NULL) {
                assert_string_equal(json_string_value(json_object_get(item, "source")), source);
            }
        }
    }
    json_decref(list);
    if (!found) {
        fail_msg("%s is not shown", key);
    }
}

void make_folder(char *ret, size_t size)
{
    (void)snprintf(ret, size, "/tmp/config-test-XXXXXX");
    assert_non_null(mkdtemp(ret));
}

void write_text(const char *dir, const char *name, const char *text)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}
