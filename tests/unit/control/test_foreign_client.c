/* The control protocol spoken in another language: starts an endpoint and runs client.py on it. */
#include "tests/unit/control/control_fixture.h"
#include "tests/unit/control/spawn.h"

#include <stdio.h>

int main(void)
{
    static struct fixture node;
    static struct spawned client;
    fixture_init(&node);
    node.flood = 4;
    if (fixture_start(&node) != 0) {
        return 1;
    }
    char *argv[] = {(char[]){"/usr/bin/python3"}, (char[]){CLIENT_PY}, node.endpoint, NULL};
    spawn(argv, &client);
    fixture_deinit(&node);
    (void)printf("%s%s", client.out, client.error);
    return client.exit;
}
