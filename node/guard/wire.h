/* Messages between the node and its guards: one packet each on a SOCK_SEQPACKET socket of one host,
 * so integers stand in the host's byte order.
 *
 *     u16 version (1)  u16 kind  u32 pid  u32 child  i32 status  u32 reason  u32 zero
 *     u64 assignment  u64 term  i64 deadline_ms  char duty[128]
 *
 * A longer packet is from a later version: what follows is ignored. Fields that a kind does not use
 * are zero. Pure; nothing is allocated. */
#ifndef UNDERSTUDY_NODE_GUARD_WIRE_H
#define UNDERSTUDY_NODE_GUARD_WIRE_H

#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUARD_WIRE_VERSION 1
#define GUARD_PACKET_BYTES 176
#define GUARD_PACKET_BYTES_MAX 1024 /* of later versions */

enum guard_kind {
    GUARD_HELLO = 1, /* guard: duty, pid, child, and the grant that it holds */
    GUARD_STARTED,   /* guard: child */
    GUARD_RELEASED,  /* guard: assignment, reason, status; nothing runs any more */
    GUARD_GRANT,     /* node: assignment, term, deadline_ms */
    GUARD_REVOKE,    /* node */
};

struct guard_message {
    enum guard_kind kind;
    uint32_t pid;
    uint32_t child;
    int32_t status;
    uint32_t reason; /* enum post_reason */
    uint64_t assignment;
    uint64_t term;
    int64_t deadline_ms; /* CLOCK_BOOTTIME; 0: none */
    char duty[DUTY_ID_SIZE];
};

void guard_encode(const struct guard_message *message, uint8_t ret[GUARD_PACKET_BYTES]);

/* False for anything that is not a message: too short, another version below 1, an unknown kind, a
 * duty without an end or with control characters, a negative deadline. Kinds of later versions are
 * refused too: *ret_unknown says that it was such a one, to be skipped. */
bool guard_decode(const uint8_t *bytes, size_t length, struct guard_message *ret,
                  bool *ret_unknown);

/* "pm2/worker-backup": 1 to DUTY_ID_SIZE - 1 printable bytes. */
bool guard_valid_duty(const char *duty);

/* Name of the duty's lock file in `lock_dir`: bytes outside a-z A-Z 0-9 . _ - are written %XX.
 * False when the path does not fit. */
bool guard_lock_path(const char *lock_dir, const char *duty, char *ret, size_t size);

#endif
