#include "tests/fuzz/seed.h"

#include <string.h>

int main(int argc, char **argv)
{
    static const char *const texts[] = {
        "plain",
        "two words, \"quoted\" = and \\ more",
        "line\nbreak\ttab\r\x1b[31m",
        "caf\xc3\xa9 \xf0\x9f\x90\x98 \xff\xfe",
        "token=0123456789abcdef0123456789abcdef password: hunter2 Bearer abc.def.ghi",
        "/etc/understudy/keys/n1.key_secret rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && argc == 2; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "%zu", i);
        seed_write(argv[1], name, -1, texts[i], strlen(texts[i]));
    }
    return argc == 2 ? 0 : 2;
}
