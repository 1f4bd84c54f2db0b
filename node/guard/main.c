/* understudy-guard: runs one exclusive process and stops it for certain. safety.md, "The guard". */
#include "node/guard/front.h"
#include "node/guard/lock.h"
#include "node/guard/options.h"
#include "node/guard/post.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int refuse_lock(const struct guard_options *options, pid_t holder)
{
    if (errno != EWOULDBLOCK) {
        (void)fprintf(stderr, "understudy-guard: %s: %s\n", options->lock_path, strerror(errno));
        return GUARD_EXIT_FAILED;
    }
    if (!front_may_say()) {
        return POST_EXIT_LOST;
    }
    bool alive = holder > 0 && (kill(holder, 0) == 0 || errno == EPERM);
    (void)fprintf(
        stderr, "understudy-guard: %s runs on this host already, under guard %ld%s; not started\n",
        options->duty, (long)holder,
        alive ? "" : ", which is gone while processes that it started are not");
    return POST_EXIT_LOST;
}

int main(int argc, char *argv[])
{
    struct guard_options options;
    int code = options_parse(argc, argv, &options);
    if (code != 0) {
        return code < 0 ? 0 : code;
    }
    pid_t holder = 0;
    if (lock_take(options.lock_path, options.duty, GUARD_LOCK_WAIT_MS, &holder) < 0) {
        return refuse_lock(&options, holder);
    }
    return front_run(&options);
}
