/* A wall clock that is set forward or back, for one process tree and not for the machine: preloaded
 * (LD_PRELOAD), it moves what CLOCK_REALTIME, gettimeofday and time tell, and no other clock.
 *
 *   CLOCK_SHIFT_CONTROL  a file that holds the shift in seconds as text ("-3600"); looked at
 *                        whenever the time is asked for, so a test changes it at run time.
 *
 * Waits that end at a wall-clock time keep the kernel's clock: with the shift they last too long
 * or short. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static char control[4096];
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CLOCK_SHIFT_CONTROL");
    (void)snprintf(control, sizeof control, "%s", path == NULL ? "" : path);
}

static int64_t shift_s(void)
{
    char text[32] = "";
    long fd =
        control[0] == '\0' ? -1 : syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    (void)syscall(SYS_read, fd, text, sizeof text - 1);
    (void)syscall(SYS_close, fd);
    return strtoll(text, NULL, 10);
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *ret)
{
    if (real_clock_gettime == NULL) { /* asked by another library's constructor */
        *(void **)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    }
    int rc = real_clock_gettime(clock, ret);
    if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        ret->tv_sec += (time_t)shift_s();
    }
    return rc;
}

EXPORT int gettimeofday(struct timeval *ret, void *zone)
{
    struct timespec now;
    (void)zone;
    int rc = clock_gettime(CLOCK_REALTIME, &now);
    ret->tv_sec = now.tv_sec;
    ret->tv_usec = (suseconds_t)(now.tv_nsec / 1000);
    return rc;
}

EXPORT time_t time(time_t *ret)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (ret != NULL) {
        *ret = now.tv_sec;
    }
    return now.tv_sec;
}
