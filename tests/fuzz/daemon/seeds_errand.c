#include "node/daemon/errand.h"
#include "tests/fuzz/seed.h"

static const uint8_t DOCUMENT[] = {0x81, 0xa4, 'n', 'a', 'm', 'e', 0x91, 0xa1, 'a'};

static int write_errand(const char *folder)
{
    static const struct errand errand = {.id = 1024,
                                         .verb = "pm2 stop",
                                         .manager = "pm2",
                                         .args = {DOCUMENT, sizeof DOCUMENT},
                                         .who = {.name = "olga", .role = VERB_OPERATOR},
                                         .left_ms = 14500};
    struct mp_writer writer;
    mp_writer_init(&writer, ERRAND_BYTES_MAX);
    int rc = errand_encode(&errand, &writer);
    if (rc == 0) {
        seed_write(folder, "errand", -1, writer.buffer.data, writer.buffer.length);
    }
    mp_writer_deinit(&writer);
    return rc;
}

static int write_answer(const char *folder, const char *name, const struct manager_reply *answer)
{
    struct mp_writer writer;
    mp_writer_init(&writer, ERRAND_ANSWER_BYTES_MAX);
    int rc = errand_answer_encode(answer, &writer);
    if (rc == 0) {
        seed_write(folder, name, -1, writer.buffer.data, writer.buffer.length);
    }
    mp_writer_deinit(&writer);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct manager_reply done = {
        .id = 1024, .ok = true, .result = {DOCUMENT, sizeof DOCUMENT}};
    static const struct manager_reply failed = {
        .id = 1025, .code = "not_found", .message = "no process of that name"};
    if (argc != 2) {
        return 2;
    }
    return write_errand(argv[1]) == 0 && write_answer(argv[1], "done", &done) == 0 &&
                   write_answer(argv[1], "failed", &failed) == 0
               ? 0
               : 1;
}
