/* SPDX-License-Identifier: MIT */
/* The small parts of compute: 16-bit floats (every value), shapes as text, arena, weights, status.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/arena.h"
#include "compute/weights.h"
#include "testing.h"

static tsr_context *ctx;

static void setup(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

static float half_by_definition(uint16_t h) {
    int e = h >> 10 & 31, m = h & 1023;
    double x = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return (float)(h & 0x8000 ? -x : x);
}

static float bf16_by_definition(uint16_t h) {
    int e = h >> 7 & 255, m = h & 127;
    double x = e == 255 ? (m ? NAN : INFINITY) : e ? ldexp(128 + m, e - 134) : ldexp(m, -133);
    return (float)(h & 0x8000 ? -x : x);
}

/* Every value of the format goes to f32 and back; between two neighbours, values round to the
 * nearer and the middle to the even one. */
static void check_format(float (*up)(uint16_t), uint16_t (*down)(float), float (*exact)(uint16_t),
                         uint16_t infinity) {
    for (uint32_t h = 0; h < 65536; ++h) {
        float f = up((uint16_t)h), want = exact((uint16_t)h);
        if (isnan(want)) {
            ck_assert(isnan(f));
            ck_assert(isnan(up(down(f))));
            ck_assert_uint_eq(down(f) & 0x8000, h & 0x8000);
            continue;
        }
        ck_assert_msg(f == want && signbit(f) == signbit(want), "%04x: %g, wanted %g", h, f, want);
        ck_assert_uint_eq(down(f), h);
        if ((h & 0x7FFF) >= infinity - 1u) continue;
        double next = exact((uint16_t)(h + 1));
        float middle = (float)(((double)want + next) / 2);
        ck_assert_uint_eq(down(middle), h & 1 ? h + 1 : h);
        ck_assert_uint_eq(down(nextafterf(middle, want)), h);
        ck_assert_uint_eq(down(nextafterf(middle, (float)next)), h + 1);
    }
    ck_assert_uint_eq(down(INFINITY), infinity);
    ck_assert_uint_eq(down(FLT_MAX), infinity);
    ck_assert_uint_eq(down(-FLT_MAX), infinity | 0x8000);
    ck_assert_uint_eq(down(FLT_TRUE_MIN), 0);
    ck_assert_uint_eq(down(-FLT_TRUE_MIN), 0x8000);
}

START_TEST(every_half) {
    check_format(tsr_f16_to_f32, tsr_f32_to_f16, half_by_definition, 0x7C00);
    ck_assert_uint_eq(tsr_f32_to_f16(65519.99f), 0x7BFF);
    ck_assert_uint_eq(tsr_f32_to_f16(65520.0f), 0x7C00);
}
END_TEST

START_TEST(every_bfloat16) {
    check_format(tsr_bf16_to_f32, tsr_f32_to_bf16, bf16_by_definition, 0x7F80);
}
END_TEST

START_TEST(nan_payloads_stay_nan) {
    for (uint32_t low = 1; low < 1u << 23; low = low * 2 + 1) {
        uint32_t bits = 0x7F800000u | low;
        float f;
        memcpy(&f, &bits, 4);
        ck_assert(isnan(tsr_f16_to_f32(tsr_f32_to_f16(f))));
        ck_assert(isnan(tsr_bf16_to_f32(tsr_f32_to_bf16(f))));
    }
}
END_TEST

START_TEST(shapes_as_text) {
    char text[64];
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, NULL, 3, (int64_t[]){2, 256, 192});
    ck_assert_str_eq(tsr_shape_text(&t, text, sizeof text), "[2, 256, 192]");
    ck_assert_int_eq(tsr_elements(&t), 2 * 256 * 192);
    ck_assert_int_eq(tsr_rows(&t), 512);
    ck_assert_int_eq(tsr_cols(&t), 192);
    ck_assert_int_eq(t.dim[3], 1);
    t.rank = 0;
    ck_assert_str_eq(tsr_shape_text(&t, text, sizeof text), "[]");
    ck_assert_int_eq(tsr_elements(&t), 0);
    t = tsr_host_tensor(TSR_DTYPE_F32, NULL, 4,
                        (int64_t[]){INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX});
    for (size_t n = 0; n < sizeof text; ++n) {
        memset(text, '#', sizeof text);
        tsr_shape_text(&t, text, n);
        ck_assert_msg(n == 0 || memchr(text, 0, n), "not ended within %zu", n);
        if (n < sizeof text) ck_assert_int_eq(text[n], '#');
    }
}
END_TEST

START_TEST(arena_gives_and_takes_back) {
    setup();
    tsr_arena a = {0};
    tsr_arena_mark empty = tsr_arena_position(&a), marks[64];
    unsigned char *p[64];
    size_t size[64];
    for (int round = 0; round < 50; ++round) {
        for (int i = 0; i < 64; ++i) {
            marks[i] = tsr_arena_position(&a);
            size[i] = (size_t)random_below(round % 7 ? 5000 : 200000);
            p[i] = tsr_arena_take(ctx, &a, size[i]);
            ck_assert_ptr_nonnull(p[i]);
            ck_assert_uint_eq((uintptr_t)p[i] % 64, 0);
            memset(p[i], i, size[i]);
            ck_assert(tsr_arena_holds(&a, marks[i], p[i]));
            ck_assert(i == 0 || !tsr_arena_holds(&a, marks[i], p[i - 1]));
            ck_assert(!tsr_arena_holds(&a, empty, &a));
        }
        for (int i = 0; i < 64; ++i) {
            size_t wrong = 0;
            for (size_t k = 0; k < size[i]; ++k)
                wrong += p[i][k] != i;
            ck_assert_uint_eq(wrong, 0);
        }
        int back = (int)random_below(64);
        tsr_arena_rewind(&a, marks[back]);
        ck_assert_ptr_eq(tsr_arena_take(ctx, &a, size[back]), p[back]);
        tsr_arena_rewind(&a, empty);
        ck_assert_uint_eq(tsr_arena_used(&a), 0);
    }
    size_t total = a.total;
    ck_assert_ptr_null(tsr_arena_take(ctx, &a, SIZE_MAX));
    ck_assert_ptr_null(tsr_arena_take(ctx, &a, SIZE_MAX - 100));
    ck_assert_ptr_null(tsr_arena_take(ctx, &a, SIZE_MAX / 2));
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "memory limit"));
    ck_assert_uint_eq(a.total, total);
    ck_assert_ptr_nonnull(tsr_arena_take(ctx, &a, 100)); /* still works */
    tsr_arena_free(&a);
    ck_assert_ptr_null(a.first);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(weights_by_name_and_shape) {
    setup();
    tsr_weights *w = NULL;
    static float values[2000];
    random_normals(values, 2000);
    ck_assert_int_eq(tsr_weights_open(ctx, &w), TSR_OK);
    ck_assert_ptr_null(tsr_weights_find(w, "none"));
    int last_id = 0;
    for (int i = 0; i < 1000; ++i) {
        char name[32];
        snprintf(name, sizeof name, "block.%d.weight", i);
        tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, values + i, 2, (int64_t[]){1, 1 + i % 3});
        ck_assert_int_eq(tsr_weights_add(ctx, w, name, &t), TSR_OK);
        ck_assert_int_eq(tsr_weights_add(ctx, w, name, &t), TSR_ERROR_ARGUMENT);
        tsr_weight *got = tsr_weights_find(w, name);
        ck_assert(got->f32 == values + i && got->id > last_id);
        last_id = got->id;
    }
    ck_assert_int_eq(tsr_weights_count(w), 1000);
    ck_assert_str_eq(tsr_weights_at(w, 999)->name, "block.999.weight");
    ck_assert_ptr_null(tsr_weights_at(w, 1000));
    ck_assert_ptr_null(tsr_weights_at(w, -1));
    tsr_weight *got;
    ck_assert_int_eq(tsr_weights_get(ctx, w, "block.7.weight", 2, (int64_t[]){1, 2}, &got), TSR_OK);
    ck_assert_int_eq(tsr_weights_get(ctx, w, "block.7.weight", 2, (int64_t[]){-1, -1}, &got),
                     TSR_OK);
    ck_assert_int_eq(tsr_weights_get(ctx, w, "block.7.weight", 2, (int64_t[]){2, 2}, &got),
                     TSR_ERROR_MODEL);
    ck_assert_str_eq(tsr_detail(ctx), "model: tensor block.7.weight: wanted [2, 2], got [1, 2]");
    ck_assert_ptr_null(got);
    ck_assert_int_eq(tsr_weights_get(ctx, w, "block.7.weight", 1, (int64_t[]){2}, &got),
                     TSR_ERROR_MODEL);
    ck_assert_int_eq(tsr_weights_get(ctx, w, "nothing", 1, (int64_t[]){2}, &got), TSR_ERROR_MODEL);
    tsr_weights_close(&w);
    ck_assert_ptr_null(w);
    tsr_weights_close(&w);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(weights_are_widened) {
    setup();
    tsr_weights *w = NULL;
    ck_assert_int_eq(tsr_weights_open(ctx, &w), TSR_OK);
    static unsigned char bytes[33]; /* one byte off: also unaligned memory */
    uint16_t half[4] = {0x3C00, 0xC000, 0x0001, 0x7BFF},
             brain[4] = {0x3F80, 0xC000, 0x4049, 0xFF80};
    float full[2] = {1.5f, -2.25f};
    memcpy(bytes + 1, half, 8);
    memcpy(bytes + 9, brain, 8);
    memcpy(bytes + 17, full, 8);
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F16, bytes + 1, 1, (int64_t[]){4});
    ck_assert_int_eq(tsr_weights_add(ctx, w, "half", &t), TSR_OK);
    t = tsr_host_tensor(TSR_DTYPE_BF16, bytes + 9, 1, (int64_t[]){4});
    ck_assert_int_eq(tsr_weights_add(ctx, w, "brain", &t), TSR_OK);
    t = tsr_host_tensor(TSR_DTYPE_F32, bytes + 17, 1, (int64_t[]){2});
    ck_assert_int_eq(tsr_weights_add(ctx, w, "full", &t), TSR_OK);
    for (int i = 0; i < 4; ++i) {
        ck_assert_float_eq(tsr_weights_find(w, "half")->f32[i], tsr_f16_to_f32(half[i]));
        ck_assert_float_eq(tsr_weights_find(w, "brain")->f32[i], tsr_bf16_to_f32(brain[i]));
    }
    ck_assert_float_eq(tsr_weights_find(w, "full")->f32[1], -2.25f);
    t = tsr_host_tensor(TSR_DTYPE_I32, full, 1, (int64_t[]){2});
    ck_assert_int_eq(tsr_weights_add(ctx, w, "ids", &t), TSR_ERROR_ARGUMENT);
    t = tsr_host_tensor(TSR_DTYPE_F32, NULL, 1, (int64_t[]){2});
    ck_assert_int_eq(tsr_weights_add(ctx, w, "null", &t), TSR_ERROR_ARGUMENT);
    tsr_weights_close(&w);
    tsr_context_close(&ctx);
}
END_TEST

static tsr_status count_up(tsr_context *c, const void *user, const char *name, int64_t first,
                           int64_t count, float *f32) {
    (void)c;
    ck_assert_str_eq(name, "made");
    ++*(int *)user;
    for (int64_t i = 0; i < count; ++i)
        f32[i] = (float)(first + i);
    return TSR_OK;
}

/* A file that became shorter. */
static tsr_status cut_off(tsr_context *c, const void *user, const char *name, int64_t first,
                          int64_t count, float *f32) {
    (void)user, (void)first, (void)count, (void)f32;
    return tsr_fail(c, TSR_ERROR_TRUNCATED, "%s: cut off", name);
}

START_TEST(lazy_weights_are_borrowed) {
    setup();
    tsr_weights *w = NULL;
    ck_assert_int_eq(tsr_weights_open(ctx, &w), TSR_OK);
    int fills = 0;
    tsr_weight_source made = {.fill = count_up, .user = &fills}, stored = {0};
    uint16_t half[4] = {0x3C00, 0xC000, 0x0001, 0x7BFF};
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, NULL, 1, (int64_t[]){5});
    ck_assert_int_eq(tsr_weights_add_lazy(ctx, w, "made", &t, &made), TSR_OK);
    ck_assert_int_eq(tsr_weights_add_lazy(ctx, w, "none", &t, &stored), TSR_ERROR_ARGUMENT);
    t = tsr_host_tensor(TSR_DTYPE_F16, half, 1, (int64_t[]){4});
    ck_assert_int_eq(tsr_weights_add_lazy(ctx, w, "half", &t, &stored), TSR_OK);
    tsr_weight *a = tsr_weights_find(w, "made"), *b = tsr_weights_find(w, "half");
    ck_assert(!a->f32 && !b->f32 && fills == 0);
    const float *f;
    ck_assert_int_eq(tsr_weight_borrow(ctx, a, &f), TSR_OK);
    ck_assert(fills == 1 && f[4] == 4);
    tsr_weight_return(a, f);
    ck_assert(!a->f32);
    ck_assert_int_eq(tsr_weight_pin(ctx, a), TSR_OK);
    ck_assert_int_eq(tsr_weight_pin(ctx, a), TSR_OK);
    ck_assert(fills == 2 && a->f32[3] == 3);
    ck_assert_int_eq(tsr_weight_borrow(ctx, a, &f), TSR_OK);
    ck_assert(f == a->f32); /* pinned: nothing to make, nothing to free */
    tsr_weight_return(a, a->f32);
    ck_assert_int_eq(tsr_weight_borrow(ctx, b, &f), TSR_OK);
    ck_assert_float_eq(f[1], -2);
    tsr_weight_return(b, f);
    /* What the source says is what the caller hears. */
    tsr_weight_source lost = {.fill = cut_off};
    ck_assert_int_eq(tsr_weights_add_lazy(ctx, w, "lost", &t, &lost), TSR_OK);
    ck_assert_int_eq(tsr_weight_borrow(ctx, tsr_weights_find(w, "lost"), &f), TSR_ERROR_TRUNCATED);
    ck_assert_ptr_null(f);
    ck_assert_int_eq(tsr_weight_pin(ctx, tsr_weights_find(w, "lost")), TSR_ERROR_TRUNCATED);
    ck_assert_int_eq(tsr_weights_note_other(ctx, w, "wide", "F64"), TSR_OK);
    ck_assert_str_eq(tsr_weights_other(w, "wide"), "F64");
    ck_assert_ptr_null(tsr_weights_other(w, "half"));
    tsr_weights_close(&w);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(allocation_limits) {
    tsr_context_settings s = tsr_context_settings_default();
    s.memory_limit = 1000;
    ck_assert_int_eq(tsr_context_open(&ctx, &s), TSR_OK);
    void *p = tsr_alloc(ctx, 10, 100, "things");
    ck_assert_ptr_nonnull(p);
    free(p);
    ck_assert_ptr_null(tsr_alloc(ctx, 1001, 1, "things"));
    ck_assert_str_eq(tsr_detail(ctx),
                     "things: wanted at most 1000 bytes (the memory limit), got 1001");
    ck_assert_ptr_null(tsr_alloc(ctx, SIZE_MAX / 2, 3, "things"));
    tsr_context_close(&ctx);
    s.threads = -1;
    ck_assert_int_eq(tsr_context_open(&ctx, &s), TSR_ERROR_ARGUMENT);
    s.threads = 1025;
    ck_assert_int_eq(tsr_context_open(&ctx, &s), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_null(ctx);
    tsr_context_close(&ctx);
    tsr_context_close(NULL);
    ck_assert_str_eq(tsr_detail(NULL), "");
}
END_TEST

START_TEST(every_status_has_texts) {
    /* Numbers are part of what programs that are already built rely on. */
    static const struct {
        int number;
        const char *name, *text;
    } all[] = {{0, "TSR_OK", "success"},
               {10, "TSR_ERROR_ARGUMENT", "invalid argument"},
               {11, "TSR_ERROR_STATE", "call out of order"},
               {20, "TSR_ERROR_MEMORY", "out of memory"},
               {21, "TSR_ERROR_TOO_LARGE", "input is too large"},
               {30, "TSR_ERROR_IO", "input or output failed"},
               {31, "TSR_ERROR_NOT_FOUND", "not found"},
               {32, "TSR_ERROR_NO_SPACE", "no space left"},
               {33, "TSR_ERROR_EXISTS", "output exists"},
               {40, "TSR_ERROR_FORMAT", "malformed data"},
               {41, "TSR_ERROR_TRUNCATED", "data end too early"},
               {42, "TSR_ERROR_CHECKSUM", "checksum does not match"},
               {43, "TSR_ERROR_VERSION", "unknown version"},
               {44, "TSR_ERROR_DAMAGED", "file is not whole"},
               {50, "TSR_ERROR_MODEL", "not a usable model"},
               {51, "TSR_ERROR_MODEL_MISMATCH", "made by another model"},
               {52, "TSR_ERROR_TOKENS", "tokens do not fit the model"},
               {60, "TSR_ERROR_DEVICE", "device failure"},
               {61, "TSR_ERROR_NO_DEVICE", "no such device"},
               {62, "TSR_ERROR_DEVICE_LOST", "device was lost"},
               {70, "TSR_ERROR_UNSUPPORTED", "not supported"},
               {80, "TSR_ERROR_INTERRUPTED", "interrupted"}};
    for (int i = -1, next = 0; i <= 100; ++i) {
        const bool known = next < (int)(sizeof all / sizeof *all) && all[next].number == i;
        ck_assert_str_eq(tsr_status_name((tsr_status)i),
                         known ? all[next].name : "TSR_ERROR_UNKNOWN");
        ck_assert_str_eq(tsr_status_text((tsr_status)i), known ? all[next].text : "unknown status");
        next += known;
    }
}
END_TEST

TEST_MAIN("compute", every_half, every_bfloat16, nan_payloads_stay_nan, shapes_as_text,
          arena_gives_and_takes_back, weights_by_name_and_shape, weights_are_widened,
          lazy_weights_are_borrowed, allocation_limits, every_status_has_texts)
