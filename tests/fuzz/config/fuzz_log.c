/* Any text as the value of a log line: a JSON line stays JSON, a text line stays one line. */
#include "node/base/invariant.h"
#include "node/log/line.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char *text = malloc(length + 1);
    char line[LOG_LINE_MAX + 1];
    if (text == NULL) {
        return 0;
    }
    memcpy(text, bytes, length);
    text[length] = '\0';
    const struct log_field fields[] = {log_text("a", text), log_text("b", text),
                                       log_text("c", text), log_int("d", (int64_t)length)};
    const struct line_event event = {
        .level = LOG_LEVEL_WARN, .event = "fuzz", .fields = fields, .count = 4};
    invariant(line_format(&event, LOG_FORMAT_TEXT, line) <= LOG_LINE_MAX);
    invariant(strpbrk(line, "\n\r") == NULL);
    invariant(line_format(&event, LOG_FORMAT_JSON, line) <= LOG_LINE_MAX);
    json_t *parsed = json_loads(line, 0, NULL);
    invariant(parsed != NULL);
    json_decref(parsed);
    free(text);
    return 0;
}
