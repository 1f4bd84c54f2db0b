#include "node/cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS 15000

enum option {
    OPTION_ENDPOINT,
    OPTION_DIR,
    OPTION_KEYS,
    OPTION_OUTPUT,
    OPTION_TIMEOUT,
    OPTION_JSON,
    OPTION_QUIET,
    OPTION_NO_COLOR,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_NONE,
};

static const struct {
    const char *name;
    enum option option;
    bool value;
} rows[] = {
    {"-e", OPTION_ENDPOINT, true},
    {"--endpoint", OPTION_ENDPOINT, true},
    {"--dir", OPTION_DIR, true},
    {"--keys", OPTION_KEYS, true},
    {"-o", OPTION_OUTPUT, true},
    {"--output", OPTION_OUTPUT, true},
    {"--timeout", OPTION_TIMEOUT, true},
    {"--json", OPTION_JSON, false},
    {"-q", OPTION_QUIET, false},
    {"--quiet", OPTION_QUIET, false},
    {"--no-color", OPTION_NO_COLOR, false},
    {"-h", OPTION_HELP, false},
    {"--help", OPTION_HELP, false},
    {"--version", OPTION_VERSION, false},
};

/* Which option `word` is; *ret_value points behind "=" or is NULL. */
static enum option find_option(const char *word, bool *ret_needs_value, const char **ret_value)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t length = strlen(rows[i].name);
        bool exact = strcmp(word, rows[i].name) == 0;
        bool joined = rows[i].value && strncmp(word, "--", 2) == 0 &&
                      strncmp(word, rows[i].name, length) == 0 && word[length] == '=';
        if (exact || joined) {
            *ret_needs_value = rows[i].value;
            *ret_value = joined ? word + length + 1 : NULL;
            return rows[i].option;
        }
    }
    return OPTION_NONE;
}

static int take_value(struct cli_options *ret, enum option option, const char *value,
                      struct err *err)
{
    switch (option) {
    case OPTION_ENDPOINT:
        ret->endpoint = value;
        return 0;
    case OPTION_DIR:
        ret->dir = value;
        return 0;
    case OPTION_KEYS:
        ret->keys = value;
        return 0;
    case OPTION_OUTPUT:
        ret->json = strcmp(value, "json") == 0;
        if (!ret->json && strcmp(value, "table") != 0) {
            return err_set(err, ERR_INVALID, "-o: \"%.40s\" is none of table, json", value);
        }
        return 0;
    case OPTION_TIMEOUT:
    default:
        ret->timeout_ms = verb_duration_ms(value);
        if (ret->timeout_ms <= 0) {
            return err_set(err, ERR_INVALID, "--timeout: \"%.40s\" is no duration (as 500ms, 3s)",
                           value);
        }
        return 0;
    }
}

static void take_flag(struct cli_options *ret, enum option option)
{
    ret->json = ret->json || option == OPTION_JSON;
    ret->quiet = ret->quiet || option == OPTION_QUIET;
    ret->colour = ret->colour && option != OPTION_NO_COLOR;
    ret->help = ret->help || option == OPTION_HELP;
    ret->version = ret->version || option == OPTION_VERSION;
}

static bool colour_wanted(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && (no_color == NULL || no_color[0] == '\0') &&
           terminal != NULL && strcmp(terminal, "dumb") != 0;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

int options_parse(int argc, char *argv[], struct cli_options *ret, struct err *err)
{
    *ret = (struct cli_options){.timeout_ms = TIMEOUT_MS, .colour = colour_wanted()};
    bool literal = false;
    for (int i = 1; i < argc; i++) {
        bool needs_value = false;
        const char *value = NULL;
        literal = literal || strcmp(argv[i], "--") == 0;
        enum option option = literal ? OPTION_NONE : find_option(argv[i], &needs_value, &value);
        if (option == OPTION_NONE) {
            if (ret->word_count >= CLI_WORDS_MAX) {
                return err_set(err, ERR_INVALID, "more than %d words", CLI_WORDS_MAX);
            }
            ret->words[ret->word_count++] = argv[i];
            continue;
        }
        if (!needs_value) {
            take_flag(ret, option);
            continue;
        }
        if (value == NULL && i + 1 >= argc) {
            return err_set(err, ERR_INVALID, "%s needs a value", argv[i]);
        }
        int rc = take_value(ret, option, value != NULL ? value : argv[++i], err);
        if (rc != 0) {
            return rc;
        }
    }
    if (ret->endpoint == NULL && ret->dir == NULL) {
        ret->endpoint = environment("UNDERSTUDY_ENDPOINT");
    }
    ret->keys = ret->keys != NULL ? ret->keys : environment("UNDERSTUDY_KEYS");
    return 0;
}

void options_node_file(const struct cli_options *options, const char *file, const char *system,
                       char ret[CLI_PATH_SIZE])
{
    if (options->dir != NULL) {
        (void)snprintf(ret, CLI_PATH_SIZE, "%s/%s", options->dir, file);
    } else {
        (void)snprintf(ret, CLI_PATH_SIZE, "%s/%s", system, file);
    }
}

void options_keys_folder(const struct cli_options *options, char ret[CLI_PATH_SIZE])
{
    if (options->keys != NULL) {
        (void)snprintf(ret, CLI_PATH_SIZE, "%s", options->keys);
    } else {
        options_node_file(options, "keys", "/etc/understudy", ret);
    }
}
