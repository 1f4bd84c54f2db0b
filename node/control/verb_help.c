#include "node/control/verbs.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void put(struct buffer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct buffer *out, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (written > 0) {
        size_t length = (size_t)written < sizeof line ? (size_t)written : sizeof line - 1;
        (void)buffer_append(out, line, length); /* a failure stays in out->failed */
    }
}

/* A text of any length. */
static void put_whole(struct buffer *out, const char *text)
{
    (void)buffer_append(out, text, strlen(text));
}

static const char globals[] =
    "Options for every verb:\n"
    "  -e, --endpoint ENDPOINT  ipc://PATH or tcp://NODE@HOST:PORT (also UNDERSTUDY_ENDPOINT)\n"
    "      --dir NODEDIR        the node that lives in this folder\n"
    "      --keys DIR           keys for tcp:// (also UNDERSTUDY_KEYS)\n"
    "  -o, --output FORMAT      table or json\n"
    "      --json               the same as -o json\n"
    "  -q, --quiet              print nothing but errors\n"
    "      --timeout D          wait so long for an answer (default 15s)\n"
    "      --no-color           no colour (also NO_COLOR)\n"
    "  -h, --help               help for a verb\n"
    "\n"
    "Exit codes: 0 done, 1 failed or not healthy, 2 wrong usage, 3 no node, 4 timed out,\n"
    "5 no leader or no quorum, 6 not authorised, 7 not found, 8 precondition failed,\n"
    "9 would break a safety rule, 10 a violation was found.\n";

static void put_argument(const struct verb_argument *argument, struct buffer *out)
{
    const char *open = argument->required ? "" : "[";
    const char *close = argument->required ? "" : "]";
    const char *more = argument->many ? "..." : "";
    const char *shown = argument->choices != NULL ? argument->choices : argument->placeholder;
    if (!argument->option) {
        put(out, " %s%s%s%s", open, shown, more, close);
    } else if (argument->type == VERB_FLAG) {
        put(out, " %s--%s%s", open, argument->name, close);
    } else {
        put(out, " %s--%s %s%s%s", open, argument->name, shown, more, close);
    }
}

void verb_usage(const struct verb *verb, struct buffer *out)
{
    put(out, "%s", verb->words);
    for (size_t i = 0; i < VERB_ARGUMENTS_MAX && verb->arguments[i].name != NULL; i++) {
        put_argument(&verb->arguments[i], out);
    }
    put(out, "\n");
}

void verb_help_overview(struct buffer *out)
{
    size_t count;
    const struct verb *table = verb_table(&count);
    put(out, "understudy: ask and command an Understudy cluster\n\n"
             "Usage: understudy [OPTION...] VERB [ARGUMENT...]\n\nVerbs:\n");
    for (size_t i = 0; i < count; i++) {
        if (table[i].present) {
            put(out, "  %-16s  %s\n", table[i].words, table[i].summary);
        }
    }
    put(out, "\nunderstudy VERB --help tells more about one.\n\n");
    put_whole(out, globals);
}

void verb_help(const struct verb *verb, struct buffer *out)
{
    put(out, "understudy %s: %s\n\nUsage: understudy ", verb->words, verb->summary);
    verb_usage(verb, out);
    if (!verb->present) {
        put(out, "\nNot in this version.\n");
    }
    if (verb->arguments[0].name != NULL) {
        put(out, "\nArguments:\n");
    }
    for (size_t i = 0; i < VERB_ARGUMENTS_MAX && verb->arguments[i].name != NULL; i++) {
        const struct verb_argument *argument = &verb->arguments[i];
        char shown[VERB_WORDS_SIZE];
        (void)snprintf(shown, sizeof shown, "%s%s%s%s", argument->option ? "--" : "",
                       argument->option ? argument->name : argument->placeholder,
                       argument->option && argument->placeholder != NULL ? " " : "",
                       argument->option && argument->placeholder != NULL ? argument->placeholder
                                                                         : "");
        put(out, "  %-16s  %s\n", shown, argument->summary);
    }
    put(out, "\n");
    put_whole(out, globals);
}

static const char *const global_options[] = {
    "--endpoint", "--dir",     "--keys",     "--output", "--json",
    "--quiet",    "--timeout", "--no-color", "--help",
};

static void put_options(const struct verb *verb, struct buffer *out)
{
    for (size_t i = 0; i < VERB_ARGUMENTS_MAX && verb->arguments[i].name != NULL; i++) {
        if (verb->arguments[i].option) {
            put(out, " --%s", verb->arguments[i].name);
        }
    }
}

/* Words and choices that can follow `prefix` (one or two words of a verb), blanks between. */
static void put_followers(const char *prefix, struct buffer *out)
{
    size_t count;
    const struct verb *table = verb_table(&count);
    size_t length = strlen(prefix);
    char last[VERB_WORDS_SIZE] = "";
    for (size_t i = 0; i < count; i++) {
        if (!table[i].present || strncmp(table[i].words, prefix, length) != 0 ||
            (length > 0 && table[i].words[length] != ' ')) {
            continue;
        }
        const char *word = table[i].words + length + (length > 0 ? 1 : 0);
        char first[VERB_WORDS_SIZE];
        (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(word, " "), word);
        if (strcmp(first, last) != 0) {
            put(out, " %s", first);
            (void)snprintf(last, sizeof last, "%s", first);
        }
    }
}

/* One "case" line per verb and per first word: what may be typed after it. */
static void put_cases(struct buffer *out)
{
    size_t count;
    const struct verb *table = verb_table(&count);
    char last[VERB_WORDS_SIZE] = "";
    for (size_t i = 0; i < count; i++) {
        char first[VERB_WORDS_SIZE];
        (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(table[i].words, " "),
                       table[i].words);
        bool alone = verb_find(first) != NULL;
        if (table[i].present && !alone && strcmp(first, last) != 0) {
            put(out, "    \"%s\") words=\"", first);
            put_followers(first, out);
            put(out, "\" ;;\n");
        }
        (void)snprintf(last, sizeof last, "%s", first);
        if (!table[i].present) {
            continue;
        }
        put(out, "    \"%s\") words=\"", table[i].words);
        put_followers(table[i].words, out);
        put_options(&table[i], out);
        const struct verb_argument *argument = &table[i].arguments[0];
        for (const char *at = argument->choices; at != NULL && !argument->option;) {
            size_t size = strcspn(at, "|");
            put(out, " %.*s", (int)size, at);
            at = at[size] == '|' ? at + size + 1 : NULL;
        }
        put(out, "\" ;;\n");
    }
}

static void completion_bash(struct buffer *out)
{
    put(out, "# bash completion for understudy: source it, or put it where completions live\n"
             "_understudy()\n{\n"
             "  local current=\"${COMP_WORDS[COMP_CWORD]}\" verb=\"\" words=\"\" skip=\"\" word\n"
             "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
             "    if [ -n \"$skip\" ]; then skip=\"\"; continue; fi\n"
             "    case \"$word\" in\n"
             "    -e|-o|--endpoint|--dir|--keys|--output|--timeout) skip=1 ;;\n"
             "    -*) ;;\n"
             "    *) verb=\"${verb:+$verb }$word\" ;;\n"
             "    esac\n  done\n"
             "  case \"$verb\" in\n"
             "    \"\") words=\"");
    put_followers("", out);
    put(out, "\" ;;\n");
    put_cases(out);
    put(out, "  esac\n  if [ \"${current:0:1}\" = \"-\" ]; then words=\"$words");
    for (size_t i = 0; i < sizeof global_options / sizeof global_options[0]; i++) {
        put(out, " %s", global_options[i]);
    }
    put(out, "\"; fi\n"
             "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
             "  if [ ${#COMPREPLY[@]} -eq 0 ]; then COMPREPLY=($(compgen -f -- \"$current\")); fi\n"
             "}\ncomplete -F _understudy understudy\n");
}

static void completion_zsh(struct buffer *out)
{
    put(out, "#compdef understudy\nautoload -U +X bashcompinit && bashcompinit\n");
    completion_bash(out);
}

static void completion_fish(struct buffer *out)
{
    size_t count;
    const struct verb *table = verb_table(&count);
    put(out, "# fish completion for understudy\ncomplete -c understudy -f\n");
    for (size_t i = 0; i < sizeof global_options / sizeof global_options[0]; i++) {
        put(out, "complete -c understudy -l %s\n", global_options[i] + 2);
    }
    for (size_t i = 0; i < count; i++) {
        if (!table[i].present) {
            continue;
        }
        char first[VERB_WORDS_SIZE];
        size_t length = strcspn(table[i].words, " ");
        (void)snprintf(first, sizeof first, "%.*s", (int)length, table[i].words);
        if (table[i].words[length] == '\0') {
            put(out, "complete -c understudy -n __fish_use_subcommand -a %s -d '%s'\n", first,
                table[i].summary);
        } else {
            put(out, "complete -c understudy -n __fish_use_subcommand -a %s\n", first);
            put(out, "complete -c understudy -n '__fish_seen_subcommand_from %s' -a %s -d '%s'\n",
                first, table[i].words + length + 1, table[i].summary);
        }
        for (size_t j = 0; j < VERB_ARGUMENTS_MAX && table[i].arguments[j].name != NULL; j++) {
            const struct verb_argument *argument = &table[i].arguments[j];
            if (argument->option) {
                put(out,
                    "complete -c understudy -n '__fish_seen_subcommand_from %s' -l %s%s -d '%s'\n",
                    first, argument->name, argument->type == VERB_FLAG ? "" : " -r",
                    argument->summary);
            }
        }
    }
}

int verb_completion(const char *shell, struct buffer *out, struct err *err)
{
    if (strcmp(shell, "bash") == 0) {
        completion_bash(out);
    } else if (strcmp(shell, "zsh") == 0) {
        completion_zsh(out);
    } else if (strcmp(shell, "fish") == 0) {
        completion_fish(out);
    } else {
        return err_set(err, ERR_INVALID, "no completion for \"%.20s\"; known are bash, zsh, fish",
                       shell);
    }
    return out->failed ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}
