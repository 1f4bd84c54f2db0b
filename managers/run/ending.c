#include "managers/run/ending.h"

#include "managers/common/protocol_run.h"

#include <stdlib.h>
#include <string.h>

#define SIGNAL_MAX 127

static const char *const names[] = {
    [ENDING_ENDED] = "ended",
    [ENDING_SIGNALLED] = "signalled",
    [ENDING_REVOKED] = "revoked",
    [ENDING_LAPSED] = "lapsed",
    [ENDING_DISCONNECTED] = "disconnected",
    [ENDING_NEVER_RAN] = "never-ran",
    [ENDING_UNSEEN] = "unseen",
};

const char *ending_cause_name(enum ending_cause cause)
{
    return cause <= ENDING_UNSEEN ? names[cause] : "?";
}

/* The word before the next blank is `word`; *at moves behind both. */
static bool take_word(const char **at, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*at, word, length) != 0 || (*at)[length] != ' ') {
        return false;
    }
    *at += length + 1;
    return true;
}

static bool take_last_number(const char *at, int most, int *ret)
{
    char *end;
    if (*at < '0' || *at > '9') {
        return false;
    }
    long value = strtol(at, &end, 10);
    *ret = (int)value;
    return value <= most && strcmp(end, "\n") == 0;
}

bool ending_read(const char *text, struct ending *ret)
{
    int number = 0;
    const char *at = text;
    *ret = (struct ending){.cause = ENDING_UNSEEN, .exit_status = MANAGER_EXIT_UNKNOWN};
    enum ending_cause cause = ENDING_ENDED;
    while (cause < ENDING_UNSEEN && !take_word(&at, names[cause])) {
        cause++;
    }
    if (cause == ENDING_UNSEEN) {
        return false;
    }
    if (take_word(&at, "exit") && take_last_number(at, 255, &number)) {
        *ret = (struct ending){.cause = cause, .exit_status = number};
        return true;
    }
    if (take_word(&at, "signal") && take_last_number(at, SIGNAL_MAX, &number) && number > 0) {
        *ret = (struct ending){.cause = cause, .exit_status = MANAGER_EXIT_SIGNAL + number};
        return true;
    }
    if (take_word(&at, "none") && take_last_number(at, 0, &number)) {
        *ret = (struct ending){.cause = cause, .exit_status = MANAGER_EXIT_UNKNOWN};
        return true;
    }
    return false;
}
