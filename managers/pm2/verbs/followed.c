#include "managers/pm2/verbs/followed.h"

#include "managers/pm2/verbs/look.h"
#include "node/base/doc.h"

#include <stdlib.h>
#include <string.h>

struct name {
    char *text;
    int64_t asked_ms;
    json_t *files;
};

struct followed {
    struct name names[FOLLOWED_MAX];
};

static void add_file(json_t *ret, const char *home, uid_t owner, const json_t *row,
                     const char *stream, const char *key)
{
    const char *path = doc_get_text(json_object_get(row, "pm2_env"), key, "");
    if (path[0] != '/' || strcmp(path, "/dev/null") == 0 || strlen(path) >= MANAGER_PATH_SIZE ||
        json_array_size(ret) >= FOLLOWED_ROWS_MAX) {
        return;
    }
    json_t *file =
        json_pack("{ss so sO* so ss so sI}", "kind", "file", "home", doc_text(home), "id",
                  json_object_get(row, "pm_id"), "name", doc_text(doc_get_text(row, "name", NULL)),
                  "stream", stream, "path", doc_text(path), "owner", (json_int_t)owner);
    (void)json_array_append_new(ret, file);
}

void followed_add(json_t *ret, const char *home, uid_t owner, const json_t *list, const char *name)
{
    size_t index;
    json_t *row;
    json_array_foreach(doc_writable(list), index, row)
    {
        if (strcmp(doc_get_text(row, "name", ""), name) == 0) {
            add_file(ret, home, owner, row, "out", "pm_out_log_path");
            add_file(ret, home, owner, row, "err", "pm_err_log_path");
        }
    }
}

static void forget(struct name *name)
{
    free(name->text);
    json_decref(name->files);
    *name = (struct name){0};
}

static bool is_over(const struct name *name, int64_t now_ms)
{
    return name->text != NULL && now_ms - name->asked_ms > FOLLOWED_MS;
}

const json_t *followed_files(struct pm2 *self, const char *name, int64_t now_ms)
{
    for (size_t i = 0; self->followed != NULL && i < FOLLOWED_MAX; i++) {
        struct name *known = &self->followed->names[i];
        if (is_over(known, now_ms)) {
            forget(known);
        } else if (known->text != NULL && strcmp(known->text, name) == 0) {
            known->asked_ms = now_ms;
            return known->files;
        }
    }
    return NULL;
}

void followed_set(struct pm2 *self, const char *name, json_t *files, int64_t now_ms)
{
    if (self->followed == NULL) {
        self->followed = calloc(1, sizeof *self->followed);
    }
    if (self->followed == NULL || followed_files(self, name, now_ms) != NULL) {
        return;
    }
    for (size_t i = 0; i < FOLLOWED_MAX; i++) {
        struct name *row = &self->followed->names[i];
        if (row->text == NULL) {
            *row = (struct name){
                .text = strdup(name), .asked_ms = now_ms, .files = json_incref(files)};
            return;
        }
    }
}

/* What other homes have of it stays. */
static void renew(struct name *name, const struct home *home, const json_t *list)
{
    const char *path = god_home(home->god);
    json_t *files = json_array();
    size_t index;
    json_t *row;
    json_array_foreach(name->files, index, row)
    {
        if (strcmp(doc_get_text(row, "home", ""), path) != 0) {
            (void)json_array_append(files, row);
        }
    }
    followed_add(files, path, look_owner(god_pid(home->god)), list, name->text);
    json_decref(name->files);
    name->files = files;
}

void followed_take_list(struct pm2 *self, const struct home *home, const json_t *list,
                        int64_t now_ms)
{
    for (size_t i = 0; self->followed != NULL && i < FOLLOWED_MAX; i++) {
        struct name *name = &self->followed->names[i];
        if (is_over(name, now_ms)) {
            forget(name);
        } else if (name->text != NULL) {
            renew(name, home, list);
        }
    }
}

void followed_forget(struct pm2 *self)
{
    for (size_t i = 0; self->followed != NULL && i < FOLLOWED_MAX; i++) {
        forget(&self->followed->names[i]);
    }
    free(self->followed);
    self->followed = NULL;
}
