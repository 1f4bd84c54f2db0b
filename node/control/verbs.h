/* The one table of verbs: parsing, help, completion, the manual page and the control endpoint all
 * follow from it.
 *
 * Every verb of the contract is here, those that this version lacks too (`present` false), so that
 * they are told apart from a mistyped word. Pure: no input or output but what is handed in. The
 * table lives as long as the program. */
#ifndef UNDERSTUDY_NODE_CONTROL_VERBS_H
#define UNDERSTUDY_NODE_CONTROL_VERBS_H

#include "node/base/buffer.h"
#include "node/base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VERB_WORDS_SIZE 64   /* bytes of a verb's words with spaces and NUL */
#define VERB_ARGUMENTS_MAX 8 /* arguments of one verb */
#define VERB_TEXT_MAX 1024   /* bytes of one argument's text */
#define VERB_MANY_MAX 64     /* values of a repeated argument */

/* Exit codes of the command line, the same in every `exit` field. */
enum verb_exit {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,    /* or the thing asked about is not healthy */
    EXIT_USAGE = 2,     /* wrong usage, or a verb that this version lacks */
    EXIT_NO_NODE = 3,   /* node not running or unreachable */
    EXIT_TIMED_OUT = 4, /* outcome unknown */
    EXIT_NO_QUORUM = 5, /* no leader or no quorum */
    EXIT_DENIED = 6,    /* not authorised */
    EXIT_NOT_FOUND = 7,
    EXIT_PRECONDITION = 8,
    EXIT_UNSAFE = 9,     /* would break a safety rule */
    EXIT_VIOLATION = 10, /* `ticks verify` found one */
};

enum verb_access { VERB_VIEWER, VERB_OPERATOR };

enum verb_place {
    VERB_LOCAL,  /* done by the command line itself; needs no running node */
    VERB_NODE,   /* answered by the node that is asked */
    VERB_LEADER, /* answered by the leader; other nodes pass it on */
};

enum verb_type {
    VERB_FLAG, /* --word, true when given */
    VERB_TEXT,
    VERB_INTEGER,  /* whole number, not negative */
    VERB_DURATION, /* 250ms 3s 2m 6h 1d; the text stays as typed, see verb_duration_ms */
    VERB_CHOICE,   /* one of `choices` */
};

struct verb_argument {
    const char *name;        /* key in `args`: the option's or the placeholder's name, lower case */
    const char *placeholder; /* "NODE"; NULL for flags */
    const char *choices;     /* "armed|shadow" for VERB_CHOICE, else NULL */
    const char *summary;
    enum verb_type type;
    bool option; /* --name; otherwise positional, in the order of the table */
    bool required;
    bool many; /* repeated; an array in `args` (a positional one must be the last) */
};

struct verb {
    const char *words; /* "leader transfer" */
    const char *summary;
    enum verb_access access;
    enum verb_place place;
    bool present;            /* this version has it */
    bool cluster_read;       /* without quorum its document is stale and the exit code 5 */
    bool of_asked_node;      /* a cluster read that tells of the asked node first */
    const char *stream_flag; /* flag that turns it into an endless stream, or NULL */
    const char *here_flag;   /* flag that makes a leader's verb the asked node's own, or NULL */
    const char *fans_out;    /* manager of other nodes that answers it too, "*" any; or NULL */
    const char
        *file_option; /* option that names a file to answer from: then it is local; or NULL */
    bool lines;       /* always one document per line (events, logs) */
    struct verb_argument arguments[VERB_ARGUMENTS_MAX]; /* name NULL ends them */
};

/* The table, in the order of the help; *ret_count entries. */
const struct verb *verb_table(size_t *ret_count);

/* Exact words, single spaces; NULL when there is none. */
const struct verb *verb_find(const char *words);

const struct verb_argument *verb_argument_find(const struct verb *verb, const char *name);

/* The verb's words joined with dots ("leader.history"), as schemas have it. */
void verb_schema(const struct verb *verb, char ret[VERB_WORDS_SIZE]);

/* Where it is to be answered with these arguments. */
enum verb_place verb_place_of(const struct verb *verb, const json_t *args);

/* True when `args` ask for an endless stream. */
bool verb_is_stream(const struct verb *verb, const json_t *args);

/* Known words nearest to what was typed, by edit distance; NULL when nothing is near. */
const char *verb_nearest(const char *typed);

/* Split and check a command line from the first word on.
 *
 * count, words[count]   the words of verb and arguments, borrowed; "--" ends the options
 * ret_verb              set as soon as the verb is known, also when the arguments are wrong
 * ret_args              new reference, an object; written only on success
 *
 * Returns 0; ERR_NOTFOUND for an unknown verb (the message names the nearest), ERR_INVALID for
 * wrong arguments. Verbs that this version lacks are parsed too. */
int verb_parse(int count, char *const words[], const struct verb **ret_verb, json_t **ret_args,
               struct err *err);

/* Check arguments that came over the wire: known names, right types, required ones there.
 * Returns 0 or ERR_INVALID. */
int verb_check_args(const struct verb *verb, const json_t *args, struct err *err);

/* Milliseconds of "250ms", "3s", "2m", "6h", "1d" (a fraction is allowed: "1.5s"), at most ten
 * years. Returns -1 when it is none. */
int64_t verb_duration_ms(const char *text);

/* Append the overview, or the page of one verb. Failures stay in `out->failed`. */
void verb_help_overview(struct buffer *out);
void verb_help(const struct verb *verb, struct buffer *out);

/* Append one line "NAME [--option] PLACEHOLDER". */
void verb_usage(const struct verb *verb, struct buffer *out);

/* Append a completion script. shell: "bash", "zsh" or "fish"; ERR_INVALID for others. */
int verb_completion(const char *shell, struct buffer *out, struct err *err);

#endif
