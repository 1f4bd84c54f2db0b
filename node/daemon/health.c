#include "node/daemon/health.h"

#include "node/base/invariant.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    const char *name;
    double weight;
} TABLE[HEALTH_COMPONENTS] = {
#define HEALTH_ROW(id, name, weight) [id] = {name, weight},
    HEALTH_COMPONENT_MAP(HEALTH_ROW)
#undef HEALTH_ROW
};

#define DISK_ENOUGH_BYTES (INT64_C(2) << 30) /* so much free is well on a disk of any size */

const char *health_component_name(enum health_component_id id)
{
    invariant(id < HEALTH_COMPONENTS);
    return TABLE[id].name;
}

double health_component_weight(enum health_component_id id)
{
    invariant(id < HEALTH_COMPONENTS);
    return TABLE[id].weight;
}

const char *health_state_name(bool known, double score, double healthy_from)
{
    if (!known) {
        return "unknown";
    }
    if (score >= healthy_from) {
        return "healthy";
    }
    return score >= 50.0 ? "warning" : "critical";
}

/* The line through (good_at, 100) and (bad_at, at_bad), flat outside. */
static double slope(double seen, double good_at, double bad_at, double at_bad)
{
    double part = (seen - good_at) / (bad_at - good_at);
    part = part < 0 ? 0 : part;
    part = part > 1 ? 1 : part;
    return 100.0 + part * (at_bad - 100.0);
}

static struct health_component *known(struct health *health, enum health_component_id id,
                                      double value)
{
    struct health_component *component = &health->components[id];
    component->known = true;
    component->value = value;
    return component;
}

static struct health_component *unknown(struct health *health, enum health_component_id id)
{
    struct health_component *component = &health->components[id];
    component->known = false;
    component->value = 0;
    return component;
}

#define WHY(component, ...) (void)snprintf((component)->why, sizeof(component)->why, __VA_ARGS__)

/* Pressure alone does not make a node useless: its slopes end well above zero. */
static void assess_pressure(const struct health_sample *sample, struct health *ret)
{
    const char *source = sample->pressure_is_psi ? "of 10 s under pressure" : "by load and meminfo";
    if (sample->cpu_pressure >= 0) {
        WHY(known(ret, HEALTH_CPU, slope(sample->cpu_pressure, 40, 100, 60)), "%.1f %% %s",
            sample->cpu_pressure, source);
    } else {
        WHY(unknown(ret, HEALTH_CPU), "no reading of CPU pressure or load");
    }
    double memory_good = sample->pressure_is_psi ? 5 : 85;
    double memory_bad = sample->pressure_is_psi ? 60 : 99;
    if (sample->memory_pressure >= 0) {
        WHY(known(ret, HEALTH_MEMORY, slope(sample->memory_pressure, memory_good, memory_bad, 0)),
            "%.1f %% %s", sample->memory_pressure, source);
    } else {
        WHY(unknown(ret, HEALTH_MEMORY), "no reading of memory pressure or meminfo");
    }
    if (sample->io_pressure >= 0) {
        WHY(known(ret, HEALTH_IO, slope(sample->io_pressure, 40, 100, 50)), "%.1f %% %s",
            sample->io_pressure, source);
    } else {
        WHY(unknown(ret, HEALTH_IO), "no reading of I/O pressure");
    }
}

static void assess_room(const struct health_sample *sample, struct health *ret)
{
    if (sample->disk_free_percent < 0) {
        WHY(unknown(ret, HEALTH_DISK), "the data folder's file system does not answer");
    } else {
        double value = slope(sample->disk_free_percent, 10, 1, 0);
        if (sample->disk_free_bytes >= DISK_ENOUGH_BYTES) {
            value = 100;
        }
        WHY(known(ret, HEALTH_DISK, value), "%.1f %% (%" PRId64 " MB) of the disk free",
            sample->disk_free_percent, sample->disk_free_bytes / 1000000);
    }
    if (sample->files_open < 0 || sample->files_limit <= 0) {
        WHY(unknown(ret, HEALTH_FILES), "no count of open descriptors");
    } else {
        double used = 100.0 * (double)sample->files_open / (double)sample->files_limit;
        WHY(known(ret, HEALTH_FILES, slope(used, 70, 98, 0)),
            "%" PRId64 " of %" PRId64 " descriptors open", sample->files_open, sample->files_limit);
    }
}

static void assess_node(const struct health_sample *sample, struct health *ret)
{
    if (sample->loop_lag_ms < 0) {
        WHY(unknown(ret, HEALTH_LOOP), "the loop's lag is not measured yet");
    } else {
        WHY(known(ret, HEALTH_LOOP, slope((double)sample->loop_lag_ms, 100, 3000, 0)),
            "the loop was up to %" PRId64 " ms late", sample->loop_lag_ms);
    }
    if (sample->storage_latency_us < 0) {
        WHY(unknown(ret, HEALTH_STORAGE), "nothing was written yet");
    } else {
        double ms = (double)sample->storage_latency_us / 1000.0;
        WHY(known(ret, HEALTH_STORAGE, slope(ms, 100, 2000, 0)), "a write took up to %.1f ms", ms);
    }
    if (sample->managers_expected <= 0) {
        WHY(unknown(ret, HEALTH_MANAGERS), "no manager is configured");
    } else {
        WHY(known(ret, HEALTH_MANAGERS, 100.0 * sample->managers_well / sample->managers_expected),
            "%d of %d managers run", sample->managers_well, sample->managers_expected);
    }
    WHY(known(ret, HEALTH_PARENT, sample->parent_alive ? 100 : 60), "%s",
        sample->parent_alive ? "the watching parent lives"
                             : "the watching parent is gone: no obituary, no restart");
}

void health_assess(const struct health_sample *sample, struct health *ret)
{
    *ret = (struct health){.injected = sample->injected};
    assess_pressure(sample, ret);
    assess_room(sample, ret);
    assess_node(sample, ret);
    double sum = 0;
    double weights = 0;
    double cap = 100;
    for (int i = 0; i < HEALTH_COMPONENTS; i++) {
        const struct health_component *component = &ret->components[i];
        if (!component->known) {
            continue;
        }
        sum += component->value * TABLE[i].weight;
        weights += TABLE[i].weight;
        double own_cap = 50 + component->value / 2;
        cap = own_cap < cap ? own_cap : cap;
    }
    ret->known = weights > 0;
    if (!ret->known) {
        return;
    }
    double score = sum / weights;
    score = score < cap ? score : cap;
    score -= sample->injected;
    ret->score = score < 0 ? 0 : (score > 100 ? 100 : score);
}
