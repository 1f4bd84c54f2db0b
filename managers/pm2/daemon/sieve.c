#include "managers/pm2/daemon/sieve.h"

#include <stdbool.h>
#include <string.h>

#define PRIME 0x100000001b3u

struct sieve {
    const char *json;
    size_t length;
    size_t at;
    uint64_t digest;
};

static void take(struct sieve *self, char byte)
{
    self->digest = (self->digest ^ (uint8_t)byte) * PRIME;
    self->digest ^= self->digest >> 29;
}

/* Past the text that begins at `at`; the end when it has none. */
static size_t end_of_text(const struct sieve *self, size_t at)
{
    for (at++; at < self->length; at++) {
        if (self->json[at] == '\\') {
            at++;
        } else if (self->json[at] == '"') {
            return at + 1;
        }
    }
    return self->length;
}

/* Past the object that begins at `at`. */
static size_t end_of_object(const struct sieve *self, size_t at)
{
    size_t depth = 0;
    while (at < self->length) {
        char byte = self->json[at];
        if (byte == '"') {
            at = end_of_text(self, at);
            continue;
        }
        at++;
        depth += byte == '{';
        if (byte == '}' && --depth == 0) {
            return at;
        }
    }
    return self->length;
}

static bool is_figures(const struct sieve *self, size_t from, size_t to)
{
    static const char *const keys[] = {"\"monit\"", "\"axm_monitor\""};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (to - from == strlen(keys[i]) && memcmp(self->json + from, keys[i], to - from) == 0) {
            return to + 1 < self->length && self->json[to] == ':' && self->json[to + 1] == '{';
        }
    }
    return false;
}

/* PM2 measures nothing at all while one of its processes has no pid. */
static bool measures(const struct sieve *self, size_t from, size_t to)
{
    static const char nothing[] = "\"memory\":0";
    const char *found = memmem(self->json + from, to - from, nothing, sizeof nothing - 1);
    const char *after = found == NULL ? NULL : found + sizeof nothing - 1;
    return after == NULL || (after < self->json + to && *after != ',' && *after != '}');
}

static void take_text(struct sieve *self)
{
    size_t from = self->at;
    self->at = end_of_text(self, from);
    for (size_t i = from; i < self->at; i++) {
        take(self, self->json[i]);
    }
    if (is_figures(self, from, self->at)) {
        size_t to = end_of_object(self, self->at + 1);
        take(self, measures(self, self->at, to) ? 1 : 0);
        self->at = to;
    }
}

uint64_t sieve_digest(const char *json, size_t length, uint64_t seed)
{
    struct sieve self = {.json = json, .length = length, .digest = seed};
    while (self.at < length) {
        if (json[self.at] == '"') {
            take_text(&self);
        } else {
            take(&self, json[self.at++]);
        }
    }
    return self.digest;
}
