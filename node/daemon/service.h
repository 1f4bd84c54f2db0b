/* What a service manager (systemd) is told, when the build has libsystemd and the node runs under
 * one; else nothing happens. See sd_notify(3). The unit needs NotifyAccess=all, as the node is a
 * child of the watching parent. */
#ifndef UNDERSTUDY_NODE_DAEMON_SERVICE_H
#define UNDERSTUDY_NODE_DAEMON_SERVICE_H

void service_ready(void);
void service_reloading(void);
void service_stopping(void);
/* The watchdog's ping; only while everything that matters makes progress. */
void service_alive(void);

#endif
