#include "managers/pm2/mend/stops.h"

#include "node/base/doc.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX (64 << 10)

/* ---- the file ---- */

static json_t *describe(const struct stops *self)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < STOPS_MAX; i++) {
        const struct stop *row = &self->rows[i];
        if (row->used) {
            (void)json_array_append_new(
                ret, json_pack("{so sI so sI sI}", "home", doc_text(row->home), "pm_id",
                               (json_int_t)row->pm_id, "name", doc_text(row->name), "started",
                               (json_int_t)row->started_wall_ms, "stopped",
                               (json_int_t)row->stopped_wall_ms));
        }
    }
    return ret;
}

/* As whole as it can be: without it a start that is due may be forgotten, nothing worse. */
static void save(const struct stops *self)
{
    char next[sizeof self->path + 8];
    if (self->path[0] == '\0') {
        return;
    }
    (void)snprintf(next, sizeof next, "%s.new", self->path);
    json_t *document = describe(self);
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool whole = fd >= 0 && json_dumpfd(document, fd, JSON_COMPACT) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (whole) {
        (void)rename(next, self->path);
    }
    json_decref(document);
}

static bool take_row(const json_t *told, int64_t wall_ms, struct stop *ret)
{
    const char *home = doc_get_text(told, "home", "");
    const char *name = doc_get_text(told, "name", "");
    *ret = (struct stop){.used = true,
                         .pm_id = doc_get_integer(told, "pm_id", -1),
                         .started_wall_ms = doc_get_integer(told, "started", 0),
                         .stopped_wall_ms = doc_get_integer(told, "stopped", 0)};
    int64_t age_ms = wall_ms - ret->stopped_wall_ms;
    if (home[0] == '\0' || strlen(home) >= sizeof ret->home || name[0] == '\0' ||
        strlen(name) >= sizeof ret->name || ret->pm_id < 0 || age_ms < 0 ||
        age_ms >= STOPS_KEEP_MS) {
        return false;
    }
    memcpy(ret->home, home, strlen(home) + 1);
    memcpy(ret->name, name, strlen(name) + 1);
    return true;
}

static void load(struct stops *self, int64_t wall_ms)
{
    char text[FILE_BYTES_MAX];
    int fd = open(self->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text);
    if (fd >= 0) {
        (void)close(fd);
    }
    json_t *document = length > 0 ? json_loadb(text, (size_t)length, 0, NULL) : NULL;
    size_t count = 0;
    size_t index;
    json_t *told;
    json_array_foreach(document, index, told)
    {
        if (count < STOPS_MAX && take_row(told, wall_ms, &self->rows[count])) {
            count++;
        }
    }
    if (count < STOPS_MAX) {
        self->rows[count].used = false; /* one that was not believed */
    }
    json_decref(document);
}

void stops_open(struct stops *self, const char *folder, int64_t wall_ms)
{
    *self = (struct stops){0};
    if (folder != NULL && strlen(folder) < MANAGER_PATH_SIZE) {
        (void)snprintf(self->path, sizeof self->path, "%s/mending", folder);
        load(self, wall_ms);
    }
}

/* ---- rows ---- */

static struct stop *find(struct stops *self, const char *home, int64_t pm_id)
{
    for (size_t i = 0; i < STOPS_MAX; i++) {
        struct stop *row = &self->rows[i];
        if (row->used && row->pm_id == pm_id && strcmp(row->home, home) == 0) {
            return row;
        }
    }
    return NULL;
}

bool stops_has_room(const struct stops *self)
{
    for (size_t i = 0; i < STOPS_MAX; i++) {
        if (!self->rows[i].used) {
            return true;
        }
    }
    return false;
}

void stops_add(struct stops *self, const struct stop *stop)
{
    struct stop *row = find(self, stop->home, stop->pm_id);
    for (size_t i = 0; row == NULL && i < STOPS_MAX; i++) {
        row = self->rows[i].used ? NULL : &self->rows[i];
    }
    if (row != NULL) {
        *row = *stop;
        row->used = true;
        save(self);
    }
}

void stops_drop(struct stops *self, const char *home, int64_t pm_id)
{
    struct stop *row = find(self, home, pm_id);
    if (row != NULL) {
        row->used = false;
        save(self);
    }
}

void stops_drop_named(struct stops *self, const char *home, const char *name)
{
    for (size_t i = 0; i < STOPS_MAX; i++) {
        struct stop *row = &self->rows[i];
        if (row->used && strcmp(row->home, home) == 0 && strcmp(row->name, name) == 0) {
            row->used = false;
            save(self);
        }
    }
}

bool stops_has(struct stops *self, const struct stop *row)
{
    const struct stop *found = find(self, row->home, row->pm_id);
    if (found == NULL) {
        return false;
    }
    if (strcmp(found->name, row->name) != 0 || found->started_wall_ms != row->started_wall_ms) {
        stops_drop(self, row->home, row->pm_id);
        return false;
    }
    return true;
}
