#include "managers/pm2/ecosystem/places.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 1024
#define DOUBLED_MAX 100

struct places {
    json_t *by_path; /* path -> line << 20 | column */
    json_t *doubled; /* paths */
};

struct scan {
    const char *at;
    const char *end;
    unsigned line;
    const char *line_start;
    struct places *places;
    char path[PATH_SIZE];
    size_t path_length;
};

static void skip_space(struct scan *self)
{
    while (self->at < self->end && strchr(" \t\r\n", *self->at) != NULL && *self->at != '\0') {
        if (*self->at == '\n') {
            self->line++;
            self->line_start = self->at + 1;
        }
        self->at++;
    }
}

static void note(struct scan *self)
{
    json_int_t column = self->at - self->line_start + 1;
    json_int_t place = (json_int_t)self->line << 20 | (column < 1 << 20 ? column : 0);
    if (json_object_get(self->places->by_path, self->path) != NULL &&
        json_array_size(self->places->doubled) < DOUBLED_MAX) {
        (void)json_array_append_new(self->places->doubled, json_string(self->path));
    }
    if (json_object_size(self->places->by_path) < PLACES_MAX) {
        (void)json_object_set_new(self->places->by_path, self->path, json_integer(place));
    }
}

/* The text between the quotes, as written; false when it does not end. */
static bool take_string(struct scan *self, const char **ret, size_t *ret_length)
{
    const char *start = ++self->at;
    while (self->at < self->end && *self->at != '"') {
        self->at += *self->at == '\\' ? 2 : 1;
    }
    if (self->at >= self->end) {
        return false;
    }
    *ret = start;
    *ret_length = (size_t)(self->at - start);
    self->at++;
    return true;
}

/* Add "/NAME" to the path; what is too long, or no text, keeps the path above. Returns the former
 * length. */
static size_t enter(struct scan *self, const char *name, size_t length)
{
    size_t former = self->path_length;
    if (former + length + 2 <= PATH_SIZE && memchr(name, '\0', length) == NULL) {
        self->path[former] = '/';
        memcpy(self->path + former + 1, name, length);
        self->path_length = former + length + 1;
        self->path[self->path_length] = '\0';
    }
    return former;
}

static void leave(struct scan *self, size_t former)
{
    self->path_length = former;
    self->path[former] = '\0';
}

static bool scan_value(struct scan *self, int depth);

static bool scan_member(struct scan *self, int depth)
{
    const char *name;
    size_t length;
    const char *start = self->at;
    if (self->at >= self->end || *self->at != '"' || !take_string(self, &name, &length)) {
        return false;
    }
    size_t former = enter(self, name, length);
    const char *behind = self->at;
    self->at = start;
    if (self->path_length > former) {
        note(self);
    }
    self->at = behind;
    skip_space(self);
    if (self->at >= self->end || *self->at != ':') {
        return false;
    }
    self->at++;
    bool good = scan_value(self, depth + 1);
    leave(self, former);
    return good;
}

static bool scan_element(struct scan *self, size_t index, int depth)
{
    char name[24];
    size_t former = enter(self, name, (size_t)snprintf(name, sizeof name, "%zu", index));
    skip_space(self);
    if (self->path_length > former) {
        note(self);
    }
    bool good = scan_value(self, depth + 1);
    leave(self, former);
    return good;
}

static bool scan_inside(struct scan *self, char closing, int depth)
{
    self->at++;
    for (size_t index = 0;; index++) {
        skip_space(self);
        if (self->at < self->end && *self->at == closing) {
            self->at++;
            return true;
        }
        bool good = closing == '}' ? scan_member(self, depth) : scan_element(self, index, depth);
        skip_space(self);
        if (!good || self->at >= self->end || (*self->at != ',' && *self->at != closing)) {
            return false;
        }
        self->at += *self->at == ',' ? 1 : 0;
    }
}

static bool scan_value(struct scan *self, int depth)
{
    const char *text;
    size_t length;
    skip_space(self);
    if (self->at >= self->end || depth > PLACES_DEPTH_MAX) {
        return false;
    }
    if (*self->at == '{' || *self->at == '[') {
        return scan_inside(self, *self->at == '{' ? '}' : ']', depth);
    }
    if (*self->at == '"') {
        return take_string(self, &text, &length);
    }
    const char *start = self->at;
    while (self->at < self->end && strchr(",]} \t\r\n", *self->at) == NULL) {
        self->at++;
    }
    return self->at > start;
}

struct places *places_of(const char *text, size_t length)
{
    struct places *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->by_path = json_object();
    self->doubled = json_array();
    struct scan scan = {
        .at = text, .end = text + length, .line = 1, .line_start = text, .places = self};
    skip_space(&scan);
    if (scan.at < scan.end) {
        note(&scan);
        (void)scan_value(&scan, 0);
    }
    return self;
}

void places_destroy(struct places **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    json_decref((*self_p)->by_path);
    json_decref((*self_p)->doubled);
    free(*self_p);
    *self_p = NULL;
}

void places_find(const struct places *self, const char *path, struct place *ret)
{
    char above[PATH_SIZE];
    *ret = (struct place){0};
    if (self == NULL || strlen(path) >= sizeof above) {
        return;
    }
    (void)snprintf(above, sizeof above, "%s", path);
    for (;;) {
        const json_t *found = json_object_get(self->by_path, above);
        if (found != NULL) {
            ret->line = (unsigned)(json_integer_value(found) >> 20);
            ret->column = (unsigned)(json_integer_value(found) & 0xfffff);
            return;
        }
        char *slash = strrchr(above, '/');
        if (slash == NULL) {
            return;
        }
        *slash = '\0';
    }
}

const char *places_doubled(const struct places *self, size_t index)
{
    return self == NULL ? NULL : json_string_value(json_array_get(self->doubled, index));
}
