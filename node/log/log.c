#include "node/log/log.h"

#include "node/base/clock.h"
#include "node/base/thread.h"
#include "node/log/file.h"
#include "node/log/line.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_MAX_BYTES ((int64_t)10 << 20)
#define DEFAULT_KEEP_DAYS 30
#define DEFAULT_BURST 200
#define RATE_WINDOW_MS 10000
#define RATE_NAMES 256 /* event names that are counted; further ones share a row */
#define TIDY_EVERY_MS ((int64_t)3600000)

/* A line lives in the ring and in the queue at once: counted references under the lock. */
struct entry {
    uint64_t sequence;
    int64_t wall_ms;
    enum log_level level;
    unsigned references;
    char event[LOG_EVENT_SIZE];
    size_t length; /* of `text`, its newline included */
    char text[];
};

struct rate {
    char event[LOG_EVENT_SIZE];
    int64_t window_start_ms;
    unsigned lines;
    uint64_t suppressed;
};

struct log {
    _Atomic unsigned level;
    enum log_format format;
    unsigned burst;
    char *node;

    pthread_mutex_t lock; /* guards everything below it up to the writer's own part */
    pthread_cond_t work;  /* something for the writer */
    pthread_cond_t done;  /* the writer has written */
    struct entry *ring[LOG_RING_LINES];
    uint64_t newest; /* sequence of the newest line, 0: none */
    struct entry *queue[LOG_QUEUE_LINES];
    size_t queued;
    struct rate rates[RATE_NAMES];
    uint64_t taken;   /* lines handed to the queue */
    uint64_t settled; /* of those: written, failed or dropped */
    struct log_counters counters;
    bool reopen;
    bool stop;
    bool packer_stop;
    bool tidy_wanted;
    pthread_cond_t tidy;

    /* The writer's own. */
    struct log_file file;
    pthread_t writer;
    pthread_t packer; /* compresses, so that a big file does not hold up the writer */
};

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

const char *log_level_name(enum log_level level)
{
    return level <= LOG_LEVEL_DEBUG ? level_names[level] : "unknown";
}

bool log_level_parse(const char *name, enum log_level *ret)
{
    for (enum log_level level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        if (strcmp(name, level_names[level]) == 0) {
            *ret = level;
            return true;
        }
    }
    return false;
}

static void release(struct entry *entry)
{
    if (entry != NULL && --entry->references == 0) {
        free(entry);
    }
}

/* --- the writer ---------------------------------------------------------------------------- */

/* Takes the oldest queued line out; the lock is held. */
static struct entry *take_oldest(struct log *self)
{
    if (self->queued == 0) {
        return NULL;
    }
    struct entry *entry = self->queue[0];
    self->queued--;
    memmove(self->queue, self->queue + 1, self->queued * sizeof(struct entry *));
    return entry;
}

/* A batch at a time, so that the lock is taken rarely and the queue moves rarely. */
static size_t take_batch(struct log *self, struct entry **batch, size_t max)
{
    size_t count = self->queued < max ? self->queued : max;
    memcpy(batch, self->queue, count * sizeof(struct entry *));
    self->queued -= count;
    memmove(self->queue, self->queue + count, self->queued * sizeof(struct entry *));
    return count;
}

static size_t write_batch(struct log *self, struct entry *const *batch, size_t count)
{
    size_t written = 0;
    for (size_t i = 0; i < count; i++) {
        written +=
            log_file_append(&self->file, batch[i]->text, batch[i]->length, batch[i]->wall_ms);
    }
    return written;
}

static void *run_writer(void *context)
{
    struct log *self = context;
    struct entry *batch[64];
    (void)pthread_mutex_lock(&self->lock);
    while (!self->stop || self->queued > 0) {
        if (self->queued == 0 && !self->reopen) {
            (void)pthread_cond_wait(&self->work, &self->lock);
            continue;
        }
        bool reopen = self->reopen;
        self->reopen = false;
        size_t count = take_batch(self, batch, sizeof(batch) / sizeof(batch[0]));
        (void)pthread_mutex_unlock(&self->lock);
        if (reopen) {
            log_file_close(&self->file);
            log_file_reopen(&self->file);
        }
        size_t written = write_batch(self, batch, count);
        (void)pthread_mutex_lock(&self->lock);
        for (size_t i = 0; i < count; i++) {
            release(batch[i]);
        }
        self->settled += count;
        self->counters.written += written;
        self->counters.failures += self->file.failures;
        self->file.failures = 0;
        if (self->file.rotations != self->counters.rotations) {
            self->counters.rotations = self->file.rotations;
            self->tidy_wanted = true;
            (void)pthread_cond_signal(&self->tidy);
        }
        (void)pthread_cond_broadcast(&self->done);
    }
    (void)pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* The packer works on a copy of the file's settings: it never touches the writer's descriptor. */
static void *run_packer(void *context)
{
    struct log *self = context;
    (void)pthread_mutex_lock(&self->lock);
    while (!self->packer_stop) {
        if (!self->tidy_wanted) {
            struct timespec until;
            int64_t end_ms = clock_monotonic_us() / 1000 + TIDY_EVERY_MS;
            until.tv_sec = (time_t)(end_ms / 1000);
            until.tv_nsec = 0;
            if (pthread_cond_timedwait(&self->tidy, &self->lock, &until) == 0) {
                continue;
            }
        }
        self->tidy_wanted = false;
        struct log_file settings = {.max_bytes = self->file.max_bytes,
                                    .keep_days = self->file.keep_days};
        memcpy(settings.dir, self->file.dir, sizeof(settings.dir));
        memcpy(settings.name, self->file.name, sizeof(settings.name));
        (void)pthread_mutex_unlock(&self->lock);
        log_file_tidy(&settings, clock_wall_ms());
        (void)pthread_mutex_lock(&self->lock);
        self->counters.failures += settings.failures;
        (void)pthread_cond_broadcast(&self->done);
    }
    (void)pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* --- making and ending --------------------------------------------------------------------- */

static int set_up(struct log *self, const struct log_config *config, struct err *err)
{
    self->level = config->level;
    self->format = config->format;
    self->burst = config->rate_burst > 0 ? config->rate_burst : DEFAULT_BURST;
    self->file.max_bytes = config->max_bytes > 0 ? config->max_bytes : DEFAULT_MAX_BYTES;
    self->file.keep_days = config->keep_days > 0 ? config->keep_days : DEFAULT_KEEP_DAYS;
    if (config->node != NULL && (self->node = strdup(config->node)) == NULL) {
        return err_set(err, ERR_NOMEM, "log: out of memory");
    }
    const char *dir = config->dir == NULL ? "" : config->dir;
    const char *name = config->file_name == NULL ? "understudyd.log" : config->file_name;
    if (strlen(dir) >= sizeof(self->file.dir) || strlen(name) >= sizeof(self->file.name)) {
        return err_set(err, ERR_INVALID, "log: the path is too long");
    }
    (void)snprintf(self->file.dir, sizeof(self->file.dir), "%s", dir);
    (void)snprintf(self->file.name, sizeof(self->file.name), "%s", name);
    return log_file_open(&self->file, err);
}

static int start_threads(struct log *self)
{
    int code = thread_start(&self->writer, run_writer, self);
    if (code == 0 && log_file_wants_tidy(&self->file)) {
        self->tidy_wanted = true; /* what an earlier process left */
        code = thread_start(&self->packer, run_packer, self);
        if (code != 0) {
            (void)pthread_mutex_lock(&self->lock);
            self->stop = true;
            (void)pthread_cond_signal(&self->work);
            (void)pthread_mutex_unlock(&self->lock);
            (void)pthread_join(self->writer, NULL);
        }
    }
    return code;
}

int log_create(const struct log_config *config, struct log **ret, struct err *err)
{
    struct log *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "log: out of memory");
    }
    (void)pthread_mutex_init(&self->lock, NULL);
    /* Waits with an end count on a clock that no one sets: a wall clock set back an hour would make
     * log_flush wait for that hour. */
    pthread_condattr_t steady;
    (void)pthread_condattr_init(&steady);
    (void)pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&self->work, NULL);
    (void)pthread_cond_init(&self->done, &steady);
    (void)pthread_cond_init(&self->tidy, &steady);
    (void)pthread_condattr_destroy(&steady);
    self->file.fd = -1;
    int code = set_up(self, config, err);
    if (code == 0 && start_threads(self) != 0) {
        code = err_set(err, ERR_NOMEM, "log: no thread for the writer");
        log_file_close(&self->file);
    }
    if (code != 0) {
        free(self->node);
        free(self);
        return code;
    }
    *ret = self;
    return 0;
}

void log_destroy(struct log **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct log *self = *self_p;
    (void)pthread_mutex_lock(&self->lock);
    self->stop = true;
    self->packer_stop = true;
    (void)pthread_cond_signal(&self->work);
    (void)pthread_cond_signal(&self->tidy);
    (void)pthread_mutex_unlock(&self->lock);
    (void)pthread_join(self->writer, NULL);
    if (log_file_wants_tidy(&self->file)) {
        (void)pthread_join(self->packer, NULL);
    }
    log_file_close(&self->file);
    for (size_t i = 0; i < LOG_RING_LINES; i++) {
        release(self->ring[i]);
    }
    (void)pthread_mutex_destroy(&self->lock);
    (void)pthread_cond_destroy(&self->work);
    (void)pthread_cond_destroy(&self->done);
    (void)pthread_cond_destroy(&self->tidy);
    free(self->node);
    free(self);
    *self_p = NULL;
}

/* --- logging ------------------------------------------------------------------------------- */

bool log_enabled(const struct log *self, enum log_level level)
{
    return self != NULL && (unsigned)level <= self->level;
}

void log_set_level(struct log *self, enum log_level level)
{
    if (self != NULL) {
        self->level = level;
    }
}

static struct rate *rate_of(struct log *self, const char *event)
{
    for (size_t i = 0; i < RATE_NAMES; i++) {
        struct rate *rate = &self->rates[i];
        if (rate->event[0] == '\0') {
            (void)snprintf(rate->event, sizeof(rate->event), "%s", event);
        }
        if (strncmp(rate->event, event, sizeof(rate->event) - 1) == 0) {
            return rate;
        }
    }
    return &self->rates[RATE_NAMES - 1];
}

/* False: leave the line out. True: *ret_suppressed lines were left out before it. */
static bool within_rate(struct log *self, const char *event, uint64_t *ret_suppressed)
{
    struct rate *rate = rate_of(self, event);
    int64_t now_ms = clock_boot_ms();
    *ret_suppressed = 0;
    if (rate->lines == 0 || now_ms - rate->window_start_ms >= RATE_WINDOW_MS) {
        rate->window_start_ms = now_ms;
        rate->lines = 0;
        *ret_suppressed = rate->suppressed;
        rate->suppressed = 0;
    }
    if (rate->lines >= self->burst) {
        rate->suppressed++;
        self->counters.suppressed++;
        return false;
    }
    rate->lines++;
    return true;
}

/* Make room by giving up the oldest line that matters least; the lock is held. */
static void drop_one(struct log *self)
{
    size_t victim = 0;
    while (victim < self->queued && self->queue[victim]->level < LOG_LEVEL_INFO) {
        victim++;
    }
    if (victim == self->queued) {
        release(take_oldest(self));
    } else {
        release(self->queue[victim]);
        self->queued--;
        memmove(self->queue + victim, self->queue + victim + 1,
                (self->queued - victim) * sizeof(struct entry *));
    }
    self->counters.dropped++;
    self->settled++;
}

static void enqueue(struct log *self, struct entry *entry)
{
    entry->sequence = ++self->newest;
    entry->references = 2;
    struct entry **slot = &self->ring[entry->sequence % LOG_RING_LINES];
    release(*slot);
    *slot = entry;
    if (self->queued == LOG_QUEUE_LINES) {
        drop_one(self);
    }
    self->queue[self->queued++] = entry;
    self->taken++;
    (void)pthread_cond_signal(&self->work);
}

void log_event(struct log *self, enum log_level level, const char *event,
               const struct log_field *fields, size_t count)
{
    if (!log_enabled(self, level)) {
        return;
    }
    uint64_t suppressed = 0;
    (void)pthread_mutex_lock(&self->lock);
    bool wanted = within_rate(self, event, &suppressed);
    (void)pthread_mutex_unlock(&self->lock);
    if (!wanted) {
        return;
    }
    char text[LOG_LINE_MAX + 1];
    const struct line_event line = {.wall_ms = clock_wall_ms(),
                                    .level = level,
                                    .event = event,
                                    .node = self->node,
                                    .suppressed = suppressed,
                                    .fields = fields,
                                    .count = count};
    size_t length = line_format(&line, self->format, text);
    struct entry *entry = malloc(sizeof(*entry) + length + 1);
    (void)pthread_mutex_lock(&self->lock);
    if (entry == NULL) {
        self->counters.dropped++;
    } else {
        *entry = (struct entry){.wall_ms = line.wall_ms, .level = level, .length = length + 1};
        (void)snprintf(entry->event, sizeof(entry->event), "%s", event);
        memcpy(entry->text, text, length);
        entry->text[length] = '\n';
        enqueue(self, entry);
    }
    (void)pthread_mutex_unlock(&self->lock);
}

void log_reopen(struct log *self)
{
    (void)pthread_mutex_lock(&self->lock);
    self->reopen = true;
    (void)pthread_cond_signal(&self->work);
    (void)pthread_mutex_unlock(&self->lock);
}

bool log_flush(struct log *self, int64_t timeout_ms)
{
    struct timespec until;
    int64_t end_ms = clock_monotonic_us() / 1000 + timeout_ms;
    until.tv_sec = (time_t)(end_ms / 1000);
    until.tv_nsec = (long)(end_ms % 1000) * 1000000;
    (void)pthread_mutex_lock(&self->lock);
    uint64_t target = self->taken;
    int waited = 0;
    while ((self->settled < target || self->reopen) && waited == 0) {
        waited = pthread_cond_timedwait(&self->done, &self->lock, &until);
    }
    bool reached = self->settled >= target && !self->reopen;
    (void)pthread_mutex_unlock(&self->lock);
    return reached;
}

/* --- reading ------------------------------------------------------------------------------- */

bool log_ring_read(struct log *self, uint64_t *cursor, struct log_line *ret, uint64_t *ret_missed)
{
    (void)pthread_mutex_lock(&self->lock);
    uint64_t oldest = self->newest > LOG_RING_LINES ? self->newest - LOG_RING_LINES + 1 : 1;
    uint64_t wanted = *cursor + 1;
    uint64_t missed = wanted<oldest && * cursor> 0 ? oldest - wanted : 0;
    wanted = wanted < oldest ? oldest : wanted;
    bool there = wanted <= self->newest;
    if (there) {
        const struct entry *entry = self->ring[wanted % LOG_RING_LINES];
        ret->sequence = entry->sequence;
        ret->wall_ms = entry->wall_ms;
        ret->level = entry->level;
        memcpy(ret->event, entry->event, sizeof(ret->event));
        memcpy(ret->text, entry->text, entry->length - 1);
        ret->text[entry->length - 1] = '\0';
        *cursor = wanted;
        if (ret_missed != NULL) {
            *ret_missed = missed;
        }
    }
    (void)pthread_mutex_unlock(&self->lock);
    return there;
}

uint64_t log_ring_newest(struct log *self)
{
    (void)pthread_mutex_lock(&self->lock);
    uint64_t newest = self->newest;
    (void)pthread_mutex_unlock(&self->lock);
    return newest;
}

void log_counters(struct log *self, struct log_counters *ret)
{
    (void)pthread_mutex_lock(&self->lock);
    *ret = self->counters;
    (void)pthread_mutex_unlock(&self->lock);
}
