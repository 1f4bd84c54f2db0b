#include "consensus/state_work.h"
#include "tests/fuzz/seed.h"

#include <string.h>

int main(int argc, char **argv)
{
    static const struct run_key slot = {.schedule = "run/report", .slot_s = 1795324500};
    static const struct run_key manual = {.schedule = "run/report", .number = 1234};
    char id[RUN_ID_SIZE];
    if (argc != 2) {
        return 2;
    }
    run_id(&slot, id);
    seed_write(argv[1], "slot", -1, id, strlen(id));
    run_id(&manual, id);
    seed_write(argv[1], "manual", -1, id, strlen(id));
    run_duty_id(&slot, 2, id);
    seed_write(argv[1], "duty", -1, id, strlen(id));
    return 0;
}
