/* SPDX-License-Identifier: MIT */
/* Two weights as one: the values of any piece of it, what cannot be joined, and a layer that gives
 * the bits of both. */
#include "everywhere.h"
#include "nn/join_weights.h"
#include "ops/ops.h"

#include <string.h>

enum { K = 12, FIRST = 5, SECOND = 7, ROWS = 9, BOTH = FIRST + SECOND };

static float a[FIRST * K], b[SECOND * K];

static tsr_weights *open_weights(bool halves) {
    static uint16_t small[SECOND * K];
    tsr_context *ctx = everywhere_context();
    static const tsr_weight_source memory = {0};
    tsr_weights *w = NULL;
    random_normals(a, FIRST * K);
    random_normals(b, SECOND * K);
    for (int i = 0; i < SECOND * K && halves; ++i)
        b[i] = tsr_f16_to_f32(small[i] = tsr_f32_to_f16(b[i]));
    const tsr_tensor ta = tsr_host_tensor(TSR_DTYPE_F32, a, 2, (int64_t[]){FIRST, K});
    const tsr_tensor tb = tsr_host_tensor(halves ? TSR_DTYPE_F16 : TSR_DTYPE_F32,
                                          halves ? (void *)small : b, 2, (int64_t[]){SECOND, K});
    ck_assert_int_eq(tsr_weights_open(ctx, &w), TSR_OK);
    ck_assert_int_eq(tsr_weights_add(ctx, w, "a", &ta), TSR_OK);
    ck_assert_int_eq(tsr_weights_add_lazy(ctx, w, "b", &tb, &memory), TSR_OK);
    return w;
}

START_TEST(any_piece_of_it) {
    tsr_context *ctx = everywhere_context();
    for (int halves = 0; halves < 2; ++halves) {
        tsr_weights *w = open_weights(halves);
        tsr_joined joined;
        tsr_weight *both = NULL;
        ck_assert_int_eq(tsr_join_weights(ctx, w, tsr_weights_find(w, "a"),
                                          tsr_weights_find(w, "b"), &joined, &both),
                         TSR_OK);
        ck_assert_str_eq(both->name, "a (and b)");
        ck_assert(both->tensor.rank == 2 && both->tensor.dim[0] == BOTH &&
                  both->tensor.dim[1] == K);
        ck_assert_ptr_null(both->f32); /* nothing was read */
        float want[BOTH * K];
        memcpy(want, a, sizeof a);
        memcpy(want + FIRST * K, b, sizeof b);
        for (int first = 0; first < BOTH * K; first += 7)
            for (int count = 1; first + count <= BOTH * K; count += 11) {
                float *got = guarded((size_t)count * sizeof *got);
                ck_assert(!joined.source.fill(ctx, joined.source.user, "", first, count, got));
                guarded_check(got);
                ck_assert_mem_eq(got, want + first, (size_t)count * sizeof *got);
                guarded_free(got);
            }
        tsr_weights_close(&w);
    }
}
END_TEST

START_TEST(what_does_not_fit) {
    tsr_context *ctx = everywhere_context();
    tsr_weights *w = open_weights(false);
    static float c[2 * (K + 1)];
    const tsr_tensor tc = tsr_host_tensor(TSR_DTYPE_F32, c, 2, (int64_t[]){2, K + 1});
    ck_assert_int_eq(tsr_weights_add(ctx, w, "c", &tc), TSR_OK);
    const tsr_weight *wa = tsr_weights_find(w, "a"), *wb = tsr_weights_find(w, "b");
    tsr_joined joined, again;
    tsr_weight *both = (tsr_weight *)wa;
    ck_assert_int_eq(tsr_join_weights(ctx, w, NULL, NULL, &joined, &both), TSR_OK);
    ck_assert_ptr_null(both);
    ck_assert_int_eq(tsr_join_weights(ctx, w, wa, NULL, &joined, &both), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(ctx), "joined weights: wanted two, got a alone");
    ck_assert_int_eq(tsr_join_weights(ctx, w, wa, tsr_weights_find(w, "c"), &joined, &both),
                     TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(ctx), "weight c: wanted rows as of a, [5, 12], got [2, 13]");
    ck_assert_int_eq(tsr_join_weights(ctx, w, wa, wb, &joined, &both), TSR_OK);
    ck_assert_int_eq(tsr_join_weights(ctx, w, wa, wb, &again, &both), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_null(both);
    tsr_weights_close(&w);
}
END_TEST

static void layer(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = tsr_linear(r, in[0], (tsr_weight *)model, NULL);
}

static void run(tsr_device *d, const tsr_weight *w, float *x, float *y) {
    const tsr_program p = {.fn = layer, .model = w, .name = "joined"};
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){ROWS, K});
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 2, (int64_t[]){ROWS, w->tensor.dim[0]});
    ck_assert_msg(!tsr_execute(d, &p, &in, 1, &out, 1), "%s", tsr_detail(tsr_device_context(d)));
    tsr_device_forget(d, w);
}

START_TEST(a_layer_of_both) {
    float x[ROWS * K], first[ROWS * FIRST], second[ROWS * SECOND], y[ROWS * BOTH];
    tsr_device *d = everywhere_device("cpu", NULL);
    tsr_weights *w = open_weights(true);
    tsr_joined joined;
    tsr_weight *both;
    random_normals(x, ROWS * K);
    ck_assert_int_eq(tsr_join_weights(everywhere_context(), w, tsr_weights_find(w, "a"),
                                      tsr_weights_find(w, "b"), &joined, &both),
                     TSR_OK);
    run(d, tsr_weights_find(w, "a"), x, first);
    run(d, tsr_weights_find(w, "b"), x, second);
    run(d, both, x, y);
    for (int i = 0; i < ROWS; ++i) {
        ck_assert_mem_eq(y + i * BOTH, first + i * FIRST, FIRST * sizeof *y);
        ck_assert_mem_eq(y + i * BOTH + FIRST, second + i * SECOND, SECOND * sizeof *y);
    }
    tsr_weights_close(&w);
}
END_TEST

TEST_MAIN("test_join_weights", any_piece_of_it, what_does_not_fit, a_layer_of_both)
