#include "tests/bench/gossip_population.h"

#include "node/base/invariant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const component_names[] = {"cpu",         "memory", "io",    "disk",
                                              "descriptors", "loop",   "fsync", "managers"};

static struct health_record *template;

void population_health(struct rng *rng, struct gossip_health *ret)
{
    gossip_health_init(ret);
    ret->score_tenths = 950 + (int)rng_between(rng, -5, 5);
    ret->load_hundredths = 80 + (int)rng_between(rng, -10, 10);
    ret->flags = GOSSIP_FLAG_LEADER_CAPABLE;
    (void)snprintf(ret->version, sizeof ret->version, "0.1.0");
    for (size_t i = 0; i < sizeof component_names / sizeof component_names[0]; i++) {
        struct gossip_component *component = &ret->components[ret->component_count++];
        (void)snprintf(component->name, sizeof component->name, "%s", component_names[i]);
        component->score_tenths = 950 + (int)rng_between(rng, -20, 20);
    }
    ret->capability_count = 1;
    (void)snprintf(ret->capabilities[0].manager, GOSSIP_LABEL_NAME_SIZE, "pm2");
    ret->capabilities[0].percent = 100;
    ret->label_count = 1;
    (void)snprintf(ret->labels[0].name, GOSSIP_LABEL_NAME_SIZE, "environment");
    (void)snprintf(ret->labels[0].value, GOSSIP_LABEL_VALUE_SIZE, "production");
}

static struct health_record *make_record(const struct gossip_health *health)
{
    uint8_t bytes[GOSSIP_DETAILS_BYTES_MAX];
    size_t length;
    struct health_record *record = calloc(1, sizeof *record);
    invariant(record != NULL);
    *record = (struct health_record){.incarnation = POPULATION_INCARNATION,
                                     .sequence = 1,
                                     .score_tenths = health->score_tenths,
                                     .load_hundredths = health->load_hundredths,
                                     .flags = health->flags};
    int rc = gossip_health_details_encode(health, bytes, &length, NULL);
    invariant(rc == 0);
    rc = gossip_health_record_set_details(record, bytes, length);
    invariant(rc == 0);
    record->details_wanted = record->details_hash;
    return record;
}

/* As if it had published long ago, at a random moment of the period of its refreshes. */
static void settle_publication(struct gossip *self, const struct gossip_health *health)
{
    int64_t refresh_ms = gossip_publish_refresh_ms(self);
    self->publication = (struct publication){
        .latest = *health,
        .published = *health,
        .has_latest = true,
        .has_published = true,
        .sequence = 1,
        .published_ms = self->now_ms - (int64_t)rng_below(&self->rng, (uint64_t)refresh_ms),
        .details_ms = self->now_ms -
                      (int64_t)rng_below(&self->rng, (uint64_t)refresh_ms * DETAILS_REFRESHES)};
}

static void settle(struct net *net, size_t index, const struct gossip_health *health)
{
    struct gossip *self = net->nodes[index].gossip;
    gossip_news_clear(&self->news[NEWS_MEMBER]);
    self->members.self->health = make_record(health);
    gossip_members_update_digest(&self->members, self->members.self);
    population_fill(&self->members, &self->rng, index, net->now_ms);
    settle_publication(self, health);
    self->start_ms = net->now_ms - INT64_C(3600) * 1000;
    self->next_sync_ms =
        net->now_ms + (int64_t)rng_below(&self->rng, (uint64_t)gossip_sync_interval_ms(self));
    self->next_rejoin_ms =
        net->now_ms + (int64_t)rng_below(&self->rng, (uint64_t)self->config.rejoin_interval_ms);
}

void population_start(struct net *net)
{
    struct gossip_health health;
    struct rng rng;
    rng_init(&rng, 1);
    population_health(&rng, &health);
    template = make_record(&health);
    population_begin(net, template);
    for (size_t i = 0; i < net->node_count; i++) {
        net_start(net, i);
        settle(net, i, &health);
        net->nodes[i].tick_ms = net->now_ms - 1;
        net_drain(net, i);
    }
}

void population_stop(struct net *net)
{
    net_deinit(net);
    population_end();
    gossip_health_record_free(&template);
}
