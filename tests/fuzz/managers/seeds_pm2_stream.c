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

/* As it comes on the bus: topic and JSON, where a request has JSON and id. */
static const struct {
    const char *name;
    const char *topic;
    const char *json;
} frames[] = {
    {"event", "process:event",
     "j:{\"event\":\"exit\",\"manually\":false,\"process\":{\"name\":\"worker\",\"pm_id\":0,"
     "\"status\":\"stopping\",\"autorestart\":true}}"},
    {"false-event", "process:event",
     "j:{\"at\":1,\"data\":{\"event\":\"exit\"},\"process\":{\"pm_id\":0,\"name\":\"worker\"}}"},
    {"log-out", "log:out",
     "j:{\"process\":{\"pm_id\":0,\"name\":\"worker\",\"rev\":null},\"at\":1,\"data\":"
     "\"a\\nFATAL\"}"},
    {"log-err", "log:err",
     "j:{\"process\":{\"pm_id\":\"1\",\"name\":\"worker\"},\"at\":1,\"data\":\"E 123\\n\"}"},
    {"kill", "pm2:kill", "j:{\"status\":\"killed\",\"msg\":\"pm2 has been killed\"}"},
};

static void write_frame(const char *folder, size_t index)
{
    const char *topic = frames[index].topic;
    const char *json = frames[index].json;
    uint8_t frame[256] = {7, 0x12, 0, 0, 0, (uint8_t)strlen(topic)};
    size_t at = 6;
    memcpy(frame + at, topic, strlen(topic));
    at += strlen(topic);
    frame[at + 3] = (uint8_t)strlen(json);
    at += 4;
    memcpy(frame + at, json, strlen(json));
    at += strlen(json);
    seed_write(folder, frames[index].name, -1, frame, at);
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
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        write_frame(argv[1], i);
    }
    return 0;
}
