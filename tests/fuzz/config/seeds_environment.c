/* Every key of the schema as a variable with its default, the older variables, and settings of the
 * other two sources. */
#include "node/config/config.h"
#include "tests/fuzz/seed.h"

#include <ctype.h>
#include <string.h>

static const char *const others[] = {
    "NODE_ENV=production\nDEBUG=understudy\n",
    "DASHBOARD_PORT=3002\nHEALTH_SCORE_THRESHOLD=80\nMONITORING_INTERVAL=5000\n",
    "AUTO_HEALING=false\nHEALTH_CHECK_INTERVAL=1000\nMAX_FAILURE_THRESHOLD=3\n",
    "METRICS_COLLECTION=1\nREAL_TIME_MONITORING=true\nREDUNDANCY_TYPE=hot\nAUTO_SYNC_GC=0\n",
    "-cluster.node=n2\n-log.level=debug\n+grants.ttl=10s\n+leadership.handover_below=40\n",
    "-managers.pm2.primaries=[{name: p, memory: 300MB}]\n-labels={zone: a}\n",
    "UNDERSTUDY_CLUSTER__PEERS={n1: tcp://a:1, n2: tcp://b:2}\nUNDERSTUDY_DATA_DIR=/x\n",
};

/* cluster.node to UNDERSTUDY_CLUSTER__NODE */
static size_t variable(char *ret, size_t size, const char *key, const char *value)
{
    size_t at = (size_t)snprintf(ret, size, "UNDERSTUDY_");
    for (; *key != '\0' && at + 3 < size; key++) {
        if (*key == '.') {
            ret[at++] = '_';
            ret[at++] = '_';
        } else {
            ret[at++] = (char)toupper((unsigned char)*key);
        }
    }
    int more = snprintf(ret + at, size - at, "=%s\n", value);
    return at + (more > 0 && (size_t)more < size - at ? (size_t)more : 0);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 2;
    }
    struct config_key key;
    for (size_t i = 0; config_key_at(i, &key); i++) {
        char line[1024];
        char name[16];
        size_t length = variable(line, sizeof line, key.key,
                                 key.default_value != NULL ? key.default_value : "1");
        (void)snprintf(name, sizeof name, "key-%zu", i);
        seed_write(argv[1], name, -1, line, length);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "other-%zu", i);
        seed_write(argv[1], name, -1, others[i], strlen(others[i]));
    }
    return 0;
}
