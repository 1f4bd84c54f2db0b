#include "node/daemon/resolver.h"

#include "node/base/thread.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS 4
#define JOBS_MAX NODES_MAX

enum job_state { JOB_FREE, JOB_WAITS, JOB_RUNS, JOB_DONE };

struct job {
    enum job_state state;
    struct resolver_answer answer;
};

struct resolver {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    int done_fd;
    bool stop;
    int users; /* the owner and the threads; the last one frees */
    struct job jobs[JOBS_MAX];
};

static void leave(struct resolver *self)
{
    (void)pthread_mutex_lock(&self->mutex);
    bool last = --self->users == 0;
    (void)pthread_mutex_unlock(&self->mutex);
    if (last) {
        (void)close(self->done_fd);
        (void)pthread_cond_destroy(&self->work);
        (void)pthread_mutex_destroy(&self->mutex);
        free(self);
    }
}

static void look_up(struct resolver_answer *answer)
{
    /* IPv4, as the sockets are; a numeric IPv6 address is taken as it is. */
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    answer->numeric[0] = '\0';
    if (getaddrinfo(answer->host, NULL, &hints, &found) != 0) {
        return;
    }
    if (getnameinfo(found->ai_addr, found->ai_addrlen, answer->numeric, sizeof answer->numeric,
                    NULL, 0, NI_NUMERICHOST) != 0) {
        answer->numeric[0] = '\0';
    }
    freeaddrinfo(found);
}

static struct job *find_job(struct resolver *self, enum job_state state)
{
    for (size_t i = 0; i < JOBS_MAX; i++) {
        if (self->jobs[i].state == state) {
            return &self->jobs[i];
        }
    }
    return NULL;
}

static void *run(void *argument)
{
    struct resolver *self = argument;
    (void)pthread_mutex_lock(&self->mutex);
    while (!self->stop) {
        struct job *job = find_job(self, JOB_WAITS);
        if (job == NULL) {
            (void)pthread_cond_wait(&self->work, &self->mutex);
            continue;
        }
        job->state = JOB_RUNS;
        struct resolver_answer answer = job->answer;
        (void)pthread_mutex_unlock(&self->mutex);
        look_up(&answer);
        (void)pthread_mutex_lock(&self->mutex);
        job->answer = answer;
        job->state = JOB_DONE;
        uint64_t one = 1;
        (void)!write(self->done_fd, &one, sizeof one);
    }
    (void)pthread_mutex_unlock(&self->mutex);
    leave(self);
    return NULL;
}

/* True when at least one thread runs. */
static bool start_threads(struct resolver *self)
{
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        self->users++;
        if (thread_start(&thread, run, self) != 0) {
            self->users--;
            break;
        }
        (void)pthread_detach(thread);
    }
    return self->users > 1;
}

struct resolver *resolver_create(void)
{
    struct resolver *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_mutex_init(&self->mutex, NULL);
    (void)pthread_cond_init(&self->work, NULL);
    self->users = 1;
    (void)pthread_mutex_lock(&self->mutex);
    bool started = self->done_fd >= 0 && start_threads(self);
    (void)pthread_mutex_unlock(&self->mutex);
    if (!started) {
        leave(self);
        return NULL;
    }
    return self;
}

void resolver_destroy(struct resolver **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct resolver *self = *self_p;
    (void)pthread_mutex_lock(&self->mutex);
    self->stop = true;
    (void)pthread_cond_broadcast(&self->work);
    (void)pthread_mutex_unlock(&self->mutex);
    leave(self);
    *self_p = NULL;
}

bool resolver_ask(struct resolver *self, const char *host)
{
    (void)pthread_mutex_lock(&self->mutex);
    struct job *job = find_job(self, JOB_FREE);
    bool known = false;
    for (size_t i = 0; i < JOBS_MAX; i++) {
        known = known ||
                (self->jobs[i].state != JOB_FREE && strcmp(self->jobs[i].answer.host, host) == 0);
    }
    if (job != NULL && !known) {
        *job = (struct job){.state = JOB_WAITS};
        (void)snprintf(job->answer.host, sizeof job->answer.host, "%s", host);
        (void)pthread_cond_signal(&self->work);
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return job != NULL && !known;
}

int resolver_fd(const struct resolver *self)
{
    return self->done_fd;
}

bool resolver_take(struct resolver *self, struct resolver_answer *ret)
{
    (void)pthread_mutex_lock(&self->mutex);
    struct job *job = find_job(self, JOB_DONE);
    if (job != NULL) {
        *ret = job->answer;
        job->state = JOB_FREE;
    } else {
        uint64_t count;
        (void)!read(self->done_fd, &count, sizeof count);
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return job != NULL;
}

bool resolver_split(const char *address, char host[ADDRESS_SIZE], char port[8])
{
    static const char scheme[] = "tcp://";
    const char *colon = strrchr(address, ':');
    if (strncmp(address, scheme, sizeof scheme - 1) != 0 || colon == NULL) {
        return false;
    }
    const char *begin = address + sizeof scheme - 1;
    size_t length = colon > begin ? (size_t)(colon - begin) : 0;
    size_t port_length = strlen(colon + 1);
    if (length == 0 || length >= ADDRESS_SIZE || port_length == 0 || port_length >= 8) {
        return false;
    }
    memcpy(host, begin, length);
    host[length] = '\0';
    memcpy(port, colon + 1, port_length + 1);
    return true;
}

bool resolver_is_numeric(const char *host)
{
    struct in_addr ipv4;
    return host[0] == '[' || inet_pton(AF_INET, host, &ipv4) == 1;
}
