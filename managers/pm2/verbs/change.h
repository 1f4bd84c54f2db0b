/* `pm2 start|stop|restart`; see verbs.h. */
#ifndef UNDERSTUDY_MANAGERS_PM2_CHANGE_H
#define UNDERSTUDY_MANAGERS_PM2_CHANGE_H

#include "managers/pm2/pm2.h"

bool change_take(struct pm2 *self, const struct manager_command *command);
void change_run(struct pm2 *self, int64_t now_ms);
void change_end(struct pm2 *self);

#endif
