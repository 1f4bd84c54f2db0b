/* A process without descriptors goes on: whoever connects then is turned away.
 *
 * libzmq 4.3.4 ends the process when accept4 finds no descriptor left on a Unix socket
 * (ipc_listener.cpp takes ENFILE for granted, not EMFILE), and spins on a TCP socket. So accept4 of
 * this program stands in front of the C library's, for every library in it: one descriptor is kept
 * in reserve, given up to take the connection, which is closed at once, and taken again. */
#ifndef UNDERSTUDY_NODE_TRANSPORT_ACCEPT_GUARD_H
#define UNDERSTUDY_NODE_TRANSPORT_ACCEPT_GUARD_H

#include "node/base/err.h"

/* Take the reserve; before the first socket listens. ERR_IO. */
int accept_guard_open(struct err *err);
/* Connections turned away so far. Any thread. */
unsigned accept_guard_refused(void);

#endif
