/* Which list of a home is the wanted one: what a person would have back. Pure.
 *
 * PM2 keeps no wish apart from its list, so that each list could be one that was lost. The rule:
 *
 * 1. What a list has more than the wanted one, or has with other settings, or stopped or started,
 *    is wanted at once.
 * 2. What it has less stays wanted for WANTED_HOLD_MS, and is then wanted no more: a person has
 *    deleted it. The time begins anew with each entry that goes. A daemon that is told to end
 *    deletes its entries one after another before it does; none of them was held out so long, so
 *    the list of before is the wanted one.
 * 3. EMPTIED: the list is empty while two or more entries were still wanted. It was emptied at
 *    once, and that is never wanted. (The last entry of a list, deleted alone, is rule 2.) As soon
 *    as there is an entry again the same daemon is being filled anew by a person, and rule 2 counts
 *    from then.
 * 4. LOST: another daemon than the one before has fewer entries. Nobody has deleted them, and they
 *    stay wanted until they are back. A daemon that was ended properly (`pm2 kill`) is no loss:
 *    what its successor lacks falls under rule 2, with WANTED_RETURN_MS for `pm2 update` and
 *    `pm2 resurrect` to bring it back.
 * 5. A person who saves (`pm2 save`) after a loss says that the list is meant as it is. */
#ifndef UNDERSTUDY_MANAGERS_PM2_WANTED_H
#define UNDERSTUDY_MANAGERS_PM2_WANTED_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define WANTED_HOLD_MS 5000
#define WANTED_RETURN_MS 30000

enum wanted_loss { WANTED_WHOLE, WANTED_EMPTIED, WANTED_LOST };

/* All zero: no list is known. */
struct wanted {
    json_t *rows;   /* saved.h; NULL: none is known */
    uint64_t life;  /* the daemon that `rows` were last seen in */
    bool tidied;    /* that daemon was ended properly */
    bool returning; /* after that: it may bring its list back */
    bool meant;     /* a person says so of what is missing now */
    enum wanted_loss loss;
    json_t *missing; /* rows that the latest list lacks; NULL: none */
    int64_t gone_ms; /* when the latest of them was first missed */
};

enum wanted_change {
    WANTED_SAME,
    WANTED_TOUCHED, /* ids, or what stops by itself: the same wish */
    WANTED_CHANGED,
};

/* `present`: rows of a list that the daemon `life` (not 0) gave, borrowed. */
enum wanted_change wanted_take(struct wanted *self, const json_t *present, uint64_t life,
                               int64_t now_ms);
/* The daemon was ended properly, by a person. */
void wanted_tidied(struct wanted *self);
/* Entries of that name are somebody else's to start from now on. Returns whether there were any. */
bool wanted_leave_out(struct wanted *self, const char *name);
/* Rule 5. */
void wanted_meant(struct wanted *self);
void wanted_deinit(struct wanted *self);

#endif
