/* SPDX-License-Identifier: MIT */
/* testing.h: what every Check program here uses: random data with a printed seed, guarded memory,
 * comparison with a tolerance, and a main that runs one list of tests. Failures end the test. */
#ifndef TESTS_TESTING_H
#define TESTS_TESTING_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The seed of this process: $TESSERA_SEED, a number, or "clock" for a new one; else always the
 * same, so that a test which passed passes again (scripts/seeds.sh tries others). Printed at first
 * use. */
uint64_t test_seed(void);
/* One stream for each test process, started from the seed. */
uint64_t random_bits(void);
int64_t random_below(int64_t n); /* 0 .. n-1 */
float random_uniform(float low, float high);
float random_normal(void);
void random_normals(float *x, int64_t n);

/* Memory with 64 known bytes on both ends, filled with 0xFF; guarded_free fails the test when one
 * of them changed. */
void *guarded(size_t bytes);
void guarded_check(const void *p);
void guarded_free(void *p);

/* |got - want| <= tolerance * (1 + |want|) for each value; NaN equals NaN, infinities equal
 * themselves. Prints the worst value and fails the test otherwise. Returns the worst error. */
double expect_close(const char *what, const float *got, const double *want, int64_t n,
                    double tolerance);
double expect_close_f32(const char *what, const float *got, const float *want, int64_t n,
                        double tolerance);
void expect_equal_i32(const char *what, const int32_t *got, const int32_t *want, int64_t n);

/* Prints "skipped: why" and ends the process with 77. Only from main, before tests run. */
void skip_all(const char *format, ...);

/* Runs the tests; the program's exit status. */
int run_tests(const char *name, const TTest *const *tests, int count);
#define TEST_MAIN(name, ...)                                                                       \
    int main(void) {                                                                               \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        return run_tests(name, tests, (int)(sizeof tests / sizeof *tests));                        \
    }

#endif
