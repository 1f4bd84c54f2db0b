/* The words of a command line (one a line of the input): options, verb, arguments. What the command
 * line accepts, the node must accept from the wire, unchanged; and the two readers of durations
 * must agree on what both take. */
#include "node/base/doc.h"
#include "node/base/invariant.h"
#include "node/cli/cli.h"
#include "node/config/config.h"
#include "node/control/control_internal.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_wire(const struct verb *verb, const json_t *args)
{
    struct mp_writer writer;
    struct wire_request request;
    mp_writer_init(&writer, CONTROL_MESSAGE_BYTES_MAX);
    mp_put_map(&writer, 4);
    mp_put_text(&writer, "v");
    mp_put_u64(&writer, 1);
    mp_put_text(&writer, "id");
    mp_put_u64(&writer, 3);
    mp_put_text(&writer, "verb");
    mp_put_text(&writer, verb->words);
    mp_put_text(&writer, "args");
    int rc = doc_to_msgpack(args, &writer, NULL);
    invariant(rc == 0);
    rc = wire_decode_request(writer.buffer.data, writer.buffer.length, &request, NULL);
    invariant(rc == 0);
    invariant(strcmp(request.verb, verb->words) == 0 && json_equal(request.args, args));
    invariant(!verb->present || verb_check_args(verb, request.args, NULL) == 0);
    json_decref(request.args);
    mp_writer_deinit(&writer);
}

static void check_duration(const char *text)
{
    int64_t configured;
    int64_t typed = verb_duration_ms(text);
    if (typed >= 0 && config_parse_duration(text, false, &configured)) {
        invariant(typed == configured);
    }
}

static void check_words(int count, char **words)
{
    struct cli_options options;
    struct err err = {0};
    const struct verb *verb = NULL;
    json_t *args = NULL;
    for (int i = 0; i < count; i++) {
        check_duration(words[i]);
    }
    if (options_parse(count, words, &options, &err) != 0) {
        invariant(err.msg[0] != '\0');
        return;
    }
    char folder[CLI_PATH_SIZE];
    options_keys_folder(&options, folder);
    invariant(options.timeout_ms > 0);
    int rc = verb_parse(options.word_count, options.words, &verb, &args, &err);
    if (rc != 0) {
        invariant(err.msg[0] != '\0' && args == NULL);
        return;
    }
    invariant(verb != NULL && json_is_object(args));
    check_wire(verb, args);
    (void)verb_place_of(verb, args);
    (void)verb_is_stream(verb, args);
    json_decref(args);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[WORDS_MAX + 1] = {NULL};
    int count = 0;
    char *text = malloc(size + 1);
    invariant(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    words[count++] = text;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n') {
            text[i] = '\0';
            if (count < WORDS_MAX) {
                words[count++] = text + i + 1;
            }
        }
    }
    check_words(count, words);
    free(text);
    return 0;
}
