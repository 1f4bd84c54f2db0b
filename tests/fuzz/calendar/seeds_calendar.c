#include "tests/fuzz/seed.h"

#include <string.h>

/* Every form of an expression, some that are refused, and a word of each kind of mistake. */
static const char *const texts[] = {"* * * * *",
                                    "*/15 4,23 1-9/4 jan,MAR-may Sun,wed-fri",
                                    "50/4 20/2,1 13 6 fri",
                                    "30 2 29 2 */7",
                                    "0 0 30 2 *",
                                    "every 25m",
                                    " every 366d ",
                                    "@hourly",
                                    "@weekly",
                                    "@annually",
                                    "@reboot",
                                    "@every 5m",
                                    "0 0 L * ?",
                                    "0 0 15W * fri#2",
                                    "0 30 12 * * mon 2027",
                                    "60 22-5 */0 13 january"};

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 2;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint8_t bytes[128] = {(uint8_t)i, (uint8_t)(5 * i), 0x35, (uint8_t)(40 * i)};
        char name[16];
        size_t length = strlen(texts[i]);
        memcpy(bytes + 4, texts[i], length);
        (void)snprintf(name, sizeof name, "%zu", i);
        seed_write(argv[1], name, -1, bytes, 4 + length);
    }
    return 0;
}
