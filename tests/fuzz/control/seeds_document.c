/* Seeds for fuzz_document: documents as the node writes them. */
#include "node/base/doc.h"
#include "tests/fuzz/seed.h"

int main(int argc, char *argv[])
{
    static const char status[] =
        "{\"schema\":\"understudy.status/1\",\"term\":4,\"stale\":false,\"data\":{\"health\":97.5,"
        "\"members\":[{\"name\":\"n1\",\"role\":\"voter\"}],\"lease_ms\":null}}";
    static const char scalars[] =
        "[1,-1,127,128,65536,4294967296,-9223372036854775808,0.5,true,false,null,\"\"]";
    const char *documents[] = {status, scalars, "[[[[[[[[{\"deep\":{}}]]]]]]]]", "\"text\""};
    if (argc != 2) {
        return 2;
    }
    for (int i = 0; i < 4; i++) {
        struct mp_writer writer;
        char name[16];
        json_t *document = json_loads(documents[i], JSON_DECODE_ANY, NULL);
        mp_writer_init(&writer, 65536);
        if (doc_to_msgpack(document, &writer, NULL) != 0) {
            return 1;
        }
        (void)snprintf(name, sizeof name, "%d", i);
        seed_write(argv[1], name, -1, writer.buffer.data, writer.buffer.length);
        mp_writer_deinit(&writer);
        json_decref(document);
    }
    return 0;
}
