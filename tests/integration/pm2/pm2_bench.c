#include "tests/integration/pm2/pm2_bench_parts.h"

#include "tests/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

int bench_set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    *state = bench;
    bench->capability = -1;
    bench->assignment = 31;
    (void)snprintf(bench->folder, sizeof bench->folder, "/tmp/test-pm2-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    (void)snprintf(bench->home, sizeof bench->home, "%s/pm2", bench->folder);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* what outlives its daemon is ours to end */
    zsys_handler_set(NULL);
    bench->loop = zloop_new();
    bench_make_home(bench);
    bench_start_god(bench, geteuid(), false);
    bench_start_post(bench);
    bench_start_supervision(bench);
    return 0;
}

int bench_tear_down(void **state)
{
    struct bench *bench = *state;
    supervise_destroy(&bench->supervise);
    bench_end_god(bench);
    post_destroy(&bench->post);
    zloop_destroy(&bench->loop);
    (void)close(bench->listen_fd);
    json_decref(bench->seen);
    json_decref(bench->reply);
    folder_remove(bench->folder);
    free(bench);
    return 0;
}

void bench_run_until(struct bench *bench, bool (*condition)(struct bench *bench), const char *what)
{
    manager_bench_wait(bench->loop, 10, condition, bench, what, &bench->seen);
}

const char *bench_script(struct bench *bench, const char *name, const char *text)
{
    static char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", bench->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fchmod(fileno(file), 0700), 0);
    (void)fclose(file);
    return path;
}
