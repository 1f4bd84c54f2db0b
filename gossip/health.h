/* Health records: when a change is worth telling, what of it travels, and which record is newer.
 *
 * A record has a short part (score, load, flags), which travels with every publication, and
 * details (version, components, capabilities, labels), which travel only when they changed. The
 * short part names its details by a hash, so that a node knows whether it has the right ones.
 * Newer is the higher (incarnation, sequence) of the publication. */
#ifndef UNDERSTUDY_GOSSIP_HEALTH_H
#define UNDERSTUDY_GOSSIP_HEALTH_H

#include "gossip/gossip.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct health_record {
    uint64_t incarnation;
    uint64_t sequence;
    int64_t since_ms; /* when this node got it */
    int32_t score_tenths;
    int32_t load_hundredths;
    uint32_t flags;
    uint32_t details_wanted; /* hash of the details that belong to the short part */
    uint32_t details_hash;   /* of those that are held; 0: none */
    uint16_t details_length;
    uint8_t *details;
};

void gossip_health_record_free(struct health_record **self_p);

/* 0 for NULL. */
uint64_t gossip_health_record_digest(const struct health_record *self);

/* Whether (incarnation, sequence) is newer than the record (NULL: always), the same, or older. */
int gossip_health_record_compare(const struct health_record *self, uint64_t incarnation,
                                 uint64_t sequence);

/* Keep a copy of the details. ERR_NOMEM: the old ones stay. */
int gossip_health_record_set_details(struct health_record *self, const uint8_t *details,
                                     size_t length);

/* Nonzero. */
uint32_t gossip_health_details_hash(const uint8_t *details, size_t length);

/* 0, or ERR_INVALID naming what is out of bounds. */
int gossip_health_check(const struct gossip_health *health, struct err *err);

/* Encode the details into ret[GOSSIP_DETAILS_BYTES_MAX]. ERR_FULL: too long. ERR_NOMEM. */
int gossip_health_details_encode(const struct gossip_health *health, uint8_t *ret,
                                 size_t *ret_length, struct err *err);

/* Decode into ret (its score, load and flags are left alone). ERR_PROTO. */
int gossip_health_details_decode(const uint8_t *details, size_t length, struct gossip_health *ret,
                                 struct err *err);

enum health_change {
    HEALTH_SAME,
    HEALTH_SMALL,       /* worth telling with the next refresh */
    HEALTH_SIGNIFICANT, /* worth telling now */
};

enum health_change gossip_health_compare_short(const struct gossip_health *published,
                                               const struct gossip_health *latest);
enum health_change gossip_health_compare_details(const struct gossip_health *published,
                                                 const struct gossip_health *latest);

#endif
