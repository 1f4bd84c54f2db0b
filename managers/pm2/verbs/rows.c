#include "managers/pm2/verbs/rows.h"

#include "managers/pm2/watch/process.h"
#include "node/base/clock.h"
#include "node/base/doc.h"

#include <string.h>

const char *rows_role(const struct settings *settings, const struct entry *entry)
{
    if (entry->duty[0] != '\0') {
        return settings_backup(settings, entry->duty) != NULL ? "backup" : "ours";
    }
    return settings_primary(settings, entry->name) != NULL ? "primary" : "other";
}

bool rows_wanted(const json_t *names, const char *name)
{
    size_t index;
    json_t *wanted;
    json_array_foreach(doc_writable(names), index, wanted)
    {
        const char *text = json_string_value(wanted);
        if (text != NULL && strcmp(text, name) == 0) {
            return true;
        }
    }
    return names == NULL;
}

/* PM2's figure: of the processor since anybody's last look. */
static json_t *cpu_of(const json_t *row, bool lives)
{
    const json_t *cpu = json_object_get(json_object_get(row, "monit"), "cpu");
    return lives && json_is_number(cpu) ? doc_rounded(json_number_value(cpu), 1) : json_null();
}

static json_t *describe(const struct settings *settings, const char *home, const json_t *row,
                        const struct entry *entry)
{
    struct process process = {.pidfd = -1};
    const json_t *env = json_object_get(row, "pm2_env");
    bool lives = entry_pid_counts(entry) && process_hold(&process, entry->pid);
    int64_t memory_bytes = lives ? process_memory(process.pid) : -1;
    process_drop(&process);
    int64_t uptime_ms =
        lives && entry->started_wall_ms > 0 ? clock_wall_ms() - entry->started_wall_ms : -1;
    return json_pack(
        "{ss so so so so ss so sb sI so so so ss so}", "kind", "process", "home", doc_text(home),
        "id", doc_count_or_null(entry->pm_id), "name", doc_text(entry->name), "namespace",
        doc_text(doc_get_text(env, "namespace", NULL)), "status", entry_status_name(entry->status),
        "pid", doc_count_or_null(entry_pid_counts(entry) ? entry->pid : -1), "lives", lives,
        "restarts", (json_int_t)entry->restarts, "uptime_ms", doc_count_or_null(uptime_ms),
        "memory_bytes", doc_count_or_null(memory_bytes), "cpu_percent", cpu_of(row, lives), "role",
        rows_role(settings, entry), "duty", doc_text(entry->duty));
}

size_t rows_of_list(const struct settings *settings, const char *home, const json_t *list,
                    const json_t *names, json_t *ret)
{
    static struct entries one; /* too large for the stack; of this call alone */
    size_t left_out = 0;
    size_t index;
    json_t *row;
    json_array_foreach(doc_writable(list), index, row)
    {
        json_t *alone = json_pack("[O]", row);
        bool read = entries_read(alone, &one, NULL) == 0 && one.count == 1;
        json_decref(alone);
        if (!read ||
            (rows_wanted(names, one.rows[0].name) && json_array_size(ret) >= ENTRIES_MAX)) {
            left_out++;
        } else if (rows_wanted(names, one.rows[0].name)) {
            (void)json_array_append_new(ret, describe(settings, home, row, &one.rows[0]));
        }
    }
    return left_out;
}
