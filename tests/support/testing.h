/* SPDX-License-Identifier: MIT */
/* testing.h: what every Check program here uses: random data with a printed seed, guarded memory,
 * comparison with a tolerance, and a main that runs one list of tests. Failures end the test. */
#ifndef TESTS_TESTING_H
#define TESTS_TESTING_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every assertion that holds tells Check its line, by a write to a file: millions of them in a loop
 * over bytes take minutes. Each line is told once in a test, so that a crash is still reported with
 * the last line that was new. */
static inline void test_reached(const char *file, int line) {
    static unsigned char told[1024]; /* of this file, a bit for each line */
    const size_t byte = (size_t)line / 8 % sizeof told;
    const unsigned char bit = (unsigned char)(1u << line % 8);
    if (__atomic_load_n(&told[byte], __ATOMIC_RELAXED) & bit) return;
    if (!(__atomic_fetch_or(&told[byte], bit, __ATOMIC_RELAXED) & bit)) (_mark_point)(file, line);
}
#define _mark_point(file, line) test_reached(file, line)

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
void skip_all(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Prints "left out: why" from within a test: an element of a loop (a device, a codec) is not there,
 * while others are tested. scripts/test-summary.sh counts these lines. A test that is nothing
 * without the missing thing belongs into a PART that needs it. */
void leave_out(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs the tests; the program's exit status. */
int run_tests(const char *name, const TTest *const *tests, int count);
#define TEST_MAIN(name, ...)                                                                       \
    int main(void) {                                                                               \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        return run_tests(name, tests, (int)(sizeof tests / sizeof *tests));                        \
    }

/* Tests of one program that need the same thing. CMake reads the PARTs of a program and makes a
 * test of each: PROGRAM for the part called `own`, PROGRAM_PART for others. */
typedef struct test_part {
    const char *name;
    /* NULL: the part needs nothing. Otherwise returns NULL where the needed thing is there, or why
     * the part cannot run. Called as a test of its own, so that it may open devices. */
    const char *(*need)(void);
    const TTest *const *tests; /* ended by NULL */
} test_part;
#define PART(part, need, ...)                                                                      \
    {                                                                                              \
#part, need, (const TTest *const[]) {                                                      \
            __VA_ARGS__, NULL                                                                      \
        }                                                                                          \
    }

/* With an argument: runs the part of that name; 77 and "skipped: why" where its need is not met.
 * Without one: runs every part whose need is met; 77 where that is none. Returns the exit status.
 */
int run_parts(const char *name, const test_part *parts, int count, int argc, char **argv);
#define TEST_PARTS(name, ...)                                                                      \
    int main(int argc, char **argv) {                                                              \
        const test_part parts[] = {__VA_ARGS__};                                                   \
        return run_parts(name, parts, (int)(sizeof parts / sizeof *parts), argc, argv);            \
    }

#endif
