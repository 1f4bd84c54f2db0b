/* Finding the node that is meant, and for TCP the keys. */
#include "node/cli/cli.h"

#include "node/config/keys.h"

#include <string.h>

#define ENDPOINT_SIZE (CLI_PATH_SIZE + 8)

static int fail(struct understudy_error *error, int exit, const char *code, const char *hint,
                const char *message)
{
    *error = (struct understudy_error){.exit = exit};
    (void)snprintf(error->code, sizeof error->code, "%s", code);
    (void)snprintf(error->message, sizeof error->message, "%s", message);
    (void)snprintf(error->hint, sizeof error->hint, "%s", hint);
    return exit;
}

static int fail_keys(struct understudy_error *error, const struct err *err)
{
    return fail(error, err->code == ERR_DENIED ? UNDERSTUDY_DENIED : UNDERSTUDY_USAGE, "keys",
                "--keys DIR names the folder with your key and the nodes' public keys", err->msg);
}

/* "tcp://NODE@HOST:PORT" into the node's name (may be empty) and "tcp://HOST:PORT". */
static void split_endpoint(const char *endpoint, char node[NAME_SIZE], char plain[ENDPOINT_SIZE])
{
    static const char scheme[] = "tcp://";
    const char *rest = endpoint + sizeof scheme - 1;
    const char *at = strchr(rest, '@');
    node[0] = '\0';
    if (at != NULL && at - rest < NAME_SIZE) {
        (void)snprintf(node, NAME_SIZE, "%.*s", (int)(at - rest), rest);
        rest = at + 1;
    }
    (void)snprintf(plain, ENDPOINT_SIZE, "%s%s", scheme, rest);
}

static int connect_with(const struct cli_options *options, const char *endpoint,
                        const struct key_roster *roster, const char *node,
                        const struct key_own *own, struct understudy **ret,
                        struct understudy_error *error)
{
    int rc = fail(error, UNDERSTUDY_USAGE, "keys", "copy the nodes' NAME.key files there",
                  "the folder of keys has none for this node");
    for (size_t i = 0; i < roster->count; i++) {
        const struct key_public *key = &roster->keys[i];
        if (key->role != KEY_NODE || (node[0] != '\0' && strcmp(key->name, node) != 0)) {
            continue;
        }
        const struct understudy_keys keys = {key->public_key, own->public_key, own->secret_key};
        rc = understudy_connect(endpoint, &keys, options->timeout_ms, ret, error);
        /* Refused: with another node's key it may be right, when none was named. */
        if (rc != UNDERSTUDY_DENIED) {
            break;
        }
    }
    return rc;
}

static int connect_tcp(const struct cli_options *options, const char *endpoint,
                       struct understudy **ret, struct understudy_error *error)
{
    char folder[CLI_PATH_SIZE];
    char node[NAME_SIZE];
    char plain[ENDPOINT_SIZE];
    struct key_own own;
    struct key_roster roster;
    struct err err = {0};
    split_endpoint(endpoint, node, plain);
    options_keys_folder(options, folder);
    int rc = keys_load_own(folder, KEYS_OPERATOR, &own, &err);
    if (rc == ERR_NOTFOUND) {
        rc = keys_load_own(folder, NULL, &own, &err);
    }
    if (rc != 0) {
        return fail_keys(error, &err);
    }
    rc = keys_load_roster(folder, &roster, &err);
    if (rc != 0) {
        key_own_wipe(&own);
        return fail_keys(error, &err);
    }
    rc = connect_with(options, plain, &roster, node, &own, ret, error);
    key_own_wipe(&own);
    key_roster_deinit(&roster);
    return rc;
}

int cli_connect(const struct cli_options *options, struct understudy **ret,
                struct understudy_error *error)
{
    char path[CLI_PATH_SIZE];
    char endpoint[ENDPOINT_SIZE];
    if (options->endpoint != NULL && strncmp(options->endpoint, "tcp://", 6) == 0) {
        return connect_tcp(options, options->endpoint, ret, error);
    }
    if (options->endpoint != NULL) {
        (void)snprintf(endpoint, sizeof endpoint, "%s", options->endpoint);
    } else {
        options_node_file(options, "control.sock", "/run/understudy", path);
        (void)snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
    }
    return understudy_connect(endpoint, NULL, options->timeout_ms, ret, error);
}
