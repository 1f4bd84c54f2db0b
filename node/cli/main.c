#include "node/cli/cli.h"

#include "node/base/doc.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELP_BYTES_MAX (1u << 18)

/* What the signal handler ends. */
static struct understudy *volatile interrupted;
static volatile sig_atomic_t was_interrupted;
static volatile sig_atomic_t ends_itself; /* it looks at was_interrupted */

static void on_signal(int number)
{
    struct understudy *client = interrupted;
    was_interrupted = 1;
    if (client != NULL) {
        understudy_cancel(client);
    } else if (!ends_itself) {
        _exit(128 + number);
    }
}

void cli_interruptible(struct understudy *client)
{
    interrupted = client;
    ends_itself = 1;
}

bool cli_interrupted(void)
{
    return was_interrupted != 0;
}

int cli_fail(const struct cli_options *options, const struct understudy_error *error)
{
    if (!options->json) {
        (void)fprintf(stderr, "understudy: %s\n", error->message);
        if (error->hint[0] != '\0') {
            (void)fprintf(stderr, "  %s\n", error->hint);
        }
        return error->exit;
    }
    json_t *document = json_object();
    (void)json_object_set_new(document, "schema", json_string("understudy.error/1"));
    (void)json_object_set_new(document, "code", doc_text(error->code));
    (void)json_object_set_new(document, "exit", json_integer(error->exit));
    (void)json_object_set_new(document, "message", doc_text(error->message));
    (void)json_object_set_new(document, "hint", doc_text(error->hint));
    char *text = doc_dump(document);
    (void)fprintf(stderr, "%s\n", text == NULL ? "{}" : text);
    free(text);
    json_decref(document);
    return error->exit;
}

static int fail_usage(const struct cli_options *options, const char *code, const char *message)
{
    struct understudy_error error = {.exit = UNDERSTUDY_USAGE};
    (void)snprintf(error.code, sizeof error.code, "%s", code);
    (void)snprintf(error.message, sizeof error.message, "%s", message);
    (void)snprintf(error.hint, sizeof error.hint, "understudy help lists the verbs");
    return cli_fail(options, &error);
}

static int print_help(FILE *out, int count, char *const words[])
{
    struct buffer text;
    const struct verb *verb = NULL;
    json_t *args = NULL;
    struct err err = {0};
    if (count > 0) {
        (void)verb_parse(count, words, &verb, &args, &err); /* wrong arguments are fine here */
        json_decref(args);
    }
    buffer_init(&text, HELP_BYTES_MAX);
    if (verb != NULL) {
        verb_help(verb, &text);
    } else {
        verb_help_overview(&text);
    }
    (void)fwrite(text.data, 1, text.length, out);
    buffer_deinit(&text);
    return count > 0 && verb == NULL ? UNDERSTUDY_USAGE : UNDERSTUDY_DONE;
}

struct printing {
    const struct cli_options *options;
    const struct verb *verb;
    bool pages; /* watched: page after page */
};

static void print_document(const struct printing *printing, const char *text)
{
    const struct cli_options *options = printing->options;
    if (options->quiet || text == NULL) {
        return;
    }
    if (options->json) {
        (void)puts(text);
        (void)fflush(stdout);
        return;
    }
    json_t *envelope = json_loads(text, 0, NULL);
    if (printing->pages && isatty(STDOUT_FILENO) == 1) {
        (void)fputs("\033[H\033[2J", stdout);
    }
    if (printing->verb->lines) {
        page_print_line(stdout, printing->verb->words, envelope, options->colour);
    } else {
        page_print(stdout, printing->verb->words, envelope, options->colour);
    }
    (void)fputs(printing->pages ? "\n" : "", stdout);
    (void)fflush(stdout);
    json_decref(envelope);
}

static int on_line(void *context, const char *envelope, uint64_t dropped)
{
    const struct printing *printing = context;
    if (dropped > 0) {
        (void)fprintf(stderr, "understudy: %llu lines were lost\n", (unsigned long long)dropped);
    }
    print_document(printing, envelope);
    return ferror(stdout);
}

/* Stopping everything is asked about, when there is somebody to ask. */
static bool confirmed(const struct verb *verb, const json_t *args)
{
    char answer[16] = "";
    if (strcmp(verb->words, "stop") != 0 || doc_get_bool(args, "yes", false) ||
        doc_get_bool(args, "force", false) || isatty(STDIN_FILENO) != 1) {
        return true;
    }
    (void)fputs("Stop the managers of the whole cluster? [y/N] ", stderr);
    return fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

static int ask(const struct cli_options *options, const struct verb *verb, const json_t *args,
               struct understudy *client, struct understudy_error *error)
{
    struct printing printing = {options, verb, verb_is_stream(verb, args) && !verb->lines};
    char *text = json_dumps(args, JSON_COMPACT);
    char *document = NULL;
    int exit;
    if (verb->lines || printing.pages) {
        exit = understudy_stream(client, verb->words, text, options->timeout_ms, on_line, &printing,
                                 error);
    } else {
        exit = understudy_call(client, verb->words, text, options->timeout_ms, &document, error);
        print_document(&printing, document);
    }
    /* A document that says "not healthy" speaks for itself. */
    if (exit != UNDERSTUDY_DONE && (document == NULL || exit != UNDERSTUDY_FAILED)) {
        (void)cli_fail(options, error);
    }
    free(document);
    free(text);
    return exit;
}

static int run_on_node(const struct cli_options *options, const struct verb *verb,
                       const json_t *args)
{
    struct understudy *client = NULL;
    struct understudy_error error = {0};
    if (!confirmed(verb, args)) {
        (void)fputs("understudy: nothing was done\n", stderr);
        return UNDERSTUDY_FAILED;
    }
    if (strcmp(verb->words, "pm2 logs") == 0 && doc_get_bool(args, "follow", false)) {
        return follow_logs(options, verb, args);
    }
    int exit = cli_connect(options, &client, &error);
    if (exit != UNDERSTUDY_DONE) {
        return cli_fail(options, &error);
    }
    interrupted = client;
    exit = ask(options, verb, args, client, &error);
    interrupted = NULL;
    understudy_destroy(&client);
    return exit;
}

static int run(const struct cli_options *options)
{
    const struct verb *verb = NULL;
    json_t *args = NULL;
    struct err err = {0};
    if (verb_parse(options->word_count, options->words, &verb, &args, &err) != 0) {
        return fail_usage(options, verb == NULL ? "unknown_verb" : "usage", err.msg);
    }
    int exit;
    if (!verb->present) {
        (void)err_set(&err, ERR_UNSUPPORTED, "%s: not in this version", verb->words);
        exit = fail_usage(options, "not_in_this_version", err.msg);
    } else if (verb_place_of(verb, args) == VERB_LOCAL) {
        struct understudy_error error = {0};
        exit = local_run(options, verb, args, &error);
        if (exit != UNDERSTUDY_DONE && error.exit != 0) {
            (void)cli_fail(options, &error);
        }
    } else {
        exit = run_on_node(options, verb, args);
    }
    json_decref(args);
    return exit;
}

int main(int argc, char *argv[])
{
    struct cli_options options;
    struct err err = {0};
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    if (options_parse(argc, argv, &options, &err) != 0) {
        return fail_usage(&options, "usage", err.msg);
    }
    if (options.version && options.word_count == 0) {
        options.words[options.word_count++] = (char[]){"version"};
    }
    bool help_verb = options.word_count > 0 && strcmp(options.words[0], "help") == 0;
    if (options.help || help_verb) {
        return print_help(stdout, options.word_count - help_verb, options.words + help_verb);
    }
    if (options.word_count == 0) {
        (void)print_help(stderr, 0, NULL);
        return UNDERSTUDY_USAGE;
    }
    int exit = run(&options);
    return fflush(stdout) == 0 || exit != UNDERSTUDY_DONE ? exit : UNDERSTUDY_FAILED;
}
