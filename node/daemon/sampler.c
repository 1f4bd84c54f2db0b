#include "node/daemon/sampler.h"

#include "node/base/clock.h"
#include "node/base/thread.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SMALL_FILE_SIZE 4096

struct sampler {
    pthread_t thread;
    bool running;
    int stop_fd; /* eventfd: the thread's wait ends */
    int news_fd; /* eventfd: a sample is there */
    pthread_mutex_t mutex;
    bool filled;
    struct health_sample latest;
    char data_dir[PATH_MAX];
    char inject_file[PATH_MAX]; /* empty: none */
    char pressure_folder[PATH_MAX];
};

/* The first bytes of a small file as text; false when it cannot be read. */
static bool read_small_file(const char *path, char ret[SMALL_FILE_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return false;
    }
    ssize_t length = read(fd, ret, SMALL_FILE_SIZE - 1);
    (void)close(fd);
    if (length < 0) {
        return false;
    }
    ret[length] = '\0';
    return true;
}

/* The number after `key`, or -1. */
static double number_after(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    if (at == NULL) {
        return -1;
    }
    at += strlen(key);
    char *end;
    double value = strtod(at, &end);
    return end == at ? -1 : value;
}

static double read_pressure(const struct sampler *self, const char *resource)
{
    char path[PATH_MAX + 16];
    char text[SMALL_FILE_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", self->pressure_folder, resource);
    return read_small_file(path, text) ? number_after(text, "some avg10=") : -1;
}

/* Where the kernel keeps no pressure figures: load per core and memory that is not available. */
static void read_load(struct health_sample *sample)
{
    char text[SMALL_FILE_SIZE];
    double load[1];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (getloadavg(load, 1) == 1 && cores > 0) {
        double per_core = 100.0 * load[0] / (double)cores;
        sample->cpu_pressure = per_core > 100 ? 100 : per_core;
    }
    if (read_small_file("/proc/meminfo", text)) {
        double total = number_after(text, "MemTotal:");
        double available = number_after(text, "MemAvailable:");
        if (total > 0 && available >= 0) {
            sample->memory_pressure = 100.0 * (total - available) / total;
        }
    }
}

static void read_disk(const struct sampler *self, struct health_sample *sample)
{
    struct statvfs room;
    if (statvfs(self->data_dir, &room) != 0 || room.f_blocks == 0) {
        return;
    }
    sample->disk_free_percent = 100.0 * (double)room.f_bavail / (double)room.f_blocks;
    sample->disk_free_bytes = (int64_t)(room.f_bavail * room.f_frsize);
}

static void read_files(struct health_sample *sample)
{
    struct rlimit limit;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        if (errno == EMFILE || errno == ENFILE) { /* this is the answer */
            sample->files_open = 1;
            sample->files_limit = 1;
        }
        return;
    }
    int64_t count = 0;
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        sample->files_open = count - 3; /* ".", ".." and the folder itself */
        sample->files_limit = (int64_t)limit.rlim_cur;
    }
}

static double read_injected(const struct sampler *self)
{
    char text[SMALL_FILE_SIZE];
    if (self->inject_file[0] == '\0' || !read_small_file(self->inject_file, text)) {
        return 0;
    }
    double value = number_after(text, "");
    return value > 0 && value <= 100 ? value : 0;
}

static struct health_sample take_sample(const struct sampler *self)
{
    struct health_sample sample = {
        .disk_free_percent = -1,
        .files_open = -1,
        .loop_lag_ms = -1,
        .storage_latency_us = -1,
    };
    sample.cpu_pressure = read_pressure(self, "cpu");
    sample.memory_pressure = read_pressure(self, "memory");
    sample.io_pressure = read_pressure(self, "io");
    sample.pressure_is_psi = sample.cpu_pressure >= 0 && sample.memory_pressure >= 0;
    if (!sample.pressure_is_psi) {
        read_load(&sample);
    }
    read_disk(self, &sample);
    read_files(&sample);
    sample.injected = read_injected(self);
    sample.taken_ms = clock_boot_ms();
    return sample;
}

static void *run(void *argument)
{
    struct sampler *self = argument;
    struct pollfd stop = {.fd = self->stop_fd, .events = POLLIN};
    do {
        struct health_sample sample = take_sample(self);
        (void)pthread_mutex_lock(&self->mutex);
        self->latest = sample;
        self->filled = true;
        (void)pthread_mutex_unlock(&self->mutex);
        uint64_t one = 1;
        (void)!write(self->news_fd, &one, sizeof one);
    } while (poll(&stop, 1, SAMPLER_PERIOD_MS) <= 0);
    return NULL;
}

static int start_thread(struct sampler *self, struct err *err)
{
    int rc = thread_start(&self->thread, run, self);
    if (rc != 0) {
        return err_set(err, ERR_NOMEM, "cannot start the sampler: %s", strerrordesc_np(rc));
    }
    self->running = true;
    return 0;
}

int sampler_create(const char *data_dir, const char *inject_file, const char *pressure_folder,
                   struct sampler **ret, struct err *err)
{
    struct sampler *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "cannot make the sampler");
    }
    (void)pthread_mutex_init(&self->mutex, NULL);
    (void)snprintf(self->data_dir, sizeof self->data_dir, "%s", data_dir);
    (void)snprintf(self->inject_file, sizeof self->inject_file, "%s",
                   inject_file == NULL ? "" : inject_file);
    (void)snprintf(self->pressure_folder, sizeof self->pressure_folder, "%s",
                   pressure_folder == NULL ? "/proc/pressure" : pressure_folder);
    self->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = self->stop_fd < 0 || self->news_fd < 0
                 ? err_set_errno(err, ERR_IO, "cannot make the sampler's eventfd")
                 : start_thread(self, err);
    if (rc != 0) {
        sampler_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

void sampler_destroy(struct sampler **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct sampler *self = *self_p;
    if (self->running) {
        uint64_t one = 1;
        (void)!write(self->stop_fd, &one, sizeof one);
        (void)pthread_join(self->thread, NULL);
    }
    if (self->stop_fd >= 0) {
        (void)close(self->stop_fd);
    }
    if (self->news_fd >= 0) {
        (void)close(self->news_fd);
    }
    (void)pthread_mutex_destroy(&self->mutex);
    free(self);
    *self_p = NULL;
}

int sampler_fd(const struct sampler *self)
{
    return self->news_fd;
}

bool sampler_latest(struct sampler *self, struct health_sample *ret)
{
    uint64_t count;
    (void)!read(self->news_fd, &count, sizeof count);
    (void)pthread_mutex_lock(&self->mutex);
    bool filled = self->filled;
    if (filled) {
        *ret = self->latest;
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return filled;
}
