/* Seeds for fuzz_control: a request of every verb, passed-on requests, and answers. */
#include "node/base/doc.h"
#include "node/control/verbs.h"
#include "tests/fuzz/seed.h"

#include <string.h>

/* Some value for every argument. */
static void put_args(struct mp_writer *writer, const struct verb *verb)
{
    json_t *args = json_object();
    for (size_t i = 0; i < VERB_ARGUMENTS_MAX && verb->arguments[i].name != NULL; i++) {
        const struct verb_argument *argument = &verb->arguments[i];
        json_t *value = argument->type == VERB_FLAG ? json_true() : json_string("n2");
        if (argument->type == VERB_DURATION) {
            json_decref(value);
            value = json_string("1.5h");
        } else if (argument->type == VERB_CHOICE) {
            json_decref(value);
            value = json_stringn(argument->choices, strcspn(argument->choices, "|"));
        }
        if (argument->many) {
            json_t *list = json_array();
            (void)json_array_append_new(list, value);
            value = list;
        }
        (void)json_object_set_new(args, argument->name, value);
    }
    (void)doc_to_msgpack(args, writer, NULL); /* far below the bound */
    json_decref(args);
}

static void put_request(struct mp_writer *writer, const struct verb *verb)
{
    mp_put_map(writer, 5);
    mp_put_text(writer, "v");
    mp_put_u64(writer, 1);
    mp_put_text(writer, "id");
    mp_put_u64(writer, 7);
    mp_put_text(writer, "verb");
    mp_put_text(writer, verb->words);
    mp_put_text(writer, "args");
    put_args(writer, verb);
    mp_put_text(writer, "timeout_ms");
    mp_put_u64(writer, 1000);
}

static void put_forwarded(struct mp_writer *writer, const struct verb *verb)
{
    mp_put_array(writer, 7);
    mp_put_u64(writer, 1);
    mp_put_u64(writer, 9);
    mp_put_text(writer, verb->words);
    put_args(writer, verb);
    mp_put_text(writer, "operator");
    mp_put_u64(writer, VERB_OPERATOR);
    mp_put_u64(writer, 1000);
}

static void put_answer(struct mp_writer *writer, bool good)
{
    mp_put_array(writer, 5);
    mp_put_u64(writer, 1);
    mp_put_u64(writer, 1);
    mp_put_u64(writer, good ? 0 : 7);
    if (good) {
        mp_put_map(writer, 0);
        mp_put_nil(writer);
        return;
    }
    mp_put_nil(writer);
    mp_put_array(writer, 3);
    mp_put_text(writer, "not_found");
    mp_put_text(writer, "message");
    mp_put_text(writer, "hint");
}

int main(int argc, char *argv[])
{
    size_t count;
    const struct verb *table = verb_table(&count);
    struct mp_writer writer;
    char name[VERB_WORDS_SIZE + 16];
    if (argc != 2) {
        return 2;
    }
    mp_writer_init(&writer, 65536);
    for (size_t i = 0; i < count; i++) {
        char words[VERB_WORDS_SIZE];
        verb_schema(&table[i], words);
        mp_writer_clear(&writer);
        put_request(&writer, &table[i]);
        (void)snprintf(name, sizeof name, "request-%s", words);
        seed_write(argv[1], name, 0, writer.buffer.data, writer.buffer.length);
        mp_writer_clear(&writer);
        put_forwarded(&writer, &table[i]);
        (void)snprintf(name, sizeof name, "forward-%s", words);
        seed_write(argv[1], name, 1, writer.buffer.data, writer.buffer.length);
    }
    for (int good = 0; good < 2; good++) {
        mp_writer_clear(&writer);
        put_answer(&writer, good != 0);
        seed_write(argv[1], good ? "answer-good" : "answer-bad", 2, writer.buffer.data,
                   writer.buffer.length);
    }
    mp_writer_deinit(&writer);
    return 0;
}
