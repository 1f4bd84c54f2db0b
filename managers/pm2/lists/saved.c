#include "managers/pm2/lists/saved.h"

#include "managers/pm2/watch/entry.h"
#include "node/base/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KILL_TIMEOUT_MS 1600 /* PM2's own default */
#define KILL_TIMEOUT_MAX_MS 60000
#define PREPARE_MS 15000
#define LISTEN_TIMEOUT_MS 3000 /* PM2's own default */
#define PREPARE_MAX_MS 300000

static bool one_of(const char *text, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Members of pm2_env that PM2 sets by itself. With pm_id, instances or created_at an entry would
 * not be prepared as a new one; an old created_at also switches off its restart limit. */
static bool is_volatile(const char *key)
{
    static const char *const names[] = {
        "pm_id",         "instances",         "status",
        "pm_uptime",     "created_at",        "restart_time",
        "exit_code",     "unstable_restarts", "prev_restart_delay",
        "axm_monitor",   "axm_actions",       "axm_options",
        "axm_dynamic",   "vizion_running",    "versioning",
        "node_version",  "version",           "monit",
        "unique_id",     "command",           "_km_monitored",
        "disconnecting", "restart_task",      "__proto__",
    };
    return one_of(key, names, sizeof names / sizeof names[0]);
}

/* Variables that PM2 would take for the entry's own state when it mixes `env` into it. */
static bool is_poison(const char *name)
{
    static const char *const names[] = {
        "pm_id",       "instances",    "status",
        "env",         "created_at",   "pm_uptime",
        "unique_id",   "restart_time", "unstable_restarts",
        "axm_monitor", "axm_actions",  "axm_options",
        "axm_dynamic", "__proto__",    "prev_restart_delay",
        "constructor", "prototype",    "vizion_running",
    };
    return one_of(name, names, sizeof names / sizeof names[0]);
}

/* ---- reading a row of PM2's list ---- */

static const json_t *pm2_env_of(const json_t *row)
{
    return json_object_get(row, "pm2_env");
}

static bool is_ours(const json_t *pm2_env)
{
    return strcmp(doc_get_text(pm2_env, "namespace", ""), ENTRY_NAMESPACE) == 0 &&
           (json_object_get(pm2_env, ENTRY_DUTY_VARIABLE) != NULL ||
            json_object_get(json_object_get(pm2_env, "env"), ENTRY_DUTY_VARIABLE) != NULL);
}

static bool is_kept(const json_t *row)
{
    const json_t *pm2_env = pm2_env_of(row);
    const char *name = doc_get_text(row, "name", "");
    const char *id = doc_get_text(row, "pm_id", "");
    return name[0] != '\0' && strlen(name) <= SAVED_NAME_MAX && strncmp(id, "_old_", 5) != 0 &&
           json_is_object(json_object_get(pm2_env, "env")) &&
           doc_get_text(pm2_env, "pm_exec_path", "")[0] == '/' && !is_ours(pm2_env);
}

static int64_t id_of(const json_t *row)
{
    const json_t *id = json_object_get(row, "pm_id");
    const char *text = json_string_value(id);
    int64_t number = text != NULL ? strtoll(text, NULL, 10) : json_integer_value(id);
    return number >= 0 && number <= INT32_MAX ? number : -1;
}

static const char *unique_id_of(const json_t *pm2_env)
{
    const char *text = doc_get_text(pm2_env, "unique_id", NULL);
    return text != NULL ? text : doc_get_text(json_object_get(pm2_env, "env"), "unique_id", "");
}

/* Which of several of one name it is; as text, as apps may set the variable themselves. */
static json_t *instance_of(const json_t *pm2_env)
{
    const char *variable = doc_get_text(pm2_env, "instance_var", "NODE_APP_INSTANCE");
    const json_t *value = json_object_get(pm2_env, variable);
    char number[24];
    if (json_is_integer(value)) {
        (void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        return json_string(number);
    }
    const char *text = json_string_value(value);
    return json_string(text != NULL && strlen(text) <= SAVED_NAME_MAX ? text : "");
}

static json_t *clean_env(const json_t *env)
{
    json_t *ret = json_object();
    const char *name;
    json_t *value;
    json_object_foreach(doc_writable(env), name, value)
    {
        if (!is_poison(name) && !json_is_null(value)) {
            (void)json_object_set(ret, name, value);
        }
    }
    return ret;
}

/* PM2 has mixed `env` into pm2_env: what stands in both is kept once. */
static json_t *app_of(const json_t *pm2_env)
{
    json_t *ret = json_object();
    json_t *env = clean_env(json_object_get(pm2_env, "env"));
    const char *key;
    json_t *value;
    json_object_foreach(doc_writable(pm2_env), key, value)
    {
        if (strcmp(key, "env") != 0 && !is_volatile(key) && !json_is_null(value) &&
            json_equal(value, json_object_get(env, key)) != 1) {
            (void)json_object_set(ret, key, value);
        }
    }
    (void)json_object_set_new(ret, "env", env);
    return ret;
}

static json_t *make_row(const json_t *row)
{
    const json_t *pm2_env = pm2_env_of(row);
    bool stopped = strcmp(doc_get_text(pm2_env, "status", ""), "stopped") == 0;
    return json_pack("{so so so sI so sb so}", "name", doc_text(doc_get_text(row, "name", "")),
                     "instance", instance_of(pm2_env), "namespace",
                     doc_text(doc_get_text(pm2_env, "namespace", "default")), "pm_id",
                     (json_int_t)id_of(row), "unique_id", json_string(unique_id_of(pm2_env)),
                     "stopped", stopped, "app", app_of(pm2_env));
}

static int by_id(const void *a, const void *b)
{
    int64_t left = saved_id(*(json_t *const *)a);
    int64_t right = saved_id(*(json_t *const *)b);
    return (left > right) - (left < right);
}

json_t *saved_from_list(const json_t *list)
{
    json_t *rows[SAVED_ROWS_MAX];
    size_t count = 0;
    size_t index;
    json_t *item;
    if (!json_is_array(list)) {
        return NULL;
    }
    json_array_foreach(list, index, item)
    {
        json_t *row = count < SAVED_ROWS_MAX && is_kept(item) ? make_row(item) : NULL;
        if (row != NULL) {
            rows[count++] = row;
        }
    }
    qsort(rows, count, sizeof(void *), by_id);
    json_t *ret = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(ret, rows[i]);
    }
    return ret;
}

/* ---- digest ---- */

static uint64_t mix(uint64_t hash)
{
    hash ^= hash >> 33;
    hash *= UINT64_C(0xff51afd7ed558ccd);
    hash ^= hash >> 33;
    hash *= UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ hash >> 33;
}

static uint64_t hash_bytes(const char *bytes, size_t length)
{
    uint64_t hash = UINT64_C(0x9e3779b97f4a7c15) ^ length;
    for (; length >= 8; bytes += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        hash = (hash ^ word) * UINT64_C(0x100000001b3);
        hash ^= hash >> 29;
    }
    for (; length > 0; bytes++, length--) {
        hash = (hash ^ (unsigned char)*bytes) * UINT64_C(0x100000001b3);
    }
    return mix(hash);
}

static uint64_t hash_value(const json_t *value, unsigned depth);

static uint64_t hash_object(const json_t *object, unsigned depth, bool (*skip)(const char *key))
{
    uint64_t sum = 3; /* of members, whatever their order */
    const char *key;
    json_t *value;
    json_object_foreach(doc_writable(object), key, value)
    {
        if (skip == NULL || !skip(key)) {
            sum += mix(hash_bytes(key, strlen(key)) + 5 * hash_value(value, depth + 1));
        }
    }
    return mix(sum);
}

static uint64_t hash_value(const json_t *value, unsigned depth)
{
    uint64_t hash = 7;
    size_t index;
    json_t *item;
    if (depth > MP_DEPTH_MAX) {
        return hash;
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return hash_object(value, depth, NULL);
    case JSON_ARRAY:
        json_array_foreach(value, index, item)
        {
            hash = mix(hash + hash_value(item, depth + 1));
        }
        return hash;
    case JSON_STRING:
        return hash_bytes(json_string_value(value), json_string_length(value));
    case JSON_INTEGER:
        return mix((uint64_t)json_integer_value(value) + 11);
    case JSON_REAL: {
        double number = json_real_value(value);
        uint64_t bits;
        memcpy(&bits, &number, sizeof bits);
        return mix(bits + 13);
    }
    default:
        return mix(17 + (uint64_t)json_typeof(value));
    }
}

uint64_t saved_digest(const json_t *list)
{
    uint64_t sum = 19;
    size_t index;
    json_t *row;
    json_array_foreach(list, index, row)
    {
        if (!is_kept(row)) {
            continue;
        }
        const json_t *pm2_env = pm2_env_of(row);
        const char *name = doc_get_text(row, "name", "");
        const char *unique_id = unique_id_of(pm2_env);
        bool stopped = strcmp(doc_get_text(pm2_env, "status", ""), "stopped") == 0;
        sum += mix(hash_bytes(name, strlen(name)) + 3 * (uint64_t)id_of(row) +
                   5 * hash_bytes(unique_id, strlen(unique_id)) + (stopped ? 23 : 29) +
                   7 * hash_object(pm2_env, 0, is_volatile));
    }
    return sum;
}

/* ---- rows ---- */

const char *saved_name(const json_t *row)
{
    return doc_get_text(row, "name", "");
}

json_t *saved_names(const json_t *rows)
{
    json_t *ret = json_array();
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        (void)json_array_append_new(ret, doc_text(saved_name(row)));
    }
    return ret;
}

const char *saved_unique_id(const json_t *row)
{
    return doc_get_text(row, "unique_id", "");
}

int64_t saved_id(const json_t *row)
{
    return doc_get_integer(row, "pm_id", -1);
}

bool saved_stopped(const json_t *row)
{
    return doc_get_bool(row, "stopped", false);
}

static int64_t figure(const json_t *row, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(json_object_get(row, "app"), key);
    double number = json_number_value(value);
    return json_is_number(value) && number >= 0 && number < 1e12 ? (int64_t)number : fallback;
}

int64_t saved_kill_timeout_ms(const json_t *row)
{
    int64_t ms = figure(row, "kill_timeout", KILL_TIMEOUT_MS);
    return ms < KILL_TIMEOUT_MAX_MS ? ms : KILL_TIMEOUT_MAX_MS;
}

int64_t saved_prepare_ms(const json_t *row)
{
    int64_t ms = PREPARE_MS + figure(row, "listen_timeout", LISTEN_TIMEOUT_MS);
    return ms < PREPARE_MAX_MS ? ms : PREPARE_MAX_MS;
}

bool saved_is_valid(const json_t *rows)
{
    size_t index;
    json_t *row;
    if (!json_is_array(rows) || json_array_size(rows) > SAVED_ROWS_MAX) {
        return false;
    }
    json_array_foreach(rows, index, row)
    {
        const json_t *app = json_object_get(row, "app");
        const char *name = saved_name(row);
        if (name[0] == '\0' || strlen(name) > SAVED_NAME_MAX ||
            strlen(doc_get_text(row, "instance", "")) > SAVED_NAME_MAX ||
            !json_is_object(json_object_get(app, "env")) ||
            doc_get_text(app, "pm_exec_path", "")[0] != '/') {
            return false;
        }
    }
    return true;
}

json_t *saved_app(const json_t *row)
{
    json_t *ret = json_copy(json_object_get(row, "app"));
    if (ret == NULL) {
        return NULL;
    }
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(ret, next, key, value)
    {
        if (is_volatile(key) || json_is_null(value)) {
            (void)json_object_del(ret, key); /* also what an older version of us kept */
        }
    }
    (void)json_object_set_new(ret, "env", clean_env(json_object_get(ret, "env")));
    if (saved_stopped(row)) {
        (void)json_object_set_new(ret, "status", json_string("stopped"));
    }
    return ret;
}

/* ---- comparing ---- */

/* It stops and starts without a person, so that its state says nothing of what is wanted. */
static bool stops_by_itself(const json_t *row)
{
    const json_t *app = json_object_get(row, "app");
    return json_is_false(json_object_get(app, "autorestart")) ||
           json_object_get(app, "cron_restart") != NULL ||
           json_object_get(app, "stop_exit_codes") != NULL;
}

/* "x-3.log" and "x.log" are the same to PM2, which puts the id in by itself. */
static json_t *without_id(const char *path)
{
    size_t length = strlen(path);
    size_t ending = length > 4 ? length - 4 : 0;
    size_t at = ending;
    while (at > 0 && path[at - 1] >= '0' && path[at - 1] <= '9') {
        at--;
    }
    if (at == ending || at == 0 || path[at - 1] != '-') {
        return json_string(path);
    }
    char *text = malloc(length + 1);
    if (text == NULL) {
        return NULL;
    }
    (void)snprintf(text, length + 1, "%.*s%s", (int)(at - 1), path, path + ending);
    json_t *ret = json_string(text);
    free(text);
    return ret;
}

static json_t *comparable(const json_t *row)
{
    static const char *const paths[] = {"pm_pid_path", "pm_out_log_path", "pm_err_log_path",
                                        "pm_log_path"};
    json_t *ret = json_copy(json_object_get(row, "app"));
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const char *path = json_string_value(json_object_get(ret, paths[i]));
        if (path != NULL) {
            (void)json_object_set_new(ret, paths[i], without_id(path));
        }
    }
    return ret;
}

static bool same_app(const json_t *a, const json_t *b)
{
    json_t *left = comparable(a);
    json_t *right = comparable(b);
    bool same = json_equal(left, right) == 1;
    json_decref(left);
    json_decref(right);
    return same;
}

static bool same_key(const json_t *a, const json_t *b)
{
    return strcmp(saved_name(a), saved_name(b)) == 0 &&
           strcmp(doc_get_text(a, "instance", ""), doc_get_text(b, "instance", "")) == 0 &&
           strcmp(doc_get_text(a, "namespace", ""), doc_get_text(b, "namespace", "")) == 0;
}

/* The counterpart of a row in `rows`: the next of its key that is not taken yet. */
static json_t *counterpart(const json_t *row, const json_t *rows, bool taken[SAVED_ROWS_MAX])
{
    size_t index;
    json_t *other;
    json_array_foreach(rows, index, other)
    {
        if (index < SAVED_ROWS_MAX && !taken[index] && same_key(row, other)) {
            taken[index] = true;
            return other;
        }
    }
    return NULL;
}

bool saved_same(const json_t *a, const json_t *b)
{
    json_t *changes = saved_changes(a, b, 1);
    bool same = json_array_size(changes) == 0;
    json_decref(changes);
    return same;
}

json_t *saved_missing(const json_t *wanted, const json_t *present)
{
    bool taken[SAVED_ROWS_MAX] = {false};
    json_t *ret = json_array();
    size_t index;
    json_t *row;
    json_array_foreach(wanted, index, row)
    {
        if (counterpart(row, present, taken) == NULL) {
            (void)json_array_append(ret, row);
        }
    }
    return ret;
}

json_t *saved_merged(const json_t *wanted, const json_t *present)
{
    bool taken[SAVED_ROWS_MAX] = {false};
    json_t *ret = json_array();
    size_t index;
    json_t *row;
    json_array_foreach(wanted, index, row)
    {
        json_t *now = counterpart(row, present, taken);
        (void)json_array_append(ret, now != NULL ? now : row);
    }
    json_array_foreach(present, index, row)
    {
        if (index < SAVED_ROWS_MAX && !taken[index] && json_array_size(ret) < SAVED_ROWS_MAX) {
            (void)json_array_append(ret, row);
        }
    }
    return ret;
}

struct changes {
    json_t *texts;
    size_t most;
    size_t left_out;
};

static void add_change(struct changes *self, const char *what, const json_t *row)
{
    char text[SAVED_NAME_MAX + 16];
    if (json_array_size(self->texts) >= self->most) {
        self->left_out++;
        return;
    }
    (void)snprintf(text, sizeof text, "%s%s", what, saved_name(row));
    (void)json_array_append_new(self->texts, doc_text(text));
}

static void compare(struct changes *changes, const json_t *before, const json_t *after)
{
    bool other_state = saved_stopped(before) != saved_stopped(after);
    if (other_state && !(stops_by_itself(before) && stops_by_itself(after))) {
        add_change(changes, saved_stopped(after) ? "stopped " : "started ", after);
    } else if (!same_app(before, after)) {
        add_change(changes, "~", after);
    }
}

json_t *saved_changes(const json_t *before, const json_t *after, size_t most)
{
    struct changes changes = {.texts = json_array(), .most = most};
    bool taken[SAVED_ROWS_MAX] = {false};
    size_t index;
    json_t *row;
    json_array_foreach(before, index, row)
    {
        const json_t *now = counterpart(row, after, taken);
        if (now == NULL) {
            add_change(&changes, "-", row);
        } else {
            compare(&changes, row, now);
        }
    }
    json_array_foreach(after, index, row)
    {
        if (index < SAVED_ROWS_MAX && !taken[index]) {
            add_change(&changes, "+", row);
        }
    }
    if (changes.left_out > 0) {
        char text[48];
        (void)snprintf(text, sizeof text, "and %zu more", changes.left_out);
        (void)json_array_append_new(changes.texts, json_string(text));
    }
    return changes.texts;
}
