/* Where the schedules of the PM2 manager stand in its section: its backups in mode cron. */
#ifndef UNDERSTUDY_MANAGERS_PM2_CRON_SOURCE_H
#define UNDERSTUDY_MANAGERS_PM2_CRON_SOURCE_H

#include "managers/run/schedules.h"

extern const struct schedules_source cron_source;

#endif
