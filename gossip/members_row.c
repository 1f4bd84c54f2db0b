/* One row of the table: its address, its hash, its part in the digest. */
#include "gossip/health.h"
#include "gossip/members.h"
#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

static uint64_t finish(uint64_t hash)
{
    hash = (hash ^ (hash >> 33)) * UINT64_C(0xFF51AFD7ED558CCD);
    return hash ^ (hash >> 33);
}

/* FNV-1a, then a finaliser so that the low bits are good for buckets. */
uint64_t gossip_members_hash(const char *name)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (const char *at = name; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001B3);
    }
    return finish(hash);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return finish((hash ^ value) * UINT64_C(0x9E3779B97F4A7C15));
}

size_t gossip_members_alive_others(const struct members *self)
{
    invariant(self->suspects.count <= self->live.count);
    return self->live.count - self->suspects.count;
}

int gossip_members_set_address(struct member *member, const char *address)
{
    char *copy = strdup(address);
    if (copy == NULL) {
        return ERR_NOMEM;
    }
    free(member->address);
    member->address = copy;
    return 0;
}

/* ---- digest ---- */

unsigned gossip_members_bucket(const struct member *member, unsigned bucket_count)
{
    return (unsigned)(member->hash >> 32) & (bucket_count - 1);
}

void gossip_members_update_digest(struct members *self, struct member *member)
{
    uint64_t digest = mix(member->hash, member->incarnation);
    digest = mix(digest, (uint64_t)member->state);
    digest = mix(digest, gossip_health_record_digest(member->health));
    uint64_t change = member->digest ^ digest;
    self->digest ^= change;
    self->buckets[gossip_members_bucket(member, DIGEST_BUCKETS)] ^= change;
    member->digest = digest;
}

uint32_t gossip_members_bucket_digest(const struct members *self, unsigned index,
                                      unsigned bucket_count)
{
    invariant(bucket_count >= 1 && bucket_count <= DIGEST_BUCKETS);
    uint64_t digest = 0;
    for (unsigned i = index; i < DIGEST_BUCKETS; i += bucket_count) {
        digest ^= self->buckets[i];
    }
    return (uint32_t)(digest ^ (digest >> 32));
}
