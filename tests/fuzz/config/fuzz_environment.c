/* Environment, command line and cluster-wide settings as sources of a configuration, one a line:
 * "-KEY=VALUE" from the command line, "+KEY=VALUE" cluster-wide, anything else a variable. Also the
 * small readers: durations, sizes, log levels; what they format they must read back. */
#include "node/base/invariant.h"
#include "node/config/config.h"
#include "node/log/log.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct sources {
    char *environment[LINES_MAX + 1];
    size_t environment_count;
    struct config_setting line[LINES_MAX];
    size_t line_count;
    struct config_setting cluster[LINES_MAX];
    size_t cluster_count;
};

static void check_units(const char *text)
{
    char shown[32];
    int64_t value = 0;
    int64_t again = 0;
    enum log_level level;
    if (config_parse_duration(text, true, &value)) {
        invariant(value >= 0);
        bool read = config_parse_duration(config_format_duration(value, shown), false, &again);
        invariant(read && again == value);
    }
    if (config_parse_size(text, &value)) {
        invariant(value >= 0);
        bool read = config_parse_size(config_format_size(value, shown), &again);
        invariant(read && again == value);
    }
    if (log_level_parse(text, &level)) {
        invariant(strcmp(log_level_name(level), text) == 0);
    }
}

static void take_line(struct sources *self, char *line)
{
    char *equals = strchr(line, '=');
    check_units(equals != NULL ? equals + 1 : line);
    bool setting = (line[0] == '-' || line[0] == '+') && equals != NULL;
    if (!setting) {
        self->environment[self->environment_count++] = line;
        return;
    }
    *equals = '\0';
    struct config_setting *taken =
        line[0] == '-' ? &self->line[self->line_count++] : &self->cluster[self->cluster_count++];
    *taken = (struct config_setting){.key = line + 1, .value = equals + 1};
}

static void take_lines(struct sources *self, char *text)
{
    size_t count = 0;
    for (char *line = text; line != NULL && count < LINES_MAX; count++) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        take_line(self, line);
        line = end != NULL ? end + 1 : NULL;
    }
}

static void check_accepted(struct config *config)
{
    struct config_errors errors;
    struct config *again = NULL;
    char *shown = config_show_text(config, false);
    invariant(shown != NULL);
    struct config_sources sources = {.file = "shown", .text = shown, .text_length = strlen(shown)};
    int rc = config_load(&sources, &again, &errors);
    invariant(rc == 0);
    struct config_change *changes = NULL;
    size_t count = 0;
    rc = config_reload_diff(config, again, &changes, &count);
    invariant(rc == 0 && count == 0);
    json_decref(config_show_json(config));
    config_destroy(&again);
    free(shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const char file[] = "cluster: {name: demo, node: n1}\n";
    struct sources lines = {0};
    struct config_errors errors;
    struct config *config = NULL;
    char *text = malloc(length + 1);
    invariant(text != NULL);
    memcpy(text, bytes, length);
    text[length] = '\0';
    take_lines(&lines, text);
    struct config_sources sources = {.file = "fuzz",
                                     .text = file,
                                     .text_length = sizeof file - 1,
                                     .environment = lines.environment,
                                     .command_line = lines.line,
                                     .command_line_count = lines.line_count,
                                     .cluster_wide = lines.cluster,
                                     .cluster_wide_count = lines.cluster_count};
    if (config_load(&sources, &config, &errors) == 0) {
        check_accepted(config);
        config_destroy(&config);
    } else {
        invariant(errors.errors > 0 && errors.count > 0);
        char *told = config_errors_text(&errors);
        invariant(told != NULL);
        free(told);
    }
    free(text);
    return 0;
}
