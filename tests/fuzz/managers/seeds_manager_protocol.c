/* One seed per kind of message, by the encoder. Usage: seeds_manager_protocol FOLDER */
#include "managers/common/protocol.h"

#include <stdio.h>
#include <string.h>

static const uint8_t sample[] = {0x81, 0xa1, 'a', 0x01};

static void fill(struct manager_message *message)
{
    struct manager_document document = {.data = sample, .length = sizeof sample};
    switch (message->kind) {
    case MANAGER_HELLO:
        message->as.hello = (struct manager_hello){.name = "pm2",
                                                   .version = "1",
                                                   .pid = 5,
                                                   .protocol = 1,
                                                   .capability_count = 1,
                                                   .capabilities = {"watch"}};
        return;
    case MANAGER_OBSERVATION:
        message->as.observation.document = document;
        return;
    case MANAGER_EVENT:
        message->as.event = (struct manager_event){
            .kind = "primary.down", .message = "it fell", .fields = document};
        return;
    case MANAGER_DUTY_WANTED:
        message->as.duty_wanted = (struct manager_duty_wanted){.duty = "pm2/b",
                                                               .wanted = true,
                                                               .on_count = 1,
                                                               .on = {"n1"},
                                                               .group = "pm2/a",
                                                               .label_count = 1,
                                                               .labels = {"zone=a"},
                                                               .copies = 2};
        return;
    case MANAGER_INTENT_WANTED:
        message->as.intent_wanted = (struct manager_intent_wanted){
            .key = "github/a@1", .object = "ci.yml", .keep_ms = 9000, .term = 3, .ticket = 1};
        return;
    case MANAGER_INTENT_VERIFIED:
        message->as.intent_verified =
            (struct manager_intent_verified){.key = "github/a@1", .term = 3, .ticket = 1};
        return;
    case MANAGER_INTENT_PERFORMED:
        message->as.intent_performed = (struct manager_intent_performed){
            .key = "github/a@1", .outcome = "run 17", .term = 3, .ticket = 2};
        return;
    case MANAGER_INTENT:
        message->as.intent = (struct manager_intent){.key = "github/a@1",
                                                     .step = MANAGER_INTENT_STEP_PERFORM,
                                                     .term = 3,
                                                     .deadline_ms = 77,
                                                     .ticket = 1,
                                                     .object = "ci.yml"};
        return;
    case MANAGER_SCHEDULE_WANTED:
        message->as.schedule_wanted = (struct manager_schedule_wanted){
            .id = "run/a",
            .total = 1,
            .is = {.expression = "15 5 * * 1-5", .zone = "UTC", .misfire_cap = 10},
            .on_count = 1,
            .on = {"n1"}};
        return;
    case MANAGER_RUN_ENDED:
        message->as.run_ended = (struct manager_run_ended){.duty = "run/a@20261122T051500Z#2",
                                                           .outcome = MANAGER_OUTCOME_FAILED,
                                                           .reason = MANAGER_REASON_EXIT,
                                                           .exit_status = 3};
        return;
    case MANAGER_RUN:
        message->as.run = (struct manager_run){.duty = "run/a@m12", .assignment = 5};
        return;
    case MANAGER_CONFIGURE:
        message->as.configure = (struct manager_configure){.node = "n1", .section = document};
        return;
    case MANAGER_MEMBERS:
        message->as.members =
            (struct manager_members){.count = 1, .members = {{.name = "n1", .since_ms = 4}}};
        return;
    case MANAGER_COMMAND:
        message->as.command = (struct manager_command){.verb = "primary list", .args = document};
        return;
    default:
        return;
    }
}

int main(int argc, char **argv)
{
    static const enum manager_kind kinds[] = {
#define KIND(name, code, text) name,
        MANAGER_KIND_MAP(KIND)
#undef KIND
    };
    if (argc != 2) {
        return 2;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct manager_message message = {.kind = kinds[i]};
        struct mp_writer writer;
        char path[4096];
        mp_writer_init(&writer, MANAGER_MESSAGE_BYTES_MAX);
        fill(&message);
        (void)snprintf(path, sizeof path, "%s/%s", argv[1], manager_kind_name(kinds[i]));
        FILE *file = fopen(path, "w");
        if (file == NULL || manager_message_encode(&message, &writer, NULL) != 0) {
            return 1;
        }
        (void)fwrite(writer.buffer.data, 1, writer.buffer.length, file);
        (void)fclose(file);
        mp_writer_deinit(&writer);
    }
    return 0;
}
