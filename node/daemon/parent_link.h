/* What the node tells its watching parent, over a socket pair: all that the parent needs to speak
 * for the node after its death. The parent answers nothing; the end of the link is its death.
 *
 * Messages are msgpack arrays [version, kind, fields...], one per packet. Both ends are ours and
 * of one build. */
#ifndef UNDERSTUDY_NODE_DAEMON_PARENT_LINK_H
#define UNDERSTUDY_NODE_DAEMON_PARENT_LINK_H

#include "node/base/err.h"
#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct parent_peer {
    char address[ADDRESS_SIZE];
    char public_key[PUBLIC_KEY_SIZE];
    uint64_t id;
};

/* ---- the node's side ---- */

struct parent_link;

/* Takes the descriptor. NULL when out of memory. */
struct parent_link *parent_link_create(int fd);
void parent_link_destroy(struct parent_link **self_p);
/* Readable when the parent is dead. */
int parent_link_fd(const struct parent_link *self);
bool parent_link_alive(struct parent_link *self);

/* All drop the message when the parent is dead. */
void parent_link_identity(struct parent_link *self, uint64_t id, uint64_t incarnation);
/* Elected in `term`: until parent_link_no_wait says otherwise it owes a wait. */
void parent_link_elected(struct parent_link *self, uint64_t term);
void parent_link_no_wait(struct parent_link *self, uint64_t term);
/* Who gets the obituary, and how many acknowledgements are a majority. */
void parent_link_peers(struct parent_link *self, const struct parent_peer *peers, size_t count,
                       size_t needed);
/* A manager that must be dead before an obituary is proof; its pidfd is duplicated. */
void parent_link_manager(struct parent_link *self, pid_t pid);

/* Loop, disk and consensus move: to be said every two seconds or so. */
void parent_link_beat(struct parent_link *self);

/* ---- the parent's side ---- */

struct parent_news {
    uint64_t id;
    uint64_t incarnation;
    uint64_t beats; /* since its start */
    uint64_t term;  /* led last; 0: none */
    bool owes_wait;
    size_t needed;
    size_t peer_count;
    struct parent_peer peers[NODES_MAX];
    size_t manager_count;
    int manager_fds[MANAGERS_MAX * 4]; /* pidfds, the parent's */
};

/* Read what waits on `fd` into *news. False when the node's end is closed. */
bool parent_news_read(int fd, struct parent_news *news);
void parent_news_forget(struct parent_news *news); /* for the next life of the node */

#endif
