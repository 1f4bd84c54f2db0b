/* The HTTP side over real connections. */
#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/http/http.h"
#include "node/http/metrics.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_S 60
#define BODY_SIZE 65536

static struct http *http;
static atomic_llong may_act_until_ms;

static int64_t may_act(void *context, uint64_t *ret_term)
{
    (void)context;
    *ret_term = 7;
    return may_act_until_ms;
}

static int set_up(void **state)
{
    (void)state;
    may_act_until_ms = 0;
    struct http_config config = {.event_clients_max = 2, .node = "n3", .may_act = may_act};
    return http_create(&config, &http, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    http_destroy(&http);
    return 0;
}

struct answer {
    long status;
    char head[8192];
    char body[BODY_SIZE];
};

struct sink {
    char *text;
    size_t size;
    size_t length;
};

static size_t keep(char *data, size_t size, size_t count, void *context)
{
    struct sink *sink = context;
    for (size_t i = 0; i < size * count && sink->length + 1 < sink->size; i++) {
        sink->text[sink->length++] = data[i];
    }
    sink->text[sink->length] = '\0';
    return size * count;
}

static struct answer got;

static void request(const char *method, const char *path, int status)
{
    char url[256];
    struct sink head = {got.head, sizeof got.head, 0};
    struct sink body = {got.body, sizeof got.body, 0};
    CURL *curl = curl_easy_init();
    got.body[0] = '\0';
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", (unsigned)http_port(http), path);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)PATIENCE_S);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, keep);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, &head);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    if (strcmp(method, "HEAD") == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (strcmp(method, "POST") == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "some=thing");
    } else if (strcmp(method, "GET") != 0) {
        (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    }
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK) {
        fail_msg("%s %s: %s", method, path, curl_easy_strerror(code));
    }
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &got.status);
    curl_easy_cleanup(curl);
    if (got.status != status) {
        fail_msg("%s %s: %ld, expected %d; %s", method, path, got.status, status, got.body);
    }
}

static json_t *status_envelope(const char *leader)
{
    json_t *envelope =
        json_pack("{s:s,s:s,s:s,s:s,s:i,s:b,s:{s:s,s:i,s:b,s:[{s:s,s:s,s:f}],s:[],s:{s:s,s:f}}}",
                  "schema", "understudy.status/1", "time", "2026-01-31T12:00:00.000Z", "node", "n1",
                  "cluster", "demo", "term", 4, "stale", 0, "data", "leader", leader, "term", 4,
                  "quorum", 1, "members", "name", "n1", "state", "alive", "health", 97.5,
                  "managers", "health", "state", "healthy", "node", 97.5);
    assert_non_null(envelope);
    return envelope;
}

static void publish(const char *leader, bool ready, int64_t until_ms)
{
    struct http_snapshot *snapshot = http_snapshot_create();
    json_t *envelope = status_envelope(leader);
    assert_int_equal(http_snapshot_set_document(snapshot, "status", envelope, NULL), 0);
    assert_int_equal(http_snapshot_set_document(snapshot, "leader/history", envelope, NULL), 0);
    json_decref(envelope);
    http_snapshot_set_ready(snapshot, ready, "draining");
    http_snapshot_set_leader(snapshot, leader, 4, until_ms);
    struct metrics metrics;
    metrics_init(&metrics);
    metrics_family(&metrics, METRICS_GAUGE, "raft_term", "term");
    metrics_value(&metrics, 4);
    http_snapshot_set_metrics(snapshot, metrics_finish(&metrics));
    metrics_deinit(&metrics);
    http_publish(http, &snapshot);
    assert_null(snapshot);
}

static void before_the_first_snapshot_it_lives_and_is_not_ready(void **state)
{
    (void)state;
    request("GET", "/livez", 200);
    request("GET", "/healthz", 200);
    request("GET", "/readyz", 503);
    request("GET", "/leader", 503);
    request("GET", "/metrics", 503);
    request("GET", "/api/v1/status", 503);
    request("GET", "/", 200);
    assert_non_null(strstr(got.body, "starting"));
}

static void a_loop_that_stands_still_is_not_live(void **state)
{
    (void)state;
    http_heartbeat(http, clock_boot_ms() - HTTP_LIVE_WITHIN_MS - 1000);
    request("GET", "/livez", 503);
    request("GET", "/healthz", 503);
    http_heartbeat(http, clock_boot_ms());
    request("GET", "/livez", 200);
}

static void readiness_says_why_not(void **state)
{
    (void)state;
    publish("n2", false, 0);
    request("GET", "/readyz", 503);
    assert_string_equal(got.body, "draining\n");
    publish("n2", true, 0);
    request("GET", "/readyz", 200);
}

static void the_leader_is_known_by_the_clock(void **state)
{
    (void)state;
    publish("n1", true, 0);
    request("GET", "/leader", 503);
    may_act_until_ms = clock_boot_ms() + 3600000;
    request("GET", "/leader", 200);
    json_t *document = json_loads(got.body, 0, NULL);
    assert_true(json_is_true(json_object_get(document, "acting")));
    /* Not the former leader of the snapshot, nor its term: they fence what this one writes. */
    assert_string_equal(doc_get_text(document, "leader", ""), "n3");
    assert_int_equal(doc_get_integer(document, "term", 0), 7);
    json_decref(document);
    may_act_until_ms = clock_boot_ms() - 1; /* nobody publishes; the right has ended all the same */
    request("GET", "/leader", 503);
}

static void without_a_callback_the_snapshot_tells_the_lease(void **state)
{
    (void)state;
    http_destroy(&http);
    struct http_config config = {0};
    assert_int_equal(http_create(&config, &http, NULL), 0);
    publish("n1", true, clock_boot_ms() + 3600000);
    request("GET", "/leader", 200);
    publish("n1", true, clock_boot_ms() - 1);
    request("GET", "/leader", 503);
}

static void documents_metrics_and_page_are_served(void **state)
{
    (void)state;
    publish("n2", true, 0);
    request("GET", "/api/v1/status", 200);
    json_t *envelope = status_envelope("n2");
    json_t *served = json_loads(got.body, 0, NULL);
    assert_true(json_equal(envelope, served));
    json_decref(envelope);
    json_decref(served);
    assert_non_null(strstr(got.head, "application/json"));
    request("GET", "/api/v1/leader/history", 200);
    request("GET", "/metrics", 200);
    assert_non_null(strstr(got.body, "understudy_raft_term 4\n# EOF\n"));
    assert_non_null(strstr(got.head, "application/openmetrics-text"));
    request("GET", "/", 200);
    assert_non_null(strstr(got.body, "<dd class=\"good\">n2</dd>"));
    request("GET", "/status.js", 200);
    request("GET", "/status.css", 200);
}

static void the_page_escapes_what_it_shows(void **state)
{
    (void)state;
    publish("<script>alert('x')</script>\"&", true, 0);
    request("GET", "/", 200);
    assert_null(strstr(got.body, "<script>alert"));
    assert_non_null(strstr(got.body, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"));
    assert_null(strstr(got.body, "http://")); /* nothing from outside */
    assert_null(strstr(got.body, "https://"));
    assert_null(strstr(got.body, "style="));
}

static void headers_are_careful(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "X-Content-Type-Options: nosniff", "Cache-Control: no-store", "X-Frame-Options: DENY",
        "Content-Security-Policy: default-src 'none'; script-src 'self'"};
    request("GET", "/", 200);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        assert_non_null(strstr(got.head, headers[i]));
    }
}

static void only_get_and_head_are_served(void **state)
{
    (void)state;
    publish("n2", true, 0);
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        request(methods[i], "/api/v1/status", 405);
        assert_non_null(strstr(got.head, "Allow: GET, HEAD"));
    }
    request("HEAD", "/api/v1/status", 200);
    assert_string_equal(got.body, "");
    request("HEAD", "/api/v1/events", 200);
    request("GET", "/nothing", 404);
    request("GET", "/api/v1/nothing", 404);
    request("GET", "/api/v1/../../etc/passwd", 404);
    request("GET", "//", 404);
}

static void a_port_in_use_is_named(void **state)
{
    (void)state;
    struct http_config config = {.port = http_port(http)};
    struct http *second = NULL;
    struct err err = {0};
    char port[16];
    (void)snprintf(port, sizeof port, "%u", (unsigned)http_port(http));
    assert_int_equal(http_create(&config, &second, &err), ERR_BUSY);
    assert_non_null(strstr(err.msg, port));
    assert_null(second);
    config = (struct http_config){.address = "not.an.address"};
    assert_int_equal(http_create(&config, &second, &err), ERR_INVALID);
    assert_int_equal(http_listen(http, "127.0.0.1", 0, &err), 0);
    assert_int_equal(http_listen(http, "127.0.0.1", 0, &err), 0);
    assert_int_equal(http_listen(http, "127.0.0.1", 0, &err), 0);
    assert_int_equal(http_listen(http, "127.0.0.1", 0, &err), ERR_FULL);
}

/* ---- events ---- */

static int open_raw(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(http_port(http))};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    return fd;
}

/* Read until `wanted` has come. */
static void read_until(int fd, const char *wanted)
{
    static char text[1 << 20];
    size_t length = 0;
    while (length + 1 < sizeof text) {
        ssize_t count = recv(fd, text + length, sizeof text - 1 - length, 0);
        if (count <= 0) {
            fail_msg("\"%s\" did not come, but: %s", wanted, length == 0 ? "" : text);
        }
        length += (size_t)count;
        text[length] = '\0';
        if (strstr(text, wanted) != NULL) {
            return;
        }
    }
    fail_msg("\"%s\" did not come in all that", wanted);
}

static void tell(int number)
{
    json_t *envelope =
        json_pack("{s:s,s:{s:i}}", "schema", "understudy.events/1", "data", "n", number);
    http_event(http, envelope);
    json_decref(envelope);
}

#define EVENTS "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n"

static void events_are_pushed(void **state)
{
    (void)state;
    int fd = open_raw(EVENTS "\r\n");
    read_until(fd, "retry: 2000");
    tell(1);
    read_until(fd, "id: 1\ndata: {\"schema\":\"understudy.events/1\",\"data\":{\"n\":1}}\n\n");
    tell(2);
    tell(3);
    read_until(fd, "\"n\":3");
    (void)close(fd);
    fd = open_raw(EVENTS "Last-Event-ID: 1\r\n\r\n"); /* what was missed comes first */
    read_until(fd, "id: 2\n");
    (void)close(fd);
}

static void who_is_too_slow_is_told_what_was_lost(void **state)
{
    (void)state;
    for (int i = 1; i <= 1000; i++) {
        tell(i);
    }
    int fd = open_raw(EVENTS "Last-Event-ID: 10\r\n\r\n");
    read_until(fd, "event: dropped\ndata: {\"dropped\":734}\n\n"); /* 11 to 744; 256 are kept */
    (void)close(fd);
    fd = open_raw(EVENTS "Last-Event-ID: 10\r\n\r\n");
    read_until(fd, "\"n\":1000");
    (void)close(fd);
}

static unsigned event_clients(void)
{
    struct http_counters counters;
    http_counters(http, &counters);
    return counters.event_clients;
}

static void listeners_are_bounded_and_the_gone_are_found(void **state)
{
    (void)state;
    int first = open_raw(EVENTS "\r\n");
    int second = open_raw(EVENTS "\r\n");
    read_until(first, "retry");
    read_until(second, "retry");
    assert_int_equal(event_clients(), 2);
    int third = open_raw(EVENTS "\r\n");
    read_until(third, "503");
    (void)close(third);
    (void)close(first);
    int64_t end_ms = clock_boot_ms() + PATIENCE_S * 1000;
    for (int i = 0; event_clients() > 1; i++) {
        assert_true(clock_boot_ms() < end_ms);
        tell(i);
        (void)usleep(2000);
    }
    read_until(second, "\"n\":0");
    (void)close(second);
}

static void an_idle_listener_gets_a_sign_of_life(void **state)
{
    (void)state;
    int fd = open_raw(EVENTS "\r\n");
    read_until(fd, "retry");
    http_heartbeat(http, clock_boot_ms());
    read_until(fd, ": here");
    (void)close(fd);
}

static void random_bytes_change_nothing(void **state)
{
    (void)state;
    unsigned seed = 7;
    for (int round = 0; round < 20; round++) {
        char noise[600];
        for (size_t i = 0; i < sizeof noise - 1; i++) {
            seed = seed * 1103515245u + 12345u;
            noise[i] = (char)(seed >> 16 | 1);
        }
        noise[sizeof noise - 1] = '\0';
        (void)close(open_raw(noise));
    }
    request("GET", "/livez", 200);
}

/* ---- snapshots under readers ---- */

static void *publish_many(void *argument)
{
    (void)argument;
    for (int i = 0; i < 200; i++) {
        publish(i % 2 == 0 ? "n1" : "n2", true, 0);
        tell(i);
        http_heartbeat(http, clock_boot_ms());
    }
    return NULL;
}

static void readers_see_whole_snapshots_while_they_change(void **state)
{
    (void)state;
    pthread_t thread;
    publish("n1", true, 0);
    assert_int_equal(pthread_create(&thread, NULL, publish_many, NULL), 0);
    for (int i = 0; i < 50; i++) {
        request("GET", "/api/v1/status", 200);
        json_t *document = json_loads(got.body, 0, NULL);
        assert_non_null(document);
        json_decref(document);
    }
    (void)pthread_join(thread, NULL);
}

static void metrics_are_well_formed(void **state)
{
    (void)state;
    struct metrics metrics;
    metrics_init(&metrics);
    metrics_family(&metrics, METRICS_COUNTER, "elections", "by \"reason\"\n");
    metrics_value1(&metrics, "reason", "a\"b\\c\nd", 3);
    metrics_family(&metrics, METRICS_GAUGE, "health_score", "score");
    metrics_value2(&metrics, "node", "n1", "component", "cpu", 97.5);
    metrics_value1(&metrics, "node", "n2", NAN);
    metrics_family(&metrics, METRICS_INFO, "build", "build");
    metrics_value1(&metrics, "version", "0.1.0", 1);
    metrics_process(&metrics);
    char *text = metrics_finish(&metrics);
    static const char head[] = "# TYPE understudy_elections counter\n"
                               "# HELP understudy_elections by \\\"reason\\\"\\n\n"
                               "understudy_elections_total{reason=\"a\\\"b\\\\c\\nd\"} 3\n"
                               "# TYPE understudy_health_score gauge\n"
                               "# HELP understudy_health_score score\n"
                               "understudy_health_score{node=\"n1\",component=\"cpu\"} 97.5\n"
                               "# TYPE understudy_build info\n"
                               "# HELP understudy_build build\n"
                               "understudy_build_info{version=\"0.1.0\"} 1\n"
                               "# TYPE process_cpu_seconds counter\n";
    assert_memory_equal(text, head, sizeof head - 1);
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
    free(text);
    metrics_deinit(&metrics);
}

int main(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(before_the_first_snapshot_it_lives_and_is_not_ready),
        TEST(a_loop_that_stands_still_is_not_live),
        TEST(readiness_says_why_not),
        TEST(the_leader_is_known_by_the_clock),
        TEST(without_a_callback_the_snapshot_tells_the_lease),
        TEST(documents_metrics_and_page_are_served),
        TEST(the_page_escapes_what_it_shows),
        TEST(headers_are_careful),
        TEST(only_get_and_head_are_served),
        TEST(a_port_in_use_is_named),
        TEST(events_are_pushed),
        TEST(who_is_too_slow_is_told_what_was_lost),
        TEST(listeners_are_bounded_and_the_gone_are_found),
        TEST(an_idle_listener_gets_a_sign_of_life),
        TEST(random_bytes_change_nothing),
        TEST(readers_see_whole_snapshots_while_they_change),
        cmocka_unit_test(metrics_are_well_formed),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return rc;
}
