/* SPDX-License-Identifier: MIT */
/* Patches and back: exact, in both directions. */
#include "ops/ops.h"
#include "op_case.h"

#include <string.h>

typedef struct recipe {
    int64_t channels, height, width, patch;
    bool back;
} recipe;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const recipe *x = m;
    if (x->back)
        out[0] = tsr_unpatchify(r, in[0], (int)x->channels, x->height, x->width, (int)x->patch);
    else
        out[0] = tsr_patchify(r, in[0], (int)x->patch);
}

static void try(int64_t b, int64_t channels, int64_t down, int64_t across, int64_t p, bool back) {
    recipe m = {channels, down * p, across * p, p, back};
    op_case c = {.run = {.fn = model, .model = &m}};
    op_name(&c, "%spatchify %lldx%lldx%lldx%lld by %lld", back ? "un" : "", (long long)b,
            (long long)channels, (long long)m.height, (long long)m.width, (long long)p);
    int64_t n = b * channels * m.height * m.width, inside = channels * p * p;
    int32_t *picture, *patches;
    if (back) {
        patches = op_in(&c, TSR_DTYPE_I32, SHAPE(b, down * across, inside));
        picture = op_out(&c, TSR_DTYPE_I32, SHAPE(b, channels, m.height, m.width));
    } else {
        picture = op_in(&c, TSR_DTYPE_I32, SHAPE(b, channels, m.height, m.width));
        patches = op_out(&c, TSR_DTYPE_I32, SHAPE(b, down * across, inside));
    }
    for (int64_t i = 0; i < n; ++i)
        (back ? patches : picture)[i] = (int32_t)i;
    op_run(&c);
    /* Walk the patches in their own order and ask for each element where it came from. */
    int64_t at = 0;
    for (int64_t k = 0; k < b; ++k)
        for (int64_t i = 0; i < down; ++i)
            for (int64_t j = 0; j < across; ++j)
                for (int64_t ch = 0; ch < channels; ++ch)
                    for (int64_t y = 0; y < p; ++y)
                        for (int64_t x = 0; x < p; ++x, ++at) {
                            int64_t row = (k * channels + ch) * m.height + i * p + y;
                            ck_assert_int_eq(patches[at], picture[row * m.width + j * p + x]);
                        }
    ck_assert_int_eq(at, n);
    op_free(&c);
}

START_TEST(both_ways) {
    for (int back = 0; back < 2; ++back) {
        try(1, 1, 1, 1, 1, back);
        try(2, 3, 2, 3, 2, back);
        try(1, 3, 16, 16, 16, back);
        try(3, 5, 3, 1, 7, back);
        try(2, 3, 1, 9, 8, back);
        try(1 + random_below(3), 1 + random_below(4), 1 + random_below(5), 1 + random_below(5),
            1 + random_below(9), back);
    }
}
END_TEST

START_TEST(refuses) {
    recipe m = {3, 8, 8, 3, false};
    op_case c = {.run = {.name = "patchify", .fn = model, .model = &m}};
    op_in(&c, TSR_DTYPE_F32, SHAPE(1, 3, 8, 8));
    op_out(&c, TSR_DTYPE_F32, SHAPE(1, 4, 48));
    op_refused(&c, TSR_ERROR_ARGUMENT, "patchify: size: wanted multiples of the patch 3, got");
    m.patch = 0;
    op_refused(&c, TSR_ERROR_ARGUMENT, "wanted multiples of the patch 0");
    m = (recipe){3, 8, 8, 4, true};
    op_refused(&c, TSR_ERROR_ARGUMENT, "unpatchify: x: wanted [B, 4, 3*4*4], got [1, 3, 8, 8]");
    c.in[0].rank = 3;
    c.in[0].dim[3] = 1;
    m = (recipe){2, 12, 4, 4, true};
    op_refused(&c, TSR_ERROR_ARGUMENT, "unpatchify: x: wanted [B, 3, 2*4*4], got [1, 3, 8]");
    op_free(&c);
}
END_TEST

TEST_MAIN("op_patchify", both_ways, refuses)
