#include "node/http/metrics.h"

#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void put(struct metrics *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct metrics *self, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (written > 0 && (size_t)written < sizeof text) {
        (void)buffer_append(&self->text, text, (size_t)written);
    }
}

static void put_escaped(struct metrics *self, const char *text)
{
    for (const char *at = text == NULL ? "" : text; *at != '\0'; at++) {
        switch (*at) {
        case '\n':
            put(self, "\\n");
            break;
        case '"':
        case '\\':
            put(self, "\\%c", *at);
            break;
        default:
            (void)buffer_append(&self->text, at, 1);
            break;
        }
    }
}

void metrics_init(struct metrics *self)
{
    *self = (struct metrics){0};
    buffer_init(&self->text, METRICS_BYTES_MAX);
}

void metrics_deinit(struct metrics *self)
{
    buffer_deinit(&self->text);
}

static void begin(struct metrics *self, enum metrics_type type, const char *name, const char *help)
{
    static const char *const types[] = {"gauge", "counter", "info"};
    static const char *const suffixes[] = {"", "_total", "_info"};
    put(self, "# TYPE %s %s\n# HELP %s ", name, types[type], name);
    put_escaped(self, help);
    put(self, "\n");
    self->suffix = suffixes[type];
}

void metrics_family(struct metrics *self, enum metrics_type type, const char *name,
                    const char *help)
{
    char full[128];
    (void)snprintf(full, sizeof full, "understudy_%s", name);
    begin(self, type, full, help);
    self->family = name;
}

static void put_value(struct metrics *self, double value)
{
    if (fabs(value) < 9e15 && value == floor(value)) {
        put(self, " %.0f\n", value);
    } else {
        put(self, " %.17g\n", value);
    }
}

void metrics_value2(struct metrics *self, const char *label1, const char *text1, const char *label2,
                    const char *text2, double value)
{
    if (!isfinite(value)) {
        return;
    }
    put(self, "understudy_%s%s", self->family, self->suffix);
    if (label1 != NULL) {
        put(self, "{%s=\"", label1);
        put_escaped(self, text1);
        put(self, "\"");
        if (label2 != NULL) {
            put(self, ",%s=\"", label2);
            put_escaped(self, text2);
            put(self, "\"");
        }
        put(self, "}");
    }
    put_value(self, value);
}

void metrics_value1(struct metrics *self, const char *label, const char *text, double value)
{
    metrics_value2(self, label, text, NULL, NULL, value);
}

void metrics_value(struct metrics *self, double value)
{
    metrics_value2(self, NULL, NULL, NULL, NULL, value);
}

static void put_process(struct metrics *self, enum metrics_type type, const char *name,
                        const char *help, double value)
{
    begin(self, type, name, help);
    put(self, "%s%s", name, self->suffix);
    put_value(self, value);
}

static double resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%*u %lu", &pages) != 1) { // NOLINT(cert-err34-c): the kernel wrote it
        pages = 0;
    }
    (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    double count = -3; /* ".", ".." and the folder's own */
    while (folder != NULL && readdir(folder) != NULL) {
        count++;
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return count < 0 ? 0 : count;
}

void metrics_process(struct metrics *self)
{
    struct rusage usage = {0};
    struct rlimit limit = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    put_process(self, METRICS_COUNTER, "process_cpu_seconds", "CPU time used", seconds);
    put_process(self, METRICS_GAUGE, "process_resident_memory_bytes", "resident memory",
                resident_bytes());
    put_process(self, METRICS_GAUGE, "process_open_fds", "open descriptors", open_descriptors());
    put_process(self, METRICS_GAUGE, "process_max_fds", "descriptors that may be open",
                (double)limit.rlim_cur);
}

char *metrics_finish(struct metrics *self)
{
    size_t length;
    put(self, "# EOF\n");
    (void)buffer_append(&self->text, "", 1);
    return (char *)buffer_take(&self->text, &length);
}
