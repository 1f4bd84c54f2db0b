#include "managers/pm2/verbs/cursor.h"
#include "tests/fuzz/seed.h"

#include <stdio.h>

static void write_cursor(const char *folder, const char *name, const struct cursor *cursor)
{
    char text[CURSOR_SIZE];
    cursor_encode(cursor, text);
    seed_write(folder, name, -1, text, CURSOR_SIZE - 1);
}

int main(int argc, char **argv)
{
    static const struct cursor none = {.path = 1};
    static const struct cursor read = {
        .path = 1, .inode = 2, .born_ns = 3, .life = 5, .position = 7, .anchor_length = 7};
    static const struct cursor cut = {.path = 1,
                                      .inode = 2,
                                      .life = 5,
                                      .position = 70000,
                                      .cut = 65536,
                                      .anchor_length = 1024,
                                      .skipping = true};
    static const struct cursor kept = {.inode = 2, .life = 5, .position = 4096, .cut = 8192};
    if (argc != 2) {
        (void)fprintf(stderr, "usage\n");
        return 1;
    }
    write_cursor(argv[1], "none", &none);
    write_cursor(argv[1], "read", &read);
    write_cursor(argv[1], "cut", &cut);
    write_cursor(argv[1], "kept", &kept);
    return 0;
}
