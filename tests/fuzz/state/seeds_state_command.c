#include "tests/fuzz/seed.h"
#include "tests/fuzz/state/seed_commands.h"

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 2;
    }
    for (int type = COMMAND_NODE_PUT; type <= COMMAND_DUTY_PROVEN; type++) {
        struct command command = seed_command((enum command_type)type, (uint64_t)type);
        struct mp_writer writer;
        mp_writer_init(&writer, COMMAND_BYTES_MAX);
        if (command_encode(&command, &writer, NULL) != 0) {
            return 1;
        }
        seed_write(argv[1], command_type_name(command.type), -1, writer.buffer.data,
                   writer.buffer.length);
        mp_writer_deinit(&writer);
    }
    return 0;
}
