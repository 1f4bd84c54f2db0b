/* The section managers.pm2 as it reaches the manager. The first byte chooses: any msgpack document,
 * or YAML that the node's own check accepts: then the manager must accept it too, and the schedules
 * of its backups in mode cron. */
#include "managers/pm2/cron/source.h"
#include "managers/pm2/settings.h"
#include "managers/pm2/watch/watch.h"
#include "node/base/invariant.h"
#include "tests/fuzz/managers/section.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_settings(const struct settings *settings)
{
    invariant(settings->home_count <= SETTINGS_HOMES_MAX);
    invariant(settings->primary_count <= SETTINGS_PRIMARIES_MAX);
    invariant(settings->backup_count <= SETTINGS_BACKUPS_MAX);
    for (size_t i = 0; i < settings->primary_count; i++) {
        const struct settings_primary *primary = &settings->primaries[i];
        invariant(settings_primary(settings, primary->name) != NULL);
        invariant(primary->memory_bytes >= 0 && primary->on.count <= MANAGER_PLACES_MAX);
        (void)settings_on(&primary->on, "n1");
    }
    for (size_t i = 0; i < settings->backup_count; i++) {
        const struct settings_backup *backup = &settings->backups[i];
        invariant(settings_backup(settings, backup->duty) != NULL);
        invariant(backup->start_after_ms >= -1 && backup->kill_timeout_ms >= 0);
        invariant(backup->script == NULL || strlen(backup->script) < (1 << 20));
    }
}

static int read_document(const uint8_t *data, size_t size, struct err *err)
{
    struct manager_document section = {.data = data, .length = size};
    struct settings *settings = NULL;
    int rc = settings_read(&section, "/home/x/.pm2", &settings, err);
    if (rc == 0) {
        check_settings(settings);
        settings_destroy(&settings);
    } else {
        invariant(settings == NULL && err->msg[0] != '\0');
    }
    return rc;
}

static int read_schedules(const uint8_t *data, size_t size, struct err *err)
{
    struct manager_document section = {.data = data, .length = size};
    struct schedules *schedules = NULL;
    int rc = schedules_read(&section, &cron_source, &schedules, err);
    for (size_t i = 0; rc == 0 && i < schedules->count; i++) {
        const struct schedule *row = &schedules->rows[i];
        invariant(schedules_find(schedules, row->name) == row && row->is.digest != 0);
        invariant(row->script != NULL && row->run == NULL && row->limits.kill_timeout_ms >= 0);
    }
    invariant(rc == 0 || schedules == NULL);
    schedules_destroy(&schedules);
    return rc;
}

static void read_configuration(const uint8_t *data, size_t size)
{
    struct mp_writer section;
    struct err err = {0};
    if (!section_write((const char *)data, size, "pm2", &section)) {
        return;
    }
    invariant(read_document(section.buffer.data, section.buffer.length, &err) == 0);
    invariant(read_schedules(section.buffer.data, section.buffer.length, &err) == 0);
    mp_writer_deinit(&section);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    if (size == 0) {
        return 0;
    }
    if (data[0] % 2 == 0) {
        (void)read_document(data + 1, size - 1, &err);
        (void)read_schedules(data + 1, size - 1, &err);
    } else {
        read_configuration(data + 1, size - 1);
    }
    char name[NAME_SIZE];
    enum decide_primary_state state;
    (void)snprintf(name, sizeof name, "%.*s", (int)(size - 1), (const char *)data + 1);
    if (watch_state_read(name, &state)) {
        invariant(strcmp(watch_state_name(state), name) == 0);
    }
    return 0;
}
