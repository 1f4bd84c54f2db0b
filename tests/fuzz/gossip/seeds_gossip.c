/* Writes the fuzzer's seeds: every message as the encoder makes it. Usage: seeds_gossip FOLDER */
#include "tests/unit/gossip/samples.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        char path[512];
        struct mp_writer writer;
        (void)snprintf(path, sizeof path, "%s/message-%zu", argv[1], i + 1);
        FILE *file = fopen(path, "wb");
        if (file == NULL) {
            perror(path);
            return 1;
        }
        sample_encode(i, &writer);
        int first = fputc(0, file); /* the sender n2, no time passes */
        size_t written = fwrite(writer.buffer.data, 1, writer.buffer.length, file);
        bool good = first == 0 && written == writer.buffer.length;
        mp_writer_deinit(&writer);
        if (fclose(file) != 0 || !good) {
            perror(path);
            return 1;
        }
    }
    return 0;
}
