#include "managers/run/record.h"
#include "tests/fuzz/seed.h"

#include <string.h>

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int kind;
        const char *text;
    } seeds[] = {
        {"slot", 0, "run/report@20261122T051500Z#2"},
        {"manual", 0, "run/report@m1234"},
        {"exit", 1, "ended exit 3\n"},
        {"signal", 1, "lapsed signal 15\n"},
        {"never", 1, "never-ran none 0\n"},
        {"variables", 3, "# x\nA=b\nC=\"d e\"\n"},
        {"instant", 4, "2026-11-22T06:15:00+01:00"},
    };
    struct record record = {.assignment = 5,
                            .limits = {.output_bytes = 4096, .keep = 3},
                            .ended = true,
                            .outcome = MANAGER_OUTCOME_RAN,
                            .reason = MANAGER_REASON_EXIT};
    char text[RECORD_SIZE];
    if (argc != 2) {
        return 2;
    }
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        seed_write(argv[1], seeds[i].name, seeds[i].kind, seeds[i].text, strlen(seeds[i].text));
    }
    size_t length = record_write(&record, text);
    seed_write(argv[1], "record", 2, text, length);
    return 0;
}
