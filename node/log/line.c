#include "node/log/line.h"

#include "node/base/clock.h"
#include "node/base/utf8.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define REDACTED "[redacted]"
#define LONG_TOKEN 32 /* letters and digits in one run, mixed, are taken for a token */
#define Z85_KEY 40

struct out {
    char *text;
    size_t used;
    size_t size; /* room, the NUL's included */
    bool full;
};

static void put_bytes(struct out *out, const char *bytes, size_t length)
{
    if (out->full || out->used + length + 1 > out->size) {
        out->full = true;
        return;
    }
    memcpy(out->text + out->used, bytes, length);
    out->used += length;
    out->text[out->used] = '\0';
}

static void put(struct out *out, const char *text)
{
    put_bytes(out, text, strlen(text));
}

/* --- redaction ----------------------------------------------------------------------------- */

static const char *const token_prefixes[] = {"ghp_",   "gho_",  "ghs_",    "ghu_", "github_pat_",
                                             "nfp_",   "xoxb-", "xoxp-",   "sk-",  "AKIA",
                                             "glpat-", "npm_",  "eyJhbGci"};
static const char *const secret_words[] = {"password",      "passwd",  "secret", "token",
                                           "authorization", "api_key", "apikey", "bearer"};

static bool is_token_byte(char byte)
{
    return isalnum((unsigned char)byte) || (byte != '\0' && strchr("_-.+=", byte) != NULL);
}

/* 40 bytes of the Z85 alphabet with at least one of its odd signs: a CURVE key. */
static bool is_z85_key(const char *run, size_t length)
{
    static const char odd[] = ":^!*?&<>()[]{}@%$#";
    bool has_odd = false;
    bool has_digit = false;
    bool has_letter = false;
    for (size_t i = 0; i < length; i++) {
        has_odd = has_odd || strchr(odd, run[i]) != NULL;
        has_digit = has_digit || isdigit((unsigned char)run[i]);
        has_letter = has_letter || isalpha((unsigned char)run[i]);
    }
    return length == Z85_KEY && has_odd && has_digit && has_letter;
}

static bool is_long_token(const char *run, size_t length)
{
    size_t digits = 0;
    size_t lower = 0;
    size_t upper = 0;
    for (size_t i = 0; i < length; i++) {
        digits += (size_t)(isdigit((unsigned char)run[i]) != 0);
        lower += (size_t)(islower((unsigned char)run[i]) != 0);
        upper += (size_t)(isupper((unsigned char)run[i]) != 0);
    }
    return length >= LONG_TOKEN && digits > 1 && lower > 1 && upper > 1;
}

static size_t token_run(const char *text)
{
    size_t length = 0;
    while (is_token_byte(text[length])) {
        length++;
    }
    return length;
}

/* Length of the secret that starts at `text`, or 0. */
static size_t secret_length(const char *text)
{
    size_t run = token_run(text);
    for (size_t i = 0; i < sizeof(token_prefixes) / sizeof(token_prefixes[0]); i++) {
        size_t prefix = strlen(token_prefixes[i]);
        if (strncmp(text, token_prefixes[i], prefix) == 0 && run >= prefix + 8) {
            return run;
        }
    }
    size_t word = strcspn(text, " \t\r\n\"'=,;");
    if (is_z85_key(text, word)) {
        return word;
    }
    return is_long_token(text, run) ? run : 0;
}

/* Length of "password=" and the like at `text`, or 0: what follows is the secret. */
static size_t label_length(const char *text)
{
    for (size_t i = 0; i < sizeof(secret_words) / sizeof(secret_words[0]); i++) {
        size_t length = strlen(secret_words[i]);
        if (strncasecmp(text, secret_words[i], length) != 0) {
            continue;
        }
        size_t after = length + strspn(text + length, "\"'");
        bool parted = text[after] == '=' || text[after] == ':' ||
                      (strcasecmp(secret_words[i], "bearer") == 0 && text[after] == ' ');
        if (parted) {
            return after + 1 + strspn(text + after + 1, " \"'");
        }
    }
    return 0;
}

size_t line_redact(const char *text, char *ret, size_t size)
{
    struct out out = {.text = ret, .size = size};
    ret[0] = '\0';
    bool at_start = true; /* of a run of token bytes */
    while (*text != '\0' && !out.full) {
        size_t secret = at_start ? secret_length(text) : 0;
        size_t label = at_start ? label_length(text) : 0;
        if (secret > 0) {
            put(&out, REDACTED);
            text += secret;
        } else if (label > 0) {
            put_bytes(&out, text, label);
            text += label;
            size_t value = strcspn(text, " \t\r\n\"',;&");
            /* "Authorization: Bearer x": the scheme is no secret, what follows it is. */
            if (value > 0 && strncasecmp(text, "bearer", 6) != 0 &&
                strncasecmp(text, "basic", 5) != 0) {
                put(&out, REDACTED);
                text += value;
            } else if (value > 0 && text[value] == ' ') {
                put_bytes(&out, text, value + 1);
                text += value + 1;
                value = strcspn(text, " \t\r\n\"',;&");
                put(&out, value > 0 ? REDACTED : "");
                text += value;
            }
        } else {
            at_start = !is_token_byte(*text);
            put_bytes(&out, text, 1);
            text++;
        }
    }
    return out.used;
}

/* --- escaping ------------------------------------------------------------------------------ */

static void put_quoted(struct out *out, const char *text)
{
    put(out, "\"");
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0' && !out->full;) {
        size_t length = utf8_length((const char *)at, strnlen((const char *)at, 4));
        char escaped[8];
        if (*at == '"' || *at == '\\') {
            (void)snprintf(escaped, sizeof(escaped), "\\%c", *at);
            put(out, escaped);
        } else if (*at == '\n' || *at == '\t' || *at == '\r') {
            put(out, *at == '\n' ? "\\n" : *at == '\t' ? "\\t" : "\\r");
        } else if (length == 0 || *at < 0x20 || *at == 0x7f) {
            (void)snprintf(escaped, sizeof(escaped), "\\u%04x", *at);
            put(out, escaped);
        } else {
            put_bytes(out, (const char *)at, length);
            at += length;
            continue;
        }
        at++;
    }
    put(out, "\"");
}

static bool is_word(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (!isgraph((unsigned char)*at) || strchr("\"=\\", *at) != NULL) {
            return false;
        }
    }
    return text[0] != '\0';
}

/* At most LOG_VALUE_MAX bytes, not cut within a character. */
static void put_text(struct out *out, const char *text, enum log_format format)
{
    char cut[LOG_VALUE_MAX + 1];
    char clean[LOG_VALUE_MAX + 1];
    size_t length = strnlen(text, sizeof(cut));
    bool shortened = length > LOG_VALUE_MAX;
    length = shortened ? LOG_VALUE_MAX - 3 : length;
    while (shortened && length > 0 && ((unsigned char)text[length] & 0xc0U) == 0x80U) {
        length--;
    }
    (void)snprintf(cut, sizeof(cut), "%.*s%s", (int)length, text, shortened ? "..." : "");
    (void)line_redact(cut, clean, sizeof(clean));
    if (format == LOG_FORMAT_TEXT && is_word(clean)) {
        put(out, clean);
    } else {
        put_quoted(out, clean);
    }
}

static bool names_secret(const char *key)
{
    static const char *const words[] = {"password", "secret", "token", "authorization"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t length = strlen(key);
        size_t word = strlen(words[i]);
        if (length >= word && strcmp(key + length - word, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void put_value(struct out *out, const struct log_field *field, enum log_format format)
{
    char number[40];
    switch (field->type) {
    case LOG_TYPE_INT:
        (void)snprintf(number, sizeof(number), "%" PRId64, field->integer);
        put(out, number);
        return;
    case LOG_TYPE_NUMBER:
        if (!isfinite(field->number)) {
            put(out, format == LOG_FORMAT_JSON ? "null" : "-");
            return;
        }
        (void)snprintf(number, sizeof(number), "%.6g", field->number);
        put(out, number);
        return;
    case LOG_TYPE_BOOL:
        put(out, field->integer != 0 ? "true" : "false");
        return;
    case LOG_TYPE_SECRET:
        put_text(out, field->integer != 0 ? REDACTED : "none", format);
        return;
    case LOG_TYPE_TEXT:
        break;
    }
    if (field->text == NULL) {
        put(out, format == LOG_FORMAT_JSON ? "null" : "-");
    } else {
        put_text(out, names_secret(field->key) ? REDACTED : field->text, format);
    }
}

/* A field is written whole or not at all. */
static void put_field(struct out *out, const struct log_field *field, enum log_format format)
{
    size_t before = out->used;
    if (format == LOG_FORMAT_JSON) {
        put(out, out->used > 1 ? "," : "");
        put_quoted(out, field->key);
        put(out, ":");
    } else {
        put(out, out->used > 0 ? " " : "");
        put(out, field->key);
        put(out, "=");
    }
    put_value(out, field, format);
    if (out->full) {
        out->used = before;
        out->text[before] = '\0';
    }
}

size_t line_format(const struct line_event *event, enum log_format format,
                   char ret[LOG_LINE_MAX + 1])
{
    char time[CLOCK_RFC3339_SIZE];
    /* The last bytes are kept free for what tells that fields were left out. */
    struct out out = {.text = ret, .size = LOG_LINE_MAX - 32};
    ret[0] = '\0';
    put(&out, format == LOG_FORMAT_JSON ? "{" : "");
    const struct log_field head[] = {
        log_text("ts", clock_rfc3339(event->wall_ms, time)),
        log_text("level", log_level_name(event->level)),
        log_text("event", event->event),
        log_text("node", event->node),
        log_int("suppressed", (int64_t)event->suppressed),
    };
    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
        bool wanted = i < 3 || (i == 3 && event->node != NULL) || (i == 4 && event->suppressed > 0);
        if (wanted) {
            put_field(&out, &head[i], format);
        }
    }
    int64_t left_out = 0;
    for (size_t i = 0; i < event->count; i++) {
        out.full = i >= LOG_FIELDS_MAX;
        if (!out.full) {
            put_field(&out, &event->fields[i], format);
        }
        left_out += out.full;
    }
    out.full = false;
    out.size = LOG_LINE_MAX + 1;
    if (left_out > 0) {
        const struct log_field told = log_int("fields_left_out", left_out);
        put_field(&out, &told, format);
    }
    put(&out, format == LOG_FORMAT_JSON ? "}" : "");
    return out.used;
}
