/* Documents for people: what is read most has a page of its own, the rest follows its shape. */
#include "node/cli/cli.h"

#include "node/base/doc.h"

#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static const struct table_column member_columns[] = {
    {"name", "NODE"},     {"state", "STATE"},     {"role", "ROLE"},
    {"health", "HEALTH"}, {"address", "ADDRESS"}, {"version", "VERSION"}};
static const struct table_column manager_columns[] = {
    {"name", "MANAGER"}, {"node", "NODE"},     {"role", "ROLE"},        {"mode", "MODE"},
    {"state", "STATE"},  {"health", "HEALTH"}, {"restarts", "RESTARTS"}};
static const struct table_column duty_columns[] = {{"id", "DUTY"},     {"node", "NODE"},
                                                   {"state", "STATE"}, {"exclusive", "EXCLUSIVE"},
                                                   {"term", "TERM"},   {"grant_ms", "GRANT MS"}};
static const struct table_column history_columns[] = {{"term", "TERM"},
                                                      {"node", "NODE"},
                                                      {"cause", "CAUSE"},
                                                      {"proof", "PROOF"},
                                                      {"detected_ms", "DETECTED MS"},
                                                      {"elected_ms", "ELECTED MS"},
                                                      {"acting_ms", "ACTING MS"}};
static const struct table_column alert_columns[] = {{"severity", "SEVERITY"},
                                                    {"state", "STATE"},
                                                    {"raised", "RAISED"},
                                                    {"key", "ALERT"},
                                                    {"text", "TEXT"}};
static const struct table_column intent_columns[] = {
    {"key", "INTENT"},      {"state", "STATE"},     {"policy", "POLICY"}, {"attempt", "ATTEMPT"},
    {"verdict", "VERDICT"}, {"changed", "CHANGED"}, {"text", "TEXT"}};
static const struct table_column recovery_columns[] = {
    {"component", "COMPONENT"}, {"phase", "PHASE"}, {"attempt", "ATTEMPT"}, {"next", "NEXT"}};
static const struct table_column shadow_columns[] = {
    {"time", "TIME"}, {"would", "WOULD"}, {"duty", "DUTY"}, {"verdict", "VERDICT"}, {"why", "WHY"}};
static const struct table_column held_columns[] = {
    {"duty", "HELD BACK"}, {"wanted", "WANTED"}, {"reason", "WHY"}};
static const struct table_column key_columns[] = {
    {"name", "NAME"}, {"role", "ROLE"}, {"public_key", "PUBLIC KEY"}, {"has_secret", "SECRET"}};

static const struct table_column audit_columns[] = {
    {"time", "TIME"}, {"what", "WHAT"}, {"target", "TARGET"},  {"reason", "REASON"},
    {"who", "WHO"},   {"why", "WHY"},   {"refused", "REFUSED"}};
static const struct table_column schedule_columns[] = {
    {"id", "SCHEDULE"},       {"expression", "WHEN"},     {"zone", "ZONE"},
    {"next", "NEXT"},         {"last_slot", "LAST SLOT"}, {"last_outcome", "OUTCOME"},
    {"failures", "FAILURES"}, {"under_way", "UNDER WAY"}, {"problem", "PROBLEM"}};
static const struct table_column next_columns[] = {{"slot", "SLOT"}, {"schedule", "SCHEDULE"}};
static const struct table_column run_columns[] = {
    {"id", "RUN"},          {"state", "STATE"}, {"outcome", "OUTCOME"}, {"reason", "REASON"},
    {"attempt", "ATTEMPT"}, {"slots", "SLOTS"}, {"node", "NODE"},       {"exit", "EXIT"},
    {"started", "STARTED"}, {"ended", "ENDED"}};

static const struct {
    const char *verb;
    const struct table_column *columns;
    size_t count;
} tables[] = {
    {"members", member_columns, COUNT_OF(member_columns)},
    {"manager list", manager_columns, COUNT_OF(manager_columns)},
    {"duty list", duty_columns, COUNT_OF(duty_columns)},
    {"alert list", alert_columns, COUNT_OF(alert_columns)},
    {"intent list", intent_columns, COUNT_OF(intent_columns)},
    {"recovery", recovery_columns, COUNT_OF(recovery_columns)},
    {"leader history", history_columns, COUNT_OF(history_columns)},
    {"audit show", audit_columns, COUNT_OF(audit_columns)},
    {"schedule list", schedule_columns, COUNT_OF(schedule_columns)},
    {"schedule next", next_columns, COUNT_OF(next_columns)},
    {"run list", run_columns, COUNT_OF(run_columns)},
    {"keys list", key_columns, COUNT_OF(key_columns)},
    {"keys init", key_columns, COUNT_OF(key_columns)},
};

static void put_value(FILE *out, const char *before, const json_t *object, const char *key,
                      bool colour)
{
    (void)fputs(before, out);
    (void)table_print_value(out, json_object_get(object, key), colour);
}

static const struct table_column deferred_columns[] = {
    {"what", "DEFERRED"}, {"duty", "DUTY"}, {"node", "NODE"}, {"why", "WHY"}};

static void print_maintenance(FILE *out, const json_t *maintenance, bool colour)
{
    const json_t *deferred = json_object_get(maintenance, "deferred");
    if (!json_is_object(maintenance)) {
        return;
    }
    put_value(out, "MAINTENANCE until ", maintenance, "until", colour);
    put_value(out, ", by ", maintenance, "who", colour);
    put_value(out, ": ", maintenance, "why", colour);
    (void)fputs("\n", out);
    if (json_array_size(deferred) > 0) {
        table_print(out, deferred, deferred_columns, COUNT_OF(deferred_columns), colour);
    }
}

static void print_status(FILE *out, const json_t *envelope, bool colour)
{
    const json_t *data = json_object_get(envelope, "data");
    const json_t *health = json_object_get(data, "health");
    put_value(out, "Cluster  ", envelope, "cluster", colour);
    put_value(out, ", seen by ", envelope, "node", colour);
    put_value(out, ", up ", data, "uptime_s", colour);
    put_value(out, " s\nLeader   ", data, "leader", colour);
    put_value(out, ", term ", data, "term", colour);
    put_value(out, ", acts: ", data, "leader_acting", colour);
    put_value(out, ", quorum: ", data, "quorum", colour);
    if (doc_get_bool(data, "acting", false)) {
        put_value(out, "; this node acts, lease ", data, "lease_ms", colour);
        (void)fputs(" ms", out);
    }
    put_value(out, "\nHealth   ", health, "state", colour);
    put_value(out, ", node ", health, "node", colour);
    put_value(out, ", system ", health, "system", colour);
    if (doc_get_bool(health, "emergency", false)) {
        (void)fputs(", EMERGENCY", out);
    }
    put_value(out, "\nAlerts   ", json_object_get(data, "alerts"), "firing", colour);
    (void)fputs(" firing\n", out);
    print_maintenance(out, json_object_get(data, "maintenance"), colour);
    (void)fputs("\n", out);
    table_print(out, json_object_get(data, "members"), member_columns, COUNT_OF(member_columns),
                colour);
    (void)fputs("\nManagers: ", out);
    (void)fputs(json_array_size(json_object_get(data, "managers")) == 0 ? "" : "\n", out);
    table_print(out, json_object_get(data, "managers"), manager_columns, COUNT_OF(manager_columns),
                colour);
    (void)fputs("\nDuties: ", out);
    (void)fputs(json_array_size(json_object_get(data, "duties")) == 0 ? "" : "\n", out);
    table_print(out, json_object_get(data, "duties"), duty_columns, COUNT_OF(duty_columns), colour);
}

static void print_manager(FILE *out, const json_t *rows, bool colour)
{
    size_t index;
    json_t *row;
    table_print(out, rows, manager_columns, COUNT_OF(manager_columns), colour);
    json_array_foreach(rows, index, row)
    {
        const json_t *shadow = json_object_get(row, "shadow");
        const json_t *held = json_object_get(row, "held");
        if (json_is_object(shadow)) {
            put_value(out, "\nShadow on ", row, "node", colour);
            put_value(out, ": right ", shadow, "right", colour);
            put_value(out, ", wrong ", shadow, "wrong", colour);
            put_value(out, ", open ", shadow, "open", colour);
            (void)fputs("\n", out);
            table_print(out, json_object_get(shadow, "log"), shadow_columns,
                        COUNT_OF(shadow_columns), colour);
        }
        if (json_array_size(held) > 0) {
            (void)fputs("\n", out);
            table_print(out, held, held_columns, COUNT_OF(held_columns), colour);
        }
    }
}

/* ---- coverage ---- */

static const struct table_column coverage_columns[] = {
    {"primary", "PRIMARY"}, {"nodes", "ON"},      {"backup", "BACKUP"},  {"where", "WHERE"},
    {"proven", "PROVEN"},   {"shares", "SHARES"}, {"verdict", "VERDICT"}};

/* Texts with a comma between them; null: there are none. */
static json_t *joined(const json_t *texts)
{
    char ret[256] = "";
    size_t length = 0;
    size_t index;
    json_t *text;
    json_array_foreach(texts, index, text)
    {
        const char *part = json_is_string(text) ? json_string_value(text) : "?";
        int written =
            snprintf(ret + length, sizeof ret - length, "%s%s", index == 0 ? "" : ",", part);
        length += (size_t)written < sizeof ret - length ? (size_t)written : 0;
    }
    return doc_text(ret);
}

static json_t *copy_of(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return value == NULL ? json_null() : json_incref(value);
}

/* The primary is named in the row of its first backup. */
static void add_backup(json_t *rows, const json_t *primary, const json_t *backup, bool first)
{
    json_t *where = json_object_get(backup, "node");
    where = json_is_string(where) ? where : json_object_get(backup, "would");
    (void)json_array_append_new(
        rows, json_pack("{s:o, s:o, s:o, s:O*, s:o, s:o, s:o}", "primary",
                        first ? copy_of(primary, "name") : json_string(""), "nodes",
                        first ? joined(json_object_get(primary, "nodes")) : json_string(""),
                        "backup", copy_of(backup, "duty"), "where", where, "proven",
                        copy_of(json_object_get(backup, "proven"), "time"), "shares",
                        joined(json_object_get(backup, "shares")), "verdict",
                        copy_of(backup == NULL ? primary : backup, "verdict")));
}

static json_t *rows_of(const json_t *primaries)
{
    json_t *ret = json_array();
    size_t index;
    json_t *primary;
    json_array_foreach(primaries, index, primary)
    {
        const json_t *backups = json_object_get(primary, "backups");
        size_t count = json_array_size(backups);
        for (size_t i = 0; i < count || i == 0; i++) {
            add_backup(ret, primary, json_array_get(backups, i), i == 0);
        }
    }
    return ret;
}

static void print_coverage(FILE *out, const json_t *data, bool colour)
{
    const json_t *summary = json_object_get(data, "summary");
    const json_t *primaries = json_object_get(data, "primaries");
    put_value(out, "Covered  ", summary, "covered", colour);
    put_value(out, " of ", summary, "primaries", colour);
    put_value(out, " primaries, ", summary, "percent", colour);
    put_value(out, " %; critical: ", summary, "alarms", colour);
    (void)fputs("\n\n", out);
    json_t *rows = rows_of(primaries);
    table_print(out, rows, coverage_columns, COUNT_OF(coverage_columns), colour);
    json_decref(rows);
    const char *blank = "\n";
    size_t index;
    json_t *primary;
    json_array_foreach(primaries, index, primary)
    {
        if (strcmp(doc_get_text(primary, "verdict", ""), "covered") != 0) {
            put_value(out, blank, primary, "name", colour);
            put_value(out, ": ", primary, "text", colour);
            (void)fputs(doc_get_bool(primary, "alarm", false) ? " (critical)\n" : "\n", out);
            blank = "";
        }
    }
}

/* What a program printed, line by line. */
static void print_output(FILE *out, const json_t *data)
{
    const char *line = doc_get_text(data, "text", "");
    while (line[0] != '\0') {
        size_t length = strcspn(line, "\n");
        json_t *text = json_stringn(line, length);
        if (length > 0) {
            (void)table_print_value(out, text, false);
        }
        (void)fputc('\n', out);
        json_decref(text);
        line += length + (line[length] == '\n' ? 1 : 0);
    }
    if (json_is_integer(json_object_get(data, "next_offset"))) {
        (void)fprintf(stderr, "understudy: there is more: --offset %lld\n",
                      (long long)doc_get_integer(data, "next_offset", 0));
    }
}

/* A document that is made of a saved snapshot. */
static void print_origin(FILE *out, const json_t *envelope, bool colour)
{
    put_value(out, "As ", envelope, "node", colour);
    put_value(out, " of cluster ", envelope, "cluster", colour);
    put_value(out, " had it at ", envelope, "time", colour);
    put_value(out, " (term ", envelope, "term", colour);
    put_value(out, ", index ", json_object_get(envelope, "snapshot"), "index", colour);
    (void)fputs("), not as it is now.\n", out);
}

void page_print(FILE *out, const char *verb, const json_t *envelope, bool colour)
{
    const json_t *data = json_object_get(envelope, "data");
    if (json_is_object(json_object_get(envelope, "snapshot"))) {
        print_origin(out, envelope, colour);
    } else if (doc_get_bool(envelope, "stale", false)) {
        (void)fprintf(out, "%sNo quorum: what follows may be out of date.%s\n",
                      colour ? "\033[31m" : "", colour ? "\033[0m" : "");
    }
    if (strcmp(verb, "status") == 0 && json_is_object(data)) {
        print_status(out, envelope, colour);
        return;
    }
    if (strcmp(verb, "manager show") == 0 && json_is_array(data)) {
        print_manager(out, data, colour);
        return;
    }
    if (strcmp(verb, "coverage") == 0 && json_is_object(data)) {
        print_coverage(out, data, colour);
        return;
    }
    if (strcmp(verb, "pm2 adopt") == 0 && json_is_array(data)) {
        page_print_adopt(out, data);
        return;
    }
    if (page_print_pm2(out, verb, data, colour)) {
        return;
    }
    if (strcmp(verb, "validate ecosystem") == 0 && json_is_array(data)) {
        page_print_ecosystem(out, data, colour);
        return;
    }
    if (strcmp(verb, "run logs") == 0 && json_is_object(data)) {
        print_output(out, data);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        if (strcmp(tables[i].verb, verb) == 0 && json_is_array(data)) {
            table_print(out, data, tables[i].columns, tables[i].count, colour);
            return;
        }
    }
    if (json_is_object(data)) {
        table_print_object(out, data, 0, colour);
    } else if (json_is_array(data)) {
        table_print_any(out, data, 0, colour);
    } else if (!json_is_null(data)) {
        (void)table_print_value(out, data, colour);
        (void)fputc('\n', out);
    }
}

void page_print_line(FILE *out, const char *verb, const json_t *envelope, bool colour)
{
    static const char *const order[] = {"time", "level", "node", "kind", "message"};
    const json_t *data = json_object_get(envelope, "data");
    if (!json_is_object(data)) {
        (void)table_print_value(out, data, colour);
        (void)fputc('\n', out);
        return;
    }
    const char *whole = doc_get_text(data, "line", doc_get_text(data, "text", NULL));
    if (strcmp(verb, "logs") == 0 && whole != NULL) {
        (void)table_print_value(
            out, json_object_get(data, json_object_get(data, "line") != NULL ? "line" : "text"),
            false);
        (void)fputc('\n', out);
        return;
    }
    const char *blank = "";
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        if (json_object_get(data, order[i]) != NULL) {
            put_value(out, blank, data, order[i], colour);
            blank = "  ";
        }
    }
    (void)fputc('\n', out);
}
