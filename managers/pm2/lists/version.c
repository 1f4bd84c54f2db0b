#include "managers/pm2/lists/version.h"

#include "managers/pm2/lists/saved.h"
#include "node/base/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const loss_names[] = {
    [WANTED_WHOLE] = "whole", [WANTED_EMPTIED] = "emptied", [WANTED_LOST] = "lost"};

void version_deinit(struct version *self)
{
    json_decref(self->names);
    json_decref(self->changes);
    json_decref(self->daemon);
    json_decref(self->rows);
    *self = (struct version){0};
}

static json_t *head_of(const struct version *self)
{
    char life[24];
    (void)snprintf(life, sizeof life, "%016llx", (unsigned long long)self->life);
    json_t *ret = json_pack("{si sI ss ss sI ss sb ss so sO?}", "v", VERSION_FORMAT, "number",
                            (json_int_t)self->number, "home", self->home, "boot_id", self->boot_id,
                            "wall_ms", (json_int_t)self->wall_ms, "life", life, "tidied",
                            self->tidied, "loss", loss_names[self->loss], "names",
                            saved_names(self->rows), "changes", self->changes);
    if (self->daemon != NULL) {
        (void)json_object_set(ret, "daemon", self->daemon);
    }
    return ret;
}

char *version_text(const struct version *self)
{
    static const size_t flags = JSON_COMPACT | JSON_SORT_KEYS;
    json_t *head = head_of(self);
    char *first = head != NULL ? json_dumps(head, flags) : NULL;
    char *second = json_dumps(self->rows, flags);
    size_t head_length = first != NULL ? strlen(first) : 0;
    size_t rows_length = second != NULL ? strlen(second) : 0;
    char *ret = NULL;
    if (head_length > 0 && rows_length > 0 && head_length < VERSION_HEAD_BYTES_MAX &&
        head_length + rows_length + 3 <= VERSION_BYTES_MAX) {
        ret = malloc(head_length + rows_length + 3);
    }
    if (ret != NULL) {
        char *end = stpcpy(ret, first);
        *end++ = '\n';
        end = stpcpy(end, second);
        *end++ = '\n';
        *end = '\0';
    }
    json_decref(head);
    free(first);
    free(second);
    return ret;
}

static int damaged(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "a kept list %s", what);
}

static int copy_text(const json_t *head, const char *key, char *ret, size_t size, struct err *err)
{
    const char *text = doc_get_text(head, key, NULL);
    if (text == NULL || strlen(text) >= size) {
        return err_set(err, ERR_CORRUPT, "a kept list has no %s", key);
    }
    memcpy(ret, text, strlen(text) + 1);
    return 0;
}

static json_t *texts_of(const json_t *head, const char *key)
{
    const json_t *list = json_object_get(head, key);
    json_t *ret = json_array();
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        if (json_is_string(item)) {
            (void)json_array_append(ret, item);
        }
    }
    return ret;
}

static enum wanted_loss read_loss(const char *text)
{
    for (size_t i = 0; i < sizeof loss_names / sizeof loss_names[0]; i++) {
        if (strcmp(text, loss_names[i]) == 0) {
            return (enum wanted_loss)i;
        }
    }
    return WANTED_WHOLE;
}

static int read_members(const json_t *head, struct version *ret, struct err *err)
{
    int64_t format = doc_get_integer(head, "v", 0);
    if (format < 1) {
        return damaged(err, "does not begin with what it is");
    }
    if (format > VERSION_FORMAT) {
        return err_set(err, ERR_UNSUPPORTED, "a kept list was written by a later version");
    }
    ret->number = doc_get_integer(head, "number", 0);
    ret->wall_ms = doc_get_integer(head, "wall_ms", -1);
    if (ret->number < 1 || ret->wall_ms < 0) {
        return damaged(err, "has no number or time");
    }
    int rc = copy_text(head, "home", ret->home, sizeof ret->home, err);
    rc = rc != 0 ? rc : copy_text(head, "boot_id", ret->boot_id, sizeof ret->boot_id, err);
    if (rc != 0) {
        return rc;
    }
    ret->life = strtoull(doc_get_text(head, "life", "0"), NULL, 16);
    ret->tidied = doc_get_bool(head, "tidied", false);
    ret->loss = read_loss(doc_get_text(head, "loss", ""));
    ret->names = texts_of(head, "names");
    ret->changes = texts_of(head, "changes");
    const json_t *daemon = json_object_get(head, "daemon");
    ret->daemon = json_is_object(daemon) ? json_incref(doc_writable(daemon)) : NULL;
    return 0;
}

/* Length of the first line, without its end; SIZE_MAX when there is none. */
static size_t first_line(const char *text, size_t length)
{
    size_t most = length < VERSION_HEAD_BYTES_MAX ? length : VERSION_HEAD_BYTES_MAX;
    const char *end = most > 0 ? memchr(text, '\n', most) : NULL;
    return end != NULL ? (size_t)(end - text) : SIZE_MAX;
}

int version_read_head(const char *text, size_t length, struct version *ret, struct err *err)
{
    *ret = (struct version){0};
    size_t line = first_line(text, length);
    json_t *head = line != SIZE_MAX ? json_loadb(text, line, JSON_REJECT_DUPLICATES, NULL) : NULL;
    int rc = json_is_object(head) ? read_members(head, ret, err) : damaged(err, "has no head");
    json_decref(head);
    return rc;
}

int version_read(const char *text, size_t length, struct version *ret, struct err *err)
{
    int rc = version_read_head(text, length, ret, err);
    if (rc != 0) {
        return rc;
    }
    size_t line = first_line(text, length);
    /* A file that was cut short lacks its last end of line. */
    if (length > VERSION_BYTES_MAX || text[length - 1] != '\n' || length < line + 3) {
        return damaged(err, "was cut short");
    }
    ret->rows = json_loadb(text + line + 1, length - line - 2, JSON_REJECT_DUPLICATES, NULL);
    if (ret->rows == NULL || !saved_is_valid(ret->rows)) {
        return damaged(err, "has damaged rows");
    }
    return 0;
}
