/* Answers of a daemon as frames, after a byte that says how to cut.
 * Usage: seeds_pm2_stream FOLDER */
#include "managers/pm2/daemon/amp.h"
#include "tests/fuzz/seed.h"

#include <stdio.h>
#include <string.h>

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

/* An event as it comes on the bus: topic and JSON, where a request has JSON and id. */
static void write_event(const char *folder)
{
    static const char json[] =
        "j:{\"event\":\"exit\",\"manually\":false,\"process\":{\"name\":\"worker\",\"pm_id\":0}}";
    static const char topic[] = "process:event";
    uint8_t frame[256] = {7, 0x12, 0, 0, 0, sizeof topic - 1};
    size_t at = 6;
    memcpy(frame + at, topic, sizeof topic - 1);
    at += sizeof topic - 1;
    frame[at + 3] = sizeof json - 1;
    at += 4;
    memcpy(frame + at, json, sizeof json - 1);
    at += sizeof json - 1;
    seed_write(folder, "event", -1, frame, at);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 2;
    }
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct buffer frame;
        char name[16];
        uint8_t seed[4096] = {(uint8_t)(i * 3)};
        buffer_init(&frame, 65536);
        (void)snprintf(name, sizeof name, "answer-%zu", i);
        if (amp_put_request(&frame, answers[i], "understudy:1", NULL) != 0 ||
            amp_put_request(&frame, answers[0], "understudy:2", NULL) != 0 ||
            frame.length >= sizeof seed) {
            return 1;
        }
        memcpy(seed + 1, frame.data, frame.length);
        seed_write(argv[1], name, -1, seed, frame.length + 1);
        buffer_deinit(&frame);
    }
    write_event(argv[1]);
    return 0;
}
