/* SPDX-License-Identifier: MIT */
#include "testing.h"

#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t seed, state;

uint64_t test_seed(void) {
    if (!seed) {
        const char *text = getenv("TESSERA_SEED");
        if (text && strcmp(text, "clock") == 0)
            seed = (uint64_t)time(NULL) * 1000003u;
        else
            seed = text ? strtoull(text, NULL, 0) : 1;
        if (!seed) seed = 1;
        state = seed;
        printf("seed: TESSERA_SEED=%llu\n", (unsigned long long)seed);
        fflush(stdout);
    }
    return seed;
}

uint64_t random_bits(void) { /* splitmix64 */
    test_seed();
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

int64_t random_below(int64_t n) {
    return (int64_t)(random_bits() % (uint64_t)n);
}

float random_uniform(float low, float high) {
    return low + (high - low) * (float)(random_bits() >> 40) * 0x1p-24f;
}

float random_normal(void) {
    double u = ((double)(random_bits() >> 11) + 0.5) * 0x1p-53;
    double v = (double)(random_bits() >> 11) * 0x1p-53;
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

void random_normals(float *x, int64_t n) {
    for (int64_t i = 0; i < n; ++i)
        x[i] = random_normal();
}

enum { BAND = 64, BAND_BYTE = 0xC3 };
typedef struct guard_header { /* in front of the first band */
    size_t bytes;
    char pad[BAND - sizeof(size_t)];
} guard_header;

void *guarded(size_t bytes) {
    unsigned char *p = NULL;
    if (posix_memalign((void **)&p, 64, sizeof(guard_header) + 2 * BAND + bytes))
        ck_abort_msg("no memory for %zu bytes", bytes);
    ((guard_header *)p)->bytes = bytes;
    memset(p + sizeof(guard_header), BAND_BYTE, 2 * BAND + bytes);
    memset(p + sizeof(guard_header) + BAND, 0xFF, bytes);
    return p + sizeof(guard_header) + BAND;
}

void guarded_check(const void *memory) {
    const unsigned char *p = memory;
    size_t bytes = ((const guard_header *)(p - BAND - sizeof(guard_header)))->bytes;
    for (int i = 1; i <= BAND; ++i)
        ck_assert_msg(p[-i] == BAND_BYTE, "byte %d before the memory was written", i);
    for (int i = 0; i < BAND; ++i)
        ck_assert_msg(p[bytes + (size_t)i] == BAND_BYTE, "byte %d after the memory was written", i);
}

void guarded_free(void *p) {
    if (!p) return;
    guarded_check(p);
    free((unsigned char *)p - BAND - sizeof(guard_header));
}

double expect_close(const char *what, const float *got, const double *want, int64_t n,
                    double tolerance) {
    double worst = 0;
    int64_t at = -1;
    for (int64_t i = 0; i < n; ++i) {
        double error;
        if (isnan(want[i]) || isinf(want[i]))
            error = (isnan(want[i]) ? isnan(got[i]) : got[i] == (float)want[i]) ? 0 : INFINITY;
        else
            error = isnan(got[i]) ? INFINITY : fabs(got[i] - want[i]) / (1 + fabs(want[i]));
        if (error > worst) {
            worst = error;
            at = i;
        }
    }
    ck_assert_msg(worst <= tolerance,
                  "%s: element %lld of %lld: wanted %.9g, got %.9g (error %.3g > %.3g)", what,
                  (long long)at, (long long)n, at >= 0 ? want[at] : 0.0, at >= 0 ? got[at] : 0.0,
                  worst, tolerance);
    return worst;
}

double expect_close_f32(const char *what, const float *got, const float *want, int64_t n,
                        double tolerance) {
    double *wide = malloc((size_t)n * sizeof *wide + 1);
    ck_assert_ptr_nonnull(wide);
    for (int64_t i = 0; i < n; ++i)
        wide[i] = want[i];
    double worst = expect_close(what, got, wide, n, tolerance);
    free(wide);
    return worst;
}

void expect_equal_i32(const char *what, const int32_t *got, const int32_t *want, int64_t n) {
    int64_t wrong = 0, first = -1;
    for (int64_t i = n - 1; i >= 0; --i)
        if (got[i] != want[i]) {
            ++wrong;
            first = i;
        }
    ck_assert_msg(wrong == 0, "%s: %lld of %lld differ, first at %lld: wanted %d, got %d", what,
                  (long long)wrong, (long long)n, (long long)first, first >= 0 ? want[first] : 0,
                  first >= 0 ? got[first] : 0);
}

void skip_all(const char *format, ...) {
    va_list args;
    va_start(args, format);
    printf("skipped: ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    exit(77);
}

void leave_out(const char *format, ...) {
    va_list args;
    va_start(args, format);
    printf("left out: ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    fflush(stdout); /* Check ends a test's process without */
}

int run_tests(const char *name, const TTest *const *tests, int count) {
    test_seed(); /* here, so that forked tests share it */
    Suite *suite = suite_create(name);
    for (int i = 0; i < count; ++i) {
        TCase *tcase = tcase_create(tests[i]->name);
        tcase_set_timeout(tcase, 300);
        tcase_add_test(tcase, tests[i]);
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const test_part *asked; /* whose need is looked for */
static int answer[2];          /* pipe: a byte for "cannot run" */

START_TEST(look_for) {
    const char *why = asked->need();
    if (!why) return;
    printf("skipped: %s\n", why);
    fflush(stdout);
    ck_assert_int_eq(write(answer[1], "n", 1), 1);
}
END_TEST

/* Whether the part can run; says why not. A need is looked for as a test of its own, so that it may
 * use what tests use. */
static bool need_met(const test_part *part) {
    char no;
    if (!part->need) return true;
    Suite *suite = suite_create("needs");
    TCase *tcase = tcase_create(part->name);
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, look_for);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    asked = part;
    if (pipe2(answer, O_NONBLOCK)) exit(EXIT_FAILURE);
    fflush(stdout);
    srunner_run_all(runner, CK_SILENT);
    if (srunner_ntests_failed(runner)) {
        srunner_print(runner, CK_NORMAL);
        exit(EXIT_FAILURE);
    }
    const bool met = read(answer[0], &no, 1) != 1;
    close(answer[0]);
    close(answer[1]);
    srunner_free(runner);
    return met;
}

int run_parts(const char *name, const test_part *parts, int count, int argc, char **argv) {
    int code = EXIT_SUCCESS, named = 0, ran = 0;
    test_seed();
    for (int i = 0; i < count; ++i) {
        if (argc > 1 && strcmp(argv[1], parts[i].name) != 0) continue;
        ++named;
        if (!need_met(&parts[i])) continue;
        int tests = 0;
        while (parts[i].tests[tests])
            ++tests;
        ++ran;
        if (run_tests(name, parts[i].tests, tests)) code = EXIT_FAILURE;
    }
    if (!named) {
        fprintf(stderr, "%s has no part %s\n", name, argv[1]);
        return EXIT_FAILURE;
    }
    return ran ? code : 77;
}
