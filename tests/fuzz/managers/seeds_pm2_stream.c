/* Answers of a daemon as frames, after a byte that says how to cut.
 * Usage: seeds_pm2_stream FOLDER */
#include "managers/pm2/amp.h"

#include <stdio.h>

static const char *const answers[] = {
    "{\"args\":[{\"msg\":\"pong\"}]}",
    "{\"error\":\"nope\",\"stack\":\"at\"}",
    "{\"args\":[{\"error\":true,\"message\":\"no pid\"}]}",
    "{\"args\":[[{\"pid\":12,\"name\":\"a\",\"pm_id\":0,\"monit\":{\"memory\":1,\"cpu\":0},"
    "\"pm2_env\":{\"status\":\"online\",\"restart_time\":2,\"pm_uptime\":1700000000000,"
    "\"namespace\":\"understudy\",\"env\":{\"UNDERSTUDY_DUTY\":\"pm2/a\"}}},"
    "{\"name\":\"b\",\"pm_id\":\"_old_1\",\"pm2_env\":{\"status\":\"waiting restart\","
    "\"stop_exit_codes\":[86],\"exit_code\":86}}]]}",
};

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 2;
    }
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct buffer frame;
        char path[4096];
        buffer_init(&frame, 65536);
        (void)snprintf(path, sizeof path, "%s/answer-%zu", argv[1], i);
        FILE *file = fopen(path, "w");
        if (file == NULL || amp_put_request(&frame, answers[i], "understudy:1", NULL) != 0 ||
            amp_put_request(&frame, answers[0], "understudy:2", NULL) != 0) {
            return 1;
        }
        (void)fputc((int)i * 3, file);
        (void)fwrite(frame.data, 1, frame.length, file);
        (void)fclose(file);
        buffer_deinit(&frame);
    }
    return 0;
}
