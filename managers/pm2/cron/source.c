#include "managers/pm2/cron/source.h"

const struct schedules_source cron_source = {
    .prefix = "pm2/", .list = "backups", .mode = "cron", .scripts = true};
