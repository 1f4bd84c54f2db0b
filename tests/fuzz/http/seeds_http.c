#include "tests/fuzz/seed.h"

#include <string.h>

int main(int argc, char **argv)
{
    static const struct {
        int kind;
        const char *text;
    } seeds[] = {
        {0, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"},
        {0, "HEAD /livez HTTP/1.0\r\n\r\n"},
        {0, "POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"},
        {0, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"},
        {0, "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\nGET /leader HTTP/1.1\r\nHost: a\r\n\r\n"},
        {0, "GET /%2e%2e/%00 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {0, "HEAD /api/v1/events HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"},
        {1, "metrics"},
        {1, "healthz"},
        {1, "status.js"},
        {1, "status.css"},
        {1, "api/v1/status"},
        {1, "api/v1/events"},
        {1, "api/v1/no/such?query=1&b"},
        {1, "nowhere"},
        {2, "1"},
        {2, "18446744073709551615"},
        {2, "299"},
        {2, "-5x"},
    };
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0] && argc == 2; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "%zu", i);
        seed_write(argv[1], name, seeds[i].kind, seeds[i].text, strlen(seeds[i].text));
    }
    return argc == 2 ? 0 : 2;
}
