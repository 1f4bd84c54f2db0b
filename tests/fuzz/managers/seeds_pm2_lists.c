#include "managers/pm2/lists/saved.h"
#include "managers/pm2/lists/version.h"
#include "tests/fuzz/seed.h"

#include <stdlib.h>
#include <string.h>

static const char list[] =
    "[{\"pid\":41,\"name\":\"api\",\"pm_id\":0,\"pm2_env\":{\"name\":\"api\",\"namespace\":"
    "\"default\",\"status\":\"online\",\"pm_exec_path\":\"/srv/a.js\",\"pm_cwd\":\"/srv\","
    "\"exec_mode\":\"cluster_mode\",\"exec_interpreter\":\"node\",\"pm_pid_path\":"
    "\"/h/pids/api-0.pid\",\"pm_out_log_path\":\"/h/logs/api-out-0.log\",\"pm_err_log_path\":"
    "\"/h/logs/api-error-0.log\",\"instances\":1,\"NODE_APP_INSTANCE\":0,\"node_args\":[],"
    "\"args\":[\"-v\"],\"unique_id\":\"u\",\"created_at\":5,\"A\":\"b\",\"env\":{\"A\":\"b\"}}},"
    "{\"name\":\"job\",\"pm_id\":\"1\",\"pm2_env\":{\"status\":\"stopped\",\"pm_exec_path\":"
    "\"/srv/j\",\"autorestart\":false,\"kill_timeout\":9,\"listen_timeout\":1,\"env\":{}}}]";

int main(int argc, char **argv)
{
    static const char environment[] = "pm_id=0\0name=api\0PM2_HOME=/h\0unique_id=u";
    if (argc != 2) {
        return 2;
    }
    json_t *raw = json_loads(list, 0, NULL);
    struct version version = {.number = 3,
                              .wall_ms = 1700000000000,
                              .life = 99,
                              .home = "/home/app/.pm2",
                              .boot_id = "b",
                              .rows = saved_from_list(raw),
                              .changes = json_pack("[ss]", "+api", "+job"),
                              .daemon = json_pack("{ss}", "node", "/usr/bin/node")};
    char *text = version_text(&version);
    if (text == NULL) {
        return 1;
    }
    seed_write(argv[1], "file", 0, text, strlen(text));
    seed_write(argv[1], "list", 1, list, sizeof list - 1);
    seed_write(argv[1], "environment", 2, environment, sizeof environment);
    free(text);
    version_deinit(&version);
    json_decref(raw);
    return 0;
}
