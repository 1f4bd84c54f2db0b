/* What the files of the command line share. */
#ifndef UNDERSTUDY_NODE_CLI_CLI_H
#define UNDERSTUDY_NODE_CLI_CLI_H

#include "node/client/understudy.h"
#include "node/control/verbs.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CLI_PATH_SIZE 512
#define CLI_WORDS_MAX 256

struct cli_options {
    const char *endpoint; /* as given; NULL: default */
    const char *dir;      /* NODEDIR, or NULL */
    const char *keys;     /* folder, or NULL */
    bool json;
    bool quiet;
    bool colour;
    bool help;
    bool version;
    int64_t timeout_ms;
    char *words[CLI_WORDS_MAX]; /* what is left: verb and arguments, borrowed from argv */
    int word_count;
};

/* Take the options for every verb out of the command line, wherever they stand before a "--".
 * Reads the environment too. 0 or ERR_INVALID. */
int options_parse(int argc, char *argv[], struct cli_options *ret, struct err *err);

/* "DIR/FILE" of the node that is meant: its folder, or the system's. */
void options_node_file(const struct cli_options *options, const char *file, const char *system,
                       char ret[CLI_PATH_SIZE]);
/* The folder of keys that is meant. */
void options_keys_folder(const struct cli_options *options, char ret[CLI_PATH_SIZE]);

/* ---- connect.c ---- */

/* Connect to the node that is meant. An exit code. */
int cli_connect(const struct cli_options *options, struct understudy **ret,
                struct understudy_error *error);

/* ---- local.c ---- */

/* A verb that needs no node: prints and returns an exit code. */
int local_run(const struct cli_options *options, const struct verb *verb, const json_t *args,
              struct understudy_error *error);

/* An envelope whose cluster facts are not known. */
json_t *local_envelope(const struct verb *verb, json_t *data_take);

/* One envelope on standard output, as a JSON line or as a page, unless --quiet. */
void cli_print(const struct cli_options *options, const struct verb *verb, const json_t *envelope);

/* ---- snapshot_save.c, snapshot_answer.c ---- */

int snapshot_save(const struct cli_options *options, const struct verb *verb, const json_t *args,
                  struct understudy_error *error);
int snapshot_inspect(const struct cli_options *options, const struct verb *verb, const json_t *args,
                     struct understudy_error *error);
/* A verb with `--snapshot FILE`: answered from the file. */
int snapshot_answer(const struct cli_options *options, const struct verb *verb, const json_t *args,
                    struct understudy_error *error);

/* ---- ecosystem.c ---- */

int ecosystem_validate(const struct cli_options *options, const struct verb *verb,
                       const json_t *args, struct understudy_error *error);
/* That --env and --limit can be handed on; an exit code. */
int ecosystem_check_args(const json_t *args, struct understudy_error *error);
/* The files with their apps and findings, for people. */
void page_print_ecosystem(FILE *out, const json_t *files, bool colour);

/* ---- adopt.c ---- */

/* `pm2 adopt --file FILE`. */
int adopt_file(const struct cli_options *options, const struct verb *verb, const json_t *args,
               struct understudy_error *error);
/* What `pm2 adopt` tells, as a file for the configuration. */
void page_print_adopt(FILE *out, const json_t *rows);

/* ---- ticks_verify.c ---- */

int ticks_verify(const struct cli_options *options, const struct verb *verb, const json_t *args,
                 struct understudy_error *error);

/* ---- main.c ---- */

/* Print on standard error, as text or as one JSON line. Returns error->exit. */
int cli_fail(const struct cli_options *options, const struct understudy_error *error);

/* For what runs until a signal ends it: from now on SIGINT and SIGTERM cancel what `client` (NULL:
 * none) is about, and do not end the program. */
void cli_interruptible(struct understudy *client);
/* Such a signal came. */
bool cli_interrupted(void);

/* ---- follow.c ---- */

/* `pm2 logs NAME --follow`: until a signal, or until nobody reads the output. An exit code. */
int follow_logs(const struct cli_options *options, const struct verb *verb, const json_t *args);

/* ---- pages.c ---- */

/* One document for people. */
void page_print(FILE *out, const char *verb, const json_t *envelope, bool colour);
/* One line of a stream for people. */
void page_print_line(FILE *out, const char *verb, const json_t *envelope, bool colour);

/* ---- pages_pm2.c ---- */

/* The page of a verb of PM2; false: it has none, or the document is of another shape. */
bool page_print_pm2(FILE *out, const char *verb, const json_t *data, bool colour);

/* ---- table.c ---- */

struct table_column {
    const char *key;
    const char *title;
};

/* Aligned columns; what foreign text holds cannot steer the terminal. */
void table_print(FILE *out, const json_t *rows, const struct table_column *columns, size_t count,
                 bool colour);
/* "key  value" lines; nested objects are indented, nested lists become tables. */
void table_print_object(FILE *out, const json_t *object, int indent, bool colour);
/* Columns from the first row's own scalar members. */
void table_print_any(FILE *out, const json_t *rows, int indent, bool colour);
/* One value; null is "-". Returns the columns that it takes. */
size_t table_print_value(FILE *out, const json_t *value, bool colour);

#endif
