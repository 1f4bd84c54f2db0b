#include "tests/fuzz/seed.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    static const char name[] = "worker-out.log.2026-11-22T00-00-05_001.gz.part";
    static const char config[] =
        "# x\n/home/a/.pm2/pm2.log \"/a b/*.log\" {\n  weekly\n}\n/x {daily }\n";
    static const char filling[] = "[understudy: earlier lines are in x.log.gz     ]\nline\n";
    static const char blank[] = "                         \t\n{\"message\":1}\n";
    if (argc != 2) {
        (void)fprintf(stderr, "usage\n");
        return 1;
    }
    seed_write(argv[1], "name", 0, name, sizeof name - 1);
    seed_write(argv[1], "config", 1, config, sizeof config - 1);
    seed_write(argv[1], "filling", 2, filling, sizeof filling - 1);
    seed_write(argv[1], "blank", 2, blank, sizeof blank - 1);
    return 0;
}
