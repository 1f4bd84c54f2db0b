#include "managers/pm2/watch/logs.h"

#include "managers/pm2/daemon/frame.h"
#include "managers/pm2/watch/lines.h"
#include "node/base/pattern.h"

#include <stdlib.h>
#include <string.h>

/* The automaton of a pattern grows with what it has seen; it is made anew after so many bytes. */
#define RENEW_BYTES (4 << 20)

struct pattern {
    const char *text;
    bool usable;
    regex_t regex;
    size_t bytes; /* looked at since it was made */
};

struct stream {
    int64_t pm_id;
    enum frame_kind kind;
    uint64_t gaps; /* of `logs` when it was read last */
    struct lines lines;
};

struct reader {
    const struct settings_primary *primary;
    struct pattern *patterns; /* pattern_count of the primary */
    struct stream *streams[LOGS_STREAMS_MAX];
    uint64_t matches;   /* in a row, without a pause of LOGS_TOLD_MS */
    size_t latest;      /* index of the pattern */
    int64_t matched_ms; /* 0: nothing has */
};

struct logs {
    struct reader *readers;
    size_t count;
    int64_t work_left; /* below zero: the next ones pay for it */
    int64_t refilled_ms;
    uint64_t gaps; /* times that chunks were dropped */
    uint64_t dropped;
};

/* ---- making ---- */

static int make_reader(const struct settings_primary *primary, struct reader *ret, struct err *err)
{
    *ret = (struct reader){.primary = primary};
    ret->patterns = calloc(primary->pattern_count, sizeof *ret->patterns);
    if (ret->patterns == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for patterns");
    }
    for (size_t i = 0; i < primary->pattern_count; i++) {
        struct pattern *pattern = &ret->patterns[i];
        pattern->text = primary->patterns[i];
        int rc = pattern_compile(pattern->text, &pattern->regex, err);
        if (rc != 0) {
            return rc;
        }
        pattern->usable = true;
    }
    return 0;
}

int logs_create(const struct settings *settings, struct logs **ret, struct err *err)
{
    size_t count = 0;
    *ret = NULL;
    for (size_t i = 0; i < settings->primary_count; i++) {
        count += settings->primaries[i].pattern_count > 0;
    }
    if (count == 0) {
        return 0;
    }
    struct logs *self = calloc(1, sizeof *self);
    struct reader *readers = calloc(count, sizeof *readers);
    if (self == NULL || readers == NULL) {
        free(self);
        free(readers);
        return err_set(err, ERR_NOMEM, "no memory for patterns");
    }
    self->readers = readers;
    self->work_left = LOGS_WORK_MAX;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < settings->primary_count; i++) {
        if (settings->primaries[i].pattern_count > 0) {
            rc = make_reader(&settings->primaries[i], &self->readers[self->count++], err);
        }
    }
    if (rc != 0) {
        logs_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

void logs_destroy(struct logs **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct logs *self = *self_p;
    *self_p = NULL;
    for (size_t i = 0; i < self->count; i++) {
        struct reader *reader = &self->readers[i];
        for (size_t k = 0; reader->patterns != NULL && k < reader->primary->pattern_count; k++) {
            if (reader->patterns[k].usable) {
                regfree(&reader->patterns[k].regex);
            }
        }
        free(reader->patterns);
        for (size_t k = 0; k < LOGS_STREAMS_MAX; k++) {
            free(reader->streams[k]);
        }
    }
    free(self->readers);
    free(self);
}

/* ---- looking ---- */

static bool matches(struct pattern *pattern, const char *line, size_t length)
{
    pattern->bytes += length;
    if (pattern->usable && pattern->bytes > RENEW_BYTES) {
        regfree(&pattern->regex);
        pattern->usable = pattern_compile(pattern->text, &pattern->regex, NULL) == 0;
        pattern->bytes = 0;
    }
    return pattern->usable && regexec(&pattern->regex, line, 0, NULL, 0) == 0;
}

struct look {
    struct reader *reader;
    int64_t now_ms;
};

static void on_line(void *context, const char *line, size_t length)
{
    const struct look *look = context;
    struct reader *reader = look->reader;
    for (size_t i = 0; i < reader->primary->pattern_count; i++) {
        if (matches(&reader->patterns[i], line, length)) {
            bool again =
                reader->matched_ms != 0 && look->now_ms - reader->matched_ms < LOGS_TOLD_MS;
            reader->matches = again ? reader->matches + 1 : 1;
            reader->latest = i;
            reader->matched_ms = look->now_ms;
            return;
        }
    }
}

/* NULL when there is no memory. The one that said nothing for longest gives way. */
static struct stream *stream_of(struct logs *self, struct reader *reader, int64_t pm_id,
                                enum frame_kind kind)
{
    struct stream **found = NULL;
    for (size_t i = 0; i < LOGS_STREAMS_MAX; i++) {
        struct stream **stream = &reader->streams[i];
        if (*stream != NULL && (*stream)->pm_id == pm_id && (*stream)->kind == kind) {
            return *stream;
        }
        bool better = found == NULL ||
                      (*found != NULL &&
                       (*stream == NULL || (*stream)->lines.since_ms < (*found)->lines.since_ms));
        found = better ? stream : found;
    }
    if (*found == NULL) {
        *found = calloc(1, sizeof **found);
    }
    if (*found != NULL) {
        **found = (struct stream){.pm_id = pm_id, .kind = kind, .gaps = self->gaps};
    }
    return *found;
}

static struct reader *reader_of(struct logs *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->readers[i].primary->name, name) == 0) {
            return &self->readers[i];
        }
    }
    return NULL;
}

static void take_log(struct logs *self, const struct frame_log *log, enum frame_kind kind,
                     int64_t now_ms)
{
    struct reader *reader = reader_of(self, log->name);
    struct stream *stream = reader != NULL ? stream_of(self, reader, log->pm_id, kind) : NULL;
    if (stream == NULL) {
        self->dropped += reader != NULL;
        return;
    }
    if (stream->gaps != self->gaps) {
        stream->gaps = self->gaps;
        lines_break(&stream->lines);
    }
    struct look look = {.reader = reader, .now_ms = now_ms};
    lines_take(&stream->lines, log->data, log->length, now_ms, on_line, &look);
}

void logs_take(struct logs *self, const struct amp_parser *frame, int64_t now_ms)
{
    char name[NAME_SIZE];
    struct amp_arg body;
    const struct reader *reader =
        self != NULL && frame_log_name(frame, name) ? reader_of(self, name) : NULL;
    if (reader == NULL || !amp_parser_arg(frame, 1, &body)) {
        return;
    }
    if (self->work_left <= 0) {
        self->dropped++;
        self->gaps++;
        return;
    }
    self->work_left -= (int64_t)(body.length * (reader->primary->pattern_count + 1));
    struct frame_log log;
    if (frame_read_log(frame, &log)) {
        take_log(self, &log, frame_kind(frame), now_ms);
        json_decref(log.object);
    }
}

void logs_step(struct logs *self, int64_t now_ms)
{
    if (self == NULL || now_ms - self->refilled_ms < LOGS_WORK_MS) {
        return;
    }
    self->refilled_ms = now_ms;
    self->work_left += LOGS_WORK_MAX;
    self->work_left = self->work_left < LOGS_WORK_MAX ? self->work_left : LOGS_WORK_MAX;
    for (size_t i = 0; i < self->count; i++) {
        struct look look = {.reader = &self->readers[i], .now_ms = now_ms};
        for (size_t k = 0; k < LOGS_STREAMS_MAX && look.reader->streams[k] != NULL; k++) {
            lines_flush(&look.reader->streams[k]->lines, LOGS_LINE_MS, now_ms, on_line, &look);
        }
    }
}

/* ---- telling ---- */

void logs_say(const struct logs *self, struct findings *findings, int64_t now_ms)
{
    for (size_t i = 0; self != NULL && i < self->count; i++) {
        const struct reader *reader = &self->readers[i];
        if (reader->matched_ms == 0 || now_ms - reader->matched_ms >= LOGS_TOLD_MS) {
            continue;
        }
        (void)findings_say(findings, "pm2.log", reader->primary->name, FINDING_WARNING, now_ms,
                           "%llu line%s of its log match%s \"%.60s\"; its log has them",
                           (unsigned long long)reader->matches, reader->matches == 1 ? "" : "s",
                           reader->matches == 1 ? "es" : "", reader->patterns[reader->latest].text);
    }
}

uint64_t logs_dropped(const struct logs *self)
{
    return self != NULL ? self->dropped : 0;
}
