/* Runs a program to its end and keeps what it printed. */
#ifndef UNDERSTUDY_TESTS_CONTROL_SPAWN_H
#define UNDERSTUDY_TESTS_CONTROL_SPAWN_H

#define SPAWN_BYTES 65536

struct spawned {
    int exit;
    char out[SPAWN_BYTES];
    char error[SPAWN_BYTES];
};

/* argv ends with NULL; argv[0] is the program's path. Standard input is /dev/null. */
void spawn(char *const argv[], struct spawned *ret);

#endif
