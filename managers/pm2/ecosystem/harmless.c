#include "managers/pm2/ecosystem/harmless.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define WORD_MAX 40
#define NUMBER_MAX 99999 /* ports, counts, flags */
#define PATH_SIZE 320

/* Parts of names that may stand before a secret, or before what leads to one. */
static bool suspicious(const char *name)
{
    static const char *const parts[] = {"secret", "token",   "key",  "pass",   "pwd",     "auth",
                                        "cred",   "private", "sign", "salt",   "hash",    "cert",
                                        "cookie", "session", "dsn",  "url",    "uri",     "conn",
                                        "otp",    "pin",     "code", "user",   "login",   "webhook",
                                        "jwt",    "license", "seed", "bearer", "database"};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (strcasestr(name, parts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static bool known_word(const char *text)
{
    static const char *const words[] = {
        "",          "true",       "false",       "yes",    "no",      "on",      "off",
        "0",         "1",          "null",        "dev",    "prod",    "test",    "testing",
        "staging",   "stage",      "qa",          "ci",     "local",   "debug",   "info",
        "notice",    "warn",       "warning",     "error",  "fatal",   "trace",   "verbose",
        "silent",    "production", "development", "backup", "primary", "standby", "UTC",
        "localhost", "127.0.0.1",  "0.0.0.0",     "::",     "utf-8",   "C.UTF-8", "en_US.UTF-8",
        "{}"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcasecmp(words[i], text) == 0) {
            return true;
        }
    }
    return false;
}

/* Names whose value is a word of the author's, and no secret by its use. */
static bool known_name(const char *name, const char *text)
{
    static const char *const names[] = {
        "NODE_ENV", "MODE",   "LOG_LEVEL",       "LOGLEVEL",    "TZ",
        "LANG",     "LC_ALL", "APP_ENV",         "ENVIRONMENT", "STAGE",
        "REGION",   "HOST",   "PYTHONUNBUFFERED"};
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_./:-";
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(names[i], name) == 0) {
            return strlen(text) <= WORD_MAX && strspn(text, letters) == strlen(text);
        }
    }
    return false;
}

static bool small_number(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 5 && text[digits] == '\0';
}

/* An absolute path of at least two short parts. */
static bool plain_path(const char *text)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t parts = 0;
    while (*text == '/') {
        size_t length = strspn(++text, letters);
        if (length == 0 || length > WORD_MAX) {
            return false;
        }
        text += length;
        parts++;
    }
    return *text == '\0' && parts >= 2;
}

bool harmless(const char *name, const json_t *value)
{
    if (suspicious(name)) {
        return false;
    }
    if (json_is_number(value)) {
        return json_number_value(value) >= 0 && json_number_value(value) <= NUMBER_MAX;
    }
    const char *text = json_string_value(value);
    return json_is_boolean(value) || json_is_null(value) ||
           (text != NULL &&
            (known_word(text) || small_number(text) || plain_path(text) || known_name(name, text)));
}

bool harmless_argument(const char *text)
{
    static const char *const parts[] = {"secret",  "token",   "password", "passwd",     "apikey",
                                        "api-key", "api_key", "bearer",   "credential", "private"};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (strcasestr(text, parts[i]) != NULL) {
            return false;
        }
    }
    const char *scheme = strstr(text, "://"); /* with a user and a password in front of the host */
    return scheme == NULL || strchr(scheme, '@') == NULL;
}

static void hide_in(json_t *values, const char *section, json_t *hidden)
{
    char path[PATH_SIZE];
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(values, next, name, value)
    {
        if (!harmless(name, value)) {
            (void)snprintf(path, sizeof path, "%s/%s", section, name);
            (void)json_array_append_new(hidden, json_string(path));
            (void)json_object_del(values, name);
        }
    }
}

void harmless_hide(json_t *app)
{
    json_t *hidden = json_array();
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(app, next, key, value)
    {
        if (strcmp(key, "env") == 0 || strncmp(key, "env_", 4) == 0) {
            if (json_is_object(value)) {
                hide_in(value, key, hidden);
            } else if (json_is_string(value) && json_string_length(value) > 0) {
                (void)json_array_append_new(hidden, json_string(key));
                (void)json_object_del(app, key);
            }
        }
    }
    if (json_object_del(app, "io") == 0) { /* what PM2's paid service is told, keys among it */
        (void)json_array_append_new(hidden, json_string("io"));
    }
    (void)json_object_set_new(app, "hidden", hidden);
}
