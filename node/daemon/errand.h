/* Errands: a command of a person for a manager of another node, and that manager's answer.
 *
 * The asked node passes it on (fan.h); the node it goes to checks verb, arguments and the asker's
 * role itself, and hands it to its own manager. No leader is needed. An errand is sent once and
 * never again: what was lost has no answer, and of a change nobody knows whether it happened.
 *
 * Errand: [1, id, verb, manager, args, who, role, left_ms]; answer: [1, id, ok, code, message,
 * document or nil]; args and document are MessagePack in a binary. Decoders ignore what is
 * appended. Pure. */
#ifndef UNDERSTUDY_NODE_DAEMON_ERRAND_H
#define UNDERSTUDY_NODE_DAEMON_ERRAND_H

#include "managers/common/protocol.h"
#include "node/base/err.h"
#include "node/base/mp.h"
#include "node/control/control.h"
#include "node/control/verbs.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ERRAND_ARGS_BYTES_MAX MANAGER_FIELDS_BYTES_MAX
#define ERRAND_BYTES_MAX (ERRAND_ARGS_BYTES_MAX + 1024)
#define ERRAND_ANSWER_BYTES_MAX (MANAGER_DOCUMENT_BYTES_MAX + 2048)
#define ERRAND_LEFT_MS_MAX 60000

struct errand {
    uint64_t id; /* the asked node's */
    char verb[VERB_WORDS_SIZE];
    char manager[NAME_SIZE];
    struct manager_document args; /* a map; borrowed; at most ERRAND_ARGS_BYTES_MAX */
    struct control_who who;
    int64_t left_ms; /* until nobody waits any more; 0 to ERRAND_LEFT_MS_MAX */
};

/* ERR_FULL when it is too long. */
int errand_encode(const struct errand *errand, struct mp_writer *writer);
/* `ret->args` points into `bytes`; what is in it is not checked. ERR_PROTO. */
int errand_decode(const uint8_t *bytes, size_t length, struct errand *ret, struct err *err);

/* Whether it may be carried out here, for whoever asked: nodes pass this verb on to this manager,
 * the arguments are of the verb, the role suffices. False: *ret says why not, its id is kept. */
bool errand_is_allowed(const struct errand *errand, const json_t *args, struct manager_reply *ret);
/* *ret becomes an error; its id is kept. */
void errand_refuse(struct manager_reply *ret, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The answer is the manager's own, or what the node says in its place; `id` is the errand's. */
int errand_answer_encode(const struct manager_reply *answer, struct mp_writer *writer);
/* `ret->result` points into `bytes`; what is in it is not checked. ERR_PROTO. */
int errand_answer_decode(const uint8_t *bytes, size_t length, struct manager_reply *ret,
                         struct err *err);

#endif
