/* Every bound that more than one module must agree on. A bound of one module lives in its header.
 */
#ifndef UNDERSTUDY_NODE_BASE_LIMITS_H
#define UNDERSTUDY_NODE_BASE_LIMITS_H

#define NAME_SIZE 64       /* bytes of a node, cluster or manager name, with its NUL */
#define ADDRESS_SIZE 128   /* bytes of "tcp://host:port", with its NUL */
#define DUTY_ID_SIZE 128   /* bytes of "manager/name", with its NUL */
#define REASON_SIZE 160    /* bytes of a reason told to people, with its NUL */
#define PUBLIC_KEY_SIZE 41 /* Z85 of a CURVE key, with its NUL */

#define NODES_MAX 64 /* rows of the roster */
#define VOTERS_MAX 7
#define STANDBYS_MAX 3
#define MANAGERS_MAX 16 /* managers of one node */
#define DUTIES_MAX 1024

#define COMMAND_BYTES_MAX 4096           /* one replicated command */
#define PEER_MESSAGE_BYTES_MAX (6 << 20) /* the largest AppendEntries, see libraft.md LB14 */
#define SNAPSHOT_BYTES_MAX (16 << 20)    /* on the bulk connection */
#define CONTROL_MESSAGE_BYTES_MAX (1 << 20)
#define MANAGER_MESSAGE_BYTES_MAX (1 << 20)

#endif
