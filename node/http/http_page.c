/* The plain status page: whole and readable without its script, everything escaped. */
#include "node/http/http_internal.h"

#include "node/base/doc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put(struct buffer *out, const char *text)
{
    (void)buffer_append(out, text, strlen(text)); /* a failure stays in out->failed */
}

static void put_escaped(struct buffer *out, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        switch (*at) {
        case '&':
            put(out, "&amp;");
            break;
        case '<':
            put(out, "&lt;");
            break;
        case '>':
            put(out, "&gt;");
            break;
        case '"':
            put(out, "&quot;");
            break;
        case '\'':
            put(out, "&#39;");
            break;
        default:
            (void)buffer_append(out, at, 1);
            break;
        }
    }
}

/* Any value as people read it; null is a dash. */
static void put_value(struct buffer *out, const json_t *value)
{
    char text[64];
    if (json_is_string(value)) {
        put_escaped(out, json_string_value(value));
    } else if (json_is_boolean(value)) {
        put(out, json_is_true(value) ? "yes" : "no");
    } else if (json_is_integer(value)) {
        (void)snprintf(text, sizeof text, "%" PRId64, (int64_t)json_integer_value(value));
        put(out, text);
    } else if (json_is_real(value)) {
        (void)snprintf(text, sizeof text, "%.1f", json_real_value(value));
        put(out, text);
    } else {
        put(out, "&ndash;");
    }
}

static const char *class_of(const json_t *value)
{
    static const char *const good[] = {"alive", "running", "healthy", "active"};
    static const char *const bad[] = {"dead", "failed", "critical"};
    static const char *const odd[] = {"suspect", "degraded", "warning", "starting", "paused"};
    const char *text = json_string_value(value);
    for (size_t i = 0; text != NULL && i < sizeof good / sizeof good[0]; i++) {
        if (strcmp(text, good[i]) == 0) {
            return "good";
        }
    }
    for (size_t i = 0; text != NULL && i < sizeof bad / sizeof bad[0]; i++) {
        if (strcmp(text, bad[i]) == 0) {
            return "bad";
        }
    }
    for (size_t i = 0; text != NULL && i < sizeof odd / sizeof odd[0]; i++) {
        if (strcmp(text, odd[i]) == 0) {
            return "odd";
        }
    }
    return "";
}

static void put_fact(struct buffer *out, const char *name, const json_t *value, const char *class)
{
    put(out, "<div><dt>");
    put(out, name);
    put(out, "</dt><dd class=\"");
    put(out, class);
    put(out, "\">");
    put_value(out, value);
    put(out, "</dd></div>\n");
}

struct column {
    const char *key;
    const char *title;
};

static void put_table(struct buffer *out, const char *title, const json_t *rows,
                      const struct column *columns, size_t column_count)
{
    put(out, "<h2>");
    put(out, title);
    put(out, "</h2>\n");
    if (json_array_size(rows) == 0) {
        put(out, "<p>none</p>\n");
        return;
    }
    put(out, "<div class=\"wide\"><table><thead><tr>");
    for (size_t i = 0; i < column_count; i++) {
        put(out, "<th scope=\"col\">");
        put(out, columns[i].title);
        put(out, "</th>");
    }
    put(out, "</tr></thead><tbody>\n");
    for (size_t row = 0; row < json_array_size(rows); row++) {
        put(out, "<tr>");
        for (size_t i = 0; i < column_count; i++) {
            const json_t *value = json_object_get(json_array_get(rows, row), columns[i].key);
            put(out, "<td class=\"");
            put(out, class_of(value));
            put(out, "\">");
            put_value(out, value);
            put(out, "</td>");
        }
        put(out, "</tr>\n");
    }
    put(out, "</tbody></table></div>\n");
}

static const char *good_or_bad(const json_t *value)
{
    return json_is_true(value) ? "good" : "bad";
}

static void put_status(struct buffer *out, const json_t *envelope)
{
    static const struct column members[] = {{"name", "Node"},       {"state", "State"},
                                            {"role", "Role"},       {"health", "Health"},
                                            {"address", "Address"}, {"version", "Version"}};
    static const struct column managers[] = {
        {"name", "Manager"}, {"node", "Node"},     {"role", "Role"},        {"mode", "Mode"},
        {"state", "State"},  {"health", "Health"}, {"restarts", "Restarts"}};
    static const struct column duties[] = {{"id", "Duty"},
                                           {"node", "Node"},
                                           {"state", "State"},
                                           {"exclusive", "Exclusive"},
                                           {"grant_ms", "Grant left, ms"}};
    const json_t *data = json_object_get(envelope, "data");
    const json_t *health = json_object_get(data, "health");
    const json_t *state = json_object_get(health, "state");
    if (doc_get_bool(envelope, "stale", false)) {
        put(out, "<p class=\"bad\" role=\"alert\">No quorum: what follows may be out of date.</p>");
    }
    put(out, "<dl>\n");
    put_fact(out, "Leader", json_object_get(data, "leader"),
             json_is_string(json_object_get(data, "leader")) ? "good" : "bad");
    put_fact(out, "Term", json_object_get(data, "term"), "");
    put_fact(out, "Quorum", json_object_get(data, "quorum"),
             good_or_bad(json_object_get(data, "quorum")));
    put_fact(out, "Leader acts", json_object_get(data, "leader_acting"),
             good_or_bad(json_object_get(data, "leader_acting")));
    put_fact(out, "Health", state, class_of(state));
    put_fact(out, "This node", json_object_get(health, "node"), "");
    put_fact(out, "System", json_object_get(health, "system"), "");
    put_fact(out, "Alerts firing", json_object_get(json_object_get(data, "alerts"), "firing"), "");
    put(out, "</dl>\n");
    put_table(out, "Nodes", json_object_get(data, "members"), members,
              sizeof members / sizeof members[0]);
    put_table(out, "Managers", json_object_get(data, "managers"), managers,
              sizeof managers / sizeof managers[0]);
    put_table(out, "Duties", json_object_get(data, "duties"), duties,
              sizeof duties / sizeof duties[0]);
}

bool http_page(const char *status_text, struct buffer *out)
{
    json_t *envelope = status_text == NULL ? NULL : json_loads(status_text, 0, NULL);
    const char *node = doc_get_text(envelope, "node", "node");
    const char *cluster = doc_get_text(envelope, "cluster", "starting");
    put(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n"
             "<link rel=\"stylesheet\" href=\"/status.css\">\n"
             "<script src=\"/status.js\" defer></script>\n<title>");
    put_escaped(out, node);
    put(out, " of ");
    put_escaped(out, cluster);
    put(out, " - Understudy</title></head>\n<body>\n<main>\n<h1>");
    put_escaped(out, cluster);
    put(out, " <small>seen by ");
    put_escaped(out, node);
    put(out, "</small></h1>\n");
    if (envelope == NULL) {
        put(out, "<p class=\"odd\">This node is starting.</p>\n");
    } else {
        put_status(out, envelope);
    }
    put(out, "<p>As of <time>");
    put_escaped(out, doc_get_text(envelope, "time", "-"));
    put(out, "</time>.</p>\n</main>\n<footer>Understudy " UNDERSTUDY_VERSION
             " &middot; <span id=\"told\" role=\"status\">without script: renewed every 5 s</span>"
             " &middot; <a href=\"/api/v1/status\">JSON</a>"
             " &middot; <a href=\"/metrics\">metrics</a></footer>\n</body></html>\n");
    json_decref(envelope);
    return !out->failed;
}
