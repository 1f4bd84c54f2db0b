#include "managers/pm2/ecosystem/world.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool world_zone(char *ret, size_t size)
{
    char path[WORLD_PATH_SIZE];
    ssize_t length = readlink("/etc/localtime", path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    const char *zone = strstr(path, "/zoneinfo/");
    return zone != NULL && snprintf(ret, size, "%s", zone + strlen("/zoneinfo/")) < (int)size;
}
