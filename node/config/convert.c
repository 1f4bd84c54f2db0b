#include "node/config/keys.h"
#include "node/config/load.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IPC_PREFIX "ipc://"
#define TCP_PREFIX "tcp://"

bool address_host_port(const char *text, unsigned *ret_port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text) {
        return false;
    }
    size_t host = (size_t)(colon - text);
    bool bracketed = text[0] == '[' && colon[-1] == ']' && host > 2;
    for (size_t i = 0; i < host; i++) {
        bool edge = bracketed && (i == 0 || i == host - 1);
        bool allowed = isalnum((unsigned char)text[i]) || strchr(".-_", text[i]) != NULL ||
                       (bracketed && (text[i] == ':' || text[i] == '%')) || edge;
        if (!allowed && !(host == 1 && text[0] == '*')) {
            return false;
        }
    }
    char *end = NULL;
    if (!isdigit((unsigned char)colon[1])) {
        return false;
    }
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || port == 0 || port > 65535) {
        return false;
    }
    if (ret_port != NULL) {
        *ret_port = (unsigned)port;
    }
    return true;
}

bool address_tcp(const char *text)
{
    return strncmp(text, TCP_PREFIX, strlen(TCP_PREFIX)) == 0 &&
           address_host_port(text + strlen(TCP_PREFIX), NULL);
}

static bool valid_endpoint(const char *text)
{
    size_t prefix = strlen(IPC_PREFIX);
    return strncmp(text, IPC_PREFIX, prefix) == 0 && text[prefix] == '/' &&
           strlen(text + prefix) <= CONFIG_SOCKET_PATH_MAX;
}

static json_t *convert_bool(const char *text)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "True") == 0 || strcmp(text, "TRUE") == 0) {
        return json_true();
    }
    if (strcmp(text, "false") == 0 || strcmp(text, "False") == 0 || strcmp(text, "FALSE") == 0) {
        return json_false();
    }
    return NULL;
}

static bool parse_integer(const char *text, int64_t *ret)
{
    char *end = NULL;
    const char *digits = text + (*text == '-');
    if (!isdigit((unsigned char)*digits)) {
        return false;
    }
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *ret = value;
    return errno == 0 && *end == '\0';
}

static bool parse_number(const char *text, double *ret)
{
    char *end = NULL;
    if (!isdigit((unsigned char)text[*text == '-']) || strpbrk(text, "xXpP") != NULL) {
        return false;
    }
    *ret = strtod(text, &end);
    return *end == '\0' && isfinite(*ret);
}

static json_t *convert_ranged(const struct load *self, const struct schema_row *row,
                              const char *text)
{
    int64_t value = 0;
    double number = 0;
    bool good = false;
    switch (row->type) {
    case SCHEMA_NUMBER:
        good = parse_number(text, &number);
        return good && number >= (double)row->min && number <= (double)row->max ? json_real(number)
                                                                                : NULL;
    case SCHEMA_DURATION:
        good = config_parse_duration(text, self->bare_is_ms, &value);
        break;
    case SCHEMA_SIZE:
        good = config_parse_size(text, &value);
        break;
    default:
        good = parse_integer(text, &value);
        break;
    }
    return good && value >= row->min && value <= row->max ? json_integer(value) : NULL;
}

static json_t *convert_text(const struct schema_row *row, const char *text)
{
    size_t length = strlen(text);
    if (length < (size_t)row->min || length > (size_t)row->max) {
        return NULL;
    }
    bool good = true;
    switch (row->type) {
    case SCHEMA_NAME:
        good = key_valid_name(text);
        break;
    case SCHEMA_PATH:
        good = text[0] == '/';
        break;
    case SCHEMA_TCP:
        good = address_tcp(text);
        break;
    case SCHEMA_ENDPOINT:
        good = valid_endpoint(text);
        break;
    case SCHEMA_HOST_PORT:
        good = address_host_port(text, NULL);
        break;
    case SCHEMA_PUBLIC_KEY:
        good = key_valid_z85(text);
        break;
    default:
        break;
    }
    return good ? json_string(text) : NULL;
}

static json_t *convert_scalar(const struct load *self, const struct schema_row *row,
                              const char *text)
{
    switch (row->type) {
    case SCHEMA_BOOL:
        return convert_bool(text);
    case SCHEMA_CHOICE:
        return schema_choice(row->choices, text) >= 0 ? json_string(text) : NULL;
    case SCHEMA_INTEGER:
    case SCHEMA_NUMBER:
    case SCHEMA_DURATION:
    case SCHEMA_SIZE:
        return convert_ranged(self, row, text);
    default:
        return convert_text(row, text);
    }
}

/* A number without a unit is the commonest slip: say how to write it. */
static void bare_number_hint(const struct schema_row *row, const char *text, char *ret, size_t size)
{
    int64_t value = 0;
    char spelled[32];
    ret[0] = '\0';
    if (row->type == SCHEMA_DURATION && parse_integer(text, &value) && value >= row->min &&
        value <= row->max) {
        (void)snprintf(ret, size, "; a number needs its unit: %s for milliseconds",
                       config_format_duration(value, spelled));
    }
}

json_t *load_convert(struct load *self, const struct schema_row *row, const struct yaml_node *node,
                     const char *key)
{
    char expected[160];
    schema_expectation(row, expected, sizeof(expected));
    if (node->kind != YAML_SCALAR) {
        load_report(self, CONFIG_ERROR, node, key, "%s is a %s; expected %s", key,
                    node->kind == YAML_MAP ? "map" : "list", expected);
        return NULL;
    }
    if (yaml_is_null(node) && !(row->type == SCHEMA_TEXT && row->min == 0)) {
        load_report(self, CONFIG_ERROR, node, key,
                    "%s has no value; expected %s, or leave the key out for its default", key,
                    expected);
        return NULL;
    }
    json_t *value = convert_scalar(self, row, node->text);
    if (value == NULL) {
        char hint[96];
        bare_number_hint(row, node->text, hint, sizeof(hint));
        load_report(self, CONFIG_ERROR, node, key, "%s: \"%.60s\" is not accepted; expected %s%s",
                    key, node->text, expected, hint);
    }
    return value;
}
