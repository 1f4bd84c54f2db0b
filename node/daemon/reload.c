#include "node/daemon/reload.h"

#include "node/base/thread.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

extern char **environ;

struct reload {
    char file[CONFIG_PATH_SIZE];
    char keys_folder[CONFIG_PATH_SIZE];
    int done_fd;
    pthread_t thread;
    bool running; /* the thread exists and was not joined */
    bool again;
    struct reload_result result; /* the thread's until done_fd is readable */
};

struct reload *reload_create(const char *file, const char *keys_folder)
{
    struct reload *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->done_fd < 0) {
        free(self);
        return NULL;
    }
    (void)snprintf(self->file, sizeof self->file, "%s", file);
    (void)snprintf(self->keys_folder, sizeof self->keys_folder, "%s", keys_folder);
    return self;
}

static void forget(struct reload_result *result)
{
    config_destroy(&result->config);
    key_roster_deinit(&result->keys);
    free(result->text);
    *result = (struct reload_result){0};
}

void reload_destroy(struct reload **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct reload *self = *self_p;
    if (self->running) {
        (void)pthread_join(self->thread, NULL);
        forget(&self->result);
    }
    (void)close(self->done_fd);
    free(self);
    *self_p = NULL;
}

static char *text_of(const struct config_errors *errors, const struct err *err)
{
    char *text = errors->count > 0 ? config_errors_text(errors) : strdup(err->msg);
    size_t length = text == NULL ? 0 : strlen(text);
    if (length > 0 && text[length - 1] == '\n') {
        text[length - 1] = '\0';
    }
    return text;
}

static void *run(void *argument)
{
    struct reload *self = argument;
    struct reload_result *result = &self->result;
    struct err err = {0};
    struct config_errors *errors = calloc(1, sizeof *errors);
    if (errors == NULL) {
        result->rc = ERR_NOMEM;
    } else {
        struct config_sources sources = {.file = self->file, .environment = environ};
        result->rc = config_load(&sources, &result->config, errors);
        if (result->rc == 0) {
            result->rc = keys_load_roster(self->keys_folder, &result->keys, &err);
        }
        result->text = text_of(errors, &err);
        if (result->rc != 0) {
            config_destroy(&result->config);
        }
        free(errors);
    }
    uint64_t one = 1;
    (void)!write(self->done_fd, &one, sizeof one);
    return NULL;
}

void reload_start(struct reload *self)
{
    if (self->running) {
        self->again = true;
        return;
    }
    self->running = thread_start(&self->thread, run, self) == 0;
}

int reload_fd(const struct reload *self)
{
    return self->done_fd;
}

bool reload_take(struct reload *self, struct reload_result *ret)
{
    uint64_t count;
    if (!self->running || read(self->done_fd, &count, sizeof count) != (ssize_t)sizeof count) {
        return false;
    }
    (void)pthread_join(self->thread, NULL);
    self->running = false;
    *ret = self->result;
    self->result = (struct reload_result){0};
    if (self->again) {
        self->again = false;
        reload_start(self);
    }
    return true;
}
