#include "gossip/core.h"
#include "gossip/health.h"

#include <stdio.h>
#include <stdlib.h>

static void emit_health(struct gossip *self, const struct member *member)
{
    struct gossip_action action = {.kind = GOSSIP_ACTION_HEALTH};
    (void)snprintf(action.name, sizeof action.name, "%s", member->name);
    gossip_apply_emit(self, &action);
}

/* Details for a record whose short part asks for exactly these. */
static bool take_details(struct gossip *self, struct health_record *record,
                         const struct gossip_wire_health *item)
{
    if (item->details == NULL || record->details_hash == record->details_wanted ||
        item->details_hash != record->details_wanted) {
        return false;
    }
    if (gossip_health_record_set_details(record, item->details, item->details_length) != 0) {
        self->counters.dropped_full++;
        return false;
    }
    return true;
}

static void replace_record(struct gossip *self, struct health_record *record,
                           const struct gossip_wire_health *item)
{
    record->incarnation = item->incarnation;
    record->sequence = item->sequence;
    record->since_ms = self->now_ms;
    record->score_tenths = item->score_tenths;
    record->load_hundredths = item->load_hundredths;
    record->flags = item->flags;
    record->details_wanted = item->details_hash;
    (void)take_details(self, record, item);
}

static void apply_about_self(struct gossip *self, const struct gossip_wire_health *item)
{
    struct member *own = self->members.self;
    if (gossip_health_record_compare(own->health, item->incarnation, item->sequence) <= 0) {
        return;
    }
    if (item->incarnation > own->incarnation) {
        struct gossip_wire_member claim = {.state = GOSSIP_ALIVE, .incarnation = item->incarnation};
        gossip_apply_about_self(self, &claim);
    }
    gossip_publish_again(self, item->sequence);
}

void gossip_apply_health(struct gossip *self, const struct gossip_wire_health *item,
                         enum apply_source source)
{
    struct member *member = gossip_members_find(&self->members, item->name);
    if (member == NULL) {
        return;
    }
    if (member == self->members.self) {
        apply_about_self(self, item);
        return;
    }
    int newer = gossip_health_record_compare(member->health, item->incarnation, item->sequence);
    if (newer < 0) {
        return;
    }
    if (newer == 0) {
        if (take_details(self, member->health, item)) {
            gossip_members_update_digest(&self->members, member);
            emit_health(self, member);
        }
        return;
    }
    if (member->health == NULL) {
        member->health = calloc(1, sizeof *member->health);
        if (member->health == NULL) {
            self->counters.dropped_full++;
            return;
        }
    }
    replace_record(self, member->health, item);
    gossip_members_update_digest(&self->members, member);
    emit_health(self, member);
    if (source == APPLY_NEWS) { /* rides on probes only: whoever published it is the eager one */
        gossip_apply_tell(self, member, NEWS_HEALTH, item->details == NULL ? 0 : NEWS_DETAILS);
    }
}
