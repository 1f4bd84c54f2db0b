#include "tests/sim/runner.h"

#include "node/base/invariant.h"
#include "tests/sim/check.h"
#include "tests/sim/faults.h"
#include "tests/sim/world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CPU_SECONDS_MAX 20

void runner_random(const struct options *options, uint64_t seed, struct verdict *verdict,
                   bool tracing)
{
    struct world *world = world_create(options, seed, verdict, tracing);
    faults_begin(world);
    world_run(world, options->duration * 1000);
    if (options->liveness != 0) {
        check_end(world);
    }
    world_destroy(&world);
}

/* The child's output: the trace, or the end of what sanitizers and libraries have to say. */
static void redirect(const char *trace)
{
    if (trace != NULL && strcmp(trace, "-") == 0) {
        return;
    }
    int file =
        open(trace == NULL ? "/dev/null" : trace, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file >= 0) {
        (void)dup2(file, STDOUT_FILENO);
        (void)dup2(file, STDERR_FILENO);
        (void)close(file);
    }
}

static void run_child(run_function *run, const struct options *options, uint64_t seed,
                      struct verdict *verdict, const char *trace)
{
    struct rlimit cpu = {.rlim_cur = CPU_SECONDS_MAX, .rlim_max = CPU_SECONDS_MAX + 1};
    struct rlimit core = {0};
    (void)setrlimit(RLIMIT_CPU, &cpu);
    (void)setrlimit(RLIMIT_CORE, &core);
    redirect(trace);
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* a crash keeps the lines before it */
    run(options, seed, verdict, trace != NULL);
    verdict->kind = VERDICT_OK;
    (void)fflush(stdout);
    _exit(0);
}

enum outcome runner_one(run_function *run, const struct options *options, uint64_t seed,
                        struct verdict *ret, const char *trace)
{
    struct verdict *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    invariant(shared != MAP_FAILED);
    (void)fflush(stdout);
    pid_t child = fork();
    invariant(child >= 0);
    if (child == 0) {
        run_child(run, options, seed, shared, trace);
    }
    int status = 0;
    pid_t ended = waitpid(child, &status, 0);
    invariant(ended == child);
    *ret = *shared;
    (void)munmap(shared, sizeof *shared);
    if (ret->kind == VERDICT_OK && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return OUTCOME_OK;
    }
    if (ret->kind == VERDICT_VIOLATION) {
        return OUTCOME_VIOLATION;
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) {
        return OUTCOME_HANG;
    }
    (void)snprintf(ret->check, sizeof ret->check, "CRASH");
    (void)snprintf(ret->text, sizeof ret->text, "the process ended with %s %d",
                   WIFSIGNALED(status) ? "signal" : "status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return OUTCOME_CRASH;
}

const char *outcome_name(enum outcome outcome)
{
    static const char *const names[] = {"ok", "violation", "crash", "hang"};
    return names[outcome];
}
