/* SPDX-License-Identifier: MIT */
/* A device whose matrix units compute wrongly, or whose driver cannot compile for them, goes on
 * without them. The layer lets a driver report matrices; its modules that use them do nothing, or
 * no pipeline is made of them, so that the trial of ops/matrix_trial.c itself sees the fault. */
#include "ops/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "compute/run.h"
#include "fake_layer.h"
#include "testing.h"

/* Matrices as small as a software driver's subgroups, on what says that it is a card: no other body
 * is preferred to them. What takes their place is a body that such a driver compiles in no time. */
#define CARD       "FAKE_TYPE=discrete", "FAKE_MATRICES=8x8x8"
#define WORKGROUPS "FAKE_MATRICES2=scope,dimensions,tensors,elements"
#define MODULES    "module of matrices"

enum { ROWS = 48, K = 64, N = 40 };

static char said[8192], folder[64];
static tsr_context *ctx;
static float x[ROWS * K], w[K * K], v[N * K];

static void on_log(void *user, tsr_log_level level, const char *text) {
    (void)user;
    const size_t used = strlen(said);
    snprintf(said + used, sizeof said - used, "%s%s\n", level == TSR_LOG_WARNING ? "warning: " : "",
             text);
}

typedef struct case_of_device {
    const char *modules; /* FAKE_MODULES=... */
    const char *more;    /* another variable */
    const char *mask;
    tsr_precision precision;
    tsr_status (*trial)(tsr_device *device, tsr_matrix_trial trial);
    const char *cache;
} case_of_device;

static tsr_status open_device(const case_of_device *c, tsr_device **d) {
    fake_layer((const char *[]){CARD, c->modules, c->more, NULL});
    tsr_context_settings settings = tsr_context_settings_default();
    settings.log = on_log;
    settings.log_level = TSR_LOG_INFO;
    settings.cache_folder = c->cache;
    said[0] = 0;
    ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
    tsr_device_settings s = tsr_device_settings_default();
    s.name = "vulkan:0";
    s.precision = c->precision;
    char mask[160];
    snprintf(mask, sizeof mask, "linear_sm,linear_half_sm%s%s", c->mask ? "," : "",
             c->mask ? c->mask : "");
    s.mask = mask;
    s.try_matrices = c->trial ? c->trial : tsr_try_matrices;
    return tsr_device_open(ctx, d, &s);
}

typedef struct chain {
    tsr_weight first, second;
} chain;

static void walk(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    chain *c = (chain *)model;
    out[0] = tsr_linear(r, tsr_linear(r, in[0], &c->first, NULL), &c->second, NULL);
}

/* Two layers of small whole numbers, which every body has exactly. How many values are wrong. */
static int wrong_values(tsr_device *d) {
    static float y[ROWS * N];
    int wrong = 0;
    for (int i = 0; i < ROWS * K; ++i)
        x[i] = (float)(i * 7 % 31 % 3 - 1);
    for (int i = 0; i < K * K; ++i)
        w[i] = (float)(i * 5 % 31 % 3 - 1);
    for (int i = 0; i < N * K; ++i)
        v[i] = (float)(i * 11 % 31 % 3 - 1);
    chain c = {.first = {.tensor = tsr_host_tensor(TSR_DTYPE_F32, w, 2, (int64_t[]){K, K}),
                         .f32 = w,
                         .id = 1},
               .second = {.tensor = tsr_host_tensor(TSR_DTYPE_F32, v, 2, (int64_t[]){N, K}),
                          .f32 = v,
                          .id = 2}};
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){ROWS, K});
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 2, (int64_t[]){ROWS, N});
    const tsr_program program = {.fn = walk, .model = &c, .name = "two layers"};
    memset(y, 0, sizeof y);
    ck_assert_msg(tsr_execute(d, &program, &in, 1, &out, 1) == TSR_OK, "%s", tsr_detail(ctx));
    for (int i = 0; i < ROWS; ++i) {
        float middle[K], sum;
        for (int n = 0; n < K; ++n) {
            middle[n] = 0;
            for (int k = 0; k < K; ++k)
                middle[n] += x[i * K + k] * w[n * K + k];
        }
        for (int n = 0; n < N; ++n) {
            sum = 0;
            for (int k = 0; k < K; ++k)
                sum += middle[k] * v[n * K + k];
            wrong += y[i * N + n] != sum;
        }
    }
    tsr_device_forget(d, &c);
    return wrong;
}

/* The device opens, says once what it goes on without and why, makes no such module again, and
 * computes right. */
static void goes_on_without(const case_of_device *c, const char *what, const char *why) {
    tsr_device *d = NULL;
    ck_assert_msg(open_device(c, &d) == TSR_OK, "%s", tsr_detail(ctx));
    const char *line = strstr(said, what);
    ck_assert_msg(line && strstr(line, why), "wanted \"%s ... %s\", got %s", what, why, said);
    const int tried = fake_layer_lines(MODULES);
    ck_assert_int_gt(tried, 0);
    ck_assert_int_eq(wrong_values(d), 0);
    ck_assert_int_eq(fake_layer_lines(MODULES), tried);
    tsr_device_close(&d);
    tsr_context_close(&ctx);
}

#define NOT_USED         "its cooperative matrices are not used"
#define NO_WORKGROUPS    "its cooperative matrices of workgroups are not used"
#define NO_PAIRS         "products in f32 from pairs of f16 on its cooperative matrices are not used"
#define MATRICES_UNTRIED "linear_coopmat,conv2d_coopmat,attention_coopmat"

START_TEST(matrices_of_subgroups) {
    goes_on_without(&(case_of_device){"FAKE_MODULES=wrong", .precision = TSR_PRECISION_FAST},
                    NOT_USED, "linear_coopmat: value 0: wanted");
    goes_on_without(&(case_of_device){"FAKE_MODULES=wrong", .mask = "linear_coopmat",
                                      .precision = TSR_PRECISION_FAST},
                    NOT_USED, "conv2d_coopmat: value 0: wanted");
    goes_on_without(&(case_of_device){"FAKE_MODULES=wrong", .mask = "linear_coopmat,conv2d_coopmat",
                                      .precision = TSR_PRECISION_FAST},
                    NOT_USED, "attention_coopmat: value 0: wanted");
    goes_on_without(&(case_of_device){"FAKE_MODULES=refused", .precision = TSR_PRECISION_FAST},
                    NOT_USED, "linear_coopmat");
}
END_TEST

START_TEST(matrices_of_workgroups) {
    goes_on_without(&(case_of_device){"FAKE_MODULES=wrong", WORKGROUPS, MATRICES_UNTRIED,
                                      .precision = TSR_PRECISION_FAST},
                    NO_WORKGROUPS, "coopmat2: value 0 of 1100 columns: wanted");
    goes_on_without(&(case_of_device){"FAKE_MODULES=refused", WORKGROUPS, MATRICES_UNTRIED,
                                      .precision = TSR_PRECISION_FAST},
                    NO_WORKGROUPS, "coopmat2");
    /* what stands on matrices of subgroups falls with them, untried */
    goes_on_without(
        &(case_of_device){"FAKE_MODULES=wrong", WORKGROUPS, .precision = TSR_PRECISION_FAST},
        NOT_USED, "linear_coopmat: value 0: wanted");
    ck_assert_ptr_null(strstr(said, NO_WORKGROUPS));
}
END_TEST

START_TEST(pairs) {
    goes_on_without(&(case_of_device){"FAKE_MODULES=wrong", .mask = TSR_MASK_PAIRS}, NO_PAIRS,
                    "linear_coopmat_pairs: value 0: wanted");
    goes_on_without(&(case_of_device){"FAKE_MODULES=refused", .mask = TSR_MASK_PAIRS}, NO_PAIRS,
                    "linear_coopmat_pairs");
}
END_TEST

static tsr_status believe(tsr_device *d, tsr_matrix_trial trial) {
    (void)d, (void)trial;
    return TSR_OK;
}

/* Without the trial the same faults reach results: it is the trial that keeps them away. */
START_TEST(what_the_trial_is_for) {
    const case_of_device cases[] = {
        {"FAKE_MODULES=wrong", .precision = TSR_PRECISION_FAST, .trial = believe},
        {"FAKE_MODULES=wrong", WORKGROUPS, MATRICES_UNTRIED, TSR_PRECISION_FAST, believe, NULL},
        {"FAKE_MODULES=wrong", .mask = TSR_MASK_PAIRS, .trial = believe},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        tsr_device *d = NULL;
        ck_assert_msg(open_device(&cases[i], &d) == TSR_OK, "%s", tsr_detail(ctx));
        ck_assert_int_eq(fake_layer_lines(MODULES), 0);
        ck_assert_int_gt(wrong_values(d), ROWS * N / 2);
        ck_assert_int_gt(fake_layer_lines(MODULES), 0);
        tsr_device_close(&d);
        tsr_context_close(&ctx);
    }
}
END_TEST

/* Only what passed is remembered. */
START_TEST(a_trial_that_failed_is_made_again) {
    snprintf(folder, sizeof folder, "/tmp/tessera-trials-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (int start = 0; start < 2; ++start)
        goes_on_without(&(case_of_device){"FAKE_MODULES=wrong", "FAKE_CACHE=1",
                                          .precision = TSR_PRECISION_FAST, .cache = folder},
                        NOT_USED, "linear_coopmat: value 0: wanted");
    ck_assert_ptr_null(strstr(said, "passed before"));
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* A device that is lost by the trial cannot go on: it says what to mask. */
START_TEST(a_device_lost_in_the_trial) {
    tsr_device *d = NULL;
    const case_of_device c = {"FAKE_MODULES=wrong", "FAKE_LOST_SUBMIT=1",
                              .precision = TSR_PRECISION_FAST};
    ck_assert_int_ne(open_device(&c, &d), TSR_OK);
    ck_assert_msg(strstr(tsr_detail(ctx), "with coopmat masked"), "%s", tsr_detail(ctx));
    tsr_device_close(&d);
    tsr_context_close(&ctx);
}
END_TEST

TEST_PARTS("matrix trials", PART(own, need_fake_layer, matrices_of_subgroups,
                                 matrices_of_workgroups, pairs, what_the_trial_is_for,
                                 a_trial_that_failed_is_made_again, a_device_lost_in_the_trial))
