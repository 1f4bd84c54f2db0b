/* What must hold between keys: safety relations first, then names that refer to each other. */
#include "node/config/check.h"
#include "node/config/keys.h"

#include "node/base/pattern.h"

#include <stdio.h>
#include <string.h>

#define PATTERNS_MAX 8 /* of one primary's log_errors */
#define BACKUPS_MAX 64 /* of managers.pm2 */

static int64_t integer(const struct load *self, const char *key)
{
    return json_integer_value(load_get(self->values, key));
}

static double number(const struct load *self, const char *key)
{
    return json_number_value(load_get(self->values, key));
}

/* The first of the keys that somebody set, to point at; else the last. */
static const char *culprit(const struct load *self, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (load_origin(self, keys[i]) != ORIGIN_DEFAULT) {
            return keys[i];
        }
    }
    return keys[count - 1];
}

/* 1.05 * lease + heartbeat <= election_timeout, in thousandths to stay exact. */
static void check_lease(struct load *self)
{
    static const char *const keys[] = {"cluster.lease", "cluster.election_timeout",
                                       "cluster.heartbeat", "cluster.profile"};
    int64_t lease = integer(self, "cluster.lease");
    int64_t heartbeat = integer(self, "cluster.heartbeat");
    int64_t timeout = integer(self, "cluster.election_timeout");
    if (1050 * lease + 1000 * heartbeat <= 1000 * timeout) {
        return;
    }
    int64_t least = heartbeat + (1050 * lease + 999) / 1000;
    int64_t most = timeout > heartbeat ? (timeout - heartbeat) * 1000 / 1050 : 0;
    load_report_key(self, CONFIG_ERROR, culprit(self, keys, 4),
                    "1.05 x lease (%lldms) + heartbeat (%lldms) is longer than election_timeout "
                    "(%lldms), so two leaders could act at once; raise election_timeout to %lldms "
                    "or lower lease to %lldms",
                    (long long)lease, (long long)heartbeat, (long long)timeout, (long long)least,
                    (long long)most);
}

static void check_heartbeat(struct load *self)
{
    static const char *const keys[] = {"cluster.heartbeat", "cluster.lease"};
    if (integer(self, "cluster.heartbeat") * 2 > integer(self, "cluster.lease")) {
        load_report_key(self, CONFIG_ERROR, culprit(self, keys, 2),
                        "heartbeat (%lldms) is longer than half the lease (%lldms): one lost "
                        "message would end the leader's right to act; lower heartbeat to %lldms",
                        (long long)integer(self, "cluster.heartbeat"),
                        (long long)integer(self, "cluster.lease"),
                        (long long)integer(self, "cluster.lease") / 2);
    }
}

static void check_grants(struct load *self)
{
    static const char *const keys[] = {"grants.renew", "grants.ttl"};
    int64_t ttl = integer(self, "grants.ttl");
    int64_t renew = integer(self, "grants.renew");
    if (renew * 2 > ttl) {
        load_report_key(self, CONFIG_ERROR, culprit(self, keys, 2),
                        "renew (%lldms) is longer than half of ttl (%lldms): one lost message "
                        "would stop what runs; lower renew to %lldms",
                        (long long)renew, (long long)ttl, (long long)ttl / 2);
    }
}

static void check_voters(struct load *self)
{
    int64_t voters = integer(self, "cluster.voters");
    size_t peers = json_object_size(load_get(self->values, "cluster.peers"));
    if (voters % 2 == 0) {
        load_report_key(self, CONFIG_ERROR, "cluster.voters",
                        "voters: %lld; expected 1, 3, 5 or 7 (an even number tolerates no more "
                        "failures than one less)",
                        (long long)voters);
    }
    if (peers > 0 && peers % 2 == 0) {
        load_report_key(self, CONFIG_ERROR, "cluster.peers",
                        "%zu founding voters; expected 1, 3 or 5: name %zu, and let the others "
                        "join later",
                        peers, peers - 1 < 5 ? peers - 1 : (size_t)5);
    } else if (peers > (size_t)(voters < 5 ? 5 : voters)) {
        load_report_key(self, CONFIG_ERROR, "cluster.peers",
                        "%zu founding voters; expected 1, 3 or 5 (7 with \"voters: 7\"): name "
                        "fewer, and let the others join later",
                        peers);
    }
}

/* Shared by peers (addresses) and public_keys (keys): the same value under two names. */
static void check_distinct(struct load *self, const char *section, const char *what)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_t *seen = json_object();
    json_object_foreach(load_get(self->values, section), name, value)
    {
        const char *text = json_string_value(value);
        const char *first = text == NULL ? NULL : json_string_value(json_object_get(seen, text));
        char key[CONFIG_KEY_SIZE];
        (void)snprintf(key, sizeof(key), "%s.%s", section, name);
        if (!key_valid_name(name)) {
            load_report_key(self, CONFIG_ERROR, key,
                            "\"%.60s\" is no name of a node; expected at most 63 letters, digits, "
                            "'.', '_' or '-', beginning with a letter or digit",
                            name);
        } else if (first != NULL) {
            load_report_key(self, CONFIG_ERROR, key, "%s has the same %s as %s", name, what, first);
        }
        if (text != NULL) {
            (void)json_object_set_new(seen, text, json_string(name));
        }
    }
    json_decref(seen);
}

static void check_members(struct load *self)
{
    check_distinct(self, "cluster.peers", "address");
    check_distinct(self, "cluster.public_keys", "public key");
    const char *node = json_string_value(load_get(self->values, "cluster.node"));
    const json_t *peers = load_get(self->values, "cluster.peers");
    if (node != NULL && json_object_size(peers) > 0 && json_object_get(peers, node) == NULL) {
        load_report_key(self, CONFIG_WARNING, "cluster.peers",
                        "this node, %s, is not among the founding voters; it will wait until it "
                        "is joined (understudy join)",
                        node);
    }
    if (node != NULL && !key_valid_name(node)) {
        load_report_key(self, CONFIG_ERROR, "cluster.node",
                        "the host's name \"%.60s\" cannot name a node; set cluster.node", node);
    }
}

static void check_scores(struct load *self)
{
    static const char *const keys[] = {"health.emergency_from", "health.healthy_from"};
    if (number(self, "health.emergency_from") > number(self, "health.healthy_from")) {
        load_report_key(self, CONFIG_ERROR, culprit(self, keys, 2),
                        "emergency_from (%g) lies above healthy_from (%g); lower it",
                        number(self, "health.emergency_from"), number(self, "health.healthy_from"));
    }
}

static void check_sockets(struct load *self)
{
    const char *endpoint = json_string_value(load_get(self->values, "control.listen"));
    const char *folder = json_string_value(load_get(self->values, "runtime_dir"));
    /* The longest socket made in runtime_dir is managers.sock. */
    size_t longest = folder == NULL ? 0 : strlen(folder) + strlen("/managers.sock");
    if (longest > CONFIG_SOCKET_PATH_MAX) {
        load_report_key(self, CONFIG_ERROR, "runtime_dir",
                        "runtime_dir has %zu bytes; a socket in it must stay under 108, so at "
                        "most 93 fit; choose a shorter path",
                        strlen(folder));
    } else if (endpoint != NULL && strlen(endpoint) - strlen("ipc://") > CONFIG_SOCKET_PATH_MAX) {
        load_report_key(self, CONFIG_ERROR, "control.listen",
                        "the socket's path must stay under 108 bytes");
    }
    const char *tcp = json_string_value(load_get(self->values, "control.listen_tcp"));
    const char *peers = json_string_value(load_get(self->values, "cluster.listen"));
    if (tcp != NULL && peers != NULL && strcmp(tcp, peers) == 0) {
        load_report_key(self, CONFIG_ERROR, "control.listen_tcp",
                        "%s is cluster.listen already; choose another port", tcp);
    }
}

static void nearest_name(const json_t *list, const char *seen, char *ret, size_t size)
{
    unsigned best = (unsigned)strlen(seen) / 3 + 2;
    ret[0] = '\0';
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "name"));
        if (name != NULL && schema_distance(seen, name) < best) {
            best = schema_distance(seen, name);
            (void)snprintf(ret, size, "; did you mean \"%s\"?", name);
        }
    }
}

static const json_t *find_named(const json_t *list, const char *name, size_t before)
{
    for (size_t i = 0; i < json_array_size(list) && i < before; i++) {
        const json_t *item = json_array_get(list, i);
        const char *other = json_string_value(json_object_get(item, "name"));
        if (other != NULL && strcmp(other, name) == 0) {
            return item;
        }
    }
    return NULL;
}

void check_element_key(const char *list, const json_t *item, size_t index, const char *word,
                       char *ret, size_t size)
{
    char element[NAME_SIZE + 8];
    load_element_name(item, index, element, sizeof(element));
    (void)snprintf(ret, size, "%s%s%s%s", list, element, word[0] == '\0' ? "" : ".", word);
}

static void check_kill_timeout(struct load *self, const char *list, const json_t *item,
                               size_t index)
{
    int64_t kill_timeout = json_integer_value(json_object_get(item, "kill_timeout"));
    int64_t ttl = integer(self, "grants.ttl");
    if (kill_timeout + GRANT_SLACK_MS <= ttl) {
        return;
    }
    int64_t least = kill_timeout + GRANT_SLACK_MS;
    int64_t most = ttl > GRANT_SLACK_MS ? ttl - GRANT_SLACK_MS : 0;
    char key[CONFIG_KEY_SIZE];
    check_element_key(list, item, index, "kill_timeout", key, sizeof(key));
    const char *keys[] = {key, "grants.ttl"};
    load_report_key(self, CONFIG_ERROR, culprit(self, keys, 2),
                    "kill_timeout (%lldms) + 2.5s is longer than grants.ttl (%lldms), so a "
                    "failover would stop what it need not; raise grants.ttl to %lldms or lower "
                    "kill_timeout to %lldms",
                    (long long)kill_timeout, (long long)ttl, (long long)least, (long long)most);
}

bool check_element_name(struct load *self, const char *list, const json_t *all, const json_t *item,
                        size_t index)
{
    const char *name = json_string_value(json_object_get(item, "name"));
    char key[CONFIG_KEY_SIZE];
    if (name == NULL) {
        char given[CONFIG_KEY_SIZE];
        check_element_key(list, item, index, "name", given, sizeof(given));
        check_element_key(list, item, index, "", key, sizeof(key));
        if (json_object_get(self->origins, given) == NULL) {
            load_report_key(self, CONFIG_ERROR, key, "an entry without a name; add \"name: ...\"");
        }
        return false;
    }
    if (find_named(all, name, index) != NULL) {
        check_element_key(list, item, index, "name", key, sizeof(key));
        load_report_key(self, CONFIG_ERROR, key,
                        "two entries are named \"%s\"; names must be unique", name);
        return false;
    }
    return true;
}

void check_element_on(struct load *self, const char *list, const json_t *item, size_t index)
{
    const json_t *peers = load_get(self->values, "cluster.peers");
    const json_t *on = json_object_get(item, "on");
    for (size_t i = 0; i < json_array_size(on) && json_object_size(peers) > 0; i++) {
        const char *node = json_string_value(json_array_get(on, i));
        if (node != NULL && json_object_get(peers, node) == NULL) {
            char key[CONFIG_KEY_SIZE];
            check_element_key(list, item, index, "on", key, sizeof(key));
            load_report_key(self, CONFIG_WARNING, key,
                            "%s is not among cluster.peers; this takes effect once it has joined",
                            node);
        }
    }
}

static void check_patterns(struct load *self, const char *list, const json_t *item, size_t index)
{
    const json_t *patterns = json_object_get(item, "log_errors");
    char key[CONFIG_KEY_SIZE];
    check_element_key(list, item, index, "log_errors", key, sizeof(key));
    for (size_t i = 0; i < json_array_size(patterns); i++) {
        const char *text = json_string_value(json_array_get(patterns, i));
        regex_t regex;
        struct err err = {0};
        if (text == NULL) {
            continue;
        }
        if (pattern_compile(text, &regex, &err) != 0) {
            load_report_key(self, CONFIG_ERROR, key, "\"%.60s\" is no pattern: %s", text, err.msg);
        } else {
            regfree(&regex);
        }
    }
    if (json_array_size(patterns) > PATTERNS_MAX) {
        load_report_key(self, CONFIG_ERROR, key, "more than %d patterns", PATTERNS_MAX);
    }
}

static void check_primary(struct load *self, const json_t *all, size_t index)
{
    static const char list[] = "managers.pm2.primaries";
    const json_t *item = json_array_get(all, index);
    char key[CONFIG_KEY_SIZE];
    if (!check_element_name(self, list, all, item, index)) {
        return;
    }
    check_element_on(self, list, item, index);
    check_patterns(self, list, item, index);
    if (!json_is_true(json_object_get(item, "guarded"))) {
        return;
    }
    check_kill_timeout(self, list, item, index);
    check_element_key(list, item, index, "guarded", key, sizeof(key));
    if (json_object_get(item, "script") == NULL) {
        load_report_key(self, CONFIG_ERROR, key,
                        "a guarded primary is started by us; add \"script: ...\"");
    }
}

static void check_stand_in(struct load *self, const char *list, const json_t *item, size_t index,
                           const json_t *primaries, bool whole)
{
    const char *mode = json_string_value(json_object_get(item, "mode"));
    const char *primary = json_string_value(json_object_get(item, "stands_in_for"));
    char key[CONFIG_KEY_SIZE];
    if (primary == NULL) {
        if (mode != NULL && strcmp(mode, "standby") == 0) {
            check_element_key(list, item, index, "", key, sizeof(key));
            load_report_key(self, CONFIG_ERROR, key,
                            "a backup in mode standby needs its primary; add \"stands_in_for: "
                            "...\", or \"mode: always\"");
        }
        return;
    }
    if (find_named(primaries, primary, SIZE_MAX) == NULL && whole) {
        char hint[NAME_SIZE + 32];
        nearest_name(primaries, primary, hint, sizeof(hint));
        check_element_key(list, item, index, "stands_in_for", key, sizeof(key));
        load_report_key(self, CONFIG_ERROR, key, "there is no primary \"%s\"%s%s", primary, hint,
                        hint[0] == '\0' ? "; add it to managers.pm2.primaries" : "");
    }
}

/* The second and later copies have names of their own. */
static void check_copies(struct load *self, const json_t *all, size_t index,
                         const json_t *primaries)
{
    static const char list[] = "managers.pm2.backups";
    const json_t *item = json_array_get(all, index);
    const char *name = json_string_value(json_object_get(item, "name"));
    char key[CONFIG_KEY_SIZE];
    check_element_key(list, item, index, "copies", key, sizeof(key));
    for (int64_t i = 2; i <= json_integer_value(json_object_get(item, "copies")); i++) {
        char copy[NAME_SIZE];
        int length = snprintf(copy, sizeof(copy), "%s-%lld", name, (long long)i);
        if (length >= NAME_SIZE) {
            load_report_key(self, CONFIG_ERROR, key,
                            "\"%s-%lld\" is longer than %d bytes; give the backup a shorter name",
                            name, (long long)i, NAME_SIZE - 1);
            return;
        }
        if (find_named(all, copy, SIZE_MAX) != NULL ||
            find_named(primaries, copy, SIZE_MAX) != NULL) {
            load_report_key(self, CONFIG_ERROR, key,
                            "a copy of \"%s\" would be named \"%s\", as another entry is; give one "
                            "of them another name",
                            name, copy);
            return;
        }
    }
}

/* As many as the manager takes, with their copies. */
static void check_backup_count(struct load *self, const json_t *backups)
{
    int64_t count = 0;
    size_t index;
    json_t *item;
    json_array_foreach(backups, index, item)
    {
        count += json_integer_value(json_object_get(item, "copies"));
    }
    if (count > BACKUPS_MAX) {
        load_report_key(self, CONFIG_ERROR, "managers.pm2.backups",
                        "%lld backups with their copies; at most %d are possible", (long long)count,
                        BACKUPS_MAX);
    }
}

static void check_backup(struct load *self, const json_t *all, size_t index,
                         const json_t *primaries, bool whole)
{
    static const char list[] = "managers.pm2.backups";
    const json_t *item = json_array_get(all, index);
    char key[CONFIG_KEY_SIZE];
    if (!check_element_name(self, list, all, item, index)) {
        return;
    }
    const char *name = json_string_value(json_object_get(item, "name"));
    if (find_named(primaries, name, SIZE_MAX) != NULL) {
        check_element_key(list, item, index, "name", key, sizeof(key));
        load_report_key(self, CONFIG_ERROR, key,
                        "a primary is named \"%s\" too; give the backup a name of its own", name);
    }
    if (json_object_get(item, "script") == NULL) {
        check_element_key(list, item, index, "", key, sizeof(key));
        load_report_key(self, CONFIG_ERROR, key, "backup \"%s\" has no script; add \"script: ...\"",
                        name);
    }
    const char *tier = json_string_value(json_object_get(item, "tier"));
    const char *mode = json_string_value(json_object_get(item, "mode"));
    bool always = mode != NULL && strcmp(mode, "always") == 0;
    if (always && tier != NULL && strcmp(tier, "enhanced") == 0) {
        check_element_key(list, item, index, "tier", key, sizeof(key));
        load_report_key(self, CONFIG_WARNING, key,
                        "what always runs waits for no other backup; tier enhanced says nothing");
    }
    check_element_on(self, list, item, index);
    check_kill_timeout(self, list, item, index);
    check_stand_in(self, list, item, index, primaries, whole);
    check_copies(self, all, index, primaries);
    check_backup_times(self, list, item, index, whole);
}

static void check_managers(struct load *self)
{
    const char *name = NULL;
    json_t *manager = NULL;
    json_t *managers = json_object_get(self->values, "managers");
    json_object_foreach(managers, name, manager)
    {
        char key[CONFIG_KEY_SIZE];
        (void)snprintf(key, sizeof(key), "managers.%s", name);
        bool plugin = json_object_get(manager, "program") != NULL;
        if (!key_valid_name(name)) {
            load_report_key(self, CONFIG_ERROR, key, "\"%.60s\" is no name of a manager", name);
        } else if (!schema_manager_known(name) && !plugin) {
            load_report_key(self, CONFIG_ERROR, key,
                            "there is no manager \"%s\"; known are %s; a plugin needs \"program: "
                            "/path\"",
                            name, schema_managers());
        } else if (!schema_manager_here(name) && !plugin && load_origin(self, key) == ORIGIN_FILE) {
            load_report_key(self, CONFIG_WARNING, key,
                            "manager %s is not in this version; its settings are kept for a later "
                            "one",
                            name);
        }
    }
    if (json_object_size(managers) > MANAGERS_MAX) {
        load_report_key(self, CONFIG_ERROR, "managers", "more than %d managers", MANAGERS_MAX);
    }
}

void load_check(struct load *self)
{
    self->origin = ORIGIN_DEFAULT;
    self->source = "default";
    /* A refused value is missing now: do not report what follows from that alone. */
    bool whole = self->errors->errors == 0;
    check_lease(self);
    check_heartbeat(self);
    check_grants(self);
    if (whole) {
        check_voters(self);
        check_members(self);
    }
    check_scores(self);
    check_sockets(self);
    check_managers(self);
    const json_t *primaries = load_get(self->values, "managers.pm2.primaries");
    const json_t *backups = load_get(self->values, "managers.pm2.backups");
    for (size_t i = 0; i < json_array_size(primaries); i++) {
        check_primary(self, primaries, i);
    }
    for (size_t i = 0; i < json_array_size(backups); i++) {
        check_backup(self, backups, i, primaries, whole);
    }
    check_backup_count(self, backups);
    check_runs(self, whole);
    if (json_object_size(json_object_get(self->values, "labels")) > CONFIG_LABELS_MAX) {
        load_report_key(self, CONFIG_ERROR, "labels", "more than %d labels", CONFIG_LABELS_MAX);
    }
    if (json_array_size(load_get(self->values, "dashboard.listen")) > CONFIG_LISTEN_MAX) {
        load_report_key(self, CONFIG_ERROR, "dashboard.listen", "more than %d addresses",
                        CONFIG_LISTEN_MAX);
    }
}
