/* Threads that no signal is delivered to: signals belong to the thread that reads them in one
 * place. */
#ifndef UNDERSTUDY_NODE_BASE_THREAD_H
#define UNDERSTUDY_NODE_BASE_THREAD_H

#include <pthread.h>

/* As pthread_create(3) with its defaults; returns 0 or an errno value. */
int thread_start(pthread_t *ret, void *(*run)(void *argument), void *argument);

#endif
