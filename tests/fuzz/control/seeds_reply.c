#include "node/base/doc.h"
#include "node/control/control_internal.h"
#include "tests/fuzz/seed.h"

#include <string.h>

static void put_document(struct mp_writer *writer)
{
    json_t *document = json_pack("{s:s, s:i, s:[s,n,b]}", "schema", "understudy.status/1", "term",
                                 4, "members", "n1", 1);
    if (doc_to_msgpack(document, writer, NULL) != 0) {
        exit(1);
    }
    json_decref(document);
}

int main(int argc, char **argv)
{
    static const struct failure failure = {
        .code = "no_quorum", .exit = 5, .message = "no leader", .hint = "wait"};
    struct mp_writer document;
    struct mp_writer writer;
    if (argc != 2) {
        return 2;
    }
    mp_writer_init(&document, 4096);
    mp_writer_init(&writer, 4096);
    put_document(&document);
    wire_put_result(&writer, 7, true, 3, 2, document.buffer.data, document.buffer.length);
    seed_write(argv[1], "result", 0, writer.buffer.data, writer.buffer.length);
    mp_writer_clear(&writer);
    wire_put_error(&writer, 7, &failure);
    seed_write(argv[1], "error", 0, writer.buffer.data, writer.buffer.length);
    mp_writer_clear(&writer);
    wire_put_end(&writer, 7, true, 5);
    seed_write(argv[1], "end", 0, writer.buffer.data, writer.buffer.length);
    seed_write(argv[1], "own-error", 1, "\x04message of some words", 22);
    mp_writer_clear(&writer);
    mp_put_raw(&writer, "\x05\x01", 2);
    mp_put_raw(&writer, document.buffer.data, document.buffer.length);
    seed_write(argv[1], "own-result", 2, writer.buffer.data, writer.buffer.length);
    mp_writer_deinit(&writer);
    mp_writer_deinit(&document);
    return 0;
}
