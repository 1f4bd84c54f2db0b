#include "managers/pm2/verbs/look.h"

#include "managers/pm2/watch/process.h"
#include "node/base/doc.h"

#include <stdlib.h>
#include <sys/stat.h>

static json_t *describe_daemon(const struct home *home)
{
    const struct god *god = home->god;
    struct process process = {.pidfd = -1};
    bool lives = process_hold(&process, god_pid(god));
    int64_t memory_bytes = lives ? process_memory(process.pid) : -1;
    process_drop(&process);
    return json_pack(
        "{ss so ss so so sb so so}", "kind", "daemon", "home", doc_text(god_home(god)), "status",
        god_state_name(god_state(god)), "version", doc_text(god_version(god)), "pid",
        doc_count_or_null(god_pid(god) > 0 ? god_pid(god) : -1), "lives", lives, "memory_bytes",
        doc_count_or_null(memory_bytes), "text", doc_text(god_why(god)));
}

static void end_if_over(struct look *look)
{
    if (look->waiting > 0) {
        return;
    }
    look->done(look->pm2, look);
    for (size_t i = 0; i < look->count; i++) {
        json_decref(look->homes[i].list);
        json_decref(look->homes[i].daemon);
    }
    json_decref(look->args);
    free(look);
}

static void on_list(void *context, int rc, const json_t *result, const char *why)
{
    struct look_home *home = context;
    if (rc == 0 && json_is_array(result)) {
        home->list = json_incref(doc_writable(result));
    } else {
        (void)snprintf(home->why, sizeof home->why, "no list: %.120s",
                       rc == 0 ? "it is none" : why);
    }
    home->look->waiting--;
    end_if_over(home->look);
}

uid_t look_owner(pid_t pid)
{
    char path[64];
    struct stat info;
    (void)snprintf(path, sizeof path, "/proc/%d", (int)pid);
    return pid > 0 && stat(path, &info) == 0 ? info.st_uid : (uid_t)-1;
}

static void ask(struct look *look, const struct home *home)
{
    static const struct request request = {.method = REQUEST_MEASURED};
    struct look_home *row = &look->homes[look->count++];
    struct err err = {0};
    row->look = look;
    row->daemon = describe_daemon(home);
    row->owner = look_owner(god_pid(home->god));
    (void)snprintf(row->home, sizeof row->home, "%s", god_home(home->god));
    if (god_call(home->god, &request, on_list, row, &err) == 0) {
        look->waiting++;
    } else {
        (void)snprintf(row->why, sizeof row->why, "no list: %.120s", err.msg);
    }
}

void look_begin(struct pm2 *self, uint64_t id, json_t *args_take,
                void (*done)(struct pm2 *pm2, struct look *look))
{
    struct look *look = calloc(1, sizeof *look);
    if (look == NULL) {
        json_decref(args_take);
        runtime_refuse(self->runtime, id, "failed", "out of memory");
        return;
    }
    *look = (struct look){.id = id, .args = args_take, .done = done, .pm2 = self, .waiting = 1};
    for (size_t i = 0; i < self->home_count && i < SETTINGS_HOMES_MAX; i++) {
        ask(look, &self->homes[i]);
    }
    look->waiting--; /* ours: an answer may come from within */
    end_if_over(look);
}
