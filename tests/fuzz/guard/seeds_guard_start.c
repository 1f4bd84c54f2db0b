#include "tests/fuzz/seed.h"

#include <string.h>

int main(int argc, char **argv)
{
    static const char whole[] = "--socket\n/run/x/guard.sock\n--duty\npm2/a\n--lock-dir=/run/lock\n"
                                "--kill-timeout\n900\n--on-disconnect\nstop\n--\n/bin/true\n-x";
    static const char *const texts[] = {
        whole,
        "--socket=/s\n--duty=a\n--lock-dir=/l\n--on-disconnect=keep\nprogram",
        "--help",
        "--version",
        "12345 pm2/worker-backup\n",
        "2147483647 a\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && argc == 2; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "%zu", i);
        seed_write(argv[1], name, -1, texts[i], strlen(texts[i]));
    }
    return argc == 2 ? 0 : 2;
}
