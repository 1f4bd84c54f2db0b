#include "gossip/core.h"

#include <string.h>

struct profile {
    const char *name;
    int64_t probe_interval_ms;
    int64_t probe_timeout_ms;
    unsigned suspicion_mult;
    int64_t gossip_interval_ms;
    int64_t push_pull_interval_ms;
    int64_t rejoin_interval_ms;
    int64_t leave_timeout_ms;
    int64_t health_interval_ms;
};

static const struct profile profiles[] = {
    {"local", 200, 100, 5, 50, 3000, 1000, 1000, 200},
    {"lan", 1000, 500, 2, 200, 10000, 3000, 3000, 1000},
    {"wan", 2000, 1000, 3, 500, 20000, 6000, 6000, 2000},
};

static void fill(struct gossip_config *self, const struct profile *profile)
{
    self->members_max = NODES_MAX;
    self->probe_interval_ms = profile->probe_interval_ms;
    self->probe_timeout_ms = profile->probe_timeout_ms;
    self->indirect_probes = 3;
    self->awareness_max = 8;
    self->suspicion_mult = profile->suspicion_mult;
    self->suspicion_max_mult = 4;
    self->confirmations = 2;
    self->retransmit_mult = 4;
    self->health_retransmit_mult = 2;
    self->gossip_interval_ms = profile->gossip_interval_ms;
    self->gossip_fanout = 3;
    self->message_bytes_max = 1200;
    self->page_bytes_max = 8192;
    self->push_pull_interval_ms = profile->push_pull_interval_ms;
    self->rejoin_interval_ms = profile->rejoin_interval_ms;
    self->leave_timeout_ms = profile->leave_timeout_ms;
    self->dead_keep_ms = INT64_C(24) * 3600 * 1000;
    self->health_interval_ms = profile->health_interval_ms;
    self->health_refresh_ms = 60000;
}

int gossip_config_profile(struct gossip_config *self, const char *profile, struct err *err)
{
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (strcmp(profiles[i].name, profile) == 0) {
            fill(self, &profiles[i]);
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "no gossip profile \"%.32s\"; there are local, lan and wan",
                   profile);
}

struct bound {
    const char *name;
    int64_t value;
    int64_t min;
    int64_t max;
};

static int check_bounds(const struct bound *bounds, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct bound *bound = &bounds[i];
        if (bound->value < bound->min || bound->value > bound->max) {
            return err_set(err, ERR_INVALID, "gossip %s of %lld, allowed are %lld to %lld",
                           bound->name, (long long)bound->value, (long long)bound->min,
                           (long long)bound->max);
        }
    }
    return 0;
}

static bool is_text(const char *text, size_t size)
{
    return text[0] != '\0' && memchr(text, '\0', size) != NULL;
}

int gossip_config_check(const struct gossip_config *config, struct err *err)
{
    if (!is_text(config->name, NAME_SIZE) || !is_text(config->address, ADDRESS_SIZE)) {
        return err_set(err, ERR_INVALID, "gossip needs a name and an address of bounded length");
    }
    if (config->incarnation < 1 || config->incarnation > GOSSIP_INCARNATION_MAX) {
        return err_set(err, ERR_INVALID, "gossip incarnation of %llu is out of bounds",
                       (unsigned long long)config->incarnation);
    }
    const struct bound bounds[] = {
        {"seed_count", (int64_t)config->seed_count, 0, NODES_MAX},
        {"members_max", (int64_t)config->members_max, 2, GOSSIP_MEMBERS_MAX},
        {"probe_interval_ms", config->probe_interval_ms, 20, 60000},
        {"probe_timeout_ms", config->probe_timeout_ms, 5, config->probe_interval_ms - 1},
        {"indirect_probes", config->indirect_probes, 0, 8},
        {"awareness_max", config->awareness_max, 1, 16},
        {"suspicion_mult", config->suspicion_mult, 1, 20},
        {"suspicion_max_mult", config->suspicion_max_mult, 1, 20},
        {"confirmations", config->confirmations, 0, ACCUSERS_MAX - 1},
        {"retransmit_mult", config->retransmit_mult, 1, 10},
        {"health_retransmit_mult", config->health_retransmit_mult, 1, 10},
        {"gossip_interval_ms", config->gossip_interval_ms, 5, 10000},
        {"gossip_fanout", config->gossip_fanout, 1, 16},
        {"message_bytes_max", (int64_t)config->message_bytes_max, 512, GOSSIP_MESSAGE_BYTES_MAX},
        {"page_bytes_max", (int64_t)config->page_bytes_max, 2048, GOSSIP_MESSAGE_BYTES_MAX},
        {"push_pull_interval_ms", config->push_pull_interval_ms, 50, 3600000},
        {"rejoin_interval_ms", config->rejoin_interval_ms, 50, 3600000},
        {"leave_timeout_ms", config->leave_timeout_ms, 10, 60000},
        {"dead_keep_ms", config->dead_keep_ms, 1000, INT64_MAX / 4},
        {"health_interval_ms", config->health_interval_ms, 10, 3600000},
        {"health_refresh_ms", config->health_refresh_ms, config->health_interval_ms, 86400000},
    };
    return check_bounds(bounds, sizeof bounds / sizeof bounds[0], err);
}
