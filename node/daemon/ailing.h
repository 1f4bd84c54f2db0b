/* What managers tell as ailing on their own nodes and could mend there: under "ailing" in their
 * observations, [{name, state, why, critical}], state: ill (an attempt may help), between (it is
 * not known yet how it goes) or left (a person wants it so, or nothing more is to be done). What is
 * not told is well. Loop thread.
 *
 * A component is called "ailing/NODE/MANAGER/NAME"; one that is too long ends in a hash. */
#ifndef UNDERSTUDY_NODE_DAEMON_AILING_H
#define UNDERSTUDY_NODE_DAEMON_AILING_H

#include "consensus/state_work.h"

#include <stdbool.h>
#include <stddef.h>

#define AILING_PREFIX "ailing/"
#define AILING_MAX 512 /* rows of the whole cluster; the rest is left out */

struct node;
struct ailing;

enum ailing_state { AILING_UNKNOWN, AILING_WELL, AILING_BETWEEN, AILING_ILL, AILING_LEFT };

struct ailing_row {
    char component[COMPONENT_SIZE];
    char manager[NAME_SIZE];
    char name[NAME_SIZE];
    char why[NAME_SIZE];
    enum ailing_state state;
    bool critical;
};

/* NULL when out of memory. */
struct ailing *ailing_create(void);
void ailing_destroy(struct ailing **self_p);

/* Take in what the observations of all nodes say now. */
void ailing_look(struct ailing *self, const struct node *node);
size_t ailing_count(const struct ailing *self);
const struct ailing_row *ailing_at(const struct ailing *self, size_t position);
/* As it was at the last look; NULL: not told. */
const struct ailing_row *ailing_of(const struct ailing *self, const char *component);

/* Of a component that is not told: well, or unknown as its manager cannot be asked. */
enum ailing_state ailing_untold(const struct node *node, const char *component);
/* Its node is in the cluster, and has that manager as far as it told. */
bool ailing_has_place(const struct node *node, const char *component);
/* The name of the component's manager; false: it is no component of this kind. */
bool ailing_manager(const char *component, char ret[NAME_SIZE]);

/* Tell this node's manager to mend it. False: it is not told as ill here, or the manager cannot be
 * told. */
bool ailing_mend(struct node *node, const char *component, uint32_t attempt);

#endif
