#include "consensus/evidence.h"
#include "consensus/grants_message.h"
#include "tests/fuzz/seed.h"

#include <string.h>

/* `kind` in front, as the fuzzer reads it. */
static void write_seed(const char *folder, uint8_t kind, const struct mp_writer *writer)
{
    uint8_t seed[1024];
    char name[2] = {(char)('a' + kind), '\0'};
    if (writer->buffer.length >= sizeof(seed)) {
        exit(1);
    }
    seed[0] = kind;
    memcpy(seed + 1, writer->buffer.data, writer->buffer.length);
    seed_write(folder, name, -1, seed, writer->buffer.length + 1);
}

int main(int argc, char **argv)
{
    static const struct grants_renew renew = {
        .raft_id = 7, .incarnation = 2, .time_ms = 99, .count = 2, .assignments = {3, 400}};
    static const struct grants_grant grant = {.incarnation = 2,
                                              .time_ms = 99,
                                              .grant_ttl_ms = 5000,
                                              .term = 4,
                                              .count = 2,
                                              .assignments = {3, 400}};
    static const struct grants_release release = {
        .raft_id = 7, .incarnation = 2, .count = 1, .items = {{"pm2/a", 3}}};
    static const struct obituary obituary = {.raft_id = 7, .incarnation = 2, .term = 4};
    static const struct evidence_message evidence = {.leader = 7, .term = 4, .sequence = 1};
    if (argc != 2) {
        return 2;
    }
    for (uint8_t kind = 0; kind < 5; kind++) {
        struct mp_writer writer;
        mp_writer_init(&writer, GRANTS_MESSAGE_BYTES_MAX);
        int rc = kind == 0   ? grants_renew_encode(&renew, &writer)
                 : kind == 1 ? grants_grant_encode(&grant, &writer)
                 : kind == 2 ? grants_release_encode(&release, &writer)
                 : kind == 3 ? obituary_encode(&obituary, &writer)
                             : evidence_encode(&evidence, &writer);
        if (rc != 0) {
            return 1;
        }
        write_seed(argv[1], kind, &writer);
        mp_writer_deinit(&writer);
    }
    return 0;
}
