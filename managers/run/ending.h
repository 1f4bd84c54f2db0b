/* The line that a guard writes into its end file: why it ended, and how its program did
 * (understudy-guard --help). Pure. */
#ifndef UNDERSTUDY_MANAGERS_RUN_ENDING_H
#define UNDERSTUDY_MANAGERS_RUN_ENDING_H

#include <stdbool.h>

enum ending_cause {
    ENDING_ENDED,        /* the program ended by itself */
    ENDING_SIGNALLED,    /* somebody ended the guard */
    ENDING_REVOKED,      /* the node took the grant back */
    ENDING_LAPSED,       /* the grant ended without a renewal */
    ENDING_DISCONNECTED, /* the node was gone, and the guard was told to stop then */
    ENDING_NEVER_RAN,    /* no grant came; the program was not started */
    ENDING_UNSEEN,       /* the guard left no line: it was killed */
};

struct ending {
    enum ending_cause cause;
    int exit_status; /* 0 .. 255, MANAGER_EXIT_SIGNAL + signal, MANAGER_EXIT_UNKNOWN */
};

/* "ended exit 3\n". False, and *ret is ENDING_UNSEEN, for anything else: a line that was cut,
 * too. */
bool ending_read(const char *text, struct ending *ret);

const char *ending_cause_name(enum ending_cause cause);

#endif
