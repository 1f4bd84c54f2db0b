#include "managers/pm2/mend/plan.h"

#include <stdlib.h>
#include <string.h>

#define LISTEN_TIMEOUT_MS 3000 /* PM2's defaults */
#define KILL_TIMEOUT_MS 1600
#define TIME_MAX_MS (INT64_C(24) * 3600 * 1000)
#define PATIENCE_MIN_MS 30000

static struct mend_judgement say(enum mend_trouble trouble, enum mend_cure cure, const char *why)
{
    return (struct mend_judgement){.trouble = trouble, .cure = cure, .why = why};
}

/* Somebody wanted it restarted since it was started last. */
static bool is_being_restarted(const struct mend_facts *facts)
{
    return facts->created_wall_ms > facts->started_wall_ms;
}

static enum mend_cure restart_of(const struct mend_facts *facts)
{
    return facts->pid > 0 ? MEND_STOP : MEND_RESTART;
}

static struct mend_judgement judge_online(const struct mend_facts *facts)
{
    if (facts->pid > 0 && facts->runs) {
        return say(MEND_WELL, MEND_NOTHING, "online");
    }
    int64_t limit_ms = facts->pid > 0 ? MEND_STALE_MS : MEND_GHOST_MS;
    return facts->for_ms < limit_ms ? say(MEND_BETWEEN, MEND_NOTHING, "online without a process")
                                    : say(MEND_ILL, MEND_RESTART, "ghost");
}

static struct mend_judgement judge_errored(const struct mend_facts *facts)
{
    if (facts->pid > 0 && facts->runs) {
        return say(MEND_LEFT, MEND_NOTHING, "its stop failed, and it runs on");
    }
    if (facts->created_wall_ms == 0 || is_being_restarted(facts)) {
        return say(MEND_ILL, restart_of(facts), "errored");
    }
    return say(MEND_LEFT, MEND_NOTHING, "its stop failed");
}

/* PM2 wanted to start it again and could not: its pid is that of the dead one. */
static struct mend_judgement judge_not_started(const struct mend_facts *facts, int64_t limit_ms)
{
    if (facts->runs || facts->for_ms < limit_ms) {
        return say(MEND_BETWEEN, MEND_NOTHING, "PM2 starts it again");
    }
    if (!facts->logs_there) {
        return say(MEND_ILL, MEND_NOTHING, "the folder of its logs is gone");
    }
    return say(MEND_ILL, MEND_STOP, "PM2 could not start it again");
}

static struct mend_judgement judge_stopped(const struct mend_facts *facts)
{
    if (facts->pid > 0) {
        return judge_not_started(facts, MEND_STALE_MS);
    }
    return facts->ours ? say(MEND_ILL, MEND_RESTART, "PM2 could not start it again")
                       : say(MEND_LEFT, MEND_NOTHING, "stopped");
}

static struct mend_judgement judge_launching(const struct mend_facts *facts)
{
    if (facts->for_ms < facts->listen_timeout_ms + MEND_MARGIN_MS) {
        return say(MEND_BETWEEN, MEND_NOTHING, "launching");
    }
    if (!facts->cluster) {
        return say(MEND_ILL, MEND_RESTART, "stuck in launching");
    }
    /* PM2 would wait for the worker before it stops it; and starts it again when it has ended. */
    bool helps = facts->runs && facts->autorestart;
    return say(MEND_ILL, helps ? MEND_KILL : MEND_NOTHING, "stuck in launching");
}

static struct mend_judgement judge_stopping(const struct mend_facts *facts)
{
    if (facts->runs || facts->for_ms < 2 * facts->kill_timeout_ms + MEND_MARGIN_MS) {
        return say(MEND_BETWEEN, MEND_NOTHING, "stopping");
    }
    return is_being_restarted(facts) ? say(MEND_ILL, restart_of(facts), "stuck in stopping")
                                     : say(MEND_LEFT, MEND_NOTHING, "stopping");
}

/* With a restart delay PM2 shows this also of what it starts no more, and has then no pid. */
static struct mend_judgement judge_waiting(const struct mend_facts *facts)
{
    if (facts->pid > 0) {
        return judge_not_started(facts, facts->restart_delay_ms + MEND_STALE_MS);
    }
    return facts->created_wall_ms == 0 ? say(MEND_ILL, MEND_RESTART, "errored")
                                       : say(MEND_LEFT, MEND_NOTHING, "stopped");
}

struct mend_judgement mend_judge(const struct mend_facts *facts)
{
    switch (facts->shown) {
    case ENTRY_ONLINE:
        return judge_online(facts);
    case ENTRY_ERRORED:
        return judge_errored(facts);
    case ENTRY_STOPPED:
        return judge_stopped(facts);
    case ENTRY_LAUNCHING:
        return judge_launching(facts);
    case ENTRY_STOPPING:
        return judge_stopping(facts);
    case ENTRY_WAITING_RESTART:
        return judge_waiting(facts);
    case ENTRY_OTHER:
        break;
    }
    return say(MEND_BETWEEN, MEND_NOTHING, "in a state of PM2 that is not known");
}

int64_t mend_patience_ms(const struct mend_facts *facts)
{
    int64_t patience_ms = facts->listen_timeout_ms + 2 * facts->kill_timeout_ms + MEND_MARGIN_MS;
    return patience_ms > PATIENCE_MIN_MS ? patience_ms : PATIENCE_MIN_MS;
}

/* ---- reading ---- */

/* Within 0 and a day; numbers may be texts, and nonsense. */
static int64_t read_time(const json_t *pm2_env, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(pm2_env, key);
    double number = json_number_value(value);
    if (json_is_string(value)) {
        number = strtod(json_string_value(value), NULL);
    } else if (!json_is_number(value)) {
        return fallback;
    }
    return number >= 0 && number < (double)TIME_MAX_MS ? (int64_t)number : TIME_MAX_MS;
}

static int64_t read_wall(const json_t *pm2_env, const char *key)
{
    double number = json_number_value(json_object_get(pm2_env, key));
    return number > 0 && number < 9e15 ? (int64_t)number : 0;
}

static void read_facts(const json_t *row, const json_t *pm2_env, struct mend_facts *ret)
{
    double pid = json_number_value(json_object_get(row, "pid"));
    const char *mode = json_string_value(json_object_get(pm2_env, "exec_mode"));
    *ret = (struct mend_facts){
        .shown = entry_status(pm2_env),
        .pid = pid > 0 && pid <= INT32_MAX ? (int64_t)pid : 0,
        .created_wall_ms = read_wall(pm2_env, "created_at"),
        .started_wall_ms = read_wall(pm2_env, "pm_uptime"),
        .cluster = mode != NULL && strcmp(mode, "cluster_mode") == 0,
        .autorestart = entry_restarts(pm2_env),
        .listen_timeout_ms = read_time(pm2_env, "listen_timeout", LISTEN_TIMEOUT_MS),
        .kill_timeout_ms = read_time(pm2_env, "kill_timeout", KILL_TIMEOUT_MS),
        .restart_delay_ms = read_time(pm2_env, "restart_delay", 0),
    };
    if (json_object_get(pm2_env, "exp_backoff_restart_delay") != NULL) {
        int64_t delay_ms = read_time(pm2_env, "exp_backoff_restart_delay", 0);
        ret->restart_delay_ms = delay_ms > MEND_DELAY_MAX_MS ? delay_ms : MEND_DELAY_MAX_MS;
    }
}

bool mend_row_read(const json_t *row, struct mend_row *ret, struct mend_facts *ret_facts)
{
    const json_t *pm2_env = json_object_get(row, "pm2_env");
    const char *name = json_string_value(json_object_get(row, "name"));
    int64_t pm_id = entry_id(json_object_get(row, "pm_id"));
    const char *namespace = json_string_value(json_object_get(pm2_env, "namespace"));
    if (name == NULL || strlen(name) >= NAME_SIZE || !json_is_object(pm2_env) || pm_id < 0) {
        return false;
    }
    *ret = (struct mend_row){
        .pm_id = pm_id,
        .name = name,
        .out_log = json_string_value(json_object_get(pm2_env, "pm_out_log_path")),
        .err_log = json_string_value(json_object_get(pm2_env, "pm_err_log_path")),
        .of_ours = namespace != NULL && strcmp(namespace, ENTRY_NAMESPACE) == 0,
    };
    read_facts(row, pm2_env, ret_facts);
    return true;
}
