#include "tests/fuzz/seed.h"
#include "tests/unit/calendar/tzif.h"

/* Footers of every form, a day's and an hour's changes close to each other, leap seconds. */
static const char *const footers[] = {"",
                                      "CET-1CEST,M3.5.0,M10.5.0/3",
                                      "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
                                      "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
                                      "XXX0YYY,J60/0,J300",
                                      "XXX3EDT4,0/0,J365/23",
                                      "<+0545>-5:45"};

int main(int argc, char **argv)
{
    static const int64_t times[] = {-2000000000, 1577836800, 1577840400, 1577926800};
    static const uint8_t types[] = {1, 2, 0, 1};
    static const int32_t offsets[] = {3600, -36000, 50400};
    uint8_t bytes[1024];
    if (argc != 2) {
        return 2;
    }
    for (size_t i = 0; i < 2 * sizeof footers / sizeof footers[0]; i++) {
        const struct tzif file = {.version = (char)('1' + i % 4),
                                  .change_count = i % 2 == 0 ? 0 : 4,
                                  .times = times,
                                  .types = types,
                                  .type_count = 3,
                                  .offsets = offsets,
                                  .leap_count = i == 5 ? 2 : 0,
                                  .footer = footers[i / 2]};
        char name[16];
        size_t length = tzif_encode(&file, bytes, sizeof bytes);
        (void)snprintf(name, sizeof name, "%zu", i);
        if (length == 0) {
            return 1;
        }
        seed_write(argv[1], name, -1, bytes, length);
    }
    return 0;
}
