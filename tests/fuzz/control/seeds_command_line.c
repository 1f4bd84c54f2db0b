/* A command line of every verb with all of its arguments, and the options for all verbs. */
#include "node/control/verbs.h"
#include "tests/fuzz/seed.h"

#include <string.h>

static void put(struct buffer *out, const char *text, size_t length)
{
    (void)buffer_append(out, text, length);
    (void)buffer_append(out, "\n", 1);
}

static void put_argument(struct buffer *out, const struct verb_argument *argument)
{
    const char *value = argument->type == VERB_DURATION  ? "1.5h"
                        : argument->type == VERB_INTEGER ? "12"
                        : argument->type == VERB_CHOICE  ? argument->choices
                                                         : "n2";
    if (argument->option) {
        (void)buffer_append(out, "--", 2);
        put(out, argument->name, strlen(argument->name));
    }
    if (argument->type != VERB_FLAG) {
        put(out, value, argument->type == VERB_CHOICE ? strcspn(value, "|") : strlen(value));
    }
}

int main(int argc, char **argv)
{
    static const char options[] =
        "understudy\n--endpoint=tcp://h:1\n--keys\nk\n-o\njson\n--timeout\n250ms\n--no-color\n-q\n"
        "--\nstatus\n--x\n";
    size_t count;
    const struct verb *table = verb_table(&count);
    if (argc != 2) {
        return 2;
    }
    seed_write(argv[1], "options", -1, options, sizeof options - 2);
    for (size_t i = 0; i < count; i++) {
        struct buffer out;
        char name[VERB_WORDS_SIZE];
        buffer_init(&out, 4096);
        put(&out, "understudy", 10);
        for (const char *at = table[i].words; *at != '\0'; at += strspn(at, " ")) {
            size_t length = strcspn(at, " ");
            put(&out, at, length);
            at += length;
        }
        for (size_t k = 0; k < VERB_ARGUMENTS_MAX && table[i].arguments[k].name != NULL; k++) {
            put_argument(&out, &table[i].arguments[k]);
        }
        verb_schema(&table[i], name);
        seed_write(argv[1], name, -1, out.data, out.length - 1);
        buffer_deinit(&out);
    }
    return 0;
}
