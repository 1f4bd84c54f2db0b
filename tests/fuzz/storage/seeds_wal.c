/* Damage of known kinds: none, a byte of each region, a cut, and changes below right checksums. */
#include "tests/fuzz/seed.h"

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        size_t length;
        uint8_t bytes[16];
    } seeds[] = {
        {"none", 1, {0}},
        {"magic", 4, {0, 0, 3, 1}},
        {"page-size", 4, {1, 0, 10, 6}},
        {"version", 4, {1, 0, 5, 1}},
        {"salt", 4, {0, 0, 16, 1}},
        {"page-number", 4, {1, 0, 35, 2}},
        {"no-page-number", 7, {1, 0, 35, 1, 2, 75, 2}},
        {"commit-mark", 4, {1, 0, 39, 7}},
        {"frame-salt", 4, {1, 2, 64, 1}},
        {"page", 4, {0, 1, 0, 1}},
        {"third-frame", 4, {0, 4, 100, 1}},
        {"cut", 3, {2, 5, 0}},
        {"cut-header", 3, {2, 0, 20}},
        {"cut-to-nothing", 3, {2, 0, 0}},
    };
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0] && argc == 2; i++) {
        seed_write(argv[1], seeds[i].name, -1, seeds[i].bytes, seeds[i].length);
    }
    return argc == 2 ? 0 : 2;
}
