#include "managers/run/environment.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define OURS "UNDERSTUDY_"

void environment_init(struct environment *self)
{
    *self = (struct environment){0};
}

void environment_deinit(struct environment *self)
{
    for (size_t i = 0; i < self->count; i++) {
        free(self->variables[i]);
    }
    *self = (struct environment){0};
}

static char **find(struct environment *self, const char *name, size_t length)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strncmp(self->variables[i], name, length) == 0 && self->variables[i][length] == '=') {
            return &self->variables[i];
        }
    }
    return NULL;
}

static bool is_name(const char *name, size_t length)
{
    bool good = length > 0 && !isdigit((unsigned char)name[0]);
    for (size_t i = 0; good && i < length; i++) {
        good =
            isalnum((unsigned char)name[i]) || name[i] == '_' || name[i] == '.' || name[i] == '-';
    }
    return good;
}

static int set(struct environment *self, const char *name, size_t name_length, const char *value,
               size_t value_length, struct err *err)
{
    if (!is_name(name, name_length)) {
        return err_set(err, ERR_INVALID, "\"%.*s\" is no name of a variable",
                       (int)(name_length < 60 ? name_length : 60), name);
    }
    char **place = find(self, name, name_length);
    if (place == NULL && self->count == ENVIRONMENT_VARIABLES_MAX) {
        return err_set(err, ERR_FULL, "more than %d variables", ENVIRONMENT_VARIABLES_MAX);
    }
    char *variable = malloc(name_length + value_length + 2);
    if (variable == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for the environment");
    }
    memcpy(variable, name, name_length);
    variable[name_length] = '=';
    memcpy(variable + name_length + 1, value, value_length);
    variable[name_length + 1 + value_length] = '\0';
    if (place == NULL) {
        self->variables[self->count++] = variable;
    } else {
        free(*place);
        *place = variable;
    }
    return 0;
}

int environment_set(struct environment *self, const char *name, const char *value, struct err *err)
{
    return set(self, name, strlen(name), value, strlen(value), err);
}

static int parse_line(struct environment *self, const char *line, size_t length, struct err *err)
{
    while (length > 0 && isspace((unsigned char)line[length - 1])) {
        length--;
    }
    while (length > 0 && isspace((unsigned char)line[0])) {
        line++;
        length--;
    }
    if (length == 0 || line[0] == '#') {
        return 0;
    }
    const char *equals = memchr(line, '=', length);
    if (equals == NULL || !is_name(line, (size_t)(equals - line))) {
        return err_set(err, ERR_INVALID, "expected NAME=VALUE"); /* it may be part of a secret */
    }
    size_t name_length = (size_t)(equals - line);
    const char *value = equals + 1;
    size_t value_length = length - name_length - 1;
    bool quoted = value_length >= 2 && (value[0] == '"' || value[0] == '\'') &&
                  value[value_length - 1] == value[0];
    if (quoted) {
        value++;
        value_length -= 2;
    }
    if (strncmp(line, OURS, strlen(OURS)) == 0) {
        return 0;
    }
    return set(self, line, name_length, value, value_length, err);
}

int environment_parse(struct environment *self, const char *text, struct err *err)
{
    for (unsigned number = 1; *text != '\0'; number++) {
        size_t length = strcspn(text, "\n");
        int rc = parse_line(self, text, length, err);
        if (rc != 0) {
            (void)err_wrap(err, "line %u", number);
            return rc;
        }
        text += length;
        text += *text == '\n';
    }
    return 0;
}

const char *environment_get(const struct environment *self, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < self->count; i++) {
        if (strncmp(self->variables[i], name, length) == 0 && self->variables[i][length] == '=') {
            return self->variables[i] + length + 1;
        }
    }
    return NULL;
}
