/* Verbs that the managers of many nodes answer (fan.h). */
#ifndef UNDERSTUDY_NODE_DAEMON_HANDLERS_FAN_H
#define UNDERSTUDY_NODE_DAEMON_HANDLERS_FAN_H

#include "node/daemon/node.h"

#define FAN_READ_MS 6000  /* a manager that has not answered a question by then is left out */
#define FAN_MARGIN_MS 400 /* what has come is told so long before the client's time is over */

/* A request while other nodes answer it. */
struct fan_request {
    struct node *node;
    struct control_request *request;
    const char *verb;     /* of the errands; lives as long as the program */
    const char *manager;  /* the same */
    char only[NAME_SIZE]; /* --node; empty: all */
    uint64_t call;
    json_t *kept; /* of the handler's, or NULL; freed with it */
};

/* Ask what is to be asked with `args` (borrowed) of the node that --node names, or of all. Answers
 * the request itself when that cannot be. `done` gets the fan_request and must end with
 * fan_request_free and an answer, or fan_request_again. */
void fan_request_begin(struct node *self, struct control_request *request, const char *verb,
                       const char *manager, const json_t *args, fan_done *done);
/* Go on: ask these nodes, with another verb. The same rules. */
void fan_request_again(struct fan_request *self, const char *verb, const struct fan_target *targets,
                       size_t count, fan_done *done);
void fan_request_free(struct fan_request *self);

/* The rows of all answers, each with its node and age; a row of kind "node" for each node that gave
 * none. New reference. */
json_t *fan_rows(const struct fan_answer *answers, size_t count);
/* That row. */
json_t *fan_no_rows(const struct fan_answer *answer);

/* End the request when --node named one node and that gave no rows; true when so. */
bool fan_request_fails(struct fan_request *self, const struct fan_answer *answers, size_t count);

/* `node` alone answers, with the request's own verb and arguments: what its manager says is the
 * answer. */
void handlers_relay(struct node *self, struct control_request *request, const char *node,
                    const char *manager);

#endif
