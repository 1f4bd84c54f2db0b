#include "node/guard/wire.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct packet {
    uint16_t version;
    uint16_t kind;
    uint32_t pid;
    uint32_t child;
    int32_t status;
    uint32_t reason;
    uint32_t zero;
    uint64_t assignment;
    uint64_t term;
    int64_t deadline_ms;
    char duty[DUTY_ID_SIZE];
};

_Static_assert(sizeof(struct packet) == GUARD_PACKET_BYTES, "no padding, as the header says");
_Static_assert(GUARD_PACKET_BYTES <= GUARD_PACKET_BYTES_MAX, "our own packet fits");

void guard_encode(const struct guard_message *message, uint8_t ret[GUARD_PACKET_BYTES])
{
    struct packet packet = {
        .version = GUARD_WIRE_VERSION,
        .kind = (uint16_t)message->kind,
        .pid = message->pid,
        .child = message->child,
        .status = message->status,
        .reason = message->reason,
        .assignment = message->assignment,
        .term = message->term,
        .deadline_ms = message->deadline_ms,
    };
    memcpy(packet.duty, message->duty, strnlen(message->duty, sizeof(packet.duty) - 1));
    memcpy(ret, &packet, sizeof(packet));
}

bool guard_valid_duty(const char *duty)
{
    size_t length = strnlen(duty, DUTY_ID_SIZE);
    for (size_t i = 0; i < length; i++) {
        if (!isgraph((unsigned char)duty[i])) {
            return false;
        }
    }
    return length > 0 && length < DUTY_ID_SIZE;
}

bool guard_decode(const uint8_t *bytes, size_t length, struct guard_message *ret, bool *ret_unknown)
{
    struct packet packet;
    *ret_unknown = false;
    if (length < sizeof(packet) || length > GUARD_PACKET_BYTES_MAX) {
        return false;
    }
    memcpy(&packet, bytes, sizeof(packet));
    if (packet.version < GUARD_WIRE_VERSION || packet.deadline_ms < 0) {
        return false;
    }
    if (packet.kind < GUARD_HELLO || packet.kind > GUARD_REVOKE) {
        *ret_unknown = packet.version > GUARD_WIRE_VERSION;
        return false;
    }
    if (packet.duty[sizeof(packet.duty) - 1] != '\0' ||
        (packet.duty[0] != '\0' && !guard_valid_duty(packet.duty))) {
        return false;
    }
    *ret = (struct guard_message){
        .kind = (enum guard_kind)packet.kind,
        .pid = packet.pid,
        .child = packet.child,
        .status = packet.status,
        .reason = packet.reason,
        .assignment = packet.assignment,
        .term = packet.term,
        .deadline_ms = packet.deadline_ms,
    };
    memcpy(ret->duty, packet.duty, sizeof(ret->duty));
    return true;
}

bool guard_lock_path(const char *lock_dir, const char *duty, char *ret, size_t size)
{
    int head = snprintf(ret, size, "%s/", lock_dir);
    if (head < 0 || (size_t)head >= size) {
        return false;
    }
    size_t used = (size_t)head;
    for (const char *at = duty; *at != '\0'; at++) {
        bool plain = isalnum((unsigned char)*at) || strchr("._-", *at) != NULL;
        int length = snprintf(ret + used, size - used, plain ? "%c" : "%%%02X", (unsigned char)*at);
        if (length < 0 || (size_t)length >= size - used) {
            return false;
        }
        used += (size_t)length;
    }
    return snprintf(ret + used, size - used, ".lock") < (int)(size - used);
}
