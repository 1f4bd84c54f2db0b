/* The sampler reads pressure, falls back to load where the kernel keeps none, and takes the inject
 * file's number. */
#include "node/daemon/sampler.h"
#include "tests/unit/daemon/cmocka_all.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/understudy-sampler-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"cpu", "memory", "io", "inject"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

static struct health_sample first_sample(const char *inject, const char *pressure)
{
    struct sampler *sampler = NULL;
    assert_int_equal(sampler_create(folder, inject, pressure, &sampler, NULL), 0);
    struct pollfd poll_fd = {.fd = sampler_fd(sampler), .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 30000), 1);
    struct health_sample sample;
    assert_true(sampler_latest(sampler, &sample));
    sampler_destroy(&sampler);
    assert_null(sampler);
    return sample;
}

static void pressure_is_read_from_psi(void **state)
{
    (void)state;
    write_file("cpu", "some avg10=12.50 avg60=1.00 avg300=0.00 total=1\n");
    write_file("memory", "some avg10=3.25 avg60=1.00 avg300=0.00 total=1\nfull avg10=1.00\n");
    write_file("io", "some avg10=7.00 avg60=1.00 avg300=0.00 total=1\n");
    struct health_sample sample = first_sample(NULL, folder);
    assert_true(sample.pressure_is_psi);
    assert_float_equal(sample.cpu_pressure, 12.5, 0.001);
    assert_float_equal(sample.memory_pressure, 3.25, 0.001);
    assert_float_equal(sample.io_pressure, 7.0, 0.001);
    assert_true(sample.disk_free_percent > 0);
    assert_true(sample.files_open > 3);
    assert_true(sample.files_limit > sample.files_open);
}

static void without_psi_load_and_meminfo_serve(void **state)
{
    (void)state;
    struct health_sample sample = first_sample(NULL, "/nonexistent");
    assert_false(sample.pressure_is_psi);
    assert_true(sample.cpu_pressure >= 0);
    assert_true(sample.memory_pressure > 0 && sample.memory_pressure < 100);
    assert_true(sample.io_pressure < 0); /* unknown stays unknown */
}

static void the_inject_file_is_taken_off(void **state)
{
    (void)state;
    char path[256];
    (void)snprintf(path, sizeof path, "%s/inject", folder);
    write_file("inject", "35.5\n");
    assert_float_equal(first_sample(path, NULL).injected, 35.5, 0.001);
    write_file("inject", "much\n");
    assert_float_equal(first_sample(path, NULL).injected, 0, 0.001);
    write_file("inject", "500\n"); /* out of bounds: ignored */
    assert_float_equal(first_sample(path, NULL).injected, 0, 0.001);
    assert_float_equal(first_sample("/nonexistent", NULL).injected, 0, 0.001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pressure_is_read_from_psi),
        cmocka_unit_test(without_psi_load_and_meminfo_serve),
        cmocka_unit_test(the_inject_file_is_taken_off),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
