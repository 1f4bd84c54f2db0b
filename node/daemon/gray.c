#include "node/daemon/gray.h"

#include <stdio.h>
#include <string.h>

/* Values of health's components (0 to 100) below which a node's work does not go on. */
#define LOOP_TOLD_BELOW 69.0 /* late by a second and more: no refuge from a loop that crawls */
#define STORAGE_BELOW 25.0   /* 1.5 s for a write; what adapts to slow disks ends near that */
#define FILES_BELOW 8.0      /* the last of every thirty descriptors */
#define MANAGERS_BELOW 100.0 /* any of them */

void gray_loop_turned(struct gray_loop *self, int64_t now_ms, int64_t late_ms)
{
    if (late_ms >= GRAY_LATE_MS) {
        self->turns[self->next].at_ms = now_ms;
        self->turns[self->next].late_ms = late_ms;
        self->next = (self->next + 1) % GRAY_TURNS_MAX;
    }
}

bool gray_loop_crawls(const struct gray_loop *self, int64_t now_ms)
{
    int turns = 0;
    int64_t sum_ms = 0;
    for (size_t i = 0; i < GRAY_TURNS_MAX; i++) {
        if (self->turns[i].late_ms > 0 && now_ms - self->turns[i].at_ms < GRAY_WINDOW_MS) {
            turns++;
            sum_ms += self->turns[i].late_ms;
        }
    }
    return turns >= GRAY_LATE_TURNS && sum_ms >= GRAY_LATE_SUM_MS;
}

static uint32_t bit_below(bool known, double value, double bound, enum gray_kind kind)
{
    return known && value < bound ? (uint32_t)kind : 0;
}

static uint32_t own_bit(const struct health *health, enum health_component_id id, double bound,
                        enum gray_kind kind)
{
    const struct health_component *component = &health->components[id];
    return bit_below(component->known, component->value, bound, kind);
}

uint32_t gray_of_own(const struct health *health, const struct gray_loop *loop, int64_t now_ms)
{
    uint32_t kinds = gray_loop_crawls(loop, now_ms) ? GRAY_LOOP : 0;
    kinds |= own_bit(health, HEALTH_STORAGE, STORAGE_BELOW, GRAY_STORAGE);
    kinds |= own_bit(health, HEALTH_FILES, FILES_BELOW, GRAY_FILES);
    kinds |= own_bit(health, HEALTH_MANAGERS, MANAGERS_BELOW, GRAY_MANAGERS);
    return kinds;
}

static uint32_t told_bit(const struct gossip_health *health, enum health_component_id id,
                         double bound, enum gray_kind kind)
{
    for (size_t i = 0; i < health->component_count; i++) {
        const struct gossip_component *component = &health->components[i];
        if (strcmp(component->name, health_component_name(id)) == 0) {
            return bit_below(component->score_tenths != GOSSIP_UNKNOWN,
                             component->score_tenths / 10.0, bound, kind);
        }
    }
    return 0;
}

uint32_t gray_of_told(const struct gossip_health *health)
{
    uint32_t kinds = told_bit(health, HEALTH_LOOP, LOOP_TOLD_BELOW, GRAY_LOOP);
    kinds |= told_bit(health, HEALTH_STORAGE, STORAGE_BELOW, GRAY_STORAGE);
    kinds |= told_bit(health, HEALTH_FILES, FILES_BELOW, GRAY_FILES);
    kinds |= told_bit(health, HEALTH_MANAGERS, MANAGERS_BELOW, GRAY_MANAGERS);
    return kinds;
}

void gray_text(uint32_t kinds, char *ret, size_t size)
{
    static const struct {
        enum gray_kind kind;
        const char *name;
    } names[] = {{GRAY_LOOP, "loop"},
                 {GRAY_STORAGE, "storage"},
                 {GRAY_FILES, "descriptors"},
                 {GRAY_MANAGERS, "managers"}};
    size_t length = 0;
    ret[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((kinds & names[i].kind) != 0 && length < size) {
            int more = snprintf(ret + length, size - length, "%s%s", length > 0 ? ", " : "",
                                names[i].name);
            length += more > 0 ? (size_t)more : 0;
        }
    }
}
