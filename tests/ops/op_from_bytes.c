/* SPDX-License-Identifier: MIT */
/* Bytes to numbers: on every device what the host's division gives, to the bit. */
#include "ops/ops.h"
#include "op_case.h"

#include <string.h>

typedef struct recipe {
    float scale, shift;
    bool planes;
} recipe;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const recipe *x = m;
    out[0] = tsr_from_bytes(r, in[0], x->scale, x->shift, x->planes);
}

static void try(recipe m, int64_t b, int64_t h, int64_t w, int64_t c) {
    op_case k = {.run = {.fn = model, .model = &m}};
    op_name(&k, "from_bytes %lldx%lldx%lldx%lld%s", (long long)b, (long long)h, (long long)w,
            (long long)c, m.planes ? " planes" : "");
    uint8_t *x = op_in(&k, TSR_DTYPE_U8, SHAPE(b, h, w, c));
    float *y = m.planes ? op_out(&k, TSR_DTYPE_F32, SHAPE(b, c, h, w))
                        : op_out(&k, TSR_DTYPE_F32, SHAPE(b, h, w, c));
    for (int64_t i = 0; i < b * h * w * c; ++i)
        x[i] = (uint8_t)(i < 256 ? i : random_below(256));
    op_run(&k); /* tolerance 0: every device gives the reference's bits */
    for (int64_t i = 0; i < b; ++i)
        for (int64_t p = 0; p < h * w; ++p)
            for (int64_t ch = 0; ch < c; ++ch) {
                const float part = (float)x[(i * h * w + p) * c + ch] / 255.0f;
                const float product = part * m.scale, want = product + m.shift;
                const float got =
                    m.planes ? y[(i * c + ch) * h * w + p] : y[(i * h * w + p) * c + ch];
                ck_assert_mem_eq(&got, &want, sizeof want);
            }
    op_same_in_batches(&k);
    op_free(&k);
}

START_TEST(divides_as_the_host) {
    const recipe ranges[] = {{1, 0, false}, {2, -1, false}, {4.3668f, -2.1179f, false}};
    for (int planes = 0; planes < 2; ++planes)
        for (int i = 0; i < 3; ++i) {
            recipe m = ranges[i];
            m.planes = planes;
            try(m, 1, 1, 1, 1);
            try(m, 3, 5, 7, 3); /* pictures that end inside a word */
            try(m, 2, 16, 16, 3);
            try(m, 1 + random_below(4), 1 + random_below(90), 1 + random_below(90),
                1 + random_below(4));
        }
}
END_TEST

/* Families whose authors write (v / 255 - 0.5) / 0.5 have the same bits with 2 and -1. */
START_TEST(centred) {
    for (int v = 0; v < 256; ++v) {
        const volatile float part = (float)v / 255.0f, less = part - 0.5f, theirs = less / 0.5f;
        const volatile float product = part * 2, ours = product - 1;
        const float a = theirs, b = ours;
        ck_assert_mem_eq(&a, &b, sizeof a);
    }
}
END_TEST

/* Numbers of its own, as families have whose authors round otherwise. */
static void by_table(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = tsr_from_bytes_by(r, in[0], m, true);
}

START_TEST(own_numbers) {
    enum { B = 3, SIDE = 9, C = 3, N = B * SIDE * SIDE * C };
    float table[256];
    for (int v = 0; v < 256; ++v)
        table[v] = (float)(v / 255.0 * 2 - 1);
    op_case k = {.run = {.name = "from_bytes", .fn = by_table, .model = table}};
    uint8_t *x = op_in(&k, TSR_DTYPE_U8, SHAPE(B, SIDE, SIDE, C));
    float *y = op_out(&k, TSR_DTYPE_F32, SHAPE(B, C, SIDE, SIDE));
    for (int i = 0; i < N; ++i)
        x[i] = (uint8_t)(i < 256 ? i : random_below(256));
    op_run(&k);
    for (int i = 0; i < N; ++i) {
        const int place = i / C % (SIDE * SIDE), picture = i / (SIDE * SIDE * C);
        const float got = y[(picture * C + i % C) * SIDE * SIDE + place];
        ck_assert_mem_eq(&got, &table[x[i]], sizeof got);
    }
    op_free(&k);
}
END_TEST

START_TEST(refuses) {
    recipe m = {1, 0, true};
    op_case c = {.run = {.name = "from_bytes", .fn = model, .model = &m}};
    op_in(&c, TSR_DTYPE_U8, SHAPE(4, 4, 3));
    op_out(&c, TSR_DTYPE_F32, SHAPE(4, 4, 3));
    op_refused(&c, TSR_ERROR_ARGUMENT,
               "from_bytes: x: wanted at least 4 dimensions, got [4, 4, 3]");
    op_free(&c);
    op_case f = {.run = {.name = "from_bytes", .fn = model, .model = &m}};
    op_in(&f, TSR_DTYPE_F32, SHAPE(1, 4, 4, 3));
    op_out(&f, TSR_DTYPE_F32, SHAPE(1, 3, 4, 4));
    op_refused(&f, TSR_ERROR_ARGUMENT, "from_bytes: x: wanted dtype U8, got F32");
    op_free(&f);
}
END_TEST

TEST_MAIN("op_from_bytes", divides_as_the_host, centred, own_numbers, refuses)
