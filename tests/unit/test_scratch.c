/* SPDX-License-Identifier: MIT */
/* The arrays of one call: zeroed, aligned, apart from each other; a failure sticks and is named. */
#include "compute/arena.h"
#include "testing.h"

static tsr_context *open_context(uint64_t limit) {
    tsr_context_settings s = tsr_context_settings_default();
    tsr_context *ctx = NULL;
    s.memory_limit = limit;
    ck_assert_int_eq(tsr_context_open(&ctx, &s), TSR_OK);
    return ctx;
}

START_TEST(arrays) {
    tsr_context *ctx = open_context(1 << 20);
    tsr_scratch s = {.ctx = ctx};
    uint8_t *piece[40];
    for (size_t i = 0; i < 40; ++i) {
        piece[i] = tsr_scratch_take(&s, i, 3, "piece");
        ck_assert_ptr_nonnull(piece[i]);
        ck_assert_uint_eq((uintptr_t)piece[i] % 16, 0);
        for (size_t k = 0; k < 3 * i; ++k)
            ck_assert_uint_eq(piece[i][k], 0);
        memset(piece[i], (int)i + 1, 3 * i);
    }
    for (size_t i = 0; i < 40; ++i)
        for (size_t k = 0; k < 3 * i; ++k)
            ck_assert_uint_eq(piece[i][k], i + 1);
    ck_assert_int_eq(s.status, TSR_OK);
    tsr_scratch_free(&s);
    ck_assert_ptr_null(s.last);
    tsr_scratch_free(&s); /* nothing is there any more */
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(failures_stick) {
    tsr_context *ctx = open_context(1 << 20);
    const size_t beyond[][2] = {{2, 1 << 20}, {SIZE_MAX, 2}, {SIZE_MAX / 2, 2}, {SIZE_MAX, 1}};
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; ++i) {
        tsr_scratch s = {.ctx = ctx};
        ck_assert_ptr_nonnull(tsr_scratch_take(&s, 10, 1, "small"));
        ck_assert_ptr_null(tsr_scratch_take(&s, beyond[i][0], beyond[i][1], "the large one"));
        ck_assert_int_eq(s.status, TSR_ERROR_MEMORY);
        ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "the large one"));
        ck_assert_ptr_null(tsr_scratch_take(&s, 1, 1, "after it")); /* fits, and is not tried */
        ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "the large one"));
        tsr_scratch_free(&s);
        ck_assert_ptr_nonnull(tsr_scratch_take(&s, 1, 1, "again"));
        tsr_scratch_free(&s);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* With `reuse` arrays come back as if they were new, whatever was in them and however large they
 * were; without a context, too. */
START_TEST(arrays_return) {
    tsr_context *ctx = open_context(1 << 26);
    for (int turn = 0; turn < 6; ++turn) {
        tsr_scratch s = {.ctx = ctx, .reuse = true}, none = {.reuse = true};
        const size_t n = ((size_t)1 << 20) + (size_t)(turn % 3) * 70000;
        uint8_t *zeroed = tsr_scratch_take(&s, n, 1, "zeroed");
        uint8_t *raw = tsr_scratch_take_raw(&s, n / 2, 1, "raw");
        ck_assert_ptr_nonnull(zeroed);
        ck_assert_ptr_nonnull(raw);
        ck_assert(raw + n / 2 <= zeroed || zeroed + n <= raw);
        for (size_t i = 0; i < n; ++i)
            ck_assert_uint_eq(zeroed[i], 0);
        memset(zeroed, 0xA5, n);
        memset(raw, 0x5A, n / 2);
        ck_assert_ptr_nonnull(tsr_scratch_take(&none, n, 1, "without a context"));
        tsr_scratch_free(&none);
        tsr_scratch_free(&s);
        ck_assert_uint_le(ctx->kept_bytes, 1 << 25);
    }
    /* More than is kept pushes out what has waited longest. */
    tsr_scratch s = {.ctx = ctx, .reuse = true};
    for (int i = 0; i < 5; ++i)
        ck_assert_ptr_nonnull(tsr_scratch_take_raw(&s, 10 << 20, 1, "large"));
    tsr_scratch_free(&s);
    ck_assert_uint_le(ctx->kept_bytes, 1 << 25);
    tsr_scratch_forget(ctx);
    ck_assert_uint_eq(ctx->kept_bytes, 0);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("scratch", arrays, failures_stick, arrays_return)
