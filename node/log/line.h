/* From an event's fields to a line: escaping, limits, redaction. Pure. */
#ifndef UNDERSTUDY_NODE_LOG_LINE_H
#define UNDERSTUDY_NODE_LOG_LINE_H

#include "node/log/log.h"

struct line_event {
    int64_t wall_ms;
    enum log_level level;
    const char *event;
    const char *node;    /* or NULL */
    uint64_t suppressed; /* lines of this event that were left out before it; 0: none */
    const struct log_field *fields;
    size_t count;
};

/* The line without newline into `ret` (LOG_LINE_MAX + 1 bytes); returns its length. */
size_t line_format(const struct line_event *event, enum log_format format,
                   char ret[LOG_LINE_MAX + 1]);

/* Copies at most `size` - 1 bytes of `text`, with "[redacted]" in place of what looks like a key,
 * token or password. Returns the length. */
size_t line_redact(const char *text, char *ret, size_t size);

#endif
