/* Texts that the run manager reads: ids of duties, a guard's last line, its own records, files with
 * variables, instants. The first byte chooses. */
#include "managers/run/ending.h"
#include "managers/run/environment.h"
#include "managers/run/record.h"
#include "managers/run/slot.h"
#include "node/base/clock.h"
#include "node/base/invariant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_slot(const char *text)
{
    struct slot_name slot;
    struct slot_name back;
    char id[DUTY_ID_SIZE];
    char instant[SLOT_TEXT_SIZE];
    int64_t at_s;
    if (strlen(text) >= DUTY_ID_SIZE || !slot_parse("run/", text, &slot)) {
        return;
    }
    invariant((slot.slot_s > 0) != (slot.number > 0) && slot.attempt > 0);
    invariant(strchr(slot.schedule, '/') == NULL && slot.schedule[0] != '.');
    slot_run_id("run/", &slot, id);
    invariant(slot_parse("run/", id, &back) && slot_same_run(&slot, &back));
    invariant(strncmp(text, id, strlen(id)) == 0);
    slot_text(&slot, instant);
    invariant(slot.slot_s == 0 || (clock_instant_parse(instant, &at_s) && at_s == slot.slot_s));
}

static void read_record(const char *text)
{
    struct record record = {0};
    struct record back = {0};
    char again[RECORD_SIZE];
    if (!record_read(text, &record)) {
        return;
    }
    (void)record_write(&record, again);
    invariant(record_read(again, &back));
    invariant(back.assignment == record.assignment && back.ended == record.ended);
    invariant(back.started_wall_ms == record.started_wall_ms);
    invariant(memcmp(&back.limits, &record.limits, sizeof back.limits) == 0);
    invariant(!record.ended || (back.outcome == record.outcome && back.reason == record.reason &&
                                back.exit_status == record.exit_status));
}

static void read_environment(const char *text)
{
    struct environment environment;
    struct err err = {0};
    environment_init(&environment);
    int rc = environment_set(&environment, "PATH", "/bin", &err);
    invariant(rc == 0);
    rc = environment_parse(&environment, text, &err);
    invariant(rc == 0 || err.msg[0] != '\0');
    invariant(environment.count <= ENVIRONMENT_VARIABLES_MAX);
    for (size_t i = 0; i < environment.count; i++) {
        invariant(strchr(environment.variables[i], '=') != NULL);
        invariant(strncmp(environment.variables[i], "UNDERSTUDY_", 11) != 0);
    }
    invariant(environment.variables[environment.count] == NULL);
    environment_deinit(&environment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ending ending;
    int64_t at_s;
    if (size == 0) {
        return 0;
    }
    char *text = strndup((const char *)data + 1, size - 1);
    if (text == NULL) {
        return 0;
    }
    switch (data[0] % 5) {
    case 0:
        read_slot(text);
        break;
    case 1:
        (void)ending_read(text, &ending);
        invariant(ending.cause <= ENDING_UNSEEN && ending.exit_status >= -1);
        break;
    case 2:
        read_record(text);
        break;
    case 3:
        read_environment(text);
        break;
    default:
        (void)clock_instant_parse(text, &at_s);
        break;
    }
    free(text);
    return 0;
}
